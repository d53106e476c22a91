//! One HTTP/1.1 exchange, as it is on the wire: any method, any bytes, nothing undone.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take: rekor-tiles publishes when it sees fit.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Asked {
    /// The method.
    pub method: &'static str,
    /// The path, with its query.
    pub path: String,
    /// Header fields, `Host`, `Content-Length` and `Connection` excepted.
    pub headers: Vec<(&'static str, String)>,
    /// The body; without one no length is told, but for `POST` and `PUT`.
    pub body: Vec<u8>,
}

impl Asked {
    /// A request without a body.
    pub fn of(method: &'static str, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            ..Self::default()
        }
    }

    /// The same with a header field more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Sends it to a port of this machine.
    ///
    /// # Errors
    /// What the system says; or what came is no answer.
    pub fn send(&self, host: &str, port: u16) -> Result<Answer, String> {
        let shown = format!("{} {}", self.method, self.path);
        self.exchange(host, port)
            .map_err(|error| format!("{shown}: {error}"))
    }

    fn exchange(&self, host: &str, port: u16) -> Result<Answer, String> {
        let failed = |error: std::io::Error| error.to_string();
        let mut stream = TcpStream::connect((host, port)).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let mut writer = stream.try_clone().map_err(failed)?;
        let bytes = self.encode(host, port);
        // Whoever refuses a body does not wait for its end: the answer may be there before.
        let sending = std::thread::spawn(move || writer.write_all(&bytes));
        let mut read = Vec::new();
        let ended = stream.read_to_end(&mut read);
        drop(sending.join());
        let parsed = Answer::parse(&read);
        match (parsed, ended) {
            (Some(answer), _) => Ok(answer),
            (None, Err(error)) => Err(error.to_string()),
            (None, Ok(_)) => Err(format!("no answer: {}", String::from_utf8_lossy(&read))),
        }
    }

    fn encode(&self, host: &str, port: u16) -> Vec<u8> {
        let (method, path) = (self.method, &self.path);
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n");
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() || matches!(method, "POST" | "PUT") {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }
}

/// What came.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header fields, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, out of its chunks.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header field; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        let mut all = self.headers.iter();
        let found = all.find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn parse(read: &[u8]) -> Option<Self> {
        let end = read.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(read.get(..end)?).ok()?;
        let body = read.get(end + 4..)?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        if status == 100 {
            return Self::parse(body);
        }
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers: Vec<_> = lines.filter_map(field).collect();
        let is_chunked = headers
            .iter()
            .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = if is_chunked {
            unchunk(body)?
        } else {
            body.to_vec()
        };
        Some(Self {
            status,
            headers,
            body,
        })
    }
}

fn unchunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n")?;
        let length = std::str::from_utf8(body.get(..end)?).ok()?;
        let length = usize::from_str_radix(length, 16).ok()?;
        let rest = body.get(end + 2..)?;
        if length == 0 {
            return Some(whole);
        }
        whole.extend(rest.get(..length)?);
        body = rest.get(length + 2..)?;
    }
}

//! One connection to a server on loopback, kept alive: what a load generator needs of HTTP/1.1,
//! and no more.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The longest head and the longest body that are read.
const MAX_HEAD: usize = 64 << 10;
const MAX_BODY: usize = 16 << 20;

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    host: String,
    /// Read, and not yet used.
    buffer: Vec<u8>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head, as it came.
    head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header field; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    /// The body as a text, for messages.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Connection {
    /// Connects to a port of this machine.
    ///
    /// # Errors
    /// Whatever the socket says.
    pub async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            host: format!("localhost:{port}"),
            buffer: Vec::new(),
        })
    }

    /// `GET`.
    ///
    /// # Errors
    /// Whatever the socket says; [`ErrorKind::UnexpectedEof`] if the server goes away.
    pub async fn get(&mut self, path: &str) -> Result<Answer> {
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        self.exchange(head.into_bytes()).await
    }

    /// `POST` of JSON.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&mut self, path: &str, body: &[u8]) -> Result<Answer> {
        self.post_as(path, "application/json", "", body).await
    }

    /// `POST` of any type, with further header lines, each ended.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post_as(
        &mut self,
        path: &str,
        content_type: &str,
        lines: &str,
        body: &[u8],
    ) -> Result<Answer> {
        let (host, length) = (&self.host, body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {content_type}\r\n\
             content-length: {length}\r\n{lines}\r\n"
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.exchange(request).await
    }

    async fn exchange(&mut self, request: Vec<u8>) -> Result<Answer> {
        self.stream.write_all(&request).await?;
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more(MAX_HEAD).await?;
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8(head).map_err(|_| malformed("the head is no text"))?;
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| malformed("there is no status"))?;
        let is_chunked =
            field(&head, "transfer-encoding").is_some_and(|coding| coding == "chunked");
        let body = if is_chunked {
            self.read_chunks().await?
        } else {
            let length = field(&head, "content-length").and_then(|length| length.parse().ok());
            let length = length.filter(|length| *length <= MAX_BODY);
            let no_length = || malformed("the body has no length, or is too long");
            self.read_bytes(length.ok_or_else(no_length)?).await?
        };
        Ok(Answer { status, head, body })
    }

    async fn read_bytes(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.read_more(length).await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// A body in chunks, without extensions and trailers.
    async fn read_chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                    break at;
                }
                self.read_more(MAX_HEAD).await?;
            };
            let line = self.read_bytes(end + 2).await?;
            let length = std::str::from_utf8(&line).ok().map(str::trim_end);
            let length = length.and_then(|length| usize::from_str_radix(length, 16).ok());
            let fits = |length: &usize| *length <= MAX_BODY.saturating_sub(body.len());
            let length = length
                .filter(fits)
                .ok_or_else(|| malformed("a chunk has no length"))?;
            let chunk = self.read_bytes(length + 2).await?;
            let Some(chunk) = chunk.strip_suffix(b"\r\n") else {
                return Err(malformed("a chunk has no end"));
            };
            if chunk.is_empty() {
                return Ok(body);
            }
            body.extend_from_slice(chunk);
        }
    }

    async fn read_more(&mut self, limit: usize) -> Result<()> {
        if self.buffer.len() > limit {
            return Err(malformed("the answer is too long"));
        }
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.split("\r\n").skip(1);
    lines.find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn malformed(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_in_chunks() {
        async fn answered(body: &'static str) -> Result<Vec<u8>> {
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
            let port = listener.local_addr()?.port();
            let server = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await?;
                let head = "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n";
                stream.write_all(format!("{head}{body}").as_bytes()).await
            });
            let mut connection = Connection::open(port).await?;
            let answer = connection.get("/").await;
            server.await??;
            Ok(answer?.body)
        }
        let body = answered("3\r\nabc\r\n0a\r\n0123456789\r\n0\r\n\r\n").await;
        assert_eq!(body.unwrap(), b"abc0123456789");
        assert!(answered("x\r\nabc\r\n0\r\n\r\n").await.is_err());
        assert!(answered("3\r\nabcd\r\n0\r\n\r\n").await.is_err());
        assert!(answered("fffffff\r\n").await.is_err());
    }

    #[test]
    fn header_fields() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nx-log-index:7\r\n\r\n";
        assert_eq!(field(head, "content-length"), Some("12"));
        assert_eq!(field(head, "x-log-index"), Some("7"));
        assert_eq!(field(head, "etag"), None);
    }
}

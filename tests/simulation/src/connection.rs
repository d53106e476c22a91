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
        let length: usize = field(&head, "content-length")
            .and_then(|length| length.parse().ok())
            .filter(|length| *length <= MAX_BODY)
            .ok_or_else(|| malformed("the body has no length, or is too long"))?;
        while self.buffer.len() < length {
            self.read_more(length).await?;
        }
        let body = self.buffer.drain(..length).collect();
        Ok(Answer { status, head, body })
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

    #[test]
    fn header_fields() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nx-log-index:7\r\n\r\n";
        assert_eq!(field(head, "content-length"), Some("12"));
        assert_eq!(field(head, "x-log-index"), Some("7"));
        assert_eq!(field(head, "etag"), None);
    }
}

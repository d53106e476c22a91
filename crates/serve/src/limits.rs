//! How much and how long a client may take.

use std::time::Duration;

/// The bounds on connections. The defaults are those of `Limits::default()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at one time; more wait in the kernel's queue. Default 4096.
    pub connections: usize,
    /// Connections of one address at one time; more are closed. It does not hold for loopback
    /// peers and behind a proxy. Default 256.
    pub connections_per_peer: usize,
    /// From connecting to the end of the first request's head. Default 5 s (slow loris).
    pub head: Duration,
    /// The TLS handshake. Default 10 s.
    pub handshake: Duration,
    /// A connection without a request. Default 60 s.
    pub idle: Duration,
    /// From a request's head to the last byte of its response. Default 5 min.
    pub exchange: Duration,
    /// From shutdown until connections that are still busy are cut. Default 10 s.
    pub drain: Duration,
    /// HTTP/2 streams of one connection at one time (CVE-2023-39325). Default 128.
    pub h2_streams: u32,
    /// Bytes of a request's head. Default 32 KiB.
    pub head_size: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_peer: 256,
            head: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            exchange: Duration::from_secs(300),
            drain: Duration::from_secs(10),
            h2_streams: 128,
            head_size: 32 * 1024,
        }
    }
}

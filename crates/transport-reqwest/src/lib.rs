//! A Transport on reqwest: pools, TLS, CA files, proxies.
//!
//! **What it is.** The [`Transport`](waxseal_transport::Transport) that binaries pass to
//! everything that speaks HTTP: HTTP/1.1 and HTTP/2 (RFC 9112, 9113) over rustls on aws-lc, with
//! the system's roots and the proxies that the environment names.
//!
//! **In scope.** Connections, their reuse and their end; the check of the peer's *address* for
//! loopback names; the deadline and the size limit while bytes arrive.
//!
//! **Out of scope.** The rules themselves, and when to try again: `waxseal-transport`.
//!
//! ```
//! use waxseal_transport_reqwest::ReqwestTransport;
//!
//! let transport = ReqwestTransport::builder().user_agent("example/1.0").build();
//! assert!(transport.is_ok());
//! ```
//!
//! **Trust.** Assumes that the system's roots, the CA files and the proxy variables are the
//! user's own. A loopback host is reached directly, never by a proxy, and only at a loopback
//! address: the name is resolved and every address judged before a connection opens, so that no
//! credential leaves the machine in the clear. No redirect is followed, no encoding undone, no
//! cookie kept.

mod client;
mod errors;
mod resolver;

pub use client::{BuildError, Builder, ReqwestTransport};

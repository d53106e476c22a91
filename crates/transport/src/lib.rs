//! How requests travel, and the rules that every request obeys.
//!
//! **What it is.** The joint [`Transport`], through which every client-side crate speaks HTTP
//! (RFC 9110), and the rules that hold whatever carries the request: a size limit and a deadline
//! on each, plain http to loopback only (and to the one path of a cloud's metadata server, by a
//! [`Route`] of its own), a credential bound to one origin, no redirect followed.
//!
//! **In scope.** [`Request`] and [`Response`] as plain data; the rules ([`Request::check`],
//! [`Request::admit`], [`Collector`]); when to try again ([`Retry`], [`send_retrying`]).
//!
//! **Out of scope.** Sockets, TLS, proxies and runtimes: `waxseal-transport-reqwest` has them.
//! JSON: the caller parses the bytes.
//!
//! ```
//! use waxseal_transport::{Credential, Request, TransportError, Url};
//!
//! let url: Url = "https://ca.example/api/v2/signingCert".parse().unwrap();
//! let request = Request::post(url.clone(), "application/json", b"{}".to_vec())
//!     .with_credential(Credential::bearer(&url, "token"));
//! assert!(request.check().is_ok());
//!
//! let elsewhere: Url = "https://ca.example.evil/".parse().unwrap();
//! let stolen = Request::get(elsewhere).with_credential(Credential::bearer(&url, "token"));
//! assert!(matches!(stolen.check(), Err(TransportError::OtherOrigin { .. })));
//! ```
//!
//! **Trust.** Assumes that a [`Transport`] calls the three rules, and checks the peer's address
//! itself when it opens a plain connection. Proves nothing about the content of a response: it is
//! foreign bytes, of bounded size, that came in bounded time.

mod credential;
mod error;
mod excerpt;
mod headers;
mod request;
mod response;
mod retry;
mod route;
mod rules;
mod transport;

pub use credential::{Credential, Origin};
pub use error::{BoxError, TransportError};
pub use excerpt::Excerpt;
pub use headers::Headers;
pub use request::{DEFAULT_DEADLINE, DEFAULT_MAX_RESPONSE, Method, Redirects, Request};
pub use response::Response;
pub use retry::{Attempts, Next, Retry, send_retrying};
pub use route::{METADATA_ADDRESS, METADATA_FLAVOR, METADATA_PATH, Route};
pub use rules::{Collector, is_loopback};
pub use transport::{BoxFuture, Transport};
pub use url::Url;

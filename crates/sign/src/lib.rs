//! Signing: key, certificate and artifact become a bundle that `waxseal-verify` has accepted.
//!
//! **What it is.** The signing side of the Sigstore client specification (§2) for version 2 logs.
//! A [`SigningContext`] holds what does not change; [`SigningContext::certify`] turns an identity
//! token into a [`Session`] with a key of its own, [`SigningContext::with_key`] makes one for a
//! key that the caller keeps; a session signs any number of artifacts and statements.
//!
//! **In scope.** The order in which nothing is published that could not be used: token, certificate
//! (checked), signature, timestamp (checked), log entry, and then the whole bundle, verified.
//! Recovery when the log already holds the entry (409).
//!
//! **Out of scope.** Where the token comes from (`waxseal-identity`), which services are used
//! (`waxseal-trust`), how requests travel (a [`waxseal_transport::Transport`] is passed in), files
//! (the binaries).
//!
//! ```
//! use waxseal_sign::Endpoints;
//!
//! let endpoints = Endpoints {
//!     certificate_authority: Some("https://ca.example.com".parse()?),
//!     logs: vec!["https://log.example.com".parse()?],
//!     timestamp_authorities: vec!["https://tsa.example.com/api/v1/timestamp".parse()?],
//! };
//! assert!(endpoints.check().is_ok());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! **Trust.** Assumes that the trusted root is genuine, and that the token may be shown to the
//! certificate authority. Believes no answer: each is capped, parsed strictly and checked against
//! the request and the trusted root. A bundle that is returned has been verified with the same
//! rules as everybody else's.

mod bundle;
mod context;
mod endpoints;
mod error;
mod log;
mod payload;
mod recovery;
mod session;
mod step;
mod timestamp;

pub use context::SigningContext;
pub use endpoints::{Endpoints, EndpointsError};
pub use error::{RecoveryError, SigningError};
pub use payload::{Payload, PayloadError};
pub use session::{Session, SignedBundle};
pub use step::{Progress, Silent, Step};

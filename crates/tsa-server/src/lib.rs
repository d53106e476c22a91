//! The timestamp authority: a digest in, a signed time out.
//!
//! **What it is.** RFC 3161 over HTTP (§3.4), on the paths and in the two request forms (DER and
//! JSON) of Sigstore's timestamp authority.
//!
//! **In scope.** `POST /api/v1/timestamp`, `GET /api/v1/timestamp/certchain`, `GET /ping`; which
//! requests are granted; that time never runs backwards.
//!
//! **Out of scope.** The bytes of tokens (`waxseal-pki`), certificates (`waxseal-issuing`), sockets
//! (`waxseal-serve`), where the time comes from: the clock is an argument. Nothing is stored.
//!
//! ```
//! # use std::sync::Arc;
//! use waxseal_tsa_server::{Config, Context, StartError, TsaServer};
//!
//! fn start(config: Config, context: Context) -> Result<axum::Router, StartError> {
//!     let tsa = Arc::new(TsaServer::new(config, context)?);
//!     // A binary also spawns `tsa.run(shutdown)`, and joins `tsa.health()` with its own probes.
//!     Ok(tsa.router())
//! }
//! ```
//!
//! **Trust.** Assumes its clock, its randomness and its signer; nothing about requests. A token
//! proves that the digest existed when the clock showed its time, give or take the accuracy. No
//! token leaves that this workspace's own verifier would refuse, none is made outside the validity
//! of the certificates, and none is earlier than one that was made before it in the same process.

mod clock;
mod config;
mod http;
mod problem;
mod ready;
mod service;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use waxseal_serve::{Fatal, Health, Shutdown};

pub use config::{Config, Context, SIGSTORE_POLICY, StartError};
pub use http::MAX_BODY;
pub use service::SIGNING_DEADLINE;

use service::Service;

/// The timestamp authority.
pub struct TsaServer(Arc<Service>);

impl TsaServer {
    /// Wires the service; fails on a bad configuration, before any socket is bound.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn new(config: Config, context: Context) -> Result<Self, StartError> {
        Service::new(config, context).map(|service| Self(Arc::new(service)))
    }

    /// The HTTP surface: mount it under any prefix, or call it in-process as a `Transport`.
    /// Unknown paths and methods are answered by the `Chassis` around the merged router.
    pub fn router(&self) -> Router {
        http::router(Arc::clone(&self.0))
    }

    /// Whether it can make tokens now: `timestamp-certificate` (every certificate of the chain is
    /// valid) and `timestamp-clock` (the clock is not behind the last token).
    pub fn health(&self) -> Health {
        ready::health(&self.0)
    }

    /// Warns of the end of the certificates. Returns when `shutdown` fires; nothing that it meets
    /// makes going on unsafe.
    ///
    /// # Errors
    /// None today; [`Fatal`] is the contract of every server.
    pub async fn run(&self, shutdown: Shutdown) -> Result<(), Fatal> {
        tokio::select! {
            () = shutdown.triggered() => Ok(()),
            never = ready::watch(&self.0) => match never {},
        }
    }
}

impl fmt::Debug for TsaServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TsaServer")
            .field("authority", &self.0.authority)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! The certificate authority: identity token and proof of possession in, leaf certificate out.
//!
//! **What it is.** The service that Sigstore's clients call `fulcio` (`dev.sigstore.fulcio.v2.CA`,
//! the REST surface): it verifies an OpenID Connect token, checks that the caller holds a key,
//! logs a precertificate to a Certificate Transparency log (RFC 6962), and answers with a
//! certificate of ten minutes that carries the log's promise.
//!
//! **In scope.** `POST /api/v2/signingCert` in the three shapes that clients send, `GET
//! /api/v2/trustBundle`, `GET /api/v2/configuration`; which keys are certified; how often one
//! identity may ask.
//!
//! **Out of scope.** Who people are (`waxseal-identity` verifies tokens, `waxseal-identity-server`
//! issues them); the bytes of certificates (`waxseal-issuing`); the log (`waxseal-log-server`);
//! sockets (`waxseal-serve`). Nothing is stored: the log is the record of what was issued.
//!
//! ```
//! # use std::sync::Arc;
//! use waxseal_ca_server::{CaServer, Config, Context, StartError};
//!
//! fn start(config: Config, context: Context) -> Result<axum::Router, StartError> {
//!     let ca = Arc::new(CaServer::new(config, context)?);
//!     // A binary also spawns `ca.run(shutdown)`, and joins `ca.health()` with its own probes.
//!     Ok(ca.router())
//! }
//! ```
//!
//! **Trust.** Assumes its clock, its randomness, its signer, and the keys of the configured
//! issuers; nothing about requests, and of the log's answers only what the log's key has signed.
//! A certificate proves that a configured issuer vouched for its identity, that whoever asked held
//! the private key, and that the log promised to show it: no certificate leaves without a promise
//! that was verified over its very bytes.

mod authority;
mod config;
mod ct;
mod http;
mod issuers;
mod natural;
mod possession;
mod problem;
mod rate;
mod ready;
mod service;
mod weakness;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use waxseal_identity::JwkSet;
use waxseal_serve::{Fatal, Health, Shutdown};

pub use authority::{LEAF_LIFETIME, SIGNING_DEADLINE};
pub use config::{Config, Context, CtLog, StartError};
pub use ct::{CT_DEADLINE, MAX_SCT_SKEW};
pub use rate::Rate;

use service::Service;

/// The certificate authority.
pub struct CaServer(Arc<Service>);

impl CaServer {
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

    /// Whether it can issue now: `authority` (no certificate of the chain ends before a leaf
    /// would) and `ct-log` (the log answered [`CaServer::run`] when last asked).
    pub fn health(&self) -> Health {
        ready::health(&self.0)
    }

    /// Puts new keys in place for an issuer whose keys are static, such as the broker in the same
    /// process; false if there is no such issuer.
    pub fn replace_static_keys(&self, issuer: &str, keys: JwkSet) -> bool {
        self.0.tokens.replace_static_keys(issuer, keys)
    }

    /// Keeps the issuers' keys fresh, asks whether the log is there, and warns of the end of the
    /// chain. Returns when `shutdown` fires; nothing that it meets makes going on unsafe.
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

impl fmt::Debug for CaServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaServer")
            .field("tokens", &self.0.tokens)
            .finish_non_exhaustive()
    }
}

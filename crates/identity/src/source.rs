//! Where an identity token comes from, and for whom it is made.

use std::error::Error;

use waxseal_transport::{BoxFuture, Transport};

use crate::{AmbientError, IdentityToken, LoginError};

/// A place that identity tokens come from: a CI service, a browser, a program of the user's own.
pub trait TokenSource: Send + Sync {
    /// Obtains a fresh token.
    ///
    /// # Errors
    /// [`ObtainError`]; implementors outside this crate use its `Other`.
    fn obtain<'a>(
        &'a self,
        transport: &'a dyn Transport,
    ) -> BoxFuture<'a, Result<IdentityToken, ObtainError>>;
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObtainError {
    /// No CI service gave one.
    #[error(transparent)]
    Ambient(#[from] AmbientError),
    /// The log-in failed.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// A source of somebody else's failed.
    #[error("the token source failed")]
    Other(#[source] Box<dyn Error + Send + Sync>),
}

/// A token that is already at hand.
#[derive(Debug, Clone)]
pub struct GivenToken(pub IdentityToken);

impl TokenSource for GivenToken {
    fn obtain<'a>(
        &'a self,
        _: &'a dyn Transport,
    ) -> BoxFuture<'a, Result<IdentityToken, ObtainError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// The audience of the public instance, and of every client that names none.
pub const PUBLIC_AUDIENCE: &str = "sigstore";

/// For whom a CI token is made.
///
/// A token for `sigstore` opens the public instance. Whoever receives one could use it there in
/// its owner's name, so a private instance gets tokens made for itself alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    value: String,
    own_issuer: Option<String>,
}

impl Audience {
    /// The public instance: `sigstore`.
    pub fn public() -> Self {
        Self {
            value: PUBLIC_AUDIENCE.to_owned(),
            own_issuer: None,
        }
    }

    /// A private instance: the URL of its certificate authority, byte for byte as in its signing
    /// config, and the issuer of its own broker, whose tokens are worth nothing elsewhere.
    pub fn of_instance(ca_url: &str, own_issuer: Option<&str>) -> Self {
        Self {
            value: ca_url.to_owned(),
            own_issuer: own_issuer.map(str::to_owned),
        }
    }

    /// The text to ask for.
    pub fn as_str(&self) -> &str {
        &self.value
    }

    /// Whether a token that was found may be sent to this instance: one that is made for it, or
    /// its own broker's.
    pub fn accepts(&self, token: &IdentityToken) -> bool {
        self.own_issuer.as_deref() == Some(token.issuer()) || self.is_of(token)
    }

    /// Whether a token is made for this instance. One that is for the public instance *too* is
    /// not: whoever receives it could use it there.
    pub fn is_of(&self, token: &IdentityToken) -> bool {
        let has = |wanted: &str| token.audiences().any(|audience| audience == wanted);
        has(&self.value) && (self.value == PUBLIC_AUDIENCE || !has(PUBLIC_AUDIENCE))
    }
}

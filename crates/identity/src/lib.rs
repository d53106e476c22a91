//! OpenID Connect for signing: obtaining an identity token, and verifying one.
//!
//! **What it is.** Both ends of the credential that Sigstore certificates are issued for: compact
//! JWS (RFC 7515) and JWK sets (RFC 7517, RFC 7638) on a [`waxseal_crypto::CryptoProvider`];
//! OpenID Connect Discovery and Core §3.1.3.7 for whoever verifies; for whoever signs, the
//! authorization code flow with PKCE (RFC 7636, RFC 8252, RFC 9207), the device flow (RFC 8628), and
//! the tokens of CI services and workload platforms.
//!
//! **In scope.** [`TokenVerifier`]: token → [`Principal`]. [`TokenSource`]: [`Ambient`],
//! [`BrowserLogin`], [`DeviceLogin`], [`OutOfBandLogin`]; [`TokenCache`] keeps what they gave. [`sign_jws`] and [`JwkSet`] for whoever issues tokens.
//!
//! **Out of scope.** Issuing identity tokens (`waxseal-identity-server`), making certificates of
//! principals (`waxseal-ca-server`), HTTP itself (a [`waxseal_transport::Transport`] is passed
//! in), showing pages and reading keyboards (the binaries, through [`Opener`] and [`CodePrompt`]).
//!
//! ```
//! use waxseal_identity::{IdentityToken, TokenFormatError};
//!
//! // {"alg":"RS256"} . {"iss":"https://a.example","sub":"me","aud":"sigstore","exp":1} . …
//! let text = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EuZXhhbXBsZSIsInN1YiI6Im1lIiwiYXVkIjoi\
//!             c2lnc3RvcmUiLCJleHAiOjF9.c2ln";
//! let token = IdentityToken::parse(text)?;
//! assert_eq!(token.challenge(), "me");
//! assert_eq!(format!("{token:?}"), "IdentityToken(redacted)");
//! # Ok::<_, TokenFormatError>(())
//! ```
//!
//! **Trust.** Assumes nothing about tokens, key sets and discovery documents: each has a length
//! limit before it is parsed, duplicate JSON keys are refused, and the algorithm is chosen by the
//! issuer's list and the key, never by the token. A [`Principal`] proves that a configured issuer
//! signed exactly these claims, for one of our audiences, and that they have not expired. An
//! [`IdentityToken`] proves nothing.

mod algorithm;
mod ambient;
mod browser;
mod cache;
mod ci;
mod claims;
mod device;
mod discovery;
mod email;
mod environment;
mod flow;
mod issuer;
mod json;
mod jwk;
mod jws;
mod keys;
mod login;
mod loopback;
mod principal;
mod program;
mod source;
mod template;
#[cfg(test)]
mod testing;
mod token;
mod verifier;

pub use algorithm::JwsAlgorithm;
pub use ambient::{Absent, Ambient, AmbientError, AmbientProvider};
pub use browser::{BrowserLogin, CodePrompt, LOGIN_TIMEOUT, Opener, OutOfBandLogin};
pub use cache::{CacheError, CacheKey, EXPIRY_MARGIN, MAX_ENTRIES, TokenCache};
pub use ci::{CiProvider, TemplateError};
pub use claims::{ClaimError, MAX_AUDIENCES, MAX_CLAIM};
pub use device::{
    DEFAULT_INTERVAL, DEVICE_GRANT, DeviceCode, DeviceLogin, DevicePage, DevicePrompt,
    DeviceRequest, MAX_FAILED_POLLS, MAX_INTERVAL, MAX_USER_CODE, Polled, SLOW_DOWN,
};
pub use discovery::{Discovery, DiscoveryError, MAX_DISCOVERY};
pub use email::{EmailAddress, EmailError, MAX_EMAIL};
pub use environment::{Environment, SystemEnvironment};
pub use flow::LoginFlow;
pub use issuer::{
    ClaimPath, IssuerConfig, IssuerConfigError, IssuerKind, KeySource, MAX_LEEWAY,
    MAX_TOKEN_LIFETIME,
};
pub use json::{JsonError, MAX_JSON_VALUES, parse_json};
pub use jwk::{Jwk, JwkError, JwkSet, MAX_JWKS, MAX_KEYS};
pub use jws::{CompactJws, JwsError, JwsSignError, MAX_HEADER, MAX_TOKEN, sign_jws};
pub use keys::{KEYS_FRESH, KEYS_STALE, KeysError, REFRESH_INTERVAL};
pub use login::{
    AuthorizationCode, AuthorizationRequest, LoginConfig, LoginError, MAX_CALLBACK, OUT_OF_BAND,
    PUBLIC_CLIENT, at_hash,
};
pub use principal::{Identity, IdentityError, Principal};
pub use source::{Audience, GivenToken, ObtainError, PUBLIC_AUDIENCE, TokenSource};
pub use token::{IdentityToken, TokenFormatError};
pub use verifier::{MAX_FUTURE_IAT, NBF_LEEWAY, TokenError, TokenVerifier, VerifiedClaims};

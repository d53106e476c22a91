//! What an authority is made of, and why one does not start.

use std::fmt;
use std::sync::Arc;

use waxseal_crypto::{Clock, CryptoProvider, KeyKind, PublicKey, Random, SignatureError, Signer};
use waxseal_identity::{IssuerConfig, IssuerConfigError};
use waxseal_issuing::IssueError;
use waxseal_pki::Certificate;
use waxseal_serve::Meter;
use waxseal_transport::{Transport, TransportError, Url};

use crate::Rate;

/// How an authority behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The URL under which clients know it, byte for byte as in `caUrls[0].url` of their signing
    /// config: the audience of tokens that no other instance accepts.
    pub url: String,
    /// Whose tokens are accepted. One without audiences accepts `sigstore` and `url`.
    pub issuers: Vec<IssuerConfig>,
    /// The chain: the certificate of the signer's key first, the root last.
    pub chain: Vec<Certificate>,
    /// Chains of the past. The trust bundle shows them until they expire.
    pub former_chains: Vec<Vec<Certificate>>,
    /// The log that every precertificate goes to.
    pub ct_log: CtLog,
    /// How often one identity may ask; `None` for no limit.
    pub identity_rate: Option<Rate>,
    /// How many verified requests may be under way at one time; more are told to come back.
    pub in_flight: usize,
    /// How many signatures may be asked of the signer at one time; others wait.
    pub signing: usize,
}

/// A Certificate Transparency log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CtLog {
    /// Its base URL; submissions go to `{url}/ct/v1/add-pre-chain` (RFC 6962 §4.2).
    pub url: Url,
    /// The key that its promises are checked with.
    pub key: PublicKey,
}

impl CtLog {
    /// A log.
    pub const fn new(url: Url, key: PublicKey) -> Self {
        Self { url, key }
    }
}

impl Config {
    /// A configuration with the default limits: 300 certificates a minute for one identity, 256
    /// requests under way, 16 signatures at one time.
    pub fn new(
        url: &str,
        issuers: Vec<IssuerConfig>,
        chain: Vec<Certificate>,
        ct_log: CtLog,
    ) -> Self {
        Self {
            url: url.to_owned(),
            issuers,
            chain,
            former_chains: Vec::new(),
            ct_log,
            identity_rate: Some(Rate::per_minute(300)),
            in_flight: 256,
            signing: 16,
        }
    }
}

/// The world as the authority sees it.
#[derive(Clone)]
#[non_exhaustive]
pub struct Context {
    /// Checks signatures.
    pub provider: CryptoProvider,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where serial numbers come from.
    pub random: Arc<dyn Random>,
    /// The key of the chain's first certificate, wherever it lives.
    pub signer: Arc<dyn Signer>,
    /// How the log and the issuers are reached.
    pub transport: Arc<dyn Transport>,
    /// Where certificates are counted.
    pub meter: Meter,
}

impl Context {
    /// A context.
    pub fn new(
        provider: CryptoProvider,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        signer: Arc<dyn Signer>,
        transport: Arc<dyn Transport>,
        meter: Meter,
    ) -> Self {
        Self {
            provider,
            clock,
            random,
            signer,
            transport,
            meter,
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context")
    }
}

/// Why an authority does not start. `index` counts from 0, the certificate that signs leaves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It would accept nobody's tokens.
    #[error("no issuer of identity tokens is configured")]
    NoIssuer,
    /// An issuer's configuration is refused.
    #[error(transparent)]
    Issuer(#[from] IssuerConfigError),
    /// The chain is not one, or its first certificate is not the signer's.
    #[error(transparent)]
    Authority(#[from] IssueError),
    /// sigstore-python verifies SCTs below ECDSA and RSA issuers only (authority.md §0.5).
    #[error("the authority's key is {kind:?}; clients need an ECDSA or RSA key")]
    AuthorityKey {
        /// The kind of key.
        kind: KeyKind,
    },
    /// A certificate is signed with another family of algorithms than its parent's (Fulcio's
    /// certificate specification).
    #[error("certificate {index} of the chain has a key of another family than its issuer")]
    MixedFamilies {
        /// Which one.
        index: usize,
    },
    /// An intermediate without extKeyUsage codeSigning could sign for any purpose (Fulcio's
    /// certificate specification).
    #[error("intermediate {index} of the chain is not restricted to code signing")]
    IntermediatePurpose {
        /// Which one.
        index: usize,
    },
    /// `gh` wants exactly one organization in the names of authorities.
    #[error("certificate {index} of the chain names {found} organizations, expected exactly one")]
    Organization {
        /// Which one.
        index: usize,
        /// How many it names.
        found: usize,
    },
    /// The log's key cannot sign SCTs (RFC 6962 §2.1.4).
    #[error("the CT log's key: {0}")]
    CtLogKey(#[source] SignatureError),
    /// The log's URL may not be called.
    #[error("the CT log's URL")]
    CtLogUrl(#[source] TransportError),
}

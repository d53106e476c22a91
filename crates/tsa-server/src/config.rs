//! What an authority is told when it starts.

use std::fmt;
use std::sync::Arc;

use waxseal_crypto::{Clock, CryptoProvider, Random, Signer};
use waxseal_pki::ObjectIdentifier;
use waxseal_pki::timestamp::{AuthorityError, BuildError};
use waxseal_serve::Meter;

/// Sigstore's policy, 1.3.6.1.4.1.57264.2.
pub const SIGSTORE_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.2");

/// How an authority behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Its certificates, DER: its own first, the root last; at least two.
    pub chain: Vec<Vec<u8>>,
    /// The policy of tokens whose request names none.
    pub policy: ObjectIdentifier,
    /// Further policies that requests may name.
    pub accepted_policies: Vec<ObjectIdentifier>,
    /// Whether tokens that carry the authority's certificate carry those above it too.
    pub include_chain: bool,
    /// How far off the time may be, in seconds; tokens say so.
    pub accuracy_seconds: u8,
    /// Whether a DER request that is refused is answered with status 200 and a PKIStatus
    /// (RFC 3161 §2.4.2), and not with an HTTP status as Sigstore's clients expect.
    pub rfc3161_status: bool,
    /// Whether tokens come with status 201, as they did in the past, and not 200.
    pub answer_created: bool,
    /// How many tokens may be under way; one more is refused with 503.
    pub in_flight: usize,
}

impl Config {
    /// Sigstore's policy, one second of accuracy, 256 tokens under way.
    pub const fn new(chain: Vec<Vec<u8>>) -> Self {
        Self {
            chain,
            policy: SIGSTORE_POLICY,
            accepted_policies: Vec::new(),
            include_chain: false,
            accuracy_seconds: 1,
            rfc3161_status: false,
            answer_created: false,
            in_flight: 256,
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
    /// Where tokens are counted.
    pub meter: Meter,
}

impl Context {
    /// A context.
    pub fn new(
        provider: CryptoProvider,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        signer: Arc<dyn Signer>,
        meter: Meter,
    ) -> Self {
        Self {
            provider,
            clock,
            random,
            signer,
            meter,
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context")
    }
}

/// Why an authority does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The chain is not that of a timestamp authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The chain begins with an authority, not with the certificate of a signer of timestamps.
    #[error("the chain begins with an authority; its first certificate must be the signer's")]
    NoSigner,
    /// An intermediate without extKeyUsage timeStamping could sign for any purpose.
    #[error("intermediate {index} of the chain is not restricted to timestamps")]
    IntermediatePurpose {
        /// Which one; 0 is the signer's certificate.
        index: usize,
    },
    /// The signer's key is not the one in the certificate, or cannot sign tokens.
    #[error(transparent)]
    Signer(#[from] BuildError),
}

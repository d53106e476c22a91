//! Why a certificate was not issued.

use waxseal_crypto::{RandomError, SignError, SignatureAlgorithm, Time};
use waxseal_pki::{CertificateError, ChainError};

/// Why a certificate was not issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The end is not after the beginning, or a time lies outside what can be written.
    #[error("the certificate would end before it begins")]
    Validity,
    /// The signer's key is not the one in the issuer's certificate.
    #[error("the signer's key is not the one in the issuer's certificate")]
    WrongSigner,
    /// The signer's algorithm cannot sign certificates (Ed25519ph).
    #[error("certificates cannot be signed with {algorithm:?}")]
    UnsupportedAlgorithm {
        /// The signer's algorithm.
        algorithm: SignatureAlgorithm,
    },
    /// The issuer's certificate is not that of an authority, or has no key identifier.
    #[error("the issuer's certificate is not that of an authority with a key identifier")]
    NotAnAuthority,
    /// The chain of authorities is not one.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// An authority ends before the certificate would: it would outlive its issuer.
    #[error("the authority {index} of the chain ends at {not_after}, before the certificate would")]
    AuthorityExpires {
        /// Which one; 0 signs leaves.
        index: usize,
        /// Its last second.
        not_after: Time,
    },
    /// An authority begins after the certificate would.
    #[error(
        "the authority {index} of the chain begins at {not_before}, after the certificate would"
    )]
    AuthorityNotYetValid {
        /// Which one; 0 signs leaves.
        index: usize,
        /// Its first second.
        not_before: Time,
    },
    /// An e-mail address or URI is empty or not printable ASCII (RFC 5280 §4.2.1.6), a user name
    /// is empty, or a name is of a kind that leaves do not carry.
    #[error("the certificate's name is empty, not ASCII, or of an unsupported kind")]
    Name,
    /// The issuer claim is missing: extensions .1 and .8 are mandatory, and equal.
    #[error("the certificate would lack the issuer claim, or have two different ones")]
    IssuerClaim,
    /// A claim's number is not defined (1 to 6, 8 to 24), or stands there twice.
    #[error("claim {number} is not defined, or given twice")]
    Claim {
        /// The number.
        number: u8,
    },
    /// The SCTs do not fit into the extension.
    #[error("the signed certificate timestamps are too long for a certificate")]
    Scts,
    /// Randomness failed.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The signer failed.
    #[error("the certificate was not signed")]
    Sign(#[from] SignError),
    /// What was made does not parse, or carries another key: a fault of this crate, and the
    /// certificate is thrown away.
    #[error("the certificate that was made is not what was asked for")]
    Unfaithful(#[source] Option<CertificateError>),
}

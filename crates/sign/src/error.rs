//! Why nothing was signed, by the step that failed.

use url::Url;
use waxseal_ca_client::{CertificateError, RequestError};
use waxseal_crypto::{RandomError, SignError, Time};
use waxseal_formats::FieldError;
use waxseal_pki::timestamp::ResponseError;
use waxseal_tlog::{CheckpointTextError, EntryBundleError, NoteError, ProofError, TileReaderError};
use waxseal_transport::{Excerpt, TransportError};
use waxseal_verify::VerifyError;

use crate::{EndpointsError, PayloadError};

/// Why an artifact was not signed. Up to [`SigningError::Log`], nothing was published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// The services cannot make a bundle that verifies.
    #[error(transparent)]
    Endpoints(#[from] EndpointsError),
    /// The payload cannot be signed.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The identity token has expired (client spec §2.1.1); with a long queue before the
    /// certificate authority it may do so on the way.
    #[error("the identity token expired at {expired}: obtain a new one")]
    TokenExpired {
        /// When.
        expired: Time,
    },
    /// The services name no certificate authority.
    #[error("no certificate authority to ask: expected one in the signing config")]
    NoCertificateAuthority,
    /// A URL of a service cannot carry a path.
    #[error("the service URL {url} cannot carry a path")]
    BadUrl {
        /// The URL.
        url: Url,
    },
    /// The system's random generator failed.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// An ephemeral key was not made.
    #[error("no ephemeral key could be made")]
    EphemeralKey(#[source] waxseal_crypto::PrivateKeyError),
    /// The key has no name in the registry that logs know, such as RSA of an odd length.
    #[error("keys of this kind cannot be logged: the algorithm registry has no name for it")]
    KeyWithoutName,
    /// The request for a certificate was not made.
    #[error("the certificate was not asked for")]
    CertificateRequest(#[source] Box<RequestError>),
    /// The certificate authority could not be reached.
    #[error("no answer from the certificate authority {url}")]
    CertificateAuthority {
        /// Its URL.
        url: Url,
        /// What went wrong on the way.
        source: Box<TransportError>,
    },
    /// The certificate authority answered, and not with a certificate of ours.
    #[error("no certificate from {url}")]
    Certificate {
        /// Its URL.
        url: Url,
        /// What is wrong with the answer.
        source: Box<CertificateError>,
    },
    /// The certificate does not verify against the trusted root (client spec §2.1.3).
    #[error("the certificate from {url} does not verify; nothing was signed with it")]
    CertificateRefused {
        /// The authority's URL.
        url: Url,
        /// The rule that it breaks.
        source: Box<VerifyError>,
    },
    /// The key did not sign.
    #[error("the key did not sign")]
    Signature(#[from] SignError),
    /// The timestamp authority could not be reached, or did not answer with a timestamp.
    #[error("no timestamp from {url}; nothing was logged")]
    Timestamp {
        /// Its URL.
        url: Url,
        /// What went wrong.
        source: Box<TransportError>,
    },
    /// The timestamp authority's answer is not one.
    #[error("the answer of the timestamp authority {url} is malformed; nothing was logged")]
    TimestampMalformed {
        /// Its URL.
        url: Url,
        /// What is wrong with it.
        source: Box<ResponseError>,
    },
    /// The timestamp authority said no.
    #[error("the timestamp authority {url} rejected the request; nothing was logged")]
    TimestampRejected {
        /// Its URL.
        url: Url,
    },
    /// The timestamp answers another request: its nonce is not ours (RFC 3161 §2.4.2).
    #[error("the timestamp from {url} answers another request; nothing was logged")]
    TimestampOfAnotherRequest {
        /// The authority's URL.
        url: Url,
    },
    /// The timestamp does not verify against the trusted root (client spec §2.1.5).
    #[error("the timestamp from {url} does not verify; nothing was logged")]
    TimestampRefused {
        /// The authority's URL.
        url: Url,
        /// The rule that it breaks.
        source: Box<VerifyError>,
    },
    /// The log could not be reached: the entry may or may not be in it. Signing again is safe.
    #[error("no answer from the log {url}; the entry may be in it, and signing again is safe")]
    Log {
        /// Its URL.
        url: Url,
        /// What went wrong.
        source: Box<TransportError>,
    },
    /// The log said no.
    #[error("the log {url} refused the entry: {message} (status {status})")]
    LogRefused {
        /// Its URL.
        url: Url,
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: Excerpt,
    },
    /// The log's answer is not an entry.
    #[error("the answer of the log {url} is malformed")]
    LogMalformed {
        /// Its URL.
        url: Url,
        /// What is wrong with it.
        source: Box<FieldError>,
    },
    /// The log answered with another entry than the one submitted (V-32).
    #[error("the log {url} answered with another entry than the one submitted")]
    LogAnsweredAnotherEntry {
        /// Its URL.
        url: Url,
    },
    /// The log holds the entry already and does not say where.
    #[error("the log {url} holds the entry already (409) and does not say at which index")]
    LogConflictWithoutIndex {
        /// Its URL.
        url: Url,
    },
    /// The log holds the entry already, and it could not be fetched.
    #[error("the log {url} holds the entry already at index {index}, and it could not be fetched")]
    LogRecovery {
        /// The log's URL.
        url: Url,
        /// Where the entry is.
        index: u64,
        /// What went wrong.
        source: Box<RecoveryError>,
    },
    /// The finished bundle does not verify: it is not returned.
    #[error("the finished bundle does not verify; it was discarded")]
    Refused(#[source] Box<VerifyError>),
}

/// Why an entry that a log holds could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// A file of the log could not be fetched.
    #[error(transparent)]
    Transport(#[from] Box<TransportError>),
    /// The checkpoint is not UTF-8.
    #[error("the checkpoint is not text")]
    NotText,
    /// The checkpoint is not a signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The note is not a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointTextError),
    /// The published tree does not reach the entry yet.
    #[error("the published tree has {size} entries, and the entry is number {index}")]
    NotPublished {
        /// Where the entry is said to be.
        index: u64,
        /// How many entries are published.
        size: u64,
    },
    /// The bundle of entries is malformed.
    #[error(transparent)]
    Entries(#[from] EntryBundleError),
    /// Another entry is at that index.
    #[error("the log has another entry at index {index}")]
    OtherEntry {
        /// The index.
        index: u64,
    },
    /// A tile does not belong to the tree.
    #[error(transparent)]
    Tile(#[from] TileReaderError),
    /// The entry is not in the tree.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// An index or size does not fit.
    #[error("an index or size of the log is out of range")]
    TooLarge,
    /// The trusted root has no log at that URL.
    #[error("the trusted root has no log at this URL")]
    UnknownLog,
    /// The system's random generator failed.
    #[error("the random generator failed")]
    Random,
}

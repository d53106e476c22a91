//! Sigstore's JSON: bundles, trusted roots, signing configs, log entries, API messages.
//!
//! **What it is.** The messages of `sigstore/protobuf-specs` 0.5 in their protojson form, the
//! bodies of log entries, DSSE envelopes (v1.0.2) and in-toto statements (v0.1 and v1), read by
//! one strict JSON reader ([`json`]) and written back byte for byte the same each time.
//!
//! **In scope.** Parsing with limits; the structural rules of each format; encoding; the exact
//! bytes that signatures cover ([`DsseEnvelope::pae`], [`TransparencyLogEntry::promise_payload`],
//! [`entry::Body::encode_canonical`]).
//!
//! **Out of scope.** Whether anything of it is true: `waxseal-verify`. Certificates, timestamps
//! and keys are bytes here: `waxseal-pki`, `waxseal-crypto`; checkpoints are text: `waxseal-tlog`.
//!
//! ```
//! use waxseal_formats::{Bundle, BundleError};
//!
//! let error = Bundle::from_json(br#"{"mediaType":"text/plain"}"#).unwrap_err();
//! assert!(matches!(error, BundleError::MediaType { .. }));
//! ```
//!
//! **Trust.** Assumes nothing about its input; work and memory are bounded by named limits. A
//! parsed value proves that its structure is whole, and nothing about who made it.

#![cfg_attr(
    test,
    allow(
        clippy::needless_pass_by_value,
        reason = "the `check(input, expected)` of a test module takes what its callers write"
    )
)]

mod algorithm;
mod alphabet;
mod bundle;
pub mod ca;
pub mod claims;
pub mod ct;
mod dsse;
pub mod entry;
pub mod json;
pub mod log;
mod log_entry;
mod protojson;
mod signing_config;
mod statement;
pub mod status;
mod timestamp;
mod trust_config;
mod trusted_root;
pub mod tsa;

pub use algorithm::{HashAlgorithm, KeyDetails};
pub use bundle::{
    Bundle, BundleError, BundleVersion, Content, KeyMaterial, MAX_BUNDLE_BYTES, MAX_BUNDLE_VALUES,
    MAX_CHAIN, MAX_LOG_ENTRIES, MAX_TIMESTAMPS, MessageDigest, Spelling, VerificationMaterial,
};
pub use dsse::{DsseEnvelope, DsseSignature, MAX_DSSE_SIGNATURES, pae};
pub use log_entry::{InclusionProof, MAX_LOG_ENTRY_BYTES, MAX_PROOF_HASHES, TransparencyLogEntry};
pub use protojson::FieldError;
pub use signing_config::{
    MAX_SERVICES, MAX_SIGNING_CONFIG_BYTES, Service, ServiceSelector, SigningConfig,
    SigningConfigError,
};
pub use statement::{
    MAX_STATEMENT_BYTES, MAX_STATEMENT_VALUES, MAX_SUBJECT_DIGESTS, MAX_SUBJECTS, Statement,
    StatementError, StatementVersion, Subject,
};
pub use timestamp::{TimeRange, Timestamp};
pub use trust_config::{ClientTrustConfig, ClientTrustConfigError};
pub use trusted_root::{
    CertificateAuthority, MAX_AUTHORITY_CHAIN, MAX_INSTANCES, MAX_TRUSTED_ROOT_BYTES,
    MAX_TRUSTED_ROOT_VALUES, PublicKey, TransparencyLogInstance, TrustedRoot,
    TrustedRootParseError, TrustedRootVersion,
};

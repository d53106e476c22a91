//! What a verified bundle proves.

use serde::Serialize;
use waxseal_crypto::{Digest, PublicKey, Time};
use waxseal_formats::Statement;

use crate::Identity;

/// The evidence of one accepted bundle. Only [`crate::Verifier`] makes it, and only after every
/// check; it serialises, and is not read back.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use = "a verified bundle says who signed: look at it"]
pub struct Verified {
    signer: Signer,
    #[serde(serialize_with = "as_text")]
    digest: Digest,
    times: Vec<VerifiedTime>,
    log_entries: Vec<VerifiedEntry>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_json")]
    statement: Option<Statement>,
}

/// Who signed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
#[non_exhaustive]
pub enum Signer {
    /// The holder of a certificate.
    #[serde(rename_all = "camelCase")]
    Certificate {
        /// Who, as the authority vouches.
        identity: Identity,
        /// Whether the policy asked for this identity; `false` under
        /// [`crate::VerificationPolicy::any_identity`].
        identity_checked: bool,
        /// The certificate itself, DER.
        #[serde(serialize_with = "as_base64")]
        certificate: Vec<u8>,
    },
    /// The holder of the policy's key.
    Key {
        /// The key.
        #[serde(serialize_with = "as_pem")]
        key: PublicKey,
    },
}

/// A verified time of signing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VerifiedTime {
    /// The instant.
    #[serde(serialize_with = "as_text")]
    pub time: Time,
    /// Who vouches for it.
    #[serde(flatten)]
    pub source: TimeSource,
}

/// Who vouches for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "source")]
#[non_exhaustive]
pub enum TimeSource {
    /// An RFC 3161 timestamp authority.
    TimestampAuthority {
        /// Its address, as the trusted root says.
        uri: String,
        /// Its operator, empty where the trusted root names none.
        operator: String,
    },
    /// A v1 log's signed entry timestamp.
    TransparencyLog {
        /// The log's name.
        origin: String,
        /// Its operator, empty where the trusted root names none.
        operator: String,
    },
}

/// A log entry that is proven to be of this bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VerifiedEntry {
    /// The log's name: the host of its address.
    pub origin: String,
    /// Its operator, empty where the trusted root names none.
    pub operator: String,
    /// The index that identifies the entry.
    pub log_index: i64,
    /// Kind and version, such as `hashedrekord` and `0.0.2`.
    pub kind: String,
    /// The version of the kind.
    pub version: String,
    /// The size of the tree that it is proven to be in; `None` under
    /// [`crate::VerificationPolicy::accept_promise`], when there is only a promise.
    pub tree_size: Option<u64>,
}

impl Verified {
    pub(crate) const fn new(
        signer: Signer,
        digest: Digest,
        times: Vec<VerifiedTime>,
        log_entries: Vec<VerifiedEntry>,
        statement: Option<Statement>,
    ) -> Self {
        Self {
            signer,
            digest,
            times,
            log_entries,
            statement,
        }
    }

    /// Who signed.
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The identity, if a certificate signed.
    pub const fn identity(&self) -> Option<&Identity> {
        match &self.signer {
            Signer::Certificate { identity, .. } => Some(identity),
            Signer::Key { .. } => None,
        }
    }

    /// The artifact's digest: what was verified is exactly this.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Every verified time, at least one for certificates, in the order of the bundle: timestamps
    /// first.
    pub fn times(&self) -> &[VerifiedTime] {
        &self.times
    }

    /// Every log entry of the bundle.
    pub fn log_entries(&self) -> &[VerifiedEntry] {
        &self.log_entries
    }

    /// The in-toto statement, if the bundle is an attestation. Its subject is the artifact; its
    /// predicate is what the signer claims, byte for byte as signed.
    pub const fn statement(&self) -> Option<&Statement> {
        self.statement.as_ref()
    }
}

fn as_text<S: serde::Serializer>(
    value: &impl std::fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_pem<S: serde::Serializer>(key: &PublicKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&key.to_pem())
}

fn as_base64<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    use base64::Engine as _;
    serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(bytes))
}

/// The statement with its predicate as it was signed, but on one line.
fn as_json<S: serde::Serializer>(
    statement: &Option<Statement>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let json = statement.as_ref().map(Statement::to_json_line);
    json.map(serde_json::value::RawValue::from_string)
        .transpose()
        .map_err(serde::ser::Error::custom)?
        .serialize(serializer)
}

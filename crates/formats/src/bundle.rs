//! The Sigstore bundle (`dev.sigstore.bundle.v1.Bundle`), versions 0.1 to 0.3.

use std::fmt;

use crate::json::{JsonError, Limits, Writer, object, parse};
use crate::log_entry::TransparencyLogEntry;
use crate::protojson::{FieldError, Message};
use crate::{DsseEnvelope, HashAlgorithm};

/// The longest bundle that is read. Attestations carry their statement, SBOMs included.
pub const MAX_BUNDLE_BYTES: usize = 32 << 20;
/// The most JSON values in a bundle: 32 entries of 63 hashes need 2,500.
pub const MAX_BUNDLE_VALUES: usize = 1 << 16;
/// The most log entries in a bundle (sigstore-go's limit; V-08).
pub const MAX_LOG_ENTRIES: usize = 32;
/// The most timestamps in a bundle (sigstore-go's and sigstore-python's limit; V-08).
pub const MAX_TIMESTAMPS: usize = 32;
/// The most certificates in a bundle's chain (Rekor's limit).
pub const MAX_CHAIN: usize = 10;

/// Why a text is not a bundle that is read here: one variant per rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The text is not strict JSON (F4).
    #[error("the bundle is not JSON that is read here: {0}")]
    Json(#[source] JsonError),
    /// A field breaks the protojson mapping (F1–F4).
    #[error("the bundle is malformed: {0}")]
    Field(#[source] FieldError),
    /// The media type names no version that is known (client spec, "Bundle").
    #[error("unsupported bundle media type `{media_type}`: versions 0.1, 0.2 and 0.3 are read")]
    MediaType {
        /// What was found, cut to 128 characters.
        media_type: String,
    },
    /// There is neither certificate nor key hint (`VerificationMaterial.content` is required).
    #[error("the bundle has neither certificate nor public key")]
    NoKeyMaterial,
    /// The certificate chain has no certificate.
    #[error("the bundle's certificate chain is empty")]
    EmptyChain,
    /// A certificate has no bytes.
    #[error("the bundle has an empty certificate")]
    EmptyCertificate,
    /// Version 0.3 carries one `certificate`; a chain could smuggle in a CA certificate
    /// (`sigstore_bundle.proto`, on `x509_certificate_chain`).
    #[error("a bundle of version 0.3 must carry `certificate`, not `x509CertificateChain`")]
    ChainInV03,
    /// `certificate` came with version 0.3 (`sigstore_bundle.proto`).
    #[error("a bundle before version 0.3 must carry `x509CertificateChain`, not `certificate`")]
    CertificateBeforeV03,
    /// There is neither message signature nor DSSE envelope (`Bundle.content` is required).
    #[error("the bundle has neither message signature nor DSSE envelope")]
    NoContent,
    /// The message signature has no bytes.
    #[error("the bundle's signature is empty")]
    EmptySignature,
    /// A DSSE envelope in a bundle has exactly one signature (`sigstore_bundle.proto`; V-26:
    /// with several, each check might look at another).
    #[error("the bundle's DSSE envelope must have exactly one signature, found {count}")]
    DsseSignatures {
        /// How many there are.
        count: usize,
    },
    /// An entry before version 0.2 needs the log's promise (`sigstore_rekor.proto`).
    #[error("log entry {entry}: a bundle of version 0.1 must carry an inclusion promise")]
    PromiseMissing {
        /// Position of the entry in the bundle, from zero.
        entry: usize,
    },
    /// An entry from version 0.2 on needs the proof (`sigstore_rekor.proto`). That a proof needs
    /// its checkpoint is for the verifier to say, after it has tried the proof.
    #[error("log entry {entry}: a bundle from version 0.2 on must carry an inclusion proof")]
    ProofMissing {
        /// Position of the entry in the bundle, from zero.
        entry: usize,
    },
    /// A log index, tree size or time is negative.
    #[error("log entry {entry}: `{field}` is negative")]
    Negative {
        /// Position of the entry in the bundle, from zero.
        entry: usize,
        /// The field.
        field: &'static str,
    },
    /// A timestamp has no bytes.
    #[error("timestamp {timestamp} of the bundle is empty")]
    EmptyTimestamp {
        /// Position of the timestamp in the bundle, from zero.
        timestamp: usize,
    },
}

impl From<FieldError> for BundleError {
    fn from(error: FieldError) -> Self {
        match error {
            FieldError::Json(error) => Self::Json(error),
            error => Self::Field(error),
        }
    }
}

impl From<JsonError> for BundleError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

/// A version of the bundle format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum BundleVersion {
    /// 0.1: a chain, a promise per entry.
    V01,
    /// 0.2: a chain, a proof per entry.
    V02,
    /// 0.3: one certificate, a proof per entry.
    V03,
}

/// How the media type spells the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Spelling {
    /// `application/vnd.dev.sigstore.bundle.v0.3+json`: the form to write.
    #[default]
    Suffix,
    /// `application/vnd.dev.sigstore.bundle+json;version=0.3`: the old form.
    Parameter,
}

/// A signature with everything needed to verify it, beside a trusted root and the artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The version that its media type names. It is not signed.
    pub version: BundleVersion,
    /// How the media type spelled that version.
    pub spelling: Spelling,
    /// Certificate or key hint, log entries, timestamps.
    pub material: VerificationMaterial,
    /// What was signed, and the signature.
    pub content: Content,
}

/// What a verifier needs beside the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationMaterial {
    /// Where the public key comes from.
    pub key: KeyMaterial,
    /// Log entries, at most [`MAX_LOG_ENTRIES`].
    pub tlog_entries: Vec<TransparencyLogEntry>,
    /// RFC 3161 answers (DER, `TimeStampResp`), at most [`MAX_TIMESTAMPS`].
    pub timestamps: Vec<Vec<u8>>,
}

/// Where the public key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyMaterial {
    /// The leaf certificate, DER (version 0.3).
    Certificate(Vec<u8>),
    /// A chain, DER, leaf first, never empty, at most [`MAX_CHAIN`] (before version 0.3). Only
    /// the leaf may be used: the rest comes from the trusted root.
    CertificateChain(Vec<Vec<u8>>),
    /// A key that the verifier has.
    PublicKey {
        /// An unauthenticated hint at which one.
        hint: String,
    },
}

impl KeyMaterial {
    /// The leaf certificate, DER; `None` for a key that the verifier has.
    pub fn leaf_certificate(&self) -> Option<&[u8]> {
        match self {
            Self::Certificate(leaf) => Some(leaf),
            Self::CertificateChain(chain) => chain.first().map(Vec::as_slice),
            Self::PublicKey { .. } => None,
        }
    }
}

/// What was signed, and the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A signature over an artifact's bytes.
    MessageSignature {
        /// The artifact's digest as the signer saw it: a claim, to be compared.
        digest: Option<MessageDigest>,
        /// The raw signature, not empty.
        signature: Vec<u8>,
    },
    /// A signed envelope with exactly one signature.
    Dsse(DsseEnvelope),
}

/// `HashOutput`: a digest and its algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageDigest {
    /// The algorithm.
    pub algorithm: HashAlgorithm,
    /// The digest; its length is not checked here.
    pub digest: Vec<u8>,
}

impl Bundle {
    /// Reads a bundle. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`BundleError`]: the first rule that the text breaks.
    pub fn from_json(text: &[u8]) -> Result<Self, BundleError> {
        let limits = Limits {
            bytes: MAX_BUNDLE_BYTES,
            values: MAX_BUNDLE_VALUES,
        };
        let value = parse(text, limits)?;
        let message = Message::of(&value, "bundle")?;
        let media_type = message.str("mediaType")?;
        let (version, spelling) =
            BundleVersion::parse(media_type).ok_or_else(|| BundleError::MediaType {
                media_type: media_type.chars().take(128).collect(),
            })?;
        let material =
            VerificationMaterial::read(message.required("verificationMaterial")?, version)?;
        Ok(Self {
            version,
            spelling,
            material,
            content: Content::read(message)?,
        })
    }

    /// The bundle as JSON: `lowerCamelCase`, enums as strings, zero values written.
    pub fn to_json(&self) -> String {
        object(|o| {
            o.text("mediaType", &self.media_type());
            o.object("verificationMaterial", |o| self.material.write(o));
            self.content.write(o);
        })
    }

    /// The media type, spelled as it was read.
    pub fn media_type(&self) -> String {
        let version = self.version;
        match self.spelling {
            Spelling::Suffix => format!("application/vnd.dev.sigstore.bundle.v{version}+json"),
            Spelling::Parameter => {
                format!("application/vnd.dev.sigstore.bundle+json;version={version}")
            }
        }
    }
}

impl BundleVersion {
    /// The version and spelling of a media type; `None` if it is not a bundle's.
    pub fn parse(media_type: &str) -> Option<(Self, Spelling)> {
        let rest = media_type.strip_prefix("application/vnd.dev.sigstore.bundle")?;
        let (version, spelling) = match rest.strip_prefix("+json;version=") {
            Some(version) => (version, Spelling::Parameter),
            None => (
                rest.strip_prefix(".v")?.strip_suffix("+json")?,
                Spelling::Suffix,
            ),
        };
        let version = match version {
            "0.1" => Self::V01,
            "0.2" => Self::V02,
            "0.3" => Self::V03,
            _ => return None,
        };
        Some((version, spelling))
    }
}

impl fmt::Display for BundleVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V01 => "0.1",
            Self::V02 => "0.2",
            Self::V03 => "0.3",
        })
    }
}

impl VerificationMaterial {
    fn read(message: Message<'_, '_>, version: BundleVersion) -> Result<Self, BundleError> {
        let key = KeyMaterial::read(message, version)?;
        let tlog_entries: Vec<TransparencyLogEntry> =
            message.messages("tlogEntries", MAX_LOG_ENTRIES, TransparencyLogEntry::read)?;
        for (index, entry) in tlog_entries.iter().enumerate() {
            check_entry(index, entry, version)?;
        }
        let timestamps = match message.message("timestampVerificationData")? {
            Some(data) => data.messages("rfc3161Timestamps", MAX_TIMESTAMPS, |timestamp| {
                timestamp.bytes("signedTimestamp")
            })?,
            None => Vec::new(),
        };
        if let Some(timestamp) = timestamps.iter().position(Vec::is_empty) {
            return Err(BundleError::EmptyTimestamp { timestamp });
        }
        Ok(Self {
            key,
            tlog_entries,
            timestamps,
        })
    }

    fn write(&self, writer: &mut Writer) {
        match &self.key {
            KeyMaterial::Certificate(certificate) => {
                writer.object("certificate", |o| o.bytes("rawBytes", certificate));
            }
            KeyMaterial::CertificateChain(chain) => writer.object("x509CertificateChain", |o| {
                o.objects("certificates", chain, |o, certificate| {
                    o.bytes("rawBytes", certificate);
                });
            }),
            KeyMaterial::PublicKey { hint } => writer.object("publicKey", |o| o.text("hint", hint)),
        }
        writer.objects("tlogEntries", &self.tlog_entries, |o, entry| {
            entry.write(o, false)
        });
        writer.object("timestampVerificationData", |o| {
            o.objects("rfc3161Timestamps", &self.timestamps, |o, timestamp| {
                o.bytes("signedTimestamp", timestamp);
            });
        });
    }
}

impl KeyMaterial {
    fn read(message: Message<'_, '_>, version: BundleVersion) -> Result<Self, BundleError> {
        let certificate = |message: Message<'_, '_>| match message.bytes("rawBytes") {
            Ok(der) if der.is_empty() => Err(BundleError::EmptyCertificate),
            read => read.map_err(BundleError::from),
        };
        let (field, value) = message
            .oneof(&["publicKey", "x509CertificateChain", "certificate"])?
            .ok_or(BundleError::NoKeyMaterial)?;
        let inner = Message::of(value, field)?;
        match field {
            "publicKey" => Ok(Self::PublicKey {
                hint: inner.string("hint")?,
            }),
            "certificate" if version < BundleVersion::V03 => Err(BundleError::CertificateBeforeV03),
            "certificate" => certificate(inner).map(Self::Certificate),
            _ if version >= BundleVersion::V03 => Err(BundleError::ChainInV03),
            _ => {
                let chain = inner.messages("certificates", MAX_CHAIN, certificate)?;
                if chain.is_empty() {
                    return Err(BundleError::EmptyChain);
                }
                Ok(Self::CertificateChain(chain))
            }
        }
    }
}

/// The rules of one entry that need no cryptography.
fn check_entry(
    index: usize,
    entry: &TransparencyLogEntry,
    version: BundleVersion,
) -> Result<(), BundleError> {
    let proof = entry.inclusion_proof.as_ref();
    let numbers = [
        ("logIndex", entry.log_index),
        ("integratedTime", entry.integrated_time),
        (
            "inclusionProof.logIndex",
            proof.map_or(0, |proof| proof.log_index),
        ),
        (
            "inclusionProof.treeSize",
            proof.map_or(0, |proof| proof.tree_size),
        ),
    ];
    if let Some((field, _)) = numbers.into_iter().find(|(_, number)| *number < 0) {
        return Err(BundleError::Negative {
            entry: index,
            field,
        });
    }
    match (version, proof) {
        (BundleVersion::V01, _) if entry.inclusion_promise.is_none() => {
            Err(BundleError::PromiseMissing { entry: index })
        }
        (BundleVersion::V01, _) => Ok(()),
        (_, None) => Err(BundleError::ProofMissing { entry: index }),
        (_, Some(_)) => Ok(()),
    }
}

impl Content {
    fn read(message: Message<'_, '_>) -> Result<Self, BundleError> {
        let (field, value) = message
            .oneof(&["messageSignature", "dsseEnvelope"])?
            .ok_or(BundleError::NoContent)?;
        let inner = Message::of(value, field)?;
        if field == "dsseEnvelope" {
            let envelope = DsseEnvelope::read(inner)?;
            return match &*envelope.signatures {
                [signature] if signature.sig.is_empty() => Err(BundleError::EmptySignature),
                [_] => Ok(Self::Dsse(envelope)),
                other => Err(BundleError::DsseSignatures { count: other.len() }),
            };
        }
        let signature = inner.bytes("signature")?;
        if signature.is_empty() {
            return Err(BundleError::EmptySignature);
        }
        Ok(Self::MessageSignature {
            digest: inner
                .message("messageDigest")?
                .map(MessageDigest::read)
                .transpose()?,
            signature,
        })
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::MessageSignature { digest, signature } => {
                writer.object("messageSignature", |o| {
                    if let Some(digest) = digest {
                        o.object("messageDigest", |o| digest.write(o));
                    }
                    o.bytes("signature", signature);
                });
            }
            Self::Dsse(envelope) => writer.object("dsseEnvelope", |o| envelope.write(o)),
        }
    }
}

impl MessageDigest {
    pub(crate) fn read(message: Message<'_, '_>) -> Result<Self, FieldError> {
        Ok(Self {
            algorithm: HashAlgorithm::read(message, "algorithm")?,
            digest: message.bytes("digest")?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        self.algorithm.write(writer, "algorithm");
        writer.bytes("digest", &self.digest);
    }
}

#[cfg(test)]
mod tests;

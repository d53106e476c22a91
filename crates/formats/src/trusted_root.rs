//! The trusted root (`dev.sigstore.trustroot.v1.TrustedRoot`), versions 0.1 and 0.2.

use crate::json::{Limits, Writer, object, parse};
use crate::log_entry::key_id;
use crate::protojson::{FieldError, Message};
use crate::{HashAlgorithm, KeyDetails, TimeRange};

/// The longest trusted root that is read: the public one has 7 KB.
pub const MAX_TRUSTED_ROOT_BYTES: usize = 4 << 20;
/// The most JSON values in a trusted root.
pub const MAX_TRUSTED_ROOT_VALUES: usize = 1 << 16;
/// The most instances of one kind (logs, authorities) in a trusted root.
pub const MAX_INSTANCES: usize = 1024;
/// The most certificates in the chain of one authority.
pub const MAX_AUTHORITY_CHAIN: usize = 10;

/// Why a text is not a trusted root that is read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustedRootParseError {
    /// The text is not JSON, or a field breaks the protojson mapping.
    #[error("the trusted root is malformed: {0}")]
    Field(#[from] FieldError),
    /// The media type names no version that is known (`sigstore_trustroot.proto`).
    #[error("unsupported trusted root media type `{media_type}`: versions 0.1 and 0.2 are read")]
    MediaType {
        /// What was found, cut to 128 characters.
        media_type: String,
    },
}

/// A version of the trusted root format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TrustedRootVersion {
    /// 0.1: what every client reads, and what we write.
    #[default]
    V01,
    /// 0.2.
    V02,
}

/// The complete set of authorities and logs that a verifier trusts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedRoot {
    /// The version that its media type names.
    pub version: TrustedRootVersion,
    /// Transparency logs.
    pub tlogs: Vec<TransparencyLogInstance>,
    /// Certificate authorities.
    pub certificate_authorities: Vec<CertificateAuthority>,
    /// Certificate transparency logs.
    pub ctlogs: Vec<TransparencyLogInstance>,
    /// Timestamp authorities.
    pub timestamp_authorities: Vec<CertificateAuthority>,
}

/// One log: transparency log or certificate transparency log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransparencyLogInstance {
    /// Where it is; its host is the origin of the log's checkpoints.
    pub base_url: String,
    /// The hash of its Merkle tree.
    pub hash_algorithm: HashAlgorithm,
    /// Its key.
    pub public_key: PublicKey,
    /// Its id, as entries and SCTs name it; empty if the file gives none.
    pub log_id: Vec<u8>,
    /// The id of its note key, where that does not follow from the key.
    pub checkpoint_key_id: Option<Vec<u8>>,
    /// Who runs it; empty if the file does not say.
    pub operator: String,
}

/// A public key with its validity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// DER: SubjectPublicKeyInfo, or PKCS#1 for the old `PKCS1_` kinds.
    pub raw_bytes: Vec<u8>,
    /// Its kind.
    pub key_details: KeyDetails,
    /// When it is to be trusted; `None` if the file does not say.
    pub valid_for: Option<TimeRange>,
}

/// One authority: of certificates or of timestamps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateAuthority {
    /// Organisation in the subject of its root.
    pub organization: String,
    /// Common name in the subject of its root.
    pub common_name: String,
    /// Where it is.
    pub uri: String,
    /// DER, root last. A CA's chain begins with the intermediate, a timestamp authority's with
    /// its leaf.
    pub cert_chain: Vec<Vec<u8>>,
    /// When it is to be trusted; compared with the signing time, not with now.
    pub valid_for: Option<TimeRange>,
    /// Who runs it; empty if the file does not say.
    pub operator: String,
}

impl TrustedRoot {
    /// Reads a trusted root. Unknown fields are ignored; keys that are not known are kept.
    ///
    /// # Errors
    /// [`TrustedRootParseError`]: the first rule that the text breaks.
    pub fn from_json(text: &[u8]) -> Result<Self, TrustedRootParseError> {
        let limits = Limits {
            bytes: MAX_TRUSTED_ROOT_BYTES,
            values: MAX_TRUSTED_ROOT_VALUES,
        };
        let value = parse(text, limits).map_err(FieldError::from)?;
        Self::read(Message::of(&value, "trusted root")?)
    }

    /// The trusted root of the public instance, as of the release of this crate.
    pub fn public_good() -> Self {
        shipped(include_bytes!(
            "../data/trust/public-good.trusted_root.json"
        ))
    }

    /// The trusted root of the public instance's staging twin, as of the release of this crate.
    pub fn staging() -> Self {
        shipped(include_bytes!("../data/trust/staging.trusted_root.json"))
    }

    /// The trusted root as JSON: `lowerCamelCase`, enums as strings.
    pub fn to_json(&self) -> String {
        object(|o| self.write(o))
    }

    pub(crate) fn read(message: Message<'_, '_>) -> Result<Self, TrustedRootParseError> {
        let media_type = message.str("mediaType")?;
        let version = TrustedRootVersion::parse(media_type).ok_or_else(|| {
            TrustedRootParseError::MediaType {
                media_type: media_type.chars().take(128).collect(),
            }
        })?;
        let logs = |field| message.messages(field, MAX_INSTANCES, TransparencyLogInstance::read);
        let authorities =
            |field| message.messages(field, MAX_INSTANCES, CertificateAuthority::read);
        Ok(Self {
            version,
            tlogs: logs("tlogs")?,
            certificate_authorities: authorities("certificateAuthorities")?,
            ctlogs: logs("ctlogs")?,
            timestamp_authorities: authorities("timestampAuthorities")?,
        })
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.text("mediaType", self.version.media_type());
        writer.objects("tlogs", &self.tlogs, |o, log| log.write(o));
        writer.objects(
            "certificateAuthorities",
            &self.certificate_authorities,
            |o, authority| {
                authority.write(o);
            },
        );
        writer.objects("ctlogs", &self.ctlogs, |o, log| log.write(o));
        writer.objects(
            "timestampAuthorities",
            &self.timestamp_authorities,
            |o, authority| {
                authority.write(o);
            },
        );
    }
}

#[expect(
    clippy::expect_used,
    reason = "the file is part of this crate, and a test reads it"
)]
fn shipped(text: &[u8]) -> TrustedRoot {
    TrustedRoot::from_json(text).expect("the shipped trusted root is well-formed")
}

impl TrustedRootVersion {
    /// The version of a media type, in either spelling; `None` if it is not a trusted root's.
    pub fn parse(media_type: &str) -> Option<Self> {
        let rest = media_type.strip_prefix("application/vnd.dev.sigstore.trustedroot")?;
        match rest {
            "+json;version=0.1" | ".v0.1+json" => Some(Self::V01),
            "+json;version=0.2" | ".v0.2+json" => Some(Self::V02),
            _ => None,
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::V01 => "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            Self::V02 => "application/vnd.dev.sigstore.trustedroot.v0.2+json",
        }
    }
}

impl TransparencyLogInstance {
    fn read(message: Message<'_, '_>) -> Result<Self, FieldError> {
        let key = message.required("publicKey")?;
        Ok(Self {
            base_url: message.string("baseUrl")?,
            hash_algorithm: HashAlgorithm::read(message, "hashAlgorithm")?,
            public_key: PublicKey {
                raw_bytes: key.required_bytes("rawBytes")?,
                key_details: KeyDetails::read(key, "keyDetails")?,
                valid_for: key.time_range("validFor")?,
            },
            log_id: key_id(message, "logId")?.unwrap_or_default(),
            checkpoint_key_id: key_id(message, "checkpointKeyId")?,
            operator: message.string("operator")?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.text("baseUrl", &self.base_url);
        self.hash_algorithm.write(writer, "hashAlgorithm");
        writer.object("publicKey", |o| {
            o.bytes("rawBytes", &self.public_key.raw_bytes);
            self.public_key.key_details.write(o, "keyDetails");
            write_range(o, self.public_key.valid_for);
        });
        if !self.log_id.is_empty() {
            writer.object("logId", |o| o.bytes("keyId", &self.log_id));
        }
        if let Some(id) = &self.checkpoint_key_id {
            writer.object("checkpointKeyId", |o| o.bytes("keyId", id));
        }
        write_operator(writer, &self.operator);
    }
}

impl CertificateAuthority {
    fn read(message: Message<'_, '_>) -> Result<Self, FieldError> {
        let subject = message.message("subject")?;
        let name = |field| subject.map_or(Ok(String::new()), |subject| subject.string(field));
        Ok(Self {
            organization: name("organization")?,
            common_name: name("commonName")?,
            uri: message.string("uri")?,
            cert_chain: message.required("certChain")?.messages(
                "certificates",
                MAX_AUTHORITY_CHAIN,
                |certificate| certificate.required_bytes("rawBytes"),
            )?,
            valid_for: message.time_range("validFor")?,
            operator: message.string("operator")?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.object("subject", |o| {
            o.text("organization", &self.organization);
            o.text("commonName", &self.common_name);
        });
        writer.text("uri", &self.uri);
        writer.object("certChain", |o| {
            o.objects("certificates", &self.cert_chain, |o, certificate| {
                o.bytes("rawBytes", certificate);
            });
        });
        write_range(writer, self.valid_for);
        write_operator(writer, &self.operator);
    }
}

pub(crate) fn write_range(writer: &mut Writer, range: Option<TimeRange>) {
    if let Some(TimeRange { start, end }) = range {
        writer.object("validFor", |o| {
            for (field, time) in [("start", start), ("end", end)] {
                if let Some(time) = time {
                    o.text(field, &time.to_string());
                }
            }
        });
    }
}

/// An empty operator is left out: clients whose schema is older refuse the field.
fn write_operator(writer: &mut Writer, operator: &str) {
    if !operator.is_empty() {
        writer.text("operator", operator);
    }
}

#[cfg(test)]
mod tests;

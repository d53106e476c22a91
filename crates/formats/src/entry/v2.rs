//! The kinds that logs of v2 hold: `hashedrekord` 0.0.2 and `dsse` 0.0.2
//! (`dev.sigstore.rekor.v2`, in sigstore/rekor-tiles `api/proto`).

use super::{EntryError, MAX_BODY_SIGNATURES};
use crate::json::{Writer, object};
use crate::protojson::{FieldError, Message};
use crate::{HashAlgorithm, KeyDetails, MessageDigest};

/// `hashedrekord` 0.0.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedRekordV002 {
    /// Digest of what was signed.
    pub digest: MessageDigest,
    /// The signature and its verifier.
    pub signature: Signature,
}

/// `dsse` 0.0.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DsseV002 {
    /// Digest of the decoded payload.
    pub payload_hash: MessageDigest,
    /// The envelope's signatures, sorted by their raw bytes.
    pub signatures: Vec<Signature>,
}

/// A signature and what verifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The raw signature.
    pub content: Vec<u8>,
    /// What verifies it.
    pub verifier: Verifier,
}

/// A certificate or key, and how it signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    /// The certificate or key.
    pub key: VerifierKey,
    /// How it signs.
    pub key_details: KeyDetails,
}

/// A certificate or key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifierKey {
    /// A public key, DER SubjectPublicKeyInfo.
    PublicKey(Vec<u8>),
    /// An X.509 certificate, DER.
    Certificate(Vec<u8>),
}

impl HashedRekordV002 {
    /// The body as a log stores it: RFC 8785 JSON, which for ASCII strings is sorted keys and no
    /// white space.
    pub fn encode_canonical(&self) -> Vec<u8> {
        encode("hashedrekord", |o| {
            o.object("hashedRekordV002", |o| {
                o.object("data", |o| write_digest(o, &self.digest));
                o.object("signature", |o| self.signature.write(o));
            });
        })
    }
}

impl DsseV002 {
    /// The body as a log stores it: RFC 8785 JSON.
    pub fn encode_canonical(&self) -> Vec<u8> {
        encode("dsse", |o| {
            o.object("dsseV002", |o| {
                o.object("payloadHash", |o| write_digest(o, &self.payload_hash));
                o.objects("signatures", &self.signatures, |o, signature| {
                    signature.write(o)
                });
            });
        })
    }
}

pub(super) fn hashed_rekord(spec: Message<'_, '_>) -> Result<HashedRekordV002, EntryError> {
    spec.only(&["hashedRekordV002"])?;
    let body = spec.required("hashedRekordV002")?;
    body.only(&["data", "signature"])?;
    Ok(HashedRekordV002 {
        digest: digest(body, "data")?,
        signature: Signature::read(body.required("signature")?)?,
    })
}

pub(super) fn dsse(spec: Message<'_, '_>) -> Result<DsseV002, EntryError> {
    spec.only(&["dsseV002"])?;
    let body = spec.required("dsseV002")?;
    body.only(&["payloadHash", "signatures"])?;
    let signatures = body.messages("signatures", MAX_BODY_SIGNATURES, Signature::read)?;
    if signatures.is_empty() {
        return Err(FieldError::Missing {
            field: "signatures",
        }
        .into());
    }
    Ok(DsseV002 {
        payload_hash: digest(body, "payloadHash")?,
        signatures,
    })
}

impl Signature {
    pub(crate) fn read(message: Message<'_, '_>) -> Result<Self, FieldError> {
        message.only(&["content", "verifier"])?;
        Ok(Self {
            content: message.required_bytes("content")?,
            verifier: Verifier::read(message.required("verifier")?)?,
        })
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.bytes("content", &self.content);
        writer.object("verifier", |o| self.verifier.write(o));
    }
}

impl Verifier {
    pub(crate) fn read(message: Message<'_, '_>) -> Result<Self, FieldError> {
        message.only(&["publicKey", "x509Certificate", "keyDetails"])?;
        let (field, value) = message
            .oneof(&["publicKey", "x509Certificate"])?
            .ok_or(FieldError::Missing { field: "verifier" })?;
        let inner = Message::of(value, field)?;
        inner.only(&["rawBytes"])?;
        let der = inner.required_bytes("rawBytes")?;
        Ok(Self {
            key: match field {
                "publicKey" => VerifierKey::PublicKey(der),
                _ => VerifierKey::Certificate(der),
            },
            key_details: KeyDetails::read(message, "keyDetails")?,
        })
    }

    /// In the order of the keys, `keyDetails` before both `publicKey` and `x509Certificate`.
    pub(crate) fn write(&self, writer: &mut Writer) {
        self.key_details.write(writer, "keyDetails");
        match &self.key {
            VerifierKey::PublicKey(der) => {
                writer.object("publicKey", |o| o.bytes("rawBytes", der));
            }
            VerifierKey::Certificate(der) => {
                writer.object("x509Certificate", |o| o.bytes("rawBytes", der));
            }
        }
    }
}

fn digest(message: Message<'_, '_>, field: &'static str) -> Result<MessageDigest, FieldError> {
    let inner = message.required(field)?;
    inner.only(&["algorithm", "digest"])?;
    Ok(MessageDigest {
        algorithm: HashAlgorithm::read(inner, "algorithm")?,
        digest: inner.required_bytes("digest")?,
    })
}

fn write_digest(writer: &mut Writer, digest: &MessageDigest) {
    digest.algorithm.write(writer, "algorithm");
    writer.bytes("digest", &digest.digest);
}

fn encode(kind: &str, spec: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let body = object(|o| {
        o.text("apiVersion", "0.0.2");
        o.text("kind", kind);
        o.object("spec", spec);
    });
    body.into_bytes()
}

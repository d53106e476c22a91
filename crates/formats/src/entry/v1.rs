//! The kinds that logs of v1 hold: `hashedrekord` 0.0.1, `dsse` 0.0.1, `intoto` 0.0.1 and 0.0.2
//! (the JSON schemas in sigstore/rekor `pkg/types`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{EntryError, MAX_BODY_SIGNATURES};
use crate::protojson::{FieldError, Message};
use crate::{HashAlgorithm, MessageDigest};

/// `hashedrekord` 0.0.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedRekordV001 {
    /// Digest of what was signed.
    pub digest: MessageDigest,
    /// The raw signature.
    pub signature: Vec<u8>,
    /// The verifier, PEM: a certificate or a public key.
    pub verifier_pem: Vec<u8>,
}

/// `dsse` 0.0.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DsseV001 {
    /// Digest of the envelope's JSON as it was submitted, whose bytes a bundle does not keep.
    pub envelope_hash: MessageDigest,
    /// Digest of the decoded payload.
    pub payload_hash: MessageDigest,
    /// The envelope's signatures.
    pub signatures: Vec<PemSignature>,
}

/// A signature and what verifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemSignature {
    /// The raw signature.
    pub signature: Vec<u8>,
    /// The verifier, PEM: a certificate or a public key.
    pub verifier_pem: Vec<u8>,
}

/// `intoto` 0.0.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntotoV001 {
    /// Digest of the envelope's JSON as it was submitted.
    pub envelope_hash: MessageDigest,
    /// Digest of the decoded payload; the oldest entries have none.
    pub payload_hash: Option<MessageDigest>,
    /// The verifier, PEM: a certificate or a public key.
    pub verifier_pem: Vec<u8>,
}

/// `intoto` 0.0.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntotoV002 {
    /// The type of the envelope's payload.
    pub payload_type: String,
    /// The envelope's signatures.
    pub signatures: Vec<IntotoSignature>,
    /// Digest of the envelope's JSON as it was submitted.
    pub envelope_hash: MessageDigest,
    /// Digest of the decoded payload.
    pub payload_hash: MessageDigest,
}

/// A signature in an `intoto` 0.0.2 body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntotoSignature {
    /// The signature as the log keeps it: base64 text, as it was in the envelope.
    pub signature_base64: Vec<u8>,
    /// The verifier, PEM: a certificate or a public key.
    pub verifier_pem: Vec<u8>,
}

impl IntotoSignature {
    /// Whether the log keeps just this (raw) signature.
    pub fn is(&self, signature: &[u8]) -> bool {
        STANDARD.encode(signature).as_bytes() == self.signature_base64
    }
}

pub(super) fn hashed_rekord(spec: Message<'_, '_>) -> Result<HashedRekordV001, EntryError> {
    spec.only(&["data", "signature"])?;
    let (data, signature) = (spec.required("data")?, spec.required("signature")?);
    data.only(&["hash"])?;
    signature.only(&["content", "publicKey"])?;
    let key = signature.required("publicKey")?;
    key.only(&["content"])?;
    Ok(HashedRekordV001 {
        digest: digest(data, "hash")?,
        signature: signature.required_bytes("content")?,
        verifier_pem: key.required_bytes("content")?,
    })
}

pub(super) fn dsse(spec: Message<'_, '_>) -> Result<DsseV001, EntryError> {
    spec.only(&["envelopeHash", "payloadHash", "signatures"])?;
    Ok(DsseV001 {
        envelope_hash: digest(spec, "envelopeHash")?,
        payload_hash: digest(spec, "payloadHash")?,
        signatures: signatures(spec, |signature| {
            signature.only(&["signature", "verifier"])?;
            Ok(PemSignature {
                signature: signature.required_bytes("signature")?,
                verifier_pem: signature.required_bytes("verifier")?,
            })
        })?,
    })
}

pub(super) fn intoto_v001(spec: Message<'_, '_>) -> Result<IntotoV001, EntryError> {
    spec.only(&["content", "publicKey"])?;
    let content = spec.required("content")?;
    content.only(&["hash", "payloadHash"])?;
    let payload_hash = match content.message("payloadHash")? {
        Some(_) => Some(digest(content, "payloadHash")?),
        None => None,
    };
    Ok(IntotoV001 {
        envelope_hash: digest(content, "hash")?,
        payload_hash,
        verifier_pem: spec.required_bytes("publicKey")?,
    })
}

pub(super) fn intoto_v002(spec: Message<'_, '_>) -> Result<IntotoV002, EntryError> {
    spec.only(&["content"])?;
    let content = spec.required("content")?;
    content.only(&["envelope", "hash", "payloadHash"])?;
    let envelope = content.required("envelope")?;
    envelope.only(&["payload", "payloadType", "signatures"])?;
    Ok(IntotoV002 {
        payload_type: envelope.string("payloadType")?,
        signatures: signatures(envelope, |signature| {
            signature.only(&["keyid", "publicKey", "sig"])?;
            Ok(IntotoSignature {
                signature_base64: signature.required_bytes("sig")?,
                verifier_pem: signature.required_bytes("publicKey")?,
            })
        })?,
        envelope_hash: digest(content, "hash")?,
        payload_hash: digest(content, "payloadHash")?,
    })
}

/// One signature at least, and at most [`MAX_BODY_SIGNATURES`].
fn signatures<T>(
    message: Message<'_, '_>,
    read: impl Fn(Message<'_, '_>) -> Result<T, FieldError>,
) -> Result<Vec<T>, FieldError> {
    let field = "signatures";
    let signatures = message.messages(field, MAX_BODY_SIGNATURES, read)?;
    if signatures.is_empty() {
        return Err(FieldError::Missing { field });
    }
    Ok(signatures)
}

fn digest(message: Message<'_, '_>, field: &'static str) -> Result<MessageDigest, EntryError> {
    let hash = message.required(field)?;
    hash.only(&["algorithm", "value"])?;
    Ok(MessageDigest {
        algorithm: HashAlgorithm::from_lower_case(hash.str("algorithm")?),
        digest: hex(hash.str("value")?).ok_or(EntryError::Hex { field })?,
    })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(pairs.len());
    for [high, low] in pairs {
        bytes.push(nibble(*high)? << 4 | nibble(*low)?);
    }
    Some(bytes)
}

//! Timestamp tokens: CMS SignedData (RFC 5652 §5) around a TSTInfo, with the one signer that
//! RFC 3161 §2.4.2 allows.

use std::ops::Range;

use der::asn1::ObjectIdentifier;
use waxseal_crypto::{Digest, HashAlgorithm};

use crate::certificate::locate;
use crate::element::{
    Cursor, Element, INTEGER, NotDer, OCTET_STRING, OID, SEQUENCE, SET, context, context_primitive,
    encode, is_set_of,
};
use crate::timestamp::{
    CONTENT_TYPE, MESSAGE_DIGEST, ResponseError, SIGNED_DATA, SIGNING_CERTIFICATE,
    SIGNING_CERTIFICATE_V2, TST_INFO, TimestampResponse, TstInfo,
};
use crate::{Certificate, algorithm};

/// How many certificates a token may carry along.
pub const MAX_TOKEN_CERTIFICATES: usize = 16;

/// How many signed attributes a signer may have; RFC 3161 knows of about five.
const MAX_ATTRIBUTES: usize = 32;

/// A timestamp token, parsed and not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampToken {
    der: Vec<u8>,
    content: Range<usize>,
    info: TstInfo,
    certificates: Vec<Range<usize>>,
    pub(super) signer: SignerInfo,
}

/// The one SignerInfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignerInfo {
    sid: SignerId,
    /// The hash of attributes and content. It is what this signer says, whatever its curve.
    pub(super) digest: HashAlgorithm,
    /// Contents of the SET OF attributes.
    attributes: Range<usize>,
    /// Contents of the AlgorithmIdentifier.
    algorithm: Range<usize>,
    signature: Range<usize>,
    message_digest: Range<usize>,
    certificate: SigningCertificate,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum SignerId {
    IssuerAndSerial {
        issuer: Range<usize>,
        serial: Range<usize>,
    },
    KeyId(Range<usize>),
}

/// What the signer says its certificate is (RFC 2634 §5.4, RFC 5816 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
struct SigningCertificate {
    /// `None` is the SHA-1 of the first version.
    hash: Option<HashAlgorithm>,
    digest: Range<usize>,
    /// The one directoryName and the serial number, if they are given.
    issuer_serial: Option<(Range<usize>, Range<usize>)>,
}

/// Why bytes are not a timestamp token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Not the strict DER of a token, or bytes follow it.
    #[error("the timestamp token is not strict DER of a CMS SignedData")]
    Malformed,
    /// The CMS content is not SignedData (RFC 3161 §2.4.2).
    #[error("the timestamp token is CMS of type {found}, expected SignedData")]
    NotSignedData {
        /// What it is.
        found: ObjectIdentifier,
    },
    /// SignedData is not version 3, SignerInfo not 1 or 3, or TSTInfo not 1.
    #[error("the timestamp token has an unknown version")]
    UnknownVersion,
    /// What is signed is not a TSTInfo (V-64).
    #[error("the timestamp token signs content of type {found}, expected a TSTInfo")]
    WrongContentType {
        /// What it is.
        found: ObjectIdentifier,
    },
    /// There are no signers, or several; verifiers differ in which one they look at (V-63).
    #[error("the timestamp token has {found} signers, expected exactly one")]
    SignerCount {
        /// How many there are.
        found: usize,
    },
    /// The signer signs no attributes: such a signature could be taken for one over attributes, and
    /// the other way round (V-64).
    #[error("the timestamp token's signer has no signed attributes")]
    NoSignedAttributes,
    /// The signed attributes are not in the order that they are signed in (X.690 §11.6, V-63).
    #[error("the timestamp token's signed attributes are not in DER order")]
    UnorderedAttributes,
    /// An attribute that must be there once, with one value, is not (RFC 5652 §11, RFC 5816 §2.2.1).
    #[error("the timestamp token has attribute {oid} not exactly once")]
    Attribute {
        /// Which one.
        oid: ObjectIdentifier,
    },
    /// A digest is by another algorithm than SHA-256, SHA-384 or SHA-512 (V-66).
    #[error("the timestamp token uses a hash algorithm other than SHA-256, SHA-384 and SHA-512")]
    WeakHash,
    /// There are more than [`MAX_TOKEN_CERTIFICATES`] certificates in it.
    #[error("the timestamp token has more than {MAX_TOKEN_CERTIFICATES} certificates")]
    TooManyCertificates,
    /// TSTInfo has a critical extension; none is defined.
    #[error("the timestamp token has the unknown critical extension {oid}")]
    CriticalExtension {
        /// Which one.
        oid: ObjectIdentifier,
    },
    /// The response has no token, because the authority refused.
    #[error("the timestamp authority refused: status {status}, failure bits {failure:#x}")]
    Rejected {
        /// PKIStatus.
        status: u32,
        /// The bits of PKIFailureInfo, bit 0 lowest.
        failure: u32,
    },
}

impl From<NotDer> for TokenError {
    fn from(_: NotDer) -> Self {
        Self::Malformed
    }
}

impl TimestampToken {
    /// Parses the token of a granted response: what a bundle carries.
    ///
    /// # Errors
    /// [`ResponseError`]; a refusal is [`TokenError::Rejected`].
    pub fn from_response(der: &[u8]) -> Result<Self, ResponseError> {
        match TimestampResponse::parse(der)? {
            TimestampResponse::Granted(token) => Ok(*token),
            TimestampResponse::Rejected { status, failure } => {
                Err(TokenError::Rejected { status, failure }.into())
            }
        }
    }

    /// Parses a bare token: a CMS ContentInfo.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn parse(der: &[u8]) -> Result<Self, TokenError> {
        parse(der)
    }

    /// The ContentInfo.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What was signed; not to be trusted before the token is verified.
    pub const fn info(&self) -> &TstInfo {
        &self.info
    }

    /// The certificates that travel in the token. They are nobody's trust: only hints.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.certificates.iter().map(|range| self.slice(range))
    }

    /// Whether a certificate is the one that the signer names.
    pub(super) fn is_signed_by(&self, certificate: &Certificate) -> bool {
        match &self.signer.sid {
            SignerId::IssuerAndSerial { issuer, serial } => {
                self.slice(issuer) == certificate.issuer().der()
                    && self.slice(serial) == certificate.serial()
            }
            SignerId::KeyId(id) => certificate.subject_key_id() == Some(self.slice(id)),
        }
    }

    /// Whether the signed attribute names this certificate.
    pub(super) fn names_certificate(&self, certificate: &Certificate) -> bool {
        let signing = &self.signer.certificate;
        let digest = self.slice(&signing.digest);
        let hash_fits = match signing.hash {
            Some(hash) => Digest::of(hash, certificate.der()).as_bytes() == digest,
            None => {
                use sha1::Digest as _;
                sha1::Sha1::digest(certificate.der()).as_slice() == digest
            }
        };
        let issuer_fits = signing
            .issuer_serial
            .as_ref()
            .is_none_or(|(issuer, serial)| {
                self.slice(issuer) == certificate.issuer().der()
                    && self.slice(serial) == certificate.serial()
            });
        hash_fits && issuer_fits
    }

    /// Whether the signed digest is that of the content.
    pub(super) fn is_content_intact(&self) -> bool {
        let content = Digest::of(self.signer.digest, self.slice(&self.content));
        content.as_bytes() == self.slice(&self.signer.message_digest)
    }

    /// The bytes that are signed: the attributes as they stand, under the tag of a SET
    /// (RFC 5652 §5.4).
    pub(super) fn signed_bytes(&self) -> Vec<u8> {
        encode(SET, &[self.slice(&self.signer.attributes)])
    }

    /// Contents of the AlgorithmIdentifier of the signature.
    pub(super) fn signature_identifier(&self) -> &[u8] {
        self.slice(&self.signer.algorithm)
    }

    pub(super) fn signature(&self) -> &[u8] {
        self.slice(&self.signer.signature)
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.der.get(range.clone()).unwrap_or_default()
    }
}

fn parse(der: &[u8]) -> Result<TimestampToken, TokenError> {
    let mut outer = Element::only(der, SEQUENCE)?.inside();
    let found = outer.expect(OID)?.oid()?;
    if found != SIGNED_DATA {
        return Err(TokenError::NotSignedData { found });
    }
    let explicit = outer.expect(context(0))?;
    outer.finish()?;

    let mut fields = Element::only(explicit.value, SEQUENCE)?.inside();
    if fields.expect(INTEGER)?.integer()? != [3] {
        return Err(TokenError::UnknownVersion);
    }
    // digestAlgorithms is a hint for one-pass readers; the signer's own says what counts.
    let mut hints = fields.expect(SET)?.inside();
    while !hints.is_empty() {
        hints.expect(SEQUENCE)?;
    }
    let content = parse_content(&mut fields)?;
    let certificates = parse_certificates(&mut fields, der)?;
    // Revocation lists are allowed (RFC 5652 §5.1) and not used.
    fields.optional(context(1))?;
    let signers = fields.expect(SET)?;
    fields.finish()?;

    let mut cursor = signers.inside();
    let mut found = 0;
    while !cursor.is_empty() {
        cursor.next()?;
        found += 1;
    }
    if found != 1 {
        return Err(TokenError::SignerCount { found });
    }
    let signer = parse_signer(&Element::only(signers.value, SEQUENCE)?, der)?;
    Ok(TimestampToken {
        info: TstInfo::parse(content)?,
        content: locate(der, content),
        certificates,
        signer,
        der: der.to_vec(),
    })
}

fn parse_content<'a>(fields: &mut Cursor<'a>) -> Result<&'a [u8], TokenError> {
    let mut content = fields.expect(SEQUENCE)?.inside();
    let found = content.expect(OID)?.oid()?;
    if found != TST_INFO {
        return Err(TokenError::WrongContentType { found });
    }
    let explicit = content.expect(context(0))?;
    content.finish()?;
    Ok(Element::only(explicit.value, OCTET_STRING)?.value)
}

fn parse_certificates(
    fields: &mut Cursor<'_>,
    der: &[u8],
) -> Result<Vec<Range<usize>>, TokenError> {
    let mut certificates = Vec::new();
    // The public authority writes an empty set where none was asked for; it means none.
    if let Some(set) = fields.optional(context(0))? {
        let mut cursor = set.inside();
        while !cursor.is_empty() {
            let choice = cursor.next()?;
            if certificates.len() == MAX_TOKEN_CERTIFICATES {
                return Err(TokenError::TooManyCertificates);
            }
            // Other kinds of certificates (RFC 5652 §10.2.2) are not for timestamps.
            if choice.tag == SEQUENCE {
                certificates.push(locate(der, choice.raw));
            }
        }
    }
    Ok(certificates)
}

fn parse_signer(signer: &Element<'_>, der: &[u8]) -> Result<SignerInfo, TokenError> {
    let mut fields = signer.inside();
    let version = fields.expect(INTEGER)?.small()?;
    let id = fields.next()?;
    let sid = match (version, id.tag) {
        (1, SEQUENCE) => {
            let (issuer, serial) = issuer_and_serial(&id)?;
            SignerId::IssuerAndSerial {
                issuer: locate(der, issuer.raw),
                serial: locate(der, serial.value),
            }
        }
        (3, tag) if tag == context_primitive(0) => SignerId::KeyId(locate(der, id.value)),
        _ => return Err(TokenError::UnknownVersion),
    };
    let digest = algorithm::digest(&fields.expect(SEQUENCE)?)?.ok_or(TokenError::WeakHash)?;
    let attributes = fields
        .optional(context(0))?
        .ok_or(TokenError::NoSignedAttributes)?;
    if !is_set_of(attributes.value) {
        return Err(TokenError::UnorderedAttributes);
    }
    let identifier = fields.expect(SEQUENCE)?;
    let signature = fields.expect(OCTET_STRING)?;
    // Unsigned attributes are anyone's words.
    fields.optional(context(1))?;
    fields.finish()?;

    let content_type =
        attribute(&attributes, CONTENT_TYPE)?.ok_or(TokenError::Attribute { oid: CONTENT_TYPE })?;
    let found = Element::only(content_type, OID)?.oid()?;
    if found != TST_INFO {
        return Err(TokenError::WrongContentType { found });
    }
    let message_digest = attribute(&attributes, MESSAGE_DIGEST)?.ok_or(TokenError::Attribute {
        oid: MESSAGE_DIGEST,
    })?;
    let message_digest = Element::only(message_digest, OCTET_STRING)?.value;
    let certificate = match attribute(&attributes, SIGNING_CERTIFICATE_V2)? {
        Some(value) => parse_signing_certificate(value, true, der)?,
        None => {
            let value =
                attribute(&attributes, SIGNING_CERTIFICATE)?.ok_or(TokenError::Attribute {
                    oid: SIGNING_CERTIFICATE_V2,
                })?;
            parse_signing_certificate(value, false, der)?
        }
    };
    Ok(SignerInfo {
        sid,
        digest,
        attributes: locate(der, attributes.value),
        algorithm: locate(der, identifier.value),
        signature: locate(der, signature.value),
        message_digest: locate(der, message_digest),
        certificate,
    })
}

/// The one value of the one attribute of this name, `None` if it is not there.
fn attribute<'a>(
    attributes: &Element<'a>,
    oid: ObjectIdentifier,
) -> Result<Option<&'a [u8]>, TokenError> {
    let mut cursor = attributes.inside();
    let mut found = None;
    let mut count = 0;
    while !cursor.is_empty() {
        let mut fields = cursor.expect(SEQUENCE)?.inside();
        let name = fields.expect(OID)?;
        let values = fields.expect(SET)?;
        fields.finish()?;
        count += 1;
        if count > MAX_ATTRIBUTES {
            return Err(TokenError::Malformed);
        }
        if name.value == oid.as_bytes() {
            let mut inside = values.inside();
            let single = !inside.is_empty() && inside.next().is_ok() && inside.is_empty();
            if found.is_some() || !single {
                return Err(TokenError::Attribute { oid });
            }
            found = Some(values.value);
        }
    }
    Ok(found)
}

/// The first certificate of SigningCertificate or SigningCertificateV2: that of the signer.
fn parse_signing_certificate(
    value: &[u8],
    second: bool,
    der: &[u8],
) -> Result<SigningCertificate, TokenError> {
    let mut fields = Element::only(value, SEQUENCE)?.inside();
    let mut first = fields.expect(SEQUENCE)?.inside().expect(SEQUENCE)?.inside();
    fields.optional(SEQUENCE)?;
    fields.finish()?;
    let hash = match (second, first.optional(SEQUENCE)?) {
        (false, None) => None,
        (true, None) => Some(HashAlgorithm::Sha256),
        (true, Some(identifier)) => {
            Some(algorithm::digest(&identifier)?.ok_or(TokenError::WeakHash)?)
        }
        (false, Some(_)) => return Err(TokenError::Malformed),
    };
    let digest = first.expect(OCTET_STRING)?;
    let issuer_serial = match first.optional(SEQUENCE)? {
        Some(pair) => {
            let mut pair = pair.inside();
            let mut names = pair.expect(SEQUENCE)?.inside();
            let directory = names.expect(context(4))?;
            names.finish()?;
            let issuer = Element::only(directory.value, SEQUENCE)?;
            let serial = pair.expect(INTEGER)?;
            pair.finish()?;
            Some((locate(der, issuer.raw), locate(der, serial.value)))
        }
        None => None,
    };
    first.finish()?;
    Ok(SigningCertificate {
        hash,
        digest: locate(der, digest.value),
        issuer_serial,
    })
}

fn issuer_and_serial<'a>(pair: &Element<'a>) -> Result<(Element<'a>, Element<'a>), NotDer> {
    let mut fields = pair.inside();
    let issuer = fields.expect(SEQUENCE)?;
    let serial = fields.expect(INTEGER)?;
    fields.finish()?;
    Ok((issuer, serial))
}

#[cfg(test)]
mod tests;

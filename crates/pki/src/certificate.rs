//! X.509 certificates (RFC 5280 §4.1): parsed once, owned, every field a range of the same bytes.

use std::fmt;
use std::ops::Range;

use der::asn1::ObjectIdentifier;
use waxseal_crypto::{
    CryptoProvider, Input, KeyError, PublicKey, SignatureAlgorithm, SignatureError, Time,
};

use crate::algorithm;
use crate::element::{self, Cursor, Element, INTEGER, NotDer, SEQUENCE, context};
use crate::extension::{
    BasicConstraints, ExtendedKeyUsage, ExtensionFault, Extensions, KeyUsage, MAX_EXTENSIONS,
    SubjectAltName,
};
use crate::name::{self, Name};
use crate::sct::{SctError, SctList};

/// The largest certificate that is read. webpki takes no larger one, and those of Sigstore have
/// about 1 KiB (7 KiB with ML-DSA-87).
pub const MAX_CERTIFICATE: usize = 65_535;

/// One certificate: its DER and everything that was read from it.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    tbs: Range<usize>,
    serial: Range<usize>,
    issuer: Range<usize>,
    subject: Range<usize>,
    signature_identifier: Range<usize>,
    signature: Range<usize>,
    spki: Range<usize>,
    not_before: Time,
    not_after: Time,
    public_key: Result<PublicKey, KeyError>,
    extensions: Extensions,
}

/// Why bytes are not a certificate that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// More than [`MAX_CERTIFICATE`] bytes.
    #[error("the certificate has {found} bytes, at most {MAX_CERTIFICATE} are read")]
    TooLarge {
        /// How many there are.
        found: usize,
    },
    /// Not the strict DER of a version 3 certificate (RFC 5280 §4.1), or bytes follow it.
    #[error("the certificate is not strict DER of an X.509 version 3 certificate")]
    Malformed,
    /// The algorithm inside the signed part is not the one outside (RFC 5280 §4.1.1.2).
    #[error("the certificate names two different signature algorithms")]
    AlgorithmMismatch,
    /// More than [`MAX_EXTENSIONS`] extensions.
    #[error("the certificate has more than {MAX_EXTENSIONS} extensions")]
    TooManyExtensions,
    /// The same extension stands there twice (RFC 5280 §4.2).
    #[error("the certificate has extension {oid} twice")]
    DuplicateExtension {
        /// Which one.
        oid: ObjectIdentifier,
    },
    /// An extension that we read does not have the contents that its specification gives it.
    #[error("the certificate's extension {oid} is malformed")]
    MalformedExtension {
        /// Which one.
        oid: ObjectIdentifier,
    },
}

impl From<NotDer> for CertificateError {
    fn from(_: NotDer) -> Self {
        Self::Malformed
    }
}

impl From<ExtensionFault> for CertificateError {
    fn from(fault: ExtensionFault) -> Self {
        match fault {
            ExtensionFault::NotDer => Self::Malformed,
            ExtensionFault::TooMany => Self::TooManyExtensions,
            ExtensionFault::Duplicate(oid) => Self::DuplicateExtension { oid },
            ExtensionFault::Malformed(oid) => Self::MalformedExtension { oid },
        }
    }
}

impl Certificate {
    /// Parses DER.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn parse(der: impl Into<Vec<u8>>) -> Result<Self, CertificateError> {
        let der = der.into();
        if der.len() > MAX_CERTIFICATE {
            return Err(CertificateError::TooLarge { found: der.len() });
        }
        parse(&der).map(|fields| fields.own(der))
    }

    /// The whole certificate.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The TBSCertificate, header included: what is signed.
    pub fn tbs(&self) -> &[u8] {
        self.slice(&self.tbs)
    }

    /// The contents of the serial number: two's complement, of any sign and length.
    pub fn serial(&self) -> &[u8] {
        self.slice(&self.serial)
    }

    /// Who signed it.
    pub fn issuer(&self) -> Name<'_> {
        Name::new(self.slice(&self.issuer))
    }

    /// Whose key it holds.
    pub fn subject(&self) -> Name<'_> {
        Name::new(self.slice(&self.subject))
    }

    /// The first second in which it is valid.
    pub const fn not_before(&self) -> Time {
        self.not_before
    }

    /// The last second in which it is valid.
    pub const fn not_after(&self) -> Time {
        self.not_after
    }

    /// Whether it is valid at an instant. Both ends count, and a certificate is valid until the
    /// end of its last second: its dates have no fractions (RFC 5280 §4.1.2.5).
    pub fn is_valid_at(&self, time: Time) -> bool {
        self.not_before <= time && time.truncated_to_second() <= self.not_after
    }

    /// The subject's key.
    ///
    /// # Errors
    /// [`KeyError`] if the key is of a kind that is not in Sigstore's registry.
    pub fn public_key(&self) -> Result<&PublicKey, &KeyError> {
        self.public_key.as_ref()
    }

    /// The SubjectPublicKeyInfo, header included.
    pub fn spki_der(&self) -> &[u8] {
        self.slice(&self.spki)
    }

    /// The algorithm of the signature, given the issuer's key; `None` if it is not one of ours.
    pub fn signature_algorithm(&self, issuer: &PublicKey) -> Option<SignatureAlgorithm> {
        algorithm::of_signature(self.slice(&self.signature_identifier), issuer.kind())
    }

    /// The signature.
    pub fn signature(&self) -> &[u8] {
        self.slice(&self.signature)
    }

    /// Checks the signature against an issuer's key, and nothing else.
    ///
    /// # Errors
    /// [`SignatureError`]; `WrongKeyKind` if the certificate names an algorithm that does not go
    /// with the key.
    pub fn verify_signature(
        &self,
        provider: CryptoProvider,
        issuer: &PublicKey,
    ) -> Result<(), SignatureError> {
        let algorithm = self
            .signature_algorithm(issuer)
            .ok_or(SignatureError::WrongKeyKind)?;
        provider.verify(
            issuer,
            algorithm,
            Input::Message(self.tbs()),
            self.signature(),
        )
    }

    /// The names in subjectAltName, in their order.
    pub fn subject_alt_names(&self) -> &[SubjectAltName] {
        &self.extensions.subject_alt_names
    }

    /// Whether subjectAltName is critical, as it must be where the subject is empty.
    pub const fn is_subject_alt_name_critical(&self) -> bool {
        self.extensions.subject_alt_name_critical
    }

    /// keyUsage, if there.
    pub const fn key_usage(&self) -> Option<KeyUsage> {
        self.extensions.key_usage
    }

    /// extKeyUsage, if there.
    pub const fn extended_key_usage(&self) -> Option<&ExtendedKeyUsage> {
        self.extensions.extended_key_usage.as_ref()
    }

    /// basicConstraints, if there.
    pub const fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.extensions.basic_constraints
    }

    /// Whether basicConstraints says that this is a certificate authority.
    pub fn is_ca(&self) -> bool {
        self.extensions
            .basic_constraints
            .is_some_and(|constraints| constraints.ca)
    }

    /// The identifier of the subject's key.
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.extensions
            .subject_key_id
            .as_ref()
            .map(|range| self.slice(range))
    }

    /// The identifier of the issuer's key.
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.extensions
            .authority_key_id
            .as_ref()
            .map(|range| self.slice(range))
    }

    /// Whether this is a precertificate (RFC 6962 §3.1): nobody may accept it.
    pub const fn is_precertificate(&self) -> bool {
        self.extensions.is_poisoned
    }

    /// The claim `1.3.6.1.4.1.57264.1.N`: the bare text of 1 to 6, the UTF8String of 8 to 24.
    pub fn sigstore_extension(&self, number: u8) -> Option<&str> {
        let mut claims = self.extensions.sigstore.iter();
        let (_, range) = claims.find(|(found, _)| *found == number)?;
        std::str::from_utf8(self.slice(range)).ok()
    }

    /// Every claim, in the certificate's order.
    pub fn sigstore_extensions(&self) -> impl Iterator<Item = (u8, &str)> {
        let claims = self.extensions.sigstore.iter();
        claims.filter_map(|(number, range)| {
            Some((*number, std::str::from_utf8(self.slice(range)).ok()?))
        })
    }

    /// The contents of the extension of this name, whatever it is.
    pub fn extension(&self, oid: ObjectIdentifier) -> Option<&[u8]> {
        let mut list = self.extensions.list.iter();
        let found = list.find(|extension| self.slice(&extension.oid) == oid.as_bytes())?;
        Some(self.slice(&found.value))
    }

    /// Every extension in its order: name, whether it is critical, contents.
    pub fn extensions(&self) -> impl Iterator<Item = (ObjectIdentifier, bool, &[u8])> {
        self.extensions.list.iter().filter_map(|extension| {
            let oid = ObjectIdentifier::from_bytes(self.slice(&extension.oid)).ok()?;
            Some((oid, extension.critical, self.slice(&extension.value)))
        })
    }

    /// The embedded promises of Certificate Transparency logs, if there are any.
    ///
    /// # Errors
    /// [`SctError`] if the list is malformed.
    pub fn scts(&self) -> Result<Option<SctList>, SctError> {
        let list = self.extensions.sct_list.as_ref();
        list.map(|range| SctList::parse(self.slice(range)))
            .transpose()
    }

    /// The first critical extension that path validation does not know.
    pub(crate) fn unknown_critical_extension(&self) -> Option<ObjectIdentifier> {
        let mut list = self.extensions.list.iter();
        let found = list.find(|extension| extension.critical && !extension.known)?;
        ObjectIdentifier::from_bytes(self.slice(&found.oid)).ok()
    }

    /// The contents of nameConstraints' SEQUENCE.
    pub(crate) fn name_constraints(&self) -> Option<&[u8]> {
        self.extensions
            .name_constraints
            .as_ref()
            .map(|range| self.slice(range))
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.der.get(range.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject().common_name())
            .field("issuer", &self.issuer().common_name())
            .field("names", &self.extensions.subject_alt_names)
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Certificate {
    /// Certificates are equal when their bytes are.
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

struct Fields {
    tbs: Range<usize>,
    serial: Range<usize>,
    issuer: Range<usize>,
    subject: Range<usize>,
    signature_identifier: Range<usize>,
    signature: Range<usize>,
    spki: Range<usize>,
    not_before: Time,
    not_after: Time,
    public_key: Result<PublicKey, KeyError>,
    extensions: Extensions,
}

impl Fields {
    fn own(self, der: Vec<u8>) -> Certificate {
        Certificate {
            der,
            tbs: self.tbs,
            serial: self.serial,
            issuer: self.issuer,
            subject: self.subject,
            signature_identifier: self.signature_identifier,
            signature: self.signature,
            spki: self.spki,
            not_before: self.not_before,
            not_after: self.not_after,
            public_key: self.public_key,
            extensions: self.extensions,
        }
    }
}

fn parse(der: &[u8]) -> Result<Fields, CertificateError> {
    let locate = |part: &[u8]| locate(der, part);
    let mut outer = Element::only(der, SEQUENCE)?.inside();
    let tbs = outer.expect(SEQUENCE)?;
    let signature_identifier = outer.expect(SEQUENCE)?;
    let signature = outer.expect(element::BIT_STRING)?.whole_bits()?;
    outer.finish()?;

    let mut fields = tbs.inside();
    // Version 3 (2), and no other: without extensions there is nothing to go by.
    if fields.expect(context(0))?.value != [INTEGER, 1, 2] {
        return Err(CertificateError::Malformed);
    }
    let serial = fields.expect(INTEGER)?;
    serial.integer()?;
    let inner_identifier = fields.expect(SEQUENCE)?;
    if inner_identifier.raw != signature_identifier.raw {
        return Err(CertificateError::AlgorithmMismatch);
    }
    if !algorithm::is_identifier(signature_identifier.value) {
        return Err(CertificateError::Malformed);
    }
    let issuer = fields.expect(SEQUENCE)?;
    name::check(&issuer)?;
    let mut validity = fields.expect(SEQUENCE)?.inside();
    let not_before = validity.next()?.time()?;
    let not_after = validity.next()?.time()?;
    validity.finish()?;
    let subject = fields.expect(SEQUENCE)?;
    name::check(&subject)?;
    let spki = fields.expect(SEQUENCE)?;
    let extensions = parse_extensions(&mut fields, &locate)?;
    fields.finish()?;
    Ok(Fields {
        tbs: locate(tbs.raw),
        serial: locate(serial.value),
        issuer: locate(issuer.raw),
        subject: locate(subject.raw),
        signature_identifier: locate(signature_identifier.value),
        signature: locate(signature),
        spki: locate(spki.raw),
        not_before,
        not_after,
        public_key: PublicKey::from_spki_der(spki.raw),
        extensions,
    })
}

fn parse_extensions(
    fields: &mut Cursor<'_>,
    locate: &impl Fn(&[u8]) -> Range<usize>,
) -> Result<Extensions, CertificateError> {
    // issuerUniqueID and subjectUniqueID; RFC 5280 §4.1.2.8 lets nobody write or use them.
    if fields.optional(0x81)?.is_some() || fields.optional(0x82)?.is_some() {
        return Err(CertificateError::Malformed);
    }
    match fields.optional(context(3))? {
        Some(explicit) => {
            let sequence = Element::only(explicit.value, SEQUENCE)?;
            Ok(Extensions::parse(&sequence, locate)?)
        }
        None => Ok(Extensions::default()),
    }
}

/// Where a part stands in the whole that it was sliced from.
pub(crate) fn locate(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
    start..start.saturating_add(part.len())
}

#[cfg(test)]
mod tests;

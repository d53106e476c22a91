//! Certificate extensions, read into types: those of RFC 5280 §4.2 that we use, and Sigstore's own
//! (1.3.6.1.4.1.57264.1).

use std::ops::Range;

use der::asn1::ObjectIdentifier;

use crate::element::{
    BIT_STRING, BOOLEAN, Cursor, Element, INTEGER, NotDer, OCTET_STRING, OID, SEQUENCE,
    UTF8_STRING, context, context_primitive,
};

const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// The SCT list, 1.3.6.1.4.1.11129.2.4.2 (RFC 6962 §3.3).
pub(crate) const SCT_LIST: &[u8] = &[0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2];
/// The poison of a precertificate, 1.3.6.1.4.1.11129.2.4.3 (RFC 6962 §3.1).
pub(crate) const POISON: &[u8] = &[0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 3];
/// Sigstore's arc, 1.3.6.1.4.1.57264.1; one more octet is the number of the claim.
const SIGSTORE: &[u8] = &[0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1];

/// How many extensions a certificate may carry. Leaves of Sigstore have up to 25, certificates of
/// the web about 10; the check for duplicates is quadratic.
pub const MAX_EXTENSIONS: usize = 64;
/// Room for the extensions of a leaf of Sigstore.
const CUSTOMARY_EXTENSIONS: usize = 25;

/// One name in subjectAltName (RFC 5280 §4.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SubjectAltName {
    /// `rfc822Name`, ASCII.
    Email(String),
    /// `uniformResourceIdentifier`, ASCII.
    Uri(String),
    /// `dNSName`, ASCII.
    Dns(String),
    /// `otherName` with a UTF8String, such as Sigstore's user names (1.3.6.1.4.1.57264.1.7).
    OtherName {
        /// The kind of name.
        oid: ObjectIdentifier,
        /// The text.
        value: String,
    },
    /// `iPAddress`.
    Ip(core::net::IpAddr),
    /// A name of another kind: its context tag (RFC 5280 §4.2.1.6: 4 is a directoryName), or 0 for an otherName that is not a UTF8String.
    Other {
        /// The number in the tag.
        tag: u8,
    },
}

/// The bits of keyUsage that we look at (RFC 5280 §4.2.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyUsage {
    /// `digitalSignature`.
    pub digital_signature: bool,
    /// `nonRepudiation`, also called contentCommitment.
    pub content_commitment: bool,
    /// `keyCertSign`.
    pub key_cert_sign: bool,
    /// `cRLSign`.
    pub crl_sign: bool,
}

/// extKeyUsage (RFC 5280 §4.2.1.12).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtendedKeyUsage {
    /// Whether the extension is critical; of a timestamp authority it must be (RFC 3161 §2.3).
    pub critical: bool,
    /// The purposes, at least one.
    pub purposes: Vec<ObjectIdentifier>,
}

/// basicConstraints (RFC 5280 §4.2.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BasicConstraints {
    /// Whether the subject is a certificate authority.
    pub ca: bool,
    /// How many intermediates may follow.
    pub path_len: Option<u32>,
}

/// Where one extension stands in the certificate.
#[derive(Debug, Clone)]
pub(crate) struct Extension {
    pub(crate) oid: Range<usize>,
    pub(crate) critical: bool,
    pub(crate) value: Range<usize>,
    /// Whether path validation knows what it means; webpki decides for itself as well.
    pub(crate) known: bool,
}

/// All of them, typed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extensions {
    pub(crate) list: Vec<Extension>,
    pub(crate) subject_alt_names: Vec<SubjectAltName>,
    pub(crate) subject_alt_name_critical: bool,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) extended_key_usage: Option<ExtendedKeyUsage>,
    pub(crate) basic_constraints: Option<BasicConstraints>,
    pub(crate) subject_key_id: Option<Range<usize>>,
    pub(crate) authority_key_id: Option<Range<usize>>,
    pub(crate) name_constraints: Option<Range<usize>>,
    pub(crate) sct_list: Option<Range<usize>>,
    pub(crate) is_poisoned: bool,
    pub(crate) sigstore: Vec<(u8, Range<usize>)>,
}

/// Why extensions were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExtensionFault {
    NotDer,
    TooMany,
    Duplicate(ObjectIdentifier),
    Malformed(ObjectIdentifier),
}

impl From<NotDer> for ExtensionFault {
    fn from(_: NotDer) -> Self {
        Self::NotDer
    }
}

impl Extensions {
    /// Reads `Extensions`, a SEQUENCE; `locate` finds where a slice of it stands in the whole.
    pub(crate) fn parse(
        sequence: &Element<'_>,
        locate: impl Fn(&[u8]) -> Range<usize>,
    ) -> Result<Self, ExtensionFault> {
        let mut extensions = Self {
            list: Vec::with_capacity(CUSTOMARY_EXTENSIONS),
            sigstore: Vec::with_capacity(CUSTOMARY_EXTENSIONS),
            ..Self::default()
        };
        let mut seen: Vec<&[u8]> = Vec::with_capacity(CUSTOMARY_EXTENSIONS);
        let mut cursor = sequence.inside();
        if cursor.is_empty() {
            return Err(ExtensionFault::NotDer);
        }
        while !cursor.is_empty() {
            if seen.len() == MAX_EXTENSIONS {
                return Err(ExtensionFault::TooMany);
            }
            let mut fields = cursor.expect(SEQUENCE)?.inside();
            let oid = fields.expect(OID)?;
            let critical = match fields.optional(BOOLEAN)? {
                // DER never encodes a default (X.690 §11.5).
                Some(flag) => flag
                    .boolean()?
                    .then_some(true)
                    .ok_or(ExtensionFault::NotDer)?,
                None => false,
            };
            let value = fields.expect(OCTET_STRING)?.value;
            fields.finish()?;
            if !oid.is_oid() {
                return Err(ExtensionFault::NotDer);
            }
            // A second copy would be read by one verifier and not by the next (RFC 5280 §4.2).
            // Names of one arc differ in their last byte: that tells most of them apart.
            let same = |other: &&[u8]| other.last() == oid.value.last() && *other == oid.value;
            if seen.iter().any(same) {
                return Err(ExtensionFault::Duplicate(oid.oid()?));
            }
            seen.push(oid.value);
            let Ok(known) = extensions.read(oid.value, critical, value, &locate) else {
                return Err(ExtensionFault::Malformed(oid.oid()?));
            };
            extensions.list.push(Extension {
                oid: locate(oid.value),
                critical,
                value: locate(value),
                known,
            });
        }
        Ok(extensions)
    }

    fn read(
        &mut self,
        oid: &[u8],
        critical: bool,
        value: &[u8],
        locate: &impl Fn(&[u8]) -> Range<usize>,
    ) -> Result<bool, NotDer> {
        match oid {
            SUBJECT_KEY_IDENTIFIER => {
                let id = Element::only(value, OCTET_STRING)?;
                self.subject_key_id = Some(locate(id.value));
            }
            KEY_USAGE => self.key_usage = Some(parse_key_usage(value)?),
            SUBJECT_ALT_NAME => {
                self.subject_alt_names = parse_names(value)?;
                self.subject_alt_name_critical = critical;
            }
            BASIC_CONSTRAINTS => self.basic_constraints = Some(parse_basic_constraints(value)?),
            NAME_CONSTRAINTS => {
                let contents = Element::only(value, SEQUENCE)?;
                self.name_constraints = Some(locate(contents.value));
            }
            AUTHORITY_KEY_IDENTIFIER => {
                let mut fields = Element::only(value, SEQUENCE)?.inside();
                let id = fields.optional(context_primitive(0))?;
                self.authority_key_id = id.map(|id| locate(id.value));
            }
            EXTENDED_KEY_USAGE => {
                let purposes = parse_purposes(value)?;
                self.extended_key_usage = Some(ExtendedKeyUsage { critical, purposes });
            }
            SCT_LIST => {
                let list = Element::only(value, OCTET_STRING)?;
                self.sct_list = Some(locate(list.value));
                return Ok(false);
            }
            POISON => {
                // The value is fixed, and so is its criticality (RFC 6962 §3.1).
                if !critical || value != [5, 0] {
                    return Err(NotDer);
                }
                self.is_poisoned = true;
                return Ok(false);
            }
            _ => {
                if let Some([number]) = oid.strip_prefix(SIGSTORE)
                    && let Some(text) = parse_sigstore(*number, value)?
                {
                    self.sigstore.push((*number, locate(text.as_bytes())));
                }
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Numbers 1 to 6 are the bare text, 8 to 24 a UTF8String; .7 is a kind of name and others are
/// not defined (Fulcio's `oid-info`).
fn parse_sigstore(number: u8, value: &[u8]) -> Result<Option<&str>, NotDer> {
    match number {
        1..=6 => std::str::from_utf8(value).map(Some).map_err(|_| NotDer),
        8..=24 => Element::only(value, UTF8_STRING)?.text().map(Some),
        _ => Ok(None),
    }
}

fn parse_key_usage(value: &[u8]) -> Result<KeyUsage, NotDer> {
    let bits = Element::only(value, BIT_STRING)?;
    let (unused, bytes) = bits.value.split_first().ok_or(NotDer)?;
    // X.690 §11.2.2: a named bit list has no trailing zero bits; RFC 5280 wants at least one bit.
    let last = *bytes.last().ok_or(NotDer)?;
    if bytes.len() > 2 || *unused > 7 || last.trailing_zeros() != u32::from(*unused) {
        return Err(NotDer);
    }
    let first = *bytes.first().ok_or(NotDer)?;
    Ok(KeyUsage {
        digital_signature: first & 0x80 != 0,
        content_commitment: first & 0x40 != 0,
        key_cert_sign: first & 0x04 != 0,
        crl_sign: first & 0x02 != 0,
    })
}

fn parse_basic_constraints(value: &[u8]) -> Result<BasicConstraints, NotDer> {
    let mut fields = Element::only(value, SEQUENCE)?.inside();
    let ca = match fields.optional(BOOLEAN)? {
        // An encoded FALSE is not DER, and widespread; webpki accepts it too.
        Some(flag) => flag.boolean()?,
        None => false,
    };
    let path_len = fields
        .optional(INTEGER)?
        .map(|length| length.small())
        .transpose()?;
    fields.finish()?;
    Ok(BasicConstraints { ca, path_len })
}

fn parse_purposes(value: &[u8]) -> Result<Vec<ObjectIdentifier>, NotDer> {
    let mut cursor = Element::only(value, SEQUENCE)?.inside();
    let mut purposes = vec![cursor.expect(OID)?.oid()?];
    while !cursor.is_empty() {
        purposes.push(cursor.expect(OID)?.oid()?);
    }
    Ok(purposes)
}

fn parse_names(value: &[u8]) -> Result<Vec<SubjectAltName>, NotDer> {
    let mut cursor = Element::only(value, SEQUENCE)?.inside();
    let mut names = vec![parse_name(&cursor.next()?)?];
    while !cursor.is_empty() {
        names.push(parse_name(&cursor.next()?)?);
    }
    Ok(names)
}

fn parse_name(name: &Element<'_>) -> Result<SubjectAltName, NotDer> {
    let ascii = || match name.text() {
        Ok(text) if text.is_ascii() => Ok(text.to_owned()),
        _ => Err(NotDer),
    };
    match name.tag {
        0xa0 => other_name(name.inside()),
        0x81 => ascii().map(SubjectAltName::Email),
        0x82 => ascii().map(SubjectAltName::Dns),
        0x86 => ascii().map(SubjectAltName::Uri),
        0x87 => ip_address(name.value).map(SubjectAltName::Ip),
        0xa3 | 0xa4 | 0xa5 | 0x88 => Ok(SubjectAltName::Other {
            tag: name.tag & 0x1f,
        }),
        _ => Err(NotDer),
    }
}

fn ip_address(octets: &[u8]) -> Result<core::net::IpAddr, NotDer> {
    let v4 = <[u8; 4]>::try_from(octets).map(Into::into);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(Into::into))
        .map_err(|_| NotDer)
}

fn other_name(mut fields: Cursor<'_>) -> Result<SubjectAltName, NotDer> {
    let oid = fields.expect(OID)?;
    let value = fields.expect(context(0))?;
    fields.finish()?;
    let mut inner = value.inside();
    let text = inner.next()?;
    inner.finish()?;
    if text.tag != UTF8_STRING {
        return Ok(SubjectAltName::Other { tag: 0 });
    }
    Ok(SubjectAltName::OtherName {
        oid: oid.oid()?,
        value: text.text()?.to_owned(),
    })
}

#[cfg(test)]
mod tests;

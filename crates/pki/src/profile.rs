//! What a path that was looked for must satisfy beyond signatures, names and dates: the MUSTs of
//! RFC 5280 that rustls-webpki leaves open, and for TLS servers those of the CA/Browser Forum's
//! Baseline Requirements (BR).

use waxseal_crypto::PublicKey;

use crate::element::{Cursor, Element, NotDer, OID, SEQUENCE, context, context_primitive};
use crate::path::Purpose;
use crate::{Certificate, ObjectIdentifier, SubjectAltName};

/// The rule that a certificate of a path breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// The serial number is positive and has at most 20 octets (RFC 5280 §4.1.2.2).
    SerialNumber,
    /// The key is of a known kind and strength (BR §6.1.5).
    Key,
    /// An authority has a subject (RFC 5280 §4.1.2.6).
    Subject,
    /// A critical extension is known (RFC 5280 §4.2).
    CriticalExtension,
    /// An authority says that it is one, critically (RFC 5280 §4.2.1.9).
    BasicConstraints,
    /// An authority may sign certificates, and nobody else may (RFC 5280 §4.2.1.3).
    KeyUsage,
    /// An authority identifies its key, not critically (RFC 5280 §4.2.1.2).
    SubjectKeyIdentifier,
    /// A certificate identifies its issuer's key, not critically; a root names its own or none
    /// (RFC 5280 §4.2.1.1, BR §7.1.2.1.3).
    AuthorityKeyIdentifier,
    /// Name constraints are those of authorities, and constrain something (RFC 5280 §4.2.1.10).
    NameConstraints,
    /// Policy constraints are critical (RFC 5280 §4.2.1.11).
    PolicyConstraints,
    /// Authority information access is well formed (RFC 5280 §4.2.2.1).
    AuthorityInformationAccess,
    /// subjectAltName is critical exactly where the subject is empty (RFC 5280 §4.2.1.6, BR
    /// §7.1.2.7.12).
    SubjectAltName,
    /// A DNS name has no underscore (BR §7.1.4.2.1).
    DnsName,
    /// extKeyUsage of a server is not critical and not `any`, and its root has none (BR §7.1.2).
    ExtendedKeyUsage,
    /// More intermediates than the search allows.
    TooManyIntermediates,
}

const AUTHORITY_INFORMATION_ACCESS: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.1");
const POLICY_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.36");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const AUTHORITY_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// Checks the leaf.
pub(crate) fn check_leaf(leaf: &Certificate, purpose: Purpose) -> Result<(), Rule> {
    let server = purpose == Purpose::ServerAuth;
    let anonymous = leaf.subject().is_empty();
    let critical = leaf.is_subject_alt_name_critical();
    let names = leaf.subject_alt_names();
    let underscore =
        |name: &SubjectAltName| matches!(name, SubjectAltName::Dns(name) if name.contains('_'));
    let unsuitable = leaf
        .extended_key_usage()
        .is_some_and(|eku| eku.critical || eku.purposes.contains(&ANY_PURPOSE));
    check_any(leaf)?;
    check_serial(leaf)?;
    require(&[
        (
            Rule::KeyUsage,
            leaf.key_usage().is_none_or(|usage| !usage.key_cert_sign),
        ),
        (Rule::NameConstraints, leaf.name_constraints().is_none()),
        (
            Rule::AuthorityKeyIdentifier,
            leaf.authority_key_id().is_some(),
        ),
        (Rule::SubjectAltName, critical || !anonymous),
        (Rule::SubjectAltName, !(server && critical && !anonymous)),
        (Rule::DnsName, !(server && names.iter().any(underscore))),
        (Rule::ExtendedKeyUsage, !(server && unsuitable)),
    ])
}

/// Checks an authority; the last of a path is the anchor.
pub(crate) fn check_authority(
    authority: &Certificate,
    is_anchor: bool,
    purpose: Purpose,
) -> Result<(), Rule> {
    check_any(authority)?;
    // Anchors are trusted for their key and name; old ones have the serial number 0.
    if !is_anchor {
        check_serial(authority)?;
    }
    let is_root = is_anchor && authority.issuer() == authority.subject();
    let named_issuer_key = match authority.extension(AUTHORITY_KEY_IDENTIFIER) {
        None => is_anchor,
        Some(value) if is_root => {
            authority.authority_key_id() == authority.subject_key_id()
                && is_key_identifier_alone(value)
        }
        Some(_) => authority.authority_key_id().is_some(),
    };
    let critical = is_critical(authority, BASIC_CONSTRAINTS) == Some(true);
    let server = purpose == Purpose::ServerAuth;
    require(&[
        (Rule::Subject, !authority.subject().is_empty()),
        (Rule::BasicConstraints, authority.is_ca() && critical),
        (
            Rule::KeyUsage,
            authority
                .key_usage()
                .is_none_or(|usage| usage.key_cert_sign),
        ),
        (
            Rule::SubjectKeyIdentifier,
            authority.subject_key_id().is_some(),
        ),
        (Rule::AuthorityKeyIdentifier, named_issuer_key),
        (
            Rule::NameConstraints,
            authority
                .name_constraints()
                .is_none_or(constrains_something),
        ),
        (
            Rule::ExtendedKeyUsage,
            !(server && is_anchor && authority.extended_key_usage().is_some()),
        ),
    ])
}

/// Checks what holds for every certificate.
fn check_any(certificate: &Certificate) -> Result<(), Rule> {
    let critical = |oid| is_critical(certificate, oid);
    let access = certificate.extension(AUTHORITY_INFORMATION_ACCESS);
    require(&[
        (Rule::Key, certificate.public_key().is_ok_and(is_strong)),
        (
            Rule::CriticalExtension,
            certificate.unknown_critical_extension().is_none(),
        ),
        (
            Rule::SubjectKeyIdentifier,
            critical(SUBJECT_KEY_IDENTIFIER) != Some(true),
        ),
        (
            Rule::AuthorityKeyIdentifier,
            critical(AUTHORITY_KEY_IDENTIFIER) != Some(true),
        ),
        (
            Rule::PolicyConstraints,
            critical(POLICY_CONSTRAINTS) != Some(false),
        ),
        (
            Rule::AuthorityInformationAccess,
            access.is_none_or(is_access),
        ),
    ])
}

/// The first rule that does not hold.
fn require(rules: &[(Rule, bool)]) -> Result<(), Rule> {
    match rules.iter().find(|(_, holds)| !holds) {
        Some((rule, _)) => Err(*rule),
        None => Ok(()),
    }
}

fn check_serial(certificate: &Certificate) -> Result<(), Rule> {
    let magnitude = match certificate.serial() {
        [0, magnitude @ ..] => magnitude,
        [first, ..] if *first >= 0x80 => &[],
        magnitude => magnitude,
    };
    require(&[(Rule::SerialNumber, (1..=20).contains(&magnitude.len()))])
}

fn is_strong(key: &PublicKey) -> bool {
    key.rsa_bits()
        .is_none_or(|bits| bits >= 2048 && bits.is_multiple_of(8))
}

fn is_critical(certificate: &Certificate, wanted: ObjectIdentifier) -> Option<bool> {
    let mut extensions = certificate.extensions();
    extensions
        .find(|(oid, _, _)| *oid == wanted)
        .map(|(_, critical, _)| critical)
}

fn is_key_identifier_alone(value: &[u8]) -> bool {
    Element::only(value, SEQUENCE)
        .is_ok_and(|fields| Element::only(fields.value, context_primitive(0)).is_ok())
}

/// Whether permitted or excluded subtrees hold at least one name, and no DNS name begins with a
/// period: some verifiers take that for "subdomains alone" (RFC 5280 §4.2.1.10).
fn constrains_something(constraints: &[u8]) -> bool {
    let mut fields = Cursor::new(constraints);
    let mut parse = || {
        let mut names = 0;
        for tag in [context(0), context(1)] {
            let Some(subtrees) = fields.optional(tag)? else {
                continue;
            };
            let mut subtrees = subtrees.inside();
            while !subtrees.is_empty() {
                let base = subtrees.expect(SEQUENCE)?.inside().next()?;
                if base.tag == context_primitive(2) && base.value.starts_with(b".") {
                    return Err(NotDer);
                }
                names += 1;
            }
        }
        Ok(names)
    };
    parse().is_ok_and(|names| names > 0) && fields.is_empty()
}

fn is_access(value: &[u8]) -> bool {
    let parse = || {
        let mut list = Element::only(value, SEQUENCE)?.inside();
        list.expect(SEQUENCE)
            .and_then(|first| access_description(&first))?;
        while !list.is_empty() {
            list.expect(SEQUENCE)
                .and_then(|next| access_description(&next))?;
        }
        Ok::<_, NotDer>(())
    };
    parse().is_ok()
}

fn access_description(description: &Element<'_>) -> Result<(), NotDer> {
    let mut fields = description.inside();
    fields.expect(OID)?;
    let location = fields.next()?;
    fields.finish()?;
    // A GeneralName, the choice of which is up to the method.
    if location.tag & 0xc0 == 0x80 {
        Ok(())
    } else {
        Err(NotDer)
    }
}

#[cfg(test)]
mod tests;

//! What goes into certificates: subjects, validity, extensions (RFC 5280 §4.2).

use std::time::Duration;

use waxseal_crypto::{PublicKey, Time, sha256};
use waxseal_pki::encoding::{
    BIT_STRING, BOOLEAN, INTEGER, OCTET_STRING, SEQUENCE, SET, UTF8_STRING, context_primitive,
    element, object_identifier,
};
use waxseal_pki::{ObjectIdentifier, Purpose};

use crate::IssueError;

/// The subject of an authority: one common name and exactly one organization (`gh` wants one).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    common_name: String,
    organization: String,
}

impl Subject {
    /// A subject.
    pub fn new(common_name: &str, organization: &str) -> Self {
        Self {
            common_name: common_name.to_owned(),
            organization: organization.to_owned(),
        }
    }

    /// `O=organization, CN=common name`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let attribute = |oid: &str, text: &str| {
            let text = element(UTF8_STRING, &[text]);
            let pair = element(SEQUENCE, &[object_identifier(oid_of(oid)), text]);
            element(SET, &[pair])
        };
        let organization = attribute("2.5.4.10", &self.organization);
        let common_name = attribute("2.5.4.3", &self.common_name);
        element(SEQUENCE, &[organization, common_name])
    }
}

/// From when to when a certificate is valid, whole seconds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
}

impl Validity {
    /// From one time to another; fractions of a second are dropped.
    ///
    /// # Errors
    /// [`IssueError::Validity`] if the end is before the beginning.
    pub fn new(not_before: Time, not_after: Time) -> Result<Self, IssueError> {
        let (not_before, not_after) = (
            not_before.truncated_to_second(),
            not_after.truncated_to_second(),
        );
        if not_before > not_after {
            return Err(IssueError::Validity);
        }
        Ok(Self {
            not_before,
            not_after,
        })
    }

    /// From a time on, for so long.
    ///
    /// # Errors
    /// [`IssueError::Validity`] if that goes past year 9999.
    pub fn starting(not_before: Time, lifetime: Duration) -> Result<Self, IssueError> {
        let end = not_before
            .checked_add(lifetime)
            .ok_or(IssueError::Validity)?;
        Self::new(not_before, end)
    }

    /// The first second.
    pub const fn not_before(&self) -> Time {
        self.not_before
    }

    /// The last second.
    pub const fn not_after(&self) -> Time {
        self.not_after
    }
}

#[expect(
    clippy::expect_used,
    reason = "called with literals of this crate only"
)]
pub(crate) fn oid_of(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new(text).expect("a literal object identifier")
}

/// One extension.
pub(crate) fn extension(oid: ObjectIdentifier, critical: bool, value: &[u8]) -> Vec<u8> {
    let mut parts = vec![object_identifier(oid)];
    if critical {
        parts.push(element(BOOLEAN, &[[0xff]]));
    }
    parts.push(element(OCTET_STRING, &[value]));
    element(SEQUENCE, &parts)
}

/// keyUsage for authorities: keyCertSign and cRLSign.
pub(crate) fn authority_key_usage() -> Vec<u8> {
    extension(
        oid_of("2.5.29.15"),
        true,
        &element(BIT_STRING, &[[0x01, 0x06]]),
    )
}

/// keyUsage for leaves: digitalSignature.
pub(crate) fn leaf_key_usage() -> Vec<u8> {
    extension(
        oid_of("2.5.29.15"),
        true,
        &element(BIT_STRING, &[[0x07, 0x80]]),
    )
}

/// extKeyUsage with one purpose.
pub(crate) fn extended_key_usage(purpose: Purpose, critical: bool) -> Vec<u8> {
    let value = element(SEQUENCE, &[object_identifier(purpose.oid())]);
    extension(oid_of("2.5.29.37"), critical, &value)
}

/// basicConstraints of an authority.
pub(crate) fn basic_constraints(path_len: Option<u8>) -> Vec<u8> {
    let mut parts = vec![element(BOOLEAN, &[[0xff]])];
    parts.extend(path_len.map(|length| element(INTEGER, &[[length & 0x7f]])));
    extension(oid_of("2.5.29.19"), true, &element(SEQUENCE, &parts))
}

/// The identifier of a key: the first 160 bits of SHA-256 over the BIT STRING's contents
/// (RFC 7093 §2, method 1).
pub(crate) fn key_identifier(key: &PublicKey) -> [u8; 20] {
    let digest = sha256(key.key_bytes());
    let mut id = [0; 20];
    for (to, from) in id.iter_mut().zip(digest) {
        *to = from;
    }
    id
}

/// subjectKeyIdentifier.
pub(crate) fn subject_key_identifier(key: &PublicKey) -> Vec<u8> {
    extension(
        oid_of("2.5.29.14"),
        false,
        &element(OCTET_STRING, &[key_identifier(key)]),
    )
}

/// authorityKeyIdentifier: the issuer's key identifier alone.
pub(crate) fn authority_key_identifier(issuer_id: &[u8]) -> Vec<u8> {
    let value = element(SEQUENCE, &[element(context_primitive(0), &[issuer_id])]);
    extension(oid_of("2.5.29.35"), false, &value)
}

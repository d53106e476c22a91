//! The TBSCertificate that a log signed, cut out of the certificate's own bytes (RFC 6962 §3.2).
//!
//! Nothing is decoded and encoded again: one extension is cut out and the lengths around it are
//! rewritten, so that every other byte stays what the authority wrote.

use crate::element::{self, Element, OID, SEQUENCE, context};
use crate::extension::{POISON, SCT_LIST};

/// Why no log input can be made of a TBSCertificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpliceError {
    /// Not the strict DER of a TBSCertificate.
    #[error("not the strict DER of a TBSCertificate")]
    Malformed,
    /// The extension to cut out is not there.
    #[error("the certificate does not have the extension that is to be cut out")]
    Missing,
    /// The extension to cut out is there twice.
    #[error("the certificate has the extension that is to be cut out twice")]
    Duplicate,
}

impl From<element::NotDer> for SpliceError {
    fn from(_: element::NotDer) -> Self {
        Self::Malformed
    }
}

/// The TBS of a final certificate without its SCT list: what the log signed.
///
/// # Errors
/// [`SpliceError`].
pub fn tbs_without_scts(tbs: &[u8]) -> Result<Vec<u8>, SpliceError> {
    cut(tbs, SCT_LIST)
}

/// The TBS of a precertificate without its poison: what the log signs.
///
/// # Errors
/// [`SpliceError`].
pub fn tbs_without_poison(tbs: &[u8]) -> Result<Vec<u8>, SpliceError> {
    cut(tbs, POISON)
}

fn cut(tbs: &[u8], oid: &[u8]) -> Result<Vec<u8>, SpliceError> {
    let whole = Element::only(tbs, SEQUENCE)?;
    let mut fields = whole.inside();
    let explicit = loop {
        let rest = fields.rest();
        let field = fields.next()?;
        if field.tag == context(3) {
            let (head, _) = whole.value.split_at(whole.value.len() - rest.len());
            break (head, field);
        }
    };
    fields.finish()?;
    let (head, explicit) = explicit;
    let sequence = Element::only(explicit.value, SEQUENCE)?;

    let mut cursor = sequence.inside();
    let mut found = None;
    while !cursor.is_empty() {
        let before = cursor.rest();
        let extension = cursor.expect(SEQUENCE)?;
        if extension.inside().expect(OID)?.value == oid {
            if found.is_some() {
                return Err(SpliceError::Duplicate);
            }
            found = Some((before, extension));
        }
    }
    let (before, extension) = found.ok_or(SpliceError::Missing)?;
    let (left, _) = sequence.value.split_at(sequence.value.len() - before.len());
    let (_, right) = before.split_at(extension.raw.len());

    if left.is_empty() && right.is_empty() {
        // An empty Extensions is not allowed (RFC 5280 §4.1): the field goes away.
        return Ok(element::encode(SEQUENCE, &[head]));
    }
    let extensions = element::encode(context(3), &[element::encode(SEQUENCE, &[left, right])]);
    Ok(element::encode(SEQUENCE, &[head, &extensions]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::{OCTET_STRING, encode};
    use proptest::prelude::{any, prop, proptest};

    fn extension(oid: &[u8], value: &[u8]) -> Vec<u8> {
        encode(
            SEQUENCE,
            &[encode(OID, &[oid]), encode(OCTET_STRING, &[value])],
        )
    }

    fn tbs(extensions: &[Vec<u8>]) -> Vec<u8> {
        let list = encode(context(3), &[encode(SEQUENCE, extensions)]);
        encode(SEQUENCE, &[encode(2, &[[7]]), list])
    }

    proptest! {
        #[test]
        fn poison_and_scts_leave_the_same_bytes(
            others in prop::collection::vec((1u8..60, prop::collection::vec(any::<u8>(), 0..90)), 0..9),
            scts in prop::collection::vec(any::<u8>(), 0..300),
            at in 0usize..9,
        ) {
            let mut list: Vec<_> =
                others.iter().map(|(n, value)| extension(&[0x55, 0x1d, *n], value)).collect();
            let plain = if list.is_empty() {
                encode(SEQUENCE, &[encode(2, &[[7]])])
            } else {
                tbs(&list)
            };
            let at = at.min(list.len());
            list.insert(at, extension(POISON, &[5, 0]));
            assert_eq!(tbs_without_poison(&tbs(&list)), Ok(plain.clone()));
            list[at] = extension(SCT_LIST, &scts);
            assert_eq!(tbs_without_scts(&tbs(&list)), Ok(plain));
        }
    }

    #[test]
    fn malformed() {
        for bytes in [&[][..], &[0x30, 0], &[0x30, 2, 0xa3, 0], &[0x30, 0x81, 0]] {
            assert_eq!(tbs_without_scts(bytes), Err(SpliceError::Malformed));
        }
    }

    #[test]
    fn missing() {
        let tbs = tbs(&[extension(POISON, &[5, 0])]);
        assert_eq!(tbs_without_scts(&tbs), Err(SpliceError::Missing));
    }

    #[test]
    fn duplicate() {
        let poison = extension(POISON, &[5, 0]);
        let tbs = tbs(&[poison.clone(), poison]);
        assert_eq!(tbs_without_poison(&tbs), Err(SpliceError::Duplicate));
    }
}

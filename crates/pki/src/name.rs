//! Distinguished names (RFC 5280 §4.1.2.4): compared as bytes, read for their text.

use crate::element::{
    Cursor, Element, IA5_STRING, NotDer, OID, PRINTABLE_STRING, SEQUENCE, SET, UTF8_STRING,
};

/// `id-at-commonName`, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// `id-at-organizationName`, 2.5.4.10.
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

/// The bytes of a distinguished name, shape-checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    raw: &'a [u8],
}

impl<'a> Name<'a> {
    pub(crate) const fn new(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// The DER SEQUENCE. Names are equal when these bytes are: RFC 5280 §7.1 allows comparison
    /// after normalisation too, and no verifier of Sigstore does that.
    pub const fn der(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether there is no attribute at all, as in the subject of a leaf of Sigstore.
    pub fn is_empty(&self) -> bool {
        Element::only(self.raw, SEQUENCE).is_ok_and(|name| name.value.is_empty())
    }

    /// The first common name, if it is text.
    pub fn common_name(&self) -> Option<&'a str> {
        self.attributes(COMMON_NAME).next()
    }

    /// The organizations; `gh` wants exactly one in an issuer.
    pub fn organizations(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.attributes(ORGANIZATION)
    }

    fn attributes(&self, wanted: &'static [u8]) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut names = Element::only(self.raw, SEQUENCE)
            .map(|name| name.inside())
            .ok();
        let mut set = Cursor::new(&[]);
        std::iter::from_fn(move || {
            loop {
                if set.is_empty() {
                    set = names.as_mut()?.expect(SET).ok()?.inside();
                }
                let (oid, value) = attribute(&mut set).ok()?;
                if oid == wanted
                    && matches!(value.tag, UTF8_STRING | PRINTABLE_STRING | IA5_STRING)
                    && let Ok(text) = value.text()
                {
                    return Some(text);
                }
            }
        })
    }
}

fn attribute<'a>(set: &mut Cursor<'a>) -> Result<(&'a [u8], Element<'a>), NotDer> {
    let mut pair = set.expect(SEQUENCE)?.inside();
    let oid = pair.expect(OID)?;
    let value = pair.next()?;
    pair.finish()?;
    Ok((oid.value, value))
}

/// Checks the shape: a SEQUENCE of non-empty SETs of pairs.
pub(crate) fn check(name: &Element<'_>) -> Result<(), NotDer> {
    let mut sets = name.inside();
    while !sets.is_empty() {
        let mut set = sets.expect(SET)?.inside();
        attribute(&mut set)?;
        while !set.is_empty() {
            attribute(&mut set)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found() {
        use crate::element::encode;
        let pair = |oid: &[u8], tag: u8, text: &[u8]| {
            encode(SEQUENCE, &[encode(OID, &[oid]), encode(tag, &[text])])
        };
        let one = encode(SET, &[pair(ORGANIZATION, PRINTABLE_STRING, b"a")]);
        let two = encode(
            SET,
            &[
                pair(COMMON_NAME, UTF8_STRING, "ç".as_bytes()),
                pair(ORGANIZATION, 12, b"b"),
            ],
        );
        let raw = encode(SEQUENCE, &[one, two]);
        assert_eq!(check(&Element::only(&raw, SEQUENCE).unwrap()), Ok(()));
        let name = Name::new(&raw);
        assert!(!name.is_empty());
        assert_eq!(name.common_name(), Some("ç"));
        assert_eq!(name.organizations().collect::<Vec<_>>(), ["a", "b"]);
        let empty = Name::new(&[0x30, 0]);
        assert!(empty.is_empty());
        assert_eq!(empty.common_name(), None);
        assert_eq!(
            check(&Element::only(&[0x30, 2, 0x31, 0], SEQUENCE).unwrap()),
            Err(NotDer)
        );
    }
}

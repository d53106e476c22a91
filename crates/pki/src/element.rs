//! Strict DER (X.690 §10, §11), one element at a time: no recursion, no allocation, no panic.
//!
//! Every element keeps the exact bytes it was read from, because signatures and Certificate
//! Transparency are made over bytes and not over values.

use der::asn1::ObjectIdentifier;
use waxseal_crypto::Time;

/// Bytes that are not strict DER, or not the element that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotDer;

pub(crate) type Result<T> = std::result::Result<T, NotDer>;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const IA5_STRING: u8 = 0x16;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// A context-specific constructed tag, `[number]`, as of EXPLICIT.
pub(crate) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// A context-specific primitive tag, as of IMPLICIT on a string.
pub(crate) const fn context_primitive(number: u8) -> u8 {
    0x80 | number
}

/// One element: its tag, its contents, and all its bytes (header included).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) value: &'a [u8],
    pub(crate) raw: &'a [u8],
}

impl<'a> Element<'a> {
    /// The one element that fills `bytes`.
    pub(crate) fn only(bytes: &'a [u8], tag: u8) -> Result<Self> {
        let mut cursor = Cursor::new(bytes);
        let element = cursor.expect(tag)?;
        cursor.finish()?;
        Ok(element)
    }

    /// A cursor over the contents.
    pub(crate) const fn inside(&self) -> Cursor<'a> {
        Cursor::new(self.value)
    }

    /// The contents as an object identifier.
    pub(crate) fn oid(&self) -> Result<ObjectIdentifier> {
        ObjectIdentifier::from_bytes(self.value).map_err(|_| NotDer)
    }

    /// Whether the contents are those of an OBJECT IDENTIFIER that [`Self::oid`] reads. A
    /// certificate names some thirty of them: most need no more than to be compared.
    pub(crate) fn is_oid(&self) -> bool {
        // Arcs of up to four octets are small enough without being decoded; the first octet holds
        // two arcs.
        if self.value.first().is_none_or(|first| *first >= 3 * 40) {
            return self.oid().is_ok();
        }
        let mut length = 0;
        for byte in self.value {
            if (length == 0 && *byte == 0x80) || length == 4 {
                return self.oid().is_ok();
            }
            length = if *byte < 0x80 { 0 } else { length + 1 };
        }
        let longest = ObjectIdentifier::MAX_SIZE;
        length == 0 && (1..=longest).contains(&self.value.len())
    }

    /// The contents as a BOOLEAN (X.690 §11.1: TRUE is 0xff).
    pub(crate) fn boolean(&self) -> Result<bool> {
        match self.value {
            [0] => Ok(false),
            [0xff] => Ok(true),
            _ => Err(NotDer),
        }
    }

    /// The contents of a BIT STRING without unused bits.
    pub(crate) fn whole_bits(&self) -> Result<&'a [u8]> {
        match self.value.split_first() {
            Some((0, bytes)) => Ok(bytes),
            _ => Err(NotDer),
        }
    }

    /// The contents of an INTEGER: two's complement, shortest form, of any sign and length.
    pub(crate) fn integer(&self) -> Result<&'a [u8]> {
        match self.value {
            [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => Err(NotDer),
            value => Ok(value),
        }
    }

    /// A small non-negative INTEGER.
    pub(crate) fn small(&self) -> Result<u32> {
        let bytes = match self.integer()? {
            [0, rest @ ..] => rest,
            [0x80..=0xff, ..] => return Err(NotDer),
            bytes => bytes,
        };
        if bytes.len() > 4 {
            return Err(NotDer);
        }
        Ok(bytes.iter().fold(0, |n, byte| (n << 8) | u32::from(*byte)))
    }

    /// The text of a character string.
    pub(crate) fn text(&self) -> Result<&'a str> {
        std::str::from_utf8(self.value).map_err(|_| NotDer)
    }

    /// A UTCTime or GeneralizedTime of RFC 5280 §4.1.2.5: seconds, `Z`, no fraction.
    pub(crate) fn time(&self) -> Result<Time> {
        match (self.tag, self.value) {
            (UTC_TIME, [y1, y2, rest @ ..]) => {
                let year = digits(&[*y1, *y2])?;
                let year = if year < 50 { 2000 + year } else { 1900 + year };
                civil(year, rest)
            }
            (GENERALIZED_TIME, [y1, y2, y3, y4, rest @ ..]) => {
                civil(digits(&[*y1, *y2, *y3, *y4])?, rest)
            }
            _ => Err(NotDer),
        }
    }

    /// The GeneralizedTime of RFC 3161 §2.4.2: `Z`, and a fraction without trailing zeros.
    /// Fractions finer than a nanosecond are refused.
    pub(crate) fn fractional_time(&self) -> Result<Time> {
        let [y1, y2, y3, y4, rest @ ..] = self.value else {
            return Err(NotDer);
        };
        let year = digits(&[*y1, *y2, *y3, *y4])?;
        let (whole, fraction) = rest.split_at_checked(10).ok_or(NotDer)?;
        let time = civil(year, &[whole, b"Z"].concat())?;
        let fraction = match fraction {
            b"Z" => return Ok(time),
            [b'.', fraction @ .., b'Z'] => fraction,
            _ => return Err(NotDer),
        };
        if fraction.is_empty() || fraction.len() > 9 || fraction.last() == Some(&b'0') {
            return Err(NotDer);
        }
        let mut nanos = digits(fraction)?;
        for _ in fraction.len()..9 {
            nanos *= 10;
        }
        Time::new(time.unix_seconds(), nanos).map_err(|_| NotDer)
    }
}

fn civil(year: u32, rest: &[u8]) -> Result<Time> {
    let [m1, m2, d1, d2, h1, h2, i1, i2, s1, s2, b'Z'] = rest else {
        return Err(NotDer);
    };
    Time::from_civil(
        i64::from(year),
        digits(&[*m1, *m2])?,
        digits(&[*d1, *d2])?,
        digits(&[*h1, *h2])?,
        digits(&[*i1, *i2])?,
        digits(&[*s1, *s2])?,
    )
    .map_err(|_| NotDer)
}

fn digits(text: &[u8]) -> Result<u32> {
    text.iter().try_fold(0u32, |n, byte| match byte {
        b'0'..=b'9' => Ok(n * 10 + u32::from(byte - b'0')),
        _ => Err(NotDer),
    })
}

/// Reads elements one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next element, whatever it is.
    pub(crate) fn next(&mut self) -> Result<Element<'a>> {
        let (tag, first, after) = match self.rest {
            // Tags beyond 30 take more octets; nothing that we read has one.
            [tag, ..] if tag & 0x1f == 0x1f => return Err(NotDer),
            [tag, first, after @ ..] => (*tag, *first, after),
            _ => return Err(NotDer),
        };
        let (length, after) = match (first, after) {
            (0..=0x7f, after) => (usize::from(first), after),
            (0x81, [a @ 0x80..=0xff, after @ ..]) => (usize::from(*a), after),
            (0x82, [a @ 1..=0xff, b, after @ ..]) => {
                (usize::from(u16::from_be_bytes([*a, *b])), after)
            }
            (0x83, [a @ 1..=0xff, b, c, after @ ..]) => {
                let length = u32::from_be_bytes([0, *a, *b, *c]);
                (usize::try_from(length).map_err(|_| NotDer)?, after)
            }
            _ => return Err(NotDer),
        };
        let (value, rest) = after.split_at_checked(length).ok_or(NotDer)?;
        let (raw, _) = self.rest.split_at(self.rest.len() - rest.len());
        self.rest = rest;
        Ok(Element { tag, value, raw })
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>> {
        let element = self.next()?;
        if element.tag == tag {
            Ok(element)
        } else {
            Err(NotDer)
        }
    }

    /// The next element, if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>> {
        if self.rest.first() == Some(&tag) {
            self.next().map(Some)
        } else {
            Ok(None)
        }
    }

    /// Nothing may be left.
    pub(crate) const fn finish(self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(NotDer)
        }
    }
}

/// Appends the header of an element of this length: tag and shortest length.
fn push_header(out: &mut Vec<u8>, tag: u8, length: usize) {
    let octets = length.to_be_bytes();
    let significant = match octets.iter().position(|octet| *octet != 0) {
        Some(start) => octets.get(start..).unwrap_or_default(),
        None => &[],
    };
    match (significant, u8::try_from(significant.len())) {
        ([], _) => out.extend([tag, 0]),
        ([short @ 0..=0x7f], _) => out.extend([tag, *short]),
        (long, count) => {
            out.extend([tag, 0x80 | count.unwrap_or(8)]);
            out.extend_from_slice(long);
        }
    }
}

/// Tag, length of the length, and eight octets of length.
const MAX_HEADER: usize = 10;

/// Encodes an element whose contents are these parts, one after the other.
pub(crate) fn encode<P: AsRef<[u8]>>(tag: u8, parts: &[P]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.as_ref().len()).sum();
    let mut out = Vec::with_capacity(length + MAX_HEADER);
    push_header(&mut out, tag, length);
    for part in parts {
        out.extend_from_slice(part.as_ref());
    }
    out
}

/// Encodes an object identifier.
pub(crate) fn encode_oid(oid: ObjectIdentifier) -> Vec<u8> {
    encode(OID, &[oid.as_bytes()])
}

/// Encodes a non-negative INTEGER from its big-endian magnitude.
pub(crate) fn encode_unsigned(magnitude: &[u8]) -> Vec<u8> {
    let start = magnitude
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(magnitude.len());
    let digits = magnitude.get(start..).unwrap_or_default();
    match digits.first() {
        None => encode(INTEGER, &[[0]]),
        Some(0x80..) => encode(INTEGER, &[&[0], digits]),
        Some(_) => encode(INTEGER, &[digits]),
    }
}

/// The text of a GeneralizedTime: seconds, `Z`, no fraction.
pub(crate) fn generalized_time(time: Time) -> String {
    let (year, month, day, hour, minute, second) = time.to_civil();
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z")
}

/// UTCTime from 1950 to 2049, else GeneralizedTime (RFC 5280 §4.1.2.5, RFC 5652 §11.3).
pub(crate) fn encode_time(time: Time) -> Vec<u8> {
    let text = generalized_time(time);
    match time.to_civil().0 {
        1950..=2049 => encode(UTC_TIME, &[text.get(2..).unwrap_or_default()]),
        _ => encode(GENERALIZED_TIME, &[text]),
    }
}

/// Encodes a SET OF: its members in ascending order of their encodings (X.690 §11.6).
pub(crate) fn encode_set_of(mut members: Vec<Vec<u8>>) -> Vec<u8> {
    members.sort();
    encode(SET, &members)
}

/// Whether the members of a SET OF stand in ascending order; the attributes of a signature that
/// are not could be read in one order and signed in another (V-63).
pub(crate) fn is_set_of(contents: &[u8]) -> bool {
    let mut cursor = Cursor::new(contents);
    let mut last: &[u8] = &[];
    while !cursor.is_empty() {
        match cursor.next() {
            Ok(element) if element.raw >= last => last = element.raw,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests;

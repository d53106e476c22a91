//! The two encodings of an ECDSA signature: DER (RFC 3279 §2.2.3) and fixed r‖s (RFC 7518 §3.4).

use der::asn1::UintRef;
use der::{Decode as _, Encode as _, Reader as _, SliceReader};

use crate::KeyKind;
use crate::key::tlv;

/// A signature that is not in the form, or not of the length, that its curve demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ECDSA signature has the wrong length or form for its curve")]
pub struct EcdsaFormError;

/// Bytes of one coordinate: r and s are as long as the curve's order.
const fn scalar_len(kind: KeyKind) -> Option<usize> {
    match kind {
        KeyKind::P256 => Some(32),
        KeyKind::P384 => Some(48),
        KeyKind::P521 => Some(66),
        _ => None,
    }
}

/// The DER form of a fixed r‖s signature; zero values are left to the verifier to refuse.
///
/// # Errors
/// [`EcdsaFormError`] if the length is not twice that of the curve's order.
pub fn ecdsa_der_from_fixed(kind: KeyKind, fixed: &[u8]) -> Result<Vec<u8>, EcdsaFormError> {
    let length = scalar_len(kind).ok_or(EcdsaFormError)?;
    if fixed.len() != 2 * length {
        return Err(EcdsaFormError);
    }
    let (r, s) = fixed.split_at_checked(length).ok_or(EcdsaFormError)?;
    let integer = |bytes| {
        let integer = UintRef::new(bytes).and_then(|integer| integer.to_der());
        integer.map_err(|_| EcdsaFormError)
    };
    Ok(tlv(0x30, &[integer(r)?, integer(s)?].concat()))
}

/// The fixed r‖s form of a DER signature.
///
/// # Errors
/// [`EcdsaFormError`] if it is not strict DER, or a value is longer than the curve's order.
pub fn ecdsa_fixed_from_der(kind: KeyKind, der: &[u8]) -> Result<Vec<u8>, EcdsaFormError> {
    let length = scalar_len(kind).ok_or(EcdsaFormError)?;
    let parse = || {
        let mut reader = SliceReader::new(der)?;
        let parts = reader.sequence(|reader| {
            Ok::<_, der::Error>((UintRef::decode(reader)?, UintRef::decode(reader)?))
        })?;
        reader.finish()?;
        Ok::<_, der::Error>(parts)
    };
    let (r, s) = parse().map_err(|_| EcdsaFormError)?;
    let mut fixed = Vec::with_capacity(2 * length);
    for value in [r.as_bytes(), s.as_bytes()] {
        let padding = length.checked_sub(value.len()).ok_or(EcdsaFormError)?;
        fixed.resize(fixed.len() + padding, 0);
        fixed.extend(value);
    }
    Ok(fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_round_trip() {
        for (kind, length) in [
            (KeyKind::P256, 32),
            (KeyKind::P384, 48),
            (KeyKind::P521, 66),
        ] {
            for (first, last) in [(0, 1), (1, 0), (0x7f, 0xff), (0x80, 0), (0xff, 0xff)] {
                let mut fixed = vec![first; 2 * length];
                fixed[2 * length - 1] = last;
                let der = ecdsa_der_from_fixed(kind, &fixed).unwrap();
                assert_eq!(ecdsa_fixed_from_der(kind, &der), Ok(fixed));
            }
        }
    }

    #[test]
    fn ecdsa_form_error() {
        let check = |kind, length| {
            assert_eq!(
                ecdsa_der_from_fixed(kind, &vec![1; length]),
                Err(EcdsaFormError)
            );
        };
        check(KeyKind::P256, 63);
        check(KeyKind::P256, 65);
        check(KeyKind::P384, 64);
        check(KeyKind::Rsa, 64);
        let good = ecdsa_der_from_fixed(KeyKind::P256, &[1; 64]).unwrap();
        for der in [&good[1..], &[&good[..], &[0]].concat(), &[0x30, 0], &[]] {
            assert_eq!(
                ecdsa_fixed_from_der(KeyKind::P256, der),
                Err(EcdsaFormError)
            );
        }
        let long = ecdsa_der_from_fixed(KeyKind::P384, &[1; 96]).unwrap();
        assert_eq!(
            ecdsa_fixed_from_der(KeyKind::P256, &long),
            Err(EcdsaFormError)
        );
    }
}

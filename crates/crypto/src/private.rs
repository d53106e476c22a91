//! Private keys as PKCS#8 (RFC 5958): held, zeroized, never printed.

use std::fmt;

use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode as _, Reader as _, SliceReader};
use zeroize::Zeroizing;

use crate::key::kind_of;
use crate::{KeyError, KeyKind, Pem, PemError, RandomError, SignatureAlgorithm};

/// A private key in PKCS#8 DER. Its bytes are wiped on drop and never shown by `Debug`.
#[derive(Clone)]
pub struct PrivateKey {
    pkcs8: Zeroizing<Vec<u8>>,
}

/// Why a private key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateKeyError {
    /// The text is not one PEM block.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The block is a private key in another container.
    #[error(
        "the private key is in a {label:?} block, expected \"PRIVATE KEY\" (PKCS#8); convert it \
         with: openssl pkcs8 -topk8 -nocrypt -in KEY"
    )]
    NotPkcs8 {
        /// The label found.
        label: String,
    },
    /// The bytes are not a PKCS#8 key of the algorithm, or its public half does not belong to it.
    #[error("the private key is malformed, or not a key for {algorithm:?}")]
    Malformed {
        /// The algorithm it was opened for.
        algorithm: SignatureAlgorithm,
    },
    /// The provider does not sign with the algorithm.
    #[error("this provider does not sign with {algorithm:?}")]
    Unsupported {
        /// The algorithm.
        algorithm: SignatureAlgorithm,
    },
    /// Randomness failed while a key was made.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl PrivateKey {
    /// Wraps PKCS#8 DER; it is parsed when a provider opens it.
    pub fn from_pkcs8_der(pkcs8: Vec<u8>) -> Self {
        Self {
            pkcs8: Zeroizing::new(pkcs8),
        }
    }

    /// Reads a PEM block `PRIVATE KEY`.
    ///
    /// # Errors
    /// [`PrivateKeyError::Pem`] or [`PrivateKeyError::NotPkcs8`].
    pub fn from_pem(text: &str) -> Result<Self, PrivateKeyError> {
        let block = Pem::parse(text)?;
        if block.label == "PRIVATE KEY" {
            Ok(Self::from_pkcs8_der(block.der))
        } else {
            Err(PrivateKeyError::NotPkcs8 { label: block.label })
        }
    }

    /// The kind of key in the PKCS#8 envelope, versions 1 and 2; the key itself is not looked at.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] (bytes after the envelope included), [`KeyError::UnknownKind`] or
    /// [`KeyError::BadParameters`].
    pub fn kind(&self) -> Result<KeyKind, KeyError> {
        let (oid, parameters) = parse_envelope(&self.pkcs8).map_err(|_| KeyError::Malformed)?;
        kind_of(oid, parameters)
    }

    /// The PKCS#8 DER.
    pub fn pkcs8_der(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The PEM form, `PRIVATE KEY`, in memory that is wiped.
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(Pem::new("PRIVATE KEY", &self.pkcs8).encode())
    }
}

/// `OneAsymmetricKey` (RFC 5958 §2): version, algorithm, key, `[0]` attributes, `[1]` public key.
fn parse_envelope(pkcs8: &[u8]) -> der::Result<(ObjectIdentifier, Option<AnyRef<'_>>)> {
    let mut reader = SliceReader::new(pkcs8)?;
    let algorithm = reader.sequence(|reader| {
        u8::decode(reader)?;
        let algorithm = reader.sequence(|reader| {
            Ok::<_, der::Error>((
                ObjectIdentifier::decode(reader)?,
                Option::<AnyRef<'_>>::decode(reader)?,
            ))
        })?;
        <&OctetStringRef>::decode(reader)?;
        while !reader.is_finished() {
            AnyRef::decode(reader)?;
        }
        Ok::<_, der::Error>(algorithm)
    })?;
    reader.finish()?;
    Ok(algorithm)
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_redacted() {
        let key = PrivateKey::from_pkcs8_der(b"CANARYSECRET".to_vec());
        assert_eq!(format!("{key:?}"), "PrivateKey(redacted)");
    }

    #[test]
    fn not_pkcs8() {
        let text = Pem::new("EC PRIVATE KEY", b"x").encode();
        let label = "EC PRIVATE KEY".to_owned();
        assert_eq!(
            PrivateKey::from_pem(&text).unwrap_err(),
            PrivateKeyError::NotPkcs8 { label }
        );
    }

    #[test]
    fn kind() {
        // RFC 8410 §10.3: version 1, and version 2 with an attribute and the public half.
        const V1: [u8; 16] = [
            0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
        ];
        let envelope = |version: u8, tail: &[u8]| {
            let mut der = [&V1[..], &[7; 32], tail].concat();
            der[1] += u8::try_from(tail.len()).unwrap();
            der[4] = version;
            der
        };
        let check = |der: Vec<u8>, expected| {
            assert_eq!(PrivateKey::from_pkcs8_der(der).kind(), expected);
        };
        check(envelope(0, &[]), Ok(KeyKind::Ed25519));
        check(envelope(1, &[0xa0, 0, 0x81, 1, 0]), Ok(KeyKind::Ed25519));
        check(
            [envelope(0, &[]), vec![0]].concat(),
            Err(KeyError::Malformed),
        );
        let good = envelope(0, &[]);
        for cut in 0..good.len() {
            check(good[..cut].to_vec(), Err(KeyError::Malformed));
        }
        let mut x25519 = good;
        x25519[11] = 0x6e;
        let oid = "1.3.101.110".to_owned();
        check(x25519, Err(KeyError::UnknownKind { oid }));
    }

    #[test]
    fn round_trip() {
        let key = PrivateKey::from_pkcs8_der(b"bytes".to_vec());
        assert_eq!(
            PrivateKey::from_pem(&key.to_pem()).unwrap().pkcs8_der(),
            b"bytes"
        );
    }
}

//! Public keys: strict SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) and nothing else.

use std::fmt;

use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use der::{Decode as _, Encode as _, Reader as _, SliceReader, Tag, Tagged as _};

use crate::{Pem, PemError, sha256};

/// The kinds of public keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
    /// Edwards25519 (RFC 8410).
    Ed25519,
    /// RSA (RFC 8017), `rsaEncryption`.
    Rsa,
    /// ML-DSA-44 (RFC 9881).
    MlDsa44,
    /// ML-DSA-65.
    MlDsa65,
    /// ML-DSA-87.
    MlDsa87,
}

/// A public key: its DER, its kind, and the key's own bytes inside it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    kind: KeyKind,
    spki: Vec<u8>,
    key_offset: usize,
    rsa_bits: Option<usize>,
}

/// Why bytes are not a public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The bytes are not a strict DER SubjectPublicKeyInfo (trailing bytes included).
    #[error("the public key is not a DER SubjectPublicKeyInfo")]
    Malformed,
    /// The algorithm identifier names a key type or curve that is not in the registry.
    #[error("unknown key type {oid}")]
    UnknownKind {
        /// The OID that decides: of the algorithm, or of the curve.
        oid: String,
    },
    /// Explicit curve parameters, or parameters where none may be (RFC 5480 §2.1.1, RFC 8410 §3).
    #[error("the key's algorithm parameters are not the ones that its type allows")]
    BadParameters,
    /// The key's own bytes have the wrong length or form (a compressed or hybrid point included).
    #[error("the key has the wrong length or form for its type")]
    BadKeyBytes,
    /// The text is not one PEM block `PUBLIC KEY`.
    #[error(transparent)]
    Pem(#[from] PemError),
}

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ML_DSA_44: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.17");
const ML_DSA_65: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18");
const ML_DSA_87: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.19");

impl PublicKey {
    /// Parses a DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`KeyError`], any but `Pem`.
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, KeyError> {
        let (oid, parameters, key) = parse_spki(spki).map_err(|_| KeyError::Malformed)?;
        let kind = kind_of(oid, parameters)?;
        let rsa_bits = check_key_bytes(kind, key)?;
        Ok(Self {
            kind,
            spki: spki.to_vec(),
            key_offset: spki.len() - key.len(),
            rsa_bits,
        })
    }

    /// Parses a PEM block `PUBLIC KEY`.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        Self::from_spki_der(&Pem::parse_labelled(text, "PUBLIC KEY")?)
    }

    /// Wraps the key's own bytes (a point `04‖x‖y`, 32 bytes of Ed25519, an `RSAPublicKey`, an
    /// ML-DSA key) into a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`KeyError::BadKeyBytes`].
    pub fn from_key_bytes(kind: KeyKind, key: &[u8]) -> Result<Self, KeyError> {
        check_key_bytes(kind, key)?;
        Self::from_spki_der(&encode_spki(kind, key))
    }

    /// An RSA key from its modulus and public exponent, both unsigned and big-endian (the form of
    /// a JWK, RFC 7518 §6.3.1); leading zeros are dropped.
    ///
    /// # Errors
    /// [`KeyError::BadKeyBytes`].
    pub fn from_rsa_components(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let integer = |bytes| {
            let integer = UintRef::new(bytes).and_then(|integer| integer.to_der());
            integer.map_err(|_| KeyError::BadKeyBytes)
        };
        let key = tlv(0x30, &[integer(modulus)?, integer(exponent)?].concat());
        Self::from_key_bytes(KeyKind::Rsa, &key)
    }

    /// Modulus and public exponent without leading zeros, for RSA.
    pub fn rsa_components(&self) -> Option<(&[u8], &[u8])> {
        (self.kind == KeyKind::Rsa)
            .then(|| parse_rsa(self.key_bytes()).ok())
            .flatten()
    }

    /// The kind.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The whole SubjectPublicKeyInfo, byte for byte as it was parsed.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The key's own bytes: the contents of the BIT STRING.
    pub fn key_bytes(&self) -> &[u8] {
        self.spki.get(self.key_offset..).unwrap_or_default()
    }

    /// Modulus length in bits, for RSA.
    pub const fn rsa_bits(&self) -> Option<usize> {
        self.rsa_bits
    }

    /// SHA-256 of the SubjectPublicKeyInfo: the key id of CT logs (RFC 6962 §3.2) and of v1 logs.
    pub fn spki_sha256(&self) -> [u8; 32] {
        sha256(&self.spki)
    }

    /// The PEM form, `PUBLIC KEY`.
    pub fn to_pem(&self) -> String {
        Pem::new("PUBLIC KEY", &self.spki).encode()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = crate::Digest::from(self.spki_sha256()).to_hex();
        write!(
            f,
            "PublicKey({:?}, {})",
            self.kind,
            id.get(..16).unwrap_or_default()
        )
    }
}

type Parts<'a> = (ObjectIdentifier, Option<AnyRef<'a>>, &'a [u8]);

fn parse_spki(spki: &[u8]) -> der::Result<Parts<'_>> {
    let mut reader = SliceReader::new(spki)?;
    let parts = reader.sequence(|reader| {
        let (oid, parameters) = reader.sequence(|reader| {
            Ok::<_, der::Error>((
                ObjectIdentifier::decode(reader)?,
                Option::<AnyRef<'_>>::decode(reader)?,
            ))
        })?;
        let key = BitStringRef::decode(reader)?;
        let bytes = key.as_bytes().ok_or_else(|| Tag::BitString.value_error())?;
        Ok::<_, der::Error>((oid, parameters, bytes))
    })?;
    reader.finish()?;
    Ok(parts)
}

/// The kind that an AlgorithmIdentifier names.
pub(crate) fn kind_of(
    oid: ObjectIdentifier,
    parameters: Option<AnyRef<'_>>,
) -> Result<KeyKind, KeyError> {
    match oid {
        EC => {
            let curve = parameters
                .and_then(|any| any.decode_as::<ObjectIdentifier>().ok())
                .ok_or(KeyError::BadParameters)?;
            match curve {
                P256 => Ok(KeyKind::P256),
                P384 => Ok(KeyKind::P384),
                P521 => Ok(KeyKind::P521),
                other => Err(KeyError::UnknownKind {
                    oid: other.to_string(),
                }),
            }
        }
        RSA => match parameters {
            Some(any) if any.tag() == Tag::Null && any.value().is_empty() => Ok(KeyKind::Rsa),
            _ => Err(KeyError::BadParameters),
        },
        ED25519 | ML_DSA_44 | ML_DSA_65 | ML_DSA_87 if parameters.is_some() => {
            Err(KeyError::BadParameters)
        }
        ED25519 => Ok(KeyKind::Ed25519),
        ML_DSA_44 => Ok(KeyKind::MlDsa44),
        ML_DSA_65 => Ok(KeyKind::MlDsa65),
        ML_DSA_87 => Ok(KeyKind::MlDsa87),
        other => Err(KeyError::UnknownKind {
            oid: other.to_string(),
        }),
    }
}

fn check_key_bytes(kind: KeyKind, key: &[u8]) -> Result<Option<usize>, KeyError> {
    let point = |length: usize| key.len() == 1 + 2 * length && key.first() == Some(&4);
    let fits = match kind {
        KeyKind::P256 => point(32),
        KeyKind::P384 => point(48),
        KeyKind::P521 => point(66),
        KeyKind::Ed25519 => key.len() == 32,
        KeyKind::MlDsa44 => key.len() == 1312,
        KeyKind::MlDsa65 => key.len() == 1952,
        KeyKind::MlDsa87 => key.len() == 2592,
        KeyKind::Rsa => return rsa_bits(key).map(Some),
    };
    if fits {
        Ok(None)
    } else {
        Err(KeyError::BadKeyBytes)
    }
}

fn rsa_bits(key: &[u8]) -> Result<usize, KeyError> {
    let (modulus, _) = parse_rsa(key).map_err(|_| KeyError::BadKeyBytes)?;
    Ok(bit_length(modulus))
}

/// `RSAPublicKey` (RFC 8017 §A.1.1).
fn parse_rsa(key: &[u8]) -> der::Result<(&[u8], &[u8])> {
    let mut reader = SliceReader::new(key)?;
    let (modulus, exponent) = reader.sequence(|reader| {
        Ok::<_, der::Error>((UintRef::decode(reader)?, UintRef::decode(reader)?))
    })?;
    reader.finish()?;
    Ok((modulus.as_bytes(), exponent.as_bytes()))
}

/// One DER element of up to 65,535 bytes.
pub(crate) fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = body.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 128 => out.push(short),
        (Ok(one), _) => out.extend([0x81, one]),
        (_, two) => {
            out.push(0x82);
            out.extend(two.unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend(body);
    out
}

/// Length in bits of a big-endian number without leading zeros.
pub(crate) fn bit_length(number: &[u8]) -> usize {
    let leading = number.first().map_or(0, |byte| byte.leading_zeros());
    number.len() * 8 - usize::try_from(leading).unwrap_or(0)
}

fn encode_spki(kind: KeyKind, key: &[u8]) -> Vec<u8> {
    let oid = |oid: ObjectIdentifier| tlv(6, oid.as_bytes());
    let algorithm = match kind {
        KeyKind::P256 => [oid(EC), oid(P256)].concat(),
        KeyKind::P384 => [oid(EC), oid(P384)].concat(),
        KeyKind::P521 => [oid(EC), oid(P521)].concat(),
        KeyKind::Ed25519 => oid(ED25519),
        KeyKind::Rsa => [oid(RSA), vec![5, 0]].concat(),
        KeyKind::MlDsa44 => oid(ML_DSA_44),
        KeyKind::MlDsa65 => oid(ML_DSA_65),
        KeyKind::MlDsa87 => oid(ML_DSA_87),
    };
    let bits = tlv(3, &[&[0], key].concat());
    tlv(0x30, &[tlv(0x30, &algorithm), bits].concat())
}

#[cfg(test)]
mod tests;

//! The names of signature algorithms, and Sigstore's registry of key details.

use crate::{HashAlgorithm, KeyKind, PublicKey};

/// A signature algorithm: key family, padding and hash. Whether a key fits is `key_kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256, DER signature.
    EcdsaP256Sha256,
    /// ECDSA on P-256 with SHA-384 (certificates only).
    EcdsaP256Sha384,
    /// ECDSA on P-256 with SHA-512 (certificates only).
    EcdsaP256Sha512,
    /// ECDSA on P-384 with SHA-256: deprecated by the registry, still in the wild (public TSA).
    EcdsaP384Sha256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384Sha384,
    /// ECDSA on P-384 with SHA-512 (certificates only).
    EcdsaP384Sha512,
    /// ECDSA on P-521 with SHA-256: deprecated by the registry.
    EcdsaP521Sha256,
    /// ECDSA on P-521 with SHA-384 (certificates only).
    EcdsaP521Sha384,
    /// ECDSA on P-521 with SHA-512.
    EcdsaP521Sha512,
    /// Pure Ed25519 (RFC 8032 §5.1), strict: canonical A and R, no small order.
    Ed25519,
    /// Ed25519ph (RFC 8032 §5.1) over SHA-512, empty context.
    Ed25519ph,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2).
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512,
    /// RSASSA-PSS with SHA-256, MGF1 of the same hash, salt as long as the hash (RFC 8017 §8.1).
    RsaPssSha256,
    /// RSASSA-PSS with SHA-384.
    RsaPssSha384,
    /// RSASSA-PSS with SHA-512.
    RsaPssSha512,
    /// ML-DSA-44, pure, empty context (FIPS 204).
    MlDsa44,
    /// ML-DSA-65, pure, empty context.
    MlDsa65,
    /// ML-DSA-87, pure, empty context.
    MlDsa87,
}

impl SignatureAlgorithm {
    /// The kind of key that it needs.
    pub const fn key_kind(self) -> KeyKind {
        match self {
            Self::EcdsaP256Sha256 | Self::EcdsaP256Sha384 | Self::EcdsaP256Sha512 => KeyKind::P256,
            Self::EcdsaP384Sha256 | Self::EcdsaP384Sha384 | Self::EcdsaP384Sha512 => KeyKind::P384,
            Self::EcdsaP521Sha256 | Self::EcdsaP521Sha384 | Self::EcdsaP521Sha512 => KeyKind::P521,
            Self::Ed25519 | Self::Ed25519ph => KeyKind::Ed25519,
            Self::RsaPkcs1Sha256
            | Self::RsaPkcs1Sha384
            | Self::RsaPkcs1Sha512
            | Self::RsaPssSha256
            | Self::RsaPssSha384
            | Self::RsaPssSha512 => KeyKind::Rsa,
            Self::MlDsa44 => KeyKind::MlDsa44,
            Self::MlDsa65 => KeyKind::MlDsa65,
            Self::MlDsa87 => KeyKind::MlDsa87,
        }
    }

    /// The hash of the message that is signed, or `None` where the message itself is signed
    /// (Ed25519, ML-DSA): such an algorithm takes no prehash.
    pub const fn prehash(self) -> Option<HashAlgorithm> {
        match self {
            Self::EcdsaP256Sha256
            | Self::EcdsaP384Sha256
            | Self::EcdsaP521Sha256
            | Self::RsaPkcs1Sha256
            | Self::RsaPssSha256 => Some(HashAlgorithm::Sha256),
            Self::EcdsaP256Sha384
            | Self::EcdsaP384Sha384
            | Self::EcdsaP521Sha384
            | Self::RsaPkcs1Sha384
            | Self::RsaPssSha384 => Some(HashAlgorithm::Sha384),
            Self::EcdsaP256Sha512
            | Self::EcdsaP384Sha512
            | Self::EcdsaP521Sha512
            | Self::Ed25519ph
            | Self::RsaPkcs1Sha512
            | Self::RsaPssSha512 => Some(HashAlgorithm::Sha512),
            Self::Ed25519 | Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => None,
        }
    }
}

/// One row of Sigstore's registry (`PublicKeyDetails` in `sigstore_common.proto`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyDetails {
    /// Name on the wire, such as `PKIX_ECDSA_P256_SHA_256`.
    pub name: &'static str,
    /// The algorithm it stands for.
    pub algorithm: SignatureAlgorithm,
    /// The exact modulus length, for the RSA rows that fix it.
    pub rsa_bits: Option<usize>,
    /// Whether the registry keeps it for old material only.
    pub deprecated: bool,
}

const fn row(name: &'static str, algorithm: SignatureAlgorithm) -> KeyDetails {
    KeyDetails {
        name,
        algorithm,
        rsa_bits: None,
        deprecated: false,
    }
}

const fn old(name: &'static str, algorithm: SignatureAlgorithm) -> KeyDetails {
    KeyDetails {
        name,
        algorithm,
        rsa_bits: None,
        deprecated: true,
    }
}

const fn rsa(name: &'static str, algorithm: SignatureAlgorithm, bits: usize) -> KeyDetails {
    KeyDetails {
        name,
        algorithm,
        rsa_bits: Some(bits),
        deprecated: false,
    }
}

impl KeyDetails {
    /// Every row that names an algorithm we know; LMS and the HMAC variant are not among them.
    pub const REGISTRY: &'static [Self] = &[
        row(
            "PKIX_ECDSA_P256_SHA_256",
            SignatureAlgorithm::EcdsaP256Sha256,
        ),
        row(
            "PKIX_ECDSA_P384_SHA_384",
            SignatureAlgorithm::EcdsaP384Sha384,
        ),
        row(
            "PKIX_ECDSA_P521_SHA_512",
            SignatureAlgorithm::EcdsaP521Sha512,
        ),
        row("PKIX_ED25519", SignatureAlgorithm::Ed25519),
        row("PKIX_ED25519_PH", SignatureAlgorithm::Ed25519ph),
        rsa(
            "PKIX_RSA_PKCS1V15_2048_SHA256",
            SignatureAlgorithm::RsaPkcs1Sha256,
            2048,
        ),
        rsa(
            "PKIX_RSA_PKCS1V15_3072_SHA256",
            SignatureAlgorithm::RsaPkcs1Sha256,
            3072,
        ),
        rsa(
            "PKIX_RSA_PKCS1V15_4096_SHA256",
            SignatureAlgorithm::RsaPkcs1Sha256,
            4096,
        ),
        rsa(
            "PKIX_RSA_PSS_2048_SHA256",
            SignatureAlgorithm::RsaPssSha256,
            2048,
        ),
        rsa(
            "PKIX_RSA_PSS_3072_SHA256",
            SignatureAlgorithm::RsaPssSha256,
            3072,
        ),
        rsa(
            "PKIX_RSA_PSS_4096_SHA256",
            SignatureAlgorithm::RsaPssSha256,
            4096,
        ),
        row("ML_DSA_44", SignatureAlgorithm::MlDsa44),
        row("ML_DSA_65", SignatureAlgorithm::MlDsa65),
        row("ML_DSA_87", SignatureAlgorithm::MlDsa87),
        old(
            "PKIX_ECDSA_P384_SHA_256",
            SignatureAlgorithm::EcdsaP384Sha256,
        ),
        old(
            "PKIX_ECDSA_P521_SHA_256",
            SignatureAlgorithm::EcdsaP521Sha256,
        ),
        old("PKIX_RSA_PKCS1V5", SignatureAlgorithm::RsaPkcs1Sha256),
        old("PKIX_RSA_PSS", SignatureAlgorithm::RsaPssSha256),
        old("PKCS1_RSA_PKCS1V5", SignatureAlgorithm::RsaPkcs1Sha256),
        old("PKCS1_RSA_PSS", SignatureAlgorithm::RsaPssSha256),
    ];

    /// The row of that name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::REGISTRY.iter().find(|row| row.name == name)
    }

    /// The current (not deprecated) row of a key and algorithm, as a signer writes it.
    pub fn of(key: &PublicKey, algorithm: SignatureAlgorithm) -> Option<&'static Self> {
        Self::REGISTRY
            .iter()
            .find(|row| !row.deprecated && row.algorithm == algorithm && row.fits(key))
    }

    /// Whether a key is of this row's kind and, for RSA, of its length.
    pub fn fits(&self, key: &PublicKey) -> bool {
        key.kind() == self.algorithm.key_kind()
            && self
                .rsa_bits
                .is_none_or(|bits| key.rsa_bits() == Some(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for (index, row) in KeyDetails::REGISTRY.iter().enumerate() {
            let found = KeyDetails::REGISTRY
                .iter()
                .position(|other| other.name == row.name);
            assert_eq!(found, Some(index), "{}", row.name);
            assert_eq!(KeyDetails::by_name(row.name), Some(row));
        }
        assert_eq!(KeyDetails::by_name("PKIX_ECDSA_P256_HMAC_SHA_256"), None);
        assert_eq!(KeyDetails::by_name("LMS_SHA256"), None);
    }
}

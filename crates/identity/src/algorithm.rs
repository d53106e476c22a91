//! The signature algorithms of JOSE that we speak (RFC 7518 §3.1, RFC 8037 §3.1).

use std::fmt;

use waxseal_crypto::{KeyKind, SignatureAlgorithm};

/// A JWS algorithm. `none` and the HMACs have no variant, so no list can allow them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum JwsAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// Pure Ed25519 (Ed448 is not spoken).
    EdDsa,
}

use JwsAlgorithm::{EdDsa, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};

impl JwsAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 10] = [
        Rs256, Rs384, Rs512, Ps256, Ps384, Ps512, Es256, Es384, Es512, EdDsa,
    ];

    /// Its name in `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Rs256 => "RS256",
            Rs384 => "RS384",
            Rs512 => "RS512",
            Ps256 => "PS256",
            Ps384 => "PS384",
            Ps512 => "PS512",
            Es256 => "ES256",
            Es384 => "ES384",
            Es512 => "ES512",
            EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that name, case included.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// What it means with a key of that kind, or `None` where the two do not suit.
    pub fn signature_algorithm(self, kind: KeyKind) -> Option<SignatureAlgorithm> {
        let algorithm = match self {
            Rs256 => SignatureAlgorithm::RsaPkcs1Sha256,
            Rs384 => SignatureAlgorithm::RsaPkcs1Sha384,
            Rs512 => SignatureAlgorithm::RsaPkcs1Sha512,
            Ps256 => SignatureAlgorithm::RsaPssSha256,
            Ps384 => SignatureAlgorithm::RsaPssSha384,
            Ps512 => SignatureAlgorithm::RsaPssSha512,
            Es256 => SignatureAlgorithm::EcdsaP256Sha256,
            Es384 => SignatureAlgorithm::EcdsaP384Sha384,
            Es512 => SignatureAlgorithm::EcdsaP521Sha512,
            EdDsa => SignatureAlgorithm::Ed25519,
        };
        (algorithm.key_kind() == kind).then_some(algorithm)
    }

    /// The JWS name of a signature algorithm, if it has one.
    pub fn of(algorithm: SignatureAlgorithm) -> Option<Self> {
        let kind = algorithm.key_kind();
        Self::ALL
            .into_iter()
            .find(|known| known.signature_algorithm(kind) == Some(algorithm))
    }

    /// Whether its signature is r‖s on the wire (RFC 7518 §3.4).
    pub(crate) const fn is_ecdsa(self) -> bool {
        matches!(self, Es256 | Es384 | Es512)
    }
}

impl fmt::Display for JwsAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_algorithms_are_one_to_one() {
        for algorithm in JwsAlgorithm::ALL {
            assert_eq!(JwsAlgorithm::by_name(algorithm.name()), Some(algorithm));
            let kinds = [
                KeyKind::Rsa,
                KeyKind::P256,
                KeyKind::P384,
                KeyKind::P521,
                KeyKind::Ed25519,
            ];
            let meanings: Vec<_> = kinds
                .into_iter()
                .filter_map(|kind| algorithm.signature_algorithm(kind))
                .collect();
            assert_eq!(meanings.len(), 1, "{algorithm}");
            assert_eq!(JwsAlgorithm::of(meanings[0]), Some(algorithm));
        }
        for name in [
            "none", "None", "NONE", "nOnE", "HS256", "rs256", "ES256K", "Ed25519", "",
        ] {
            assert_eq!(JwsAlgorithm::by_name(name), None, "{name}");
        }
    }
}

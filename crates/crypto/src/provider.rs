//! The provider value: every signature in the workspace is checked and made through one.

use std::fmt;
use std::ops::RangeInclusive;

use crate::edwards::is_strict_ed25519_point;
use crate::key::bit_length;
use crate::{
    Input, KeyKind, LocalSigner, PrivateKey, PrivateKeyError, PublicKey, SignatureAlgorithm,
};

/// A set of algorithm implementations, passed as a value; copying it is free.
#[derive(Clone, Copy)]
pub struct CryptoProvider(&'static dyn Backend);

/// What a provider crate implements.
pub trait Backend: Send + Sync {
    /// A short name, such as `aws-lc`.
    fn name(&self) -> &'static str;

    /// Whether signatures of this algorithm can be checked.
    fn verifies(&self, algorithm: SignatureAlgorithm) -> bool;

    /// Checks a signature once: [`Backend::verifying_key`], then [`VerifyingKey::verify`].
    ///
    /// # Errors
    /// [`SignatureError`].
    fn verify(
        &self,
        key: &PublicKey,
        algorithm: SignatureAlgorithm,
        input: Input<'_>,
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        self.verifying_key(key, algorithm)?.verify(input, signature)
    }

    /// Parses a key for repeated use. Implementations refuse what
    /// [`CryptoProvider::check_key`] refuses, and a point that is not on its curve.
    ///
    /// # Errors
    /// [`SignatureError::UnsupportedAlgorithm`], [`SignatureError::WrongKeyKind`] or
    /// [`SignatureError::InvalidKey`].
    fn verifying_key(
        &self,
        key: &PublicKey,
        algorithm: SignatureAlgorithm,
    ) -> Result<Box<dyn VerifyingKey>, SignatureError>;

    /// Makes a fresh private key. RSA keys have 2048 bits.
    ///
    /// # Errors
    /// [`PrivateKeyError`] if the algorithm cannot be signed with, or randomness failed.
    fn generate(&self, algorithm: SignatureAlgorithm) -> Result<PrivateKey, PrivateKeyError>;

    /// Opens a private key for signing, after checking that its halves belong together (K-01).
    ///
    /// # Errors
    /// [`PrivateKeyError`].
    fn signer(
        &self,
        key: &PrivateKey,
        algorithm: SignatureAlgorithm,
    ) -> Result<Box<dyn LocalSigner>, PrivateKeyError>;
}

/// A public key, parsed once for one algorithm.
pub trait VerifyingKey: Send + Sync {
    /// Checks a signature. Malformed and non-canonical signatures are refused (an Ed25519 `R` of
    /// small order, BER in place of DER); high-S ECDSA is accepted.
    ///
    /// # Errors
    /// [`SignatureError::WrongPrehash`] or [`SignatureError::Invalid`].
    fn verify(&self, input: Input<'_>, signature: &[u8]) -> Result<(), SignatureError>;
}

const RSA_MODULUS_BITS: RangeInclusive<usize> = 2048..=4096;
const RSA_EXPONENT: RangeInclusive<u64> = 65_537..=(1 << 33) - 1;

/// Why a signature was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The provider does not implement the algorithm.
    #[error("this provider does not implement {0:?}")]
    UnsupportedAlgorithm(SignatureAlgorithm),
    /// The key is not of the algorithm's kind.
    #[error("the key is not of the kind that the algorithm needs")]
    WrongKeyKind,
    /// The key itself is invalid or too weak.
    #[error("the key is invalid or too weak")]
    InvalidKey,
    /// The algorithm signs messages and was given a digest, or the digest of another hash.
    #[error("the algorithm cannot check a signature over this digest")]
    WrongPrehash,
    /// The signature does not belong to this key and input.
    #[error("the signature does not verify")]
    Invalid,
}

impl CryptoProvider {
    /// Wraps a backend.
    pub const fn new(backend: &'static dyn Backend) -> Self {
        Self(backend)
    }

    /// Checks that a key fits an algorithm and is strong enough; whether its point lies on the
    /// curve is left to the backend. Backends call it before they parse a key.
    ///
    /// RSA moduli have 2048 to 4096 bits (below is too weak, above is a means to burn our time) and
    /// exponents are odd, at least 65537 (FIPS 186-5 §A.1.1) and of at most 33 bits. Ed25519 keys
    /// are canonical and not of small order: such a key verifies one signature for many messages.
    ///
    /// # Errors
    /// [`SignatureError::WrongKeyKind`] or [`SignatureError::InvalidKey`].
    pub fn check_key(key: &PublicKey, algorithm: SignatureAlgorithm) -> Result<(), SignatureError> {
        if key.kind() != algorithm.key_kind() {
            return Err(SignatureError::WrongKeyKind);
        }
        let strong = match key.kind() {
            KeyKind::Rsa => key
                .rsa_components()
                .is_some_and(|(modulus, exponent)| is_strong_rsa(modulus, exponent)),
            KeyKind::Ed25519 => is_strict_ed25519_point(key.key_bytes()),
            _ => true,
        };
        if strong {
            Ok(())
        } else {
            Err(SignatureError::InvalidKey)
        }
    }

    /// Checks that an input suits an algorithm: the right hash, or a message where there is none.
    /// Backends call it first.
    ///
    /// # Errors
    /// [`SignatureError::WrongPrehash`].
    pub fn check_input(
        algorithm: SignatureAlgorithm,
        input: Input<'_>,
    ) -> Result<(), SignatureError> {
        match input {
            Input::Message(_) => Ok(()),
            Input::Prehash(digest) if algorithm.prehash() == Some(digest.algorithm()) => Ok(()),
            Input::Prehash(_) => Err(SignatureError::WrongPrehash),
        }
    }
}

fn is_strong_rsa(modulus: &[u8], exponent: &[u8]) -> bool {
    let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
    let exponent_value = exponent
        .iter()
        .try_fold(0u64, |n, byte| Some(n.checked_mul(256)? + u64::from(*byte)));
    RSA_MODULUS_BITS.contains(&bit_length(modulus))
        && is_odd(modulus)
        && is_odd(exponent)
        && exponent_value.is_some_and(|value| RSA_EXPONENT.contains(&value))
}

impl std::ops::Deref for CryptoProvider {
    type Target = dyn Backend;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl fmt::Debug for CryptoProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CryptoProvider")
            .field(&self.0.name())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;

    const ED25519: SignatureAlgorithm = SignatureAlgorithm::Ed25519;
    const RSA: SignatureAlgorithm = SignatureAlgorithm::RsaPkcs1Sha256;

    fn rsa(modulus: &[u8], exponent: &[u8]) -> PublicKey {
        PublicKey::from_rsa_components(modulus, exponent).unwrap()
    }

    #[test]
    fn wrong_key_kind() {
        let key = rsa(&[0xff; 256], &[1, 0, 1]);
        assert_eq!(
            CryptoProvider::check_key(&key, ED25519),
            Err(SignatureError::WrongKeyKind)
        );
    }

    #[test]
    fn invalid_key() {
        let check = |key: &PublicKey, algorithm, good: bool| {
            let expected = if good {
                Ok(())
            } else {
                Err(SignatureError::InvalidKey)
            };
            assert_eq!(
                CryptoProvider::check_key(key, algorithm),
                expected,
                "{key:?}"
            );
        };
        let modulus = |first: u8, length: usize, last: u8| {
            [&[first][..], &vec![0xff; length - 2], &[last]].concat()
        };
        for (good, modulus) in [
            (false, modulus(0x7f, 256, 1)), // 2047 bits
            (true, modulus(0x80, 256, 1)),
            (false, modulus(0x80, 256, 2)),
            (true, modulus(0xff, 512, 1)),
            (false, modulus(0x01, 513, 1)), // 4097 bits
        ] {
            check(&rsa(&modulus, &[1, 0, 1]), RSA, good);
        }
        for (good, exponent) in [
            (false, &[3][..]),
            (false, &[0xff, 0xff]),
            (true, &[1, 0, 1]),
            (false, &[1, 0, 2]),
            (true, &[1, 0xff, 0xff, 0xff, 0xff]),
            (false, &[2, 0, 0, 0, 1]),
            (false, &[1, 0, 0, 0, 0, 0, 0, 0, 1]),
        ] {
            check(&rsa(&modulus(0x80, 256, 1), exponent), RSA, good);
        }
        let identity = [&[1][..], &[0; 31]].concat();
        for (good, point) in [(true, vec![9; 32]), (false, identity)] {
            let key = PublicKey::from_key_bytes(KeyKind::Ed25519, &point).unwrap();
            check(&key, ED25519, good);
        }
    }

    #[test]
    fn wrong_prehash() {
        let digest = Digest::from([7; 32]);
        let check = |algorithm, expected| {
            let checked = CryptoProvider::check_input(algorithm, Input::Prehash(&digest));
            assert_eq!(checked, expected);
        };
        check(RSA, Ok(()));
        check(ED25519, Err(SignatureError::WrongPrehash));
        check(
            SignatureAlgorithm::EcdsaP256Sha384,
            Err(SignatureError::WrongPrehash),
        );
    }
}

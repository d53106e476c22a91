//! The joint for private keys, wherever they live: a file, a token, a remote service.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;

use crate::{Digest, PublicKey, SignatureAlgorithm};

/// A boxed future that names no runtime.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is signed: a message, or its digest made by the algorithm's own hash.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Input<'a> {
    /// The whole message.
    Message(&'a [u8]),
    /// The digest of the message; only for algorithms whose `prehash()` is that of the digest.
    Prehash(&'a Digest),
}

impl<'a> Input<'a> {
    /// The digest that an algorithm signs: the one given, or the one of the message.
    ///
    /// # Errors
    /// [`SignError::NeedsMessage`] where the algorithm has no prehash, [`SignError::WrongPrehash`].
    pub fn digest(self, algorithm: SignatureAlgorithm) -> Result<Digest, SignError> {
        let hash = algorithm
            .prehash()
            .ok_or(SignError::NeedsMessage { algorithm })?;
        match self {
            Self::Message(message) => Ok(Digest::of(hash, message)),
            Self::Prehash(digest) if digest.algorithm() == hash => Ok(*digest),
            Self::Prehash(digest) => Err(SignError::WrongPrehash {
                algorithm,
                found: digest.algorithm(),
            }),
        }
    }

    /// The message, for an algorithm that signs messages whole.
    ///
    /// # Errors
    /// [`SignError::NeedsMessage`] if this is a digest.
    pub fn message(self, algorithm: SignatureAlgorithm) -> Result<&'a [u8], SignError> {
        match self {
            Self::Message(message) => Ok(message),
            Self::Prehash(_) => Err(SignError::NeedsMessage { algorithm }),
        }
    }
}

/// A private key, wherever it lives.
///
/// Implementors may take either form of [`Input`]; an algorithm without a prehash (Ed25519,
/// ML-DSA) refuses [`Input::Prehash`] with [`SignError::NeedsMessage`].
pub trait Signer: Send + Sync {
    /// The public half.
    fn public_key(&self) -> &PublicKey;
    /// The one algorithm that this signer signs with.
    fn algorithm(&self) -> SignatureAlgorithm;
    /// Signs. ECDSA signatures are DER, Ed25519 64 bytes, RSA as long as the modulus.
    fn sign<'a>(&'a self, input: Input<'a>) -> BoxFuture<'a, Result<Vec<u8>, SignError>>;
}

/// A private key in this process: it signs without waiting.
pub trait LocalSigner: Signer {
    /// Signs at once.
    ///
    /// # Errors
    /// [`SignError`], as [`Signer::sign`].
    fn sign_now(&self, input: Input<'_>) -> Result<Vec<u8>, SignError>;
}

/// Why a signature was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The algorithm signs messages, not digests (RFC 8032 §5.1, FIPS 204).
    #[error("{algorithm:?} signs a whole message, and was given a digest")]
    NeedsMessage {
        /// The signer's algorithm.
        algorithm: SignatureAlgorithm,
    },
    /// The digest was made by another hash than the algorithm's.
    #[error("{algorithm:?} was given a {found} digest")]
    WrongPrehash {
        /// The signer's algorithm.
        algorithm: SignatureAlgorithm,
        /// The hash of the digest that was given.
        found: crate::HashAlgorithm,
    },
    /// The key's home failed: a token was pulled, a service did not answer.
    #[error("the signer failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HashAlgorithm;

    const P256: SignatureAlgorithm = SignatureAlgorithm::EcdsaP256Sha256;
    const ED25519: SignatureAlgorithm = SignatureAlgorithm::Ed25519;

    #[test]
    fn needs_message() {
        let digest = Digest::of(HashAlgorithm::Sha512, b"x");
        let error = Input::Prehash(&digest).message(ED25519).unwrap_err();
        assert!(matches!(
            error,
            SignError::NeedsMessage { algorithm: ED25519 }
        ));
        let error = Input::Prehash(&digest).digest(ED25519).unwrap_err();
        assert!(matches!(
            error,
            SignError::NeedsMessage { algorithm: ED25519 }
        ));
        assert_eq!(Input::Message(b"x").message(ED25519).unwrap(), b"x");
    }

    #[test]
    fn wrong_prehash() {
        let digest = Digest::of(HashAlgorithm::Sha512, b"x");
        let error = Input::Prehash(&digest).digest(P256).unwrap_err();
        let found = HashAlgorithm::Sha512;
        assert!(
            matches!(error, SignError::WrongPrehash { algorithm: P256, found: f } if f == found)
        );
        let digest = Digest::of(HashAlgorithm::Sha256, b"x");
        assert_eq!(Input::Prehash(&digest).digest(P256).unwrap(), digest);
        assert_eq!(Input::Message(b"x").digest(P256).unwrap(), digest);
    }
}

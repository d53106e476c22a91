//! The provider value: every signature in the workspace is checked and made through one.

use std::fmt;

use crate::{Input, LocalSigner, PrivateKey, PrivateKeyError, PublicKey, SignatureAlgorithm};

/// A set of algorithm implementations, passed as a value; copying it is free.
#[derive(Clone, Copy)]
pub struct CryptoProvider(&'static dyn Backend);

/// What a provider crate implements.
pub trait Backend: Send + Sync {
    /// A short name, such as `aws-lc`.
    fn name(&self) -> &'static str;

    /// Whether signatures of this algorithm can be checked.
    fn verifies(&self, algorithm: SignatureAlgorithm) -> bool;

    /// Checks a signature once. Implementations must refuse invalid keys (a point off its curve,
    /// an Ed25519 key of small order or in non-canonical form, RSA outside 2048–4096 bits, an even
    /// or small exponent) and malformed or non-canonical signatures; high-S ECDSA is accepted.
    ///
    /// # Errors
    /// [`SignatureError`].
    fn verify(
        &self,
        key: &PublicKey,
        algorithm: SignatureAlgorithm,
        input: Input<'_>,
        signature: &[u8],
    ) -> Result<(), SignatureError>;

    /// Parses a key for repeated use; the key is checked here.
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
    /// Checks a signature.
    ///
    /// # Errors
    /// [`SignatureError`].
    fn verify(&self, input: Input<'_>, signature: &[u8]) -> Result<(), SignatureError>;
}

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

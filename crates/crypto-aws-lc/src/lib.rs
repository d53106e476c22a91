//! A crypto provider on aws-lc-rs: fast, in C and assembly; the default of the binaries.
//!
//! **What it is.** Every [`SignatureAlgorithm`], signed and verified by AWS-LC: ECDSA (FIPS 186-5
//! §6), Ed25519 (RFC 8032 §5.1), RSASSA-PKCS1-v1_5 and RSASSA-PSS (RFC 8017 §8), ML-DSA (FIPS 204).
//! AWS-LC has no Ed25519ph; that one comes from ed25519-dalek.
//!
//! **In scope.** [`provider`], the [`SystemClock`] and the [`OsRandom`] of the edges.
//!
//! **Out of scope.** The same surface without C: `waxseal-crypto-rustcrypto`. Both refuse and accept
//! the same signatures.
//!
//! ```
//! use waxseal_crypto::{Input, SignatureAlgorithm, Signer as _};
//!
//! let crypto = waxseal_crypto_aws_lc::provider();
//! let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
//! let key = crypto.generate(algorithm)?;
//! let signer = crypto.signer(&key, algorithm)?;
//! let signature = signer.sign_now(Input::Message(b"hello"))?;
//! crypto.verify(signer.public_key(), algorithm, Input::Message(b"hello"), &signature)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Trust.** Assumes AWS-LC and its Rust bindings. Proves, for each accepted signature, that it
//! belongs to the key and the input, that the key is one that `CryptoProvider::check_key` accepts,
//! and that its point is on its curve.

mod ed25519ph;
mod oracles;
mod signing;
mod verifying;

use waxseal_crypto::{
    Backend, CryptoProvider, LocalSigner, PrivateKey, PrivateKeyError, PublicKey,
    SignatureAlgorithm, SignatureError, VerifyingKey,
};

pub use oracles::{OsRandom, SystemClock};

/// The provider.
pub const fn provider() -> CryptoProvider {
    CryptoProvider::new(&AwsLc)
}

struct AwsLc;

impl Backend for AwsLc {
    fn name(&self) -> &'static str {
        "aws-lc"
    }

    fn verifies(&self, algorithm: SignatureAlgorithm) -> bool {
        verifying::is_supported(algorithm)
    }

    fn verifying_key(
        &self,
        key: &PublicKey,
        algorithm: SignatureAlgorithm,
    ) -> Result<Box<dyn VerifyingKey>, SignatureError> {
        verifying::prepare(key, algorithm)
    }

    fn generate(&self, algorithm: SignatureAlgorithm) -> Result<PrivateKey, PrivateKeyError> {
        signing::generate(algorithm)
    }

    fn signer(
        &self,
        key: &PrivateKey,
        algorithm: SignatureAlgorithm,
    ) -> Result<Box<dyn LocalSigner>, PrivateKeyError> {
        signing::open(key, algorithm)
    }
}

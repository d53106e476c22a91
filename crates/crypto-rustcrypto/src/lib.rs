//! A crypto provider in pure Rust: small, portable (wasm included), without C.
//!
//! **What it is.** Signatures by the RustCrypto crates and ed25519-dalek: ECDSA (FIPS 186-5 §6,
//! nonces of RFC 6979), Ed25519 and Ed25519ph (RFC 8032 §5.1), ML-DSA (FIPS 204), and the
//! verification of RSASSA-PKCS1-v1_5 and RSASSA-PSS (RFC 8017 §8).
//!
//! **In scope.** [`provider`], the [`SystemClock`] and the [`OsRandom`] of the edges.
//!
//! **Out of scope.** RSA private keys: the `rsa` crate leaks them through time (RUSTSEC-2023-0071),
//! so they are refused with `PrivateKeyError::Unsupported`; `waxseal-crypto-aws-lc` has them. Both
//! refuse and accept the same signatures.
//!
//! ```
//! use waxseal_crypto::{Input, SignatureAlgorithm, Signer as _};
//!
//! let crypto = waxseal_crypto_rustcrypto::provider();
//! let algorithm = SignatureAlgorithm::Ed25519;
//! let key = crypto.generate(algorithm)?;
//! let signer = crypto.signer(&key, algorithm)?;
//! let signature = signer.sign_now(Input::Message(b"hello"))?;
//! crypto.verify(signer.public_key(), algorithm, Input::Message(b"hello"), &signature)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Trust.** Assumes the crates named above. Proves, for each accepted signature, that it belongs
//! to the key and the input, that the key is one that `CryptoProvider::check_key` accepts, and that
//! its point is on its curve.

mod ed25519;
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
    CryptoProvider::new(&RustCrypto)
}

struct RustCrypto;

impl Backend for RustCrypto {
    fn name(&self) -> &'static str {
        "rustcrypto"
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

//! Keys, digests, the algorithm registry, and the traits for signers, clocks and randomness.
//!
//! **What it is.** The vocabulary of cryptography for every other crate: public keys
//! (SubjectPublicKeyInfo, RFC 5280 §4.1.2.7), private keys (PKCS#8, RFC 5958), SHA-2 digests
//! (FIPS 180-4), the Sigstore algorithm registry (`PublicKeyDetails` of protobuf-specs), and the
//! [`CryptoProvider`] value through which signatures are made and checked.
//!
//! **In scope.** Parsing and encoding of keys; digests; the names of algorithms; the joints
//! [`Signer`], [`Clock`] and [`Random`].
//!
//! **Out of scope.** Signature algorithms: they live in `waxseal-crypto-rustcrypto` and
//! `waxseal-crypto-aws-lc`, and are passed in as values. All other DER is read by `waxseal-pki`.
//!
//! ```
//! use waxseal_crypto::{Digest, HashAlgorithm};
//!
//! let digest = Digest::of(HashAlgorithm::Sha256, b"hello");
//! assert_eq!(digest.as_bytes().len(), HashAlgorithm::Sha256.len());
//! ```
//!
//! **Trust.** Assumes nothing about its input. A [`PublicKey`] proves that the DER is strict and
//! that the key's length fits its kind; whether a point lies on its curve is checked by the
//! provider, before any signature is.

mod algorithm;
mod digest;
mod ecdsa;
mod edwards;
mod key;
mod oracle;
mod pem;
mod private;
mod provider;
mod signer;
mod time;

pub use algorithm::{KeyDetails, SignatureAlgorithm};
pub use digest::{Digest, DigestLengthError, HashAlgorithm, Hasher, sha256, sha256_of};
pub use ecdsa::{EcdsaFormError, ecdsa_der_from_fixed, ecdsa_fixed_from_der};
pub use edwards::is_strict_ed25519_point;
pub use key::{KeyError, KeyKind, PublicKey};
pub use oracle::{Clock, Random, RandomError};
pub use pem::{Pem, PemError};
pub use private::{PrivateKey, PrivateKeyError};
pub use provider::{Backend, CryptoProvider, SignatureError, VerifyingKey};
pub use signer::{BoxFuture, Input, LocalSigner, SignError, Signer};
pub use time::{Time, TimeError};

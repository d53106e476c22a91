//! Our algorithms in the shape that rustls-webpki takes them.

use std::fmt;
use std::sync::OnceLock;

use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use waxseal_crypto::{CryptoProvider, Input, PublicKey, SignatureAlgorithm, VerifyingKey};

use crate::algorithm::{Row, TABLE};

/// Any key, one algorithm: for paths that are looked for.
pub(crate) struct AnyKey {
    row: &'static Row,
    provider: CryptoProvider,
}

impl AnyKey {
    /// In the shape that webpki takes.
    pub(crate) fn dynamic(&self) -> &dyn SignatureVerificationAlgorithm {
        self
    }

    /// Every algorithm that the provider has.
    pub(crate) fn all(provider: CryptoProvider) -> Vec<Self> {
        let rows = TABLE.iter().filter(|row| provider.verifies(row.algorithm));
        rows.map(|row| Self { row, provider }).collect()
    }
}

impl SignatureVerificationAlgorithm for AnyKey {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let algorithm = self.row.algorithm;
        let key = PublicKey::from_key_bytes(algorithm.key_kind(), public_key)
            .map_err(|_| InvalidSignature)?;
        self.provider
            .verify(&key, algorithm, Input::Message(message), signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.row.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.row.signature
    }
}

impl fmt::Debug for AnyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyKey").field(&self.row.algorithm).finish()
    }
}

/// One key, one algorithm, parsed at its first use and kept: for issuers that do not change.
pub(crate) struct OneKey {
    row: &'static Row,
    provider: CryptoProvider,
    key: PublicKey,
    prepared: OnceLock<Option<Box<dyn VerifyingKey>>>,
}

impl OneKey {
    /// In the shape that webpki takes.
    pub(crate) fn dynamic(&self) -> &dyn SignatureVerificationAlgorithm {
        self
    }

    /// Every algorithm that the provider has for this key.
    pub(crate) fn all(provider: CryptoProvider, key: &PublicKey) -> Vec<Self> {
        TABLE
            .iter()
            .filter(|row| {
                row.algorithm.key_kind() == key.kind() && provider.verifies(row.algorithm)
            })
            .map(|row| Self {
                row,
                provider,
                key: key.clone(),
                prepared: OnceLock::new(),
            })
            .collect()
    }

    /// Its algorithm.
    pub(crate) const fn algorithm(&self) -> SignatureAlgorithm {
        self.row.algorithm
    }

    /// Whether a signature by this key verifies.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.prepared
            .get_or_init(|| {
                self.provider
                    .verifying_key(&self.key, self.row.algorithm)
                    .ok()
            })
            .as_ref()
            .is_some_and(|key| key.verify(Input::Message(message), signature).is_ok())
    }
}

impl SignatureVerificationAlgorithm for OneKey {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        // webpki hands us the anchor's key; a prepared key must never stand in for another.
        if public_key == self.key.key_bytes() && self.verify(message, signature) {
            Ok(())
        } else {
            Err(InvalidSignature)
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.row.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.row.signature
    }
}

impl fmt::Debug for OneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OneKey").field(&self.row.algorithm).finish()
    }
}

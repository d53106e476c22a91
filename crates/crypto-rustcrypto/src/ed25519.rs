//! Ed25519 and Ed25519ph (RFC 8032 §5.1), strict, by ed25519-dalek.

use ed25519_dalek::{Signature, Signer as _, SigningKey};
use sha2::digest::array::Array;
use sha2::digest::consts::U64;
use sha2::digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update};
use waxseal_crypto::{
    Digest, Input, PublicKey, SignError, SignatureAlgorithm, SignatureError, VerifyingKey,
    is_strict_ed25519_point,
};

/// A public key of either algorithm.
pub(crate) struct EdwardsKey {
    key: ed25519_dalek::VerifyingKey,
    algorithm: SignatureAlgorithm,
}

impl EdwardsKey {
    /// Parses a key that `CryptoProvider::check_key` has accepted.
    pub(crate) fn new(
        key: &PublicKey,
        algorithm: SignatureAlgorithm,
    ) -> Result<Self, SignatureError> {
        let key = ed25519_dalek::VerifyingKey::try_from(key.key_bytes())
            .map_err(|_| SignatureError::InvalidKey)?;
        Ok(Self { key, algorithm })
    }
}

impl VerifyingKey for EdwardsKey {
    fn verify(&self, input: Input<'_>, signature: &[u8]) -> Result<(), SignatureError> {
        let wrong_input = |_| SignatureError::WrongPrehash;
        let parse = || {
            Signature::from_slice(signature)
                .ok()
                .filter(|signature| is_strict_ed25519_point(signature.r_bytes()))
                .ok_or(SignatureError::Invalid)
        };
        let verified = if self.algorithm == SignatureAlgorithm::Ed25519ph {
            let digest = input.digest(self.algorithm).map_err(wrong_input)?;
            self.key
                .verify_prehashed_strict(Finished::from(&digest), None, &parse()?)
        } else {
            let message = input.message(self.algorithm).map_err(wrong_input)?;
            self.key.verify_strict(message, &parse()?)
        };
        verified.map_err(|_| SignatureError::Invalid)
    }
}

/// Signs with either algorithm.
pub(crate) fn sign(
    key: &SigningKey,
    algorithm: SignatureAlgorithm,
    input: Input<'_>,
) -> Result<Vec<u8>, SignError> {
    let signature = if algorithm == SignatureAlgorithm::Ed25519ph {
        key.sign_prehashed(Finished::from(&input.digest(algorithm)?), None)
    } else {
        key.try_sign(input.message(algorithm)?)
    };
    signature
        .map(|signature| signature.to_bytes().to_vec())
        .map_err(|error| SignError::Failed(Box::new(error)))
}

/// A hash function whose output is fixed in advance: dalek asks for a hasher and takes only its
/// result.
#[derive(Clone, Default)]
struct Finished(Output<Self>);

impl From<&Digest> for Finished {
    fn from(digest: &Digest) -> Self {
        let mut output = Array::default();
        for (to, from) in output.iter_mut().zip(digest.as_bytes()) {
            *to = *from;
        }
        Self(output)
    }
}

impl OutputSizeUser for Finished {
    type OutputSize = U64;
}

impl HashMarker for Finished {}

impl Update for Finished {
    fn update(&mut self, _: &[u8]) {}
}

impl FixedOutput for Finished {
    fn finalize_into(self, out: &mut Output<Self>) {
        *out = self.0;
    }
}

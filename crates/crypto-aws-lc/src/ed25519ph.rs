//! Ed25519ph (RFC 8032 §5.1) over a digest that is already there, by ed25519-dalek.

use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use sha2::digest::array::Array;
use sha2::digest::consts::U64;
use sha2::digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update};
use waxseal_crypto::{Digest, SignatureError, is_strict_ed25519_point};

/// Checks a signature over a SHA-512 digest, empty context.
pub(crate) fn verify(
    key: &VerifyingKey,
    digest: &Digest,
    signature: &[u8],
) -> Result<(), SignatureError> {
    let signature = Signature::from_slice(signature).map_err(|_| SignatureError::Invalid)?;
    if !is_strict_ed25519_point(signature.r_bytes()) {
        return Err(SignatureError::Invalid);
    }
    key.verify_prehashed_strict(Finished::from(digest), None, &signature)
        .map_err(|_| SignatureError::Invalid)
}

/// Signs a SHA-512 digest, empty context.
pub(crate) fn sign(
    key: &SigningKey,
    digest: &Digest,
) -> Result<Vec<u8>, ed25519_dalek::SignatureError> {
    let signature = key.sign_prehashed(Finished::from(digest), None)?;
    Ok(signature.to_bytes().to_vec())
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

//! A session: one key, and everything it signs.

use std::sync::Arc;

use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt as _};
use waxseal_crypto::{HashAlgorithm, Input, PublicKey, Signer, Time};
use waxseal_formats::Bundle;
use waxseal_formats::entry::VerifierKey;
use waxseal_pki::Certificate;
use waxseal_verify::{Identity, Verified};

use crate::log::{self, Entry};
use crate::{Payload, SigningContext, SigningError, Step, bundle, payload, timestamp};

/// Artifacts of one session that are signed side by side.
const SIDE_BY_SIDE: usize = 8;

/// One key with what vouches for it. Every signature of a session is made with the same
/// certificate; the key is gone when the session is.
pub struct Session<'a> {
    pub(crate) context: SigningContext<'a>,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) material: Material,
    pub(crate) key_details: &'static str,
}

/// What vouches for the key.
pub(crate) enum Material {
    Certificate {
        certificate: Box<Certificate>,
        identity: Identity,
    },
    Key,
}

/// A bundle that has been verified.
#[derive(Debug)]
#[non_exhaustive]
pub struct SignedBundle {
    /// The bundle.
    pub bundle: Bundle,
    /// What its verification proved.
    pub verified: Verified,
}

impl Session<'_> {
    /// The hash that artifacts are digested with: that of the key's algorithm.
    pub fn hash_algorithm(&self) -> HashAlgorithm {
        self.signer
            .algorithm()
            .prehash()
            .unwrap_or(HashAlgorithm::Sha256)
    }

    /// The public key.
    pub fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    /// Whom the certificate names; nobody, for a key that is kept.
    pub fn identity(&self) -> Option<&Identity> {
        match &self.material {
            Material::Certificate { identity, .. } => Some(identity),
            Material::Key => None,
        }
    }

    /// Until when the certificate is valid.
    pub fn expires(&self) -> Option<Time> {
        match &self.material {
            Material::Certificate { certificate, .. } => Some(certificate.not_after()),
            Material::Key => None,
        }
    }

    /// Signs one payload: signature, timestamps, log entries, and the verification of the whole.
    ///
    /// # Errors
    /// [`SigningError`]. What was published before the failure stays published, and signing the
    /// same payload again is safe.
    pub async fn sign(&self, payload: &Payload) -> Result<SignedBundle, SigningError> {
        let context = &self.context;
        let hash = payload::hash_of(self.signer.algorithm())?;
        let digest = payload.0.signed_digest(hash)?;
        context.progress.begin(Step::Signature);
        let signature = self.signer.sign(Input::Prehash(&digest)).await?;
        context.progress.begin(Step::Timestamp);
        let authorities = &context.endpoints.timestamp_authorities;
        let stamps = authorities
            .iter()
            .map(|url| timestamp::obtain(context, url, &signature));
        let timestamps = try_join_all(stamps).await?;
        context.progress.begin(Step::Log);
        let entry = Entry {
            digest: &digest,
            signature: &signature,
            key: self.verifier_key(),
            key_details: self.key_details,
        };
        let logs = &context.endpoints.logs;
        let entries =
            try_join_all(logs.iter().map(|log| log::append(context, log, &entry))).await?;
        context.progress.begin(Step::Verify);
        let made = bundle::assemble(
            &self.material,
            self.public_key(),
            payload,
            &digest,
            &signature,
        );
        let made = made.with(entries, timestamps);
        let verified = bundle::verify(self, &made, payload, &digest)?;
        Ok(SignedBundle {
            bundle: made,
            verified,
        })
    }

    /// Signs several payloads side by side, with one certificate; the results are in their order.
    pub async fn sign_all(&self, payloads: &[Payload]) -> Vec<Result<SignedBundle, SigningError>> {
        stream::iter(payloads)
            .map(|payload| self.sign(payload))
            .buffered(SIDE_BY_SIDE)
            .collect()
            .await
    }

    fn verifier_key(&self) -> VerifierKey {
        match &self.material {
            Material::Certificate { certificate, .. } => {
                VerifierKey::Certificate(certificate.der().to_vec())
            }
            Material::Key => VerifierKey::PublicKey(self.public_key().spki_der().to_vec()),
        }
    }
}

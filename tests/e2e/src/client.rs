//! The client's side: what a signing needs, and what somebody who verifies does.

use std::sync::Arc;

use waxseal_crypto::{Clock, CryptoProvider, Digest, HashAlgorithm, Random, Time};
use waxseal_crypto_aws_lc::{OsRandom, SystemClock, provider};
use waxseal_formats::{Bundle, ClientTrustConfig};
use waxseal_sign::{Endpoints, SigningContext, Silent};
use waxseal_transport::Transport;
use waxseal_verify::{
    Artifact, IdentityRule, SubjectKind, VerificationPolicy, Verified, Verifier, VerifyError,
};

use crate::Deployment;

/// A client of a deployment. Tests change what they need to.
pub struct Client {
    /// Whom to trust, and where to go.
    pub config: ClientTrustConfig,
    /// The trusted root, ready to verify.
    pub verifier: Verifier,
    /// The services.
    pub endpoints: Endpoints,
    /// The client's clock, not the servers'.
    pub clock: Arc<dyn Clock>,
    /// Where nonces come from.
    pub random: Arc<dyn Random>,
    /// The algorithms.
    pub provider: CryptoProvider,
    /// How many CT logs must have promised the certificate.
    pub min_scts: usize,
}

impl Client {
    /// A client as the deployment's files make it.
    pub fn of(deployment: &Deployment) -> Self {
        let config = deployment.config.clone();
        let now = deployment.clock.now();
        Self {
            verifier: Verifier::new(provider(), &config.trusted_root).unwrap(),
            endpoints: Endpoints::select(&config.signing_config, now).unwrap(),
            config,
            clock: Arc::new(SystemClock),
            random: Arc::new(OsRandom),
            provider: provider(),
            min_scts: 1,
        }
    }

    /// What a signing needs.
    pub fn context<'a>(&'a self, transport: &'a dyn Transport) -> SigningContext<'a> {
        SigningContext {
            provider: self.provider,
            transport,
            clock: &*self.clock,
            random: &*self.random,
            trusted_root: &self.config.trusted_root,
            verifier: &self.verifier,
            endpoints: &self.endpoints,
            progress: &Silent,
            min_scts: self.min_scts,
        }
    }
}

/// Verifies a bundle as a stranger would, from its text and the client files alone.
///
/// # Errors
/// Whatever the verifier says.
pub fn verify_artifact(
    deployment: &Deployment,
    artifact: &[u8],
    bundle: &Bundle,
    address: &str,
    now: Time,
) -> Result<Verified, VerifyError> {
    let issuer = deployment.instance.issuer();
    let rule = IdentityRule::new(address, issuer).of_kind(SubjectKind::Email);
    let policy = VerificationPolicy::identity(rule);
    verify_policy(deployment, artifact, bundle, &policy, now)
}

/// The same with a policy of the caller's.
///
/// # Errors
/// Whatever the verifier says.
pub fn verify_policy(
    deployment: &Deployment,
    artifact: &[u8],
    bundle: &Bundle,
    policy: &VerificationPolicy,
    now: Time,
) -> Result<Verified, VerifyError> {
    let verifier = Verifier::new(provider(), &deployment.config.trusted_root).unwrap();
    let bundle = Bundle::from_json(bundle.to_json().as_bytes()).unwrap();
    verifier.verify(Artifact::bytes(artifact), &bundle, policy, now)
}

/// An in-toto statement about an artifact.
pub fn statement(artifact: &[u8]) -> Vec<u8> {
    let digest = Digest::of(HashAlgorithm::Sha256, artifact).to_hex();
    let statement = serde_json::json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "artifact", "digest": {"sha256": digest}}],
        "predicateType": "https://example.com/checked/v1",
        "predicate": {"by": "the tests"},
    });
    serde_json::to_vec(&statement).unwrap()
}

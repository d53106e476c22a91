//! One bundle that verifies, and whether changed ones still do.

use std::fs;
use std::path::Path;

use serde_json::Value;
use waxseal_crypto::{PublicKey, Time};
use waxseal_formats::{Bundle, TrustedRoot};
use waxseal_verify::{Artifact, IdentityRule, ValidFor, VerificationPolicy, Verifier};

/// The suite's own signer, in every case that has a certificate.
const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
/// Later than every bundle of the suite.
const NOW: &str = "2026-11-25T00:00:00Z";

/// One bundle, its artifact, its policy and its trusted root.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The file.
    pub(crate) text: Vec<u8>,
    /// What is in it, written again with every field.
    pub(crate) value: Value,
    pub(crate) root: TrustedRoot,
    verifier: Verifier,
    policy: VerificationPolicy,
    artifact: Vec<u8>,
    now: Time,
}

impl Case {
    pub(crate) fn read(suite: &Path, name: &'static str) -> Self {
        let folder = suite.join(name);
        let artifact = fs::read(folder.join("artifact"))
            .unwrap_or_else(|_| fs::read(suite.join("a.txt")).unwrap());
        let root = fs::read(folder.join("trusted_root.json")).map_or_else(
            |_| TrustedRoot::public_good(),
            |text| TrustedRoot::from_json(&text).unwrap(),
        );
        let policy = fs::read_to_string(folder.join("key.pub")).map_or_else(
            |_| VerificationPolicy::identity(IdentityRule::new(IDENTITY, ISSUER)),
            |pem| VerificationPolicy::key(PublicKey::from_pem(&pem).unwrap(), ValidFor::always()),
        );
        let text = fs::read(folder.join("bundle.sigstore.json")).unwrap();
        let bundle = Bundle::from_json(&text).unwrap();
        Self {
            name,
            value: value_of(&bundle),
            text,
            verifier: Verifier::new(waxseal_crypto_aws_lc::provider(), &root).unwrap(),
            root,
            policy,
            artifact,
            now: Time::parse_rfc3339(NOW).unwrap(),
        }
    }

    /// The same case under another trusted root, under which it verifies as well.
    pub(crate) fn trusting(&self, root: &TrustedRoot) -> Self {
        let case = Self {
            name: self.name,
            text: self.text.clone(),
            value: self.value.clone(),
            root: root.clone(),
            verifier: Verifier::new(waxseal_crypto_aws_lc::provider(), root).unwrap(),
            policy: self.policy.clone(),
            artifact: self.artifact.clone(),
            now: self.now,
        };
        assert!(case.accepted(&self.text).is_some(), "{}", self.name);
        case
    }

    /// What was understood, if a bundle is accepted.
    pub(crate) fn accepted(&self, text: &[u8]) -> Option<Value> {
        let bundle = Bundle::from_json(text).ok()?;
        let artifact = Artifact::bytes(&self.artifact);
        let verdict = self
            .verifier
            .verify(artifact, &bundle, &self.policy, self.now);
        let _verified = verdict.ok()?;
        Some(value_of(&bundle))
    }
}

fn value_of(bundle: &Bundle) -> Value {
    serde_json::from_str(&bundle.to_json()).unwrap()
}

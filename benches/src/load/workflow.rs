//! A certificate as the jobs of a CI service get it: what most entries of a public log hold.

use std::time::Duration;

use anyhow::{Context as _, Result};
use waxseal_crypto::{Clock as _, PublicKey, SignatureAlgorithm};
use waxseal_crypto_aws_lc::{OsRandom, SystemClock, provider};
use waxseal_issuing::{LeafIssuer, LeafRequest, Subject, Validity, issue_root};
use waxseal_pki::{Certificate, SubjectAltName};

/// Claims of a workflow, by their numbers in 1.3.6.1.4.1.57264.1.
const CLAIMS: &[(u8, &str)] = &[
    (1, "https://ci.example.com"),
    (8, "https://ci.example.com"),
    (9, WORKFLOW),
    (11, "ci-hosted"),
    (12, "https://ci.example.com/an-organization/a-repository"),
    (13, "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"),
    (14, "refs/heads/main"),
    (15, "1234567890"),
    (16, "https://ci.example.com/an-organization"),
    (17, "123456789"),
    (18, WORKFLOW),
    (19, "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"),
    (20, "push"),
    (
        21,
        "https://ci.example.com/an-organization/a-repository/runs/12345678901/attempts/1",
    ),
    (22, "public"),
];

const WORKFLOW: &str =
    "https://ci.example.com/an-organization/a-repository/.ci/workflows/release.yml@refs/heads/main";

/// A leaf certificate for a key, DER, by an authority made for it: logs do not ask whose it is. It
/// carries the SCTs of another certificate, so that it is as long as one that was logged.
///
/// # Errors
/// If it cannot be issued, or the other certificate has no SCT.
pub async fn workflow_certificate(key: &PublicKey, other: &[u8]) -> Result<Vec<u8>> {
    let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
    let signer = provider().signer(&provider().generate(algorithm)?, algorithm)?;
    let subject = Subject::new("a certificate authority", "ci.example.com");
    let now = SystemClock.now();
    let day = Duration::from_secs(86_400);
    let root = issue_root(&*signer, &subject, Validity::starting(now, day)?, &OsRandom).await?;
    let issuer = LeafIssuer::new(provider(), &*signer, vec![root])?;
    let name = SubjectAltName::Uri(WORKFLOW.into());
    let minutes = Validity::starting(now, Duration::from_secs(600))?;
    let request = LeafRequest::new(key, &name, CLAIMS, minutes);
    let scts = Certificate::parse(other)?.scts()?.context("no SCT")?;
    let leaf = issuer.prepare(&request, &OsRandom)?;
    let leaf = leaf.certificate(&*signer, &scts).await?;
    Ok(leaf.der().to_vec())
}

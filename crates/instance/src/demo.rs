//! The demonstration: log in, sign a sample, verify it, all over the wire.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use waxseal_crypto::{Digest, Time};
use waxseal_formats::{Bundle, BundleError, ClientTrustConfig};
use waxseal_sign::{
    Endpoints, EndpointsError, Payload, Progress, SignedBundle, SigningContext, SigningError, Step,
};
use waxseal_verify::{
    Artifact, IdentityRule, SubjectKind, TrustedRootError, VerificationPolicy, Verified, Verifier,
    VerifyError,
};

use crate::World;
use crate::login::{EmailLoginError, Mailbox, email_login};

/// Whom the sample is signed as.
pub const DEMO_IDENTITY: &str = "you@example.com";

/// What is signed.
const SAMPLE: &[u8] = b"Hello from a private Sigstore.\n";

/// One thing that was done, and how long it took.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DemoStep {
    /// What, in a few words.
    pub what: String,
    /// How long it took.
    pub took: Duration,
}

/// Why the demonstration failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The log-in.
    #[error("the log-in failed")]
    Login(#[from] EmailLoginError),
    /// The signing config.
    #[error("the signing config")]
    Endpoints(#[from] EndpointsError),
    /// The trusted root.
    #[error("the trusted root")]
    TrustedRoot(#[from] TrustedRootError),
    /// The signing.
    #[error("signing failed")]
    Signing(#[from] SigningError),
    /// The bundle's text.
    #[error("the bundle is not one")]
    Bundle(#[from] BundleError),
    /// The verification, by the files that clients get.
    #[error("the signed sample does not verify")]
    Verify(#[from] VerifyError),
}

/// Logs in as [`DEMO_IDENTITY`] by e-mail code, signs a sample and verifies the bundle, through
/// `world.transport`. Each step is told to `tell` as soon as it is done.
///
/// # Errors
/// [`DemoError`].
pub async fn demonstrate(
    config: &ClientTrustConfig,
    issuer: &str,
    world: &World,
    mailbox: &dyn Mailbox,
    tell: &(dyn Fn(&DemoStep) + Send + Sync),
) -> Result<Verified, DemoError> {
    let stopwatch = Stopwatch::start(tell);
    let transport = &*world.transport;
    let random = &*world.random;
    let token = email_login(transport, random, issuer, DEMO_IDENTITY, mailbox).await?;
    stopwatch.lap(&format!(
        "logged in as {DEMO_IDENTITY} with the code from the outbox"
    ));
    let verifier = Verifier::new(world.provider, &config.trusted_root)?;
    let endpoints = Endpoints::select(&config.signing_config, world.clock.now())?;
    let context = SigningContext {
        provider: world.provider,
        transport,
        clock: &*world.clock,
        random,
        trusted_root: &config.trusted_root,
        verifier: &verifier,
        endpoints: &endpoints,
        progress: &stopwatch,
        min_scts: 1,
    };
    let session = context.certify(token).await?;
    stopwatch.lap("certificate for a fresh key, promised by the CT log");
    let digest = Digest::of(session.hash_algorithm(), SAMPLE);
    let SignedBundle { bundle, .. } = session.sign(&Payload::artifact(digest)).await?;
    stopwatch.lap("bundle checked before it is given out");
    // As somebody else would: from the bundle's bytes, with nothing but the files for clients.
    let verifier = Verifier::new(world.provider, &config.trusted_root)?;
    let json = bundle.to_json();
    let verified = verify_sample(&verifier, json.as_bytes(), issuer, world.clock.now())?;
    stopwatch.lap(&format!(
        "verified: {} bytes signed by {DEMO_IDENTITY}",
        SAMPLE.len()
    ));
    Ok(verified)
}

fn verify_sample(
    verifier: &Verifier,
    bundle: &[u8],
    issuer: &str,
    now: Time,
) -> Result<Verified, DemoError> {
    let bundle = Bundle::from_json(bundle)?;
    let rule = IdentityRule::new(DEMO_IDENTITY, issuer).of_kind(SubjectKind::Email);
    let policy = VerificationPolicy::identity(rule);
    Ok(verifier.verify(Artifact::bytes(SAMPLE), &bundle, &policy, now)?)
}

/// Measures from one step to the next.
struct Stopwatch<'a> {
    tell: &'a (dyn Fn(&DemoStep) + Send + Sync),
    state: Mutex<(Instant, Option<Step>)>,
}

impl<'a> Stopwatch<'a> {
    fn start(tell: &'a (dyn Fn(&DemoStep) + Send + Sync)) -> Self {
        Self {
            tell,
            state: Mutex::new((Instant::now(), None)),
        }
    }

    fn lap(&self, what: &str) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let took = now.duration_since(state.0);
        *state = (now, None);
        drop(state);
        (self.tell)(&DemoStep {
            what: what.to_owned(),
            took,
        });
    }
}

impl Progress for Stopwatch<'_> {
    fn begin(&self, step: Step) {
        let before = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.1.replace(step)
        };
        // What begins tells that the step before it is done.
        let done = match before {
            Some(Step::Signature) => "signature",
            Some(Step::Timestamp) => "timestamp, signed by the timestamp authority",
            Some(Step::Log) => "entry in the log, with proof that it is there",
            _ => return,
        };
        self.lap(done);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = Some(step);
    }
}

#[cfg(test)]
mod tests {
    use waxseal_formats::TrustedRoot;

    use super::*;

    fn check(bundle: &[u8]) -> DemoError {
        let root = TrustedRoot::public_good();
        let verifier = Verifier::new(waxseal_crypto_aws_lc::provider(), &root).unwrap();
        let now = Time::from_unix(1_767_225_600).unwrap();
        verify_sample(&verifier, bundle, "http://localhost:8383/auth", now).unwrap_err()
    }

    #[test]
    fn bundle() {
        assert!(matches!(check(b"{}"), DemoError::Bundle(_)));
    }

    #[test]
    fn verify() {
        let unsigned = br#"{
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": "x"}, "tlogEntries": []},
            "messageSignature": {
                "messageDigest": {
                    "algorithm": "SHA2_256",
                    "digest": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
                },
                "signature": "AAAA"
            }
        }"#;
        let refused = check(unsigned);
        assert!(matches!(refused, DemoError::Verify(_)), "{refused:?}");
    }
}

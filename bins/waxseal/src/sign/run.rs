//! One signing from the identity to the bundles on disk.

use std::sync::Arc;

use waxseal_crypto::{HashAlgorithm, KeyKind, PrivateKey, SignatureAlgorithm, Signer};
use waxseal_crypto_aws_lc::{OsRandom, SystemClock, provider};
use waxseal_identity::IdentityToken;
use waxseal_sign::{Endpoints, Payload, Session, SignedBundle, SigningContext, SigningError};
use waxseal_transport_reqwest::ReqwestTransport;
use waxseal_verify::Verifier;

use super::explain;
use super::progress::Shown;
use super::write::Target;
use crate::args::{OutputArgs, ServiceArgs, SignerArgs, TrustArgs};
use crate::login;
use crate::outcome::{Class, Failed, Failure};
use crate::services::{self, Instance};
use crate::verify::report::{self, Report};

/// One thing to sign.
pub(crate) struct Job {
    /// What it is called.
    pub(crate) name: String,
    /// What is signed.
    pub(crate) payload: Payload,
    /// Where its bundle goes.
    pub(crate) target: Target,
}

/// Everything that is the same for every job.
pub(crate) struct Run<'a> {
    signer: &'a SignerArgs,
    output: OutputArgs,
    instance: Instance,
    endpoints: Endpoints,
    verifier: Verifier,
    transport: ReqwestTransport,
    key: Option<Arc<dyn Signer>>,
    min_scts: usize,
}

impl<'a> Run<'a> {
    /// Reads the files that the arguments name. Nothing is sent.
    ///
    /// # Errors
    /// [`Class::Usage`], [`Class::Malformed`] or [`Class::TrustRoot`].
    pub(crate) fn new(
        signer: &'a SignerArgs,
        trust: &TrustArgs,
        services: &ServiceArgs,
        output: OutputArgs,
    ) -> Result<Self, Failure> {
        let instance = Instance::load(trust, services.signing_config.as_deref())?;
        let verifier = Verifier::new(provider(), &instance.trust.root).map_err(|error| {
            let message = format!("the trusted root {} cannot be used", instance.trust.source);
            Failure::new(Class::TrustRoot, "trusted-root-ambiguous", message).because(&error)
        })?;
        let key = signer.key.as_deref().map(open_key).transpose()?;
        if services.allow_no_sct {
            super::progress::say(
                "warning: --allow-no-sct: the certificate may be unknown to every log",
            );
        }
        Ok(Self {
            signer,
            output,
            endpoints: instance.endpoints()?,
            instance,
            verifier,
            transport: services::transport(services.ca_cert.as_deref())?,
            key: key.map(Arc::from),
            min_scts: usize::from(!services.allow_no_sct),
        })
    }

    /// The hash that the key signs with.
    pub(crate) fn hash_algorithm(&self) -> HashAlgorithm {
        let own = self.key.as_ref().and_then(|key| key.algorithm().prehash());
        own.unwrap_or(HashAlgorithm::Sha256)
    }

    /// Signs every job, and writes each bundle when all of them are signed or have failed.
    ///
    /// # Errors
    /// The class of the first failure.
    pub(crate) fn sign(&self, jobs: &[Job]) -> Result<(), Failed> {
        if !self.instance.is_private && self.key.is_none() {
            super::progress::say(
                "note: your identity and the digest go into a public log, and stay there for ever",
            );
        }
        let shown = Shown::new(self.output);
        let payloads: Vec<Payload> = jobs.iter().map(|job| job.payload.clone()).collect();
        let outcomes = services::block_on(async {
            let token = self.token().await?;
            let context = self.context(&shown);
            let signing = async {
                let session = self.session(context, token).await?;
                Ok::<_, SigningError>(session.sign_all(&payloads).await)
            };
            let outcomes = shown.while_running(signing).await;
            outcomes.map_err(|error| explain::refusal(&error))
        })??;
        self.write(jobs, outcomes)
    }

    fn context<'c>(&'c self, shown: &'c Shown) -> SigningContext<'c> {
        SigningContext {
            provider: provider(),
            transport: &self.transport,
            clock: &SystemClock,
            random: &OsRandom,
            trusted_root: &self.instance.trust.root,
            verifier: &self.verifier,
            endpoints: &self.endpoints,
            progress: shown,
            min_scts: self.min_scts,
        }
    }

    async fn token(&self) -> Result<Option<IdentityToken>, Failure> {
        match self.key {
            Some(_) => Ok(None),
            None => login::obtain(
                &self.signer.login,
                &self.instance,
                &self.transport,
                self.output,
            )
            .await
            .map(Some),
        }
    }

    async fn session<'c>(
        &self,
        context: SigningContext<'c>,
        token: Option<IdentityToken>,
    ) -> Result<Session<'c>, SigningError> {
        match (token, &self.key) {
            (Some(token), _) => context.certify(token).await,
            (None, Some(key)) => context.with_key(Arc::clone(key)),
            (None, None) => Err(SigningError::NoCertificateAuthority),
        }
    }

    fn write(
        &self,
        jobs: &[Job],
        outcomes: Vec<Result<SignedBundle, SigningError>>,
    ) -> Result<(), Failed> {
        let report = Report::new(self.output, &self.instance.trust.source);
        let mut first = None;
        for (job, outcome) in jobs.iter().zip(outcomes) {
            let written = outcome
                .map_err(|error| explain::refusal(&error))
                .and_then(|signed| {
                    job.target.write(&signed.bundle.to_json())?;
                    Ok(signed)
                });
            let said = match written {
                Ok(signed) => {
                    report.say_signed(&job.name, &signed.verified, &job.target.to_string())
                }
                Err(failure) => {
                    first.get_or_insert(failure.class);
                    report.say(&job.name, Err(&failure))
                }
            };
            said.map_err(|error| report::unwritable(&error))?;
        }
        first.map_or(Ok(()), |class| Err(Failed::Said(class)))
    }
}

/// Opens a private key for the algorithm that goes with its kind.
fn open_key(path: &std::path::Path) -> Result<Box<dyn Signer>, Failure> {
    let unusable = |error: &dyn std::error::Error| {
        let message = format!("the key {} cannot be used", path.display());
        Failure::new(Class::Malformed, "key-malformed", message).because(error)
    };
    let text = zeroizing_read(path)?;
    let key = PrivateKey::from_pem(&text).map_err(|error| unusable(&error))?;
    let kind = key.kind().map_err(|error| unusable(&error))?;
    let algorithm = match kind {
        KeyKind::P256 => SignatureAlgorithm::EcdsaP256Sha256,
        KeyKind::P384 => SignatureAlgorithm::EcdsaP384Sha384,
        KeyKind::P521 => SignatureAlgorithm::EcdsaP521Sha512,
        KeyKind::Ed25519 => SignatureAlgorithm::Ed25519ph,
        KeyKind::Rsa => SignatureAlgorithm::RsaPkcs1Sha256,
        other => {
            let message =
                format!("{other:?} keys cannot be logged: logs hold ECDSA, RSA and Ed25519ph");
            return Err(Failure::new(Class::Malformed, "key-unsupported", message));
        }
    };
    let signer = provider()
        .signer(&key, algorithm)
        .map_err(|error| unusable(&error))?;
    Ok(signer)
}

/// The text of a key file, wiped when it is dropped. A key that others can read is refused (S-64).
fn zeroizing_read(path: &std::path::Path) -> Result<zeroize::Zeroizing<String>, Failure> {
    let unreadable = |error: std::io::Error| {
        let message = format!("the key {} cannot be read", path.display());
        Failure::new(Class::Usage, "key-unreadable", message).because(&error)
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path)
            .map_err(unreadable)?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            let message = format!("the key {} can be read by others", path.display());
            return Err(Failure::new(Class::Refused, "key-exposed", message)
                .expected("mode 0600", format!("mode {:04o}", mode & 0o7777))
                .hint(format!("chmod 600 {}", path.display())));
        }
    }
    std::fs::read_to_string(path)
        .map(zeroize::Zeroizing::new)
        .map_err(unreadable)
}

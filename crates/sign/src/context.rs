//! What does not change between signings, and the two ways into a session.

use std::sync::Arc;
use std::time::Duration;

use url::Url;
use waxseal_ca_client::{CertificateRequest, LeafCertificate};
use waxseal_crypto::{
    Clock, CryptoProvider, KeyDetails, LocalSigner, Random, RandomError, SignatureAlgorithm,
    Signer, Time,
};
use waxseal_formats::TrustedRoot;
use waxseal_identity::IdentityToken;
use waxseal_transport::{Retry, Transport, send_retrying};
use waxseal_verify::Verifier;

use crate::session::Material;
use crate::{Endpoints, Progress, Session, SigningError, Step};

/// The algorithm of ephemeral keys: what every log and every verifier accepts.
const EPHEMERAL: SignatureAlgorithm = SignatureAlgorithm::EcdsaP256Sha256;

/// How far the services' clocks may be ahead of ours.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// What does not change between signings. Its parts are borrowed: the caller owns the world.
#[derive(Clone, Copy)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a list of what the caller has to bring"
)]
pub struct SigningContext<'a> {
    /// Makes and checks signatures.
    pub provider: CryptoProvider,
    /// Carries requests.
    pub transport: &'a dyn Transport,
    /// Tells the time.
    pub clock: &'a dyn Clock,
    /// Makes nonces and jitter.
    pub random: &'a dyn Random,
    /// Whom to trust, as data: which log is at which URL.
    pub trusted_root: &'a TrustedRoot,
    /// Whom to trust: every bundle passes it before it is returned.
    pub verifier: &'a Verifier,
    /// Where to go.
    pub endpoints: &'a Endpoints,
    /// Who is told how far it is.
    pub progress: &'a dyn Progress,
    /// How many certificate transparency logs must have promised the certificate; 0 only for
    /// authorities without one.
    pub min_scts: usize,
}

impl<'a> SigningContext<'a> {
    /// Turns an identity token into a session: makes an ephemeral key, asks for a certificate, and
    /// checks it (chain, SCT, key, identity, issuer) before anything is signed with it.
    ///
    /// # Errors
    /// [`SigningError`], up to `CertificateRefused`.
    pub async fn certify(self, token: IdentityToken) -> Result<Session<'a>, SigningError> {
        let signer: Box<dyn Signer> = self.ephemeral_signer()?;
        self.certify_key(token, Arc::from(signer)).await
    }

    /// As [`Self::certify`], for a key of the caller's own: it lives wherever its signer says.
    ///
    /// # Errors
    /// As [`Self::certify`] and [`Self::with_key`].
    pub async fn certify_key(
        self,
        token: IdentityToken,
        signer: Arc<dyn Signer>,
    ) -> Result<Session<'a>, SigningError> {
        self.endpoints.check()?;
        crate::payload::hash_of(signer.algorithm())?;
        let key_details = key_details(&*signer)?;
        let authority = self.endpoints.certificate_authority.as_ref();
        let url = authority.ok_or(SigningError::NoCertificateAuthority)?;
        if token.expires() <= self.clock.now() {
            return Err(SigningError::TokenExpired {
                expired: token.expires(),
            });
        }
        self.progress.begin(Step::Certificate);
        let request = CertificateRequest::new(url, token, &*signer)
            .await
            .map_err(|error| SigningError::CertificateRequest(Box::new(error)))?;
        let answer = send_retrying(self.transport, request.encode(), &self.retry()?)
            .await
            .map_err(|source| SigningError::CertificateAuthority {
                url: url.clone(),
                source: Box::new(source),
            })?;
        let leaf = LeafCertificate::parse(&request, &answer).map_err(|source| {
            SigningError::Certificate {
                url: url.clone(),
                source: Box::new(source),
            }
        })?;
        let certificate = leaf.certificate().clone();
        let identity = self
            .verifier
            .verify_certificate(&certificate, self.min_scts, self.now())
            .map_err(|source| SigningError::CertificateRefused {
                url: url.clone(),
                source: Box::new(source),
            })?;
        let material = Material::Certificate {
            certificate: Box::new(certificate),
            identity,
        };
        Ok(Session {
            context: self,
            signer,
            material,
            key_details,
        })
    }

    /// A session for a key that the caller keeps. Bundles carry a hint at the key, and whoever
    /// verifies must have it.
    ///
    /// # Errors
    /// [`SigningError::Endpoints`], [`SigningError::KeyWithoutName`], or
    /// [`SigningError::Payload`] for keys that sign whole messages.
    pub fn with_key(self, signer: Arc<dyn Signer>) -> Result<Session<'a>, SigningError> {
        self.endpoints.check()?;
        crate::payload::hash_of(signer.algorithm())?;
        let key_details = key_details(&*signer)?;
        Ok(Session {
            context: self,
            signer,
            material: Material::Key,
            key_details,
        })
    }

    fn ephemeral_signer(&self) -> Result<Box<dyn LocalSigner>, SigningError> {
        let key = self
            .provider
            .generate(EPHEMERAL)
            .map_err(SigningError::EphemeralKey)?;
        self.provider
            .signer(&key, EPHEMERAL)
            .map_err(SigningError::EphemeralKey)
    }

    /// The present, as answers are judged by it: services' clocks may run a little ahead of ours.
    /// Whoever verifies the bundle later allows for nothing.
    pub(crate) fn now(&self) -> Time {
        let now = self.clock.now();
        now.checked_add(CLOCK_TOLERANCE).unwrap_or(now)
    }

    /// Every request of a signing may be sent again: a second certificate or timestamp does no
    /// harm, and a second entry is answered with the first.
    pub(crate) fn retry(&self) -> Result<Retry, RandomError> {
        let mut jitter = [0; 8];
        self.random.fill(&mut jitter)?;
        Ok(Retry::idempotent(u64::from_le_bytes(jitter)))
    }

    /// The id of the log at `url`, from the trusted root.
    pub(crate) fn log_id(&self, url: &Url) -> Option<Vec<u8>> {
        let same = |base: &str| Url::parse(base).is_ok_and(|base| base == *url);
        let log = self
            .trusted_root
            .tlogs
            .iter()
            .rev()
            .find(|log| same(&log.base_url))?;
        Some(log.log_id.clone())
    }
}

fn key_details(signer: &dyn Signer) -> Result<&'static str, SigningError> {
    KeyDetails::of(signer.public_key(), signer.algorithm())
        .map(|row| row.name)
        .ok_or(SigningError::KeyWithoutName)
}

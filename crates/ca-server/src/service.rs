//! The domain: from a token and a key to a certificate. No HTTP here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8};
use std::time::Duration;

use tokio::sync::Semaphore;
use waxseal_crypto::{Clock, CryptoProvider, Digest};
use waxseal_formats::FieldError;
use waxseal_formats::ca::{Configuration, RequestedKey, Secret, SigningCertificate, TrustBundle};
use waxseal_identity::{Principal, TokenError, TokenVerifier};
use waxseal_pki::{Certificate, Sct};
use waxseal_serve::{Counter, Label};
use waxseal_transport::Transport;

use crate::authority::{Authority, AuthorityError, pem};
use crate::ct::{CtClient, CtError};
use crate::possession::{KeyRefusal, proven_key};
use crate::rate::Rates;
use crate::{Config, Context, StartError, issuers};

/// The authority with everything around it.
pub(crate) struct Service {
    pub(crate) tokens: TokenVerifier,
    pub(crate) authority: Authority,
    pub(crate) ct: CtClient,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) transport: Arc<dyn Transport>,
    /// Whether the log answered when last asked.
    pub(crate) ct_answers: AtomicBool,
    /// Whether its silence was told.
    pub(crate) ct_silence_told: AtomicBool,
    /// How many warnings about the end of the chain were given.
    pub(crate) warned: AtomicU8,
    provider: CryptoProvider,
    former_chains: Vec<Vec<Certificate>>,
    rates: Option<Rates>,
    in_flight: Semaphore,
    outcomes: Counter<Outcome>,
}

/// What became of a request, for the meter.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Issued,
    Refused,
    Failed,
}

impl Label for Outcome {
    const NAME: &'static str = "outcome";

    fn value(&self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Why no certificate was issued. The order of the variants is the order of the checks.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssuanceError {
    /// The body is not the message (protojson).
    #[error(transparent)]
    Malformed(#[from] FieldError),
    /// Neither the body nor the header has a token, or the header has several.
    #[error("the request has no identity token")]
    NoToken,
    /// The token is not accepted.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The identity asks too often.
    #[error("the identity asks too often")]
    TooOften {
        /// When to come back.
        retry_after: Duration,
    },
    /// More requests are under way than the configuration allows.
    #[error("too many requests are under way")]
    Overloaded,
    /// The key is not certified.
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    /// The authority made no certificate.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The log made no promise.
    #[error(transparent)]
    CtLog(#[from] CtError),
}

impl IssuanceError {
    /// Whether it is ours, and not the caller's.
    pub(crate) fn is_fault(&self) -> bool {
        match self {
            Self::Token(TokenError::IssuerUnavailable(_)) | Self::CtLog(_) => true,
            Self::Authority(AuthorityError::Issue(waxseal_issuing::IssueError::Name)) => false,
            Self::Authority(_) => true,
            _ => false,
        }
    }
}

impl Service {
    pub(crate) fn new(config: Config, context: Context) -> Result<Self, StartError> {
        let authority = Authority::new(&config, &context)?;
        let ct = CtClient::new(&config, &context)?;
        if config.issuers.is_empty() {
            return Err(StartError::NoIssuer);
        }
        let url = &config.url;
        let accepted = config.issuers.into_iter();
        let accepted = accepted.map(|issuer| issuers::with_audiences(issuer, url));
        let transport = Arc::clone(&context.transport);
        let tokens = TokenVerifier::new(context.provider, transport, accepted.collect())?;
        let help = "Requests for certificates by what became of them";
        Ok(Self {
            tokens,
            authority,
            ct,
            clock: context.clock,
            transport: context.transport,
            ct_answers: AtomicBool::new(false),
            ct_silence_told: AtomicBool::new(false),
            warned: AtomicU8::new(0),
            provider: context.provider,
            former_chains: config.former_chains,
            rates: config.identity_rate.map(Rates::new),
            in_flight: Semaphore::new(config.in_flight.max(1)),
            outcomes: context.meter.counter("ca_signing_requests", help),
        })
    }

    /// Issues a certificate and counts what became of it.
    ///
    /// # Errors
    /// [`IssuanceError`].
    pub(crate) async fn issue(
        &self,
        token: Option<&Secret>,
        key: Option<&RequestedKey>,
    ) -> Result<SigningCertificate, IssuanceError> {
        let issued = self.try_issue(token, key).await;
        let outcome = match &issued {
            Ok(_) => Outcome::Issued,
            Err(error) if error.is_fault() => Outcome::Failed,
            Err(_) => Outcome::Refused,
        };
        self.outcomes.add(outcome, 1);
        issued
    }

    async fn try_issue(
        &self,
        token: Option<&Secret>,
        key: Option<&RequestedKey>,
    ) -> Result<SigningCertificate, IssuanceError> {
        let token = token.ok_or(IssuanceError::NoToken)?;
        let now = self.clock.now();
        let principal = self.tokens.verify(token.expose(), now).await?;
        if let Some(rates) = &self.rates {
            let taken = rates.take(&principal, now);
            taken.map_err(|retry_after| IssuanceError::TooOften { retry_after })?;
        }
        // Strangers wait for issuers above and hold none of these: they run out for callers with
        // a verified token only.
        let turn = self.in_flight.try_acquire();
        let _turn = turn.map_err(|_| IssuanceError::Overloaded)?;
        let key = proven_key(self.provider, key, &principal)?;

        let leaf = self.authority.prepare(&key, &principal, now)?;
        let precertificate = self.authority.precertificate(&leaf).await?;
        let chain = self.authority.chain();
        let issuer_key_hash = chain.issuer_key().spki_sha256();
        let tbs = leaf.log_input();
        let promised =
            self.ct
                .promise(&precertificate, chain.certificates(), issuer_key_hash, &tbs);
        // Fail closed: there is no way around this promise.
        let sct = promised.await?;
        let certificate = self.authority.certificate(&leaf, sct.clone()).await?;
        audit(&principal, &certificate, &sct);
        let whole = [&certificate].into_iter().chain(chain.certificates());
        Ok(SigningCertificate::EmbeddedSct { chain: pem(whole) })
    }

    /// The chains that leaves verify under: the one in use, then those of the past that have not
    /// expired.
    pub(crate) fn trust_bundle(&self) -> TrustBundle {
        let now = self.clock.now();
        let lives = |chain: &&Vec<Certificate>| chain.iter().all(|c| c.not_after() >= now);
        let former = self.former_chains.iter().filter(lives).map(pem);
        let own = pem(self.authority.chain().certificates());
        TrustBundle {
            chains: [own].into_iter().chain(former).collect(),
        }
    }

    /// The issuers whose tokens are accepted.
    pub(crate) fn configuration(&self) -> Configuration {
        Configuration {
            issuers: self.tokens.issuers().map(issuers::message).collect(),
        }
    }
}

/// One line for each certificate: everything in it is public by the log, and the token is not.
fn audit(principal: &Principal, certificate: &Certificate, sct: &Sct) {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    tracing::info!(
        serial = hex(certificate.serial()),
        identity = principal.identity().as_str(),
        issuer = principal.issuer(),
        token_issuer = principal.token_issuer(),
        not_before = %certificate.not_before(),
        certificate_sha256 = hex(Digest::from(waxseal_crypto::sha256(certificate.der())).as_bytes()),
        sct_millis = sct.timestamp,
        "issued"
    );
}

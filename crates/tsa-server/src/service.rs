//! Which requests are granted, and the making of tokens. Knows nothing of HTTP.

use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;
use waxseal_crypto::{Clock, Input, Random, RandomError, SignError, Signer, Time};
use waxseal_pki::timestamp::{
    Grant, RequestError, TimestampAuthority, TimestampError, TimestampRequest, TimestampResponse,
    TimestampToken, TokenBuilder, TokenError,
};
use waxseal_pki::{Certificate, ObjectIdentifier};
use waxseal_serve::{Counter, Gauge, Label};

use crate::clock::{ClockBehind, SteadyClock};
use crate::{Config, Context, StartError};

/// How long the signer may take; then the client is told to come back.
pub const SIGNING_DEADLINE: Duration = Duration::from_secs(10);

/// The authority.
pub(crate) struct Service {
    pub(crate) config: Config,
    pub(crate) authority: TimestampAuthority,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) steady: SteadyClock,
    /// How many warnings about the end of the chain were given.
    pub(crate) warned: AtomicU8,
    pub(crate) days_left: Gauge<()>,
    random: Arc<dyn Random>,
    signer: Arc<dyn Signer>,
    builder: TokenBuilder,
    in_flight: Semaphore,
    outcomes: Counter<Outcome>,
}

/// What became of a request, for the meter.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Granted,
    Refused,
    Failed,
}

impl Label for Outcome {
    const NAME: &'static str = "outcome";

    fn value(&self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Why no token was made. The order of the variants is the order of the checks.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StampError {
    /// The request is not one, or its digest is not accepted.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The request's JSON is not the message.
    #[error(transparent)]
    Json(#[from] waxseal_formats::FieldError),
    /// The JSON request's policy is not an object identifier.
    #[error("the policy is not an object identifier")]
    MalformedPolicy,
    /// The request wants a policy that is not ours.
    #[error("unaccepted policy {policy}")]
    UnacceptedPolicy {
        /// The policy.
        policy: ObjectIdentifier,
    },
    /// The request has an extension; none is defined.
    #[error("unaccepted extension {extension}")]
    UnacceptedExtension {
        /// The first one.
        extension: ObjectIdentifier,
    },
    /// Too many tokens are under way.
    #[error("too many requests are under way")]
    Overloaded,
    /// The clock was set back.
    #[error(transparent)]
    ClockBehind(#[from] ClockBehind),
    /// A certificate of the chain is not valid now, or not for as long as the time may be off.
    #[error("the time is {time}, and a certificate of the chain is not valid around it")]
    OutsideValidity {
        /// The time.
        time: Time,
    },
    /// Randomness failed.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The signer failed.
    #[error("the signer failed")]
    Sign(#[from] SignError),
    /// The signer took longer than [`SIGNING_DEADLINE`].
    #[error("the signer did not answer in time")]
    SignerTimeout,
    /// The token that was made does not parse.
    #[error("the token that was made does not parse")]
    Unreadable(#[source] TokenError),
    /// The token that was made does not verify: the signer signs wrongly.
    #[error("the token that was made does not verify")]
    Unverified(#[source] TimestampError),
}

impl StampError {
    /// Whether it is ours, and not the client's.
    pub(crate) const fn is_fault(&self) -> bool {
        match self {
            Self::Request(_)
            | Self::Json(_)
            | Self::MalformedPolicy
            | Self::UnacceptedPolicy { .. }
            | Self::UnacceptedExtension { .. } => false,
            Self::Overloaded
            | Self::ClockBehind(_)
            | Self::OutsideValidity { .. }
            | Self::Random(_)
            | Self::Sign(_)
            | Self::SignerTimeout
            | Self::Unreadable(_)
            | Self::Unverified(_) => true,
        }
    }
}

impl Service {
    pub(crate) fn new(config: Config, context: Context) -> Result<Self, StartError> {
        let authority = TimestampAuthority::new(context.provider, &config.chain)?;
        let leaf = authority.leaf().ok_or(StartError::NoSigner)?.clone();
        let above = authority.chain().certificates();
        let intermediates = above.iter().take(above.len().saturating_sub(1));
        for (index, intermediate) in intermediates.enumerate() {
            if intermediate.extended_key_usage().is_none() {
                return Err(StartError::IntermediatePurpose { index: index + 1 });
            }
        }
        let carried = match config.include_chain {
            true => above
                .iter()
                .map(|authority| authority.der().to_vec())
                .collect(),
            false => Vec::new(),
        };
        let builder = TokenBuilder::new(&*context.signer, leaf, carried, config.policy)?;
        let meter = &context.meter;
        let outcomes = meter.counter(
            "tsa_timestamps",
            "Timestamp requests by what became of them",
        );
        let days = "Days until the first certificate of the timestamp authority's chain ends";
        Ok(Self {
            steady: SteadyClock::new(Duration::from_secs(config.accuracy_seconds.into())),
            in_flight: Semaphore::new(config.in_flight.min(Semaphore::MAX_PERMITS)),
            days_left: meter.gauge("tsa_certificate_valid_days_remaining", days),
            warned: AtomicU8::new(0),
            clock: context.clock,
            random: context.random,
            signer: context.signer,
            outcomes,
            authority,
            builder,
            config,
        })
    }

    /// Makes a token: the DER of a granted response.
    pub(crate) async fn stamp(
        &self,
        request: Result<TimestampRequest, StampError>,
    ) -> Result<Vec<u8>, StampError> {
        let made = match request {
            Ok(request) => self.grant(&request).await,
            Err(error) => Err(error),
        };
        let outcome = match &made {
            Ok(_) => Outcome::Granted,
            Err(error) if error.is_fault() => Outcome::Failed,
            Err(_) => Outcome::Refused,
        };
        self.outcomes.add(outcome, 1);
        made
    }

    async fn grant(&self, request: &TimestampRequest) -> Result<Vec<u8>, StampError> {
        if let Some(policy) = request.policy
            && policy != self.config.policy
            && !self.config.accepted_policies.contains(&policy)
        {
            return Err(StampError::UnacceptedPolicy { policy });
        }
        if let Some(extension) = request.extensions.first() {
            return Err(StampError::UnacceptedExtension {
                extension: *extension,
            });
        }
        let _slot = self
            .in_flight
            .try_acquire()
            .map_err(|_| StampError::Overloaded)?;
        let mut serial = [0; 20];
        self.random.fill(&mut serial)?;
        // Positive, and never shorter: 158 random bits, unique without anything being stored.
        let [first, ..] = &mut serial;
        *first = (*first & 0x3f) | 0x40;
        let time = self.steady.take(self.clock.now())?;
        self.check_validity(time)?;
        let mut grant = Grant::new(time, serial);
        grant.accuracy_seconds = self.config.accuracy_seconds;

        let unsigned = self.builder.prepare(request, grant);
        let signing = self.signer.sign(Input::Message(unsigned.signing_input()));
        let signature = timeout(SIGNING_DEADLINE, signing)
            .await
            .map_err(|_| StampError::SignerTimeout)??;
        let token = unsigned.finish(&signature);
        // A signer that errs, by a fault or by force, must not be heard outside.
        let parsed = TimestampToken::parse(&token).map_err(StampError::Unreadable)?;
        self.authority
            .verify_digest(&parsed, request.imprint.digest())
            .map_err(StampError::Unverified)?;
        Ok(TimestampResponse::encode_granted(&token))
    }

    /// Every certificate must be valid at the time, and as long as the time may be off.
    pub(crate) fn check_validity(&self, time: Time) -> Result<(), StampError> {
        let off = Duration::from_secs(self.config.accuracy_seconds.into());
        let bounds = [time.checked_sub(off), time.checked_add(off)];
        let valid = self.certificates().all(|certificate| {
            bounds
                .iter()
                .all(|bound| bound.is_some_and(|bound| certificate.is_valid_at(bound)))
        });
        if valid {
            Ok(())
        } else {
            Err(StampError::OutsideValidity { time })
        }
    }

    /// All certificates, the signer's first.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        let leaf = std::iter::once(self.builder.certificate());
        leaf.chain(self.authority.chain().certificates())
    }
}

//! When to try again, and after how long.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use crate::{Request, Response, Transport, TransportError};

/// The rule for trying again. A value, without clock or randomness of its own.
///
/// Tried again: a connection that was not made; 429; and, if the request is idempotent, a
/// connection that broke, a deadline that passed, and 5xx except 501 (RFC 9110 §15.6.2: it will
/// not get better). Delays double from `first_delay` up to `max_delay`, each shortened by up to
/// half by the jitter. A `Retry-After` in seconds (RFC 9110 §10.2.3) is obeyed; one beyond
/// `max_retry_after` ends the attempts, since coming back earlier is what the server asked us not
/// to do. `Retry-After` as a date is ignored: there is no clock here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// How often the request is sent at most, the first time included; at least once.
    pub attempts: u32,
    /// The delay before the second attempt.
    pub first_delay: Duration,
    /// No delay of ours is longer.
    pub max_delay: Duration,
    /// The longest `Retry-After` that is waited for.
    pub max_retry_after: Duration,
    /// The time for everything: all attempts, all delays.
    pub total: Duration,
    /// Whether the request may arrive twice without harm.
    pub idempotent: bool,
    /// Random bits from the caller, that spread many clients over time. The same bits give the
    /// same delays.
    pub jitter: u64,
}

impl Retry {
    /// Four attempts within a minute, for a request that may arrive twice.
    #[must_use]
    pub fn idempotent(jitter: u64) -> Self {
        Self {
            attempts: 4,
            first_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(8),
            max_retry_after: Duration::from_secs(30),
            total: Duration::from_secs(60),
            idempotent: true,
            jitter,
        }
    }

    /// The same for a request that must not arrive twice.
    #[must_use]
    pub fn once(jitter: u64) -> Self {
        Self {
            idempotent: false,
            ..Self::idempotent(jitter)
        }
    }

    /// A fresh count of attempts.
    #[must_use]
    pub fn start(&self) -> Attempts<'_> {
        Attempts {
            retry: self,
            made: 0,
        }
    }
}

/// What to do after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// The outcome stands.
    Stop,
    /// Wait that long, then send again.
    Again(Duration),
}

/// The state machine: attempts made so far.
#[derive(Debug, Clone)]
pub struct Attempts<'a> {
    retry: &'a Retry,
    made: u32,
}

impl Attempts<'_> {
    /// Counts an attempt and judges its outcome.
    pub fn after(&mut self, outcome: &Result<Response, TransportError>) -> Next {
        self.made = self.made.saturating_add(1);
        if self.made >= self.retry.attempts || !self.is_transient(outcome) {
            return Next::Stop;
        }
        let asked = outcome.as_ref().ok().and_then(retry_after);
        match asked {
            Some(asked) if asked > self.retry.max_retry_after => Next::Stop,
            Some(asked) => Next::Again(asked.max(self.backoff())),
            None => Next::Again(self.backoff()),
        }
    }

    fn is_transient(&self, outcome: &Result<Response, TransportError>) -> bool {
        match outcome {
            Err(TransportError::Connect { .. }) => true,
            Err(TransportError::Interrupted { .. } | TransportError::Deadline { .. }) => {
                self.retry.idempotent
            }
            Err(_) => false,
            Ok(response) => match response.status {
                429 => true,
                501 => false,
                500..=599 => self.retry.idempotent,
                _ => false,
            },
        }
    }

    /// The delay before the next attempt: doubled each time, then between half and all of it.
    fn backoff(&self) -> Duration {
        let doublings = self.made.saturating_sub(1).min(16);
        let full = self
            .retry
            .first_delay
            .saturating_mul(1 << doublings)
            .min(self.retry.max_delay);
        let half = full / 2;
        let permille = u32::try_from(mix(self.retry.jitter ^ u64::from(self.made)) % 1001);
        half + (half / 1000).saturating_mul(permille.unwrap_or(0))
    }
}

/// Spreads the caller's bits over the attempts (the finaliser of SplitMix64).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers.only("Retry-After")?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// Sends, and sends again as the rule says, all within `retry.total`.
///
/// # Errors
/// [`TransportError`]: that of the last attempt, or [`TransportError::Deadline`] with the total
/// when the time for everything is over. A status that is not transient, or was the last, is
/// `Ok`.
pub async fn send_retrying(
    transport: &dyn Transport,
    request: Request,
    retry: &Retry,
) -> Result<Response, TransportError> {
    let mut everything = Box::pin(attempt_all(transport, request, retry));
    let mut over = transport.sleep(retry.total);
    poll_fn(|context| {
        if let Poll::Ready(outcome) = everything.as_mut().poll(context) {
            return Poll::Ready(outcome);
        }
        over.as_mut()
            .poll(context)
            .map(|()| Err(TransportError::Deadline { after: retry.total }))
    })
    .await
}

async fn attempt_all(
    transport: &dyn Transport,
    request: Request,
    retry: &Retry,
) -> Result<Response, TransportError> {
    let mut attempts = retry.start();
    loop {
        let outcome = transport.send(request.clone()).await;
        match attempts.after(&outcome) {
            Next::Again(delay) => transport.sleep(delay).await,
            Next::Stop => return outcome,
        }
    }
}

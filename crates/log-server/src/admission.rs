//! Who may have a signature verified now: cost-weighted, fair to clients, and honest about when to
//! come back.
//!
//! A check costs what its algorithm costs, known before it runs; the checks that run at once cost
//! no more than [`UNITS_PER_CORE`] a core, so that the threads that take requests in are never all
//! busy with an attacker's P-521. Who waits for a check already has a place in the queue: nothing
//! is verified and thrown away. Who comes to a queue that [`stands`](shedding) is turned away before
//! a byte of the body is looked at.

mod shedding;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use shedding::Shedding;

/// Verifications of P-256 that run at once, on each core. One waits while the other runs.
const UNITS_PER_CORE: usize = 2;

/// Clients that are told apart; more share what is left.
const MAX_CLIENTS: usize = 4096;

/// A client may have at least so many submissions on their way, however many clients there are.
const MIN_SHARE: usize = 16;

/// Nobody whom the log takes in under lasting overload is under way for much longer, from its parsed
/// request to its answer: long enough that batches are large, short enough that nobody's deadline
/// passes, the time in sockets and for a processor included, which is about as long again.
const TARGET_DELAY: Duration = Duration::from_millis(50);

/// So many may be under way however slow the log is: what the clients of a calm log send at once.
const MIN_UNDER_WAY: usize = 768;

/// Over which the rate of the log is averaged.
const RATE_WINDOW: Duration = Duration::from_millis(500);

/// The shortest and the longest time that a client is told to stay away.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

#[derive(Debug)]
pub(crate) struct Admission {
    checks: Semaphore,
    units: u32,
    clients: Mutex<HashMap<IpAddr, usize>>,
    /// Submissions that have a share: in the queue, at their check, in a batch.
    under_way: AtomicUsize,
    rate: Mutex<Rate>,
    shedding: Mutex<Shedding>,
}

/// A client has more submissions on their way than its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OverShare;

/// A submission's place among its client's; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    admission: Arc<Admission>,
    client: Option<IpAddr>,
}

/// How fast the log has been answering.
#[derive(Debug)]
struct Rate {
    since: Instant,
    answered: u64,
    /// Answers a second over the last full window.
    per_second: Option<f64>,
}

impl Admission {
    pub(crate) fn new(cores: usize) -> Self {
        let units = UNITS_PER_CORE * cores.max(1);
        Self {
            checks: Semaphore::new(units),
            units: u32::try_from(units).unwrap_or(u32::MAX),
            clients: Mutex::default(),
            under_way: AtomicUsize::new(0),
            rate: Mutex::new(Rate {
                since: Instant::now(),
                answered: 0,
                per_second: None,
            }),
            shedding: Mutex::new(Shedding::new(Instant::now())),
        }
    }

    /// Whether a submission may come in, so many being queued. Of all that can be known without
    /// reading it: this is what a refusal costs.
    pub(crate) fn lets_in(&self, queued: usize) -> bool {
        let (before, places) = (self.before(queued), self.standing_places());
        self.shedding().lets_in(Instant::now(), before, places)
    }

    /// How many submissions are before the next one. The queue alone would not tell: while a batch
    /// is made durable it is in no queue, and the next one has taken its places. Nor would those that
    /// somebody waits for: a client that leaves takes nothing out of the queue.
    fn before(&self, queued: usize) -> usize {
        self.under_way.load(Ordering::Relaxed).max(queued)
    }

    /// How many may wait: of the places that there are, those that are in use under this load.
    pub(crate) fn places(&self, places: usize) -> usize {
        if self.shedding().is_on() {
            places.min(self.standing_places())
        } else {
            places
        }
    }

    /// How many the log answers within [`TARGET_DELAY`].
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of some thousands; what is too large becomes the largest"
    )]
    fn standing_places(&self) -> usize {
        let rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let places = rate
            .per_second
            .map_or(0.0, |rate| rate * TARGET_DELAY.as_secs_f64());
        (places as usize).max(MIN_UNDER_WAY)
    }

    fn shedding(&self) -> MutexGuard<'_, Shedding> {
        self.shedding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one submission of a client. While less than half of the places are taken everybody is
    /// let in; beyond, nobody has more than twice an equal share of them.
    pub(crate) fn share(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        queued: usize,
        places: usize,
    ) -> Result<Share, OverShare> {
        let mut counted = None;
        if let Some(address) = client {
            let mut clients = self.clients();
            let known = clients.len();
            let own = clients.get(&address).copied();
            let share = (2 * places / known.max(1)).max(MIN_SHARE);
            // Alone, a client is no reason for anybody else's waiting.
            if self.before(queued) > places / 2 && known > 1 && own.is_some_and(|own| own >= share)
            {
                return Err(OverShare);
            }
            if own.is_some() || known < MAX_CLIENTS {
                *clients.entry(address).or_insert(0) += 1;
                counted = Some(address);
            }
        }
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Ok(Share {
            admission: Arc::clone(self),
            client: counted,
        })
    }

    /// Whether a check of that cost would have to wait.
    pub(crate) fn is_busy(&self, cost: u32) -> bool {
        u32::try_from(self.checks.available_permits()).unwrap_or(u32::MAX) < cost.min(self.units)
    }

    /// Waits until a check of that cost may run; one that costs more than everything runs alone.
    pub(crate) async fn check(&self, cost: u32) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.checks
            .acquire_many(cost.clamp(1, self.units))
            .await
            .ok()
    }

    /// One more was answered.
    pub(crate) fn answered(&self) {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        rate.answered += 1;
        let elapsed = rate.since.elapsed();
        if elapsed >= RATE_WINDOW {
            let answered = u32::try_from(rate.answered).unwrap_or(u32::MAX);
            rate.per_second = Some(f64::from(answered) / elapsed.as_secs_f64());
            rate.answered = 0;
            rate.since = Instant::now();
        }
    }

    /// When those before will have been answered, as far as the last answers tell.
    pub(crate) fn retry_after(&self, queued: usize) -> Duration {
        let rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        let before = f64::from(u32::try_from(self.before(queued)).unwrap_or(u32::MAX));
        let per_second = rate.per_second;
        let seconds = per_second.map_or(0.0, |rate| before / rate.max(0.1));
        Duration::from_secs_f64(seconds.min(60.0)).clamp(RETRY.0, RETRY.1)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.admission.under_way.fetch_sub(1, Ordering::Relaxed);
        let Some(client) = self.client else { return };
        let mut clients = self.admission.clients();
        if let Some(count) = clients.get_mut(&client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                clients.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn nobody_takes_the_queue_from_the_others() {
        let admission = Arc::new(Admission::new(1));
        let share = |last| admission.share(address(last), 0, 100);
        // Alone, it may have all of them.
        let mut greedy: Vec<_> = (0..90).map(|_| share(1).unwrap()).collect();
        let other = share(2).unwrap();
        assert!(share(1).is_ok(), "90 of 100");
        let third = share(3).unwrap();
        assert_eq!(share(1).unwrap_err(), OverShare, "66 of 100");
        assert_eq!(admission.before(0), 92);
        assert_eq!(admission.before(200), 200, "whoever waits for them");
        greedy.truncate(60);
        assert!(share(1).is_ok(), "60 of 66");
        // As long as half of them are free they are everybody's.
        greedy.truncate(40);
        greedy.extend((0..8).map(|_| share(1).unwrap()));
        assert!(admission.share(address(1), 0, 110).is_ok());
        drop((greedy, other, third));
        assert!(admission.clients().is_empty());
        assert_eq!(admission.before(0), 0);
    }

    #[test]
    fn the_places_of_a_standing_queue_follow_the_rate() {
        let admission = Admission::new(1);
        assert_eq!(
            admission.standing_places(),
            MIN_UNDER_WAY,
            "nothing is known"
        );
        for (rate, places) in [(10.0, MIN_UNDER_WAY), (20_000.0, 1000), (80_000.0, 4000)] {
            admission.rate.lock().unwrap().per_second = Some(rate);
            assert_eq!(admission.standing_places(), places, "{rate}/s");
            assert_eq!(admission.places(4096), 4096, "nobody is turned away yet");
        }
    }

    #[test]
    fn unknown_clients_are_bounded() {
        let admission = Arc::new(Admission::new(1));
        let shares: Vec<_> = (0..5000u32)
            .map(|n| {
                let address = IpAddr::V4(std::net::Ipv4Addr::from(0x0b00_0000 + n));
                admission.share(Some(address), 0, 20_000).unwrap()
            })
            .collect();
        assert_eq!(admission.clients().len(), MAX_CLIENTS);
        drop(shares);
        assert!(admission.clients().is_empty());
    }

    #[tokio::test]
    async fn costly_checks_run_alone() {
        let admission = Admission::new(2);
        let one = admission.check(1).await;
        assert!(admission.is_busy(4) && !admission.is_busy(3));
        let costly = admission.check(3).await;
        assert!(admission.is_busy(1));
        drop((one, costly));
        let whole = admission.check(100).await;
        assert!(whole.is_some() && admission.is_busy(1));
    }

    #[test]
    fn retry_after_is_the_time_that_the_queue_takes() {
        for (rate, queued, expected) in [
            (None, 4096, RETRY.0),
            (Some(1000.0), 100, RETRY.0),
            (Some(1000.0), 4096, Duration::from_secs_f64(4.096)),
            (Some(1.0), 4096, RETRY.1),
        ] {
            let admission = Admission::new(1);
            admission.rate.lock().unwrap().per_second = rate;
            assert_eq!(
                admission.retry_after(queued),
                expected,
                "{queued} at {rate:?}"
            );
        }
    }
}

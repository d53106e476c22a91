//! Clocks and random generators that do what a test wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use waxseal_crypto::{Random, RandomError, Time};
use waxseal_crypto_aws_lc::OsRandom;
use waxseal_testkit::MockClock;

/// A clock that stands still at a time.
pub fn clock_at(time: Time) -> Arc<MockClock> {
    let clock = MockClock::new();
    clock.set(time);
    Arc::new(clock)
}

/// A generator that works so many times, and then fails for ever.
#[derive(Debug)]
pub struct BrokenRandom(AtomicUsize);

impl BrokenRandom {
    /// Fails after `fills` buffers.
    pub fn after(fills: usize) -> Self {
        Self(AtomicUsize::new(fills))
    }
}

impl Random for BrokenRandom {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        let left = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        match left {
            Ok(_) => OsRandom.fill(buffer),
            Err(_) => Err(RandomError),
        }
    }
}

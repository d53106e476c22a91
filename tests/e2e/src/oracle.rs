//! Clocks and random generators that do what a test wants.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use waxseal_crypto::{Clock, Random, RandomError, Time};
use waxseal_crypto_aws_lc::OsRandom;

/// A clock that stands still until it is told to go on.
#[derive(Debug)]
pub struct MockClock(Mutex<Time>);

impl MockClock {
    /// A clock that shows `time`.
    pub fn at(time: Time) -> Self {
        Self(Mutex::new(time))
    }

    /// Goes on.
    pub fn advance(&self, by: Duration) {
        let mut time = self.0.lock().unwrap();
        *time = time.checked_add(by).unwrap();
    }
}

impl Clock for MockClock {
    fn now(&self) -> Time {
        *self.0.lock().unwrap()
    }
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

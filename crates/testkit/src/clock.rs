//! A clock that stands still until a test turns it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use waxseal_crypto::{Clock, Time};

/// Where every mock clock starts: 2026-01-01T00:00:00Z, in seconds since the epoch.
pub const START: i64 = 1_767_225_600;

/// A clock that stands still until it is turned.
#[derive(Debug)]
pub struct MockClock(Mutex<Time>);

impl MockClock {
    /// A clock at [`START`].
    #[must_use]
    pub fn new() -> Self {
        Self(Mutex::new(Time::from_unix(START).unwrap()))
    }

    /// Turns it forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.checked_add(by).unwrap();
    }

    /// Turns it to a time, be it in the past.
    pub fn set(&self, time: Time) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }
}

impl Default for MockClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for MockClock {
    fn now(&self) -> Time {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

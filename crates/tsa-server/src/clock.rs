//! The time of tokens: what the clock says, and never earlier than it has been.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use waxseal_crypto::Time;

/// Remembers the latest time that was given out.
#[derive(Debug)]
pub(crate) struct SteadyClock {
    latest: Mutex<Option<Time>>,
    tolerance: Duration,
}

/// The clock was set back by more than the accuracy: tokens would be backdated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the clock shows {now}, and a token of {latest} was made before")]
pub(crate) struct ClockBehind {
    pub(crate) now: Time,
    pub(crate) latest: Time,
}

impl SteadyClock {
    /// A clock that may step back by `tolerance` unnoticed.
    pub(crate) const fn new(tolerance: Duration) -> Self {
        Self {
            latest: Mutex::new(None),
            tolerance,
        }
    }

    /// The time for a token, in whole seconds: now, or the latest time again while the clock is
    /// behind it by no more than the tolerance.
    pub(crate) fn take(&self, now: Time) -> Result<Time, ClockBehind> {
        let now = now.truncated_to_second();
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let time = self.steady(now, *latest)?;
        *latest = Some(time);
        Ok(time)
    }

    /// Whether a token could be made now.
    pub(crate) fn check(&self, now: Time) -> Result<(), ClockBehind> {
        let latest = *self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        self.steady(now.truncated_to_second(), latest).map(|_| ())
    }

    fn steady(&self, now: Time, latest: Option<Time>) -> Result<Time, ClockBehind> {
        match latest {
            Some(latest) if latest.saturating_since(now) > self.tolerance => {
                Err(ClockBehind { now, latest })
            }
            Some(latest) => Ok(now.max(latest)),
            None => Ok(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_runs_backwards() {
        let clock = SteadyClock::new(Duration::from_secs(1));
        let at = |second: i64, nanos: u32| Time::new(second, nanos).unwrap();
        let check = |now: Time, expected: Option<i64>| {
            assert_eq!(clock.check(now).is_ok(), expected.is_some());
            let found = clock.take(now).ok();
            assert_eq!(found, expected.map(|second| at(second, 0)));
        };
        check(at(100, 0), Some(100));
        check(at(102, 999_999_999), Some(102));
        check(at(101, 0), Some(102));
        check(at(100, 999_999_999), None);
        check(at(102, 0), Some(102));
        check(at(500, 0), Some(500));
        check(at(103, 0), None);
        let (now, latest) = (at(103, 0), at(500, 0));
        assert_eq!(clock.take(now), Err(ClockBehind { now, latest }));
    }
}

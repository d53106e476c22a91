//! A circuit breaker: whoever failed several times in a row is left alone for a while.

use std::time::Duration;

use waxseal_crypto::Time;

/// Failures in a row after which it opens.
const THRESHOLD: u32 = 3;

/// How long it stays open at first; each further failure doubles that.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// No pause is longer: a log that wants a quorum waits for its witnesses to come back.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The state machine; time is an argument.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Breaker {
    failures: u32,
    open: Option<Open>,
}

/// Nobody is asked between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    since: Time,
    until: Time,
}

/// Whether to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It works as far as is known.
    Healthy,
    /// It failed, and may be back: one question, then another pause.
    Probe,
    /// Not now.
    Refused,
}

impl Breaker {
    pub(crate) fn admit(&mut self, now: Time) -> Admission {
        let Some(open) = self.open else {
            return Admission::Healthy;
        };
        // A clock that was set back must not keep it open for years.
        if now < open.until && now >= open.since {
            return Admission::Refused;
        }
        self.pause(now);
        Admission::Probe
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn failed(&mut self, now: Time) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= THRESHOLD {
            self.pause(now);
        }
    }

    fn pause(&mut self, now: Time) {
        let doublings = self.failures.saturating_sub(THRESHOLD).min(16);
        let pause = FIRST_PAUSE
            .saturating_mul(1 << doublings)
            .min(LONGEST_PAUSE);
        self.open = Some(Open {
            since: now,
            until: now.checked_add(pause).unwrap_or(now),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_unix_millis(1_000_000 + millis).unwrap()
    }

    /// After so many failures at time 0: what is answered at these times, in order.
    fn check(failures: u32, looks: &[(u64, Admission)]) {
        let mut breaker = Breaker::default();
        (0..failures).for_each(|_| breaker.failed(at(0)));
        for (millis, expected) in looks {
            assert_eq!(breaker.admit(at(*millis)), *expected, "{failures} {millis}");
        }
    }

    #[test]
    fn it_opens_after_three_failures_in_a_row() {
        use Admission::{Healthy, Probe, Refused};
        check(0, &[(0, Healthy), (0, Healthy)]);
        check(2, &[(0, Healthy), (1, Healthy)]);
        check(3, &[(0, Refused), (999, Refused), (1000, Probe)]);
        // one probe, then another pause, whatever became of it
        check(3, &[(1000, Probe), (1001, Refused), (2000, Probe)]);
        check(4, &[(1999, Refused), (2000, Probe)]);
        check(7, &[(15_999, Refused), (16_000, Probe)]);
        check(8, &[(29_999, Refused), (30_000, Probe)]);
        check(1000, &[(29_999, Refused), (30_000, Probe)]);
    }

    #[test]
    fn one_success_closes_it() {
        let mut breaker = Breaker::default();
        (0..9).for_each(|_| breaker.failed(at(0)));
        breaker.succeeded();
        assert_eq!(breaker.admit(at(0)), Admission::Healthy);
        (0..2).for_each(|_| breaker.failed(at(0)));
        assert_eq!(breaker.admit(at(0)), Admission::Healthy);
    }

    #[test]
    fn a_clock_set_back_does_not_keep_it_open() {
        let mut breaker = Breaker::default();
        (0..3).for_each(|_| breaker.failed(at(500_000)));
        assert_eq!(breaker.admit(at(400_000)), Admission::Probe);
        assert_eq!(breaker.admit(at(401_000)), Admission::Probe);
    }
}

//! Whether a queue only swells or stands. A state machine: time and the queue are arguments.
//!
//! A burst is what a queue is for: it is taken whole and drains. A queue that has been long for
//! [`BURST`] without a break is fed faster than it drains; then everybody in it waits, and nobody is
//! helped by a longer one. From then on it is kept short, until nobody has had to be turned away for
//! [`CALM`]. (Controlled delay, RFC 8289, with the refusal at the entrance in place of the loss at
//! the exit: who is refused learns it at once, and no work was done for it.)

use std::time::{Duration, Instant};

/// How long a queue may be long before it counts as standing. RFC 8289 §4.3 takes the same.
const BURST: Duration = Duration::from_millis(100);

/// How long nobody was turned away when the next burst is taken whole again.
const CALM: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Shedding(State);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Everybody is let in.
    Off { last_short: Instant },
    /// Who finds the queue long is turned away.
    On { last_refusal: Instant },
}

impl Shedding {
    pub(super) const fn new(now: Instant) -> Self {
        Self(State::Off { last_short: now })
    }

    pub(super) const fn is_on(&self) -> bool {
        matches!(self.0, State::On { .. })
    }

    /// Whether one more is let in now to a queue of `waiting`, which is long from `places` on.
    pub(super) fn lets_in(&mut self, now: Instant, waiting: usize, places: usize) -> bool {
        let is_long = waiting >= places;
        match &mut self.0 {
            State::Off { last_short } if !is_long => {
                *last_short = now;
                true
            }
            State::Off { last_short } => {
                let is_burst = now.saturating_duration_since(*last_short) < BURST;
                if !is_burst {
                    self.0 = State::On { last_refusal: now };
                }
                is_burst
            }
            State::On { last_refusal } if is_long => {
                *last_refusal = now;
                false
            }
            State::On { last_refusal } => {
                if now.saturating_duration_since(*last_refusal) >= CALM {
                    self.0 = State::Off { last_short: now };
                }
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of (milliseconds, waiting, let in), for a queue that is long from 100 on.
    fn check(steps: &[(u64, usize, bool)]) -> Shedding {
        let start = Instant::now();
        let mut shedding = Shedding::new(start);
        for &(millis, waiting, expected) in steps {
            let now = start + Duration::from_millis(millis);
            let found = shedding.lets_in(now, waiting, 100);
            assert_eq!(found, expected, "at {millis} ms behind {waiting}");
        }
        shedding
    }

    #[test]
    fn a_burst_is_taken_whole() {
        let after = check(&[(0, 0, true), (1, 500, true), (99, 4000, true)]);
        assert!(!after.is_on());
        // It drains, and the next one comes.
        check(&[
            (0, 99, true),
            (90, 4000, true),
            (150, 99, true),
            (240, 4000, true),
        ]);
    }

    #[test]
    fn a_burst_after_a_long_calm_is_one() {
        check(&[
            (0, 0, true),
            (3_600_000, 0, true),
            (3_600_001, 300, true),
            (3_600_100, 300, false),
        ]);
    }

    #[test]
    fn a_queue_that_stands_is_kept_short() {
        let after = check(&[
            (0, 0, true),
            (50, 300, true),
            (100, 600, false),
            (101, 100, false),
            (102, 99, true),
            (103, 100, false),
            // It was short a moment ago: no second burst is taken on top.
            (150, 101, false),
        ]);
        assert!(after.is_on());
    }

    #[test]
    fn bursts_are_taken_again_after_a_calm() {
        let standing = [(0, 0, true), (100, 300, false)];
        let soon = [(1_000, 99, true), (1_050, 100, false)];
        assert!(check(&[&standing[..], &soon].concat()).is_on());
        let late = [(1_100, 99, true), (1_101, 100, true), (1_199, 100, true)];
        assert!(!check(&[&standing[..], &late].concat()).is_on());
    }

    #[test]
    fn a_clock_that_stands_still_refuses_nobody() {
        check(&[(5, 300, true), (5, 300, true), (0, 300, true)]);
    }
}

//! Whether the clock is believed: a time in the log is there for good, and no later entry has an
//! earlier one, so one leap into the future would stay in every promise of a CT log until then.
//!
//! Time that nobody sets is compared with the clock: the system's uptime, since the clock was first
//! seen to be right. At the start nothing is known of the time in between, and a log may have rested
//! for years: the clock is believed then. So it is when the system does not tell its uptime.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use waxseal_crypto::{Clock, Time};

/// A clock may be this much ahead of what it should show. Less is an hour of daylight saving, a
/// system that was paused, a correction; a promise that comes due a day late harms nobody.
const LONGEST_LEAP: Duration = Duration::from_secs(24 * 60 * 60);

/// The clock, and what is known of it.
pub(crate) struct Leaps {
    clock: Arc<dyn Clock>,
    known: Mutex<Option<Known>>,
}

/// A time that was believed, and the uptime at it.
#[derive(Debug, Clone, Copy)]
struct Known {
    time: Time,
    uptime: Duration,
    /// What the clock might show at the last look at the uptime. It only grows, so that the uptime is
    /// not asked for again until the clock is beyond it.
    most: Time,
}

impl Known {
    fn new(time: Time, uptime: Duration) -> Self {
        let most = time.checked_add(LONGEST_LEAP).unwrap_or(time);
        Self { time, uptime, most }
    }
}

/// The clock shows a time that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the clock shows {shown}, and it can be {most} at most: nothing is appended until it is set \
     right; if it is right now, restart the log"
)]
pub(crate) struct ClockAhead {
    /// What the clock shows.
    pub(crate) shown: Time,
    /// What it may show.
    pub(crate) most: Time,
}

impl Leaps {
    pub(crate) const fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            known: Mutex::new(None),
        }
    }

    /// The time of the next entry: that of the clock, but not before the last one's.
    ///
    /// # Errors
    /// [`ClockAhead`].
    pub(crate) fn next_time(&self, last: Time) -> Result<Time, ClockAhead> {
        let now = self.clock.now();
        if now < last {
            // It is wrong: nothing can be known by it.
            return Ok(last);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = known.as_mut() else {
            let uptime = self.clock.uptime();
            *known = uptime.map(|uptime| Known::new(now, uptime));
            drop(known);
            let rested = now.saturating_since(last);
            if rested > LONGEST_LEAP && last > Time::UNIX_EPOCH {
                tracing::warn!(
                    %last,
                    %now,
                    "the last entry is old: the log has rested, or the clock is wrong"
                );
            }
            return Ok(now);
        };
        if now <= before.most {
            return Ok(now);
        }
        let Some(uptime) = self.clock.uptime() else {
            return Ok(now);
        };
        let passed = uptime.saturating_sub(before.uptime) + LONGEST_LEAP;
        let Some(most) = before.time.checked_add(passed) else {
            return Ok(now);
        };
        before.most = most;
        if now > most {
            return Err(ClockAhead { shown: now, most });
        }
        Ok(now)
    }
}

impl fmt::Debug for Leaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaps")
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    /// A clock and an uptime, in seconds; an uptime of 0 is not known.
    #[derive(Default)]
    struct Hands {
        clock: AtomicU64,
        uptime: AtomicU64,
    }

    impl Clock for Hands {
        fn now(&self) -> Time {
            time(self.clock.load(Ordering::SeqCst))
        }

        fn uptime(&self) -> Option<Duration> {
            let seconds = self.uptime.load(Ordering::SeqCst);
            (seconds > 0).then(|| Duration::from_secs(seconds))
        }
    }

    fn time(seconds: u64) -> Time {
        Time::from_unix_millis(seconds * 1000).unwrap()
    }

    /// Looks at (clock, uptime), one after the other, each taken being the last entry of the next;
    /// what each comes to, in seconds, or 0 if it is not believed.
    fn check(last: u64, looks: &[(u64, u64)], expected: &[u64]) {
        let hands = Arc::new(Hands::default());
        let clock: Arc<dyn Clock> = hands.clone();
        let leaps = Leaps::new(clock);
        let mut last = time(last);
        let mut found = Vec::new();
        for (clock, uptime) in looks {
            hands.clock.store(*clock, Ordering::SeqCst);
            hands.uptime.store(*uptime, Ordering::SeqCst);
            last = leaps.next_time(last).unwrap_or(Time::UNIX_EPOCH).max(last);
            let believed = leaps.next_time(last).is_ok();
            found.push(if believed {
                last.unix_millis() / 1000
            } else {
                0
            });
        }
        assert_eq!(found, expected, "{looks:?}");
    }

    #[test]
    fn clock_ahead() {
        let start = 1000 * DAY;
        // An hour later, ten years later, an hour after that by the uptime, right again.
        let later = [3600, 3700 * DAY, 7200].map(|by| start + by);
        check(
            start,
            &[
                (start, 50),
                (later[0], 3650),
                (later[1], 3700),
                (later[2], 7250),
            ],
            &[start, later[0], 0, later[2]],
        );
        // A day is let through, and a second more is not.
        check(
            start,
            &[(start, 50), (start + DAY, 50)],
            &[start, start + DAY],
        );
        check(start, &[(start, 50), (start + DAY + 1, 50)], &[start, 0]);
        // Nor are two steps of most of a day, with an entry between them.
        let steps = [start + 23 * 3600, start + 46 * 3600];
        check(
            start,
            &[(start, 50), (steps[0], 50), (steps[1], 50)],
            &[start, steps[0], 0],
        );
    }

    #[test]
    fn a_log_may_rest() {
        let start = 1000 * DAY;
        // While the process runs, and while none does.
        check(
            start,
            &[(start, 50), (start + 90 * DAY, 50 + 90 * DAY)],
            &[start, start + 90 * DAY],
        );
        check(start, &[(start + 900 * DAY, 50)], &[start + 900 * DAY]);
    }

    #[test]
    fn nothing_is_known_by_a_clock_that_is_behind() {
        let start = 1000 * DAY;
        // It starts in 1970, and is set right a minute later: the log had rested for a year.
        check(
            start,
            &[
                (5, 5),
                (65, 65),
                (start + 365 * DAY, 66),
                (start + 800 * DAY, 70),
            ],
            &[start, start, start + 365 * DAY, 0],
        );
    }

    #[test]
    fn without_an_uptime_the_clock_is_believed() {
        let start = 1000 * DAY;
        check(
            start,
            &[(start, 0), (start + 900 * DAY, 0)],
            &[start, start + 900 * DAY],
        );
    }
}

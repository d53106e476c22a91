//! The system's clock and its random generator.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use waxseal_crypto::{Clock, Random, RandomError, Time};

/// The system's clock. Where it stands before 1970 or after 9999 it reads as 1970, when no
/// certificate is valid.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that the others are given"
    )]
    fn now(&self) -> Time {
        let Ok(elapsed) = SystemTime::now().duration_since(UNIX_EPOCH) else {
            return Time::UNIX_EPOCH;
        };
        Time::UNIX_EPOCH
            .checked_add(elapsed)
            .unwrap_or(Time::UNIX_EPOCH)
    }

    /// Known on Linux, where it counts sleep.
    fn uptime(&self) -> Option<Duration> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        let text = std::fs::read_to_string("/proc/uptime").ok()?;
        let seconds: f64 = text.split(' ').next()?.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// The system's random generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        getrandom::fill(buffer).map_err(|_| RandomError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_runs() {
        let first = SystemClock.now();
        assert!(first > Time::parse_rfc3339("2026-01-01T00:00:00Z").unwrap());
        assert!(SystemClock.now() >= first);
    }

    #[test]
    fn the_uptime_grows() {
        let first = SystemClock.uptime();
        assert_eq!(first.is_some(), cfg!(target_os = "linux"));
        assert!(SystemClock.uptime() >= first && first != Some(Duration::ZERO));
    }

    #[test]
    fn random_bytes_differ() {
        let (mut first, mut second) = ([0; 32], [0; 32]);
        OsRandom.fill(&mut first).unwrap();
        OsRandom.fill(&mut second).unwrap();
        assert_ne!(first, second);
    }
}

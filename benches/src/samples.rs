//! Durations, and what is told of them.

use std::time::{Duration, Instant};

/// The durations of one piece of work, repeated.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one duration.
    pub fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// Times one piece of work and adds it. Whatever it gives back is dropped after the clock.
    pub fn time<T>(&mut self, work: impl FnOnce() -> T) {
        let started = Instant::now();
        let result = std::hint::black_box(work());
        self.add(started.elapsed());
        drop(result);
    }

    /// How many there are.
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// The shortest; zero if there is none.
    pub fn best(&self) -> Duration {
        self.0.iter().min().copied().unwrap_or_default()
    }

    /// The duration that a share of all, between 0 and 1, does not exceed; zero if there is none.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        #[expect(
            clippy::as_conversions,
            reason = "a position below the length, from a share of it"
        )]
        let position = (last as f64 * share.clamp(0.0, 1.0)).round() as usize;
        sorted.get(position).copied().unwrap_or_default()
    }
}

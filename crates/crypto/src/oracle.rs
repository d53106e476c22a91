//! The world's two oracles: what time it is, and what nobody can guess.

use std::time::Duration;

use crate::Time;

/// Where the time comes from. Core crates take a [`Time`]; only edges hold a clock.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Time;

    /// How long the system has been up, the time that it slept included: what nobody sets forward or
    /// back, for who wants to know whether [`now`](Self::now) was. `None`: it is not known.
    fn uptime(&self) -> Option<Duration> {
        None
    }
}

/// Where unpredictable bytes come from.
pub trait Random: Send + Sync {
    /// Fills the whole buffer with bytes from a cryptographically secure generator.
    ///
    /// # Errors
    /// [`RandomError`] if the generator failed; the buffer must then not be used.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError>;
}

/// The system's random generator failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the random generator failed")]
pub struct RandomError;

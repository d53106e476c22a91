//! A fault that makes going on unsafe.

use std::error::Error;

/// A boxed cause.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why the process must stop. Refusals and faults end a request; this ends the server.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Fatal {
    reason: &'static str,
    source: Option<BoxError>,
}

impl Fatal {
    /// A fatal fault with its cause.
    pub fn new(reason: &'static str, cause: impl Into<BoxError>) -> Self {
        Self {
            reason,
            source: Some(cause.into()),
        }
    }

    /// A fatal fault that has no further cause.
    #[must_use]
    pub fn because(reason: &'static str) -> Self {
        Self {
            reason,
            source: None,
        }
    }

    /// What went wrong, in a few words.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

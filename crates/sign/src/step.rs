//! The steps of a signing, as they are shown to whoever waits.

/// A step that takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Asking the certificate authority.
    Certificate,
    /// Signing, where the key lives elsewhere.
    Signature,
    /// Asking the timestamp authorities.
    Timestamp,
    /// Waiting for the logs.
    Log,
    /// Verifying the bundle.
    Verify,
}

impl Step {
    /// One word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Signature => "signature",
            Self::Timestamp => "timestamp",
            Self::Log => "log",
            Self::Verify => "verify",
        }
    }
}

/// Who is told when a step begins. Artifacts are signed side by side, so steps of one artifact
/// come between those of another.
pub trait Progress: Send + Sync {
    /// A step begins.
    fn begin(&self, step: Step);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: Step) {}
}

//! A submission on its way into the log, and how it ends.

use std::error::Error;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::personality::Prover;
use crate::{Published, Submission};

/// A submission that waits for its place.
pub(crate) struct Pending {
    pub(crate) submission: Box<dyn Submission>,
    /// The sealed entry that has its key, and is another one: whoever submits it has compared.
    pub(crate) is_not: Option<u64>,
    pub(crate) reply: oneshot::Sender<Result<Told, AppendError>>,
}

/// What becomes of a submission.
pub(crate) enum Told {
    /// It has its place.
    Sequenced(Sequenced),
    /// A sealed entry has its key. Whoever submits it reads that one and compares: in the sequencer
    /// everybody else would wait for a bundle of 16 MiB.
    Sealed {
        /// That entry's index.
        index: u64,
        /// The submission, given back.
        submission: Box<dyn Submission>,
    },
}

/// An entry that is in the log, under a published checkpoint.
pub(crate) struct Sequenced {
    pub(crate) index: u64,
    pub(crate) is_duplicate: bool,
    pub(crate) stored: Vec<u8>,
    pub(crate) published: Arc<Published>,
    pub(crate) prover: Arc<dyn Prover>,
}

/// Why an entry was not appended, or its place cannot be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Too many entries wait, or too many are not sealed yet.
    #[error("the log takes no more entries just now")]
    Overloaded,
    /// The log has stopped, or is stopping.
    #[error("the log has stopped")]
    Stopped,
    /// The log is frozen.
    #[error("the log is frozen")]
    Frozen,
    /// Stored entries were found damaged: the log is only read until somebody has looked (D8).
    #[error("stored entries of the log are damaged")]
    Damaged,
    /// The clock shows a time that cannot be: an entry would have it for good.
    #[error("the clock of the log has leapt ahead")]
    ClockAhead,
    /// The log did not answer in time; the entry may be in it.
    #[error("the log did not answer in time")]
    Deadline,
    /// No entry can have that index (static-ct-api: 40 bits).
    #[error("the log is full")]
    Full,
    /// The entry is longer than a bundle can hold (S-20).
    #[error("an entry of {length} bytes is too long for the log")]
    EntryTooLong {
        /// Its length.
        length: usize,
    },
    /// A store failed; nothing was appended.
    #[error("a store of the log failed")]
    Store(#[source] Arc<dyn Error + Send + Sync>),
    /// The entry is in the log, but its checkpoint could not be signed.
    #[error("the checkpoint could not be signed")]
    Signer(#[source] Arc<dyn Error + Send + Sync>),
    /// The entry is in the log, but too few witnesses have cosigned its checkpoint yet.
    #[error("too few witnesses have cosigned the checkpoint")]
    NoQuorum,
    /// It is unknown whether the entry is in the log: the process stops (rule D2).
    #[error("it is unknown whether the entry is in the log")]
    Unknown,
}

impl Pending {
    /// One that is new, as far as is known, and where its answer comes.
    pub(crate) fn new(
        submission: Box<dyn Submission>,
    ) -> (Self, oneshot::Receiver<Result<Told, AppendError>>) {
        let (reply, answer) = oneshot::channel();
        let pending = Self {
            submission,
            is_not: None,
            reply,
        };
        (pending, answer)
    }
}

/// A client that went away is no error: its entry is in the log all the same.
pub(crate) fn refuse(
    waiting: impl IntoIterator<Item = Pending>,
    mut error: impl FnMut() -> AppendError,
) {
    for pending in waiting {
        let _ = pending.reply.send(Err(error()));
    }
}

impl std::fmt::Debug for Sequenced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sequenced")
            .field("index", &self.index)
            .field("is_duplicate", &self.is_duplicate)
            .finish_non_exhaustive()
    }
}

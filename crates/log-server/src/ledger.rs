//! The ledger: the small transactional store that decides what is in the log.

use std::ops::Range;

use waxseal_crypto::BoxFuture;
use waxseal_serve::BoxError;

/// What makes two submissions the same: a 256-bit hash over everything that identifies the entry.
/// Shorter keys can be made to collide (S-13).
pub type DedupKey = [u8; 32];

/// The transactional half of a log's storage: entries that are not sealed yet, the state, and the
/// deduplication table.
///
/// **Durability.** When [`commit`](Self::commit) answers [`CommitOutcome::Committed`], the whole
/// commit survives a crash of the process, of the machine and a loss of power. Whatever fails, a
/// commit is there as a whole or not at all.
///
/// **Consistency.** Reads see every commit that was answered before they began.
///
/// **Concurrency.** One writer: [`open`](Self::open) takes the log over and raises the epoch;
/// commits of an earlier epoch answer [`CommitOutcome::Fenced`]. Reads may run at any time.
///
/// **Errors.** [`CommitOutcome::NotCommitted`] is a promise: the commit is not there and never will
/// be. Whoever sent an entry may send it again then, and the log goes on with the same indexes.
/// Whatever is less certain, such as an fsync that failed, is [`CommitOutcome::Unknown`]: nothing
/// is signed any more, the process ends, and the next one reads what is there (D2).
///
/// **State.** Every commit replaces the state: the tree, the log's name, whether it is frozen, and
/// whether the stores are a copy. A commit may have no entries.
///
/// **Damage.** The log compares entries that it reads here with the hashes of its tree, and the
/// state carries a checksum (D8). Deduplication keys prove nothing by themselves (S-13): a wrong
/// index is found out by comparing bytes, a lost key lets an entry in twice.
///
/// **Blocking.** Methods may block the thread: the log calls them only where that is allowed.
///
/// **Trust.** Who writes the ledger can make the log fork. Who rolls it back is found out at start
/// if the objects were not rolled back with it, or if there are witnesses (D4, D11).
pub trait Ledger: Send + Sync {
    /// Takes the log over: a new epoch, and the state of the last commit, if there was one.
    fn open(&self) -> BoxFuture<'_, Result<Opened, LedgerError>>;

    /// What [`open`](Self::open) would find, and the epoch that is there: nothing is taken over, and
    /// nothing written.
    fn look(&self) -> BoxFuture<'_, Result<Opened, LedgerError>>;

    /// Appends entries, replaces the state, forgets sealed entries: one transaction. A key that is
    /// already in the table keeps its first index.
    fn commit<'a>(&'a self, commit: Commit<'a>) -> BoxFuture<'a, CommitOutcome>;

    /// The index of each key, if it is in the table. An error is never "not there" (S-18).
    fn find<'a>(
        &'a self,
        keys: &'a [DedupKey],
    ) -> BoxFuture<'a, Result<Vec<Option<u64>>, LedgerError>>;

    /// The stored bytes of entries that are not forgotten: all of the range, or
    /// [`LedgerError::Forgotten`].
    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<Vec<Vec<u8>>, LedgerError>>;

    /// The data kept beside the leaf of an entry. It is never forgotten; empty if there is none.
    fn read_beside(&self, index: u64) -> BoxFuture<'_, Result<Vec<u8>, LedgerError>>;
}

/// What [`Ledger::open`] finds, or [`Ledger::look`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "stores outside this crate make it"
)]
pub struct Opened {
    /// The epoch that commits must name from now on; 0 if nobody has ever opened it.
    pub epoch: u64,
    /// The state of the last commit: opaque bytes.
    pub state: Option<Vec<u8>>,
}

/// One transaction.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::exhaustive_structs,
    reason = "stores outside this crate take it apart"
)]
pub struct Commit<'a> {
    /// The epoch that [`Ledger::open`] gave.
    pub epoch: u64,
    /// Index of the first of the entries.
    pub first_index: u64,
    /// Entries, in the order of the log.
    pub entries: &'a [NewEntry],
    /// The state after them: opaque bytes.
    pub state: &'a [u8],
    /// Entries below this index are sealed: their stored bytes may be forgotten.
    pub forget_before: u64,
}

/// An entry to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "stores outside this crate take it apart"
)]
pub struct NewEntry {
    /// Its deduplication key; `None` if the key is taken by another entry.
    pub key: Option<DedupKey>,
    /// The bytes that the entry bundle will hold.
    pub stored: Vec<u8>,
    /// Data kept beside the leaf, in neither the leaf nor the bundle. Often empty.
    pub beside: Vec<u8>,
}

/// What became of a commit.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "every case decides what the log may do next"
)]
pub enum CommitOutcome {
    /// It is durable.
    Committed,
    /// It is certainly not there, and another may be tried.
    NotCommitted(BoxError),
    /// Another process has taken the log over. This one stops.
    Fenced,
    /// It may or may not be there, now or later: the process stops, and finds out at its start.
    Unknown(BoxError),
}

/// Why a ledger cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Some of the entries are not there (any more): they are sealed, or were never committed.
    #[error("the ledger does not hold entries [{}, {})", range.start, range.end)]
    Forgotten {
        /// The range that was asked for.
        range: Range<u64>,
    },
    /// The store failed.
    #[error("the ledger failed")]
    Failed(#[source] BoxError),
}

//! A second pair of stores with the same log in it: a backup, or a log that moves in.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use waxseal_crypto::{Clock, CryptoProvider, Time};
use waxseal_serve::{BoxError, Fatal, Meter};
use waxseal_tlog::{Origin, SignedNote};

use crate::integrate::integrate;
use crate::recovery::restore;
use crate::seal::{SealError, Sealer};
use crate::shared::Shared;
use crate::state::LogState;
use crate::{
    Commit, CommitOutcome, Context, Ledger, LedgerError, NewEntry, ObjectName, Objects,
    Personality, Published, StartError,
};

/// Most entries of one commit: 4,096 certificates are some 13 MB.
pub(crate) const CHUNK: usize = 16 * 256;

/// What the copy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a log is in one place or in two")]
pub enum ReplicaKind {
    /// The log goes on elsewhere: from these stores no log starts under its name (D11).
    Backup,
    /// Nobody writes to the log elsewhere any more, and nobody ever will: it goes on here.
    Move,
}

/// What a copy is written to, and what reads its entries.
#[expect(
    clippy::exhaustive_structs,
    reason = "made by whoever composes a process"
)]
pub struct ReplicaContext {
    /// Makes no signature here.
    pub provider: CryptoProvider,
    /// The time, for what has none.
    pub clock: Arc<dyn Clock>,
    /// An empty ledger, or that of an earlier copy.
    pub ledger: Arc<dyn Ledger>,
    /// Its objects.
    pub objects: Arc<dyn Objects>,
    /// What the log holds.
    pub personality: Arc<dyn Personality>,
}

/// A copy in the making. It is grown from the entries alone: tiles and root are computed anew, and
/// compared with a checkpoint at the end. What was copied earlier is not copied again.
///
/// Its methods may block the thread.
pub struct Replica {
    shared: Arc<Shared>,
    sealer: Sealer,
    state: LogState,
    epoch: u64,
}

/// Why a log was not copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// The stores cannot be opened, or are damaged.
    #[error("the stores of the copy cannot be used")]
    Start(#[from] StartError),
    /// The stores are those of a log: a copy never overwrites one.
    #[error("the stores are those of the log {of}, not of a copy")]
    NotACopy {
        /// Which one.
        of: Origin,
    },
    /// A store failed.
    #[error("a store failed")]
    Store(#[source] BoxError),
    /// Bytes are not what this personality stores.
    #[error("entry {index} is malformed")]
    Malformed {
        /// Its index.
        index: u64,
    },
    /// The copy is ahead of the log: the log was rolled back.
    #[error("the copy has {copied} entries and the log {tree_size}: the log was rolled back")]
    Ahead {
        /// Entries of the copy.
        copied: u64,
        /// Entries of the log.
        tree_size: u64,
    },
    /// The entries lead to another tree than the checkpoint's.
    #[error("the entries of the copy lead to another tree of {tree_size} entries")]
    OtherTree {
        /// Size of both.
        tree_size: u64,
    },
    /// The checkpoint is not one of this log.
    #[error("the checkpoint is not one of the log that is copied")]
    OtherCheckpoint,
    /// The log has not published anything, or has stopped.
    #[error("the log has nothing published that could be copied")]
    Unpublished,
}

impl Replica {
    /// Opens the stores of a copy, new or begun.
    ///
    /// # Errors
    /// [`ReplicaError`].
    pub async fn open(origin: Origin, context: ReplicaContext) -> Result<Self, ReplicaError> {
        let shared = Arc::new(Shared::new(Context {
            provider: context.provider,
            clock: context.clock,
            signers: Vec::new(),
            cosigners: None,
            ledger: context.ledger,
            objects: context.objects,
            personality: context.personality,
            meter: Meter::new(),
        }));
        let opened = shared.ledger.open().await.map_err(StartError::from)?;
        let state = match opened.state {
            None => LogState {
                is_copy: true,
                ..LogState::new(origin)
            },
            Some(bytes) => {
                let state = LogState::parse(&bytes).map_err(StartError::from)?;
                if state.origin != origin || !state.is_copy {
                    return Err(ReplicaError::NotACopy { of: state.origin });
                }
                restore(&shared, &state).await?;
                state
            }
        };
        shared.sealed.store(state.sealed, Ordering::Release);
        let committed = state.frontier.size();
        shared.committed.store(committed, Ordering::Release);
        let checkpoint = shared.objects.read(ObjectName::Checkpoint).await;
        let checkpoint = checkpoint.map_err(StartError::from)?;
        Ok(Self {
            sealer: Sealer::new(Arc::clone(&shared), checkpoint),
            shared,
            state,
            epoch: opened.epoch,
        })
    }

    /// How many entries it has: the next one that it needs is that of this index.
    pub const fn tree_size(&self) -> u64 {
        self.state.frontier.size()
    }

    /// Appends entries as they are stored; they are durable, and sealed as far as bundles are full,
    /// when this returns.
    ///
    /// # Errors
    /// [`ReplicaError`].
    pub async fn append(&mut self, stored: Vec<Vec<u8>>) -> Result<(), ReplicaError> {
        let entries = self.with_keys(stored).await?;
        let time = self.state.time;
        let grown = integrate(&self.shared, &self.state, &entries, time);
        let next = grown.map_err(fatal)?;
        let next = next.ok_or_else(|| ReplicaError::Store("the log is full".into()))?;
        self.commit(&entries, next).await?;
        let size = self.tree_size();
        self.sealer.seal_full(size).await.map_err(unsealed)
    }

    /// Writes partial tiles and the checkpoint out: the copy can be read, and verified, from its
    /// objects alone. It can be opened and grown again if it is a backup.
    ///
    /// # Errors
    /// [`ReplicaError`], among others if the checkpoint is not that of these entries.
    pub async fn finish(mut self, end: ReplicaEnd<'_>) -> Result<(), ReplicaError> {
        let note = SignedNote::parse(end.checkpoint);
        let text = note.ok().and_then(|note| note.unverified_checkpoint().ok());
        let text = text
            .filter(|text| *text.origin() == self.state.origin)
            .ok_or(ReplicaError::OtherCheckpoint)?;
        let (tree_size, root_hash) = (text.tree_size(), *text.root_hash());
        if tree_size != self.tree_size() || root_hash != self.state.frontier.root_hash() {
            return Err(ReplicaError::OtherTree { tree_size });
        }
        let published = Arc::new(Published {
            tree_size,
            root_hash,
            checkpoint: end.checkpoint.to_owned(),
        });
        self.sealer.publish(&published).await.map_err(unsealed)?;
        // The last step: until here nothing starts from these stores.
        let last = LogState {
            is_copy: end.kind == ReplicaKind::Backup,
            is_frozen: end.is_frozen,
            time: end.last_time.max(self.state.time),
            ..self.state.clone()
        };
        self.commit(&[], last).await
    }

    /// The root of an earlier size agrees with the log that is copied.
    pub(crate) async fn check_begun(&self, from: &Shared, size: u64) -> Result<(), ReplicaError> {
        let copied = self.tree_size();
        if copied > size {
            let tree_size = size;
            return Err(ReplicaError::Ahead { copied, tree_size });
        }
        let root = from.root_hash(copied).await;
        if root.map_err(|error| ReplicaError::Store(error.into()))?
            == self.state.frontier.root_hash()
        {
            Ok(())
        } else {
            Err(ReplicaError::OtherTree { tree_size: copied })
        }
    }

    /// Objects that entries need beside their bundles.
    pub(crate) async fn copy_objects(
        &self,
        from: &Shared,
        stored: &[Vec<u8>],
    ) -> Result<(), ReplicaError> {
        let names: HashSet<_> = stored
            .iter()
            .flat_map(|entry| self.shared.personality.objects(entry))
            .collect();
        let mut objects = Vec::new();
        for name in names {
            let bytes = from.object(name).await;
            objects.push((
                name,
                bytes.map_err(|error| ReplicaError::Store(error.into()))?,
            ));
        }
        let created = self.shared.objects.create(objects).await;
        created.map_err(|error| ReplicaError::Store(error.into()))
    }

    /// Deduplication goes on in a copy where the log left it: it is part of the log (D9).
    async fn with_keys(&self, stored: Vec<Vec<u8>>) -> Result<Vec<NewEntry>, ReplicaError> {
        let mut keys = Vec::with_capacity(stored.len());
        for (entry, index) in stored.iter().zip(self.tree_size()..) {
            let key = self.shared.personality.key(entry);
            keys.push(key.ok_or(ReplicaError::Malformed { index })?);
        }
        let found = self.shared.ledger.find(&keys).await;
        let found = found.map_err(|error: LedgerError| ReplicaError::Store(error.into()))?;
        let mut taken = HashSet::new();
        let entries = stored.into_iter().zip(keys).zip(found);
        Ok(entries
            .map(|((stored, key), found)| NewEntry {
                key: (found.is_none() && taken.insert(key)).then_some(key),
                stored,
                beside: Vec::new(),
            })
            .collect())
    }

    async fn commit(
        &mut self,
        entries: &[NewEntry],
        mut next: LogState,
    ) -> Result<(), ReplicaError> {
        next.sealed = self.shared.sealed.load(Ordering::Acquire);
        let state = next.encode();
        let outcome = self.shared.ledger.commit(Commit {
            epoch: self.epoch,
            first_index: self.state.frontier.size(),
            entries,
            state: &state,
            forget_before: next.sealed,
        });
        match outcome.await {
            CommitOutcome::Committed => {}
            CommitOutcome::Fenced => {
                return Err(ReplicaError::Store("another process has it".into()));
            }
            CommitOutcome::NotCommitted(cause) | CommitOutcome::Unknown(cause) => {
                return Err(ReplicaError::Store(cause));
            }
        }
        let committed = next.frontier.size();
        self.shared.committed.store(committed, Ordering::Release);
        self.shared.tree_mut().evict(next.sealed);
        self.state = next;
        Ok(())
    }
}

/// The last word about a copy.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "all of it is to be decided")]
pub struct ReplicaEnd<'a> {
    /// The signed checkpoint of exactly these entries. The caller has verified it.
    pub checkpoint: &'a str,
    /// What the copy is for.
    pub kind: ReplicaKind,
    /// Whether the log takes no more entries.
    pub is_frozen: bool,
    /// Time of the last entry: no later one gets an earlier time.
    pub last_time: Time,
}

fn fatal(fatal: Fatal) -> ReplicaError {
    ReplicaError::Store(fatal.into())
}

fn unsealed(error: SealError) -> ReplicaError {
    ReplicaError::Store(error.into())
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica")
            .field("origin", &self.state.origin)
            .field("tree_size", &self.tree_size())
            .finish_non_exhaustive()
    }
}

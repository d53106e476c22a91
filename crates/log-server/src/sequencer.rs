//! The one writer: sequence, integrate, commit, sign, publish, answer — in that order.
//!
//! Whatever has arrived while the last commit was on its way to the disk makes up the next one:
//! there is no timer. The commit point is [`CommitOutcome::Committed`]; nothing is signed or
//! answered before it (rules D1, D4).

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use waxseal_crypto::Time;
use waxseal_serve::{BoxError, Fatal, Shutdown};
use waxseal_tlog::MAX_ENTRY_BYTES;

use crate::metrics::Metrics;
use crate::publisher::{PublishError, publish, publish_first};
use crate::shared::{ReadError, Shared};
use crate::state::LogState;
use crate::{
    BundleKind, Commit, CommitOutcome, CosignError, DedupKey, NewEntry, Published, Record,
    StartError, Submission,
};

/// Most entries of one commit: a quarter of what may wait, so that an answer is never behind more
/// than a few of them.
pub(crate) const MAX_BATCH: usize = 1024;

/// A submission that waits for its place.
pub(crate) struct Pending {
    pub(crate) submission: Box<dyn Submission>,
    pub(crate) reply: oneshot::Sender<Result<Sequenced, AppendError>>,
}

/// An entry that is in the log.
#[derive(Debug)]
pub(crate) struct Sequenced {
    pub(crate) index: u64,
    pub(crate) is_duplicate: bool,
    pub(crate) stored: Vec<u8>,
    pub(crate) published: Arc<Published>,
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

pub(crate) struct Sequencer {
    shared: Arc<Shared>,
    metrics: Metrics,
    epoch: u64,
    state: LogState,
}

/// What a batch comes to before it is committed.
#[derive(Default)]
struct Batch {
    entries: Vec<NewEntry>,
    /// For each waiting submission: its index, and whether that is an earlier entry's.
    places: Vec<(Pending, u64, bool)>,
    /// Keys of this batch's own entries.
    keys: HashMap<DedupKey, u64>,
    time: Option<Time>,
}

impl Sequencer {
    pub(crate) const fn new(
        shared: Arc<Shared>,
        metrics: Metrics,
        epoch: u64,
        state: LogState,
    ) -> Self {
        Self {
            shared,
            metrics,
            epoch,
            state,
        }
    }

    /// Takes what arrives; when `stop` fires, what had arrived before (rule D10).
    ///
    /// # Errors
    /// [`Fatal`]: going on is unsafe.
    pub(crate) async fn run(
        mut self,
        mut arrivals: mpsc::Receiver<Pending>,
        stop: Shutdown,
    ) -> Result<(), Fatal> {
        let mut waiting = Vec::with_capacity(MAX_BATCH);
        loop {
            let taken = tokio::select! {
                biased;
                taken = arrivals.recv_many(&mut waiting, MAX_BATCH) => taken,
                () = stop.triggered() => {
                    arrivals.close();
                    arrivals.recv_many(&mut waiting, MAX_BATCH).await
                }
            };
            if taken == 0 {
                return Ok(());
            }
            self.append(std::mem::take(&mut waiting)).await?;
        }
    }

    /// Appends a batch and answers everybody in it.
    ///
    /// # Errors
    /// [`Fatal`]: it is unknown what is in the log, another process writes to it, or its memory
    /// contradicts itself.
    pub(crate) async fn append(&mut self, waiting: Vec<Pending>) -> Result<(), Fatal> {
        let batch = match self.sequence(waiting).await {
            Ok(batch) => batch,
            Err((waiting, error)) => {
                let cause = Arc::<dyn Error + Send + Sync>::from(BoxError::from(error));
                refuse(waiting, || AppendError::Store(Arc::clone(&cause)));
                return Ok(());
            }
        };
        if batch.entries.is_empty() {
            return self.answer_duplicates(batch).await;
        }
        let Some(next) = self.integrate(&batch)? else {
            refuse(batch.waiting(), || AppendError::Full);
            return Ok(());
        };
        let sealed = next.sealed;
        let commit = Commit {
            epoch: self.epoch,
            first_index: self.state.frontier.size(),
            entries: &batch.entries,
            state: &next.encode(),
            forget_before: sealed,
        };
        let start = Instant::now();
        // THE COMMIT POINT. Before it nothing may leave this process that the batch is part of.
        match self.shared.ledger.commit(commit).await {
            CommitOutcome::Committed => {}
            CommitOutcome::NotCommitted(cause) => {
                self.shared.tree_mut().truncate(self.state.frontier.size());
                tracing::error!(%cause, "a batch was not committed");
                let cause: Arc<dyn Error + Send + Sync> = Arc::from(cause);
                refuse(batch.waiting(), || AppendError::Store(Arc::clone(&cause)));
                return Ok(());
            }
            CommitOutcome::Fenced => {
                self.stop(batch, || AppendError::Stopped);
                return Err(Fatal::because("another process has taken the log over"));
            }
            CommitOutcome::Unknown(cause) => {
                self.stop(batch, || AppendError::Unknown);
                return Err(Fatal::new("it is unknown what is in the log", cause));
            }
        }
        self.metrics.committed(batch.entries.len(), start.elapsed());
        self.state = next;
        let committed = self.state.frontier.size();
        self.shared.committed.store(committed, Ordering::Release);
        self.shared.tree_mut().evict(sealed);
        match publish(&self.shared, &self.state).await {
            Ok(published) => {
                self.answer(batch, &published).await;
                Ok(())
            }
            Err(error) => self.unpublished(batch, error),
        }
    }

    /// Publishes what was committed before this process began. A log that fails closed may start
    /// without cosignatures; it publishes nothing then.
    pub(crate) async fn publish_first(&self) -> Result<(), StartError> {
        match publish_first(&self.shared, &self.state).await {
            Ok(_) => Ok(()),
            Err(PublishError::Cosign(error @ CosignError::NoQuorum { .. })) => {
                tracing::warn!(%error, "nothing is published yet");
                Ok(())
            }
            Err(PublishError::Cosign(error)) => Err(StartError::Cosign(error)),
            Err(PublishError::Signer(cause)) => Err(StartError::Sign(cause)),
        }
    }

    pub(crate) const fn tree_size(&self) -> u64 {
        self.state.frontier.size()
    }

    /// Gives every submission its index: that of the same entry before it, or a new one.
    async fn sequence(&self, waiting: Vec<Pending>) -> Result<Batch, (Vec<Pending>, ReadError)> {
        let keys: Vec<_> = waiting.iter().map(|one| one.submission.key()).collect();
        let found = match self.shared.ledger.find(&keys).await {
            Ok(found) if found.len() == keys.len() => found,
            Ok(_) => {
                let short = "the ledger answered for another number of keys";
                return Err((waiting, ReadError::Store(short.into())));
            }
            Err(error) => return Err((waiting, ReadError::Store(error.into()))),
        };
        let time = self.shared.clock.now().max(self.state.time);
        let mut batch = Batch {
            time: Some(time),
            ..Batch::default()
        };
        let mut waiting = waiting.into_iter();
        let mut keys_and_found = keys.into_iter().zip(found);
        while let Some(pending) = waiting.next() {
            let Some((key, found)) = keys_and_found.next() else {
                break;
            };
            if let Err(error) = self.place(&mut batch, pending, key, found, time).await {
                let mut all = batch.waiting();
                all.extend(waiting);
                return Err((all, error));
            }
        }
        Ok(batch)
    }

    async fn place(
        &self,
        batch: &mut Batch,
        pending: Pending,
        key: DedupKey,
        found: Option<u64>,
        time: Time,
    ) -> Result<(), ReadError> {
        let first = self.state.frontier.size();
        let mut key_is_free = true;
        if let Some(index) = found {
            key_is_free = false;
            let stored = match self.shared.entry(index).await {
                Ok(stored) => stored,
                Err(error) => {
                    batch.places.push((pending, index, true));
                    return Err(error);
                }
            };
            // A key that leads to other bytes proves nothing (S-13, I6).
            if pending.submission.is_stored_as(&stored) {
                batch.places.push((pending, index, true));
                return Ok(());
            }
        } else if let Some(index) = batch.keys.get(&key).copied() {
            key_is_free = false;
            let stored = batch.stored(index - first);
            if stored.is_some_and(|stored| pending.submission.is_stored_as(stored)) {
                batch.places.push((pending, index, true));
                return Ok(());
            }
        }
        let index = u64::try_from(batch.entries.len())
            .ok()
            .and_then(|count| first.checked_add(count));
        let record = index.and_then(|index| {
            let record = pending.submission.record(index, time)?;
            Some((index, record))
        });
        let Some((index, Record { stored, beside })) = record else {
            refuse(vec![pending], || AppendError::Full);
            return Ok(());
        };
        let length = stored.len();
        if self.shared.personality.bundles() == BundleKind::Entries && length > MAX_ENTRY_BYTES {
            refuse(vec![pending], || AppendError::EntryTooLong { length });
            return Ok(());
        }
        if key_is_free {
            batch.keys.insert(key, index);
        }
        batch.entries.push(NewEntry {
            key: key_is_free.then_some(key),
            stored,
            beside,
        });
        batch.places.push((pending, index, false));
        Ok(())
    }

    /// Adds the batch to the tree in memory, twice, and compares (rule D3). `None`: the log is
    /// full.
    fn integrate(&self, batch: &Batch) -> Result<Option<LogState>, Fatal> {
        let contradiction = || Fatal::because("the log's tree contradicts itself in memory");
        let old_size = self.state.frontier.size();
        let mut next = self.state.clone();
        next.sealed = self.shared.sealed.load(Ordering::Acquire);
        next.time = batch.time.unwrap_or(next.time);
        let mut tree = self.shared.tree_mut();
        for entry in &batch.entries {
            let leaf = self
                .shared
                .leaf_hash(&entry.stored)
                .ok_or_else(contradiction)?;
            if next.frontier.append(&leaf).is_err() {
                tree.truncate(old_size);
                return Ok(None);
            }
            tree.append(&leaf);
        }
        let (old_root, new_root) = (self.state.frontier.root_hash(), next.frontier.root_hash());
        let recomputed = tree.root_hash(tree.size());
        let agrees = tree.size() == next.frontier.size()
            && recomputed == Ok(new_root)
            && tree.check_growth(old_size, &old_root, &new_root).is_ok();
        if agrees {
            Ok(Some(next))
        } else {
            Err(contradiction())
        }
    }

    async fn answer(&self, batch: Batch, published: &Arc<Published>) {
        let first = published.tree_size - u64::try_from(batch.entries.len()).unwrap_or(0);
        let mut entries: Vec<_> = batch.entries.into_iter().map(|e| Some(e.stored)).collect();
        for (pending, index, is_duplicate) in batch.places {
            let in_batch = index
                .checked_sub(first)
                .and_then(|position| entries.get_mut(usize::try_from(position).ok()?));
            let stored = match in_batch {
                Some(slot) if is_duplicate => slot.clone(),
                Some(slot) => slot.take(),
                None => None,
            };
            let stored = match stored {
                Some(stored) => Ok(stored),
                None => self.shared.entry(index).await,
            };
            reply(pending, index, is_duplicate, stored, Arc::clone(published));
        }
    }

    async fn answer_duplicates(&self, batch: Batch) -> Result<(), Fatal> {
        // What an earlier batch could not publish is published before it is told.
        let published = if self.shared.published().tree_size < self.state.frontier.size() {
            match publish(&self.shared, &self.state).await {
                Ok(published) => published,
                Err(error) => return self.unpublished(batch, error),
            }
        } else {
            self.shared.published()
        };
        for (pending, index, is_duplicate) in batch.places {
            let stored = self.shared.entry(index).await;
            reply(pending, index, is_duplicate, stored, Arc::clone(&published));
        }
        Ok(())
    }

    /// The next commit publishes again. Until then nobody learns of these entries.
    fn unpublished(&self, batch: Batch, error: PublishError) -> Result<(), Fatal> {
        tracing::error!(%error, "the checkpoint was not published");
        match error {
            PublishError::Signer(cause) => {
                let cause: Arc<dyn Error + Send + Sync> = Arc::from(cause);
                refuse(batch.waiting(), || AppendError::Signer(Arc::clone(&cause)));
                Ok(())
            }
            PublishError::Cosign(CosignError::NoQuorum { .. }) => {
                refuse(batch.waiting(), || AppendError::NoQuorum);
                Ok(())
            }
            PublishError::Cosign(evidence) => {
                self.stop(batch, || AppendError::Stopped);
                Err(Fatal::new(
                    "a witness has seen another tree of the log",
                    evidence,
                ))
            }
        }
    }

    /// Nothing more is taken, signed or answered.
    fn stop(&self, batch: Batch, error: impl Fn() -> AppendError) {
        self.shared.stopped.store(true, Ordering::Release);
        refuse(batch.waiting(), error);
    }
}

impl Batch {
    fn waiting(self) -> Vec<Pending> {
        self.places
            .into_iter()
            .map(|(pending, ..)| pending)
            .collect()
    }

    fn stored(&self, position: u64) -> Option<&[u8]> {
        let entry = self.entries.get(usize::try_from(position).ok()?)?;
        Some(&entry.stored)
    }
}

/// A client that went away is no error: its entry is in the log all the same.
fn refuse(waiting: Vec<Pending>, error: impl Fn() -> AppendError) {
    for pending in waiting {
        let _ = pending.reply.send(Err(error()));
    }
}

fn reply(
    pending: Pending,
    index: u64,
    is_duplicate: bool,
    stored: Result<Vec<u8>, ReadError>,
    published: Arc<Published>,
) {
    let answer = match stored {
        Ok(stored) => Ok(Sequenced {
            index,
            is_duplicate,
            stored,
            published,
        }),
        Err(error) => Err(AppendError::Store(Arc::new(error))),
    };
    let _ = pending.reply.send(answer);
}

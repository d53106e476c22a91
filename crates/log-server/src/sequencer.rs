//! The one writer: sequence, integrate, commit.
//!
//! Whatever has arrived while the last commit was on its way to the disk makes up the next one:
//! there is no timer. The commit point is [`CommitOutcome::Committed`]; nothing is signed or
//! answered before it (rules D1, D4). What is committed goes to the publisher, and the next batch
//! does not wait for it.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use waxseal_serve::{BoxError, Fatal, Shutdown};

use crate::append::{Pending, refuse};
use crate::batch::{Batch, Place};
use crate::integrate::integrate;
use crate::leap::ClockAhead;
use crate::metrics::Metrics;
use crate::pipeline::Arrivals;
use crate::shared::Shared;
use crate::state::LogState;
use crate::{AppendError, Commit, CommitOutcome, NewEntry};

/// Most entries of one commit: a quarter of what may wait, so that an answer is never behind more
/// than a few of them.
pub(crate) const MAX_BATCH: usize = 1024;

/// Entries that may be committed and not yet answered: a slow signer stops the log there, before
/// they fill the memory. At 8,000 entries a second that is a signer of half a second.
const MAX_UNANSWERED: usize = 8 * MAX_BATCH;

/// How often a ledger that refused a commit is tried again while nothing arrives: who is not ready
/// gets no requests from a load balancer, and would never find out that the disk has room again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Asks for the end of the log; the answer is its size.
pub(crate) type FreezeRequest = oneshot::Sender<Result<u64, AppendError>>;

pub(crate) struct Sequencer {
    shared: Arc<Shared>,
    metrics: Metrics,
    epoch: u64,
    state: LogState,
    /// Whether it was said that the clock is not believed.
    is_clock_ahead: bool,
    unanswered: Arc<Semaphore>,
    publisher: mpsc::UnboundedSender<Committed>,
}

/// A batch that is durable, and told to nobody.
pub(crate) struct Committed {
    /// The committed state that covers it.
    pub(crate) state: LogState,
    /// Index of the first entry that it added.
    pub(crate) first_index: u64,
    pub(crate) places: Vec<Place>,
    /// Held until everybody is answered; bounds how many of these there are.
    pub(crate) _permit: Option<OwnedSemaphorePermit>,
}

impl Sequencer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        metrics: Metrics,
        epoch: u64,
        state: LogState,
        publisher: mpsc::UnboundedSender<Committed>,
    ) -> Self {
        Self {
            shared,
            metrics,
            epoch,
            state,
            is_clock_ahead: false,
            unanswered: Arc::new(Semaphore::new(MAX_UNANSWERED)),
            publisher,
        }
    }

    pub(crate) const fn state(&self) -> &LogState {
        &self.state
    }

    #[cfg(test)]
    pub(crate) const fn state_mut(&mut self) -> &mut LogState {
        &mut self.state
    }

    /// Takes what arrives; when `stop` fires, what had arrived before (rule D10).
    ///
    /// # Errors
    /// [`Fatal`]: going on is unsafe.
    pub(crate) async fn run(mut self, arrivals: Arrivals, stop: Shutdown) -> Result<(), Fatal> {
        let Arrivals {
            mut entries,
            mut freezes,
        } = arrivals;
        let mut waiting = Vec::with_capacity(MAX_BATCH);
        loop {
            let is_uncommitted = self.shared.uncommitted.load(Ordering::Acquire);
            let taken = tokio::select! {
                biased;
                taken = entries.recv_many(&mut waiting, MAX_BATCH) => taken,
                Some(request) = freezes.recv() => {
                    self.freeze(&mut entries, request).await?;
                    continue;
                }
                () = stop.triggered() => {
                    entries.close();
                    entries.recv_many(&mut waiting, MAX_BATCH).await
                }
                () = tokio::time::sleep(TRY_AGAIN), if is_uncommitted => {
                    self.try_ledger().await?;
                    continue;
                }
            };
            if taken == 0 || self.publisher.is_closed() {
                return Ok(());
            }
            self.append(std::mem::take(&mut waiting)).await?;
        }
    }

    /// Commits a batch, and hands it to the publisher. Who is not committed is answered here.
    ///
    /// # Errors
    /// [`Fatal`]: it is unknown what is in the log, another process writes to it, or its memory
    /// contradicts itself.
    pub(crate) async fn append(&mut self, waiting: Vec<Pending>) -> Result<(), Fatal> {
        let count = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.unanswered).acquire_many_owned(count).await;
        // The semaphore is never closed.
        let permit = permit.ok();
        if let Some(error) = self.closed() {
            refuse(waiting, error);
            return Ok(());
        }
        let batch = match Batch::sequence(&self.shared, &self.state, waiting).await {
            Ok(batch) => batch,
            Err((waiting, error)) => {
                let cause = Arc::<dyn Error + Send + Sync>::from(BoxError::from(error));
                refuse(waiting, || AppendError::Store(Arc::clone(&cause)));
                return Ok(());
            }
        };
        if let Some(error) = self.closed() {
            // An entry that was read for it is damaged (D8).
            refuse(batch.waiting(), error);
            return Ok(());
        }
        self.tell_clock(batch.time.err());
        if let (false, Ok(time)) = (batch.entries.is_empty(), batch.time) {
            let Some(next) = integrate(&self.shared, &self.state, &batch.entries, time)? else {
                refuse(batch.waiting(), || AppendError::Full);
                return Ok(());
            };
            if let Err(outcome) = self.commit(&batch.entries, next).await {
                return self.not_committed(batch, outcome);
            }
        }
        self.hand_over(batch, permit);
        Ok(())
    }

    /// Says once that the clock is not believed, and once that it is again.
    fn tell_clock(&mut self, ahead: Option<ClockAhead>) {
        match ahead {
            Some(ahead) if !self.is_clock_ahead => {
                tracing::error!(%ahead, "entries are refused");
            }
            None if self.is_clock_ahead => tracing::info!("the clock is believed again"),
            _ => {}
        }
        self.is_clock_ahead = ahead.is_some();
    }

    /// Why nothing is taken any more.
    fn closed(&self) -> Option<fn() -> AppendError> {
        if self.shared.is_stopped() {
            return Some(|| AppendError::Stopped);
        }
        if self.state.is_frozen {
            return Some(|| AppendError::Frozen);
        }
        self.shared.is_damaged().then_some(|| AppendError::Damaged)
    }

    /// Appends what has arrived, and then says in the ledger that nothing comes after it.
    async fn freeze(
        &mut self,
        entries: &mut mpsc::Receiver<Pending>,
        request: FreezeRequest,
    ) -> Result<(), Fatal> {
        // From here on nobody is let in any more.
        let was_frozen = self.shared.frozen.swap(true, Ordering::AcqRel);
        loop {
            let mut waiting = Vec::new();
            while waiting.len() < MAX_BATCH
                && let Ok(pending) = entries.try_recv()
            {
                waiting.push(pending);
            }
            if waiting.is_empty() {
                break;
            }
            self.append(waiting).await?;
        }
        let frozen = LogState {
            is_frozen: true,
            ..self.state.clone()
        };
        match self.commit_state(frozen).await {
            Ok(()) => {
                tracing::info!(tree_size = self.state.frontier.size(), "the log is frozen");
                let _ = request.send(Ok(self.state.frontier.size()));
                Ok(())
            }
            Err(AppendError::Store(cause)) => {
                // A log that is frozen by its configuration stays so.
                self.shared.frozen.store(was_frozen, Ordering::Release);
                let _ = request.send(Err(AppendError::Store(cause)));
                Ok(())
            }
            Err(error) => {
                let reason = "it is unknown whether the log is frozen";
                let _ = request.send(Err(AppendError::Stopped));
                Err(Fatal::new(reason, error))
            }
        }
    }

    /// Finds out whether the ledger takes commits again.
    async fn try_ledger(&mut self) -> Result<(), Fatal> {
        match self.commit_state(self.state.clone()).await {
            Ok(()) | Err(AppendError::Store(_)) => Ok(()),
            Err(error) => Err(Fatal::new("the ledger cannot be tried again", error)),
        }
    }

    /// A commit without entries.
    pub(crate) async fn commit_state(&mut self, state: LogState) -> Result<(), AppendError> {
        match self.commit(&[], state).await {
            Ok(()) => Ok(()),
            Err(CommitOutcome::NotCommitted(cause)) => Err(AppendError::Store(Arc::from(cause))),
            Err(CommitOutcome::Fenced) => {
                self.shared.stopped.store(true, Ordering::Release);
                Err(AppendError::Stopped)
            }
            Err(CommitOutcome::Unknown(cause)) => {
                tracing::error!(%cause, "it is unknown what is in the log");
                self.shared.stopped.store(true, Ordering::Release);
                Err(AppendError::Unknown)
            }
            Err(CommitOutcome::Committed) => Ok(()),
        }
    }

    /// THE COMMIT POINT. Before it nothing may leave this process that the entries are part of.
    async fn commit(
        &mut self,
        entries: &[NewEntry],
        mut next: LogState,
    ) -> Result<(), CommitOutcome> {
        next.sealed = self.shared.sealed.load(Ordering::Acquire);
        let commit = Commit {
            epoch: self.epoch,
            first_index: self.state.frontier.size(),
            entries,
            state: &next.encode(),
            forget_before: next.sealed,
        };
        let start = Instant::now();
        match self.shared.ledger.commit(commit).await {
            CommitOutcome::Committed => {}
            outcome => return Err(outcome),
        }
        self.metrics.committed(entries.len(), start.elapsed());
        self.shared.uncommitted.store(false, Ordering::Release);
        self.state = next;
        self.shared.note_time(self.state.time);
        let committed = self.state.frontier.size();
        self.shared.committed.store(committed, Ordering::Release);
        self.shared.tree_mut().evict(self.state.sealed);
        Ok(())
    }

    /// Only what is certainly not there may be tried again, by whoever sent it.
    fn not_committed(&self, batch: Batch, outcome: CommitOutcome) -> Result<(), Fatal> {
        match outcome {
            CommitOutcome::Committed => Ok(()),
            CommitOutcome::NotCommitted(cause) => {
                self.shared.uncommitted.store(true, Ordering::Release);
                self.shared.tree_mut().truncate(self.state.frontier.size());
                tracing::error!(%cause, "a batch was not committed");
                let cause: Arc<dyn Error + Send + Sync> = Arc::from(cause);
                refuse(batch.waiting(), || AppendError::Store(Arc::clone(&cause)));
                Ok(())
            }
            CommitOutcome::Fenced => {
                self.stop(batch, || AppendError::Stopped);
                Err(Fatal::because("another process has taken the log over"))
            }
            CommitOutcome::Unknown(cause) => {
                self.stop(batch, || AppendError::Unknown);
                Err(Fatal::new("it is unknown what is in the log", cause))
            }
        }
    }

    fn hand_over(&self, batch: Batch, permit: Option<OwnedSemaphorePermit>) {
        let first_index = batch.first_index;
        let committed = Committed {
            state: self.state.clone(),
            first_index,
            places: batch.into_places(),
            _permit: permit,
        };
        // A publisher that has ended has stopped the log; whoever waits learns it from that.
        let _ = self.publisher.send(committed);
    }

    /// Nothing more is taken, signed or answered.
    fn stop(&self, batch: Batch, error: impl FnMut() -> AppendError) {
        self.shared.stopped.store(true, Ordering::Release);
        refuse(batch.waiting(), error);
    }
}

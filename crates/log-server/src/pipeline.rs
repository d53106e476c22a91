//! The write path: while one batch is signed, the next is committed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use waxseal_serve::{Fatal, Shutdown};

use crate::AppendError;
use crate::append::Pending;
use crate::metrics::Metrics;
use crate::publisher::Publisher;
use crate::sequencer::{FreezeRequest, Sequencer};
use crate::shared::Shared;
use crate::state::LogState;

pub(crate) struct Pipeline {
    shared: Arc<Shared>,
    sequencer: Sequencer,
    publisher: Publisher,
}

/// What comes in.
pub(crate) struct Arrivals {
    pub(crate) entries: mpsc::Receiver<Pending>,
    pub(crate) freezes: mpsc::Receiver<FreezeRequest>,
}

impl Pipeline {
    pub(crate) fn new(shared: Arc<Shared>, metrics: Metrics, epoch: u64, state: LogState) -> Self {
        let (sender, committed) = mpsc::unbounded_channel();
        Self {
            publisher: Publisher::new(Arc::clone(&shared), committed, state.clone()),
            sequencer: Sequencer::new(Arc::clone(&shared), metrics, epoch, state, sender),
            shared,
        }
    }

    /// The committed state.
    pub(crate) const fn state(&self) -> &LogState {
        self.sequencer.state()
    }

    /// For whoever spoils it.
    #[cfg(test)]
    pub(crate) const fn state_mut(&mut self) -> &mut LogState {
        self.sequencer.state_mut()
    }

    /// Writes the state as it is now to the ledger, without an entry.
    ///
    /// # Errors
    /// [`AppendError`]: it is not there, or that is unknown.
    pub(crate) async fn commit_state(&mut self) -> Result<(), AppendError> {
        let state = self.sequencer.state().clone();
        self.sequencer.commit_state(state).await
    }

    /// Appends one batch and answers everybody in it: one stage after the other.
    ///
    /// # Errors
    /// [`Fatal`]: going on is unsafe.
    pub(crate) async fn append(&mut self, waiting: Vec<Pending>) -> Result<(), Fatal> {
        self.sequencer.append(waiting).await?;
        let settled = self.publisher.settle_committed().await;
        stop_on_fatal(&self.shared, settled)
    }

    /// Both stages at once, until `stop` has fired and everybody is answered.
    ///
    /// # Errors
    /// [`Fatal`]: going on is unsafe.
    #[cfg(test)]
    pub(crate) async fn run(self, arrivals: Arrivals, stop: Shutdown) -> Result<(), Fatal> {
        let Self {
            shared,
            sequencer,
            publisher,
        } = self;
        let (sequenced, published) = tokio::join!(sequencer.run(arrivals, stop), async {
            stop_on_fatal(&shared, publisher.run().await)
        });
        sequenced.and(published)
    }

    /// The same on a thread for each stage: commits block, and answers are not to wait for the
    /// threads that take requests in.
    ///
    /// # Errors
    /// [`Fatal`]: a thread cannot be started.
    pub(crate) fn spawn(
        self,
        arrivals: Arrivals,
        stop: Shutdown,
    ) -> Result<oneshot::Receiver<Result<(), Fatal>>, Fatal> {
        let Self {
            shared,
            sequencer,
            publisher,
        } = self;
        let publisher = spawn_stage("log-publisher", async move {
            stop_on_fatal(&shared, publisher.run().await)
        })?;
        spawn_stage("log-sequencer", async move {
            let sequenced = sequencer.run(arrivals, stop).await;
            // The sequencer's end is the publisher's, once everybody is answered.
            let published = publisher.await;
            let panicked = |_| Err(Fatal::because("the publisher panicked"));
            sequenced.and(published.unwrap_or_else(panicked))
        })
    }
}

fn spawn_stage(
    name: &'static str,
    stage: impl Future<Output = Result<(), Fatal>> + Send + 'static,
) -> Result<oneshot::Receiver<Result<(), Fatal>>, Fatal> {
    let (ended, result) = oneshot::channel();
    let handle = Handle::current();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let outcome = handle.block_on(stage);
            let _ = ended.send(outcome);
        })
        .map_err(|error| Fatal::new("a thread of the log cannot be started", error))?;
    Ok(result)
}

/// The sequencer finds out at its next batch.
fn stop_on_fatal(shared: &Shared, outcome: Result<(), Fatal>) -> Result<(), Fatal> {
    if outcome.is_err() {
        shared.stopped.store(true, Ordering::Release);
    }
    outcome
}

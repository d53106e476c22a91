//! What runs while a log is served: the write path, and sealing, top-up and scrub behind it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use waxseal_serve::{BoxError, Fatal, Shutdown, causes};

use crate::late::add_late;
use crate::metrics::Metrics;
use crate::scrub::Scrub;
use crate::seal::{SealError, Sealer};
use crate::server::Parts;
use crate::shared::{Shared, off_thread};
use crate::top_up::top_up;

/// How often partial tiles and the checkpoint are written out as objects, at most.
const SEAL_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) struct Background {
    shared: Arc<Shared>,
    metrics: Metrics,
}

/// What the sealer does next.
#[derive(Debug, Clone, Copy)]
enum Turn {
    /// What readers are shown.
    Seal,
    /// The newest of all.
    SealNewest,
    TopUp,
}

impl Background {
    pub(crate) const fn new(shared: Arc<Shared>, metrics: Metrics) -> Self {
        Self { shared, metrics }
    }

    /// Runs until `shutdown` has fired and all that had arrived is answered and sealed.
    ///
    /// # Errors
    /// [`Fatal`]: going on is unsafe.
    pub(crate) async fn run(&self, parts: Parts, shutdown: Shutdown) -> Result<(), Fatal> {
        let Parts {
            pipeline,
            arrivals,
            sealer,
        } = parts;
        let _stop = StopOnDrop(Arc::clone(&self.shared));
        let stop_arrivals = Shutdown::new();
        let ended = pipeline.spawn(arrivals, stop_arrivals.clone())?;
        let outcome = self
            .seal_until(sealer, shutdown, &stop_arrivals, ended)
            .await;
        if let Err(fatal) = &outcome {
            // Nothing more is signed over what contradicts itself.
            self.shared.stopped.store(true, Ordering::Release);
            stop_arrivals.trigger();
            tracing::error!(reason = fatal.reason(), "the log stops");
        }
        outcome
    }

    /// Seals about once a second while the write path runs, and once more when it has ended.
    async fn seal_until(
        &self,
        mut sealer: Sealer,
        shutdown: Shutdown,
        stop_arrivals: &Shutdown,
        mut ended: oneshot::Receiver<Result<(), Fatal>>,
    ) -> Result<(), Fatal> {
        // Whatever of this ends has found a reason to stop.
        let mut beside = JoinSet::new();
        beside.spawn(top_up(Arc::clone(&self.shared)));
        beside.spawn(add_late(Arc::clone(&self.shared)));
        beside.spawn(Scrub::new(Arc::clone(&self.shared), self.metrics.clone()).run());
        let mut late = self.shared.late.subscribe();
        let mut tick = tokio::time::interval(SEAL_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut turn = Turn::Seal;
            tokio::select! {
                biased;
                result = &mut ended => {
                    result.unwrap_or_else(|_| Err(Fatal::because("the sequencer panicked")))?;
                    break;
                }
                () = shutdown.triggered(), if !stop_arrivals.is_triggered() => {
                    stop_arrivals.trigger();
                    continue;
                }
                Some(fatal) = beside.join_next() => {
                    let panicked = |error| Fatal::new("a task of the log panicked", error);
                    return Err(fatal.unwrap_or_else(panicked));
                }
                // The sender lives in `self`.
                _ = late.changed() => turn = Turn::TopUp,
                () = self.shared.flush.notified() => turn = Turn::SealNewest,
                _ = tick.tick() => {}
            }
            sealer = self.seal(sealer, turn).await?;
        }
        self.seal(sealer, Turn::SealNewest).await.map(|_| ())
    }

    async fn seal(&self, mut sealer: Sealer, turn: Turn) -> Result<Sealer, Fatal> {
        let lost = |error: BoxError| Fatal::new("the sealer ended", error);
        let (sealer, result) = off_thread(async move {
            let result = match turn {
                Turn::Seal => sealer.seal_shown().await,
                Turn::SealNewest => sealer.seal().await,
                Turn::TopUp => sealer.top_up().await,
            };
            (sealer, result)
        })
        .await
        .map_err(lost)?;
        let sealed = self.shared.sealed.load(Ordering::Acquire);
        let committed = self.shared.committed.load(Ordering::Acquire);
        self.metrics.unsealed(committed.saturating_sub(sealed));
        self.shared
            .unsealed
            .store(result.is_err(), Ordering::Release);
        match result {
            Ok(()) => Ok(sealer),
            Err(error @ SealError::Store(_)) => {
                self.metrics.seal_failed();
                tracing::error!(error = %causes(&error), "sealing failed, and is tried again");
                Ok(sealer)
            }
            Err(error) => Err(Fatal::new(
                "what is stored contradicts the log's tree",
                error,
            )),
        }
    }
}

/// A log that has ended, in whatever way, takes nothing more.
struct StopOnDrop(Arc<Shared>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Release);
    }
}

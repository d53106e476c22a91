//! The second half of the pipeline: sign, have it cosigned, publish, answer.
//!
//! One signature is made at a time, over the newest committed tree: it covers every batch that was
//! committed until then, however many came while the signer was busy.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use waxseal_serve::Fatal;

use crate::append::{Sequenced, Told};
use crate::batch::Place;
use crate::batch_proofs::BatchProofs;
use crate::personality::Prover;
use crate::publish::{PublishError, publish};
use crate::sequencer::Committed;
use crate::shared::Shared;
use crate::state::LogState;
use crate::{AppendError, CosignError, Published};

/// When a signer that failed is tried again, if nobody comes before.
const AGAIN: Duration = Duration::from_secs(1);

/// More batches than one signature will ever have to cover.
const MOST_BATCHES: usize = 16 << 10;

pub(crate) struct Publisher {
    shared: Arc<Shared>,
    committed: mpsc::UnboundedReceiver<Committed>,
    /// The newest committed state.
    newest: LogState,
}

impl Publisher {
    pub(crate) const fn new(
        shared: Arc<Shared>,
        committed: mpsc::UnboundedReceiver<Committed>,
        newest: LogState,
    ) -> Self {
        Self {
            shared,
            committed,
            newest,
        }
    }

    /// Publishes until the sequencer has ended and everybody is answered.
    ///
    /// # Errors
    /// [`Fatal`]: going on is unsafe.
    pub(crate) async fn run(mut self) -> Result<(), Fatal> {
        let mut waiting = Vec::new();
        loop {
            let is_behind = self.is_behind();
            let next = self.committed.recv_many(&mut waiting, MOST_BATCHES);
            let taken = if is_behind {
                tokio::time::timeout(AGAIN, next).await
            } else {
                Ok(next.await)
            };
            if taken == Ok(0) {
                return Ok(());
            }
            self.settle(std::mem::take(&mut waiting)).await?;
        }
    }

    /// Publishes what was committed until now.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(crate) async fn settle_committed(&mut self) -> Result<(), Fatal> {
        let mut waiting = Vec::new();
        while let Ok(committed) = self.committed.try_recv() {
            waiting.push(committed);
        }
        self.settle(waiting).await
    }

    fn is_behind(&self) -> bool {
        self.shared.published().tree_size < self.newest.frontier.size()
    }

    /// Publishes the newest state, and answers everybody whom it covers.
    async fn settle(&mut self, waiting: Vec<Committed>) -> Result<(), Fatal> {
        if let Some(last) = waiting.last() {
            self.newest = last.state.clone();
        }
        if self.shared.is_stopped() {
            answer_all(waiting, |_| Err(AppendError::Stopped));
            return Ok(());
        }
        let outcome = if self.is_behind() {
            publish(&self.shared, &self.newest).await
        } else {
            Ok(self.shared.published())
        };
        self.shared
            .unpublished
            .store(outcome.is_err(), Ordering::Release);
        match outcome {
            Ok(published) => self.answer(waiting, &published),
            Err(error) => self.refuse(waiting, error),
        }
    }

    fn answer(&self, waiting: Vec<Committed>, published: &Arc<Published>) -> Result<(), Fatal> {
        let shared: Arc<dyn Prover> = self.shared.clone();
        let first = waiting.iter().map(|one| one.first_index).min();
        let proofs = first.filter(|first| *first < published.tree_size);
        let proofs = proofs
            .and_then(|first| BatchProofs::read(&self.shared.tree(), first, published.tree_size));
        if proofs
            .as_ref()
            .is_some_and(|proofs| *proofs.root_hash() != published.root_hash)
        {
            return Err(Fatal::because("the log's tree contradicts its checkpoint"));
        }
        let proofs = proofs.map(|proofs| -> Arc<dyn Prover> { Arc::new(proofs) });
        answer_all(waiting, |place| {
            let in_batch = proofs.as_ref().filter(|_| !place.is_duplicate);
            Ok((Arc::clone(published), in_batch.unwrap_or(&shared).clone()))
        });
        Ok(())
    }

    /// Who asked for an entry that was published before is answered all the same. The next
    /// publication covers the others' entries; until then nobody learns of them.
    fn refuse(&self, waiting: Vec<Committed>, error: PublishError) -> Result<(), Fatal> {
        tracing::error!(%error, "the checkpoint was not published");
        let refusal: Box<dyn Fn() -> AppendError> = match error {
            PublishError::Signer(cause) => {
                let cause: Arc<dyn Error + Send + Sync> = Arc::from(cause);
                Box::new(move || AppendError::Signer(Arc::clone(&cause)))
            }
            PublishError::Cosign(CosignError::NoQuorum { .. }) => {
                Box::new(|| AppendError::NoQuorum)
            }
            PublishError::Cosign(evidence) => {
                answer_all(waiting, |_| Err(AppendError::Stopped));
                return Err(Fatal::new(
                    "a witness has seen another tree of the log",
                    evidence,
                ));
            }
            PublishError::Stopped => Box::new(|| AppendError::Stopped),
        };
        let published = self.shared.published();
        let shared: Arc<dyn Prover> = self.shared.clone();
        answer_all(waiting, |place| {
            if place.index < published.tree_size {
                Ok((Arc::clone(&published), Arc::clone(&shared)))
            } else {
                Err(refusal())
            }
        });
        Ok(())
    }
}

type Evidence = (Arc<Published>, Arc<dyn Prover>);

fn answer_all(waiting: Vec<Committed>, evidence: impl Fn(&Place) -> Result<Evidence, AppendError>) {
    for committed in waiting {
        for place in committed.places {
            let evidence = evidence(&place);
            let Place {
                pending,
                index,
                is_duplicate,
                stored,
            } = place;
            let answer = evidence.map(|(published, prover)| {
                Told::Sequenced(Sequenced {
                    index,
                    is_duplicate,
                    // Every place of a committed batch has its bytes.
                    stored: stored.unwrap_or_default(),
                    published,
                    prover,
                })
            });
            let _ = pending.reply.send(answer);
        }
    }
}

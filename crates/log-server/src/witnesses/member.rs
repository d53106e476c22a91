//! One witness server: where it is, which keys are its, and what it is known to have seen.

use std::sync::{Mutex, MutexGuard, PoisonError};

use waxseal_tlog::{Checkpoint, NoteKey, SignatureLine};
use waxseal_transport::Url;

use std::sync::atomic::{AtomicBool, Ordering};

use super::Asking;
use super::breaker::{Admission, Breaker};
use super::exchange::{
    Next, WitnessFailure, cosignatures, judge, request, request_witnessed, signed_by_log,
};
use super::round::{Cosigned, Task};
use crate::{CosignError, ReadError};

/// A server, asked once for every checkpoint, about one of them at a time.
pub(crate) struct Member {
    url: Url,
    /// Its keys, by position in the policy.
    keys: Vec<usize>,
    breaker: Mutex<Breaker>,
    /// The size that it cosigned last, as far as is known. Zero at first: then it says 409 and the
    /// size. Whoever holds the lock is the one who asks.
    old_size: tokio::sync::Mutex<u64>,
    /// Whether it has said anything about the log's past since the start.
    has_spoken: AtomicBool,
}

impl Member {
    pub(crate) fn new(url: Url, position: usize) -> Self {
        Self {
            url,
            keys: vec![position],
            breaker: Mutex::default(),
            old_size: tokio::sync::Mutex::new(0),
            has_spoken: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_at(&self, url: &Url) -> bool {
        self.url == *url
    }

    pub(crate) fn add(&mut self, position: usize) {
        self.keys.push(position);
    }

    pub(crate) fn keys(&self) -> &[usize] {
        &self.keys
    }

    pub(crate) fn admit(&self, asking: &Asking) -> Admission {
        self.breaker().admit(asking.clock.now())
    }

    /// Asks about one checkpoint, at most twice, within the time allowed.
    pub(crate) async fn ask(
        &self,
        asking: &Asking,
        task: &Task,
        newest: &mut tokio::sync::watch::Receiver<u64>,
    ) -> Result<Cosigned, WitnessFailure> {
        let asked = tokio::time::timeout(asking.timeout, self.ask_in_turn(asking, task, newest));
        let answer = asked.await.unwrap_or(Err(WitnessFailure::Timeout));
        match &answer {
            Ok(_) => {
                self.has_spoken.store(true, Ordering::Release);
                self.breaker().succeeded();
            }
            // These say nothing about the witness.
            Err(WitnessFailure::Superseded | WitnessFailure::Unprovable(_)) => {}
            Err(failure) => {
                self.breaker().failed(asking.clock.now());
                self.hear(asking, task, failure).await;
            }
        }
        answer
    }

    /// One checkpoint at a time. Waiting ends when a newer one is to be shown (S-17: however slow
    /// the witness, nothing piles up).
    async fn ask_in_turn(
        &self,
        asking: &Asking,
        task: &Task,
        newest: &mut tokio::sync::watch::Receiver<u64>,
    ) -> Result<Cosigned, WitnessFailure> {
        let mut old_size = tokio::select! {
            biased;
            _ = newest.wait_for(|newest| *newest > task.number) => {
                return Err(WitnessFailure::Superseded);
            }
            old_size = self.old_size.lock() => old_size,
        };
        if *old_size > task.tree_size {
            return Err(WitnessFailure::Superseded);
        }
        let mut next = self.post(asking, task, *old_size).await?;
        if let Next::From(theirs) = next {
            *old_size = theirs;
            next = self.post(asking, task, theirs).await?;
        }
        match next {
            Next::Cosigned(body) => {
                let witnesses = asking.policy.witnesses();
                let keys: Vec<&NoteKey> = self
                    .keys
                    .iter()
                    .filter_map(|position| Some(&witnesses.get(*position)?.key))
                    .collect();
                let found = cosignatures(&body, &task.note, &asking.log, &keys)?;
                *old_size = task.tree_size;
                Ok(self.by_position(found))
            }
            Next::From(_) => Err(WitnessFailure::Conflict),
            Next::Failed(failure) => Err(failure),
        }
    }

    async fn post(
        &self,
        asking: &Asking,
        task: &Task,
        old_size: u64,
    ) -> Result<Next, WitnessFailure> {
        let hashes = if old_size == 0 || old_size == task.tree_size {
            Vec::new() // tlog-witness: the proof is empty then
        } else {
            task.prover
                .consistency(old_size, task.tree_size)
                .await
                .map_err(WitnessFailure::Unprovable)?
                .hashes
        };
        let request = request(&self.url, old_size, hashes, &task.note);
        let response = asking
            .transport
            .send(request.with_deadline(asking.timeout))
            .await?;
        let largest = asking.largest.load(Ordering::Acquire);
        Ok(judge(response, old_size, task.tree_size, largest))
    }

    /// What a witness says against the log's past. With the first word of each of them nobody knows
    /// better, for the log may have been rolled back while that one alone was away: it is enough (D4).
    /// Later on a witness that has agreed with the log must prove its word, or any of them could stop
    /// any log at any time. What counts stays, however late it comes.
    async fn hear(&self, asking: &Asking, task: &Task, failure: &WitnessFailure) {
        let position = self.keys.first();
        let witness = position.and_then(|position| asking.policy.witnesses().get(*position));
        let Some(witness) = witness.map(|witness| witness.key.name().clone()) else {
            return;
        };
        let (claim, said) = match failure {
            WitnessFailure::Ahead { theirs, .. } => {
                let tree_size = *theirs;
                (CosignError::Ahead { witness, tree_size }, None)
            }
            WitnessFailure::Disagrees { said } => {
                let tree_size = task.tree_size;
                (CosignError::Forked { witness, tree_size }, Some(said))
            }
            _ => return,
        };
        if !self.has_spoken.swap(true, Ordering::AcqRel) {
            return asking.contradict(claim);
        }
        let found = self.proof(asking, task, said.map(Vec::as_slice));
        match tokio::time::timeout(asking.timeout, found).await {
            Ok(Some(proof)) => {
                tracing::error!(
                    %claim,
                    tree_size = proof.tree_size(),
                    "a witness has a checkpoint with the log's signature that is not of this log"
                );
                asking.contradict(claim);
            }
            Ok(None) | Err(_) => {
                tracing::error!(%claim, "a witness does not prove what it says; it is not believed");
            }
        }
    }

    /// A checkpoint with the log's signature that the log does not extend: in what the witness said,
    /// or as what it has cosigned last.
    async fn proof(&self, asking: &Asking, task: &Task, said: Option<&[u8]>) -> Option<Checkpoint> {
        if let Some(shown) = said.and_then(|said| signed_by_log(said, &asking.log))
            && is_foreign(task, &shown).await
        {
            return Some(shown);
        }
        let request = request_witnessed(&self.url, &asking.origin)?;
        let request = request.with_deadline(asking.timeout);
        let response = asking.transport.send(request).await.ok()?;
        let shown =
            signed_by_log(&response.body, &asking.log).filter(|_| response.status == 200)?;
        is_foreign(task, &shown).await.then_some(shown)
    }

    fn by_position(&self, found: Vec<(usize, SignatureLine)>) -> Cosigned {
        found
            .into_iter()
            .filter_map(|(key, line)| Some((*self.keys.get(key)?, line)))
            .collect()
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a checkpoint is of a tree that is neither a beginning of the log's nor one that it has
/// grown to meanwhile.
async fn is_foreign(task: &Task, shown: &Checkpoint) -> bool {
    let Ok(own) = task.note.unverified_checkpoint() else {
        return false;
    };
    let (theirs, ours) = (shown.tree_size(), task.tree_size);
    let (old, new) = if theirs <= ours {
        (shown.root_hash(), own.root_hash())
    } else {
        (own.root_hash(), shown.root_hash())
    };
    let proof = task.prover.consistency(theirs.min(ours), theirs.max(ours));
    match proof.await {
        Ok(proof) => proof.check(old, new).is_err(),
        // The log was never that large (D4: what it signs, it has committed).
        Err(ReadError::Impossible(_)) => theirs > ours,
        Err(_) => false,
    }
}

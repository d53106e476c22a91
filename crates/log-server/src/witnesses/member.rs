//! One witness server: where it is, which keys are its, and what it is known to have seen.

use std::sync::{Mutex, MutexGuard, PoisonError};

use waxseal_tlog::{NoteKey, SignatureLine};
use waxseal_transport::Url;

use std::sync::atomic::Ordering;

use super::Asking;
use super::breaker::{Admission, Breaker};
use super::exchange::{Next, WitnessFailure, cosignatures, judge, request};
use super::round::{Cosigned, Task};
use crate::CosignError;

/// A server, asked once for every checkpoint, about one of them at a time.
pub(crate) struct Member {
    url: Url,
    /// Its keys, by position in the policy.
    keys: Vec<usize>,
    breaker: Mutex<Breaker>,
    /// The size that it cosigned last, as far as is known. Zero at first: then it says 409 and the
    /// size. Whoever holds the lock is the one who asks.
    old_size: tokio::sync::Mutex<u64>,
}

impl Member {
    pub(crate) fn new(url: Url, position: usize) -> Self {
        Self {
            url,
            keys: vec![position],
            breaker: Mutex::default(),
            old_size: tokio::sync::Mutex::new(0),
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
            Ok(_) => self.breaker().succeeded(),
            // These say nothing about the witness.
            Err(WitnessFailure::Superseded | WitnessFailure::Unprovable(_)) => {}
            Err(failure) => {
                self.breaker().failed(asking.clock.now());
                self.accuse(asking, task, failure);
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

    /// What a witness says against the log's past stays, however late it comes.
    fn accuse(&self, asking: &Asking, task: &Task, failure: &WitnessFailure) {
        let position = self.keys.first();
        let witness = position.and_then(|position| asking.policy.witnesses().get(*position));
        let Some(witness) = witness.map(|witness| witness.key.name().clone()) else {
            return;
        };
        match failure {
            WitnessFailure::Ahead { theirs, .. } => asking.contradict(CosignError::Ahead {
                witness,
                tree_size: *theirs,
            }),
            WitnessFailure::Disagrees => asking.contradict(CosignError::Forked {
                witness,
                tree_size: task.tree_size,
            }),
            _ => {}
        }
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

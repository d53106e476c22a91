//! One commit for every transaction that waits: a commit is two syncs of the disk, whatever it
//! holds, so what arrives while one is under way shares the next.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use redb::{Database, ReadableTable as _, WriteTransaction};
use tokio::sync::oneshot::{self, Sender};
use waxseal_crypto::Time;
use waxseal_identity_server::{Change, RecordKey, Slot, StoreError};

use super::{EXPIRY, RECORDS, decode, encode};

/// Most transactions in one commit. Those behind wait for the next, so that nobody's answer waits
/// for more work than this.
const MOST_IN_A_COMMIT: usize = 256;

/// A transaction that waits for its commit.
struct Waiting {
    keys: Vec<RecordKey>,
    now: Time,
    change: Change,
    answer: Sender<Result<(), StoreError>>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    /// Whether somebody is at work on them.
    working: bool,
}

/// The transactions that wait. There is no interval: the first one starts at once, alone.
#[derive(Clone, Default)]
pub(super) struct Commits(Arc<Mutex<State>>);

impl std::fmt::Debug for Commits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commits").finish_non_exhaustive()
    }
}

impl Commits {
    /// Runs a transaction; the answer comes after the commit that holds it. It is made also if
    /// nobody waits for the answer any more.
    pub(super) async fn transact(
        &self,
        database: &Arc<Database>,
        keys: Vec<RecordKey>,
        now: Time,
        change: Change,
    ) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        let idle = {
            let mut state = self.state();
            state.waiting.push(Waiting {
                keys,
                now,
                change,
                answer,
            });
            !mem::replace(&mut state.working, true)
        };
        if idle {
            let (commits, database) = (self.clone(), Arc::downgrade(database));
            tokio::task::spawn_blocking(move || commits.work(&database));
        }
        let answer = answered.await;
        answer.map_err(|error| StoreError(Box::new(error)))?
    }

    /// Commits what waits until nothing does. Between two commits the file is free: who has his
    /// answer and drops the store may open it again.
    fn work(&self, database: &Weak<Database>) {
        while let Some(batch) = self.next() {
            if let Some(database) = database.upgrade() {
                commit(database, batch);
            }
        }
    }

    fn next(&self) -> Option<Vec<Waiting>> {
        let mut state = self.state();
        if state.waiting.is_empty() {
            state.working = false;
            return None;
        }
        let count = state.waiting.len().min(MOST_IN_A_COMMIT);
        Some(state.waiting.drain(..count).collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the batch in one transaction of the file and answers each of it: all are on disk, or the
/// fault is everybody's.
fn commit(database: Arc<Database>, batch: Vec<Waiting>) {
    let mut answers = Vec::with_capacity(batch.len());
    let outcome = all(&database, batch, &mut answers);
    drop(database);
    let fault = outcome.err().map(Arc::new);
    for (answer, applied) in answers {
        let outcome = match &fault {
            Some(fault) => Err(StoreError(Box::new(Arc::clone(fault)))),
            None => applied,
        };
        // Nobody may wait any more: a client that has gone.
        let _gone = answer.send(outcome);
    }
}

/// Where one of a batch is answered, and what became of it alone.
type Answer = (Sender<Result<(), StoreError>>, Result<(), StoreError>);

fn all(
    database: &Database,
    batch: Vec<Waiting>,
    answers: &mut Vec<Answer>,
) -> Result<(), redb::Error> {
    let mut changes = Vec::with_capacity(batch.len());
    for waiting in batch {
        answers.push((waiting.answer, Ok(())));
        changes.push((waiting.keys, waiting.now, waiting.change));
    }
    let mut writing = database.begin_write()?;
    // After a crash the file is then usable at once, instead of being read through.
    writing.set_quick_repair(true);
    let mut changed = false;
    for ((keys, now, change), (_, answer)) in changes.into_iter().zip(answers) {
        match apply(&writing, &keys, now, change)? {
            Applied::Changed => changed = true,
            Applied::Unchanged => {}
            Applied::Panicked => *answer = Err(StoreError("the change panicked".into())),
        }
    }
    if changed {
        // The commit point: on disk when this returns.
        writing.commit()?;
    } else {
        // What was read is on disk already. A stranger who asks for what is not there must not
        // make the disk work.
        writing.abort()?;
    }
    Ok(())
}

/// What became of one transaction.
enum Applied {
    Changed,
    Unchanged,
    /// A defect of ours in the change, before anything of it was written: its neighbours go on.
    Panicked,
}

/// One transaction of the contract, on what those before it have left.
fn apply(
    writing: &WriteTransaction,
    keys: &[RecordKey],
    now: Time,
    change: Change,
) -> Result<Applied, redb::Error> {
    let mut records = writing.open_table(RECORDS)?;
    let mut expiry = writing.open_table(EXPIRY)?;
    let mut before = Vec::with_capacity(keys.len());
    for key in keys {
        let value = records.get(&key.encoded())?;
        before.push(value.as_ref().and_then(|value| decode(value.value())));
    }
    let alive = |record: &(Vec<u8>, Time)| record.1 > now;
    let mut slots: Vec<_> = before
        .iter()
        .map(|r| Slot::new(r.clone().filter(alive)))
        .collect();
    let change = AssertUnwindSafe(|| change(&mut slots));
    if catch_unwind(change).is_err() {
        return Ok(Applied::Panicked);
    }
    let mut applied = Applied::Unchanged;
    for ((key, before), slot) in keys.iter().zip(before).zip(slots) {
        if before == slot.record {
            continue;
        }
        applied = Applied::Changed;
        let key = &key.encoded();
        if let Some((_, expires)) = before {
            expiry.remove((expires.unix_seconds(), key))?;
        }
        match slot.record {
            Some((bytes, expires)) => {
                records.insert(key, encode(&bytes, expires).as_slice())?;
                expiry.insert((expires.unix_seconds(), key), ())?;
            }
            None => {
                records.remove(key)?;
            }
        }
    }
    Ok(applied)
}

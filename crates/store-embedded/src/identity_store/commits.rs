//! One commit for every transaction that waits: a commit is two syncs of the disk, whatever it
//! holds, so what arrives while one is under way shares the next.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::{io, iter};

use redb::{Database, ReadableTable as _, WriteTransaction};
use tokio::sync::oneshot;
use waxseal_crypto::Time;
use waxseal_identity_server::{Change, RecordKey, Slot, StoreError};

use super::{EXPIRY, RECORDS, decode, encode};

/// Most transactions in one commit. Those behind wait for the next, so that nobody's answer waits
/// for more work than this.
const MOST_IN_A_COMMIT: usize = 256;

/// Most records that one transaction of a sweep removes; others come between.
pub(super) const SWEEP_BATCH: usize = 1000;

/// What a transaction does.
pub(super) enum Work {
    /// A change of these records.
    Change(Vec<RecordKey>, Time, Change),
    /// Removes some of what has expired.
    Sweep(Time),
}

/// How many records a sweep removed; none for a change.
type Outcome = Result<usize, StoreError>;

/// A transaction that waits for its commit.
struct Waiting {
    work: Work,
    answer: oneshot::Sender<Outcome>,
}

/// The thread that commits, and the way to it. There is no interval: the first transaction starts
/// at once, alone.
///
/// It is one thread for the life of the store, not one of the runtime's: an allocator keeps a heap
/// for each thread, and the store's cached pages, made on many, would hold each of those heaps at
/// its largest.
pub(super) struct Commits {
    queue: Option<mpsc::Sender<Waiting>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Commits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commits").finish_non_exhaustive()
    }
}

impl Commits {
    /// Starts the thread.
    pub(super) fn start(database: Arc<Database>) -> io::Result<Self> {
        let (queue, waiting) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("broker-commits".to_owned())
            .spawn(move || commit_all(&database, &waiting))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Runs a transaction; the answer comes after the commit that holds it. It is made also if
    /// nobody waits for the answer any more.
    pub(super) async fn run(&self, work: Work) -> Outcome {
        let (answer, answered) = oneshot::channel();
        if let Some(queue) = &self.queue {
            // If nobody takes it, its answer is dropped with it.
            let _refused = queue.send(Waiting { work, answer });
        }
        let answer = answered.await;
        answer.map_err(|error| StoreError(Box::new(error)))?
    }
}

impl Drop for Commits {
    /// What waits is committed still, and the file is free afterwards.
    fn drop(&mut self) {
        drop(self.queue.take());
        let Some(thread) = self.thread.take() else {
            return;
        };
        // A change may hold the last of the store, and a thread cannot wait for itself.
        if thread.thread().id() != thread::current().id() {
            let _ended = thread.join();
        }
    }
}

/// Commits what waits until the store is dropped.
fn commit_all(database: &Database, waiting: &Receiver<Waiting>) {
    while let Ok(first) = waiting.recv() {
        let more = waiting.try_iter().take(MOST_IN_A_COMMIT - 1);
        let batch = iter::once(first).chain(more).collect();
        // A panic of the database drops the answers of this batch, which refuses them; whoever
        // comes later is answered, too.
        let _panicked = catch_unwind(AssertUnwindSafe(|| commit(database, batch)));
    }
}

/// Runs the batch in one transaction of the file and answers each of it: all are on disk, or the
/// fault is everybody's.
fn commit(database: &Database, batch: Vec<Waiting>) {
    let mut answers = Vec::with_capacity(batch.len());
    let outcome = all(database, batch, &mut answers);
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
type Answer = (oneshot::Sender<Outcome>, Outcome);

fn all(
    database: &Database,
    batch: Vec<Waiting>,
    answers: &mut Vec<Answer>,
) -> Result<(), redb::Error> {
    let mut works = Vec::with_capacity(batch.len());
    for waiting in batch {
        answers.push((waiting.answer, Ok(0)));
        works.push(waiting.work);
    }
    let mut writing = database.begin_write()?;
    // After a crash the file is then usable at once, instead of being read through.
    writing.set_quick_repair(true);
    let mut changed = false;
    for (work, (_, answer)) in works.into_iter().zip(answers) {
        let applied = match work {
            Work::Change(keys, now, change) => apply(&writing, &keys, now, change)?,
            Work::Sweep(now) => sweep(&writing, now)?,
        };
        match applied {
            Applied::Changed => changed = true,
            Applied::Removed(count) => {
                changed = true;
                *answer = Ok(count);
            }
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
    /// A sweep's part of what has expired.
    Removed(usize),
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

fn sweep(writing: &WriteTransaction, now: Time) -> Result<Applied, redb::Error> {
    let mut records = writing.open_table(RECORDS)?;
    let mut expiry = writing.open_table(EXPIRY)?;
    let mut expired = Vec::new();
    for row in expiry
        .range(..(now.unix_seconds(), &[0; 33]))?
        .take(SWEEP_BATCH)
    {
        let (key, _) = row?;
        let (seconds, key) = key.value();
        expired.push((seconds, *key));
    }
    for (seconds, key) in &expired {
        expiry.remove((*seconds, key))?;
        records.remove(key)?;
    }
    Ok(match expired.len() {
        0 => Applied::Unchanged,
        removed => Applied::Removed(removed),
    })
}

//! The index of a log's keys: key → index, exact, and as cheap at 10⁷ keys as at 10⁴.
//!
//! A commit writes its keys as one row into the ledger's database, and into a map in memory. What
//! fills the map is written as a sorted run: an immutable file, of which memory holds 16 bits a
//! key ([`fingerprints`]). Runs are merged in the background ([`plan`]). A run becomes part of the
//! ledger by a commit that names it and drops what it replaces; a file that no commit names is
//! removed at the next start. So the database decides alone what is there, at any point of a crash.
//!
//! A key that is asked for is looked up in all runs, from the oldest to the newest, then in memory:
//! the first index counts. Damage is an error and never "not there" (S-18).

mod fingerprints;
mod merge;
mod plan;
mod record;
mod run;
mod worker;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::ops::Range;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use waxseal_log_server::DedupKey;

use crate::folder::Folder;
pub(crate) use merge::Finished;
pub(crate) use plan::{RunEntry, level_for};
pub(crate) use record::{Record, encode_row, parse_row};
pub(crate) use run::is_run;
use run::{Run, RunWriter, file_name};
use worker::{Shared, Worker};

/// When the keys of a ledger are written and merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "tests of crashes make it, with small numbers"
)]
pub struct KeyShape {
    /// Keys that memory holds before they become a run.
    pub run_keys: usize,
    /// Runs of one level before they become one of the next; at least 2.
    pub fan_in: usize,
    /// Whether a thread writes and merges runs. If not, commits do, before they begin: what
    /// happens then depends on nothing but the commits.
    pub in_background: bool,
}

impl Default for KeyShape {
    /// 2.5 MB of memory for the map; up to 7 runs each of 32 Ki, 256 Ki, 2 Mi … keys.
    fn default() -> Self {
        Self {
            run_keys: 1 << 15,
            fan_in: 8,
            in_background: true,
        }
    }
}

/// Keys may fill the memory this many times before commits wait until they are written.
const MOST_FILLS: usize = 4;

/// Why the index of a ledger's keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyIndexError {
    /// A file of a run cannot be read or written.
    #[error("the keys' file {} cannot be read or written", file_name(*run))]
    File {
        /// The run.
        run: u64,
        /// Why.
        source: io::Error,
    },
    /// A run that a commit named is not there: the folder is not that of this ledger.
    #[error("the keys' file {} is missing", file_name(*run))]
    MissingRun {
        /// The run.
        run: u64,
    },
    /// A run is not what a commit named.
    #[error("the keys' file {} is damaged", file_name(*run))]
    DamagedRun {
        /// The run.
        run: u64,
    },
    /// A run's keys do not ascend.
    #[error("the keys' file {} is out of order", file_name(*run))]
    OutOfOrder {
        /// The run.
        run: u64,
    },
    /// What the database says of a run is damaged, or of an unknown layout.
    #[error("the ledger's entry of the keys' file {} is damaged", file_name(*run))]
    DamagedEntry {
        /// The run.
        run: u64,
    },
    /// The keys of a commit are damaged.
    #[error("the keys of the commit at index {first_index} are damaged")]
    DamagedRow {
        /// Index of the commit's first entry.
        first_index: u64,
    },
    /// Runs do not cover the log.
    #[error(
        "the keys' files do not cover the log: there is a gap, or an overlap, at index {index}"
    )]
    Gap {
        /// Where.
        index: u64,
    },
    /// More keys than one run can have.
    #[error("there are too many keys for the file {}", file_name(*run))]
    TooLarge {
        /// The run.
        run: u64,
    },
    /// What failed in the background.
    #[error("keys cannot be merged")]
    Background(#[source] Arc<Self>),
}

impl KeyIndexError {
    /// Whether it may be otherwise in a while.
    fn may_pass(&self) -> bool {
        matches!(self, Self::File { .. })
    }
}

/// The index of one ledger.
#[derive(Debug)]
pub(crate) struct KeyIndex {
    shared: Arc<Shared>,
    worker: Option<JoinHandle<()>>,
}

/// What is known of the keys.
#[derive(Debug, Default)]
struct State {
    /// All that commits have named; the oldest first.
    runs: Arc<Vec<Arc<Run>>>,
    /// Keys that are being written.
    frozen: Option<Arc<Frozen>>,
    recent: HashMap<DedupKey, u64>,
    /// The first index that is in no run and not frozen.
    recent_from: u64,
    /// First index of the last commit with keys.
    last_row: Option<u64>,
    /// Durable runs that no commit has named yet.
    finished: Vec<Finished>,
    next_id: u64,
    /// Rises with every change that may mean work.
    generation: u64,
    fault: Option<Arc<KeyIndexError>>,
    is_stopping: bool,
}

/// Keys of the commits whose first index is in a range.
#[derive(Debug)]
struct Frozen {
    keys: HashMap<DedupKey, u64>,
    range: Range<u64>,
}

impl KeyIndex {
    /// Opens the runs that the database names, and removes all other files. Returns the index up to
    /// which rows are in runs: the later ones are to be [`restored`](Self::restore).
    pub(crate) fn open(
        folder: &Arc<dyn Folder>,
        shape: KeyShape,
        mut entries: Vec<RunEntry>,
    ) -> Result<(Self, u64), KeyIndexError> {
        let covered = plan::put_in_order(&mut entries)?;
        let next_id = entries.iter().map(|entry| entry.id + 1).max();
        let mut runs = Vec::new();
        for entry in entries {
            runs.push(Arc::new(Run::open(&**folder, entry)?));
        }
        let state = State {
            runs: Arc::new(runs),
            recent_from: covered,
            next_id: next_id.unwrap_or(0),
            ..State::default()
        };
        let shared = Arc::new(Shared::new(Arc::clone(folder), shape, state));
        let worker = shape.in_background.then(|| {
            let worker = Worker::new(Arc::clone(&shared));
            let thread = std::thread::Builder::new().name("log-keys".to_owned());
            thread.spawn(move || worker.run())
        });
        // Without a thread, commits do its work.
        let worker = worker.and_then(Result::ok);
        Ok((Self { shared, worker }, covered))
    }

    /// The keys of a commit that is in the database, but in no run.
    pub(crate) fn restore(&self, first_index: u64, records: &[Record]) {
        let mut state = self.shared.state();
        state.add(first_index, records);
        state.freeze(self.shared.shape.run_keys);
        self.shared.changed.notify_all();
    }

    /// The index of each key.
    pub(crate) fn find(&self, keys: &[DedupKey]) -> Result<Vec<Option<u64>>, KeyIndexError> {
        let (runs, mut found) = {
            let state = self.shared.state();
            let found: Vec<_> = keys.iter().map(|key| state.in_memory(key)).collect();
            (Arc::clone(&state.runs), found)
        };
        // The oldest has the last word.
        for run in runs.iter().rev() {
            for (key, found) in keys.iter().zip(&mut found) {
                if let Some(index) = run.find(key)? {
                    *found = Some(index);
                }
            }
        }
        Ok(found)
    }

    /// Runs for the next commit to name. Waits if memory is full of keys that are not written yet.
    pub(crate) fn begin_commit(&self) -> Result<Vec<Finished>, KeyIndexError> {
        if self.worker.is_none() {
            Worker::new(Arc::clone(&self.shared)).run_now();
        }
        let most = self.shared.shape.run_keys.saturating_mul(MOST_FILLS);
        let mut state = self.shared.state();
        loop {
            let is_full = state.recent.len() >= most && state.unwritten().is_some();
            if let Some(fault) = &state.fault
                && (is_full || !fault.may_pass())
            {
                return Err(KeyIndexError::Background(Arc::clone(fault)));
            }
            if !is_full {
                return Ok(state.finished.clone());
            }
            let waited = self.shared.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A commit is durable: its keys are there, and the runs that it named.
    pub(crate) fn committed(&self, first_index: u64, records: &[Record], named: &[Finished]) {
        let mut replaced = Vec::new();
        {
            let mut state = self.shared.state();
            state.add(first_index, records);
            for finished in named {
                state.name(finished);
                replaced.extend(&finished.replaces);
            }
            state.freeze(self.shared.shape.run_keys);
            self.shared.changed.notify_all();
        }
        for id in replaced {
            // Otherwise it is removed at the next start.
            if let Err(error) = self.shared.folder.remove(&file_name(id)) {
                tracing::warn!(%error, "a file of keys was not removed");
            }
        }
    }
}

impl Drop for KeyIndex {
    fn drop(&mut self) {
        self.shared.state().is_stopping = true;
        self.shared.changed.notify_all();
        if let Some(worker) = self.worker.take() {
            // A worker that panicked has said so.
            drop(worker.join());
        }
    }
}

impl State {
    fn add(&mut self, first_index: u64, records: &[Record]) {
        if records.is_empty() {
            return;
        }
        for record in records {
            self.recent.entry(record.key).or_insert(record.index);
        }
        self.last_row = Some(first_index);
    }

    /// Keys that fill the memory are set aside to be written.
    fn freeze(&mut self, run_keys: usize) {
        let Some(last_row) = self.last_row else {
            return;
        };
        if self.frozen.is_some() || self.recent.len() < run_keys.max(1) {
            return;
        }
        let range = self.recent_from..last_row + 1;
        self.recent_from = range.end;
        self.frozen = Some(Arc::new(Frozen {
            keys: std::mem::take(&mut self.recent),
            range,
        }));
        self.generation += 1;
    }

    /// Frozen keys of which there is no run yet.
    fn unwritten(&self) -> Option<&Arc<Frozen>> {
        let is_written = self.finished.iter().any(|one| one.replaces.is_empty());
        self.frozen.as_ref().filter(|_| !is_written)
    }

    fn is_replaced(&self, id: u64) -> bool {
        self.finished.iter().any(|one| one.replaces.contains(&id))
    }

    const fn take_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    fn in_memory(&self, key: &DedupKey) -> Option<u64> {
        let frozen = self.frozen.as_ref();
        let frozen = frozen.and_then(|frozen| frozen.keys.get(key));
        frozen.or_else(|| self.recent.get(key)).copied()
    }

    /// A run takes the place of what it was made of.
    fn name(&mut self, finished: &Finished) {
        let runs = Arc::make_mut(&mut self.runs);
        let is_input = |run: &Arc<Run>| finished.replaces.contains(&run.entry.id);
        let at = runs.iter().position(is_input).unwrap_or(runs.len());
        runs.retain(|run| !is_input(run));
        runs.insert(at, Arc::clone(&finished.run));
        if finished.replaces.is_empty() {
            self.frozen = None;
        }
        let id = finished.entry().id;
        self.finished.retain(|other| other.entry().id != id);
        self.generation += 1;
    }
}

/// Removes all files but those of runs that the database names.
pub(crate) fn tidy(folder: &dyn Folder, entries: &[RunEntry]) -> io::Result<()> {
    let named: BTreeSet<_> = entries.iter().map(|entry| file_name(entry.id)).collect();
    for name in folder.names()? {
        if !named.contains(&name) {
            folder.remove(&name)?;
        }
    }
    Ok(())
}

/// Writes records, which ascend, as a run that is not a merge of others.
pub(crate) fn write_run(
    folder: &Arc<dyn Folder>,
    entry: &RunEntry,
    records: impl Iterator<Item = Result<Record, redb::Error>>,
) -> Result<RunEntry, WriteRunError> {
    let RunEntry {
        id, level, count, ..
    } = *entry;
    let mut writer = RunWriter::create(folder, id, level, entry.from..entry.to, count)?;
    for record in records {
        writer.add(record?)?;
    }
    Ok(writer.finish()?.entry)
}

/// Why a run was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteRunError {
    #[error(transparent)]
    Source(#[from] redb::Error),
    #[error(transparent)]
    Keys(#[from] KeyIndexError),
}

const fn failed(run: u64, source: io::Error) -> KeyIndexError {
    KeyIndexError::File { run, source }
}

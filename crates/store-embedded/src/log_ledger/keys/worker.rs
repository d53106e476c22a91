//! Who writes and merges runs: a thread of its own, or the commits themselves.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::merge::{Finished, Merge};
use super::plan::next_merge;
use super::record::Record;
use super::run::{RunWriter, is_staged};
use super::{Frozen, KeyIndexError, KeyShape, State};
use crate::folder::Folder;

/// How long after a failure it is tried again; each further one doubles that. A run that is begun
/// anew is written anew.
const RETRY: Duration = Duration::from_secs(1);

/// No pause is longer: commits wait for room in memory meanwhile.
const LONGEST_RETRY: Duration = Duration::from_secs(16);

/// Then a worker that has nothing to do looks again.
const FOREVER: Duration = Duration::from_secs(3600);

/// What the index and its worker share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) folder: Arc<dyn Folder>,
    pub(super) shape: KeyShape,
    state: Mutex<State>,
    /// Something of the state has changed.
    pub(super) changed: Condvar,
}

impl Shared {
    pub(super) const fn new(folder: Arc<dyn Folder>, shape: KeyShape, state: State) -> Self {
        Self {
            folder,
            shape,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does what there is to do, a piece at a time.
pub(super) struct Worker {
    shared: Arc<Shared>,
    /// Merges under way: the last is of the lowest level, and goes on first.
    merges: Vec<Merge>,
}

/// What one turn came to.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// There is nothing to do.
    Idle,
    /// Keys that fill the memory were written: what comes next is waited for.
    Urgent,
    /// A piece of a merge, which has time.
    Merged,
}

impl Worker {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            merges: Vec::new(),
        }
    }

    /// Does all there is; what failed is told by the next commits.
    pub(super) fn run_now(&mut self) {
        loop {
            match self.turn() {
                Ok(Turn::Idle) => return self.shared.state().fault = None,
                Ok(_) => {}
                Err(error) => return self.failed(error),
            }
        }
    }

    /// Works until the index is dropped.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut retry = RETRY;
        loop {
            let generation = shared.state().generation;
            let began = Instant::now();
            let turn = self.turn();
            let pause = match &turn {
                Ok(Turn::Urgent) => Duration::ZERO,
                // A merge takes half of a disk, at most.
                Ok(Turn::Merged) => began.elapsed(),
                Ok(Turn::Idle) => Duration::MAX,
                Err(_) => retry,
            };
            if let Err(error) = turn {
                self.failed(error);
                retry = (2 * retry).min(LONGEST_RETRY);
                if pause_until(&shared, None, pause) {
                    return;
                }
                continue;
            }
            retry = RETRY;
            if pause_until(&shared, Some(generation), pause) {
                return;
            }
        }
    }

    fn failed(&self, error: KeyIndexError) {
        tracing::error!(%error, "keys of the log cannot be merged");
        // What was written of it is in the way of nothing but space.
        for name in self.shared.folder.names().unwrap_or_default() {
            let is_needed = self.merges.iter().any(|merge| merge.staged_name() == name);
            if is_staged(&name)
                && !is_needed
                && let Err(error) = self.shared.folder.remove(&name)
            {
                tracing::warn!(%error, "a file of keys was not removed");
            }
        }
        self.shared.state().fault = Some(Arc::new(error));
        self.shared.changed.notify_all();
    }

    fn turn(&mut self) -> Result<Turn, KeyIndexError> {
        let (frozen, id) = {
            let mut state = self.shared.state();
            let frozen = state.unwritten().cloned();
            let id = frozen.is_some().then(|| state.take_id());
            (frozen, id)
        };
        if let (Some(frozen), Some(id)) = (frozen, id) {
            let finished = write(&self.shared.folder, id, &frozen)?;
            self.finished(finished);
            return Ok(Turn::Urgent);
        }
        self.begin_merge()?;
        let Some(mut merge) = self.merges.pop() else {
            return Ok(Turn::Idle);
        };
        if merge.advance()? {
            let finished = merge.finish()?;
            self.finished(finished);
        } else {
            self.merges.push(merge);
        }
        Ok(Turn::Merged)
    }

    /// Begins a merge, if one is due on a level below those that are under way.
    fn begin_merge(&mut self) -> Result<(), KeyIndexError> {
        let below = self.merges.last().map_or(u8::MAX, Merge::input_level);
        let (planned, inputs, id) = {
            let mut state = self.shared.state();
            let is_taken = |id| {
                let by_a_merge = self.merges.iter().any(|merge| merge.replaces(id));
                by_a_merge || state.is_replaced(id)
            };
            let runs = state.runs.iter().map(|run| &run.entry);
            let free: Vec<_> = runs.filter(|entry| !is_taken(entry.id)).collect();
            let Some(planned) = next_merge(&free, self.shared.shape.fan_in, below) else {
                return Ok(());
            };
            let inputs = state.runs.iter();
            let inputs = inputs.filter(|run| planned.inputs.contains(&run.entry.id));
            let inputs = inputs.cloned().collect();
            (planned, inputs, state.take_id())
        };
        let merge = Merge::begin(&self.shared.folder, id, planned, inputs)?;
        self.merges.push(merge);
        Ok(())
    }

    fn finished(&self, finished: Finished) {
        let entry = finished.entry();
        tracing::debug!(
            level = entry.level,
            keys = entry.count,
            runs = finished.replaces.len(),
            "keys of the log are merged"
        );
        let mut state = self.shared.state();
        state.finished.push(finished);
        state.fault = None;
        self.shared.changed.notify_all();
    }
}

/// Waits so long, or until the state is of another generation; whether the worker is to stop.
fn pause_until(shared: &Shared, generation: Option<u64>, pause: Duration) -> bool {
    let end = Instant::now().checked_add(pause);
    let mut state = shared.state();
    while !state.is_stopping && generation.is_none_or(|known| known == state.generation) {
        let left = end.map_or(FOREVER, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            break;
        }
        let waited = shared.changed.wait_timeout(state, left);
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
    state.is_stopping
}

/// Keys of memory become a run.
fn write(folder: &Arc<dyn Folder>, id: u64, frozen: &Frozen) -> Result<Finished, KeyIndexError> {
    let mut records: Vec<_> = frozen
        .keys
        .iter()
        .map(|(key, index)| Record {
            key: *key,
            index: *index,
        })
        .collect();
    records.sort_unstable_by_key(|record| record.key);
    let most = u32::try_from(records.len()).unwrap_or(u32::MAX);
    let mut writer = RunWriter::create(folder, id, 0, frozen.range.clone(), most)?;
    for record in records {
        writer.add(record)?;
    }
    Ok(Finished {
        run: Arc::new(writer.finish()?),
        replaces: Vec::new(),
    })
}

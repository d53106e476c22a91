//! A disk that forgets: what was not synced may be gone after a crash, whole, in parts, or not.
//!
//! It is three things that the stores ask a file system for: one database file (redb), one flat
//! folder of files (the ledger's keys), one tree of files (the objects). Every call that changes
//! something is counted, and one of them can be struck.

mod database;
mod folder;
mod tree;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Chance;

pub use database::DiskDatabase;
pub use folder::DiskFolder;
pub use tree::DiskTree;

/// What happens at the call that is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strike {
    /// The machine stops before the call does anything.
    Before,
    /// The machine stops when the call has done its work, and before anybody is told.
    After,
    /// The call fails and does nothing; the machine goes on.
    Fail,
}

/// What a crash leaves of that which was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// All of it is there: a process was killed, not the machine.
    Nothing,
    /// None of it is there.
    Everything,
    /// Each name and each write is there or not, and writes may be torn between sectors.
    Some,
}

/// Writes are torn between these.
const SECTOR: usize = 512;

/// A disk. Clones are the same disk; [`copy`](Self::copy) makes another one.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Clone, Default)]
struct State {
    /// What a reader sees now.
    names: BTreeMap<String, Node>,
    /// What a crash leaves in any case.
    durable: BTreeMap<String, Node>,
    files: BTreeMap<u64, Content>,
    next: u64,
    calls: u64,
    strike: Option<(u64, Strike)>,
    has_struck: bool,
    is_down: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File(u64),
}

#[derive(Debug, Clone, Default)]
struct Content {
    current: Arc<Vec<u8>>,
    synced: Arc<Vec<u8>>,
    /// Where it was written since it was synced: offset and length.
    dirty: Vec<(usize, usize)>,
}

impl Disk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another disk with the same files, on which nothing is struck yet.
    #[must_use]
    pub fn copy(&self) -> Self {
        let mut state = self.state().clone();
        state.calls = 0;
        state.strike = None;
        state.has_struck = false;
        Self(Arc::new(Mutex::new(state)))
    }

    /// Strikes the call of that number, from 1.
    pub fn strike(&self, call: u64, strike: Strike) {
        self.state().strike = Some((call, strike));
    }

    /// How many calls have changed something.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Whether the call was reached.
    pub fn has_struck(&self) -> bool {
        self.state().has_struck
    }

    /// Whether the machine has stopped.
    pub fn is_down(&self) -> bool {
        self.state().is_down
    }

    /// The disk after the machine has started again.
    #[must_use]
    pub fn after_crash(&self, loss: Loss, chance: &mut Chance) -> Self {
        let mut state = self.state().clone();
        let names = match loss {
            Loss::Nothing => state.names.clone(),
            Loss::Everything => state.durable.clone(),
            Loss::Some => some_names(&state.names, &state.durable, chance),
        };
        state.names = reachable(names);
        state.durable = state.names.clone();
        for content in state.files.values_mut() {
            content.lose(loss, chance);
        }
        let used: Vec<u64> = state
            .names
            .values()
            .filter_map(|node| match node {
                Node::File(number) => Some(*number),
                Node::Folder => None,
            })
            .collect();
        state.files.retain(|number, _| used.contains(number));
        Self(Arc::new(Mutex::new(State {
            calls: 0,
            strike: None,
            has_struck: false,
            is_down: false,
            ..state
        })))
    }

    /// The files below a folder, with their bytes.
    pub fn files_below(&self, folder: &str) -> Vec<(String, Arc<Vec<u8>>)> {
        let state = self.state();
        let prefix = format!("{folder}/");
        let files = state.names.iter().filter_map(|(name, node)| match node {
            Node::File(number) if name.starts_with(&prefix) => {
                let content = state.files.get(number)?;
                Some((name.clone(), Arc::clone(&content.current)))
            }
            _ => None,
        });
        files.collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, and does its work if it is not struck.
    fn change<T>(&self, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        state.up()?;
        state.calls += 1;
        let struck = match state.strike {
            Some((call, strike)) if call == state.calls => Some(strike),
            _ => None,
        };
        state.has_struck |= struck.is_some();
        match struck {
            None => work(&mut state),
            Some(Strike::Fail) => Err(io::Error::other("the disk failed")),
            Some(Strike::Before) => {
                state.is_down = true;
                Err(down())
            }
            Some(Strike::After) => {
                drop(work(&mut state));
                state.is_down = true;
                Err(down())
            }
        }
    }

    fn look<T>(&self, work: impl FnOnce(&State) -> io::Result<T>) -> io::Result<T> {
        let state = self.state();
        state.up()?;
        work(&state)
    }
}

fn down() -> io::Error {
    io::Error::other("the machine is down")
}

fn missing(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.to_owned())
}

/// Each name that differs is as it was or as it is.
fn some_names(
    names: &BTreeMap<String, Node>,
    durable: &BTreeMap<String, Node>,
    chance: &mut Chance,
) -> BTreeMap<String, Node> {
    let mut all: Vec<&String> = names.keys().chain(durable.keys()).collect();
    all.sort_unstable();
    all.dedup();
    let chosen = all.into_iter().filter_map(|name| {
        let (new, old) = (names.get(name), durable.get(name));
        let node = if new == old || chance.below(2) == 0 {
            new
        } else {
            old
        };
        Some((name.clone(), *node?))
    });
    chosen.collect()
}

/// Without what lies in a folder that is not there.
fn reachable(names: BTreeMap<String, Node>) -> BTreeMap<String, Node> {
    let mut kept: BTreeMap<String, Node> = BTreeMap::new();
    // A folder sorts before what is in it.
    for (name, node) in names {
        let is_there = name
            .rsplit_once('/')
            .is_none_or(|(folder, _)| kept.get(folder) == Some(&Node::Folder));
        if is_there {
            kept.insert(name, node);
        }
    }
    kept
}

impl State {
    fn up(&self) -> io::Result<()> {
        if self.is_down { Err(down()) } else { Ok(()) }
    }

    fn file(&self, path: &str) -> io::Result<u64> {
        match self.names.get(path) {
            Some(Node::File(number)) => Ok(*number),
            _ => Err(missing(path)),
        }
    }

    fn content(&self, number: u64) -> io::Result<&Content> {
        self.files.get(&number).ok_or_else(|| missing("a file"))
    }

    fn content_mut(&mut self, number: u64) -> io::Result<&mut Content> {
        self.files.get_mut(&number).ok_or_else(|| missing("a file"))
    }

    fn make_file(&mut self, path: &str) -> io::Result<u64> {
        if self.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.next += 1;
        self.files.insert(self.next, Content::default());
        self.names.insert(path.to_owned(), Node::File(self.next));
        Ok(self.next)
    }

    /// Makes the names directly in a folder durable.
    fn sync_names(&mut self, folder: &str) {
        let is_in = |name: &String| name.rsplit_once('/').map_or("", |(above, _)| above) == folder;
        self.durable.retain(|name, _| !is_in(name));
        let now = self.names.iter().filter(|(name, _)| is_in(name));
        let now: Vec<_> = now.map(|(name, node)| (name.clone(), *node)).collect();
        self.durable.extend(now);
    }
}

impl Content {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        let current = Arc::make_mut(&mut self.current);
        if current.len() < end {
            current.resize(end, 0);
        }
        if let Some(place) = current.get_mut(offset..end) {
            place.copy_from_slice(bytes);
        }
        self.dirty.push((offset, bytes.len()));
    }

    fn set_len(&mut self, length: usize) {
        let current = Arc::make_mut(&mut self.current);
        current.resize(length, 0);
    }

    fn sync(&mut self) {
        self.synced = Arc::clone(&self.current);
        self.dirty.clear();
    }

    fn lose(&mut self, loss: Loss, chance: &mut Chance) {
        match loss {
            Loss::Nothing => {}
            Loss::Everything => self.current = Arc::clone(&self.synced),
            Loss::Some => {
                let mut left = self.synced.to_vec();
                // The length is data of the file system's own: it is the old one or the new one.
                if chance.below(2) == 0 {
                    left.resize(self.current.len(), 0);
                }
                for (offset, length) in std::mem::take(&mut self.dirty) {
                    self.keep_some(&mut left, offset, length, chance);
                }
                self.current = Arc::new(left);
            }
        }
        self.sync();
    }

    /// Copies sectors of a write, or all, or none.
    fn keep_some(&self, left: &mut [u8], offset: usize, length: usize, chance: &mut Chance) {
        let fate = chance.below(3);
        let mut at = offset;
        while at < offset + length && fate > 0 {
            let end = ((at / SECTOR + 1) * SECTOR).min(offset + length);
            if (fate == 1 || chance.below(2) == 0)
                && let (Some(to), Some(from)) = (left.get_mut(at..end), self.current.get(at..end))
            {
                to.copy_from_slice(from);
            }
            at = end;
        }
    }
}

#[cfg(test)]
mod tests;

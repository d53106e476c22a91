//! A large log, made in a minute: what benches measure on that ask how size matters.
//!
//! Entries are small and nobody's, but they are in the log in every way: bundles, tiles, the ledger
//! with its deduplication keys and its tree. They go through the same ledger that the server
//! commits to; only the tiles are written here, because the server syncs each of them. So a start
//! of the server on the directory checks all that it always checks.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use waxseal_instance::{DataDir, Part};
use waxseal_log_server::{Commit, CommitOutcome, Ledger, LogState, NewEntry, ObjectName, TilePath};
use waxseal_store_embedded::LogLedger;
use waxseal_tlog::{EntryBundle, Frontier, Hash, Tile, leaf_hash};

/// Entries of one commit.
const AT_ONCE: u64 = 8192;

/// Appends entries to the log of an instance until it has so many. The instance must have been
/// started once, must not run, and must have hardly any entries yet.
///
/// # Errors
/// If the directory is not of that kind, or cannot be written.
pub async fn prefill(data: &Path, size: u64) -> Result<()> {
    let folder = DataDir::open(data)?.part(Part::Log);
    let ledger = LogLedger::open(&folder.join("state.redb"))?;
    let opened = Ledger::open(&ledger).await?;
    let state = opened.state.context("the log was never started")?;
    let mut state = LogState::parse(&state)?;
    let first = state.frontier.size();
    ensure!(state.sealed == 0 && first < 256, "the log has entries");
    let mut tiles = Tiles::new(folder.join("tiles"));
    for stored in ledger.read(0..first).await? {
        tiles.append(&stored)?;
    }
    let mut at = first;
    while at < size {
        let end = size.min((at / AT_ONCE + 1) * AT_ONCE);
        let entries: Vec<_> = (at..end).map(entry).collect();
        for entry in &entries {
            state.frontier.append(&tiles.append(&entry.stored)?)?;
        }
        state.sealed = end / 256 * 256;
        commit(&ledger, opened.epoch, at..end, &entries, &state).await?;
        at = end;
    }
    Ok(())
}

fn entry(n: u64) -> NewEntry {
    let stored = format!("prefilled {n}").into_bytes();
    NewEntry {
        // As the artifact log has it.
        key: Some(leaf_hash(&stored)),
        stored,
        beside: Vec::new(),
    }
}

async fn commit(
    ledger: &LogLedger,
    epoch: u64,
    range: Range<u64>,
    entries: &[NewEntry],
    state: &LogState,
) -> Result<()> {
    let commit = Commit {
        epoch,
        first_index: range.start,
        entries,
        state: &state.encode(),
        forget_before: state.sealed,
    };
    let outcome = ledger.commit(commit).await;
    ensure!(matches!(outcome, CommitOutcome::Committed), "{outcome:?}");
    Ok(())
}

/// Full tiles and bundles, written as they become full.
struct Tiles {
    folder: PathBuf,
    /// Hashes of the tile at the right edge, by level.
    levels: Vec<Vec<Hash>>,
    /// Full tiles, by level.
    full: Vec<u64>,
    bundle: EntryBundle,
}

impl Tiles {
    const fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            levels: Vec::new(),
            full: Vec::new(),
            bundle: EntryBundle::new(),
        }
    }

    /// The leaf's hash.
    fn append(&mut self, stored: &[u8]) -> Result<Hash> {
        let leaf = leaf_hash(stored);
        self.bundle.push(stored.to_vec())?;
        if self.bundle.entries().len() == 256 {
            let index = self.full.first().copied().unwrap_or(0);
            let path = TilePath::Entries { index, width: 256 };
            self.write(path, &self.bundle.encode())?;
            self.bundle = EntryBundle::new();
        }
        let (mut level, mut hash) = (0_u8, leaf);
        while let Some(above) = self.add(level, hash)? {
            (level, hash) = (level + 1, above);
        }
        Ok(leaf)
    }

    /// Adds a hash to a level; that of its tile, if that is full then.
    fn add(&mut self, level: u8, hash: Hash) -> Result<Option<Hash>> {
        let at = usize::from(level);
        if self.levels.len() == at {
            self.levels.push(Vec::with_capacity(256));
            self.full.push(0);
        }
        let (Some(hashes), Some(full)) = (self.levels.get_mut(at), self.full.get_mut(at)) else {
            return Ok(None);
        };
        hashes.push(hash);
        if hashes.len() < 256 {
            return Ok(None);
        }
        let mut tree = Frontier::new();
        for hash in &*hashes {
            tree.append(hash)?;
        }
        let tile = Tile::new(level, *full, 256)?;
        let bytes = Tile::encode(hashes);
        hashes.clear();
        *full += 1;
        self.write(TilePath::Tile(tile), &bytes)?;
        Ok(Some(tree.root_hash()))
    }

    fn write(&self, path: TilePath, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(ObjectName::Tile(path).to_string());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, bytes).with_context(|| path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_those_of_the_tree() {
        let folder = tempfile::tempdir().unwrap();
        let mut tiles = Tiles::new(folder.path().to_owned());
        let mut tree = Frontier::new();
        for n in 0..70_000 {
            let leaf = tiles.append(&entry(n).stored).unwrap();
            tree.append(&leaf).unwrap();
        }
        // The oldest peak is the root of the one full tile of level 1.
        let path = ObjectName::Tile(TilePath::Tile(Tile::new(1, 0, 256).unwrap()));
        let bytes = fs::read(folder.path().join(path.to_string())).unwrap();
        let hashes = Tile::new(1, 0, 256).unwrap().parse(&bytes).unwrap();
        let mut top = Frontier::new();
        hashes.iter().for_each(|hash| top.append(hash).unwrap());
        assert_eq!(top.root_hash(), tree.peaks()[0]);
        let path = ObjectName::Tile(TilePath::Entries {
            index: 272,
            width: 256,
        });
        let bundle = fs::read(folder.path().join(path.to_string())).unwrap();
        let bundle = EntryBundle::parse(&bundle, 256).unwrap();
        assert_eq!(bundle.entries()[0], entry(272 * 256).stored);
    }
}

//! A log's ledger on redb, and its keys in files beside it.
//!
//! One commit is one redb transaction with quick repair: two fsyncs, and after a crash the file
//! opens at once. Any I/O error of it is answered as unknown, because neither redb nor the page
//! cache can be believed after one: the log stops and opens the file again.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, StorageBackend, StorageError,
    TableDefinition,
};
use waxseal_crypto::BoxFuture;
use waxseal_log_server::{Commit, CommitOutcome, DedupKey, Ledger, LedgerError, NewEntry, Opened};

use crate::file::{OpenError, open_backend, open_database};
use crate::folder::{Directory, Folder};
use keys::{Finished, KeyIndex, Record, RunEntry};

pub use keys::{KeyIndexError, KeyShape};

mod keys;
mod migration;

/// `epoch` (8 bytes, big-endian) and `state`.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// Entries that are not sealed: the index of the first → up to [`ROW_ENTRIES`] entries, each after
/// its length (4 bytes, big-endian). No row crosses a multiple of 256.
const TAIL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("tail");

/// Deduplication keys that are in no run yet: the first index of a commit → its keys. Those below
/// the index that runs cover are dropped little by little, and not read.
const KEYS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("keys");

/// Runs of keys: their files' numbers → what they hold.
const RUNS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("runs");

/// Index → data kept beside the leaf.
const BESIDE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("beside");

/// Most entries of one row: few rows to insert, and little to read for one entry.
const ROW_ENTRIES: usize = 32;

/// Most bytes of a row that has more than one entry: redb rounds what a row takes, and writes, up to
/// a power of two, and 32 entries with a certificate would be a little more than 64 KiB.
const ROW_BYTES: usize = (64 << 10) - 256;

/// Rows of keys that one commit drops, at most: no commit has to pay for many others.
const DROPPED_ROWS: usize = 32;

/// The extension of the folder beside the ledger's file.
const KEYS_FOLDER: &str = "keys";

/// Why a ledger's storage cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerOpenError {
    /// The storage does not hold a database, or a damaged one.
    #[error("the ledger's database cannot be opened")]
    Database(#[source] Box<redb::DatabaseError>),
    /// The database is new or empty, and files of keys are there: the database was lost, or moved
    /// away. To go on would remove what belongs to it.
    #[error("the ledger's database is empty, but its keys are there: was it lost, or moved away?")]
    LostDatabase,
    /// The folder of its keys cannot be read or tidied up.
    #[error("the folder of the ledger's keys cannot be used")]
    Folder(#[source] io::Error),
    /// The database cannot be read or migrated.
    #[error("the ledger's database cannot be read")]
    Records(#[source] Box<redb::Error>),
    /// The index of its keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyIndexError),
}

/// A log's ledger in one file that one process holds.
#[derive(Debug)]
pub struct LogLedger {
    database: Database,
    keys: KeyIndex,
    /// One commit at a time, from the runs that it names until they are known to be named.
    committing: Mutex<()>,
}

impl LogLedger {
    /// Opens the file, and makes it with mode 0600 if it is not there.
    ///
    /// # Errors
    /// [`OpenError`]: another process holds it, it is not ours alone, or it is damaged.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let database = open_database(path)?;
        let folder = Directory::open(&path.with_extension(KEYS_FOLDER))?;
        let folder: Arc<dyn Folder> = Arc::new(folder);
        Self::on(database, &folder, KeyShape::default()).map_err(|source| OpenError::Ledger {
            path: path.to_owned(),
            source,
        })
    }

    /// Opens a ledger over any storage: what a test of crashes puts its faults in.
    ///
    /// # Errors
    /// [`LedgerOpenError`].
    pub fn with_backend(
        backend: impl StorageBackend,
        folder: &Arc<dyn Folder>,
        shape: KeyShape,
    ) -> Result<Self, LedgerOpenError> {
        let database =
            open_backend(backend).map_err(|error| LedgerOpenError::Database(error.into()))?;
        Self::on(database, folder, shape)
    }

    fn on(
        mut database: Database,
        folder: &Arc<dyn Folder>,
        shape: KeyShape,
    ) -> Result<Self, LedgerOpenError> {
        let records = |error: redb::Error| LedgerOpenError::Records(error.into());
        let mut runs = read_runs(&database)?;
        let names = folder.names().map_err(LedgerOpenError::Folder)?;
        // Nobody has ever taken this ledger over, so nobody has written a run for it.
        if names.iter().any(|name| keys::is_run(name)) && is_new(&database).map_err(records)? {
            return Err(LedgerOpenError::LostDatabase);
        }
        // Files that no commit names are what a crash left behind.
        keys::tidy(&**folder, &runs).map_err(LedgerOpenError::Folder)?;
        if let Some(migrated) = migration::migrate(&mut database, folder, shape)? {
            runs = migrated;
        }
        let (index, covered) = KeyIndex::open(folder, shape, runs)?;
        restore(&database, &index, covered).map_err(records)??;
        Ok(Self {
            database,
            keys: index,
            committing: Mutex::new(()),
        })
    }

    fn take_over(&self) -> Result<Opened, redb::Error> {
        let mut writing = self.database.begin_write()?;
        writing.set_quick_repair(true);
        let opened = {
            // All tables are made here, so that reads find them.
            writing.open_table(TAIL)?;
            writing.open_table(KEYS)?;
            writing.open_table(RUNS)?;
            writing.open_table(BESIDE)?;
            let mut meta = writing.open_table(META)?;
            let epoch = epoch_in(&meta)? + 1;
            let state = meta.get("state")?.map(|state| state.value().to_vec());
            meta.insert("epoch", epoch.to_be_bytes().as_slice())?;
            Opened { epoch, state }
        };
        writing.commit()?;
        Ok(opened)
    }

    fn look_now(&self) -> Result<Opened, redb::Error> {
        let reading = self.database.begin_read()?;
        let meta = match reading.open_table(META) {
            Ok(meta) => meta,
            // Nobody has ever taken it over.
            Err(redb::TableError::TableDoesNotExist(_)) => {
                return Ok(Opened {
                    epoch: 0,
                    state: None,
                });
            }
            Err(error) => return Err(error.into()),
        };
        let state = meta.get("state")?.map(|state| state.value().to_vec());
        Ok(Opened {
            epoch: epoch_in(&meta)?,
            state,
        })
    }

    /// Everything but the commit itself; `false`: another epoch.
    fn write(
        &self,
        writing: &redb::WriteTransaction,
        commit: &Commit<'_>,
        keys: &[Record],
        named: &[Finished],
    ) -> Result<bool, redb::Error> {
        let mut meta = writing.open_table(META)?;
        if epoch_in(&meta)? != commit.epoch {
            return Ok(false);
        }
        meta.insert("state", commit.state)?;
        let mut tail = writing.open_table(TAIL)?;
        for (first, row) in rows(commit.first_index, commit.entries) {
            tail.insert(first, row.as_slice())?;
        }
        // No row crosses a multiple of 256, which is what entries are sealed by.
        loop {
            let first = tail.first()?.map(|(first, _)| first.value());
            let Some(first) = first.filter(|first| *first < commit.forget_before) else {
                break;
            };
            tail.remove(first)?;
        }
        let mut beside = writing.open_table(BESIDE)?;
        for (entry, index) in commit.entries.iter().zip(commit.first_index..) {
            if !entry.beside.is_empty() {
                beside.insert(index, entry.beside.as_slice())?;
            }
        }
        write_keys(writing, commit.first_index, keys, named)?;
        Ok(true)
    }

    fn commit_now(&self, commit: &Commit<'_>) -> CommitOutcome {
        let _one = self
            .committing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let named = match self.keys.begin_commit() {
            Ok(named) => named,
            Err(error) => return CommitOutcome::NotCommitted(error.into()),
        };
        let mut writing = match self.database.begin_write() {
            Ok(writing) => writing,
            Err(error) => return outcome(error.into()),
        };
        writing.set_quick_repair(true);
        let keys = records(commit);
        match self.write(&writing, commit, &keys, &named) {
            Ok(true) => {}
            Ok(false) => return CommitOutcome::Fenced,
            Err(error) => return outcome(error),
        }
        match writing.commit() {
            Ok(()) => {
                self.keys.committed(commit.first_index, &keys, &named);
                CommitOutcome::Committed
            }
            Err(error) => CommitOutcome::Unknown(error.into()),
        }
    }

    fn read_now(&self, range: &Range<u64>) -> Result<Option<Vec<Vec<u8>>>, redb::Error> {
        let table = self.database.begin_read()?.open_table(TAIL)?;
        // The row that holds the first entry may begin before it.
        let first = table.range(..=range.start)?.next_back().transpose()?;
        let Some(first) = first.map(|(first, _)| first.value()) else {
            return Ok(range.is_empty().then(Vec::new));
        };
        let mut entries = Vec::new();
        let mut index = first;
        for row in table.range(first..range.end)? {
            let (first, row) = row?;
            if first.value() != index {
                return Ok(None);
            }
            let mut rest = row.value();
            while let Some((entry, after)) = split_entry(rest) {
                if range.contains(&index) {
                    entries.push(entry.to_vec());
                }
                index += 1;
                rest = after;
            }
        }
        Ok((index >= range.end).then_some(entries))
    }

    fn read_beside_now(&self, index: u64) -> Result<Vec<u8>, redb::Error> {
        let table = self.database.begin_read()?.open_table(BESIDE)?;
        let beside = table.get(index)?;
        Ok(beside
            .map(|bytes| bytes.value().to_vec())
            .unwrap_or_default())
    }
}

impl Ledger for LogLedger {
    fn open(&self) -> BoxFuture<'_, Result<Opened, LedgerError>> {
        Box::pin(async { self.take_over().map_err(failed) })
    }

    fn look(&self) -> BoxFuture<'_, Result<Opened, LedgerError>> {
        Box::pin(async { self.look_now().map_err(failed) })
    }

    fn commit<'a>(&'a self, commit: Commit<'a>) -> BoxFuture<'a, CommitOutcome> {
        Box::pin(async move { self.commit_now(&commit) })
    }

    fn find<'a>(
        &'a self,
        keys: &'a [DedupKey],
    ) -> BoxFuture<'a, Result<Vec<Option<u64>>, LedgerError>> {
        Box::pin(async {
            let found = self.keys.find(keys);
            found.map_err(|error| LedgerError::Failed(error.into()))
        })
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<Vec<Vec<u8>>, LedgerError>> {
        Box::pin(async {
            let read = self.read_now(&range).map_err(failed)?;
            read.ok_or(LedgerError::Forgotten { range })
        })
    }

    fn read_beside(&self, index: u64) -> BoxFuture<'_, Result<Vec<u8>, LedgerError>> {
        Box::pin(async move { self.read_beside_now(index).map_err(failed) })
    }
}

fn epoch_in(
    meta: &impl redb::ReadableTable<&'static str, &'static [u8]>,
) -> Result<u64, StorageError> {
    let epoch = meta.get("epoch")?;
    let bytes = epoch.as_ref().and_then(|epoch| epoch.value().first_chunk());
    Ok(bytes.map_or(0, |bytes| u64::from_be_bytes(*bytes)))
}

/// The keys of a commit.
fn records(commit: &Commit<'_>) -> Vec<Record> {
    let numbered = commit.entries.iter().zip(commit.first_index..);
    let record = |(entry, index): (&NewEntry, u64)| entry.key.map(|key| Record { key, index });
    numbered.filter_map(record).collect()
}

/// The keys of one commit, the runs that it names, and an end to what those replace.
fn write_keys(
    writing: &redb::WriteTransaction,
    first_index: u64,
    records: &[Record],
    named: &[Finished],
) -> Result<(), redb::Error> {
    let mut rows = writing.open_table(KEYS)?;
    if !records.is_empty() {
        let row = keys::encode_row(first_index, records);
        if rows.insert(first_index, row.as_slice())?.is_some() {
            let twice = format!("two commits begin at index {first_index}");
            return Err(redb::Error::Corrupted(twice));
        }
    }
    let mut runs = writing.open_table(RUNS)?;
    for finished in named {
        for id in &finished.replaces {
            runs.remove(id)?;
        }
        let entry = finished.entry();
        runs.insert(entry.id, entry.encode().as_slice())?;
    }
    let mut covered = 0;
    for run in runs.iter()? {
        let (id, entry) = run?;
        covered = covered.max(RunEntry::parse(id.value(), entry.value()).map_or(0, |run| run.to));
    }
    for _ in 0..DROPPED_ROWS {
        let first = rows.first()?.map(|(first, _)| first.value());
        let Some(first) = first.filter(|first| *first < covered) else {
            break;
        };
        rows.remove(first)?;
    }
    Ok(())
}

/// Whether no process has opened the ledger yet: who does makes all tables first.
fn is_new(database: &Database) -> Result<bool, redb::Error> {
    Ok(database.begin_read()?.list_tables()?.next().is_none())
}

/// What the database says of runs; nothing if it is new.
fn read_runs(database: &Database) -> Result<Vec<RunEntry>, LedgerOpenError> {
    let records = |error: redb::Error| LedgerOpenError::Records(error.into());
    let reading = database
        .begin_read()
        .map_err(|error| records(error.into()))?;
    let table = match reading.open_table(RUNS) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(records(error.into())),
    };
    let mut runs = Vec::new();
    for run in table.iter().map_err(|error| records(error.into()))? {
        let (id, entry) = run.map_err(|error| records(error.into()))?;
        let run = id.value();
        let entry = RunEntry::parse(run, entry.value());
        runs.push(entry.ok_or(KeyIndexError::DamagedEntry { run })?);
    }
    Ok(runs)
}

/// Reads the keys that are in no run.
fn restore(
    database: &Database,
    index: &KeyIndex,
    covered: u64,
) -> Result<Result<(), KeyIndexError>, redb::Error> {
    let table = match database.begin_read()?.open_table(KEYS) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Ok(())),
        Err(error) => return Err(error.into()),
    };
    for row in table.range(covered..)? {
        let (first_index, row) = row?;
        let first_index = first_index.value();
        let Some(records) = keys::parse_row(first_index, row.value()) else {
            return Ok(Err(KeyIndexError::DamagedRow { first_index }));
        };
        index.restore(first_index, &records);
    }
    Ok(Ok(()))
}

/// Cuts entries into rows.
fn rows(first_index: u64, entries: &[NewEntry]) -> Vec<(u64, Vec<u8>)> {
    let mut rows: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut in_row = 0;
    for (entry, index) in entries.iter().zip(first_index..) {
        let bytes = rows.last().map_or(0, |(_, row)| row.len());
        let is_full = in_row == ROW_ENTRIES || bytes + 4 + entry.stored.len() > ROW_BYTES;
        if rows.is_empty() || is_full || index % 256 == 0 {
            rows.push((index, Vec::new()));
            in_row = 0;
        }
        in_row += 1;
        if let Some((_, row)) = rows.last_mut() {
            // Entries are far below 4 GiB: requests are.
            let length = u32::try_from(entry.stored.len()).unwrap_or(u32::MAX);
            row.extend(length.to_be_bytes());
            row.extend(&entry.stored);
        }
    }
    rows
}

fn split_entry(row: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = row.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// A transaction that was not begun or not finished is not there, unless the disk failed.
fn outcome(error: redb::Error) -> CommitOutcome {
    match error {
        redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::Corrupted(_) => {
            CommitOutcome::Unknown(error.into())
        }
        error => CommitOutcome::NotCommitted(error.into()),
    }
}

fn failed(error: redb::Error) -> LedgerError {
    LedgerError::Failed(error.into())
}

#[cfg(test)]
mod tests;

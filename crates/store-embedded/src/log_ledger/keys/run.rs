//! A run: an immutable file of sorted records, its fingerprints in memory.
//!
//! The file: blocks of records; the fingerprints; a trailer that says again what the ledger's
//! database says of it. The database holds the digest of all but the blocks, which have checksums
//! of their own.

use std::io;
use std::sync::Arc;

use waxseal_crypto::{HashAlgorithm, Hasher};
use waxseal_log_server::DedupKey;

use super::fingerprints::{Fingerprints, FingerprintsBuilder};
use super::plan::{MAX_RUN_KEYS, RunEntry};
use super::record::{BLOCK, BLOCK_RECORDS, Record, append_block, parse_block};
use super::{KeyIndexError, failed};
use crate::folder::{Folder, NewFile, StoredFile};

/// What ends the file, before the numbers: what it is, and the layout's version.
const MAGIC: &[u8; 24] = b"waxseal log keys, run  1";

/// How the names of files end that are being written.
const STAGED: &str = ".new";

/// Bytes that are written at once.
const WRITE: usize = 256 * BLOCK;

/// Writes between two syncs, so that the end of a large run does not hold up the commits.
const WRITES_PER_SYNC: u32 = 4;

/// Blocks that a merge reads at once.
const READ_BLOCKS: usize = 16;

/// A run that can be asked.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) entry: RunEntry,
    fingerprints: Fingerprints,
    file: Box<dyn StoredFile>,
}

/// How the names of files end that are whole.
const WHOLE: &str = ".run";

/// The name of the file of a run.
pub(super) fn file_name(id: u64) -> String {
    format!("{id:016x}{WHOLE}")
}

/// Whether a file is a whole run, by its name.
pub(crate) fn is_run(name: &str) -> bool {
    name.ends_with(WHOLE)
}

/// The name of the file while it is written.
pub(super) fn staged_name(id: u64) -> String {
    format!("{id:016x}{STAGED}")
}

pub(super) fn is_staged(name: &str) -> bool {
    name.ends_with(STAGED)
}

impl Run {
    /// Opens a run that the database names; its fingerprints are read and checked.
    pub(super) fn open(folder: &dyn Folder, entry: RunEntry) -> Result<Self, KeyIndexError> {
        let name = file_name(entry.id);
        let file = folder.open(&name).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => KeyIndexError::MissingRun { run: entry.id },
            _ => failed(entry.id, error),
        })?;
        let length = file.length().map_err(|error| failed(entry.id, error))?;
        let trailer = trailer(&entry);
        let mut at = blocks_length(entry.count);
        let rest = length.checked_sub(at + self::length(trailer.len()));
        let damaged = || KeyIndexError::DamagedRun { run: entry.id };
        let rest = rest.ok_or_else(damaged)?;
        let mut hasher = Hasher::new(HashAlgorithm::Sha256);
        let mut read = |into: &mut [u8]| {
            file.read_exact_at(into, at)
                .map_err(|error| failed(entry.id, error))?;
            at += self::length(into.len());
            hasher.update(into);
            Ok(())
        };
        let prints = Fingerprints::parse(rest, entry.count, &mut read)?;
        let mut found = vec![0; trailer.len()];
        read(&mut found)?;
        let is_whole = found == trailer && digest(hasher) == entry.digest;
        let fingerprints = prints.filter(|_| is_whole).ok_or_else(damaged)?;
        Ok(Self {
            entry,
            fingerprints,
            file,
        })
    }

    /// The index of a key, if it is there. In nearly all cases that it is not, nothing is read.
    pub(super) fn find(&self, key: &DedupKey) -> Result<Option<u64>, KeyIndexError> {
        let mut candidates = self.fingerprints.candidates(key);
        let mut read = None;
        while !candidates.is_empty() {
            let at = candidates.start + (candidates.end - candidates.start) / 2;
            let record = self.record(at, &mut read)?;
            match record.key.cmp(key) {
                std::cmp::Ordering::Equal => return Ok(Some(record.index)),
                std::cmp::Ordering::Less => candidates.start = at + 1,
                std::cmp::Ordering::Greater => candidates.end = at,
            }
        }
        Ok(None)
    }

    /// One record; the block that was read last is kept in `read`.
    fn record(
        &self,
        at: u32,
        read: &mut Option<(u64, Box<[u8; BLOCK]>)>,
    ) -> Result<Record, KeyIndexError> {
        let (number, position) = place(at);
        let block = match read.take() {
            Some((found, block)) if found == number => block,
            _ => {
                let mut block = Box::new([0; BLOCK]);
                self.read(number, block.as_mut_slice())?;
                block
            }
        };
        let (_, block) = read.insert((number, block));
        let record = parse_block(self.entry.id, number, block)
            .and_then(|block| block.record(position))
            .filter(|record| self.fingerprints.agrees(&record.key, at));
        record.ok_or(self.damaged())
    }

    fn read(&self, block: u64, into: &mut [u8]) -> Result<(), KeyIndexError> {
        self.file
            .read_exact_at(into, block * length(BLOCK))
            .map_err(|error| failed(self.entry.id, error))
    }

    const fn damaged(&self) -> KeyIndexError {
        KeyIndexError::DamagedRun { run: self.entry.id }
    }
}

/// All records of a run, in order.
#[derive(Debug)]
pub(super) struct RunReader {
    run: Arc<Run>,
    /// Blocks that were read.
    read: u64,
    records: std::vec::IntoIter<Record>,
    bytes: Vec<u8>,
}

impl RunReader {
    pub(super) fn new(run: Arc<Run>) -> Self {
        Self {
            run,
            read: 0,
            records: Vec::new().into_iter(),
            bytes: Vec::new(),
        }
    }

    pub(super) fn run(&self) -> &RunEntry {
        &self.run.entry
    }

    /// The next record; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Record>, KeyIndexError> {
        if self.records.len() == 0 {
            self.records = self.read_blocks()?.into_iter();
        }
        Ok(self.records.next())
    }

    fn read_blocks(&mut self) -> Result<Vec<Record>, KeyIndexError> {
        let RunEntry { id, count, .. } = self.run.entry;
        let left = blocks_length(count) / length(BLOCK) - self.read;
        let blocks = usize::try_from(left).map_or(READ_BLOCKS, |left| left.min(READ_BLOCKS));
        self.bytes.resize(blocks * BLOCK, 0);
        self.run.read(self.read, &mut self.bytes)?;
        let unread = u64::from(count) - (self.read * length(BLOCK_RECORDS)).min(u64::from(count));
        let mut records = Vec::with_capacity(blocks * BLOCK_RECORDS);
        for (number, bytes) in (self.read..).zip(self.bytes.as_chunks().0) {
            let block = parse_block(id, number, bytes).ok_or(self.run.damaged())?;
            records.extend((0..BLOCK_RECORDS).filter_map(|position| block.record(position)));
        }
        // The rest of the last block is empty.
        records.truncate(usize::try_from(unread).unwrap_or(usize::MAX));
        self.read += length(blocks);
        Ok(records)
    }
}

/// A run in the making.
pub(super) struct RunWriter {
    folder: Arc<dyn Folder>,
    file: Box<dyn NewFile>,
    /// Count and digest come last.
    entry: RunEntry,
    fingerprints: FingerprintsBuilder,
    last: Option<DedupKey>,
    in_block: Vec<Record>,
    blocks: u64,
    unwritten: Vec<u8>,
    unsynced: u32,
}

impl RunWriter {
    /// Begins a run of at most `most` keys.
    pub(super) fn create(
        folder: &Arc<dyn Folder>,
        id: u64,
        level: u8,
        range: std::ops::Range<u64>,
        most: u32,
    ) -> Result<Self, KeyIndexError> {
        let file = folder
            .create(&staged_name(id))
            .map_err(|error| failed(id, error))?;
        Ok(Self {
            folder: Arc::clone(folder),
            file,
            entry: RunEntry {
                id,
                level,
                from: range.start,
                to: range.end,
                count: 0,
                digest: [0; 32],
            },
            fingerprints: Fingerprints::builder(most),
            last: None,
            in_block: Vec::with_capacity(BLOCK_RECORDS),
            blocks: 0,
            unwritten: Vec::with_capacity(WRITE),
            unsynced: 0,
        })
    }

    /// The next record: keys ascend.
    pub(super) fn add(&mut self, record: Record) -> Result<(), KeyIndexError> {
        if self.last.is_some_and(|last| last >= record.key) {
            return Err(KeyIndexError::OutOfOrder { run: self.entry.id });
        }
        if self.entry.count >= MAX_RUN_KEYS {
            return Err(KeyIndexError::TooLarge { run: self.entry.id });
        }
        self.last = Some(record.key);
        self.fingerprints.add(&record.key);
        self.entry.count += 1;
        self.in_block.push(record);
        if self.in_block.len() == BLOCK_RECORDS {
            self.end_block()?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), KeyIndexError> {
        append_block(
            &mut self.unwritten,
            self.entry.id,
            self.blocks,
            &self.in_block,
        );
        self.in_block.clear();
        self.blocks += 1;
        if self.unwritten.len() >= WRITE {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), KeyIndexError> {
        let id = self.entry.id;
        let written = self.file.append(&self.unwritten);
        written.map_err(|error| failed(id, error))?;
        self.unwritten.clear();
        self.unsynced += 1;
        if self.unsynced >= WRITES_PER_SYNC {
            self.unsynced = 0;
            self.file.sync().map_err(|error| failed(id, error))?;
        }
        Ok(())
    }

    /// Makes it durable under its name. Until a commit names it, it is not part of the ledger.
    pub(super) fn finish(mut self) -> Result<Run, KeyIndexError> {
        if !self.in_block.is_empty() {
            self.end_block()?;
        }
        self.write()?;
        let mut entry = self.entry;
        let id = entry.id;
        let io = |error| failed(id, error);
        let fingerprints = self.fingerprints.finish();
        let mut hasher = Hasher::new(HashAlgorithm::Sha256);
        let mut write = |piece: &[u8]| {
            hasher.update(piece);
            self.file.append(piece).map_err(io)
        };
        fingerprints.encode(&mut write)?;
        write(&trailer(&entry))?;
        entry.digest = digest(hasher);
        self.file.sync().map_err(io)?;
        drop(self.file);
        let name = file_name(id);
        self.folder.rename(&staged_name(id), &name).map_err(io)?;
        let opened = self.folder.sync().and_then(|()| self.folder.open(&name));
        let file = opened.map_err(|error| {
            // It has its name, and no commit will ever name it: it is only in the way of others. If
            // it stays, the next start removes it.
            if let Err(error) = self.folder.remove(&name) {
                tracing::warn!(%error, "a file of keys was not removed");
            }
            io(error)
        })?;
        Ok(Run {
            entry,
            fingerprints,
            file,
        })
    }
}

/// What ends the file of a run.
fn trailer(entry: &RunEntry) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for number in [entry.id, entry.from, entry.to, u64::from(entry.count)] {
        bytes.extend(number.to_be_bytes());
    }
    bytes
}

fn digest(hasher: Hasher) -> [u8; 32] {
    let digest = hasher.finish();
    // a SHA-256 has 32 bytes
    digest.as_bytes().try_into().unwrap_or_default()
}

/// The block of a record, and its position in it.
fn place(at: u32) -> (u64, usize) {
    let at = u64::from(at);
    let position = usize::try_from(at % length(BLOCK_RECORDS)).unwrap_or(0);
    (at / length(BLOCK_RECORDS), position)
}

fn blocks_length(count: u32) -> u64 {
    u64::from(count).div_ceil(length(BLOCK_RECORDS)) * length(BLOCK)
}

fn length(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Directory;

    fn folder() -> (tempfile::TempDir, Arc<dyn Folder>) {
        let outer = tempfile::tempdir().unwrap();
        let folder = Directory::open(&outer.path().join("keys")).unwrap();
        (outer, Arc::new(folder))
    }

    fn record(n: u64) -> Record {
        let mut key = [9; 32];
        key[..8].copy_from_slice(&(n << 40).to_be_bytes());
        Record {
            key,
            index: 9000 - n,
        }
    }

    fn written(folder: &Arc<dyn Folder>, count: u32) -> Run {
        let mut writer = RunWriter::create(folder, 7, 2, 10..2000, count).unwrap();
        for n in 0..u64::from(count) {
            writer.add(record(n)).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn runs_survive_a_round_trip() {
        for count in [0, 1, 101, 102, 103, 5000] {
            let (_outer, folder) = folder();
            let entry = written(&folder, count).entry;
            assert_eq!(folder.names().unwrap(), [file_name(7)]);
            let run = Arc::new(Run::open(&*folder, entry).unwrap());
            for n in 0..u64::from(count) {
                assert_eq!(run.find(&record(n).key).unwrap(), Some(9000 - n));
            }
            assert_eq!(run.find(&record(u64::from(count)).key).unwrap(), None);
            assert_eq!(run.find(&[0; 32]).unwrap(), None);
            let mut reader = RunReader::new(run);
            for n in 0..u64::from(count) {
                assert_eq!(reader.next().unwrap(), Some(record(n)));
            }
            assert_eq!(reader.next().unwrap(), None);
        }
    }

    #[test]
    fn the_file_of_another_run_is_damaged() {
        let (_outer, folder) = folder();
        let entry = written(&folder, 500).entry;
        let check = |change: fn(&mut RunEntry)| {
            let mut other = entry.clone();
            change(&mut other);
            let opened = Run::open(&*folder, other);
            assert!(matches!(opened, Err(KeyIndexError::DamagedRun { .. })));
        };
        check(|entry| entry.to += 1);
        check(|entry| entry.from += 1);
        check(|entry| entry.count += 1);
        check(|entry| entry.count = 0);
        check(|entry| entry.digest[0] ^= 1);
    }

    #[test]
    fn out_of_order() {
        let (_outer, folder) = folder();
        let mut writer = RunWriter::create(&folder, 7, 2, 0..9, 10).unwrap();
        writer.add(record(3)).unwrap();
        for n in [3, 2] {
            let added = writer.add(record(n));
            assert!(matches!(added, Err(KeyIndexError::OutOfOrder { run: 7 })));
        }
    }

    #[test]
    fn too_large() {
        let (_outer, folder) = folder();
        let mut writer = RunWriter::create(&folder, 7, 2, 0..9, 10).unwrap();
        writer.entry.count = MAX_RUN_KEYS - 1;
        writer.add(record(1)).unwrap();
        let added = writer.add(record(2));
        assert!(matches!(added, Err(KeyIndexError::TooLarge { run: 7 })));
    }
}

//! A disk in memory that can stop at any operation, and forgets what was not synced.
//!
//! After a crash, of every write since the last sync of its file it is a matter of chance whether it
//! is there; so is the rest of a file that grows; so are the names since the last sync of the folder,
//! all of them or none.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::folder::{Folder, NewFile, StoredFile};

/// xorshift64*: the same on every machine.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    fn flip(&mut self) -> bool {
        self.below(2) == 0
    }
}

#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Clone, Default)]
struct State {
    operations: u64,
    fault: Option<Fault>,
    database: Vec<u8>,
    unsynced: Vec<Write>,
    files: BTreeMap<String, u64>,
    synced_files: BTreeMap<String, u64>,
    contents: Vec<Content>,
}

/// What goes wrong, and at which operation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// Nothing is done from then on.
    Stop(u64),
    /// One operation on the folder's files fails.
    Once(u64),
    /// The folder's files cannot grow.
    Full,
    /// The folder's names cannot be made durable.
    Names,
}

#[derive(Debug, Clone)]
enum Write {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

#[derive(Debug, Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: usize,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    pub(super) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// What is left after a crash.
    pub(super) fn crashed(&self, chance: &mut Chance) -> Self {
        let mut state = self.state().clone();
        state.fault = None;
        // What is synced is in `database` from the last sync on: begin from there.
        for write in std::mem::take(&mut state.unsynced) {
            if chance.flip() {
                apply(&mut state.database, &write);
            }
        }
        if chance.flip() {
            state.files = state.synced_files.clone();
        }
        state.synced_files = state.files.clone();
        for content in &mut state.contents {
            let unsynced = content.bytes.len() - content.synced;
            let kept = chance.below(u64::try_from(unsynced).unwrap() + 1);
            content
                .bytes
                .truncate(content.synced + usize::try_from(kept).unwrap());
            content.synced = content.bytes.len();
        }
        Self(Arc::new(Mutex::new(state)))
    }

    /// Flips a bit of a file.
    pub(super) fn damage(&self, name: &str, chance: &mut Chance) {
        let mut state = self.state();
        let id = usize::try_from(state.files[name]).unwrap();
        let bytes = &mut state.contents[id].bytes;
        let at = chance.below(u64::try_from(bytes.len()).unwrap());
        bytes[usize::try_from(at).unwrap()] ^= 1 << chance.below(8);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn operation(&self, is_file: bool) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.operations += 1;
        match state.fault {
            Some(Fault::Stop(at)) if state.operations >= at => Err(io::Error::other("stopped")),
            Some(Fault::Once(at)) if is_file && state.operations >= at => {
                state.fault = None;
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(state),
        }
    }
}

fn apply(database: &mut Vec<u8>, write: &Write) {
    match write {
        Write::Length(length) => database.resize(*length, 0),
        Write::Bytes(at, bytes) => {
            let end = at + bytes.len();
            // The file may be shorter, if that it grew was forgotten.
            if database.len() < end {
                database.resize(end, 0);
            }
            database[*at..end].copy_from_slice(bytes);
        }
    }
}

impl State {
    /// The database as the process sees it.
    fn seen(&self) -> Vec<u8> {
        let mut seen = self.database.clone();
        self.unsynced
            .iter()
            .for_each(|write| apply(&mut seen, write));
        seen
    }
}

fn place(at: u64) -> usize {
    usize::try_from(at).unwrap()
}

/// The database's file: what is seen is kept beside, so that reads are cheap.
#[derive(Debug)]
pub(super) struct Backend {
    disk: Disk,
    seen: Mutex<Vec<u8>>,
}

impl Backend {
    pub(super) fn new(disk: &Disk) -> Self {
        let seen = Mutex::new(disk.state().seen());
        Self {
            disk: disk.clone(),
            seen,
        }
    }

    fn write_now(&self, write: Write) -> io::Result<()> {
        let mut state = self.disk.operation(false)?;
        apply(&mut self.seen.lock().unwrap(), &write);
        state.unsynced.push(write);
        Ok(())
    }
}

impl redb::StorageBackend for Backend {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(u64::try_from(self.seen.lock().unwrap().len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let seen = self.seen.lock().unwrap();
        let bytes = seen.get(place(offset)..place(offset) + out.len());
        let bytes = bytes.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.write_now(Write::Length(place(len)))
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        let mut state = self.disk.operation(false)?;
        for write in std::mem::take(&mut state.unsynced) {
            apply(&mut state.database, &write);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.write_now(Write::Bytes(place(offset), data.to_vec()))
    }
}

impl Folder for Disk {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.operation(true)?.files.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn NewFile>> {
        let mut state = self.operation(true)?;
        let id = u64::try_from(state.contents.len()).unwrap();
        state.contents.push(Content::default());
        assert!(state.files.insert(name.to_owned(), id).is_none(), "{name}");
        Ok(Box::new(OpenFile(self.clone(), place(id))))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let state = self.operation(true)?;
        let id = state.files.get(name).copied();
        let id = id.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Box::new(OpenFile(self.clone(), place(id))))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.operation(true)?;
        let id = state.files.remove(from).unwrap();
        state.files.insert(to.to_owned(), id);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.operation(true)?.files.remove(name).unwrap();
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.operation(true)?;
        if matches!(state.fault, Some(Fault::Names)) {
            return Err(io::Error::other("not synced"));
        }
        state.synced_files = state.files.clone();
        Ok(())
    }
}

#[derive(Debug)]
struct OpenFile(Disk, usize);

impl NewFile for OpenFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.operation(true)?;
        if matches!(state.fault, Some(Fault::Full)) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.contents[self.1].bytes.extend(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.0.operation(true)?;
        let content = &mut state.contents[self.1];
        content.synced = content.bytes.len();
        Ok(())
    }
}

impl StoredFile for OpenFile {
    fn length(&self) -> io::Result<u64> {
        let state = self.0.operation(true)?;
        Ok(u64::try_from(state.contents[self.1].bytes.len()).unwrap())
    }

    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.0.operation(true)?;
        let bytes = &state.contents[self.1].bytes;
        let bytes = bytes.get(place(offset)..place(offset) + into.len());
        into.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

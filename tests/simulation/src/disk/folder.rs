//! The flat folder of the ledger's keys.

use std::io;
use std::sync::Arc;

use waxseal_store_embedded::{Folder, NewFile, StoredFile};

use super::{Disk, Node, missing};

/// One folder of a disk.
#[derive(Debug)]
pub struct DiskFolder {
    disk: Disk,
    path: &'static str,
}

impl DiskFolder {
    /// Opens a folder, and makes it, durable, if it is not there.
    ///
    /// # Errors
    /// The disk is down.
    pub fn open(disk: &Disk, path: &'static str) -> io::Result<Self> {
        let is_there = disk.look(|state| Ok(state.names.contains_key(path)))?;
        if !is_there {
            disk.change(|state| {
                state.names.insert(path.to_owned(), Node::Folder);
                state.sync_names("");
                Ok(())
            })?;
        }
        let disk = disk.clone();
        Ok(Self { disk, path })
    }

    fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }
}

impl Folder for DiskFolder {
    fn names(&self) -> io::Result<Vec<String>> {
        let prefix = format!("{}/", self.path);
        self.disk.look(|state| {
            let names = state.names.keys();
            let names = names.filter_map(|name| name.strip_prefix(&prefix));
            Ok(names.map(str::to_owned).collect())
        })
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn NewFile>> {
        let file = self.disk.change(|state| state.make_file(&self.at(name)))?;
        let disk = self.disk.clone();
        Ok(Box::new(Making { disk, file }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let bytes = self.disk.look(|state| {
            let content = state.content(state.file(&self.at(name))?)?;
            Ok(Arc::clone(&content.current))
        })?;
        let disk = self.disk.clone();
        Ok(Box::new(Stored { disk, bytes }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.change(|state| {
            let node = state.names.remove(&self.at(from));
            let node = node.ok_or_else(|| missing(from))?;
            state.names.insert(self.at(to), node);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.change(|state| {
            let node = state.names.remove(&self.at(name));
            node.map(drop).ok_or_else(|| missing(name))
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.change(|state| {
            state.sync_names(self.path);
            Ok(())
        })
    }
}

struct Making {
    disk: Disk,
    file: u64,
}

impl NewFile for Making {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.change(|state| {
            let content = state.content_mut(self.file)?;
            content.write(content.current.len(), bytes);
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.change(|state| {
            state.content_mut(self.file)?.sync();
            Ok(())
        })
    }
}

/// A file stays readable when its name is gone, and never changes.
#[derive(Debug)]
struct Stored {
    disk: Disk,
    bytes: Arc<Vec<u8>>,
}

impl StoredFile for Stored {
    fn length(&self) -> io::Result<u64> {
        self.disk
            .look(|_| u64::try_from(self.bytes.len()).map_err(io::Error::other))
    }

    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.look(|_| {
            let start = usize::try_from(offset).map_err(io::Error::other)?;
            let bytes = self.bytes.get(start..start + into.len());
            into.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }
}

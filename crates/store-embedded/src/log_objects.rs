//! A log's objects in a directory, in the layout of C2SP tlog-tiles: any web server can serve it.
//!
//! A file is written under another name, synced, linked into its place (which fails if something is
//! there), and then its directory is synced: it is there whole, or not at all.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use waxseal_crypto::BoxFuture;
use waxseal_log_server::{ObjectName, Objects, ObjectsError, TilePath};

use crate::file_tree::{DirectoryTree, FileTree, parent};

/// Where files are written before they are linked; a leading dot keeps web servers out.
const STAGING: &str = ".staging";

/// Folders that are remembered as durable. More than one log writes to at a time; a new one costs two
/// syncs.
const MAX_KNOWN: usize = 1024;

/// A log's objects below one directory.
#[derive(Debug)]
pub struct LogObjects {
    tree: Arc<dyn FileTree>,
    staged: AtomicU64,
    /// Folders that are durable up to the root. That one is there says nothing: whoever made it may
    /// have crashed, or failed, before it was synced.
    known: Mutex<BTreeSet<String>>,
}

impl LogObjects {
    /// Opens the directory, and makes it if it is not there. Files that a crash left behind in the
    /// making are removed.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(root: &Path) -> io::Result<Self> {
        Self::with_tree(Arc::new(DirectoryTree::open(root)?))
    }

    /// The same over any tree of files: what a test of crashes puts its faults in.
    ///
    /// # Errors
    /// What a crash left behind cannot be removed.
    pub fn with_tree(tree: Arc<dyn FileTree>) -> io::Result<Self> {
        tree.remove_folder(STAGING)?;
        tree.make_folder(STAGING)?;
        tree.sync_folder("")?;
        Ok(Self {
            tree,
            staged: AtomicU64::new(0),
            known: Mutex::default(),
        })
    }

    fn read_now(&self, name: ObjectName) -> io::Result<Option<Vec<u8>>> {
        // The name is made of numbers and hashes only: it cannot lead out of the directory.
        self.tree.read(&name.to_string())
    }

    fn create_now(&self, objects: &[(ObjectName, Vec<u8>)]) -> Result<(), ObjectsError> {
        let mut folders = BTreeSet::new();
        let mut new = BTreeSet::new();
        for (name, bytes) in objects {
            let failed = |error| failed(*name, error);
            let path = name.to_string();
            let folder = parent(&path);
            self.tree.make_folder(folder).map_err(failed)?;
            for folder in self.not_known(folder) {
                folders.insert(parent(folder).to_owned());
                new.insert(folder.to_owned());
            }
            let staged = self.stage(bytes).map_err(failed)?;
            let linked = self.tree.link(&staged, &path);
            // Whatever became of it: nothing else removes it before the next start.
            self.tree.remove(&staged).map_err(failed)?;
            match linked {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.expect_same(*name, bytes)?;
                }
                Err(error) => return Err(failed(error)),
            }
            folders.insert(folder.to_owned());
        }
        for folder in folders {
            self.tree
                .sync_folder(&folder)
                .map_err(|error| match objects.first() {
                    Some((name, _)) => failed(*name, error),
                    None => failed(ObjectName::Checkpoint, error),
                })?;
        }
        let mut known = self.known();
        if known.len() + new.len() > MAX_KNOWN {
            known.clear();
        }
        known.extend(new);
        Ok(())
    }

    /// A folder and those above it, as far as they are not known to be durable.
    fn not_known<'a>(&self, folder: &'a str) -> Vec<&'a str> {
        let known = self.known();
        let mut all = Vec::new();
        let mut next = folder;
        while !next.is_empty() && !known.contains(next) {
            all.push(next);
            next = parent(next);
        }
        all
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object is there already. Whoever wrote it may have crashed before it was synced.
    fn expect_same(&self, name: ObjectName, bytes: &[u8]) -> Result<(), ObjectsError> {
        let found = self.read_now(name).map_err(|error| failed(name, error))?;
        if found.as_deref() != Some(bytes) {
            return Err(ObjectsError::Conflict { name });
        }
        let synced = self.tree.sync_file(&name.to_string());
        synced.map_err(|error| failed(name, error))
    }

    /// A synced file with these bytes, under a name that nothing else has.
    fn stage(&self, bytes: &[u8]) -> io::Result<String> {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        let path = format!("{STAGING}/{number}");
        let written = self.tree.write_new(&path, bytes);
        match written.and_then(|()| self.tree.sync_file(&path)) {
            Ok(()) => Ok(path),
            Err(error) => Err(self.unstaged(&path, error)),
        }
    }

    /// A disk that is full would fill up with what is tried again every second.
    fn unstaged(&self, staged: &str, error: io::Error) -> io::Error {
        // It may not be there at all; what is left is removed at the next start.
        let _ = self.tree.remove(staged);
        error
    }

    fn replace_now(&self, old: Option<&[u8]>, new: &[u8]) -> Result<(), ObjectsError> {
        let name = ObjectName::Checkpoint;
        let failed = |error| failed(name, error);
        if self.read_now(name).map_err(failed)?.as_deref() != old {
            return Err(ObjectsError::Conflict { name });
        }
        let staged = self.stage(new).map_err(failed)?;
        let renamed = self.tree.rename(&staged, &name.to_string());
        renamed.map_err(|error| failed(self.unstaged(&staged, error)))?;
        self.tree.sync_folder("").map_err(failed)
    }

    fn discard_now(&self, full: TilePath) -> io::Result<()> {
        let folder = format!("{full}.p");
        self.known().remove(&folder);
        self.tree.remove_folder(&folder)
    }
}

impl Objects for LogObjects {
    fn read(&self, name: ObjectName) -> BoxFuture<'_, Result<Option<Vec<u8>>, ObjectsError>> {
        Box::pin(async move { self.read_now(name).map_err(|error| failed(name, error)) })
    }

    fn create(
        &self,
        objects: Vec<(ObjectName, Vec<u8>)>,
    ) -> BoxFuture<'_, Result<(), ObjectsError>> {
        Box::pin(async move { self.create_now(&objects) })
    }

    fn replace_checkpoint<'a>(
        &'a self,
        old: Option<&'a [u8]>,
        new: &'a [u8],
    ) -> BoxFuture<'a, Result<(), ObjectsError>> {
        Box::pin(async move { self.replace_now(old, new) })
    }

    fn discard_partials(&self, full: TilePath) -> BoxFuture<'_, Result<(), ObjectsError>> {
        let name = ObjectName::Tile(full);
        Box::pin(async move { self.discard_now(full).map_err(|error| failed(name, error)) })
    }
}

fn failed(name: ObjectName, error: io::Error) -> ObjectsError {
    ObjectsError::failed(name, error)
}

#[cfg(test)]
mod tests;

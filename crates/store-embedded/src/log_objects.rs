//! A log's objects in a directory, in the layout of C2SP tlog-tiles: any web server can serve it.
//!
//! A file is written under another name, synced, linked into its place (which fails if something is
//! there), and then its directory is synced: it is there whole, or not at all.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use waxseal_crypto::BoxFuture;
use waxseal_log_server::{ObjectName, Objects, ObjectsError, TilePath};

/// Where files are written before they are linked; a leading dot keeps web servers out.
const STAGING: &str = ".staging";

/// A log's objects below one directory.
#[derive(Debug)]
pub struct LogObjects {
    root: PathBuf,
    staged: AtomicU64,
}

impl LogObjects {
    /// Opens the directory, and makes it if it is not there. Files that a crash left behind in the
    /// making are removed.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(root: &Path) -> io::Result<Self> {
        let staging = root.join(STAGING);
        if staging.exists() {
            fs::remove_dir_all(&staging)?;
        }
        fs::create_dir_all(&staging)?;
        sync(root)?;
        if let Some(parent) = root
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            sync(parent)?;
        }
        Ok(Self {
            root: root.to_owned(),
            staged: AtomicU64::new(0),
        })
    }

    /// The name is made of numbers and hashes only: it cannot lead out of the directory.
    fn path(&self, name: ObjectName) -> PathBuf {
        self.root.join(name.to_string())
    }

    fn read_now(&self, name: ObjectName) -> io::Result<Option<Vec<u8>>> {
        let path = self.path(name);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => fs::read(&path).map(Some),
            Ok(_) => Err(io::Error::other("not a regular file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create_now(&self, objects: &[(ObjectName, Vec<u8>)]) -> Result<(), ObjectsError> {
        let mut folders = BTreeSet::new();
        for (name, bytes) in objects {
            let failed = |error| failed(*name, error);
            let path = self.path(*name);
            let folder = self.make_folder(&path, &mut folders).map_err(failed)?;
            let staged = self.stage(bytes).map_err(failed)?;
            let linked = fs::hard_link(&staged, &path);
            fs::remove_file(&staged).map_err(failed)?;
            match linked {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.expect_same(*name, bytes)?;
                }
                Err(error) => return Err(failed(error)),
            }
            folders.insert(folder);
        }
        for folder in folders {
            sync(&folder).map_err(|error| match objects.first() {
                Some((name, _)) => failed(*name, error),
                None => failed(ObjectName::Checkpoint, error),
            })?;
        }
        Ok(())
    }

    /// The object is there already. Whoever wrote it may have crashed before it was synced.
    fn expect_same(&self, name: ObjectName, bytes: &[u8]) -> Result<(), ObjectsError> {
        let found = self.read_now(name).map_err(|error| failed(name, error))?;
        if found.as_deref() != Some(bytes) {
            return Err(ObjectsError::Conflict { name });
        }
        sync(&self.path(name)).map_err(|error| failed(name, error))
    }

    /// Makes the folders above a file; those in which one was made are to be synced.
    fn make_folder(&self, path: &Path, to_sync: &mut BTreeSet<PathBuf>) -> io::Result<PathBuf> {
        let folder = path.parent().unwrap_or(&self.root).to_owned();
        let mut missing = folder.as_path();
        while !missing.exists() {
            let Some(above) = missing.parent() else { break };
            to_sync.insert(above.to_owned());
            missing = above;
        }
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// A synced file with these bytes, under a name that nothing else has.
    fn stage(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(STAGING).join(number.to_string());
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let mut file = options.open(&path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(path)
    }

    fn replace_now(&self, old: Option<&[u8]>, new: &[u8]) -> Result<(), ObjectsError> {
        let name = ObjectName::Checkpoint;
        let failed = |error| failed(name, error);
        if self.read_now(name).map_err(failed)?.as_deref() != old {
            return Err(ObjectsError::Conflict { name });
        }
        let staged = self.stage(new).map_err(failed)?;
        fs::rename(&staged, self.path(name)).map_err(failed)?;
        sync(&self.root).map_err(failed)
    }

    fn discard_now(&self, full: TilePath) -> io::Result<()> {
        match fs::remove_dir_all(self.root.join(format!("{full}.p"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
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

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn failed(name: ObjectName, error: io::Error) -> ObjectsError {
    ObjectsError::failed(name, error)
}

#[cfg(test)]
mod tests;

//! A tree of files, as far as objects need a file system: the seam where faults are put in.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::folder::sync_directory;

/// Folders and files below one root. Paths are relative to it and separated by `/`; the root is `""`.
///
/// **Durability.** The bytes of a file are durable once [`sync_file`](Self::sync_file) has returned;
/// a name in a folder once [`sync_folder`](Self::sync_folder) of that folder has. Before, a crash
/// may leave either.
///
/// **Consistency.** A link fails where something is in its place; a rename replaces atomically.
///
/// **Trust.** Paths are made by the store, of digits, letters, dots and slashes only.
pub trait FileTree: Debug + Send + Sync {
    /// The bytes of a regular file, if it is there.
    ///
    /// # Errors
    /// It is something else, or cannot be read.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;

    /// Makes a file with these bytes; its name must not be taken.
    ///
    /// # Errors
    /// The name is taken, or not all could be written.
    fn write_new(&self, path: &str, bytes: &[u8]) -> io::Result<()>;

    /// Gives a file a second name.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`], or it cannot be done.
    fn link(&self, from: &str, to: &str) -> io::Result<()>;

    /// Moves a file, over one that is there.
    ///
    /// # Errors
    /// It cannot be done.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// It is not there, or cannot be removed.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Makes a folder and those above it that are missing.
    ///
    /// # Errors
    /// One cannot be made.
    fn make_folder(&self, path: &str) -> io::Result<()>;

    /// Removes a folder with all that is in it, if it is there.
    ///
    /// # Errors
    /// Something is left.
    fn remove_folder(&self, path: &str) -> io::Result<()>;

    /// Makes the bytes of a file durable.
    ///
    /// # Errors
    /// It is unknown whether they are.
    fn sync_file(&self, path: &str) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// It is unknown whether they are.
    fn sync_folder(&self, path: &str) -> io::Result<()>;
}

/// The folder that a path lies in.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// A directory of the file system. What it makes, others may read: a log is public.
#[derive(Debug)]
pub(crate) struct DirectoryTree {
    root: PathBuf,
}

impl DirectoryTree {
    /// Opens a directory, and makes it if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let above = root.parent().filter(|path| !path.as_os_str().is_empty());
        if let Some(above) = above {
            sync_directory(above)?;
        }
        let root = root.to_owned();
        Ok(Self { root })
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

impl FileTree for DirectoryTree {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.at(path);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => fs::read(&path).map(Some),
            Ok(_) => Err(io::Error::other("not a regular file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write_new(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        options.open(self.at(path))?.write_all(bytes)
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        fs::hard_link(self.at(from), self.at(to))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        fs::create_dir_all(self.at(path))
    }

    fn remove_folder(&self, path: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.at(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn sync_file(&self, path: &str) -> io::Result<()> {
        File::open(self.at(path))?.sync_all()
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        sync_directory(&self.at(path))
    }
}

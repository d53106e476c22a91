//! A flat folder of files, as far as a store needs a file system: the seam where faults are put in.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::file::{OpenError, check_private, private};

/// One folder of files that are written once, from the beginning to the end, and then only read.
///
/// **Durability.** What was appended to a file is durable once [`NewFile::sync`] has returned. A
/// name that was made, changed or removed is durable once [`sync`](Self::sync) of the folder has;
/// before, a crash may leave either.
///
/// **Consistency.** A rename replaces atomically. A file that was opened can be read until it is
/// dropped, whatever becomes of its name.
///
/// **Trust.** Names are made by the store, of digits, letters and dots only.
pub trait Folder: Debug + Send + Sync {
    /// The names of all files.
    ///
    /// # Errors
    /// The folder cannot be read.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes an empty file; its name must not be taken.
    ///
    /// # Errors
    /// The name is taken, or the file cannot be made.
    fn create(&self, name: &str) -> io::Result<Box<dyn NewFile>>;

    /// Opens a file to read.
    ///
    /// # Errors
    /// It is not there, or cannot be opened.
    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>>;

    /// Gives a file another name.
    ///
    /// # Errors
    /// It is not there, or cannot be renamed.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// It is not there, or cannot be removed.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names durable.
    ///
    /// # Errors
    /// It is unknown whether they are.
    fn sync(&self) -> io::Result<()>;
}

/// A file in the making.
pub trait NewFile: Send {
    /// Writes at its end.
    ///
    /// # Errors
    /// Some of the bytes may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes its bytes durable.
    ///
    /// # Errors
    /// It is unknown whether they are; the file must not be used.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file that is read.
pub trait StoredFile: Debug + Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// It cannot be told.
    fn length(&self) -> io::Result<u64>;

    /// Reads as many bytes as `into` holds.
    ///
    /// # Errors
    /// They are not all there, or cannot be read.
    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()>;
}

/// A directory of the file system, with mode 0700, and files with mode 0600.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Opens a directory, and makes it if it is not there.
    ///
    /// # Errors
    /// [`OpenError`]: it is a symbolic link, open to others, or cannot be made.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        if fs::symlink_metadata(path).is_err() {
            make_private(path).map_err(io)?;
            if let Some(parent) = path.parent().filter(|path| !path.as_os_str().is_empty()) {
                sync_directory(parent).map_err(io)?;
            }
        }
        check_private(path)?;
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl Folder for Directory {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is not Unicode is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn NewFile>> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        private(&mut options);
        Ok(Box::new(options.open(self.path.join(name))?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let path = self.path.join(name);
        if !fs::symlink_metadata(&path)?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(Box::new(ReadFile(File::open(path)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        sync_directory(&self.path)
    }
}

impl NewFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

#[derive(Debug)]
struct ReadFile(File);

impl StoredFile for ReadFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, into, offset)
    }

    #[cfg(windows)]
    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        use std::os::windows::fs::FileExt as _;
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset + u64::try_from(done).map_err(io::Error::other)?;
            match self.0.seek_read(rest, at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => done += count,
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn make_private(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Makes the names in a directory durable.
#[cfg(unix)]
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Elsewhere a directory cannot be opened as a file; its names are durable by themselves.
#[cfg(not(unix))]
pub(crate) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_renamed_read_and_removed() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("keys");
        let folder = Directory::open(&path).unwrap();
        let mut file = folder.create("1.new").unwrap();
        file.append(b"some ").unwrap();
        file.append(b"bytes").unwrap();
        file.sync().unwrap();
        drop(file);
        assert!(folder.create("1.new").is_err(), "its name is taken");
        folder.rename("1.new", "1.run").unwrap();
        folder.sync().unwrap();
        assert_eq!(folder.names().unwrap(), ["1.run"]);
        let stored = Directory::open(&path).unwrap().open("1.run").unwrap();
        folder.remove("1.run").unwrap();
        assert_eq!(stored.length().unwrap(), 10);
        let mut word = [0; 5];
        stored.read_exact_at(&mut word, 5).unwrap();
        assert_eq!(&word, b"bytes");
        assert!(stored.read_exact_at(&mut word, 6).is_err());
        assert!(folder.open("1.run").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn others_cannot_look_in() {
        use std::os::unix::fs::PermissionsExt as _;
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("keys");
        drop(Directory::open(&path).unwrap().create("1.run").unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("1.run")), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        let opened = Directory::open(&path);
        assert!(matches!(opened, Err(OpenError::OpenToOthers { .. })));
        let link = outer.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let opened = Directory::open(&link);
        assert!(matches!(opened, Err(OpenError::SymbolicLink { .. })));
    }
}

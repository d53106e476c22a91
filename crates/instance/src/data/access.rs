//! Whose a file is, and who may read it.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use super::DataError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
}

/// What is at a path, links not followed; `None` if nothing is.
pub(super) fn kind(path: &Path) -> Result<Option<Metadata>, DataError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DataError::io("look at", path)(error)),
    }
}

/// Refuses a path that is a link, of another kind, somebody else's, or open to others.
pub(super) fn check(path: &Path, expected: Kind) -> Result<(), DataError> {
    let metadata = fs::symlink_metadata(path).map_err(DataError::io("look at", path))?;
    judge(path, &metadata, expected, true)
}

/// The same for a file that is open: nothing can be exchanged any more.
pub(super) fn check_open(path: &Path, file: &File, secret: bool) -> Result<(), DataError> {
    let metadata = file.metadata().map_err(DataError::io("look at", path))?;
    judge(path, &metadata, Kind::File, secret)
}

fn judge(path: &Path, metadata: &Metadata, expected: Kind, secret: bool) -> Result<(), DataError> {
    if metadata.file_type().is_symlink() {
        return Err(DataError::Symlink {
            path: path.to_owned(),
        });
    }
    let (fits, expected) = match expected {
        Kind::Directory => (metadata.is_dir(), "directory"),
        Kind::File => (metadata.is_file(), "regular file"),
    };
    if !fits {
        return Err(DataError::WrongKind {
            path: path.to_owned(),
            expected,
        });
    }
    owned(path, metadata, secret)
}

#[cfg(unix)]
fn owned(path: &Path, metadata: &Metadata, secret: bool) -> Result<(), DataError> {
    use std::os::unix::fs::MetadataExt as _;

    judge_owner(
        path,
        (metadata.uid(), metadata.mode()),
        rustix::process::geteuid().as_raw(),
        secret,
    )
}

/// Where there are no owners and modes in this sense, the directory's own rights must do.
#[cfg(not(unix))]
fn owned(_path: &Path, _metadata: &Metadata, _secret: bool) -> Result<(), DataError> {
    Ok(())
}

#[cfg(unix)]
pub(super) fn judge_owner(
    path: &Path,
    (owner, mode): (u32, u32),
    user: u32,
    secret: bool,
) -> Result<(), DataError> {
    if owner != user {
        return Err(DataError::ForeignOwner {
            path: path.to_owned(),
            owner,
            user,
        });
    }
    // Others may read what is not secret; nobody else may ever write.
    let closed = if secret { 0o077 } else { 0o022 };
    if mode & closed != 0 {
        return Err(DataError::OpenToOthers {
            path: path.to_owned(),
            mode: mode & 0o7777,
        });
    }
    Ok(())
}

/// Opens a file for reading without following a link or waiting at a pipe.
pub(super) fn open(path: &Path) -> Result<Option<File>, DataError> {
    let mut options = OpenOptions::new();
    options.read(true);
    cautious(&mut options);
    match options.open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refused("open", path, error)),
    }
}

/// Opens the lock file, which is made if it is not there.
pub(super) fn open_lock(path: &Path) -> Result<File, DataError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    cautious(&mut options);
    private(&mut options);
    options
        .open(path)
        .map_err(|error| refused("open", path, error))
}

/// Makes a file that is not there, for its owner alone, or for all to read.
pub(super) fn create(path: &Path, secret: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    if secret {
        private(&mut options);
    }
    options.open(path)
}

fn refused(action: &'static str, path: &Path, error: io::Error) -> DataError {
    // The system says "too many levels of links" for the one that was not followed.
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_symlink()) {
        return DataError::Symlink {
            path: path.to_owned(),
        };
    }
    DataError::io(action, path)(error)
}

#[cfg(unix)]
fn cautious(options: &mut OpenOptions) {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt as _;

    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    // The bits are those of the C library, where flags are an int.
    options.custom_flags(i32::from_ne_bytes(flags.bits().to_ne_bytes()));
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn cautious(_options: &mut OpenOptions) {}

#[cfg(not(unix))]
fn private(_options: &mut OpenOptions) {}

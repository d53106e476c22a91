//! Files that belong to this process alone: made with mode 0600, refused if others could read or
//! swap them.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database};

use crate::folder::sync_directory;
use crate::log_ledger::LedgerOpenError;

/// Pages that redb keeps in memory. Its default of 1 GiB is more than a server of ours may use, and
/// slower: fresh pages have to be zeroed. What is in these files is written once and read once, soon
/// after; what falls out of here is in the system's cache.
const CACHE_BYTES: usize = 8 << 20;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A symbolic link could point anywhere by the time it is followed.
    #[error("{} is a symbolic link", path.display())]
    SymbolicLink {
        /// The file.
        path: PathBuf,
    },
    /// Group or others may read or write it.
    #[error("{} may be read or written by others; chmod 600 it", path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be opened or made.
    #[error("{} cannot be opened", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process holds it.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is not one of our files, or damaged.
    #[error("{} is not a store, or is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::DatabaseError>,
    },
    /// Its file opens, but a log cannot be kept in it.
    #[error("the ledger {} cannot be used", path.display())]
    Ledger {
        /// The file.
        path: PathBuf,
        /// Why.
        source: LedgerOpenError,
    },
}

/// Opens or makes a redb file.
pub(crate) fn open_database(path: &Path) -> Result<Database, OpenError> {
    let named = || path.to_owned();
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        return Err(OpenError::SymbolicLink { path: named() });
    }
    let file = open_private(path).map_err(|source| OpenError::Io {
        path: named(),
        source,
    })?;
    check_private(path)?;
    // What is committed is not durable as long as the file's name is not (D1).
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        sync_directory(folder).map_err(|source| OpenError::Io {
            path: named(),
            source,
        })?;
    }
    let opened = FileBackend::new(file).and_then(open_backend);
    opened.map_err(|error| match error {
        redb::DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path: named() },
        error => OpenError::Damaged {
            path: named(),
            source: Box::new(error),
        },
    })
}

/// Opens or makes a database over any storage.
pub(crate) fn open_backend(
    backend: impl redb::StorageBackend,
) -> Result<Database, redb::DatabaseError> {
    Builder::new()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(backend)
}

/// A file or directory is no symbolic link, and not for others.
pub(crate) fn check_private(path: &Path) -> Result<(), OpenError> {
    let path = || path.to_owned();
    let found = std::fs::symlink_metadata(path()).map_err(|source| OpenError::Io {
        path: path(),
        source,
    })?;
    if found.is_symlink() {
        return Err(OpenError::SymbolicLink { path: path() });
    }
    if is_open_to_others(&found) {
        return Err(OpenError::OpenToOthers { path: path() });
    }
    Ok(())
}

fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    private(&mut options);
    options.open(path)
}

/// Files made with these options have mode 0600.
pub(crate) fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = options;
}

#[cfg(unix)]
pub(crate) fn is_open_to_others(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    found.mode() & 0o077 != 0
}

#[cfg(not(unix))]
const fn is_open_to_others(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn files_are_private() {
        let folder = folder();
        let path = folder.path().join("state.redb");
        drop(open_database(&path).unwrap());
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        drop(open_database(&path).unwrap());
    }

    #[test]
    fn open_to_others() {
        let folder = folder();
        let path = folder.path().join("state.redb");
        drop(open_database(&path).unwrap());
        for mode in [0o640, 0o604, 0o660, 0o601] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let error = open_database(&path).unwrap_err();
            assert!(matches!(error, OpenError::OpenToOthers { .. }), "{mode:o}");
        }
    }

    #[test]
    fn symbolic_link() {
        let folder = folder();
        let path = folder.path().join("state.redb");
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert!(matches!(
            open_database(&path),
            Err(OpenError::SymbolicLink { .. })
        ));
    }

    #[test]
    fn in_use() {
        let folder = folder();
        let path = folder.path().join("state.redb");
        let _held = open_database(&path).unwrap();
        assert!(matches!(open_database(&path), Err(OpenError::InUse { .. })));
    }

    #[test]
    fn damaged() {
        let folder = folder();
        let path = folder.path().join("state.redb");
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        private(&mut options);
        io::Write::write_all(&mut options.open(&path).unwrap(), &[7; 8192]).unwrap();
        assert!(matches!(
            open_database(&path),
            Err(OpenError::Damaged { .. })
        ));
    }

    #[test]
    fn io() {
        let folder = folder();
        let path = folder.path().join("missing").join("state.redb");
        assert!(matches!(open_database(&path), Err(OpenError::Io { .. })));
    }
}

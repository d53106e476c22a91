//! The broker's audit log in one file of JSON lines.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use waxseal_identity_server::{AuditError, AuditLog};

use crate::OpenError;
use crate::file::{is_open_to_others, private};

/// A file that is only ever appended to, with mode 0600.
///
/// It is opened anew for each line: whoever rotates it renames it, and the next line makes a new
/// one. Nobody has to be told, and no line is lost. Each line is one write, so that lines of two
/// processes do not run into one another.
pub struct AuditFile {
    path: PathBuf,
    turn: Mutex<()>,
}

impl AuditFile {
    /// The file, which is made if it is not there.
    ///
    /// # Errors
    /// [`OpenError`]: it is a link, open to others, or cannot be written.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let named = || path.to_owned();
        if std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
            return Err(OpenError::SymbolicLink { path: named() });
        }
        let io = |source| OpenError::Io {
            path: named(),
            source,
        };
        let file = appending(path).map_err(io)?;
        if is_open_to_others(&file.metadata().map_err(io)?) {
            return Err(OpenError::OpenToOthers { path: named() });
        }
        Ok(Self {
            path: named(),
            turn: Mutex::default(),
        })
    }
}

impl AuditLog for AuditFile {
    fn append(&self, line: &str) -> Result<(), AuditError> {
        let line = format!("{line}\n");
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let written = appending(&self.path).and_then(|mut file| file.write_all(line.as_bytes()));
        written.map_err(|error| AuditError(Box::new(error)))
    }
}

fn appending(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    private(&mut options);
    options.open(path)
}

impl fmt::Debug for AuditFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn lines_are_appended_and_survive_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let audit = AuditFile::open(&path).unwrap();
        audit.append("{1}").unwrap();
        audit.append("{2}").unwrap();
        let rotated = folder.path().join("audit.jsonl.1");
        std::fs::rename(&path, &rotated).unwrap();
        audit.append("{3}").unwrap();
        let again = AuditFile::open(&path).unwrap();
        again.append("{4}").unwrap();
        assert_eq!(std::fs::read_to_string(&rotated).unwrap(), "{1}\n{2}\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{3}\n{4}\n");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn many_threads_write_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let audit = AuditFile::open(&path).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let audit = &audit;
                let line = thread.to_string().repeat(100);
                scope.spawn(move || {
                    for _ in 0..50 {
                        audit.append(&line).unwrap();
                    }
                });
            }
        });
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 400);
        assert!(
            text.lines()
                .all(|line| { line.len() == 100 && line.chars().all(|c| line.starts_with(c)) })
        );
    }

    #[test]
    fn a_file_that_others_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        AuditFile::open(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let refused = AuditFile::open(&path);
        assert!(matches!(refused, Err(OpenError::OpenToOthers { .. })));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let refused = AuditFile::open(&link);
        assert!(matches!(refused, Err(OpenError::SymbolicLink { .. })));
    }

    #[test]
    fn a_folder_that_is_gone_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let audit = AuditFile::open(&path).unwrap();
        drop(folder);
        assert!(audit.append("{}").is_err());
        assert!(matches!(AuditFile::open(&path), Err(OpenError::Io { .. })));
    }
}

//! The broker's signing keys in one file.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use waxseal_crypto::BoxFuture;
use waxseal_identity_server::{KeyStore, StoreError};
use zeroize::Zeroizing;

use crate::OpenError;
use crate::file::{is_open_to_others, private};
use crate::folder::sync_directory;

/// Longest document that is read; a ring has some kilobytes.
const MAX_DOCUMENT: u64 = 1 << 20;

/// One file with mode 0600. A new document is written beside the old one, synced, and takes its
/// name; so the file is whole at any time.
pub struct IdentityKeys {
    path: PathBuf,
}

impl IdentityKeys {
    /// The file, which need not be there yet; its folder must be.
    ///
    /// # Errors
    /// [`OpenError`]: it is a link, or open to others.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let found = std::fs::symlink_metadata(path);
        if found.as_ref().is_ok_and(std::fs::Metadata::is_symlink) {
            let path = path.to_owned();
            return Err(OpenError::SymbolicLink { path });
        }
        let keys = Self {
            path: path.to_owned(),
        };
        if found.is_ok() {
            keys.file()?;
        }
        Ok(keys)
    }

    fn file(&self) -> Result<Option<File>, OpenError> {
        let io = |source| OpenError::Io {
            path: self.path.clone(),
            source,
        };
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(io)?,
        };
        if is_open_to_others(&file.metadata().map_err(io)?) {
            let path = self.path.clone();
            return Err(OpenError::OpenToOthers { path });
        }
        Ok(Some(file))
    }

    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let Some(file) = self.file().map_err(|error| StoreError(Box::new(error)))? else {
            return Ok(None);
        };
        let mut document = Zeroizing::new(Vec::new());
        let read = file.take(MAX_DOCUMENT).read_to_end(&mut document);
        read.map_err(failed)?;
        Ok(Some(document))
    }

    fn write(&self, document: &[u8]) -> io::Result<()> {
        let draft = self.draft();
        let mut options = OpenOptions::new();
        // `create_new` is O_EXCL: it follows no link and takes over no file.
        options.write(true).create_new(true);
        private(&mut options);
        let mut file = match options.open(&draft) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // A process that was killed left it: one process has the keys.
                std::fs::remove_file(&draft)?;
                options.open(&draft)?
            }
            opened => opened?,
        };
        file.write_all(document)?;
        file.sync_all()?;
        drop(file);
        // The commit point; durable when the folder is.
        std::fs::rename(&draft, &self.path)?;
        sync_folder(&self.path)
    }

    fn draft(&self) -> PathBuf {
        let mut name = std::ffi::OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(".draft");
        self.path.with_file_name(name)
    }
}

/// Makes the name of a file durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    sync_directory(folder.unwrap_or(Path::new(".")))
}

impl KeyStore for IdentityKeys {
    fn load(&self) -> BoxFuture<'_, Result<Option<Zeroizing<Vec<u8>>>, StoreError>> {
        Box::pin(async move { self.read() })
    }

    fn save(&self, document: Zeroizing<Vec<u8>>) -> BoxFuture<'_, Result<(), StoreError>> {
        // Some kilobytes a few times a day: not worth a thread of its own.
        Box::pin(async move { self.write(&document).map_err(failed) })
    }
}

impl fmt::Debug for IdentityKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityKeys")
            .field("path", &self.path)
            .finish()
    }
}

fn failed(error: io::Error) -> StoreError {
    StoreError(Box::new(error))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn document(text: &str) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(text.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn the_last_document_is_there_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let keys = IdentityKeys::open(&path).unwrap();
        assert_eq!(keys.load().await.unwrap(), None);
        for text in ["first", "a longer second", "third"] {
            keys.save(document(text)).await.unwrap();
            let again = IdentityKeys::open(&path).unwrap();
            assert_eq!(again.load().await.unwrap(), Some(document(text)));
        }
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_draft_that_a_crash_left_is_in_nobody_s_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let keys = IdentityKeys::open(&path).unwrap();
        keys.save(document("old")).await.unwrap();
        std::fs::write(folder.path().join(".keys.json.draft"), "half").unwrap();
        assert_eq!(keys.load().await.unwrap(), Some(document("old")));
        keys.save(document("new")).await.unwrap();
        assert_eq!(keys.load().await.unwrap(), Some(document("new")));
    }

    #[tokio::test]
    async fn a_file_that_others_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let keys = IdentityKeys::open(&path).unwrap();
        keys.save(document("x")).await.unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(matches!(
            IdentityKeys::open(&path),
            Err(OpenError::OpenToOthers { .. })
        ));
        assert!(keys.load().await.is_err());
        let link = folder.path().join("link.json");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(
            IdentityKeys::open(&link),
            Err(OpenError::SymbolicLink { .. })
        ));
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let keys = IdentityKeys::open(&folder.path().join("gone/keys.json")).unwrap();
        assert_eq!(keys.load().await.unwrap(), None);
        assert!(keys.save(document("x")).await.is_err());
    }
}

//! Mail without a mail server: each message is a file that only its owner reads.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use waxseal_crypto::BoxFuture;
use waxseal_identity_server::{CodeMail, LoginCode, MailError, Mailer};

use crate::file::private;

/// Who the messages are from.
const FROM: &str = "waxseal@localhost";

/// Names that are tried before a message counts as undeliverable.
const NAMES: usize = 1000;

/// A message that lies in the outbox.
#[derive(Debug)]
#[non_exhaustive]
pub struct Delivered<'a> {
    /// Whose mailbox it would go to.
    pub to: &'a str,
    /// The code in it.
    pub code: &'a LoginCode,
    /// The file.
    pub path: &'a Path,
}

type Notify = Box<dyn Fn(&Delivered<'_>) + Send + Sync>;

/// A folder of `.eml` files (RFC 5322), each with mode 0600.
pub struct Outbox {
    folder: PathBuf,
    notify: Notify,
    next: AtomicU64,
}

impl Outbox {
    /// An outbox in a folder, which is made with mode 0700 if it is not there. After each message
    /// `notify` is told of it: a terminal shows the code, a test reads it.
    ///
    /// # Errors
    /// If the folder cannot be made, is none, or is open to others.
    pub fn new(
        folder: &Path,
        notify: impl Fn(&Delivered<'_>) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        make_private_folder(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            notify: Box::new(notify),
            next: AtomicU64::new(0),
        })
    }

    fn write(&self, mail: &CodeMail) -> Result<PathBuf, MailError> {
        let message = mail.encode(FROM)?;
        let mut options = OpenOptions::new();
        // `create_new` is O_EXCL: it follows no link and takes over no file.
        options.write(true).create_new(true);
        private(&mut options);
        for _ in 0..NAMES {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{number:04}.eml", mail.time.unix_seconds());
            let path = self.folder.join(name);
            match options.open(&path) {
                Ok(mut file) => {
                    file.write_all(&message).map_err(failed)?;
                    return Ok(path);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(failed(io::ErrorKind::AlreadyExists.into()))
    }
}

impl Mailer for Outbox {
    fn send(&self, mail: CodeMail) -> BoxFuture<'_, Result<(), MailError>> {
        Box::pin(async move {
            let path = self.write(&mail)?;
            (self.notify)(&Delivered {
                to: mail.to.as_str(),
                code: &mail.code,
                path: &path,
            });
            Ok(())
        })
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

fn failed(error: io::Error) -> MailError {
    MailError(Box::new(error))
}

fn make_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    match builder.create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = std::fs::symlink_metadata(folder)?;
    #[cfg(unix)]
    let open = {
        use std::os::unix::fs::MetadataExt as _;
        found.mode() & 0o077 != 0
    };
    #[cfg(not(unix))]
    let open = false;
    if !found.is_dir() || open {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_that_others_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox");
        Outbox::new(&path, |_| {}).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        Outbox::new(&path, |_| {}).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        assert!(Outbox::new(&path, |_| {}).is_err());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        assert!(Outbox::new(&link, |_| {}).is_err());
        assert!(Outbox::new(&folder.path().join("a/b"), |_| {}).is_err());
    }
}

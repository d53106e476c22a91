//! Where a log is read: a directory, or a URL.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use waxseal_tlog::{MAX_ENTRY_BYTES, TilePath};
use waxseal_transport::{Request, Retry, TransportError, Url, send_retrying};
use waxseal_transport_reqwest::ReqwestTransport;

use crate::outcome::{Class, Failure};

/// The largest data tile that is read: they hold certificates, and their chains' hashes.
const MAX_FILE: usize = 64 << 20;

/// The longest checkpoint with all its cosignatures, and the longest certificate.
const MAX_SMALL: usize = 1 << 20;

/// The longest file that is read ahead: a bundle has some 800 KiB. Longer ones are read when it is
/// their turn, one at a time: a log that lies is not to fill the memory with them.
const MAX_AHEAD: usize = 4 << 20;

/// The largest that a file of that name can be.
fn limit_of(name: &str) -> usize {
    match TilePath::parse(name) {
        // A little more than it can be: what is too long is told as malformed.
        Ok(TilePath::Tile(_)) => 16 << 10,
        Ok(TilePath::Entries { width, .. }) => usize::from(width) * (8 + MAX_ENTRY_BYTES),
        Ok(_) => MAX_FILE,
        Err(_) => MAX_SMALL,
    }
}

/// A log's files.
#[derive(Clone)]
pub(crate) enum Source {
    /// Below a directory.
    Directory(PathBuf),
    /// Below a URL that ends in a slash.
    Url(Url, Arc<ReqwestTransport>),
}

impl Source {
    /// What the argument names.
    ///
    /// # Errors
    /// [`Class::Usage`] for what is neither.
    pub(crate) fn parse(
        text: &str,
        transport: impl FnOnce() -> Result<ReqwestTransport, Failure>,
    ) -> Result<Self, Failure> {
        if !text.contains("://") {
            return Ok(Self::Directory(PathBuf::from(text)));
        }
        let base = format!("{}/", text.trim_end_matches('/'));
        let url: Url = base
            .parse()
            .map_err(|error| Failure::usage(format!("{text} is not a URL")).because(&error))?;
        Ok(Self::Url(url, Arc::new(transport()?)))
    }

    /// A file, if it is there.
    ///
    /// # Errors
    /// [`Class::Unavailable`] if that cannot be told.
    pub(crate) async fn read(&self, name: String) -> Result<Option<Vec<u8>>, Failure> {
        let limit = limit_of(&name);
        match self.read_within(name.clone(), limit).await? {
            Read::Missing => Ok(None),
            Read::Whole(bytes) => Ok(Some(bytes)),
            Read::Longer => {
                let longer = io::Error::other(format!("longer than {limit} bytes"));
                Err(failed(&name, &longer))
            }
        }
    }

    /// The same for a file that is not needed yet, unless it is a long one.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) async fn read_ahead(&self, name: String) -> Result<Read, Failure> {
        let limit = limit_of(&name);
        match self.read_within(name.clone(), limit.min(MAX_AHEAD)).await? {
            // It is longer than it may be.
            Read::Longer if limit <= MAX_AHEAD => self.read(name).await.map(|_| Read::Longer),
            read => Ok(read),
        }
    }

    async fn read_within(&self, name: String, limit: usize) -> Result<Read, Failure> {
        match self {
            Self::Directory(root) => {
                let path = root.join(&name);
                let read = tokio::task::spawn_blocking(move || read_file(&path, limit)).await;
                let read = read.map_err(io::Error::other).flatten();
                read.map_err(|error| failed(&name, &error))
            }
            Self::Url(base, transport) => {
                let url = base.join(&name).map_err(|error| failed(&name, &error))?;
                // Some hosts keep bundles in gzip, and tell them so (C2SP tlog-tiles).
                let request = Request::get(url).with_max_response(limit).taking_gzip();
                // The same bits for everybody: one reader is no herd.
                let retry = Retry::idempotent(0);
                let sent = send_retrying(transport.as_ref(), request, &retry).await;
                let plain = match sent {
                    Ok(response) => match response.status {
                        200 => response.into_plain(limit),
                        404 | 410 => return Ok(Read::Missing),
                        status => {
                            let found = status.to_string();
                            return Err(unavailable(&name).expected("status 200", found));
                        }
                    },
                    Err(error) => Err(error),
                };
                match plain {
                    Ok(bytes) => Ok(Read::Whole(bytes)),
                    Err(TransportError::TooLarge { .. }) => Ok(Read::Longer),
                    Err(error) => Err(failed(&name, &error)),
                }
            }
        }
    }
}

/// What is found under a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Missing,
    Whole(Vec<u8>),
    /// It has more bytes than it was to have.
    Longer,
}

fn read_file(path: &Path, limit: usize) -> io::Result<Read> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => {}
        // To open a pipe would wait for whoever writes to it.
        Ok(_) => return Err(io::Error::other("not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Missing),
        Err(error) => return Err(error),
    }
    let more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let file = std::fs::File::open(path)?;
    if file.metadata()?.len() >= more {
        return Ok(Read::Longer);
    }
    let mut bytes = Vec::new();
    file.take(more).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Ok(Read::Longer);
    }
    Ok(Read::Whole(bytes))
}

fn failed(name: &str, error: &dyn std::error::Error) -> Failure {
    unavailable(name).because(error)
}

fn unavailable(name: &str) -> Failure {
    let message = format!("{name} could not be read");
    Failure::new(Class::Unavailable, "log-unreadable", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_longer_than_its_name_says() {
        for (name, limit) in [
            ("tile/0/000", 16 << 10),
            ("tile/3/x001/067.p/3", 16 << 10),
            ("tile/entries/000.p/2", 2 * 65_543),
            ("tile/data/000", MAX_FILE),
            ("checkpoint", MAX_SMALL),
            ("issuer/00", MAX_SMALL),
        ] {
            assert_eq!(limit_of(name), limit, "{name}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"four").unwrap();
        assert_eq!(read_file(&path, 4).unwrap(), Read::Whole(b"four".to_vec()));
        assert_eq!(read_file(&path, 3).unwrap(), Read::Longer);
        assert!(read_file(folder.path(), 3).is_err());
        let none = read_file(&folder.path().join("none"), 3);
        assert_eq!(none.unwrap(), Read::Missing);
    }

    /// Sixteen files are read ahead: of a log that lies they would be 1 GiB.
    #[tokio::test]
    async fn long_files_are_not_read_ahead() {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::Directory(folder.path().to_owned());
        let write = |name: &str, length: usize| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![7; length]).unwrap();
        };
        let ahead = |name: &str| source.read_ahead(name.to_owned());
        for name in ["tile/data/000", "tile/entries/000"] {
            write(name, MAX_AHEAD);
            assert!(matches!(ahead(name).await, Ok(Read::Whole(_))), "{name}");
            write(name, MAX_AHEAD + 1);
            assert!(matches!(ahead(name).await, Ok(Read::Longer)), "{name}");
            let read = source.read(name.to_owned()).await.unwrap();
            assert_eq!(read.unwrap().len(), MAX_AHEAD + 1);
        }
        assert!(matches!(ahead("tile/data/001").await, Ok(Read::Missing)));
        // What is longer than it may be is told at once.
        write("tile/0/000", (16 << 10) + 1);
        assert!(ahead("tile/0/000").await.is_err());
    }

    /// A log that was unpacked from an archive may have anything in it.
    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        if made.is_ok_and(|status| status.success()) {
            assert!(read_file(&path, 3).is_err());
        }
    }
}

//! The data directory: one owner, no strangers, every file whole.
//!
//! ```text
//! DATA/lock              held by the one process that runs
//! DATA/waxseald.toml     the configuration
//! DATA/keys/             private keys, certificates, what the instance was born as
//! DATA/client/           files for clients
//! DATA/outbox/           mail that no server carries
//! DATA/<role>/           the stores of the roles; the broker's has the socket of `control` too
//! DATA/shards/<number>/  shards of the transparency log that are frozen
//! ```

mod access;
mod write;

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use zeroize::Zeroizing;

use access::Kind;
pub(crate) use write::sync_directory_of;

/// The largest file that is read whole: keys, chains and records are a few kilobytes.
const MAX_FILE: u64 = 256 * 1024;

const LOCK: &str = "lock";
const KEYS: &str = "keys";

/// What an instance's directory holds before the first key: anything else belongs to somebody.
const EXPECTED: [&str; 5] = [LOCK, KEYS, CONFIG_FILE, "client", "outbox"];

/// The file among the keys that holds those of identity tokens. They change by themselves, so the
/// birth record does not know them.
pub const BROKER_KEYS: &str = "broker.keys.json";

/// The broker's audit log, beside its state.
pub const BROKER_AUDIT: &str = "audit.jsonl";

/// The configuration inside the data directory.
pub const CONFIG_FILE: &str = "waxseald.toml";

/// A data directory that is ours alone, locked for as long as this value lives.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    _lock: File,
}

/// The parts of the data directory that hold files of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The directory itself.
    Root,
    /// Private keys: files that their owner alone reads, and that are never overwritten.
    Keys,
    /// Files for clients: nothing secret.
    Client,
    /// Mail.
    Outbox,
    /// The broker's state.
    Broker,
    /// The transparency log's ledger, and below it the tiles.
    Log,
    /// Shards of the transparency log that take no more entries, by their number.
    Shards,
    /// The next shard, while the log is being rotated.
    NextLog,
    /// A frozen log from elsewhere, while it is copied.
    Import,
    /// The certificate transparency log's ledger, and below it the tiles.
    CtLog,
    /// The timestamp authority's state.
    Tsa,
}

impl Part {
    const ALL: [Self; 11] = [
        Self::Root,
        Self::Keys,
        Self::Client,
        Self::Outbox,
        Self::Broker,
        Self::Log,
        Self::Shards,
        Self::NextLog,
        Self::Import,
        Self::CtLog,
        Self::Tsa,
    ];

    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Root => "",
            Self::Keys => KEYS,
            Self::Client => "client",
            Self::Outbox => "outbox",
            Self::Broker => "broker",
            Self::Log => "log",
            Self::Shards => "shards",
            Self::NextLog => "log.next",
            Self::Import => "log.import",
            Self::CtLog => "ct",
            Self::Tsa => "tsa",
        }
    }
}

/// Why a directory is not used. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A link may lead to somebody else's files (S-59).
    #[error(
        "{} is a symbolic link: give the real path, or put a real file there", path.display()
    )]
    Symlink {
        /// What is a link.
        path: PathBuf,
    },
    /// A file is where a directory belongs, or the other way round.
    #[error(
        "{} is not a {}: move it away, or choose another --data", path.display(), expected
    )]
    WrongKind {
        /// What is there.
        path: PathBuf,
        /// What belongs there.
        expected: &'static str,
    },
    /// Whoever owns the directory or a key in it can replace it.
    #[error(
        "{} belongs to user {owner}, and this process runs as user {user}: run it as that user, or \
         hand the directory over with: chown -R {user} {}",
        path.display(), path.display()
    )]
    ForeignOwner {
        /// What belongs to somebody else.
        path: PathBuf,
        /// The owner's number.
        owner: u32,
        /// Our number.
        user: u32,
    },
    /// Group or others may read, write or enter (S-64).
    #[error(
        "{} is open to other users (mode {mode:04o}): close it with: chmod go-rwx {}",
        path.display(), path.display()
    )]
    OpenToOthers {
        /// What is open.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another process works on the directory.
    #[error(
        "another waxseald runs on {} (process {holder}): stop it first, or choose another --data",
        path.display()
    )]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// The process that holds the lock, as it wrote it there.
        holder: String,
    },
    /// The directory holds something that is not an instance: a mistyped path must not fill
    /// somebody's folder with keys.
    #[error(
        "{} holds other files ({found}) and no instance: choose an empty directory for --data",
        path.display()
    )]
    NotAnInstance {
        /// The directory.
        path: PathBuf,
        /// The first file that does not belong there.
        found: String,
    },
    /// A key, once made, is never written again (S-59).
    #[error("{} is there already, and keys are never overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file is larger than any of ours.
    #[error("{} is larger than {MAX_FILE} bytes: it is not a file that waxseald wrote", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl DataError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

impl DataDir {
    /// Takes a directory: makes it if it is not there, checks whose it is and who may enter,
    /// every key in it too, and locks it.
    ///
    /// # Errors
    /// [`DataError`]. Nothing in the directory was changed then.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        // `link/` would be looked at behind the link.
        let root: PathBuf = path.components().collect();
        let root = match root.components().next() {
            None => PathBuf::from(Component::CurDir.as_os_str()),
            Some(_) => root,
        };
        if access::kind(&root)?.is_none() {
            if let Some(parent) = root.parent().filter(|p| !p.as_os_str().is_empty()) {
                fs::create_dir_all(parent).map_err(DataError::io("make", parent))?;
            }
            write::make_dir(&root)?;
        }
        access::check(&root, Kind::Directory)?;
        check_contents(&root)?;
        let lock = lock(&root)?;
        let data = Self { root, _lock: lock };
        data.check_parts()?;
        Ok(data)
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// A part's directory. It is there once [`Self::make`] was called.
    #[must_use]
    pub fn part(&self, part: Part) -> PathBuf {
        match part.folder() {
            "" => self.root.clone(),
            folder => self.root.join(folder),
        }
    }

    /// Makes a part's directory, mode 0700, if it is not there.
    ///
    /// # Errors
    /// [`DataError`].
    pub fn make(&self, part: Part) -> Result<PathBuf, DataError> {
        let path = self.part(part);
        if access::kind(&path)?.is_none() {
            write::make_dir(&path)?;
        }
        access::check(&path, Kind::Directory)?;
        Ok(path)
    }

    /// A file, if it is there: a regular file of ours, closed to others, no larger than any that
    /// is written here.
    ///
    /// # Errors
    /// [`DataError`].
    pub fn read(&self, part: Part, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, DataError> {
        let path = self.part(part).join(name);
        let Some(mut file) = access::open(&path)? else {
            return Ok(None);
        };
        // Others cannot enter the directory; of keys not even a copy may be open.
        access::check_open(&path, &file, part == Part::Keys)?;
        let read = DataError::io("read", &path);
        let mut bytes = Zeroizing::new(Vec::new());
        // One byte more than allowed tells a file that is too large.
        if let Err(error) = (&mut file).take(MAX_FILE + 1).read_to_end(&mut bytes) {
            return Err(read(error));
        }
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE {
            return Err(DataError::TooLarge { path });
        }
        Ok(Some(bytes))
    }

    /// Writes a file that is not there yet, whole or not at all, durably.
    ///
    /// # Errors
    /// [`DataError::Exists`], or any other [`DataError`].
    pub fn create(&self, part: Part, name: &str, bytes: &[u8]) -> Result<(), DataError> {
        let path = self.make(part)?.join(name);
        // The lock makes us the only writer, so that nothing comes between.
        if access::kind(&path)?.is_some() {
            return Err(DataError::Exists { path });
        }
        write::replace(&path, bytes, part)
    }

    /// Writes a file, or replaces it, whole or not at all, durably. Bytes that are there already
    /// are left alone.
    ///
    /// # Errors
    /// [`DataError`].
    pub fn replace(&self, part: Part, name: &str, bytes: &[u8]) -> Result<(), DataError> {
        self.make(part)?;
        if self.read(part, name)?.is_some_and(|found| *found == bytes) {
            return Ok(());
        }
        write::replace(&self.part(part).join(name), bytes, part)
    }

    /// The numbers of the archived shards, in order.
    pub(crate) fn archived_logs(&self) -> Result<Vec<u32>, DataError> {
        let path = self.part(Part::Shards);
        if access::kind(&path)?.is_none() {
            return Ok(Vec::new());
        }
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&path).map_err(DataError::io("list", &path))? {
            let name = entry.map_err(DataError::io("list", &path))?.file_name();
            let number = name.to_str().and_then(|name| name.parse().ok());
            if let Some(number) = number {
                access::check(&path.join(&name), Kind::Directory)?;
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Moves the shard that takes entries to the archived ones, and the next one to its place.
    pub(crate) fn archive_log(&self, number: u32) -> Result<(), DataError> {
        let path = self.make(Part::Shards)?.join(number.to_string());
        if access::kind(&path)?.is_some() {
            return Err(DataError::Exists { path });
        }
        write::rename(&self.part(Part::Log), &path)?;
        self.complete_rotation()
    }

    /// Moves a log that was copied to the archived ones.
    pub(crate) fn archive_import(&self, number: u32) -> Result<(), DataError> {
        let path = self.make(Part::Shards)?.join(number.to_string());
        if access::kind(&path)?.is_some() {
            return Err(DataError::Exists { path });
        }
        write::rename(&self.part(Part::Import), &path)
    }

    /// The second half of [`Self::archive_log`], if it is still to be done.
    pub(crate) fn complete_rotation(&self) -> Result<(), DataError> {
        let (log, next) = (self.part(Part::Log), self.part(Part::NextLog));
        if access::kind(&log)?.is_none() && access::kind(&next)?.is_some() {
            write::rename(&next, &log)?;
        }
        Ok(())
    }

    fn check_parts(&self) -> Result<(), DataError> {
        for part in Part::ALL {
            let path = self.part(part);
            if access::kind(&path)?.is_some() {
                access::check(&path, Kind::Directory)?;
            }
        }
        let keys = self.part(Part::Keys);
        if access::kind(&keys)?.is_none() {
            return Ok(());
        }
        for entry in fs::read_dir(&keys).map_err(DataError::io("list", &keys))? {
            let path = entry.map_err(DataError::io("list", &keys))?.path();
            access::check(&path, Kind::File)?;
        }
        Ok(())
    }
}

/// A directory without keys holds nothing but what a first start makes before them.
fn check_contents(root: &Path) -> Result<(), DataError> {
    let list = || DataError::io("list", root);
    let mut foreign = None;
    for entry in fs::read_dir(root).map_err(list())? {
        let name = entry.map_err(list())?.file_name();
        if name == KEYS {
            return Ok(());
        }
        if !EXPECTED.iter().any(|expected| name == *expected) {
            foreign.get_or_insert(name);
        }
    }
    match foreign {
        Some(found) => Err(DataError::NotAnInstance {
            path: root.to_owned(),
            found: found.to_string_lossy().into_owned(),
        }),
        None => Ok(()),
    }
}

/// The kernel gives the lock back when the process ends, however it ends.
fn lock(root: &Path) -> Result<File, DataError> {
    let path = root.join(LOCK);
    let mut file = access::open_lock(&path)?;
    access::check_open(&path, &file, true)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.take(20).read_to_string(&mut holder);
            let number = holder.trim().parse::<u32>();
            return Err(DataError::InUse {
                path: root.to_owned(),
                holder: number.map_or_else(|_| "unknown".to_owned(), |pid| pid.to_string()),
            });
        }
        Err(TryLockError::Error(error)) => return Err(DataError::io("lock", &path)(error)),
    }
    let write = DataError::io("write", &path);
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(write)?;
    Ok(file)
}

#[cfg(test)]
mod tests;

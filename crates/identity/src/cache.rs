//! Tokens of log-ins, kept for their user until they expire.
//!
//! Nothing is kept unless somebody asks for it, and never a token of a CI service or a workload:
//! the caller stores what a log-in gave. A token is a secret of minutes; its file is the user's
//! own, in a folder that is the user's own, and whatever is not so is refused and not repaired:
//! others may have read or written it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use waxseal_crypto::{Digest, HashAlgorithm, Random, RandomError, Time};

use crate::{Environment, IdentityToken, LoginConfig, MAX_TOKEN};

/// A token that expires sooner is not worth sending: the request takes a while.
pub const EXPIRY_MARGIN: Duration = Duration::from_secs(10);

/// Most files that are looked at when expired ones are deleted.
pub const MAX_ENTRIES: usize = 256;

/// How a stored token's file ends.
const SUFFIX: &str = "jwt";

/// How one that is being written ends.
const UNFINISHED: &str = "tmp";

/// Which log-in a token is of.
///
/// The instance belongs to it: another one may name the same issuer, and must not be sent, with
/// nobody asked, a token that opens the first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheKey {
    /// The issuer.
    pub issuer: String,
    /// The client id.
    pub client_id: String,
    /// The provider that was asked for, if one was.
    pub connector_id: Option<String>,
    /// The certificate authority that the token is for, by its URL.
    pub authority: String,
}

/// Why a token was not loaded, kept or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The folder or the file belongs to somebody else.
    #[error("{} belongs to another user", path.display())]
    ForeignOwner {
        /// Which.
        path: PathBuf,
    },
    /// Others may read or write the folder or the file.
    #[error("{} can be read or written by others (mode {mode:04o})", path.display())]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A link, or something else that is neither a file nor a folder where one belongs.
    #[error("{} is a link, or no plain file or folder", path.display())]
    WrongKind {
        /// Which.
        path: PathBuf,
    },
    /// The file system says no.
    #[error("{} cannot be used", path.display())]
    Io {
        /// What it was about.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// No name for a file: randomness failed.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// The folder of stored tokens.
#[derive(Debug, Clone)]
pub struct TokenCache {
    folder: PathBuf,
}

impl CacheKey {
    /// The key for a log-in, and the authority that the token is for.
    pub fn new(config: &LoginConfig, authority: &str) -> Self {
        Self {
            issuer: config.issuer.clone(),
            client_id: config.client_id.clone(),
            connector_id: config.connector_id.clone(),
            authority: authority.to_owned(),
        }
    }

    /// A file name that says nothing and is as long for every key.
    fn file_name(&self) -> String {
        let absent = String::new();
        let (flag, connector) = match &self.connector_id {
            Some(id) => ("1", id),
            None => ("0", &absent),
        };
        let parts = [&self.issuer, &self.client_id, &self.authority, connector];
        let mut text = flag.to_owned();
        for part in parts {
            text.push_str(&format!("{}:{part}", part.len()));
        }
        let digest = Digest::of(HashAlgorithm::Sha256, text.as_bytes());
        format!("{}.{SUFFIX}", digest.to_hex())
    }
}

impl TokenCache {
    /// The cache in a folder, which is made when it is first needed.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The user's cache: `waxseal/tokens` in `XDG_CACHE_HOME` (if that is an absolute path, as the
    /// XDG Base Directory Specification has it), or in the platform's own place below the home
    /// folder. `None` if there is no home folder.
    pub fn of_user(environment: &dyn Environment) -> Option<Self> {
        let absolute = |name: &str| {
            let path = environment.variable(name).map(PathBuf::from);
            path.filter(|path| path.is_absolute())
        };
        let caches = || {
            if cfg!(windows) {
                return absolute("LOCALAPPDATA");
            }
            let below = match cfg!(target_os = "macos") {
                true => "Library/Caches",
                false => ".cache",
            };
            absolute("HOME").map(|home| home.join(below))
        };
        let base = absolute("XDG_CACHE_HOME").or_else(caches)?;
        Some(Self::at(base.join("waxseal").join("tokens")))
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The token of a log-in, if one is kept that is of its issuer and client and holds for
    /// [`EXPIRY_MARGIN`] more. An expired one is deleted, and so is what is no token.
    ///
    /// # Errors
    /// [`CacheError`].
    pub fn load(&self, key: &CacheKey, now: Time) -> Result<Option<IdentityToken>, CacheError> {
        if !self.exists()? {
            return Ok(None);
        }
        let path = self.folder.join(key.file_name());
        let Some(text) = read(&path)? else {
            return Ok(None);
        };
        let token = IdentityToken::parse(&text).ok().filter(|token| {
            token.issuer() == key.issuer
                && token.audiences().any(|audience| audience == key.client_id)
                && is_fresh(token, now)
        });
        if token.is_none() {
            delete(&path)?;
        }
        Ok(token)
    }

    /// Every token that is kept and has not expired, in no order.
    ///
    /// # Errors
    /// [`CacheError`].
    pub fn tokens(&self, now: Time) -> Result<Vec<IdentityToken>, CacheError> {
        let mut tokens = Vec::new();
        for path in self.entries()? {
            let text = read(&path)?.unwrap_or_default();
            match IdentityToken::parse(&text) {
                Ok(token) if is_fresh(&token, now) => tokens.push(token),
                // Another process may be writing the ones that are not whole.
                Err(_) if is_unfinished(&path) => {}
                _ => drop(delete(&path)?),
            }
        }
        Ok(tokens)
    }

    /// Keeps a token: into a file of another name, which takes its place when it is whole. Expired
    /// ones are deleted.
    ///
    /// # Errors
    /// [`CacheError`]; nothing is left behind then.
    pub fn store(
        &self,
        key: &CacheKey,
        token: &IdentityToken,
        now: Time,
        random: &dyn Random,
    ) -> Result<(), CacheError> {
        if !self.exists()? {
            make_folder(&self.folder).map_err(|source| failed(&self.folder, source))?;
            self.exists()?;
        }
        self.tokens(now)?;
        let mut name = [0; 16];
        random.fill(&mut name)?;
        let name = Digest::of(HashAlgorithm::Sha256, &name).to_hex();
        let temporary = self.folder.join(format!("{name}.{UNFINISHED}"));
        let path = self.folder.join(key.file_name());
        let written =
            write(&temporary, token.expose()).and_then(|()| fs::rename(&temporary, &path));
        written.map_err(|source| {
            drop(fs::remove_file(&temporary));
            failed(&path, source)
        })
    }

    /// Deletes every token that is kept, and says how many there were.
    ///
    /// # Errors
    /// [`CacheError`].
    pub fn clear(&self) -> Result<usize, CacheError> {
        let mut count = 0;
        loop {
            let entries = self.entries()?;
            if entries.is_empty() {
                return Ok(count);
            }
            for path in entries {
                count += usize::from(delete(&path)?);
            }
        }
    }

    /// Whether the folder is there. One that is not the user's alone is an error.
    fn exists(&self) -> Result<bool, CacheError> {
        match fs::symlink_metadata(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(failed(&self.folder, source)),
            Ok(found) if found.is_dir() => own_alone(&self.folder, &found).map(|()| true),
            Ok(_) => Err(CacheError::WrongKind {
                path: self.folder.clone(),
            }),
        }
    }

    /// The files of ours, whole or not.
    fn entries(&self) -> Result<Vec<PathBuf>, CacheError> {
        if !self.exists()? {
            return Ok(Vec::new());
        }
        let failed = |source| failed(&self.folder, source);
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let is_ours = path
                .extension()
                .is_some_and(|suffix| suffix == SUFFIX || suffix == UNFINISHED);
            if is_ours && paths.len() < MAX_ENTRIES {
                paths.push(path);
            }
        }
        Ok(paths)
    }
}

fn is_fresh(token: &IdentityToken, now: Time) -> bool {
    let margin = i64::try_from(EXPIRY_MARGIN.as_secs()).unwrap_or(i64::MAX);
    token.expires().unix_seconds() > now.unix_seconds().saturating_add(margin)
}

fn is_unfinished(path: &Path) -> bool {
    path.extension().is_some_and(|suffix| suffix == UNFINISHED)
}

fn failed(path: &Path, source: io::Error) -> CacheError {
    CacheError::Io {
        path: path.to_owned(),
        source,
    }
}

/// The text of a token's file: opened once, without following a link, and judged as it is open.
fn read(path: &Path) -> Result<Option<zeroize::Zeroizing<String>>, CacheError> {
    let failed = |source| failed(path, source);
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Without waiting for a writer, should it be a pipe.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
            return Err(match is_link {
                true => CacheError::WrongKind {
                    path: path.to_owned(),
                },
                false => failed(error),
            });
        }
    };
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(CacheError::WrongKind {
            path: path.to_owned(),
        });
    }
    own_alone(path, &found)?;
    let limit = u64::try_from(MAX_TOKEN).unwrap_or(u64::MAX);
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    // Bytes that are no text are no token either.
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    Ok(Some(zeroize::Zeroizing::new(text.to_owned())))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file: File = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Deletes a file; whether it was still there.
fn delete(path: &Path) -> Result<bool, CacheError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(failed(path, source)),
    }
}

/// Whether a file or folder is the user's, and nobody else may read or write it. Elsewhere than on
/// Unix the folder is the profile's, which the system keeps from others.
#[cfg(unix)]
fn own_alone(path: &Path, found: &fs::Metadata) -> Result<(), CacheError> {
    use std::os::unix::fs::MetadataExt as _;
    let path = path.to_owned();
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(CacheError::ForeignOwner { path });
    }
    match found.mode() & 0o7777 {
        mode if mode & 0o077 != 0 => Err(CacheError::Exposed { path, mode }),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the other platforms have a rule")]
fn own_alone(_: &Path, _: &fs::Metadata) -> Result<(), CacheError> {
    Ok(())
}

#[cfg(test)]
mod tests;

//! Writing: a file is there whole or not at all, and what is there survives a loss of power.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{DataError, Part, access};

/// Makes a directory for its owner alone.
pub(super) fn make_dir(path: &Path) -> Result<(), DataError> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(DataError::io("make", path))?;
    sync_parent(path)
}

/// Writes to a new file beside it, makes that durable, and puts it in the place of the old one.
pub(super) fn replace(path: &Path, bytes: &[u8], part: Part) -> Result<(), DataError> {
    let draft = draft_of(path);
    let secret = part != Part::Client;
    let write = || DataError::io("write", path);
    let mut file = match access::create(&draft, secret) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // A process that was killed left it. We hold the lock: nobody writes it now.
            fs::remove_file(&draft).map_err(write())?;
            access::create(&draft, secret)
        }
        other => other,
    }
    .map_err(write())?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(write())?;
    drop(file);
    fs::rename(&draft, path).map_err(write())?;
    sync_parent(path)
}

/// Gives a directory another name, durably.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), DataError> {
    fs::rename(from, to).map_err(DataError::io("move", from))?;
    sync_parent(from)?;
    sync_parent(to)
}

fn draft_of(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".draft");
    path.with_file_name(name)
}

fn sync_parent(path: &Path) -> Result<(), DataError> {
    sync_directory_of(path).map_err(DataError::io("make durable", path))
}

/// A new name is durable when its directory is.
pub(crate) fn sync_directory_of(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(parent) = path.parent() {
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

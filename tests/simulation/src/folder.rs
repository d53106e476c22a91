//! A copy of a data directory, as a backup that knows nothing of logs would make it.

use std::fs;
use std::path::Path;

use crate::{Outcome, text};

/// Copies a folder with the files in it; permissions stay. The socket that a killed process left
/// behind is nothing to copy.
///
/// # Errors
/// Something cannot be read or written.
pub fn copy_folder(from: &Path, to: &Path) -> Outcome<()> {
    fs::create_dir_all(to).map_err(text)?;
    let permissions = fs::metadata(from).map_err(text)?.permissions();
    fs::set_permissions(to, permissions).map_err(text)?;
    for entry in fs::read_dir(from).map_err(text)? {
        let entry = entry.map_err(text)?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(text)?;
        if kind.is_dir() {
            copy_folder(&source, &target)?;
        } else if kind.is_file() {
            fs::copy(&source, &target).map_err(text)?;
        }
    }
    Ok(())
}

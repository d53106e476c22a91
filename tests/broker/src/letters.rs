//! The mail of many people, read once each.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A folder in which mail arrives: an outbox, or what a mail server has taken.
#[derive(Debug)]
pub struct Letters {
    folder: PathBuf,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    names: BTreeSet<OsString>,
    codes: BTreeMap<String, String>,
}

impl Letters {
    /// The mail of a folder, what is there already included.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            read: Mutex::default(),
        }
    }

    /// The newest code for an address, once it is there; `None` after five seconds.
    pub async fn code(&self, address: &str) -> Option<String> {
        for _ in 0..500 {
            if let Some(code) = self.newest(address) {
                return Some(code);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    }

    fn newest(&self, address: &str) -> Option<String> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = std::fs::read_dir(&self.folder).ok()?.flatten();
        let mut new: Vec<_> = entries
            .map(|entry| entry.file_name())
            .filter(|name| name.to_string_lossy().ends_with(".eml") && !read.names.contains(name))
            .collect();
        new.sort();
        for name in new {
            let text = std::fs::read_to_string(self.folder.join(&name)).unwrap_or_default();
            // A letter that is still being written has no code yet, and is read again.
            if let Some((to, code)) = letter(&text) {
                read.codes.insert(to, code);
                read.names.insert(name);
            }
        }
        read.codes.get(address).cloned()
    }
}

fn letter(text: &str) -> Option<(String, String)> {
    let to = text.lines().find_map(|line| line.strip_prefix("To: "))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Your code: "))?;
    let code: String = line.chars().filter(char::is_ascii_digit).collect();
    (code.len() == 8).then(|| (to.to_owned(), code))
}

//! Codes read from the files of an outbox, as a person reads them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use super::Mailbox;

/// The line that holds the code, grouped as `1234 5678`.
const CODE_LINE: &str = "Your code: ";

/// Mail that arrives in an outbox from now on.
#[derive(Debug)]
pub struct OutboxReader {
    folder: PathBuf,
    old: BTreeSet<OsString>,
}

impl OutboxReader {
    /// A reader that leaves alone what is there already.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let old = names(&folder);
        Self { folder, old }
    }
}

impl Mailbox for OutboxReader {
    fn code(&self, address: &str) -> Option<String> {
        // Names begin with the time and a counter, so that the newest is the last.
        let new = names(&self.folder)
            .into_iter()
            .filter(|name| !self.old.contains(name));
        let mut messages: Vec<OsString> = new.collect();
        messages.reverse();
        messages.iter().find_map(|name| {
            let message = fs::read_to_string(self.folder.join(name)).ok()?;
            code_of(&message, address)
        })
    }
}

fn names(folder: &PathBuf) -> BTreeSet<OsString> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().ends_with(".eml"))
        .collect()
}

fn code_of(message: &str, address: &str) -> Option<String> {
    let mut lines = message.lines();
    let is_for_them = lines
        .by_ref()
        .take_while(|line| !line.is_empty())
        .any(|line| line.strip_prefix("To: ") == Some(address));
    // A message that is still being written has no whole line yet.
    let line = message.lines().find(|line| line.starts_with(CODE_LINE))?;
    let code: String = line.chars().filter(char::is_ascii_digit).collect();
    (is_for_them && code.len() == 8).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(address: &str, code: &str) -> String {
        format!(
            "From: w@localhost\r\nTo: {address}\r\nSubject: x\r\n\r\nYour code: {code}\r\n\r\nBye\r\n"
        )
    }

    #[test]
    fn the_newest_message_for_the_address_counts() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        put("1-0000.eml", &message("you@example.com", "1111 1111"));
        let reader = OutboxReader::new(folder.path());
        assert_eq!(reader.code("you@example.com"), None, "it was there before");
        put("2-0001.eml", &message("me@example.com", "2222 2222"));
        assert_eq!(
            reader.code("you@example.com"),
            None,
            "it is for somebody else"
        );
        put("2-0002.eml", "To: you@example.com\r\n\r\nYour co");
        assert_eq!(reader.code("you@example.com"), None, "it is not whole");
        put("2-0002.eml", &message("you@example.com", "3333 4444"));
        assert_eq!(reader.code("you@example.com").as_deref(), Some("33334444"));
        put("3-0003.eml", &message("you@example.com", "5555 5555"));
        put("3-0003.txt", &message("you@example.com", "6666 6666"));
        assert_eq!(reader.code("you@example.com").as_deref(), Some("55555555"));
    }
}

//! A library preloaded into a server (`faults/shim.c`): it lets one system call fail, or writes down
//! their order. Linux with a C compiler; the servers are linked dynamically.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, text};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/faults/shim.c");

/// What becomes of the chosen system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The device fails.
    Eio,
    /// The device is full.
    Enospc,
    /// The process is killed before the call.
    Kill,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Eio, Self::Enospc, Self::Kill];

    const fn name(self) -> &'static str {
        match self {
            Self::Eio => "eio",
            Self::Enospc => "enospc",
            Self::Kill => "kill",
        }
    }
}

/// The compiled library.
#[derive(Debug, Clone)]
pub struct Shim {
    library: PathBuf,
}

impl Shim {
    /// Compiles it into a folder.
    ///
    /// # Errors
    /// There is no C compiler, or it fails.
    pub fn compile(folder: &Path) -> Outcome<Self> {
        let library = folder.join("shim.so");
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .arg(SOURCE)
            .arg("-ldl")
            .output()
            .map_err(|error| format!("cc: {error}"))?;
        if output.status.success() {
            Ok(Self { library })
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// The environment of a server whose calls below `root` are written to `trace`.
    pub fn tracing(&self, root: &Path, trace: &Path) -> Vec<(String, PathBuf)> {
        vec![
            ("LD_PRELOAD".to_owned(), self.library.clone()),
            ("WAXSEAL_FAULT_ROOT".to_owned(), root.to_owned()),
            ("WAXSEAL_FAULT_TRACE".to_owned(), trace.to_owned()),
        ]
    }

    /// The same, where the call of that number (from 1) fails.
    pub fn failing(
        &self,
        root: &Path,
        trace: &Path,
        number: u64,
        fault: Fault,
    ) -> Vec<(String, PathBuf)> {
        let mut all = self.tracing(root, trace);
        all.push(("WAXSEAL_FAULT_AT".to_owned(), number.to_string().into()));
        all.push(("WAXSEAL_FAULT_KIND".to_owned(), fault.name().into()));
        all
    }
}

/// One event of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Bytes went to a file, at an offset.
    Write(String, i64),
    /// Among them an entry, by the digest (base64) in its body.
    Entry(String, String),
    /// A sync of a file began.
    Sync(String),
    /// It ended without an error.
    Synced(String),
    /// Any other call that changes files: its name and the file.
    Other(String, String),
    /// A 201 was sent: the bytes of the answer.
    Answer(Vec<u8>),
    /// The chosen call failed: what it was to fail with, and the file.
    Failed(String, String),
}

/// Reads a trace. A last line that a killed process did not finish is left out.
///
/// # Errors
/// It cannot be read, or is none.
pub fn read_trace(path: &Path) -> Outcome<Vec<Event>> {
    let trace = std::fs::read_to_string(path).map_err(text)?;
    let whole = trace.rfind('\n').map_or("", |end| &trace[..end]);
    whole.lines().map(event).collect()
}

fn event(line: &str) -> Outcome<Event> {
    let unreadable = || format!("the trace has {line:.80}");
    let (what, rest) = line.split_once(' ').ok_or_else(unreadable)?;
    if what == "answer" {
        return hex::decode(rest)
            .map(Event::Answer)
            .map_err(|_| unreadable());
    }
    let (offset, path) = rest.split_once(' ').ok_or_else(unreadable)?;
    let offset = offset.parse().map_err(|_| unreadable())?;
    let path = path.to_owned();
    Ok(match what {
        "write" => Event::Write(path, offset),
        "sync" => Event::Sync(path),
        "synced" => Event::Synced(path),
        "eio" | "enospc" | "kill" => Event::Failed(what.to_owned(), path),
        other => match other.strip_prefix("entry:") {
            Some(digest) => Event::Entry(path, digest.to_owned()),
            None => Event::Other(other.to_owned(), path),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_trace() {
        let check = |line, expected| assert_eq!(event(line), Ok(expected));
        check("write 4096 /a", Event::Write("/a".into(), 4096));
        check(
            "entry:AB= 0 /a b",
            Event::Entry("/a b".into(), "AB=".into()),
        );
        check("synced 0 /a", Event::Synced("/a".into()));
        check("rename 0 /a", Event::Other("rename".into(), "/a".into()));
        check("answer 4854", Event::Answer(b"HT".to_vec()));
        check("eio 7 /a", Event::Failed("eio".into(), "/a".into()));
        assert!(event("answer 485").is_err());
        assert!(event("nonsense").is_err());
    }
}

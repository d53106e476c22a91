//! Runs the binary.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What came of one run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A run in a folder, with nothing on stdin.
pub(crate) fn waxseal<S: AsRef<OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> Ran {
    let output = command(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran::of(output)
}

/// The binary in a folder, with nothing of our environment.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waxseal"));
    command.current_dir(folder).env_clear();
    command
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            // A process that a signal ended has none: that is never what is expected.
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The one JSON object on stdout.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.stdout.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap()
    }
}

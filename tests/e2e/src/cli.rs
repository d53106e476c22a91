//! The `waxseal` program, built and run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// What came of a command.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Every line of standard output, as JSON.
    pub fn json(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{self:?}")))
            .collect()
    }
}

/// Runs `waxseal` in a folder, without a terminal and with no other variables than those.
pub async fn waxseal(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let mut command = start(folder, arguments);
    let output = command
        .envs(variables.iter().copied())
        .output()
        .await
        .unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The program, ready to start in a folder, with nothing of our environment.
pub fn start(folder: &Path, arguments: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(program());
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null());
    command
}

/// The program as cargo builds it now: a test of another package cannot ask for its path.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let output = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--package",
                "waxseal",
                "--bin",
                "waxseal",
            ])
            .arg("--message-format=json-render-diagnostics")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "waxseal is not built");
        let messages = String::from_utf8(output.stdout).unwrap();
        let messages = messages
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        messages
            .filter_map(|message: Value| Some(PathBuf::from(message.get("executable")?.as_str()?)))
            .next_back()
            .unwrap()
    })
}

//! Foreign programs that ask: each line that one prints is a question in JSON, each line that it
//! reads is the answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// How long a program may take before it is ended.
const DEADLINE: Duration = Duration::from_secs(300);

/// Runs a program to its end, and answers what it asks. Lines that are no JSON are told at the end,
/// if it fails.
///
/// # Errors
/// What it printed, if it did not succeed; what `answer` says.
pub fn converse(
    command: &mut Command,
    mut answer: impl FnMut(&Value) -> Result<Value, String>,
) -> Result<(), String> {
    let shown = format!("{command:?}");
    let failed = |error: std::io::Error| format!("{shown}: {error}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut input), Some(output), Some(mut errors)) = pipes else {
        return Err(format!("{shown}: no pipes"));
    };
    let child = Arc::new(Mutex::new(child));
    let end = {
        let child = Arc::clone(&child);
        move || drop(child.lock().unwrap_or_else(PoisonError::into_inner).kill())
    };
    let (done, waiting) = mpsc::channel::<()>();
    let watch = {
        let end = end.clone();
        std::thread::spawn(move || {
            if waiting.recv_timeout(DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout) {
                end();
            }
        })
    };
    let complaints = std::thread::spawn(move || {
        let mut text = String::new();
        drop(errors.read_to_string(&mut text));
        text
    });
    let mut printed = String::new();
    let mut refused = None;
    for line in BufReader::new(output).lines() {
        let Ok(line) = line else { break };
        let Ok(question) = serde_json::from_str::<Value>(&line) else {
            printed.push_str(&line);
            printed.push('\n');
            continue;
        };
        match answer(&question) {
            Ok(value) => {
                let told = writeln!(input, "{value}").and_then(|()| input.flush());
                if told.is_err() {
                    break;
                }
            }
            Err(error) => {
                refused = Some(format!("{question}: {error}"));
                end();
                break;
            }
        }
    }
    drop(input);
    let status = child
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .wait()
        .map_err(failed)?;
    drop(done);
    drop(watch.join());
    let complaints = complaints.join().unwrap_or_default();
    match refused {
        None if status.success() => Ok(()),
        None => Err(format!("{shown}\n{status}\n{printed}\n{complaints}")),
        Some(refused) => Err(format!("{refused}\n{printed}\n{complaints}")),
    }
}

//! A broker that dies badly, in a place where the system would leave its memory as a file: codes,
//! tokens and keys are in it (S-56).
//!
//! That the system would is shown first, by a process that holds a secret and sets nothing. Where it
//! leaves no file, because `core_pattern` sends memory elsewhere, the test is ignored and says so.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use waxseal_tests_broker::{Attempt, Letters, Visitor};
use waxseal_tests_interop::{block_on, free_port, our};

/// Not the address of the examples that the greeting prints.
const PERSON: &str = "canary-person@example.com";

/// What the process holds that sets nothing.
const SECRET: &str = "CANARY-secret-in-memory";

fn main() -> ExitCode {
    let name = "no core file is left of a broker";
    let left = match control() {
        Ok(()) => Trial::test(name, none_is_left),
        Err(reason) => {
            let name = format!("{name} ({reason})");
            Trial::test(name, move || Err(Failed::from(reason))).with_ignored_flag(true)
        }
    };
    let trials = vec![Trial::test("core files are forbidden", forbidden), left];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Whether a process that is killed here, and sets nothing, leaves a file with what it held; if not,
/// why not.
fn control() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let ended = Command::new("sh")
        .args(["-c", "ulimit -c unlimited && kill -ABRT $$"])
        .env("SECRET", SECRET)
        .current_dir(folder.path())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| error.to_string())?;
    if ended.signal().is_none() {
        return Err("core files cannot be allowed here".to_owned());
    }
    for file in std::fs::read_dir(folder.path()).map_err(|error| error.to_string())? {
        let path = file.map_err(|error| error.to_string())?.path();
        let memory = std::fs::read(path).map_err(|error| error.to_string())?;
        if memory
            .windows(SECRET.len())
            .any(|part| part == SECRET.as_bytes())
        {
            return Ok(());
        }
    }
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern");
    Err(format!(
        "core_pattern sends memory elsewhere: {}",
        pattern.unwrap_or_default().trim()
    ))
}

/// An instance in a directory of its own, whose parent allows core files.
struct Broker {
    folder: tempfile::TempDir,
    issuer: String,
    child: Child,
}

impl Broker {
    fn start() -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let address = format!("localhost:{}", free_port()?);
        let child = Command::new("sh")
            .args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh"])
            .arg(our("waxseald"))
            .args(["up", "--data", "data", "--listen", &address])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let broker = Self {
            folder,
            issuer: format!("http://{address}/auth"),
            child,
        };
        let ready = broker.folder().join("data/client/trust_config.json");
        let begun = Instant::now();
        while !ready.exists() {
            if begun.elapsed() > Duration::from_secs(60) {
                return Err("it does not start".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(broker)
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it may leave of its memory, in bytes: now, and at most.
    fn limits(&self) -> Result<(String, String), Failed> {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id()))?;
        let line = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max core file size"));
        let mut words = line.ok_or("no such limit")?.split_whitespace();
        let mut word = || words.next().unwrap_or_default().to_owned();
        Ok((word(), word()))
    }

    /// A whole log-in: its code, cookies and tokens are in memory, or were.
    fn log_in(&self) -> Result<(), Failed> {
        let letters = Letters::new(self.folder().join("data/outbox"));
        block_on(async {
            let attempt = Attempt::new(&self.issuer)?;
            let mut visitor = Visitor::new()?;
            let page = begin(&mut visitor, &attempt).await?;
            let page = visitor.fill(&page, "email", PERSON).await?;
            let code = letters.code(PERSON).await.ok_or("no mail")?;
            let answer = visitor.fill(&page, "code", &code).await?;
            let code = answer.parameter("code").ok_or("no code")?;
            let tokens = visitor.exchange(&attempt, &code).await?;
            if tokens.status != 200 {
                return Err(tokens.body);
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Kills it as a crash would; what lies beside its data then.
    fn crash(mut self) -> Result<Vec<String>, Failed> {
        let id = self.child.id().to_string();
        let aborted = Command::new("kill").args(["-ABRT", &id]).status()?;
        assert!(aborted.success());
        let status = self.child.wait()?;
        assert_eq!(status.signal(), Some(6), "it was ended by the signal");
        assert!(!status.core_dumped(), "its memory was left as a file");
        let mut left = Vec::new();
        for entry in std::fs::read_dir(self.folder())? {
            left.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(left)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Ended already, where the test came that far.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The page for an address, once the broker answers.
async fn begin(
    visitor: &mut Visitor,
    attempt: &Attempt,
) -> Result<waxseal_tests_broker::Page, String> {
    let begun = Instant::now();
    loop {
        match visitor.visit(&attempt.url()).await {
            Err(_) if begun.elapsed() < Duration::from_secs(60) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            page => return page,
        }
    }
}

/// The process itself gives up what its parent allows.
fn forbidden() -> Result<(), Failed> {
    let broker = Broker::start()?;
    assert_eq!(broker.limits()?, ("0".to_owned(), "0".to_owned()));
    assert_eq!(broker.crash()?, ["data"]);
    Ok(())
}

/// A broker with secrets in it, killed where a process that sets nothing leaves its memory behind.
fn none_is_left() -> Result<(), Failed> {
    let broker = Broker::start()?;
    broker.log_in()?;
    assert_eq!(broker.crash()?, ["data"]);
    Ok(())
}

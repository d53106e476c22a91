//! Two writers on one directory, and a directory that was set back.
//!
//! **Oracle.** A failure is: a second process that starts on a directory which another one holds,
//! even if that one is stopped (SIGSTOP) and answers nobody (D5); anything lost or forked when it
//! goes on; a log that starts from stores of different ages and signs another root than it had
//! signed for a size (D4, D11), or that has lost an acknowledged entry. Refusing to start is no
//! failure there: it is what a log has to do that cannot keep its word.
//!
//! **Not found out here.** Ledger and tiles set back together to the same age: they agree with each
//! other (the keys follow from them), and only a witness or a monitor remembers more.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may panic, and is told by the environment how long it may take"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use waxseal_tests_simulation::{
    Acknowledgement, Audit, Author, Chance, Connection, ENTRIES, Entry, Outcome, Running, Server,
    copy_folder, free_port, log_key, our,
};

/// Rounds of the two writers; more where `WAXSEAL_SOAK` is set.
const ROUNDS: u64 = 10;
const SOAK_ROUNDS: u64 = 200;

struct Log {
    program: PathBuf,
    data: PathBuf,
    port: u16,
    audit: Audit,
    promises: Vec<Acknowledgement>,
    author: Author,
    written: u64,
}

impl Log {
    async fn born(folder: &Path, salt: u64) -> Outcome<(Self, Running)> {
        let program = our("waxseald");
        let data = folder.join("data");
        let port = free_port(&mut Chance::new(u64::from(std::process::id()) + salt))?;
        let (process, _) = Running::start(&program, &data, port).await?;
        let log = Self {
            audit: Audit::new(log_key(&data)?),
            program,
            data,
            port,
            promises: Vec::new(),
            author: Author::new()?,
            written: 0,
        };
        Ok((log, process))
    }

    /// Appends entries, and keeps what is promised.
    async fn append(&mut self, count: u64) -> Outcome<()> {
        let mut connection = Server::connect(self.port).await?.0;
        for _ in 0..count {
            let entry = self.author.entry(&format!("entry {}", self.written))?;
            self.written += 1;
            self.post(&mut connection, &entry).await?;
        }
        Ok(())
    }

    async fn post(&mut self, connection: &mut Connection, entry: &Entry) -> Outcome<()> {
        let answer = connection.post(ENTRIES, &entry.request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        if answer.status != 201 {
            return Err(format!("{}: {}", answer.status, answer.text()));
        }
        let promise = Acknowledgement::verify(&answer.body, entry, self.audit.key())?;
        self.promises.push(promise);
        Ok(())
    }

    /// Everything that was ever promised holds.
    async fn check(&mut self) -> Outcome<()> {
        let mut server = Server::connect(self.port).await?;
        self.audit.read(&mut server, true).await?;
        let audit = &self.audit;
        self.promises
            .iter()
            .try_for_each(|promise| audit.check(promise))
    }
}

fn signal(process: &Running, signal: Signal) -> Outcome<()> {
    let id = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    let id = id.ok_or("a process without an id")?;
    kill_process(id, signal).map_err(|error| error.to_string())
}

#[tokio::test]
async fn d5_a_second_writer_is_refused_while_the_first_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, process) = Log::born(folder.path(), 11).await.unwrap();
    let soak = std::env::var_os("WAXSEAL_SOAK").is_some();
    let rounds = if soak { SOAK_ROUNDS } else { ROUNDS };
    for round in 0..rounds {
        log.append(3).await.unwrap();
        signal(&process, Signal::STOP).unwrap();
        // Another port: it is the directory that must refuse, not the address.
        let second = Command::new(&log.program)
            .arg("up")
            .arg("--data")
            .arg(&log.data)
            .args(["--listen", &format!("localhost:{}", log.port)])
            .output()
            .unwrap();
        signal(&process, Signal::CONT).unwrap();
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert!(!second.status.success(), "round {round}: {said}");
        assert!(said.contains("another waxseald runs on"), "{said}");
        log.append(1).await.unwrap();
    }
    log.check().await.unwrap();
    drop(process);
    println!("{rounds} rounds, {} entries, 0 forks", log.promises.len());
}

/// The parts of a log's storage that a backup may restore one by one.
const PARTS: [&str; 3] = ["state.redb", "state.keys", "tiles"];

#[tokio::test]
async fn d11_stores_of_different_ages_never_sign_another_root() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, process) = Log::born(folder.path(), 23).await.unwrap();
    // Snapshots before, at and after the end of a bundle, each at rest.
    let mut process = Some(process);
    let mut snapshots = Vec::new();
    for (number, count) in [40, 215, 30].into_iter().enumerate() {
        log.append(count).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        process.take().unwrap().kill().unwrap();
        let snapshot = folder.path().join(format!("snapshot-{number}"));
        copy_folder(&log.data.join("log"), &snapshot).unwrap();
        snapshots.push(snapshot);
        let (again, _) = Running::start(&log.program, &log.data, log.port)
            .await
            .unwrap();
        process = Some(again);
    }
    log.append(300).await.unwrap();
    log.check().await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    process.take().unwrap().kill().unwrap();
    let now = folder.path().join("now");
    copy_folder(&log.data, &now).unwrap();

    let (mut refused, mut consistent) = (0, 0);
    for snapshot in &snapshots {
        // Every subset, but those with both the ledger and the tiles: they agree with each other.
        for chosen in [0b001, 0b010, 0b011, 0b100, 0b110_u32] {
            fs::remove_dir_all(&log.data).unwrap();
            copy_folder(&now, &log.data).unwrap();
            for (bit, part) in PARTS.iter().enumerate() {
                if chosen & (1 << bit) != 0 {
                    replace(&snapshot.join(part), &log.data.join("log").join(part)).unwrap();
                }
            }
            let started = Running::start(&log.program, &log.data, log.port).await;
            let Ok((process, _)) = started else {
                refused += 1;
                continue;
            };
            let at = format!("{}, parts {chosen:03b}", snapshot.display());
            log.check()
                .await
                .map_err(|error| format!("{at}: {error}"))
                .unwrap();
            log.append(2)
                .await
                .map_err(|error| format!("{at}: {error}"))
                .unwrap();
            log.check()
                .await
                .map_err(|error| format!("{at}: {error}"))
                .unwrap();
            consistent += 1;
            drop(process);
            // What it has appended is not in the copy that comes next.
            log.promises.truncate(log.promises.len() - 2);
            log.audit = Audit::new(log_key(&now).unwrap());
        }
    }
    println!("{refused} refused, {consistent} consistent, 0 forks");
    assert!(refused > 0, "an old ledger was believed");
    fs::remove_dir_all(&log.data).unwrap();
    copy_folder(&now, &log.data).unwrap();
    let (_process, _) = Running::start(&log.program, &log.data, log.port)
        .await
        .unwrap();
    log.check().await.unwrap();
}

/// Puts an old file or folder in the place of a new one.
fn replace(old: &Path, new: &Path) -> Outcome<()> {
    let failed = |error: std::io::Error| error.to_string();
    if new.is_dir() {
        fs::remove_dir_all(new).map_err(failed)?;
    } else if new.exists() {
        fs::remove_file(new).map_err(failed)?;
    }
    if old.is_dir() {
        copy_folder(old, new)
    } else if old.exists() {
        fs::copy(old, new).map(drop).map_err(failed)
    } else {
        Ok(())
    }
}

//! System calls of the log's store: in which order they come, and what happens when one fails.
//!
//! **Oracle.** A failure is: an answer that was sent before the sync that covers its entry had
//! returned (D1); after a failed or killed call, a start that does not succeed by itself, an
//! acknowledged entry that is lost or moved (I1), a second history (I2), a tile that a checkpoint
//! implies and that is missing (I3), an entry that is there twice (I6); a failed sync of the ledger
//! that the process outlives, or an acknowledgement after it (D2).
//!
//! **Not a failure.** A request that is refused, a process that ends, an entry that nobody was told
//! of. **Not deterministic.** Which call a number hits varies a little with what the background does.
//!
//! Thirty calls of the script, each failed in three ways; every call where `WAXSEAL_SOAK` is set.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may panic, and is told by the environment how long it may take"
)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::task::JoinSet;
use waxseal_formats::TransparencyLogEntry;
use waxseal_formats::entry::Body;
use waxseal_tests_simulation::{
    Acknowledgement, Audit, Author, Chance, Connection, Directory, ENTRIES, Entry, Event, Fault,
    Outcome, Running, Server, Shim, copy_folder, free_port, log_key, our, read_trace, send_again,
};
use waxseal_tlog::leaf_hash;

/// Calls that are failed without `WAXSEAL_SOAK`.
const POINTS: u64 = 30;
/// Entries before the script: it crosses the end of the first bundle.
const BEFORE: usize = 248;
/// Entries of the script.
const SCRIPT: usize = 12;
/// How long a server has to end after a fatal fault.
const PATIENCE: Duration = Duration::from_secs(20);

/// A directory whose log is about to fill a bundle, and what is needed to go on with it.
struct Template {
    folder: tempfile::TempDir,
    program: PathBuf,
    port: u16,
    before: Vec<Acknowledgement>,
    shim: Shim,
}

impl Template {
    async fn new() -> Outcome<Self> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let shim = Shim::compile(folder.path())?;
        let program = our("waxseald");
        let port = free_port(&mut Chance::new(u64::from(std::process::id())))?;
        let data = folder.path().join("template");
        let (process, _) = Running::start(&program, &data, port).await?;
        let key = log_key(&data)?;
        let mut before = Vec::new();
        let posted = post(port, "before", BEFORE).await?;
        for (entry, answer) in posted.acknowledged {
            before.push(Acknowledgement::verify(&answer, &entry, &key)?);
        }
        process.kill()?;
        Ok(Self {
            folder,
            program,
            port,
            before,
            shim,
        })
    }

    /// A fresh copy of the directory, the log's part of it, and where its trace goes.
    fn copy(&self) -> Outcome<(PathBuf, PathBuf, PathBuf)> {
        let data = self.folder.path().join("data");
        let trace = self.folder.path().join("trace");
        drop(fs::remove_dir_all(&data));
        drop(fs::remove_file(&trace));
        copy_folder(&self.folder.path().join("template"), &data)?;
        let log = data.join("log");
        Ok((data, log, trace))
    }
}

#[derive(Default)]
struct Posted {
    acknowledged: Vec<(Entry, Vec<u8>)>,
    refused: Vec<Entry>,
}

/// Posts entries one after another, until the server is gone.
async fn post(port: u16, name: &str, count: usize) -> Outcome<Posted> {
    let author = Author::new()?;
    let mut posted = Posted::default();
    let Ok(mut connection) = Connection::open(port).await else {
        return Ok(posted);
    };
    for number in 0..count {
        let entry = author.entry(&format!("{name} {number}"))?;
        match connection.post(ENTRIES, &entry.request).await {
            Ok(answer) if answer.status == 201 => posted.acknowledged.push((entry, answer.body)),
            Ok(answer) if answer.status >= 500 => posted.refused.push(entry),
            Ok(answer) => return Err(format!("{}: {}", answer.status, answer.text())),
            Err(_) => {
                posted.refused.push(entry);
                break;
            }
        }
    }
    Ok(posted)
}

/// Runs the script with the call of a number failing; gives what the trace says of it, if the
/// number was reached.
async fn fail_at(template: &Template, number: u64, fault: Fault) -> Outcome<Option<String>> {
    let (data, log, trace) = template.copy()?;
    let key = log_key(&data)?;
    let extra = template.shim.failing(&log, &trace, number, fault);
    let mut posted = Posted::default();
    // A start that fails under a fault is told by its exit; the next one has to succeed.
    if let Ok((mut process, _)) =
        Running::start_with(&template.program, &data, template.port, &extra).await
    {
        posted = post(template.port, "script", SCRIPT).await?;
        let failed = failed_call(&trace)?;
        let is_fatal = failed
            .as_deref()
            .is_some_and(|call| call.ends_with("sync /state.redb") && fault != Fault::Kill);
        if is_fatal {
            let ended = process.end(PATIENCE).await?;
            let ended = ended.ok_or("a failed sync of the ledger did not end the process (D2)")?;
            if ended.success() {
                return Err("a failed sync of the ledger ended the process with 0".to_owned());
            }
        }
    }
    let failed = failed_call(&trace)?;
    let mut audit = Audit::new(key);
    let (_process, _) = Running::start(&template.program, &data, template.port).await?;
    let mut server = Server::connect(template.port).await?;
    for entry in &posted.refused {
        let (index, _) = send_again(&mut server, entry).await?;
        audit.read(&mut server, false).await?;
        audit.check_index(index, &leaf_hash(&entry.stored))?;
    }
    audit.read(&mut server, true).await?;
    let mut promises = template.before.clone();
    for (entry, answer) in &posted.acknowledged {
        promises.push(Acknowledgement::verify(answer, entry, audit.key())?);
    }
    promises
        .iter()
        .try_for_each(|promise| audit.check(promise))?;
    // The bare directory may be behind, and must be whole.
    audit.read(&mut Directory(log.join("tiles")), false).await?;
    Ok(failed)
}

/// The name and the file of the call that failed, as the trace has it.
fn failed_call(trace: &Path) -> Outcome<Option<String>> {
    let events = read_trace(trace)?;
    let mut events = events.iter();
    let found = events.any(|event| matches!(event, Event::Failed(..)));
    Ok(match events.next() {
        Some(Event::Other(name, file)) if found => Some(format!("{name} {file}")),
        Some(Event::Write(file, _)) if found => Some(format!("write {file}")),
        _ if found => Some("?".to_owned()),
        _ => None,
    })
}

#[tokio::test]
async fn d2_a_failed_call_loses_nothing() {
    let template = Template::new().await.unwrap();
    // How many calls there are, without a fault.
    let (data, log, trace) = template.copy().unwrap();
    let extra = template.shim.tracing(&log, &trace);
    let (process, _) = Running::start_with(&template.program, &data, template.port, &extra)
        .await
        .unwrap();
    let posted = post(template.port, "script", SCRIPT).await.unwrap();
    assert_eq!(posted.acknowledged.len(), SCRIPT);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    process.kill().unwrap();
    let calls = read_trace(&trace).unwrap();
    let calls = calls
        .iter()
        .filter(|event| matches!(event, Event::Write(..) | Event::Sync(_) | Event::Other(..)))
        .count();
    let calls = u64::try_from(calls).unwrap();
    assert!(calls > 60, "{calls} calls are too few to be all");
    let soak = std::env::var_os("WAXSEAL_SOAK").is_some();
    let step = if soak { 1 } else { calls.div_ceil(POINTS) };
    let mut hit: HashMap<String, u64> = HashMap::new();
    let mut runs = 0_u64;
    for (turn, fault) in Fault::ALL.into_iter().enumerate() {
        // Each kind begins at another call, so that the three cover more of them.
        let first = 1 + u64::try_from(turn).unwrap() * step / 3;
        for number in (first..=calls).step_by(usize::try_from(step).unwrap()) {
            match fail_at(&template, number, fault).await {
                Ok(Some(call)) => *hit.entry(call).or_default() += 1,
                Ok(None) => {}
                Err(violation) => {
                    let kept = template.folder.keep();
                    panic!(
                        "{fault:?} at call {number}: {violation}\nkept: {}",
                        kept.display()
                    );
                }
            }
            runs += 1;
        }
    }
    let mut hit: Vec<_> = hit.into_iter().collect();
    hit.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    println!("{calls} calls; {runs} runs, 0 violations; hit: {hit:?}");
    assert!(hit.iter().any(|(call, _)| call.contains("state.redb")));
}

#[tokio::test]
async fn d1_no_answer_before_the_sync_that_covers_it() {
    let folder = tempfile::tempdir().unwrap();
    let shim = Shim::compile(folder.path()).unwrap();
    let data = folder.path().join("data");
    let trace = folder.path().join("trace");
    let port = free_port(&mut Chance::new(u64::from(std::process::id()) + 1)).unwrap();
    let program = our("waxseald");
    let extra = shim.tracing(&data.join("log"), &trace);
    let (process, _) = Running::start_with(&program, &data, port, &extra)
        .await
        .unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        writers.spawn(async move { post(port, &format!("writer {writer}"), 60).await });
    }
    let posted: Outcome<Vec<Posted>> = writers.join_all().await.into_iter().collect();
    let posted: usize = posted
        .unwrap()
        .iter()
        .map(|one| one.acknowledged.len())
        .sum();
    assert_eq!(posted, 480);
    process.kill().unwrap();
    let events = read_trace(&trace).unwrap();
    let answers = check_order(&events).unwrap();
    assert_eq!(answers, posted, "every answer is in the trace");
    println!(
        "{answers} answers in {} events, each after its sync",
        events.len()
    );

    // The check can fail: without the syncs, no answer is covered.
    let without = |event: &&Event| !matches!(event, Event::Synced(_));
    let without: Vec<Event> = events.iter().filter(without).cloned().collect();
    assert!(check_order(&without).is_err());
}

/// That each answer comes after: its entry was written to a file, then the head of that file (which
/// makes the commit the newest), and then a sync of the file that began and returned. Gives the
/// number of answers.
fn check_order(events: &[Event]) -> Outcome<usize> {
    /// How far an entry is on its way to the disk.
    enum Stage {
        Written(String),
        Headed(String),
        Syncing(String),
        Durable,
    }
    let mut entries: HashMap<String, Stage> = HashMap::new();
    let mut answers = 0;
    for event in events {
        match event {
            Event::Entry(file, digest) => {
                let stage = Stage::Written(file.clone());
                entries.entry(digest.clone()).or_insert(stage);
            }
            Event::Answer(response) => {
                let digest = digest_of(response)?;
                if !matches!(entries.get(&digest), Some(Stage::Durable)) {
                    return Err(format!("{digest} was answered before it was durable"));
                }
                answers += 1;
            }
            Event::Write(..) | Event::Sync(_) | Event::Synced(_) => {
                for stage in entries.values_mut() {
                    let next = match (&*stage, event) {
                        (Stage::Written(file), Event::Write(at, 0)) if file == at => {
                            Stage::Headed(file.clone())
                        }
                        (Stage::Headed(file), Event::Sync(at)) if file == at => {
                            Stage::Syncing(file.clone())
                        }
                        (Stage::Syncing(file), Event::Synced(at)) if file == at => Stage::Durable,
                        _ => continue,
                    };
                    *stage = next;
                }
            }
            _ => {}
        }
    }
    Ok(answers)
}

/// The digest in the body of the entry that a 201 is about, as base64.
fn digest_of(response: &[u8]) -> Outcome<String> {
    let head = response.windows(4).position(|four| four == b"\r\n\r\n");
    let body = head.and_then(|end| response.get(end + 4..));
    let entry = TransparencyLogEntry::from_json(body.ok_or("an answer without a body")?);
    let entry = entry.map_err(|error| error.to_string())?;
    match Body::parse("hashedrekord", "0.0.2", &entry.canonicalized_body) {
        Ok(Body::HashedRekordV002(body)) => Ok(STANDARD.encode(body.digest.digest)),
        _ => Err("an answer about something else".to_owned()),
    }
}

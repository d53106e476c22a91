//! `kill -9` under load: whatever the log acknowledged is there afterwards, and proves.
//!
//! **Oracle.** A failure is: an acknowledged entry that is not at its index with equal bytes (I1);
//! two signed trees of one size, or a checkpoint that an earlier one is no beginning of (I2); a
//! tile or bundle that a published checkpoint implies and that is missing or hashes to another
//! root, on the server while it is written to and in the directory that the killed process left
//! behind (I3); a sealed tile that changed (I4); an entry that is in the log twice, or that is
//! refused when it is sent again (I5, I6); a start that does not succeed by itself, or not in half a
//! minute on a machine however busy (I7; the worst is printed, and `instance` in `benches/` times it).
//!
//! **Not a failure.** An entry that was not acknowledged and is in the log, or is not.
//!
//! **Not deterministic.** The seed decides what is written and after which time the process is
//! killed; the operating system decides what it was doing then.
//!
//! A hundred rounds on one directory; 1,000 where `WAXSEAL_SOAK` is set. `WAXSEAL_SEED` repeats a seed.

#![allow(
    clippy::disallowed_methods,
    reason = "tests are told by the environment how long they may take"
)]

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinSet;
use waxseal_tests_simulation::{
    Acknowledgement, Audit, Author, Chance, Connection, Directory, ENTRIES, Entry, Outcome,
    Running, Server, Source as _, free_port, log_key, open, our, send_again,
};
use waxseal_tlog::{Hash, LogKey, TilePath, leaf_hash};

const WRITERS: u64 = 4;

/// A start that takes longer is not automatic: something was repaired or replayed.
const SLOWEST_START: Duration = Duration::from_secs(30);

/// How long a round's load lasts at most, in milliseconds.
const LONGEST_LOAD: u64 = 600;

/// What one writer did until the process was gone.
struct Written {
    acknowledged: Vec<(Entry, Vec<u8>)>,
    /// Sent, and not answered.
    pending: Option<Entry>,
}

#[derive(Default)]
struct Tally {
    acknowledged: usize,
    pending: usize,
    found: usize,
    killed_in_start: usize,
    checked_under_load: usize,
    slowest: Duration,
}

#[tokio::test]
async fn s_19_killed_under_load_nothing_acknowledged_is_lost() {
    let soak = std::env::var_os("WAXSEAL_SOAK").is_some();
    let rounds = if soak { 1000 } else { 100 };
    let seed = match std::env::var("WAXSEAL_SEED") {
        Ok(seed) => seed.parse().expect("WAXSEAL_SEED is a number"),
        Err(_) => u64::from(std::process::id()),
    };
    println!("seed {seed}, {rounds} rounds");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    match simulate(&data, rounds, seed).await {
        Ok((tally, size)) => println!(
            "seed {seed}: {rounds} rounds, {} of them killed in their start; {} entries \
             acknowledged, {} sent again of which {} were there, {size} in the log; {} checkpoints checked under load; \
             slowest start {:.2} s",
            tally.killed_in_start,
            tally.acknowledged,
            tally.pending,
            tally.found,
            tally.checked_under_load,
            tally.slowest.as_secs_f64(),
        ),
        Err(violation) => {
            let kept = folder.keep();
            panic!("seed {seed}: {violation}\nkept: {}", kept.display());
        }
    }
}

async fn simulate(data: &Path, rounds: u64, seed: u64) -> Outcome<(Tally, u64)> {
    let program = our("waxseald");
    let mut chance = Chance::new(seed);
    let port = free_port(&mut chance)?;
    let (process, _) = Running::start(&program, data, port).await?;
    let mut audit = Audit::new(log_key(data)?);
    let mut tally = Tally::default();
    let mut process = Some(process);
    // Every promise that was ever made.
    let mut promises: Vec<Acknowledgement> = Vec::new();
    let mut handed_out: Vec<(u64, Hash)> = Vec::new();
    for round in 0..rounds {
        let at = |violation| format!("round {round}: {violation}");
        let running = match process.take() {
            Some(running) => running,
            None => restart(&program, data, port, &mut chance, &mut tally).await?,
        };
        let load = Duration::from_millis(20 + chance.below(LONGEST_LOAD));
        let first = chance.next();
        let (written, seen) = load_and_kill(running, audit.key(), first, load).await?;
        tally.checked_under_load += seen.len();
        handed_out.extend(seen);

        // What a reader finds who has no server (I3).
        let mut dead = Directory(data.join("log/tiles"));
        audit.read(&mut dead, false).await.map_err(at)?;

        let mut new = Vec::new();
        let mut again = Vec::new();
        for one in written {
            again.extend(one.pending);
            for (entry, answer) in one.acknowledged {
                let promise = Acknowledgement::verify(&answer, &entry, audit.key());
                new.push(promise.map_err(at)?);
            }
        }
        let running = restart(&program, data, port, &mut chance, &mut tally).await?;
        let mut server = Server::connect(port).await?;
        for entry in &again {
            let (index, is_known) = send_again(&mut server, entry).await.map_err(at)?;
            tally.found += usize::from(is_known);
            let checkpoint = audit.read(&mut server, false).await.map_err(at)?;
            let leaf = leaf_hash(&entry.stored);
            audit.check_index(index, &leaf).map_err(at)?;
            handed_out.push((checkpoint.tree_size(), *checkpoint.root_hash()));
        }
        let checkpoint = audit.read(&mut server, false).await.map_err(at)?;
        for promise in &new {
            audit.check(promise).map_err(at)?;
        }
        for (size, root) in &handed_out {
            audit.check_root(*size, root).map_err(at)?;
        }
        handed_out.extend(new.iter().map(|one| (one.tree_size, one.root_hash)));
        if let Some(old) = chance.pick(&handed_out) {
            let proven = Audit::check_consistency(&mut server, *old, &checkpoint).await;
            proven.map_err(at)?;
        }
        tally.acknowledged += new.len();
        tally.pending += again.len();
        promises.append(&mut new);
        process = Some(running);
    }
    let process = process.take().ok_or("there is no process")?;
    finish(&process, &mut audit, &promises).await?;
    Ok((tally, audit.tree_size()))
}

/// Everything again from the first byte, from the server and from the bare directory.
async fn finish(process: &Running, audit: &mut Audit, promises: &[Acknowledgement]) -> Outcome<()> {
    let mut server = Server::connect(process.port()).await?;
    let mut bare = Directory(process.data().join("log/tiles"));
    let newest = server.checkpoint().await?;
    for _ in 0..500 {
        if bare.checkpoint().await? == newest {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let served = audit.read(&mut server, true).await?;
    let left = audit.read(&mut bare, true).await?;
    assert_eq!(
        served, left,
        "the directory's checkpoint follows the server's"
    );
    for index in 0..served.tree_size().div_ceil(256) {
        let width = (served.tree_size() - index * 256).min(256);
        let width = u16::try_from(width).map_err(|error| error.to_string())?;
        let path = TilePath::Entries { index, width };
        assert_eq!(server.tile(path).await?, bare.tile(path).await?, "{path}");
    }
    promises.iter().try_for_each(|promise| audit.check(promise))
}

/// Starts the instance again; one in four starts is killed in the middle, and then another.
async fn restart(
    program: &Path,
    data: &Path,
    port: u16,
    chance: &mut Chance,
    tally: &mut Tally,
) -> Outcome<Running> {
    while chance.below(4) == 0 {
        let process = Running::spawn(program, data, port)?;
        tokio::time::sleep(Duration::from_millis(chance.below(150))).await;
        process.kill()?;
        tally.killed_in_start += 1;
    }
    let (process, time) = Running::start(program, data, port).await?;
    tally.slowest = tally.slowest.max(time);
    if time > SLOWEST_START {
        return Err(format!("the start took {} s", time.as_secs()));
    }
    Ok(process)
}

/// Writes and reads until the process is killed.
async fn load_and_kill(
    process: Running,
    key: &LogKey,
    first: u64,
    load: Duration,
) -> Outcome<(Vec<Written>, Vec<(u64, Hash)>)> {
    let port = process.port();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(port, format!("{first} {writer}")));
    }
    let killer = async {
        tokio::time::sleep(load).await;
        process.kill()
    };
    let (killed, seen) = tokio::join!(killer, follow(port, key));
    killed?;
    let written = writers.join_all().await;
    let written: Outcome<Vec<_>> = written.into_iter().collect();
    Ok((written?, seen?))
}

async fn write(port: u16, name: String) -> Outcome<Written> {
    let author = Author::new()?;
    let mut written = Written {
        acknowledged: Vec::new(),
        pending: None,
    };
    let Ok(mut connection) = Connection::open(port).await else {
        return Ok(written);
    };
    for number in 0_u64.. {
        let entry = author.entry(&format!("{name} {number}"))?;
        match connection.post(ENTRIES, &entry.request).await {
            Ok(answer) if answer.status == 201 => written.acknowledged.push((entry, answer.body)),
            Ok(answer) => return Err(format!("{}: {}", answer.status, answer.text())),
            Err(_) => {
                written.pending = Some(entry);
                break;
            }
        }
    }
    Ok(written)
}

/// Reads the log while it is written to: whatever the newest checkpoint implies is there (I3).
/// Every hash that the tile reader hands out is under the checkpoint's root.
async fn follow(port: u16, key: &LogKey) -> Outcome<Vec<(u64, Hash)>> {
    let mut seen: Vec<(u64, Hash)> = Vec::new();
    let Ok(connection) = Connection::open(port).await else {
        return Ok(seen);
    };
    let mut server = Server(connection);
    loop {
        // The end of the process ends the reading, wherever it is.
        let Ok(answer) = server.0.get("/checkpoint").await else {
            return Ok(seen);
        };
        let new = open(&answer.text(), key)?;
        let (size, root) = (new.tree_size(), *new.root_hash());
        if let Some((old_size, old_root)) = seen.last().copied() {
            if size < old_size {
                return Err(format!("the log shrank from {old_size} to {size}"));
            }
            let proven = Audit::check_consistency(&mut server, (old_size, old_root), &new).await;
            if let Err(violation) = proven {
                let is_alive = server.0.get("/checkpoint").await.is_ok();
                return if is_alive { Err(violation) } else { Ok(seen) };
            }
        }
        seen.push((size, root));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

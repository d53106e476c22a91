//! `cargo run --release -p waxseal-benches --bin ledger`: what a commit costs, by the number of
//! deduplication keys that the ledger holds.
//!
//! It fills a ledger in a temporary directory up to `--keys N` (default 10,000,000) and stops at
//! every power of ten to measure: commits as a busy log makes them (128 entries of 2.2 KB, entries
//! forgotten as they are sealed), a look-up of keys that are not there and of keys that are, memory,
//! and the time to open it again. `--in DIR` says where.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use waxseal_benches::{Samples, Table, load_average};
use waxseal_crypto::sha256;
use waxseal_log_server::{Commit, CommitOutcome, DedupKey, Ledger, NewEntry};
use waxseal_store_embedded::LogLedger;
use waxseal_tests_simulation::resident_memory;

/// Commits of one measurement, and entries of each.
const COMMITS: u64 = 300;
const ENTRIES: u64 = 128;

/// The length of a stored entry with a certificate.
const STORED: usize = 2200;

/// Entries that are not sealed yet, in a busy log.
const UNSEALED: u64 = 16_384;

/// Entries of a commit that fills the ledger.
const FILLING: u64 = 1024;

/// Keys of one look-up.
const LOOKED_UP: u64 = 256;

#[expect(clippy::print_stdout, reason = "a bench prints its tables")]
fn main() -> Result<()> {
    let (most, folder) = arguments()?;
    let own = match folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    println!("load average before: {}", load_average());
    let mut table = Table::new(&[
        "keys",
        "commit p50 ms",
        "p99 ms",
        "entries/s",
        "written B/entry",
        "miss µs",
        "hit µs",
        "RSS MB",
        "open ms",
    ]);
    let mut at = At::open(own.path())?;
    let mut size = 10_000;
    while size <= most {
        at.fill(size)?;
        at = at.measure(&mut table)?;
        size *= 10;
    }
    println!("{table}");
    println!("load average after: {}", load_average());
    Ok(())
}

fn arguments() -> Result<(u64, Option<PathBuf>)> {
    let (mut keys, mut folder) = (10_000_000, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next();
        let value = value.with_context(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--keys" => keys = value.parse()?,
            "--in" => folder = Some(value.into()),
            _ => bail!("usage: ledger [--keys N] [--in DIR]"),
        }
    }
    Ok((keys, folder))
}

/// A ledger, and where it stands.
struct At {
    path: PathBuf,
    ledger: LogLedger,
    runtime: tokio::runtime::Runtime,
    epoch: u64,
    size: u64,
}

impl At {
    fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("state.redb");
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let ledger = LogLedger::open(&path)?;
        let opened = runtime.block_on(Ledger::open(&ledger))?;
        let size = opened
            .state
            .as_deref()
            .and_then(|state| state.try_into().ok());
        Ok(Self {
            path,
            ledger,
            runtime,
            epoch: opened.epoch,
            size: size.map_or(0, u64::from_be_bytes),
        })
    }

    fn commit(&mut self, count: u64, length: usize) -> Result<()> {
        let end = self.size + count;
        let entries: Vec<_> = (self.size..end)
            .map(|n| NewEntry {
                key: Some(key(n)),
                stored: vec![7; length],
                beside: Vec::new(),
            })
            .collect();
        let outcome = self.runtime.block_on(self.ledger.commit(Commit {
            epoch: self.epoch,
            first_index: self.size,
            entries: &entries,
            state: &end.to_be_bytes(),
            forget_before: end.saturating_sub(UNSEALED) / 256 * 256,
        }));
        ensure!(matches!(outcome, CommitOutcome::Committed), "{outcome:?}");
        self.size = end;
        Ok(())
    }

    fn fill(&mut self, size: u64) -> Result<()> {
        while self.size < size {
            self.commit(FILLING.min(size - self.size), 16)?;
        }
        Ok(())
    }

    fn measure(mut self, table: &mut Table) -> Result<Self> {
        let keys = self.size;
        let before = written();
        let mut commits = Samples::default();
        let began = Instant::now();
        for _ in 0..COMMITS {
            let began = Instant::now();
            self.commit(ENTRIES, STORED)?;
            commits.add(began.elapsed());
        }
        let took = began.elapsed();
        let entries = COMMITS * ENTRIES;
        let per_entry = (written() - before) / entries;
        // From 2^63 on no key was ever used.
        let miss = self.look_up(|n| key(1 << 63 | n))?;
        let size = self.size;
        let hit = self.look_up(|n| key(n * 7919 % size))?;
        let memory = resident_memory(std::process::id(), "VmRSS").unwrap_or_default();
        let Self { path, ledger, .. } = self;
        drop(ledger);
        let began = Instant::now();
        let again = Self::open(path.parent().context("a folder")?)?;
        let opened = began.elapsed();
        let millis = |share| format!("{:.2}", commits.quantile(share).as_secs_f64() * 1e3);
        table.row([
            keys.to_string(),
            millis(0.5),
            millis(0.99),
            (u128::from(entries) * 1000 / took.as_millis().max(1)).to_string(),
            per_entry.to_string(),
            micros(miss),
            micros(hit),
            (memory >> 20).to_string(),
            opened.as_millis().to_string(),
        ]);
        Ok(again)
    }

    /// The best time of many look-ups, for one key.
    fn look_up(&self, key: impl Fn(u64) -> DedupKey) -> Result<Duration> {
        let mut samples = Samples::default();
        for round in 0..200 {
            let keys: Vec<_> = (0..LOOKED_UP).map(|n| key(round * LOOKED_UP + n)).collect();
            let began = Instant::now();
            self.runtime.block_on(self.ledger.find(&keys))?;
            samples.add(began.elapsed());
        }
        Ok(samples.quantile(0.5) / u32::try_from(LOOKED_UP)?)
    }
}

fn key(n: u64) -> DedupKey {
    sha256(&n.to_be_bytes())
}

fn micros(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e6)
}

/// Bytes that this process has had written to disks.
fn written() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes:"));
    line.and_then(|bytes| bytes.trim().parse().ok())
        .unwrap_or_default()
}

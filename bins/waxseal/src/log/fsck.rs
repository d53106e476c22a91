//! `waxseal log fsck`: every entry and every tile against the signed root.

use std::collections::{BTreeSet, VecDeque};
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::task::JoinHandle;
use waxseal_crypto::sha256;
use waxseal_tlog::{BundleFormat, TILE_WIDTH, TilePath, TreeCheck, TreeCheckError};

use super::source::{Read, Source};
use super::trusted::{self, Opened};
use crate::args::FsckArgs;
use crate::outcome::{Class, Failed, Failure};
use crate::services;
use crate::terminal::visible;
use crate::verify::report::unwritable;

/// Files that are read ahead: what is held in memory is at most this many, of 4 MiB, and one that is
/// longer.
const AHEAD: usize = 16;

/// Issuers that are remembered as checked. A log has thousands at most; those beyond are read again.
const MAX_ISSUERS: usize = 100_000;

/// How often progress is drawn.
const TICK: Duration = Duration::from_millis(200);

/// A file as it was found.
struct Found {
    path: TilePath,
    /// `None`: it is too long to be read before it is wanted.
    bytes: Option<Vec<u8>>,
    width: u16,
}

/// What was read.
#[derive(Default)]
struct Sum {
    files: u64,
    bytes: u64,
    issuers: BTreeSet<[u8; 32]>,
}

/// Checks a log.
///
/// # Errors
/// What is wrong with it first, from the left.
pub(crate) fn run(args: &FsckArgs) -> Result<(), Failed> {
    let source = Source::parse(&args.log, || services::transport(args.ca_cert.as_deref()))?;
    Ok(services::block_on(fsck(args, source))??)
}

async fn fsck(args: &FsckArgs, source: Source) -> Result<(), Failure> {
    let begun = Instant::now();
    let Some(bytes) = source.read("checkpoint".to_owned()).await? else {
        let message = format!("there is no file \"checkpoint\" at {}", args.log);
        let failure = Failure::new(Class::NotFound, "log-missing", message);
        return Err(failure.hint("an instance keeps its log in DATA/log/tiles"));
    };
    let opened = trusted::open(args, &bytes)?;
    let checkpoint = &opened.checkpoint;
    let (size, root) = (checkpoint.tree_size(), *checkpoint.root_hash());
    let mut check = TreeCheck::new(size, root, opened.format);
    let mut progress = Progress::new(args, size);
    let sum = read_all(&source, &mut check, &mut progress).await;
    progress.clear();
    let sum = sum?;
    check.finish().map_err(|error| altered(&error))?;
    say(args, &opened, &sum, begun.elapsed())
}

/// Reads ahead, in the order in which it is wanted.
async fn read_all(
    source: &Source,
    check: &mut TreeCheck,
    progress: &mut Progress,
) -> Result<Sum, Failure> {
    let mut sum = Sum::default();
    let mut plan = check.plan();
    let mut coming: VecDeque<JoinHandle<Result<Found, Failure>>> = VecDeque::new();
    loop {
        while coming.len() < AHEAD
            && let Some(path) = plan.next()
        {
            let source = source.clone();
            coming.push_back(tokio::spawn(async move { fetch(&source, path).await }));
        }
        let Some(next) = coming.pop_front() else {
            return Ok(sum);
        };
        let found = next.await.map_err(|error| {
            Failure::new(Class::Internal, "internal", "reading ended").because(&error)
        })??;
        let bytes = match found.bytes {
            Some(bytes) => bytes,
            None => {
                let read = source.read(found.path.to_string()).await?;
                read.ok_or_else(|| missing(found.path))?
            }
        };
        sum.files += 1;
        sum.bytes += u64::try_from(bytes.len()).unwrap_or(0);
        let issuers = check
            .supply(&bytes, found.width)
            .map_err(|error| altered(&error))?;
        for issuer in issuers {
            if !sum.issuers.contains(&issuer) {
                check_issuer(source, &issuer).await?;
                if sum.issuers.len() < MAX_ISSUERS {
                    sum.issuers.insert(issuer);
                }
            }
        }
        progress.draw(check.checked());
    }
}

/// A file of the tree; where a partial one was dropped, the full one.
async fn fetch(source: &Source, path: TilePath) -> Result<Found, Failure> {
    let (width, full) = match path {
        TilePath::Tile(tile) => (tile.width(), TilePath::Tile(tile.full())),
        TilePath::Entries { index, width } => (width, TilePath::Entries { index, width: 256 }),
        TilePath::Data { index, width } => (width, TilePath::Data { index, width: 256 }),
        // `TilePath` has no other case.
        _ => (TILE_WIDTH, path),
    };
    let versions = [(path, width), (full, TILE_WIDTH)];
    let versions = versions.into_iter().take(if full == path { 1 } else { 2 });
    for (path, width) in versions {
        let bytes = match source.read_ahead(path.to_string()).await? {
            Read::Missing => continue,
            Read::Whole(bytes) => Some(bytes),
            Read::Longer => None,
        };
        return Ok(Found { path, bytes, width });
    }
    Err(missing(path))
}

fn missing(path: TilePath) -> Failure {
    let message = format!("{path} is missing, and the checkpoint says that it is there");
    Failure::new(Class::Cryptographic, "log-incomplete", message)
}

/// Every certificate of a chain is in the log's directory, under its hash (static-ct-api).
async fn check_issuer(source: &Source, fingerprint: &[u8; 32]) -> Result<(), Failure> {
    let hex: String = fingerprint
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = format!("issuer/{hex}");
    match source.read(name.clone()).await? {
        Some(der) if sha256(&der) == *fingerprint => Ok(()),
        Some(_) => {
            let message = format!("{name} is another certificate");
            Err(Failure::new(Class::Cryptographic, "log-altered", message))
        }
        None => {
            let message = format!("{name} is missing, and an entry names it");
            Err(Failure::new(
                Class::Cryptographic,
                "log-incomplete",
                message,
            ))
        }
    }
}

fn altered(error: &TreeCheckError) -> Failure {
    let (class, code) = match error {
        TreeCheckError::EntryMismatch { .. }
        | TreeCheckError::TileMismatch { .. }
        | TreeCheckError::RootMismatch => (Class::Cryptographic, "log-altered"),
        TreeCheckError::BadBundle { .. }
        | TreeCheckError::BadData { .. }
        | TreeCheckError::BadTile { .. } => (Class::Malformed, "log-tile-malformed"),
        _ => (Class::Internal, "internal"),
    };
    Failure::new(class, code, error.to_string()).led_by(error)
}

fn say(args: &FsckArgs, opened: &Opened, sum: &Sum, took: Duration) -> Result<(), Failure> {
    let checkpoint = &opened.checkpoint;
    let origin = checkpoint.origin().as_str();
    let root = STANDARD.encode(checkpoint.root_hash());
    let text = if args.output.json {
        let object = json!({
            "ok": true,
            "log": args.log,
            "origin": origin,
            "treeSize": checkpoint.tree_size(),
            "rootHash": root,
            "layout": match opened.format {
                BundleFormat::Data => "static-ct",
                _ => "tlog-tiles",
            },
            "witnesses": opened.cosigned,
            "files": sum.files,
            "bytes": sum.bytes,
            "issuers": sum.issuers.len(),
            "milliseconds": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
        format!("{object}\n")
    } else if args.output.quiet {
        return Ok(());
    } else {
        let mut text = format!(
            "{}: {} under the signed root\n  root      {root}\n",
            visible(origin),
            entries(checkpoint.tree_size()),
        );
        if args.witness_policy.is_some() {
            text += &format!("  cosigned  by {} witnesses, a quorum\n", opened.cosigned);
        }
        text += &format!(
            "  read      {} files, {} bytes, in {:.1} s\n",
            sum.files,
            sum.bytes,
            took.as_secs_f32()
        );
        text
    };
    let mut stdout = std::io::stdout();
    stdout
        .write_all(text.as_bytes())
        .map_err(|error| unwritable(&error))
}

fn entries(count: u64) -> String {
    match count {
        1 => "its one entry is".to_owned(),
        count => format!("all {count} entries are"),
    }
}

/// How far it is, for a person who waits.
struct Progress {
    is_shown: bool,
    total: u64,
    begun: Instant,
    drawn: Instant,
}

impl Progress {
    fn new(args: &FsckArgs, total: u64) -> Self {
        let output = args.output;
        let now = Instant::now();
        Self {
            is_shown: !output.quiet && !output.json && std::io::stderr().is_terminal(),
            total,
            begun: now,
            drawn: now,
        }
    }

    fn draw(&mut self, checked: u64) {
        if !self.is_shown || self.drawn.elapsed() < TICK {
            return;
        }
        self.drawn = Instant::now();
        let percent = checked.saturating_mul(100) / self.total.max(1);
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let rate = checked.saturating_mul(1000) / millis.max(1);
        let total = self.total;
        put(&format!(
            "\r\u{1b}[K{checked} of {total} entries, {percent} %, {rate} a second"
        ));
    }

    fn clear(&self) {
        if self.is_shown {
            put("\r\u{1b}[K");
        }
    }
}

/// Talk that nobody can hear changes nothing.
fn put(text: &str) {
    drop(std::io::stderr().write_all(text.as_bytes()));
    drop(std::io::stderr().flush());
}

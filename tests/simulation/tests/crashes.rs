//! The machine stops at every call that changes something: real redb, the real index of keys and the
//! real object layout over a disk that forgets what was not synced.
//!
//! **Oracle.** After the crash the log starts again by itself (I7); every acknowledged entry is at
//! its index with its bytes (I1); all signed trees, before and after, are of one history (I2);
//! whatever a checkpoint implies is there, from the server and from the bare files (I3); a full tile
//! never changes (I4); what was not acknowledged is wholly there or not, and can be sent again (I5),
//! without becoming two (I6); nothing is left in the making (I8).
//!
//! **Not a failure.** A refusal while the disk fails; a start that fails while it fails.
//!
//! **Not deterministic.** The order of the background's calls among the others; so a call's number
//! may be another call in another run. What a crash leaves follows from the seed.
//!
//! The script crosses 255/256/257 and, from a log that is nearly so long, 65,535/65,536 entries. Every
//! 11th call is struck, with the three kinds of loss, and every call with more seeds where
//! `WAXSEAL_SOAK` is set. `WAXSEAL_SEED` repeats a seed.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, and is told by the environment how long it may take"
)]

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use futures_util::future::join_all;
use http_body_util::BodyExt as _;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;
use waxseal_crypto::{LocalSigner, SignatureAlgorithm, Signer};
use waxseal_crypto_aws_lc::{SystemClock, provider};
use waxseal_log_server::{Config, Context, LogServer};
use waxseal_serve::{Fatal, Meter, Shutdown, causes};
use waxseal_store_embedded::{Folder, KeyShape, LogLedger, LogObjects};
use waxseal_tests_simulation::{
    Acknowledgement, Audit, Chance, Disk, DiskDatabase, DiskFolder, DiskTree, Entry, Loss, Outcome,
    Source, Strike, WORDS, Words,
};
use waxseal_tlog::{KeyName, LogKey, NoteSigner, Origin, SignatureKind, leaf_hash};

const ORIGIN: &str = "log.example";
/// Every so many calls one is struck, without `WAXSEAL_SOAK`.
const STEP: usize = 11;
/// What each call is tried with in a soak: seeds of partial loss.
const SOAK_SEEDS: u64 = 8;

/// Batches, and `0` to seal. From 250 entries on: before, at and after the end of a bundle.
const SCRIPT: [usize; 12] = [1, 0, 4, 1, 0, 1, 0, 1, 3, 0, 5, 0];
/// After the restart: across the end of the next bundle.
const AFTER: [usize; 4] = [2, 0, 260, 0];

/// The parts of a log that outlive its crashes.
struct World {
    signer: Arc<dyn Signer>,
    key: Arc<LogKey>,
}

impl World {
    fn new() -> Self {
        let private = provider().generate(SignatureAlgorithm::Ed25519).unwrap();
        let local: Box<dyn LocalSigner> = provider()
            .signer(&private, SignatureAlgorithm::Ed25519)
            .unwrap();
        let signer: Box<dyn Signer> = local;
        let signer: Arc<dyn Signer> = Arc::from(signer);
        let key = Arc::new(LogKey::new(
            note_signer(&signer).note_key(provider()).unwrap(),
        ));
        Self { signer, key }
    }

    /// Opens the stores and starts the log on them.
    async fn start(&self, disk: &Disk) -> Outcome<Running> {
        let database = DiskDatabase::open(disk, "state.redb").map_err(|e| causes(&e))?;
        let folder: Arc<dyn Folder> = match DiskFolder::open(disk, "keys") {
            Ok(folder) => Arc::new(folder),
            Err(error) => return Err(causes(&error)),
        };
        // Small enough for runs to be written and merged within the script.
        let shape = KeyShape {
            run_keys: 3,
            fan_in: 2,
            in_background: false,
        };
        let ledger = LogLedger::with_backend(database, &folder, shape).map_err(|e| causes(&e))?;
        let tree = DiskTree::open(disk, "tiles").map_err(|e| causes(&e))?;
        let objects = LogObjects::with_tree(Arc::new(tree.clone())).map_err(|e| causes(&e))?;
        let context = Context {
            provider: provider(),
            clock: Arc::new(SystemClock),
            signers: vec![note_signer(&self.signer)],
            cosigners: None,
            ledger: Arc::new(ledger),
            objects: Arc::new(objects),
            personality: Arc::new(Words),
            meter: Meter::new(),
        };
        let config = Config::new(Origin::new(ORIGIN).unwrap());
        let log = LogServer::new(config, context).await;
        let log = Arc::new(log.map_err(|e| causes(&e))?);
        let shutdown = Shutdown::new();
        let work = tokio::spawn({
            let (log, shutdown) = (Arc::clone(&log), shutdown.clone());
            async move { log.run(shutdown).await }
        });
        Ok(Running {
            router: log.router(),
            log,
            work,
            shutdown,
            disk: disk.clone(),
            tree,
        })
    }
}

fn note_signer(signer: &Arc<dyn Signer>) -> NoteSigner {
    let name = KeyName::new(ORIGIN).unwrap();
    NoteSigner::new(name, SignatureKind::Ed25519, Arc::clone(signer)).unwrap()
}

/// A log that runs on a disk.
struct Running {
    log: Arc<LogServer>,
    router: axum::Router,
    work: JoinHandle<Result<(), Fatal>>,
    shutdown: Shutdown,
    disk: Disk,
    tree: DiskTree,
}

#[derive(Default)]
struct History {
    acknowledged: Vec<(Entry, Vec<u8>)>,
    refused: Vec<Entry>,
}

fn word(text: &str) -> Entry {
    Entry {
        request: text.as_bytes().to_vec(),
        stored: text.as_bytes().to_vec(),
    }
}

impl Running {
    /// Runs a script until its end, or until the disk or the log is gone.
    async fn script(&self, name: &str, script: &[usize], history: &mut History) -> Outcome<()> {
        for (step, count) in script.iter().enumerate() {
            if *count == 0 {
                self.seal().await;
                continue;
            }
            let words = (0..*count).map(|number| word(&format!("{name} {step} {number}")));
            let answers = words.map(|word| async {
                let answer = self.post(&word).await;
                (word, answer)
            });
            for (word, (status, body)) in join_all(answers).await {
                match status {
                    201 => history.acknowledged.push((word, body)),
                    500.. => history.refused.push(word),
                    status => return Err(format!("{status}: {}", String::from_utf8_lossy(&body))),
                }
            }
        }
        Ok(())
    }

    /// Seals; gives up where the disk does not let it.
    async fn seal(&self) {
        let patience = tokio::time::sleep(Duration::from_millis(if self.disk.has_struck() {
            30
        } else {
            20_000
        }));
        let gone = async {
            while !self.disk.has_struck() && !self.work.is_finished() {
                tokio::time::sleep(Duration::from_micros(300)).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        tokio::select! {
            () = self.log.flush() => {}
            () = patience => {}
            () = gone => {}
        }
    }

    async fn post(&self, word: &Entry) -> (u16, Vec<u8>) {
        let request = Request::post(WORDS)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(word.request.clone()))
            .unwrap();
        let sent = tokio::time::timeout(
            Duration::from_secs(20),
            self.router.clone().oneshot(request),
        );
        let Ok(Ok(response)) = sent.await else {
            return (599, b"no answer".to_vec());
        };
        let status = response.status().as_u16();
        let index = response
            .headers()
            .get("x-log-index")
            .map(|index| index.as_bytes().to_vec());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, index.unwrap_or_else(|| body.to_vec()))
    }

    /// Sends again what nobody answered: new, or known, and at one index.
    async fn send_again(&self, word: &Entry) -> Outcome<u64> {
        let (status, body) = self.post(word).await;
        let text = String::from_utf8_lossy(&body).into_owned();
        let index = match status {
            201 => waxseal_formats::TransparencyLogEntry::from_json(&body)
                .ok()
                .and_then(|entry| u64::try_from(entry.log_index).ok()),
            409 => text.parse().ok(),
            _ => None,
        };
        index.ok_or_else(|| format!("sent again: {status}: {text}"))
    }

    async fn stop(self) -> Result<(), Fatal> {
        self.shutdown.trigger();
        self.work.await.unwrap()
    }
}

impl Source for Running {
    async fn read(&mut self, path: &str) -> Outcome<Option<Vec<u8>>> {
        let request = Request::get(format!("/{path}"))
            .body(Body::empty())
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        match status {
            200 => Ok(Some(body.to_vec())),
            404 => Ok(None),
            status => Err(format!("{path}: {status}")),
        }
    }
}

/// A log at rest, and what is known of it.
struct Base {
    disk: Disk,
    audit: Audit,
    /// How many of its calls a run of the script has.
    calls: u64,
}

/// Makes a log of that many entries; measures how many calls the script has from there.
async fn base(world: &World, size: usize) -> Base {
    let disk = Disk::new();
    let mut running = world.start(&disk).await.unwrap();
    let mut history = History::default();
    let mut left = size;
    let mut batch = 0;
    while left > 0 {
        let count = left.min(500);
        let name = format!("before {batch}");
        running.script(&name, &[count], &mut history).await.unwrap();
        left -= count;
        batch += 1;
    }
    running.seal().await;
    let mut audit = Audit::new(Arc::clone(&world.key)).without_genesis();
    audit.read(&mut running, true).await.unwrap();
    running.stop().await.unwrap();
    let again = disk.copy();
    let running = world.start(&again).await.unwrap();
    let mut history = History::default();
    running
        .script("script", &SCRIPT, &mut history)
        .await
        .unwrap();
    running.stop().await.unwrap();
    assert!(history.refused.is_empty());
    let calls = again.calls();
    Base { disk, audit, calls }
}

/// One run: the script with a call struck, what the crash leaves, a new start, everything checked.
async fn crash(
    world: &World,
    base: &Base,
    call: u64,
    strike: Strike,
    loss: Loss,
    seed: u64,
) -> Outcome<bool> {
    let mut chance = Chance::new(seed);
    let disk = base.disk.copy();
    disk.strike(call, strike);
    let mut history = History::default();
    if let Ok(running) = world.start(&disk).await {
        running.script("script", &SCRIPT, &mut history).await?;
        running.shutdown.trigger();
        running.work.abort();
    }
    let struck = disk.has_struck();
    let disk = disk.after_crash(loss, &mut chance);

    // What a reader finds who has no server, before anything is repaired.
    let mut audit = base.audit.clone();
    let mut bare = DiskTree::open(&disk, "tiles").map_err(|error| error.to_string())?;
    audit
        .read(&mut bare, false)
        .await
        .map_err(|violation| format!("the bare files: {violation}"))?;
    let full: Vec<_> = disk.files_below("tiles/tile");
    let full: Vec<_> = full
        .iter()
        .filter(|(name, _)| !name.contains(".p/"))
        .collect();

    let mut running = world
        .start(&disk)
        .await
        .map_err(|error| format!("the start failed (I7): {error}"))?;
    for word in &history.refused {
        let index = running.send_again(word).await?;
        audit.read(&mut running, false).await?;
        audit.check_index(index, &leaf_hash(&word.stored))?;
    }
    audit.read(&mut running, false).await?;
    for (word, answer) in &history.acknowledged {
        audit.check(&Acknowledgement::verify(answer, word, audit.key())?)?;
    }
    let mut later = History::default();
    running.script("after", &AFTER, &mut later).await?;
    if let Some(word) = later.refused.first() {
        let text = String::from_utf8_lossy(&word.stored);
        return Err(format!("{text} was refused by a log that is whole"));
    }
    audit.read(&mut running, false).await?;
    audit.read(&mut running.tree.clone(), false).await?;
    for (word, answer) in &later.acknowledged {
        audit.check(&Acknowledgement::verify(answer, word, audit.key())?)?;
    }
    let now = disk.files_below("tiles/tile");
    for (name, bytes) in full {
        let same = now.binary_search_by(|(other, _)| other.cmp(name));
        let same = same.ok().and_then(|place| now.get(place));
        if same.map(|(_, bytes)| bytes) != Some(bytes) {
            return Err(format!("{name} changed (I4)"));
        }
    }
    let making = disk.files_below("tiles/.staging");
    if let Some((name, _)) = making.first() {
        return Err(format!("{name} was left (I8)"));
    }
    running.stop().await.map_err(|error| error.to_string())?;
    Ok(struck)
}

async fn sweep(size: usize, step: usize) {
    let soak = std::env::var_os("WAXSEAL_SOAK").is_some();
    let step = if soak { 1 } else { step };
    let seeds = if soak { SOAK_SEEDS } else { 1 };
    let seed = std::env::var("WAXSEAL_SEED").ok();
    let seed = seed.map_or_else(
        || u64::from(std::process::id()),
        |seed| seed.parse().expect("WAXSEAL_SEED is a number"),
    );
    let world = World::new();
    let base = base(&world, size).await;
    println!("from {size} entries: seed {seed}, {} calls", base.calls);
    let (mut runs, mut struck) = (0_u64, 0_u64);
    for call in (1..=base.calls).step_by(step) {
        for strike in [Strike::Before, Strike::After, Strike::Fail] {
            let losses = [Loss::Nothing, Loss::Everything]
                .into_iter()
                .chain((0..seeds).map(|_| Loss::Some));
            for (number, loss) in losses.enumerate() {
                let seed = seed ^ (call << 8) ^ u64::try_from(number).unwrap();
                let run = crash(&world, &base, call, strike, loss, seed).await;
                match run {
                    Ok(hit) => struck += u64::from(hit),
                    Err(violation) => {
                        panic!("{strike:?} at call {call}, {loss:?}, seed {seed}: {violation}")
                    }
                }
                runs += 1;
            }
        }
    }
    println!("from {size} entries: {runs} runs, {struck} of them struck, 0 violations");
    assert!(struck > runs / 2, "the script is too short for its calls");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_to_i8_around_the_end_of_a_bundle() {
    sweep(250, STEP).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_to_i8_around_the_end_of_a_tile_of_level_1() {
    sweep(65_530, STEP * 5).await;
}

//! `cargo run --release -p waxseal-benches --bin log`: our log beside rekor-tiles, in one run.
//!
//! Both run as processes on this machine, one at a time under load, with the generator on the same
//! cores; bodies hold a real certificate; every answer's bytes, proof and checkpoint are verified,
//! after the clock has stopped. Ours is `waxseald up` with every role, as it was built beside this
//! program (`cargo build --release -p waxseald`): once with an empty log, once with one that holds
//! 10⁷ entries and their deduplication keys.
//!
//! rekor-tiles is taken from `--peer PATH` or `WAXSEAL_REKOR_TILES`, or from where the tests of
//! interoperability install it (`WAXSEAL_INTEROP=1` says: install it now).
//!
//! `--seconds N`: length of a phase (default 10). `--rounds N`: how often phases that are compared
//! are repeated, in turns; the best counts (default 2). `--keys N`: size of the large log (default
//! 10,000,000; 0: none). `--without-peer`: ours alone. `--in DIR`: where the directories are made.
//! `--only WHAT`: of ours `closed`, `open` or `overload` (which measures the peak first).
//!
//! Overload is an open loop: three times the best rate of the closed loops is sent, whatever becomes
//! of it. What counts is answers that verify and came within a second of when their request was due.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use waxseal_benches::load::{
    Certificates, Entries, Overload, Pace, Paced, Served, Target, Work as _, overload, pace,
    workflow_certificate,
};
use waxseal_benches::{
    Costs, CpuTime, RekorTiles, Samples, Settings, Table, beside, disk, load_average, megabytes,
    prefill, two_workers,
};
use waxseal_instance::DEMO_IDENTITY;
use waxseal_tests_simulation::{Author, Chance, Connection, Running, free_port, resident_memory};
use waxseal_tlog::LogKey;

/// Entries that are made before a phase of ours begins, for each of its seconds: more than any log
/// here takes in.
const MOST_PER_SECOND: usize = 18_000;

/// The same for the peer.
const MOST_PER_SECOND_PEER: usize = 5_000;

/// The peer answers after a second or more.
const PEER_OPEN: Pace = Pace::Open {
    rate: 500,
    connections: 1500,
};

/// Kills and starts.
const RESTARTS: usize = 5;

/// Three times the connections of the peak, each with a request at every moment.
const CROWD: Pace = Pace::Closed(768);

/// Connections of the overload: the server answers one after the other on each, so that fewer would
/// hide from it how many wait.
const OVERLOAD_CONNECTIONS: usize = 1536;

/// Requests that come at once on a connection of the overload.
const OVERLOAD_AT_ONCE: usize = 2;

/// The peer answers after its next checkpoint, which by default comes every ten seconds.
const DEFAULTS_SECONDS: u64 = 25;

fn main() -> Result<()> {
    let options = Options::parse()?;
    let runtime = two_workers()?;
    let folder = match &options.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    runtime.block_on(run(&options, folder.path()))
}

struct Options {
    seconds: u64,
    rounds: usize,
    keys: u64,
    peer: Option<PathBuf>,
    with_peer: bool,
    folder: Option<PathBuf>,
    only: Option<String>,
}

impl Options {
    #[expect(
        clippy::disallowed_methods,
        reason = "a program of this bench is named by it"
    )]
    fn parse() -> Result<Self> {
        let mut parsed = Self {
            seconds: 10,
            rounds: 2,
            keys: 10_000_000,
            peer: std::env::var_os("WAXSEAL_REKOR_TILES").map(PathBuf::from),
            with_peer: true,
            folder: None,
            only: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let value = arguments.next();
                value.with_context(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--seconds" => parsed.seconds = value()?.parse()?,
                "--rounds" => parsed.rounds = value()?.parse()?,
                "--keys" => parsed.keys = value()?.parse()?,
                "--peer" => parsed.peer = Some(value()?.into()),
                "--in" => parsed.folder = Some(value()?.into()),
                "--only" => parsed.only = Some(value()?),
                "--without-peer" => parsed.with_peer = false,
                _ => bail!(
                    "usage: log [--seconds N] [--rounds N] [--keys N] [--peer PATH] \
                     [--without-peer] [--in DIR] [--only closed|open|overload]"
                ),
            }
        }
        Ok(parsed)
    }

    fn wants(&self, what: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == what)
    }
}

/// What the verdict is made of.
#[derive(Default)]
struct Best {
    ours: f64,
    large: f64,
    /// The rate of every crowd.
    crowd: Vec<f64>,
    /// Goodput and offered rate of every overload.
    overload: Vec<(f64, f64)>,
    peer: f64,
    open: Vec<(String, Duration, Duration)>,
    /// Bytes, with 256 connections at most, and with all that come in an overload.
    memory: u64,
    crowd_memory: u64,
    restart: Samples,
}

#[expect(clippy::print_stdout, reason = "a bench prints its tables")]
async fn run(options: &Options, folder: &Path) -> Result<()> {
    println!("load average before: {}", load_average());
    println!("{}", disk(folder)?);
    let waxseald = beside("waxseald")?;
    let peer = if options.with_peer {
        Some(RekorTiles::program(options.peer.clone())?)
    } else {
        None
    };
    println!("ours: waxseald up --data DIR --listen localhost:PORT");
    for settings in [
        Settings::Defaults,
        Settings::Fastest,
        Settings::FastestExact,
    ] {
        let flags = settings.flags().join(" ");
        println!("rekor-tiles 2.3.0, {}: serve … {flags}", name(settings));
    }
    println!();
    let mut bench = Bench {
        seconds: options.seconds,
        author: Arc::new(told(Author::new())?),
        phases: 0,
        table: Table::new(&[
            "log", "pace", "answers", "per s", "p50 ms", "p99 ms", "RSS MB", "peak MB", "load",
        ]),
        overloads: Table::new(&[
            "overload",
            "offered per s",
            "done in 1 s, per s",
            "p50 ms",
            "p99 ms",
            "later",
            "refused per s",
            "p99 ms",
            "server CPU",
            "generator CPU",
        ]),
        best: Best::default(),
    };
    let small = Ours::start(&waxseald, &folder.join("small")).await?;
    bench.author = Arc::new(certified(&small.target).await?);
    let large = if options.keys > 0 {
        Some(Ours::filled(&waxseald, &folder.join("large"), options.keys).await?)
    } else {
        None
    };
    let costs = bench.ours(&small, large.as_ref(), options).await?;
    if let Some(large) = large {
        bench.restarts(large, &waxseald).await?;
    }
    drop(small);
    if let Some(program) = peer {
        bench.peer(&program, folder).await?;
    }
    println!("{}", bench.table);
    println!("{}", bench.overloads);
    if let Some(costs) = costs {
        println!("{costs}");
    }
    println!("{}", verdict(&bench.best));
    println!("load average after: {}", load_average());
    Ok(())
}

/// An instance of ours.
struct Ours {
    running: Running,
    target: Target,
    key: Arc<LogKey>,
}

impl Ours {
    async fn start(program: &Path, data: &Path) -> Result<Self> {
        let mut chance = Chance::new(u64::from(std::process::id()));
        let port = told(free_port(&mut chance))?;
        let (running, _) = told(Running::start(program, data, port).await)?;
        Self::of(running)
    }

    fn of(running: Running) -> Result<Self> {
        let target = Target::of(running.data())?;
        let key = Arc::new(target.log_key()?);
        Ok(Self {
            running,
            target,
            key,
        })
    }

    /// An instance with so many entries.
    #[expect(clippy::print_stdout, reason = "it takes a minute")]
    async fn filled(program: &Path, data: &Path, entries: u64) -> Result<Self> {
        let made = Self::start(program, data).await?;
        let port = made.running.port();
        told(made.running.kill())?;
        let began = Instant::now();
        prefill(data, entries).await?;
        println!(
            "{entries} entries were put into the large log in {:.1} s\n",
            began.elapsed().as_secs_f64()
        );
        let (running, _) = told(Running::start(program, data, port).await)?;
        Self::of(running)
    }

    fn served(&self) -> Served {
        Served {
            port: self.running.port(),
            id: Some(self.running.id()),
        }
    }
}

/// An author with a certificate as a CI job gets it: the CA of an instance gives the SCT.
async fn certified(target: &Target) -> Result<Author> {
    let author = told(Author::new())?;
    let token = target.token(DEMO_IDENTITY).await?;
    let mut work = Certificates::new(target, &author, &[token])?;
    let endpoint = work.endpoint();
    let one = work.request()?;
    let mut connection = Connection::open(target.port()).await?;
    let answer = connection
        .post_as(endpoint.path, endpoint.content_type, &one.lines, &one.body)
        .await?;
    let certificate = work.certificate(&answer.body);
    let certificate = certificate.with_context(|| answer.text())?;
    let certificate = workflow_certificate(author.public_key(), &certificate).await?;
    Ok(author.with_certificate(certificate))
}

struct Bench {
    seconds: u64,
    author: Arc<Author>,
    phases: usize,
    table: Table,
    overloads: Table,
    best: Best,
}

impl Bench {
    /// The phases of ours, small and large log in turns; where the time of a write goes.
    async fn ours(
        &mut self,
        small: &Ours,
        large: Option<&Ours>,
        options: &Options,
    ) -> Result<Option<Table>> {
        let mut costs = None;
        let paces: &[Pace] = match options.only.as_deref() {
            Some("open") => &[],
            Some(_) => &[Pace::Closed(256)],
            None => &[Pace::Closed(64), Pace::Closed(256)],
        };
        for _ in 0..options.rounds.max(1) {
            for (label, log) in [("ours", Some(small)), ("ours, large", large)] {
                let Some(log) = log else { continue };
                let is_small = label == "ours";
                for each in paces {
                    let counted = Costs::begin(log.served()).await?;
                    let done = self.our_phase(label, log, *each).await?;
                    let best = if is_small {
                        &mut self.best.ours
                    } else {
                        &mut self.best.large
                    };
                    *best = best.max(done.rate());
                    if is_small && *each == Pace::Closed(256) {
                        let author = Arc::clone(&self.author);
                        costs = Some(counted.table(log.served(), &done, &author).await?);
                    }
                }
                if options.wants("open") {
                    for rate in [500, 2000] {
                        let done = self.our_phase(label, log, Pace::open(rate)).await?;
                        let (p50, p99) = (done.times.quantile(0.5), done.times.quantile(0.99));
                        self.best.open.push((format!("{label} {rate}"), p50, p99));
                    }
                }
            }
        }
        // After all the others: a process's highest memory is never forgotten.
        if options.wants("overload") {
            for _ in 0..options.rounds.max(1) {
                self.overload(small).await?;
            }
        }
        Ok(costs)
    }

    #[expect(clippy::print_stdout, reason = "it takes a while")]
    async fn overload(&mut self, log: &Ours) -> Result<()> {
        let (served, key, most) = (log.served(), Arc::clone(&log.key), MOST_PER_SECOND);
        let crowd = self.phase("ours", served, key, CROWD, most, self.seconds);
        let crowd = crowd.await?;
        self.best.crowd.push(crowd.rate());
        let load = Overload {
            rate: three_times(self.best.ours),
            connections: OVERLOAD_CONNECTIONS,
            at_once: OVERLOAD_AT_ONCE,
            time: Duration::from_secs(self.seconds),
        };
        println!(
            "ours, {}/s over {} connections …",
            load.rate, load.connections
        );
        let mut work = self.entries(&log.key);
        let most = usize::try_from(self.seconds)? * MOST_PER_SECOND;
        let done = overload(log.served(), &mut work, load, most).await?;
        let memory = resident_memory(log.running.id(), "VmHWM").unwrap_or_default();
        self.best.crowd_memory = self.best.crowd_memory.max(memory);
        let (goodput, offered) = (done.goodput(), done.offered_rate());
        let took = done.took.as_secs_f64();
        let refused = f64::from(u32::try_from(done.refused.count())?) / took;
        let cores = |time: Option<CpuTime>| {
            time.map_or_else(
                || "?".to_owned(),
                |time| format!("{:.0} %", time.total().as_secs_f64() / took * 100.0),
            )
        };
        let row = [
            format!("ours, {}/s over {}", load.rate, load.connections),
            format!("{offered:.0}"),
            format!("{goodput:.0}"),
            millis(&done.times, 0.5),
            millis(&done.times, 0.99),
            done.late.to_string(),
            format!("{refused:.0}"),
            millis(&done.refused, 0.99),
            cores(done.server_cpu),
            cores(done.own_cpu),
        ];
        println!("  {}", row.join("  "));
        self.overloads.row(row);
        self.best.overload.push((goodput, offered));
        Ok(())
    }

    /// Entries that no other phase has.
    fn entries(&mut self, key: &Arc<LogKey>) -> Entries {
        self.phases += 1;
        let about = format!("{} {:?}", self.phases, Instant::now());
        Entries::new(Arc::clone(key), Arc::clone(&self.author), &about)
    }

    async fn our_phase(&mut self, label: &str, log: &Ours, each: Pace) -> Result<Paced> {
        let (served, key) = (log.served(), Arc::clone(&log.key));
        let most = MOST_PER_SECOND;
        let done = self.phase(label, served, key, each, most, self.seconds);
        let done = done.await?;
        let memory = resident_memory(log.running.id(), "VmHWM").unwrap_or_default();
        self.best.memory = self.best.memory.max(memory);
        Ok(done)
    }

    /// SIGKILL, and the time until it is ready again.
    async fn restarts(&mut self, mut log: Ours, program: &Path) -> Result<()> {
        for _ in 0..RESTARTS {
            let (data, port) = (log.running.data().to_owned(), log.running.port());
            told(log.running.kill())?;
            let (running, time) = told(Running::start(program, &data, port).await)?;
            self.best.restart.add(time);
            log = Ours::of(running)?;
        }
        Ok(())
    }

    async fn peer(&mut self, program: &Path, folder: &Path) -> Result<()> {
        for settings in [
            Settings::Defaults,
            Settings::Fastest,
            Settings::FastestExact,
        ] {
            let data = folder.join(format!("{settings:?}"));
            let peer = RekorTiles::start(program, &data, settings).await?;
            let (paces, seconds): (&[Pace], _) = match settings {
                Settings::Defaults => (
                    &[Pace::Closed(256), Pace::Closed(4000)],
                    self.seconds.max(DEFAULTS_SECONDS),
                ),
                Settings::Fastest => (
                    &[
                        Pace::Closed(64),
                        Pace::Closed(256),
                        Pace::Closed(1500),
                        Pace::Closed(4000),
                        PEER_OPEN,
                    ],
                    self.seconds,
                ),
                _ => (&[Pace::Closed(1500), PEER_OPEN], self.seconds),
            };
            for each in paces {
                let label = format!("rekor-tiles, {}", name(settings));
                let (served, key) = (peer.served(), Arc::clone(peer.key()));
                let most = MOST_PER_SECOND_PEER;
                let done = self.phase(&label, served, key, *each, most, seconds);
                let done = done.await?;
                self.best.peer = self.best.peer.max(done.rate());
            }
        }
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "it takes a while")]
    async fn phase(
        &mut self,
        label: &str,
        served: Served,
        key: Arc<LogKey>,
        each: Pace,
        most: usize,
        seconds: u64,
    ) -> Result<Paced> {
        let number = usize::try_from(seconds)?;
        let (shown, most) = match each {
            Pace::Closed(count) => (format!("closed {count}"), number * most),
            Pace::Open { rate, .. } => (format!("open {rate}/s"), number * usize::try_from(rate)?),
            _ => bail!("a pace without a name"),
        };
        println!("{label}, {shown} …");
        let mut work = self.entries(&key);
        let done = pace(served, &mut work, each, most, Duration::from_secs(seconds));
        let done = done.await.with_context(|| format!("{label}, {shown}"))?;
        let memory = |field| {
            let found = served.id.and_then(|id| resident_memory(id, field));
            found.map_or_else(|| "?".to_owned(), megabytes)
        };
        let load = load_average();
        let row = [
            label.to_owned(),
            shown,
            done.times.count().to_string(),
            format!("{:.0}", done.rate()),
            millis(&done.times, 0.5),
            millis(&done.times, 0.99),
            memory("VmRSS"),
            memory("VmHWM"),
            load.split(' ').next().unwrap_or_default().to_owned(),
        ];
        println!("  {}", row.join("  "));
        self.table.row(row);
        Ok(done)
    }
}

/// The figures that the targets are about.
fn verdict(best: &Best) -> Table {
    let mut table = Table::new(&["", "found", "target"]);
    let mut row = |what: &str, found: String, target: &str| {
        table.row([what.to_owned(), found, target.to_owned()]);
    };
    let ratio = |ours: f64, other: f64| {
        if other > 0.0 {
            format!("{:.2}", ours / other)
        } else {
            "?".to_owned()
        }
    };
    row("ours / the peer's best", ratio(best.ours, best.peer), "≥ 5");
    row(
        "ours, large / the peer's best",
        ratio(best.large, best.peer),
        "≥ 4.5",
    );
    row("ours, large / ours", ratio(best.large, best.ours), "≥ 0.9");
    let worst = |of: fn(&(f64, f64)) -> f64| best.overload.iter().map(of).reduce(f64::min);
    let (goodput, offered) = (worst(|each| each.0), worst(|each| each.1));
    if let Some(crowd) = best.crowd.iter().copied().reduce(f64::min) {
        let found = ratio(crowd, best.ours);
        row(
            "three times the connections, worst, of the best",
            found,
            "≥ 0.9",
        );
    }
    if let (Some(goodput), Some(offered)) = (goodput, offered) {
        row(
            "overload, least offered, of the best",
            ratio(offered, best.ours),
            "3",
        );
        row(
            "overload, worst goodput, of the best",
            ratio(goodput, best.ours),
            "≥ 0.9",
        );
    }
    for (label, target) in [
        ("ours 500", "≤ 3 / 12 ms"),
        ("ours 2000", "≤ 4 / 25 ms"),
        ("ours, large 500", "≤ 3 / 12 ms"),
        ("ours, large 2000", "≤ 4 / 25 ms"),
    ] {
        let runs = best.open.iter().filter(|(name, ..)| name == label);
        let Some((_, p50, p99)) = runs.min_by_key(|(_, _, p99)| *p99) else {
            continue;
        };
        let millis = |time: &Duration| time.as_secs_f64() * 1e3;
        let found = format!("{:.2} / {:.2} ms", millis(p50), millis(p99));
        row(&format!("{label}/s: p50 / p99"), found, target);
    }
    for (what, memory, target) in [
        ("highest RSS, ≤ 256 connections", best.memory, "≤ 150 MB"),
        ("highest RSS, in overload", best.crowd_memory, "≤ 150 MB"),
    ] {
        if memory > 0 {
            row(what, format!("{} MB", megabytes(memory)), target);
        }
    }
    if best.restart.count() > 0 {
        let seconds = |share| best.restart.quantile(share).as_secs_f64();
        let found = format!("{:.2} s, worst {:.2} s", seconds(0.5), seconds(1.0));
        row("ready after SIGKILL, large", found, "≤ 2 s");
    }
    table
}

fn millis(times: &Samples, share: f64) -> String {
    format!("{:.2}", times.quantile(share).as_secs_f64() * 1e3)
}

const fn name(settings: Settings) -> &'static str {
    match settings {
        Settings::Defaults => "defaults",
        Settings::Fastest => "fastest",
        Settings::FastestExact => "fastest, exact",
        _ => "?",
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate of some thousands"
)]
fn three_times(rate: f64) -> u32 {
    (3.0 * rate) as u32
}

fn told<T>(outcome: Result<T, String>) -> Result<T> {
    outcome.map_err(|error| anyhow!(error))
}

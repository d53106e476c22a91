//! `cargo run --release -p waxseal-benches --bin instance`: an instance under load, beside the
//! figures of its peers.
//!
//! It starts `waxseald up`, as it was built beside this program (`cargo build --release -p waxseal
//! -p waxseald`), on a temporary directory, and gives it work over loopback, with generator and
//! server on the same cores: log entries, certificates, timestamps, and `waxseal sign` as a process.
//! `--instance DIR` takes an instance that runs already. `--seconds N` is the length of each phase
//! (default 5). Every answer is verified, after the clock has stopped: proof and checkpoint of an
//! entry, signature and SCT of a certificate, token of a timestamp.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use waxseal_benches::load::{
    Certificates, Entries, Pace, Paced, Served, Target, Timestamps, Work, pace,
    workflow_certificate,
};
use waxseal_benches::{
    Program, Samples, Table, beside, disk, load_average, megabytes, two_workers,
};
use waxseal_instance::DEMO_IDENTITY;
use waxseal_tests_simulation::{Author, Chance, Connection, Running, free_port, resident_memory};

/// Requests that are made before a phase begins: more than any server here answers in a second.
const MOST_PER_SECOND: usize = 12_000;

/// Starts from nothing, and on a directory that was made before.
const STARTS: usize = 5;

/// Whose certificates a phase asks for.
const IDENTITIES: usize = 24;

/// Runs of `waxseal sign`.
const SIGNS: usize = 30;

/// `reference` figures: measured on two cores of an AMD EPYC with the generator on the same two,
/// bodies of 2.2 KB. They are given as they are: only what runs in one run can be compared.
const PEERS: &[[&str; 3]] = &[
    [
        "log",
        "rekor-tiles 2.3.0, defaults, 1024 connections",
        "102/s, p50 11.7 s",
    ],
    [
        "log",
        "rekor-tiles 2.3.0, fastest settings, 64 connections",
        "64/s, p50 1.00 s",
    ],
    [
        "log",
        "rekor-tiles 2.3.0, fastest settings, 4000 connections",
        "1,560/s, p50 2.8 s",
    ],
    [
        "log",
        "rekor-tiles 2.3.0, persistent deduplication, open loop 500/s",
        "p50 716 ms, p99 1.20 s; RSS 264–407 MB",
    ],
    [
        "log",
        "rekor-tiles 2.3.0, start, idle",
        "30–90 ms, 23 MB (log alone)",
    ],
    [
        "CA",
        "Fulcio 1.8.8 without CT log, 1 / 16 / 64 connections",
        "855 / 2,338 / 2,322/s; p50 1.1 / 6.5 / 27 ms",
    ],
    [
        "CA",
        "Fulcio 1.8.8 with TesseraCT at its fastest, 1 / 16 / 64",
        "44 / 212 / 216/s; p50 22 / 74 / 289 ms",
    ],
    [
        "TSA",
        "timestamp-authority 2.1.5, 1 / 16 / 64 connections",
        "1,408 / 2,891 / 3,493/s",
    ],
    [
        "sign",
        "cosign 3.1.3 on those servers, process",
        "1.0 s, 63 MB RSS",
    ],
];

#[expect(clippy::print_stdout, reason = "a bench prints its tables")]
fn main() -> Result<()> {
    let arguments = Arguments::parse()?;
    let runtime = two_workers()?;
    println!("load average before: {}", load_average());
    let folder = tempfile::tempdir()?;
    runtime.block_on(async {
        let (running, target) = match &arguments.instance {
            Some(data) => (None, Target::of(data)?),
            None => {
                let running = starts(folder.path()).await?;
                let target = Target::of(running.data())?;
                (Some(running), target)
            }
        };
        println!("{}\n", disk(folder.path())?);
        Bench {
            running,
            target,
            seconds: arguments.seconds,
            work: folder.path().to_owned(),
        }
        .run()
        .await
    })?;
    let mut peers = Table::new(&["peers, as measured elsewhere", "", ""]);
    for row in PEERS {
        peers.row(row.map(str::to_owned));
    }
    println!("{peers}");
    println!("load average after: {}", load_average());
    Ok(())
}

struct Arguments {
    instance: Option<PathBuf>,
    seconds: u64,
}

impl Arguments {
    fn parse() -> Result<Self> {
        let mut parsed = Self {
            instance: None,
            seconds: 5,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let value = arguments.next();
            let value = value.with_context(|| format!("{argument} needs a value"))?;
            match argument.as_str() {
                "--instance" => parsed.instance = Some(value.into()),
                "--seconds" => parsed.seconds = value.parse()?,
                _ => bail!("usage: instance [--instance DIR] [--seconds N]"),
            }
        }
        Ok(parsed)
    }
}

/// Starts instances, and leaves the last one running.
#[expect(clippy::print_stdout, reason = "a bench prints its tables")]
async fn starts(folder: &Path) -> Result<Running> {
    let program = beside("waxseald")?;
    let mut chance = Chance::new(u64::from(std::process::id()));
    let (mut from_nothing, mut again) = (Samples::default(), Samples::default());
    let mut last = None;
    for number in 0..STARTS {
        drop(last.take());
        let data = folder.join(format!("data-{number}"));
        let port = told(free_port(&mut chance))?;
        let (running, time) = told(Running::start(&program, &data, port).await)?;
        from_nothing.add(time);
        drop(running);
        let (running, time) = told(Running::start(&program, &data, port).await)?;
        again.add(time);
        last = Some(running);
    }
    let running = last.context("nothing was started")?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut table = Table::new(&["waxseald up", "median", "worst", "target"]);
    for (label, samples, target) in [
        ("ready, from nothing", &from_nothing, "≤ 5 s"),
        ("ready, on a made directory, killed before", &again, "≤ 1 s"),
    ] {
        let shown = |share| format!("{:.3} s", samples.quantile(share).as_secs_f64());
        table.row([label.to_owned(), shown(0.5), shown(1.0), target.to_owned()]);
    }
    let idle = memory(&running, "VmRSS");
    table.row([
        "idle RSS".to_owned(),
        idle,
        String::new(),
        "≤ 100 MB".to_owned(),
    ]);
    println!("{table}");
    Ok(running)
}

struct Bench {
    running: Option<Running>,
    target: Target,
    seconds: u64,
    /// A folder to work in.
    work: PathBuf,
}

impl Bench {
    #[expect(clippy::print_stdout, reason = "a bench prints its tables")]
    async fn run(&self) -> Result<()> {
        let author = told(Author::new())?;
        let token = self.target.token(DEMO_IDENTITY).await?;
        let mut certificates = Certificates::new(&self.target, &author, &[token])?;
        let certificate = self.one_certificate(&mut certificates).await?;
        let certificate = workflow_certificate(author.public_key(), &certificate).await?;
        let author = author.with_certificate(certificate);
        let about = format!("{:?}", Instant::now());
        let mut entries = Entries::new(Arc::new(self.target.log_key()?), Arc::new(author), &about);

        let mut table = Table::new(&[
            "work", "pace", "answers", "per s", "p50 ms", "p99 ms", "body B", "RSS MB",
        ]);
        for each in [
            Pace::Closed(1),
            Pace::Closed(64),
            Pace::Closed(256),
            Pace::open(500),
        ] {
            self.phase(&mut table, "log entries", &mut entries, each, usize::MAX)
                .await?;
        }
        for each in [Pace::Closed(1), Pace::Closed(16), Pace::Closed(64)] {
            // Tokens live for some minutes, whatever the length of a phase.
            let mut tokens = Vec::new();
            for number in 0..IDENTITIES {
                let address = format!("{number}.{}@example.com", connections(each));
                tokens.push(self.target.token(&address).await?);
            }
            let author = told(Author::new())?;
            let mut fresh = Certificates::new(&self.target, &author, &tokens)?;
            self.phase(
                &mut table,
                "certificates with SCT",
                &mut fresh,
                each,
                IDENTITIES * Certificates::PER_TOKEN,
            )
            .await?;
        }
        let mut timestamps = Timestamps::new(&self.target)?;
        for each in [
            Pace::Closed(1),
            Pace::Closed(16),
            Pace::Closed(64),
            Pace::open(500),
        ] {
            self.phase(&mut table, "timestamps", &mut timestamps, each, usize::MAX)
                .await?;
        }
        println!("{table}");
        if let Some(running) = &self.running {
            println!("server's highest RSS: {}\n", memory(running, "VmHWM"));
        }
        self.sign().await
    }

    async fn one_certificate(&self, work: &mut Certificates) -> Result<Vec<u8>> {
        let mut connection = Connection::open(self.target.port()).await?;
        let endpoint = work.endpoint();
        let one = work.request()?;
        let answer = connection
            .post_as(endpoint.path, endpoint.content_type, &one.lines, &one.body)
            .await?;
        work.certificate(&answer.body)
            .with_context(|| answer.text())
    }

    async fn phase<W: Work>(
        &self,
        table: &mut Table,
        label: &str,
        work: &mut W,
        each: Pace,
        limit: usize,
    ) -> Result<()> {
        let seconds = usize::try_from(self.seconds)?;
        let (shown, most) = match each {
            Pace::Open { rate, .. } => (format!("open {rate}/s"), seconds * usize::try_from(rate)?),
            Pace::Closed(1) => ("closed 1".to_owned(), seconds * MOST_PER_SECOND / 3),
            Pace::Closed(count) => (format!("closed {count}"), seconds * MOST_PER_SECOND),
            _ => bail!("a pace without a name"),
        };
        let most = most.min(limit);
        let time = Duration::from_secs(self.seconds);
        let served = Served {
            port: self.target.port(),
            id: None,
        };
        let done: Paced = pace(served, work, each, most, time).await?;
        let millis = |share| format!("{:.2}", done.times.quantile(share).as_secs_f64() * 1e3);
        let memory = self.running.as_ref();
        table.row([
            label.to_owned(),
            shown,
            done.times.count().to_string(),
            format!("{:.0}", done.rate()),
            millis(0.5),
            millis(0.99),
            done.body.to_string(),
            memory.map_or_else(|| "?".to_owned(), |running| memory_of(running, "VmRSS")),
        ]);
        Ok(())
    }

    /// `waxseal sign` of one file as a process: certificate, timestamp, log entry, verification.
    #[expect(clippy::print_stdout, reason = "a bench prints its tables")]
    async fn sign(&self) -> Result<()> {
        let program = beside("waxseal")?;
        let (artifact, token) = (self.work.join("artifact"), self.work.join("token"));
        std::fs::write(&artifact, "an artifact")?;
        std::fs::write(&token, self.target.token(DEMO_IDENTITY).await?)?;
        let text = |path: &Path| path.to_str().map(str::to_owned).context("not Unicode");
        let token = format!("@{}", text(&token)?);
        let (artifact, data) = (text(&artifact)?, text(self.target.data())?);
        let arguments = [
            "sign",
            &artifact,
            "--instance",
            &data,
            "--identity-token",
            &token,
            "--force",
        ];
        let sign = Program::new(&program, arguments);
        let mut samples = Samples::default();
        for _ in 0..SIGNS {
            sign.time(&mut samples)?;
        }
        let peak = sign
            .peak_memory()?
            .map_or_else(|| "?".to_owned(), megabytes);
        let mut table = Table::new(&["waxseal sign", "best ms", "median ms", "p99 ms", "RSS MB"]);
        let millis = |share| format!("{:.1}", samples.quantile(share).as_secs_f64() * 1e3);
        table.row([
            format!("one file, {SIGNS} processes (target ≤ 100 ms)"),
            millis(0.0),
            millis(0.5),
            millis(0.99),
            peak,
        ]);
        println!("{table}");
        Ok(())
    }
}

const fn connections(each: Pace) -> usize {
    match each {
        Pace::Closed(connections) => connections,
        _ => 0,
    }
}

fn memory(running: &Running, field: &str) -> String {
    format!("{} MB", memory_of(running, field))
}

fn memory_of(running: &Running, field: &str) -> String {
    resident_memory(running.id(), field).map_or_else(|| "?".to_owned(), megabytes)
}

fn told<T>(outcome: Result<T, String>) -> Result<T> {
    outcome.map_err(|error| anyhow!(error))
}

//! Load: log-ins per minute over HTTP with a real store, and memory while people begin log-ins that
//! they never end. `WAXSEAL_SOAK=1` asks for the full counts, and prints what was measured.
//!
//! Speed is not asserted beyond what is promised: 1,000 log-ins a minute on two cores.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and a measurement is printed"
)]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use libtest_mimic::{Arguments, Failed, Trial};
use waxseal_identity_server::{RecordKey, RecordKind, Store as _, transact};
use waxseal_tests_broker::{Attempt, Play, Stage, Visitor, network, on_stage, soaks};
use waxseal_transport_reqwest::ReqwestTransport;

/// The issuer that the proxy in front speaks for.
const ISSUER: &str = "https://id.example/auth";

/// What the process may grow by between the first tenth of the abandoned log-ins and the last, in
/// KiB, whatever their count: what an allocator holds back for each of its threads, and the bitmap
/// of the store's pages. Measured is 1 MiB or less; of 100,000 log-ins it is 34 bytes for each, and
/// the shortest record of one has more than that.
const GROWTH: u64 = 3 * 1024;

/// Records of somebody else's log-ins that fill the store's cache before anything is measured, as
/// in a broker that runs for a while; and the bytes of each. Twice the cache (`CACHE_BYTES` of
/// `store-embedded`).
const FILLING: u64 = 32_768;
const FILLING_BYTES: usize = 512;

/// People at once.
const PEOPLE: u64 = 16;

fn main() -> ExitCode {
    let trials = vec![
        Trial::test("a thousand log-ins a minute", thousand_a_minute),
        Trial::test("abandoned log-ins take no memory", abandoned),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A broker as it is run for others: with mail, caught here, and behind a proxy that tells who asks.
/// All limits per address and client are on.
fn play() -> Play {
    let mut play = Play::default();
    play.mails = true;
    play.public_log = true;
    play.proxied = Some(ISSUER.to_owned());
    play
}

/// Somebody at an address of their own.
fn somebody(transport: &Arc<ReqwestTransport>, number: u64) -> Visitor {
    let mut visitor = Visitor::on(Arc::clone(transport));
    let [_, _, _, _, _, a, b, c] = number.to_be_bytes();
    visitor.forwarded = Some(format!("10.{a}.{b}.{c}"));
    visitor
}

/// The client's request, at the socket behind the proxy.
fn request(stage: &Stage, attempt: &Attempt) -> String {
    attempt.url().replace(ISSUER, &stage.address)
}

/// From the client's request to its tokens, and the code refused the second time.
async fn log_in(stage: &Stage, visitor: &mut Visitor, number: u64) -> Result<(), String> {
    let mut attempt = Attempt::new(ISSUER)?;
    let address = format!("person-{number}@example.com");
    let page = visitor.visit(&request(stage, &attempt)).await?;
    let page = visitor.fill(&page, "email", &address).await?;
    let code = stage.mails.take(&address).await?;
    let answer = visitor.fill(&page, "code", &code).await?;
    let code = answer.parameter("code").ok_or(answer.body)?;
    attempt.issuer.clone_from(&stage.address);
    let tokens = visitor.exchange(&attempt, &code).await?;
    if tokens.status != 200 {
        return Err(format!("{}: {}", tokens.status, tokens.body));
    }
    Ok(())
}

/// Runs `count` pieces of work, as many at once as there are people.
async fn all<F>(count: u64, work: impl Fn(u64) -> F) -> Result<(), String>
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let mut running = tokio::task::JoinSet::new();
    for number in 0..count {
        if number >= PEOPLE {
            running.join_next().await.unwrap().unwrap()?;
        }
        running.spawn(work(number));
    }
    while let Some(done) = running.join_next().await {
        done.unwrap()?;
    }
    Ok(())
}

fn thousand_a_minute() -> Result<(), Failed> {
    let count = if soaks() { 1000 } else { 100 };
    let play = play();
    on_stage(&play, async |stage| {
        let transport = network()?;
        let slowest = Arc::new(AtomicU64::new(0));
        let begun = Instant::now();
        all(count, |number| {
            let (stage, slowest) = (Arc::clone(&stage), Arc::clone(&slowest));
            let mut visitor = somebody(&transport, number);
            async move {
                let begun = Instant::now();
                log_in(&stage, &mut visitor, number).await?;
                let took = u64::try_from(begun.elapsed().as_millis()).unwrap();
                slowest.fetch_max(took, Ordering::Relaxed);
                Ok(())
            }
        })
        .await?;
        let took = begun.elapsed();
        let rate = f64::from(u32::try_from(count).unwrap()) * 60.0 / took.as_secs_f64();
        println!(
            "{count} log-ins in {took:.1?}: {rate:.0} a minute, the slowest {} ms",
            slowest.load(Ordering::Relaxed)
        );
        // The promise, for a machine that does nothing else; where others build beside this test
        // half of it must do.
        let promised = if soaks() { 1000.0 } else { 500.0 };
        if rate < promised {
            return Err(format!("{rate:.0} log-ins a minute, promised are 1000"));
        }
        Ok(())
    })?;
    Ok(())
}

fn abandoned() -> Result<(), Failed> {
    let count: u64 = if soaks() { 100_000 } else { 3_000 };
    let play = play();
    on_stage(&play, async |stage| {
        let transport = network()?;
        let abandon = |offset: u64| {
            let (stage, transport) = (Arc::clone(&stage), Arc::clone(&transport));
            move |number: u64| {
                let number = offset + number;
                let stage = Arc::clone(&stage);
                let mut visitor = somebody(&transport, number);
                async move {
                    let attempt = Attempt::new(ISSUER)?;
                    let begun = visitor.get(&request(&stage, &attempt)).await?;
                    let cookie = begun.header("set-cookie");
                    if begun.status != 303 || cookie.is_empty() {
                        return Err(format!("{}: {}", begun.status, begun.body));
                    }
                    // One in ten gets as far as a code, and leaves it in the mailbox.
                    if number.is_multiple_of(10) {
                        let page = visitor.follow(begun).await?;
                        let address = format!("person-{number}@example.com");
                        visitor.fill(&page, "email", &address).await?;
                        stage.mails.take(&address).await?;
                    }
                    Ok(())
                }
            }
        };
        fill(&stage).await?;
        // Ten parts; what the process holds after each.
        let part = count / 10;
        let mut held = Vec::new();
        let begun = Instant::now();
        for number in 0..10 {
            all(part, abandon(number * part)).await?;
            held.push(resident());
        }
        let kept = stage.store.len().map_err(|e| e.to_string())?;
        println!(
            "{count} abandoned log-ins in {:.1?}: {held:?} KiB resident after each tenth, {kept} records",
            begun.elapsed()
        );
        assert!(kept >= FILLING + count, "{kept} records: they were kept");
        let most = held.iter().max().unwrap();
        let grown = most - held[0];
        assert!(
            held[0] > 0 && grown < GROWTH,
            "{grown} KiB more than after the first tenth"
        );
        // They end by themselves.
        stage.advance(2 * 3600);
        let removed = stage
            .store
            .sweep(stage.now())
            .await
            .map_err(|e| e.to_string())?;
        let left = stage.store.len().map_err(|e| e.to_string())?;
        assert!(left <= 2, "{removed} were removed, {left} are left");
        let swept = resident();
        println!("swept {removed}: {swept} KiB resident");
        Ok(())
    })?;
    Ok(())
}

/// Makes the store hold more than its cache.
async fn fill(stage: &Stage) -> Result<(), String> {
    let expires = stage.now().checked_add(Duration::from_secs(3600)).unwrap();
    for from in (0..FILLING).step_by(1024) {
        let records = (from..from + 1024).map(|number: u64| {
            let key = RecordKey::new(RecordKind::Login, &[b"filling", &number.to_be_bytes()]);
            transact(&*stage.store, vec![key], stage.now(), move |slots| {
                slots[0].record = Some((vec![7; FILLING_BYTES], expires));
            })
        });
        let kept = try_join_all(records).await;
        kept.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// What this process has in memory, in KiB: client and broker together.
fn resident() -> u64 {
    // The kernel counts lazily on many threads; what is read here is exact.
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("Rss:"));
    let digits: String = line
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap_or(0)
}

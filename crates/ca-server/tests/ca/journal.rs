//! What the process writes into its own log: one line for each certificate, warnings once, no
//! secret and nothing that a caller could forge.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::{Arc, Once};
use std::time::Duration;

use serde_json::{Value, json};
use tracing_subscriber::util::SubscriberInitExt as _;
use waxseal_crypto::SignatureAlgorithm;
use waxseal_serve::Shutdown;

use crate::world::*;

thread_local! {
    static RECORDS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes to its thread's own buffer: every test runs on one thread.
struct Sink;

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        RECORDS.with_borrow_mut(|records| records.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes every record from here on. One subscriber for all threads, and before anything is told:
/// `tracing` asks whoever comes first whether a record is wanted, and remembers the answer.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_writer(|| Sink)
            .json()
            .flatten_event(true)
            .finish()
            .init();
    });
    RECORDS.with_borrow_mut(Vec::clear);
}

fn text() -> String {
    String::from_utf8(RECORDS.with_borrow(Clone::clone)).unwrap()
}

fn records(message: &str) -> Vec<Value> {
    let text = text();
    let records = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"));
    records
        .filter(|record: &Value| record["message"] == message)
        .collect()
}

#[tokio::test]
async fn s_55_s_56_one_line_for_each_and_no_secret() {
    let world = World::new().await;
    let token = token().await;
    let leaf = world.leaf(&world.ask_with_token(&token).await);
    // Refusals and faults, with secrets and line ends in every place a caller can reach.
    let key = provider()
        .generate(SignatureAlgorithm::EcdsaP256Sha256)
        .unwrap();
    let private = key.to_pem();
    world
        .post(Some(&token), &key_body_of(&private, "AAAA"))
        .await;
    let forged = "-----BEGIN x\r\n{\"message\":\"issued\"}-----\nCANARYSECRET";
    world.post(Some(&token), &key_body_of(forged, "AAAA")).await;
    let long = format!(
        "-----BEGIN {0}-----\nAAAA\n-----END {0}-----",
        "x".repeat(30_000)
    );
    world
        .post(
            Some(&token),
            &key_body_of(&long.replacen("END x", "END y", 1), "AAAA"),
        )
        .await;
    world
        .post(Some(&format!("{token}CANARYSECRET")), &json!({}))
        .await;
    world.set_log(Log::Status(400));
    world.ask_with_token(&token).await;

    let text = text();
    let issued = records("issued");
    assert_eq!(issued.len(), 1, "{text}");
    assert_eq!(issued[0]["identity"], "alice@example.com");
    assert_eq!(issued[0]["issuer"], ISSUER);
    assert_eq!(issued[0]["serial"], hex::encode(leaf.serial()));
    let refused = records("no certificate");
    assert_eq!(refused.len(), 5, "{text}");
    for record in refused {
        let cause = record["cause"].as_str().unwrap();
        assert!((1..=500).contains(&cause.len()), "{cause}");
    }
    let signature = token.rsplit('.').next().unwrap();
    let inside = private.lines().nth(1).unwrap();
    for secret in ["CANARYSECRET", signature, inside, &token] {
        assert!(!text.contains(secret), "{secret} in\n{text}");
    }
}

/// Runs the background work for so long, in a time of its own.
async fn run(world: &World, seconds: u64) {
    let shutdown = Shutdown::new();
    let (ca, fired) = (Arc::clone(&world.ca), shutdown.clone());
    let running = tokio::spawn(async move { ca.run(fired).await });
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    shutdown.trigger();
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_log_is_told_once() {
    let world = World::new().await;
    world.set_log(Log::Down);
    run(&world, 5).await;
    assert_eq!(records("the CT log does not answer").len(), 1);
    assert_eq!(records("the CT log answers again").len(), 0);
    world.set_log(Log::Honest);
    run(&world, 5).await;
    assert_eq!(records("the CT log answers again").len(), 1);
    world.set_log(Log::Down);
    run(&world, 5).await;
    assert_eq!(records("the CT log does not answer").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_chain_is_warned_of_at_90_30_and_7_days() {
    const DAY: i64 = 86_400;
    let root = SignatureAlgorithm::EcdsaP384Sha384;
    let chain = chain(root, SignatureAlgorithm::EcdsaP256Sha256, 100 * DAY).await;
    let world = World::with(chain, |_| {});
    for (left, warnings) in [
        (95, 0),
        (90, 0),
        (89, 1),
        (80, 1),
        (29, 2),
        (10, 2),
        (6, 3),
        (1, 3),
    ] {
        world.set_time((100 - left) * DAY);
        run(&world, 1).await;
        let found = records("a certificate of the authority's chain ends soon").len();
        assert_eq!(found, warnings, "{left} days left");
    }
}

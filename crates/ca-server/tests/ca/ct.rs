//! The log down, slow or lying: no certificate, whatever it does.

use std::time::Duration;

use crate::world::*;

const MESSAGE: &str = "Error entering certificate in CTL";

async fn check(log: Log) {
    let world = World::new().await;
    world.set_log(log);
    let answer = world.ask().await;
    answer.check(500, 13, MESSAGE, "CT_LOG");
    assert!(
        !answer.text.contains("localhost"),
        "causes stay in the log: {}",
        answer.text
    );
    // As soon as it is honest again, all is well.
    world.set_log(Log::Honest);
    world.leaf(&world.ask().await);
}

#[tokio::test]
async fn transport() {
    for log in [
        Log::Down,
        Log::Huge,
        Log::Status(400),
        Log::Status(500),
        Log::Status(201),
    ] {
        check(log).await;
    }
}

#[tokio::test]
async fn answer() {
    for log in [Log::NotJson, Log::BadBase64, Log::Version2] {
        check(log).await;
    }
}

#[tokio::test]
async fn sct() {
    for log in [
        Log::WrongKey,
        Log::WrongLogId,
        Log::ShortId,
        Log::OtherEntry,
        Log::OtherIssuer,
        Log::NoSignature,
    ] {
        check(log).await;
    }
}

#[tokio::test]
async fn time() {
    check(Log::Future).await;
    check(Log::Past).await;
    let world = World::new().await;
    world.set_log(Log::SlightlyAhead);
    world.leaf(&world.ask().await);
}

#[tokio::test(start_paused = true)]
async fn a_silent_log_is_waited_for_ten_seconds() {
    let world = World::new().await;
    world.set_log(Log::Silent);
    let start = tokio::time::Instant::now();
    let answer = world.ask().await;
    answer.check(500, 13, MESSAGE, "CT_LOG");
    assert_eq!(start.elapsed().as_secs(), Duration::from_secs(10).as_secs());
}

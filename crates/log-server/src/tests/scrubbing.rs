//! Rule D8: a flipped bit is found, wherever it is, and the log is only read then.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use waxseal_serve::{NotReady, Shutdown};
use waxseal_tlog::{Tile, TilePath};

use crate::append::Pending;
use crate::scrub::Scrub;
use crate::server::Parts;
use crate::service::SubmitError;
use crate::testing::{Rig, Word};
use crate::{AppendError, LogServer, ObjectName};

/// A log of that many entries, sealed as far as they go, and not running.
async fn grown(rig: &Rig, size: u64) -> LogServer {
    let log = rig.start().await.unwrap();
    let parts = log.parts.lock().unwrap().take().unwrap();
    let Parts {
        mut pipeline,
        mut sealer,
        ..
    } = parts;
    let texts: Vec<_> = (1..size).map(|n| format!("entry {n}")).collect();
    for texts in texts.chunks(1024) {
        let waiting = texts.iter().map(|text| Pending::new(Word::boxed(text)).0);
        pipeline.append(waiting.collect()).await.unwrap();
        sealer.seal().await.unwrap();
    }
    log
}

async fn is_damaged(log: &LogServer) -> bool {
    let scrub = Scrub::new(Arc::clone(&log.shared), log.metrics.clone());
    scrub.pass().await;
    log.shared.damaged.swap(false, Ordering::SeqCst)
}

fn tile(level: u8, index: u64) -> ObjectName {
    ObjectName::Tile(TilePath::Tile(Tile::new(level, index, 256).unwrap()))
}

fn bundle(index: u64) -> ObjectName {
    ObjectName::Tile(TilePath::Entries { index, width: 256 })
}

#[tokio::test]
async fn d8_a_flipped_bit_is_found_wherever_it_is() {
    let rig = Rig::new();
    let log = grown(&rig, 65_536 + 600).await;
    assert!(!is_damaged(&log).await);
    let objects = &rig.objects.inner;
    for name in [bundle(0), bundle(257), tile(0, 0), tile(0, 200), tile(1, 0)] {
        let length = objects.lock().unwrap()[&name].len();
        for at in [0, length / 2, length - 1] {
            let flip = || objects.lock().unwrap().get_mut(&name).unwrap()[at] ^= 0x20;
            flip();
            assert!(is_damaged(&log).await, "{name} at {at}");
            flip();
        }
        let bytes = objects.lock().unwrap().remove(&name).unwrap();
        assert!(is_damaged(&log).await, "{name} is missing");
        objects.lock().unwrap().insert(name, bytes);
    }
    // In the ledger, and in the checkpoint.
    let flip = || {
        let mut ledger = rig.ledger.inner.lock().unwrap();
        ledger.tail.last_entry().unwrap().get_mut()[3] ^= 1;
    };
    flip();
    assert!(is_damaged(&log).await);
    flip();
    let flip = || {
        objects
            .lock()
            .unwrap()
            .get_mut(&ObjectName::Checkpoint)
            .unwrap()[20] ^= 1
    };
    flip();
    assert!(is_damaged(&log).await);
    flip();
    assert!(!is_damaged(&log).await);
}

/// A stored entry that goes with its tile, but not with the tree.
#[tokio::test]
async fn d8_what_agrees_with_itself_is_compared_with_the_root() {
    let rig = Rig::new();
    let log = grown(&rig, 600).await;
    {
        let mut objects = rig.objects.inner.lock().unwrap();
        let (first, second) = (objects[&bundle(0)].clone(), objects[&bundle(1)].clone());
        objects.insert(bundle(0), second);
        objects.insert(bundle(1), first);
        let (first, second) = (objects[&tile(0, 0)].clone(), objects[&tile(0, 1)].clone());
        objects.insert(tile(0, 0), second);
        objects.insert(tile(0, 1), first);
    }
    assert!(is_damaged(&log).await);
}

#[tokio::test(start_paused = true)]
async fn an_object_store_that_is_away_for_a_moment_is_no_damage() {
    let rig = Rig::new();
    let log = grown(&rig, 600).await;
    rig.objects.fails_to_read.store(true, Ordering::SeqCst);
    let scrub = Scrub::new(Arc::clone(&log.shared), log.metrics.clone());
    let back = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        rig.objects.fails_to_read.store(false, Ordering::SeqCst);
    };
    tokio::join!(scrub.pass(), back);
    assert!(!log.shared.is_damaged());
    // One that stays away is.
    rig.objects.fails_to_read.store(true, Ordering::SeqCst);
    assert!(is_damaged(&log).await);
}

#[tokio::test]
async fn d8_a_damaged_log_is_only_read_and_says_so() {
    let rig = Rig::new();
    drop(grown(&rig, 600).await);
    let log = Arc::new(rig.start().await.unwrap());
    let shutdown = Shutdown::new();
    let running = tokio::spawn({
        let (log, shutdown) = (Arc::clone(&log), shutdown.clone());
        async move { log.run(shutdown).await }
    });
    let body = |text: &'static str| bytes::Bytes::from_static(text.as_bytes());
    assert!(log.service.submit(0, &body("before")).await.is_ok());
    log.flush().await;
    rig.objects
        .inner
        .lock()
        .unwrap()
        .get_mut(&bundle(0))
        .unwrap()[100] ^= 1;
    // The scrub that runs along finds it within seconds.
    for _ in 0..100 {
        if log.statistics().is_damaged {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let error = log.service.submit(0, &body("after")).await.unwrap_err();
    assert!(matches!(error, SubmitError::Append(AppendError::Damaged)));
    let reason = NotReady("stored entries of the log are damaged");
    assert_eq!(log.health("log").ready().await, Err(("log", reason)));
    assert!(rig.meter.text().contains("log_damaged 1"));
    // What is whole is read on.
    let path = TilePath::Tile(Tile::new(0, 1, 256).unwrap());
    assert!(log.service.read(path).await.unwrap().is_some());
    shutdown.trigger();
    running.await.unwrap().unwrap();
}

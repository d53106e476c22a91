//! The end of a log, and what its operator is told about it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use waxseal_serve::NotReady;
use waxseal_tlog::{Origin, SignedNote};

use super::running::Running;
use crate::service::SubmitError;
use crate::testing::{Fault, ORIGIN, Rig};
use crate::{AppendError, Config, LogServer, ObjectName, StartError, Statistics};

#[tokio::test]
async fn frozen() {
    let rig = Rig::new();
    let log = Running::new(rig.start().await.unwrap());
    for n in 0..300 {
        log.submit(&n.to_string()).await.unwrap();
    }
    let last = log.log.freeze().await.unwrap();
    assert_eq!(last.tree_size, 301);
    // A plain checkpoint: witnesses refuse extension lines.
    let note = SignedNote::parse(&last.checkpoint).unwrap();
    assert_eq!(note.unverified_text().lines().count(), 3);
    let object = rig.objects.inner.lock().unwrap()[&ObjectName::Checkpoint].clone();
    assert_eq!(object, last.checkpoint.as_bytes());
    for text in ["new", "7"] {
        let error = log.submit(text).await.unwrap_err();
        assert!(matches!(error, SubmitError::Append(AppendError::Frozen)));
    }
    assert_eq!(log.log.freeze().await.unwrap(), last);
    log.stop().await;

    // For ever, without a word in the configuration, and without the key.
    rig.signer_fails.store(true, Ordering::SeqCst);
    let log = Running::new(rig.start().await.unwrap());
    assert_eq!(log.log.published(), last);
    let error = log.submit("new").await.unwrap_err();
    assert!(matches!(error, SubmitError::Append(AppendError::Frozen)));
    assert!(log.log.statistics().is_frozen);
    assert_eq!(log.log.health("log").ready().await, Ok(()));
    log.stop().await;
}

/// What is told of a log that nobody runs is what it tells itself, and it is only looked at.
#[tokio::test]
async fn a_look_at_a_log_that_does_not_run() {
    let rig = Rig::new();
    let config = || Config::new(Origin::new(ORIGIN).unwrap());
    let look = async || Statistics::look(config(), rig.context()).await.unwrap();
    let empty = look().await;
    assert_eq!((empty.committed, empty.epoch, empty.signatures), (0, 0, 0));
    assert_eq!(rig.ledger.inner.lock().unwrap().state, None);
    let log = Running::new(rig.start().await.unwrap());
    log.grow(0, 300).await;
    log.log.flush().await;
    // Sealed tiles are told to the ledger with the next commit.
    log.grow(300, 301).await;
    log.log.flush().await;
    let told = log.log.statistics();
    log.stop().await;
    let signed = rig.signed.load(Ordering::SeqCst);
    let objects = rig.objects.inner.lock().unwrap().clone();
    for _ in 0..2 {
        let looked = look().await;
        let expected = Statistics {
            sealed: 256,
            is_stopped: false,
            ..told.clone()
        };
        assert_eq!(looked, expected);
    }
    assert_eq!(rig.signed.load(Ordering::SeqCst), signed);
    assert_eq!(*rig.objects.inner.lock().unwrap(), objects);
    // It says what keeps a log from starting.
    rig.ledger.inner.lock().unwrap().tail.clear();
    assert!(Statistics::look(config(), rig.context()).await.is_err());
}

/// A look that panics says so, and nothing of a first entry.
#[tokio::test]
async fn broken_off() {
    let rig = Rig::new();
    let ledger = Arc::clone(&rig.ledger);
    let poisoner = std::thread::spawn(move || {
        let _inner = ledger.inner.lock().unwrap();
        panic!("the store of this test panics from now on");
    });
    assert!(poisoner.join().is_err());
    let config = Config::new(Origin::new(ORIGIN).unwrap());
    let error = Statistics::look(config, rig.context()).await.unwrap_err();
    assert!(matches!(error, StartError::BrokenOff(_)), "{error:?}");
}

#[tokio::test]
async fn a_freeze_loses_nobody() {
    let rig = Rig::new();
    rig.ledger.millis.store(2, Ordering::SeqCst);
    let log = Arc::new(Running::new(rig.start().await.unwrap()));
    let submitted = (0..400).map(|n| {
        let log = Arc::clone(&log);
        tokio::spawn(async move { log.submit(&n.to_string()).await })
    });
    let submitted: Vec<_> = submitted.collect();
    let last = log.log.freeze().await.unwrap();
    let mut appended = 0;
    for answer in submitted {
        match answer.await.unwrap() {
            Ok(logged) => {
                assert!(logged.index() < last.tree_size);
                appended += 1;
            }
            Err(error) => assert!(
                matches!(error, SubmitError::Append(AppendError::Frozen)),
                "{error:?}"
            ),
        }
    }
    assert_eq!(appended + 1, last.tree_size);
    assert_eq!(log.log.statistics().committed, last.tree_size);
    Arc::into_inner(log).unwrap().stop().await;
}

#[tokio::test]
async fn a_freeze_that_is_not_committed_is_none() {
    let rig = Rig::new();
    let log = Running::new(rig.start().await.unwrap());
    log.log.flush().await;
    rig.plan.strike(0, Fault::Fail);
    let error = log.log.freeze().await.unwrap_err();
    assert!(matches!(error, AppendError::Store(_)));
    assert!(log.submit("a").await.is_ok());
    log.stop().await;
    assert!(!rig.start().await.unwrap().statistics().is_frozen);
}

/// A log that its configuration freezes is not opened by a freeze that fails.
#[tokio::test]
async fn a_freeze_that_is_not_committed_opens_nothing() {
    let rig = Rig::new();
    drop(rig.start().await.unwrap());
    let config = Config {
        is_frozen: true,
        ..Config::new(Origin::new(ORIGIN).unwrap())
    };
    let log = LogServer::new(config, rig.context()).await.unwrap();
    let log = Running::new(log);
    log.log.flush().await;
    rig.plan.strike(0, Fault::Fail);
    let error = log.log.freeze().await.unwrap_err();
    assert!(matches!(error, AppendError::Store(_)));
    let error = log.submit("new").await.unwrap_err();
    assert!(matches!(error, SubmitError::Append(AppendError::Frozen)));
    log.stop().await;
}

#[tokio::test]
async fn statistics() {
    let rig = Rig::new();
    let log = Running::new(rig.start().await.unwrap());
    for n in 0..300 {
        log.submit(&n.to_string()).await.unwrap();
    }
    log.log.flush().await;
    let found = log.log.statistics();
    assert_eq!(found.origin.as_str(), ORIGIN);
    assert_eq!(
        (found.tree_size, found.committed, found.written),
        (301, 301, 301)
    );
    assert_eq!((found.sealed, found.waiting, found.signatures), (256, 0, 1));
    assert_eq!((found.epoch, found.log_id), (1, log.log.log_id()));
    assert_eq!(found.root_hash, log.log.published().root_hash);
    assert!(found.last_time > waxseal_crypto::Time::from_unix_millis(1_700_000_000_000).unwrap());
    assert!(!found.is_frozen && !found.is_stopped && !found.is_damaged);
    log.stop().await;
}

#[tokio::test]
async fn a_log_that_cannot_sign_is_not_ready() {
    let rig = Rig::new();
    let log = Running::new(rig.start().await.unwrap());
    assert_eq!(log.log.health("log").ready().await, Ok(()));
    rig.signer_fails.store(true, Ordering::SeqCst);
    assert!(log.submit("a").await.is_err());
    assert!(log.log.health("log").ready().await.is_err());
    rig.signer_fails.store(false, Ordering::SeqCst);
    assert!(log.submit("a").await.is_ok());
    assert_eq!(log.log.health("log").ready().await, Ok(()));
    log.stop().await;
}

/// Who is not ready is sent nothing by a load balancer: the log finds out by itself that its disk has
/// room again.
#[tokio::test]
async fn a_ledger_that_refused_a_commit_is_tried_again() {
    let rig = Rig::new();
    let log = Running::new(rig.start().await.unwrap());
    log.log.flush().await;
    rig.plan.strike(0, Fault::Fail);
    assert!(log.submit("a").await.is_err());
    let health = log.log.health("log");
    assert_eq!(
        health.ready().await,
        Err(("log", NotReady("the log's ledger cannot be written")))
    );
    let before = rig.ledger.commits.load(Ordering::SeqCst);
    for _ in 0..100 {
        if health.ready().await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(health.ready().await, Ok(()));
    assert_eq!(rig.ledger.commits.load(Ordering::SeqCst), before + 1);
    // Nothing came into the log by it.
    // One entry that was there, and this one.
    assert_eq!(log.submit("b").await.unwrap().published().tree_size, 2);
    log.stop().await;
}

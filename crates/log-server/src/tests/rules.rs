//! The rules D1 to D11 that have no file of their own. D2, D5 and D10 are among the tests of the
//! pipeline, D7 among those of the CT log, D8 with the scrub, D11 with the backups.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use waxseal_tlog::{Frontier, TilePath, leaf_hash};

use super::sequencing::sequenced;
use crate::append::{Pending, Sequenced};
use crate::pipeline::Pipeline;
use crate::server::Parts;
use crate::testing::{Fault, ORIGIN, Rig, Word};
use crate::{AppendError, LogServer, ObjectName, ReadError, StartError};

fn parts(log: &LogServer) -> Parts {
    log.parts.lock().unwrap().take().unwrap()
}

async fn append(pipeline: &mut Pipeline, text: &str) -> Result<Sequenced, AppendError> {
    let (pending, answer) = Pending::new(Word::boxed(text));
    let _ = pipeline.append(vec![pending]).await;
    let told = answer.await.unwrap_or(Err(AppendError::Stopped));
    told.map(sequenced)
}

#[tokio::test(start_paused = true)]
async fn d1_nothing_leaves_before_its_commit_is_durable() {
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    let Parts { mut pipeline, .. } = parts(&log);
    let (published, signed) = (log.published(), rig.signed.load(Ordering::SeqCst));
    rig.ledger.millis.store(1000, Ordering::SeqCst);
    let (pending, mut answer) = Pending::new(Word::boxed("a"));
    let appended = tokio::spawn(async move {
        let _ = pipeline.append(vec![pending]).await;
    });
    tokio::time::sleep(Duration::from_millis(999)).await;
    // The entry is in the tree in memory, and on its way to the disk.
    assert_eq!(log.shared.tree().size(), 2);
    assert!(answer.try_recv().is_err());
    assert_eq!(log.published(), published);
    assert_eq!(rig.signed.load(Ordering::SeqCst), signed);
    let path = TilePath::parse("tile/0/000.p/2").unwrap();
    assert_eq!(log.service.read(path).await.unwrap(), None);
    appended.await.unwrap();
    let told = answer.await.unwrap().unwrap();
    assert_eq!(sequenced(told).published.tree_size, 2);
    assert!(log.service.read(path).await.unwrap().is_some());
}

#[tokio::test]
async fn d3_a_tree_that_contradicts_itself_is_not_signed() {
    let leaves = (0..5u8).map(|n| leaf_hash(&[n]));
    for spoils_frontier in [false, true] {
        let rig = Rig::new();
        let log = rig.start().await.unwrap();
        let Parts { mut pipeline, .. } = parts(&log);
        for text in ["a", "b", "c", "d"] {
            append(&mut pipeline, text).await.unwrap();
        }
        let before = log.published();
        let committed = rig.ledger.inner.lock().unwrap().state.clone();
        if spoils_frontier {
            // What is committed …
            let mut other = Frontier::new();
            leaves.clone().for_each(|leaf| other.append(&leaf).unwrap());
            pipeline.state_mut().frontier = other;
        } else {
            // … and what tiles and proofs are made of.
            let mut other = crate::tree::Tree::default();
            leaves.clone().for_each(|leaf| other.append(&leaf));
            *log.shared.tree_mut() = other;
        }
        assert!(append(&mut pipeline, "e").await.is_err());
        assert_eq!(rig.ledger.inner.lock().unwrap().state, committed);
        assert_eq!(log.published(), before);
    }
}

#[tokio::test]
async fn d4_only_committed_roots_are_signed() {
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    let Parts { mut pipeline, .. } = parts(&log);
    let signed = rig.signed.load(Ordering::SeqCst);
    rig.plan.strike(0, Fault::Fail);
    assert!(append(&mut pipeline, "lost").await.is_err());
    assert_eq!(rig.signed.load(Ordering::SeqCst), signed);
    let sequenced = append(&mut pipeline, "kept").await.unwrap();
    assert_eq!(sequenced.index, 1);
    assert_eq!(rig.signed.load(Ordering::SeqCst), signed + 1);
    // Committed, and not signed because the process ended: it is signed at the start.
    rig.plan.strike(0, Fault::CrashAfter);
    assert!(append(&mut pipeline, "committed").await.is_err());
    assert_eq!(rig.signed.load(Ordering::SeqCst), signed + 1);
    rig.plan.restart();
    assert_eq!(rig.start().await.unwrap().published().tree_size, 3);
}

type Objects = BTreeMap<ObjectName, Vec<u8>>;

/// Whatever of the stores is older than the rest: no start. (Witnesses: see `cosign`.)
#[tokio::test]
async fn d4_stores_that_disagree_keep_the_log_from_starting() {
    let rig = Rig::new();
    let grow = async |texts: std::ops::Range<u32>| {
        let log = rig.start().await.unwrap();
        let Parts {
            mut pipeline,
            mut sealer,
            ..
        } = parts(&log);
        let last = format!("last {}", texts.end);
        for n in texts {
            append(&mut pipeline, &n.to_string()).await.unwrap();
        }
        sealer.seal().await.unwrap();
        append(&mut pipeline, &last).await.unwrap();
    };
    let stores = || {
        let ledger = rig.ledger.inner.lock().unwrap().clone();
        (ledger, rig.objects.inner.lock().unwrap().clone())
    };
    grow(0..20).await;
    let old = stores();
    grow(20..600).await;
    let new = stores();
    let with_checkpoint = |objects: &Objects, of: &Objects| {
        let checkpoint = of[&ObjectName::Checkpoint].clone();
        let mut objects = objects.clone();
        objects.insert(ObjectName::Checkpoint, checkpoint);
        objects
    };
    let refusals = [
        ("old ledger", old.0.clone(), new.1.clone()),
        ("old objects", new.0.clone(), old.1.clone()),
        ("old tiles", new.0.clone(), with_checkpoint(&old.1, &new.1)),
        ("no objects", new.0.clone(), Objects::new()),
        ("no ledger", Default::default(), new.1.clone()),
    ];
    let restore = |ledger, objects| {
        *rig.ledger.inner.lock().unwrap() = ledger;
        *rig.objects.inner.lock().unwrap() = objects;
    };
    for (what, ledger, objects) in refusals {
        restore(ledger, objects);
        assert!(rig.start().await.is_err(), "{what}");
    }
    // An old checkpoint alone is one that this log published: it starts, and replaces it.
    restore(new.0.clone(), with_checkpoint(&new.1, &old.1));
    assert!(rig.start().await.is_ok());
    // Both are old: only a witness, a backup or a client can know (`cosign`, D11).
    restore(old.0, old.1);
    assert!(rig.start().await.is_ok());
}

#[tokio::test]
async fn d6_the_published_checkpoint_never_goes_back() {
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    let Parts {
        mut pipeline,
        mut sealer,
        ..
    } = parts(&log);
    let state = pipeline.state().clone();
    append(&mut pipeline, "a").await.unwrap();
    sealer.seal().await.unwrap();
    let published = log.published();
    // A publication of an earlier state that comes late.
    let late = crate::publish::publish(&log.shared, &state).await.unwrap();
    assert_eq!(late.tree_size, 1);
    assert_eq!(log.published(), published);
    // A successor has replaced the checkpoint object: the older writer does not touch it.
    let successor = rig.start().await.unwrap();
    let mut other = parts(&successor);
    append(&mut other.pipeline, "b").await.unwrap();
    other.sealer.seal().await.unwrap();
    let object = || rig.objects.inner.lock().unwrap()[&ObjectName::Checkpoint].clone();
    let newest = object();
    // As if it had not been fenced yet, and had a top-up to write.
    let mut stale = (*published).clone();
    stale.checkpoint.push_str("— other.example AAAAAAA=\n");
    log.shared.published.send_replace(Arc::new(stale));
    let error = sealer.seal().await.unwrap_err();
    assert!(matches!(error, crate::seal::SealError::Contradiction(_)));
    assert_eq!(object(), newest);
}

#[tokio::test]
async fn d9_deduplication_is_part_of_the_commit() {
    for fault in [Fault::Fail, Fault::CrashBefore, Fault::CrashAfter] {
        let rig = Rig::new();
        let log = rig.start().await.unwrap();
        let Parts { mut pipeline, .. } = parts(&log);
        rig.plan.strike(0, fault);
        assert!(append(&mut pipeline, "a").await.is_err());
        rig.plan.restart();
        let log = rig.start().await.unwrap();
        let Parts { mut pipeline, .. } = parts(&log);
        let is_there = fault == Fault::CrashAfter;
        // The entry and its key: both or neither.
        assert_eq!(log.published().tree_size, 1 + u64::from(is_there));
        let again = append(&mut pipeline, "a").await.unwrap();
        assert_eq!((again.index, again.is_duplicate), (1, is_there));
        // The very next submission knows.
        assert!(append(&mut pipeline, "a").await.unwrap().is_duplicate);
    }
}

/// What is read from the ledger is what the tree has a hash of.
#[tokio::test]
async fn d8_damaged_bytes_of_the_ledger_are_not_told() {
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    let Parts { mut pipeline, .. } = parts(&log);
    append(&mut pipeline, "a").await.unwrap();
    rig.ledger.inner.lock().unwrap().tail.get_mut(&1).unwrap()[0] ^= 1;
    let path = TilePath::parse("tile/entries/000.p/2").unwrap();
    let error = log.service.read(path).await.unwrap_err();
    assert!(matches!(error, ReadError::Damaged { .. }));
    assert!(log.shared.is_damaged());
    let error = append(&mut pipeline, "b").await.unwrap_err();
    assert!(matches!(error, AppendError::Damaged));
    let error = rig.start().await.unwrap_err();
    assert!(matches!(error, StartError::OtherTree));
    assert_eq!(log.published().checkpoint.lines().next(), Some(ORIGIN));
}

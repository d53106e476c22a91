//! What a log does not start on.

use waxseal_crypto::SignatureAlgorithm;
use waxseal_tlog::{KeyName, NoteSigner, Origin, SignatureKind, Tile, TilePath};

use crate::append::Pending;
use crate::server::Parts;
use crate::testing::{ORIGIN, Rig, Word, provider, signer_of};
use crate::{Config, LogServer, ObjectName, StartError};

/// A log of that many entries, sealed.
async fn grown(rig: &Rig, size: u64) {
    let log = rig.start().await.unwrap();
    let Parts {
        mut pipeline,
        mut sealer,
        ..
    } = log.parts.lock().unwrap().take().unwrap();
    let start = log.published().tree_size;
    let waiting = (start..size).map(|n| Pending::new(Word::boxed(&format!("entry {n}"))).0);
    pipeline.append(waiting.collect()).await.unwrap();
    sealer.seal().await.unwrap();
    // One more commit, so that the ledger forgets what is sealed.
    let pending = Pending::new(Word::boxed(&format!("last {size}"))).0;
    pipeline.append(vec![pending]).await.unwrap();
    sealer.seal().await.unwrap();
}

async fn refused(rig: &Rig) -> StartError {
    rig.start().await.unwrap_err()
}

fn signer(name: &str) -> NoteSigner {
    let algorithm = SignatureAlgorithm::Ed25519;
    let signer = signer_of(&provider().generate(algorithm).unwrap(), algorithm);
    NoteSigner::new(KeyName::new(name).unwrap(), SignatureKind::Ed25519, signer).unwrap()
}

#[tokio::test]
async fn signer_name() {
    let mut rig = Rig::new();
    rig.signer = signer("other.example");
    assert!(matches!(refused(&rig).await, StartError::SignerName));
    let config = Config::new(Origin::new(ORIGIN).unwrap());
    let context = crate::Context {
        signers: Vec::new(),
        ..rig.context()
    };
    assert!(matches!(
        LogServer::new(config, context).await,
        Err(StartError::SignerName)
    ));
}

#[tokio::test]
async fn other_log() {
    let mut rig = Rig::new();
    grown(&rig, 3).await;
    rig.signer = signer("other.example");
    let config = Config::new(Origin::new("other.example").unwrap());
    let error = LogServer::new(config, rig.context()).await.unwrap_err();
    assert!(matches!(error, StartError::OtherLog { found } if found.as_str() == ORIGIN));
}

#[tokio::test]
async fn state() {
    let rig = Rig::new();
    rig.ledger.inner.lock().unwrap().state = Some(vec![9]);
    assert!(matches!(refused(&rig).await, StartError::State(_)));
}

#[tokio::test]
async fn rolled_back() {
    for size in [5, 255, 256, 300, 600] {
        let rig = Rig::new();
        grown(&rig, 4).await;
        let old = rig.ledger.inner.lock().unwrap().clone();
        grown(&rig, size + 10).await;
        // An older copy of the ledger under newer objects, or none at all.
        for ledger in [old, crate::testing::LedgerInner::default()] {
            *rig.ledger.inner.lock().unwrap() = ledger;
            assert!(matches!(refused(&rig).await, StartError::RolledBack { .. }));
        }
    }
}

#[tokio::test]
async fn objects_that_were_rolled_back_are_written_again_or_missed() {
    // Nothing sealed yet: partial tiles come from the ledger.
    let rig = Rig::new();
    grown(&rig, 20).await;
    rig.objects.inner.lock().unwrap().clear();
    grown(&rig, 25).await;
    // Sealed, and gone.
    let rig = Rig::new();
    grown(&rig, 300).await;
    rig.objects.inner.lock().unwrap().clear();
    assert!(matches!(refused(&rig).await, StartError::Damaged(_)));
}

#[tokio::test]
async fn forked() {
    // Another history of the same log and key, as a restored machine would write it.
    let one = Rig::new();
    let mut other = Rig::new();
    other.signer = one.signer.clone();
    grown(&one, 20).await;
    let log = other.start().await.unwrap();
    let Parts {
        mut pipeline,
        mut sealer,
        ..
    } = log.parts.lock().unwrap().take().unwrap();
    let pending = Pending::new(Word::boxed("other")).0;
    pipeline.append(vec![pending]).await.unwrap();
    sealer.seal().await.unwrap();
    let objects = other.objects.inner.lock().unwrap().clone();
    *one.objects.inner.lock().unwrap() = objects;
    assert!(matches!(
        refused(&one).await,
        StartError::Forked { published: 2 }
    ));
}

#[tokio::test]
async fn published_note() {
    let rig = Rig::new();
    grown(&rig, 3).await;
    rig.objects
        .inner
        .lock()
        .unwrap()
        .insert(ObjectName::Checkpoint, b"garbage".to_vec());
    assert!(matches!(refused(&rig).await, StartError::PublishedNote(_)));
}

#[tokio::test]
async fn published_checkpoint() {
    let mut rig = Rig::new();
    grown(&rig, 3).await;
    rig.signer = signer(ORIGIN);
    assert!(matches!(
        refused(&rig).await,
        StartError::PublishedCheckpoint(_)
    ));
}

#[tokio::test]
async fn damaged() {
    // Any flipped bit in a sealed tile is found, at the start or before it is ever signed over.
    let rig = Rig::new();
    grown(&rig, 600).await;
    let name = ObjectName::Tile(TilePath::Tile(Tile::new(0, 1, 256).unwrap()));
    for at in [0, 4095, 8191] {
        rig.objects.inner.lock().unwrap().get_mut(&name).unwrap()[at] ^= 1;
        assert!(matches!(refused(&rig).await, StartError::OtherTree));
        rig.objects.inner.lock().unwrap().get_mut(&name).unwrap()[at] ^= 1;
    }
    rig.objects
        .inner
        .lock()
        .unwrap()
        .get_mut(&name)
        .unwrap()
        .pop();
    assert!(matches!(refused(&rig).await, StartError::Damaged(_)));
    rig.objects.inner.lock().unwrap().remove(&name);
    assert!(matches!(refused(&rig).await, StartError::Damaged(_)));
}

#[tokio::test]
async fn other_tree() {
    let rig = Rig::new();
    grown(&rig, 20).await;
    rig.ledger.inner.lock().unwrap().tail.get_mut(&7).unwrap()[0] ^= 1;
    assert!(matches!(refused(&rig).await, StartError::OtherTree));
}

#[tokio::test]
async fn ledger() {
    let rig = Rig::new();
    grown(&rig, 20).await;
    rig.ledger.inner.lock().unwrap().tail.remove(&7);
    assert!(matches!(refused(&rig).await, StartError::Ledger(_)));
}

#[tokio::test]
async fn s_21_a_flipped_bit_is_not_sealed() {
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    let Parts {
        mut pipeline,
        mut sealer,
        ..
    } = log.parts.lock().unwrap().take().unwrap();
    let waiting = (0..300).map(|n| Pending::new(Word::boxed(&format!("entry {n}"))).0);
    pipeline.append(waiting.collect()).await.unwrap();
    rig.ledger.inner.lock().unwrap().tail.get_mut(&77).unwrap()[0] ^= 1;
    assert!(matches!(
        sealer.seal().await,
        Err(crate::seal::SealError::Contradiction(_))
    ));
    assert!(
        !rig.objects
            .inner
            .lock()
            .unwrap()
            .contains_key(&ObjectName::Checkpoint)
    );
}

#[tokio::test]
async fn i4_an_object_with_other_bytes_is_never_overwritten() {
    let rig = Rig::new();
    let name = ObjectName::Tile(TilePath::Entries {
        index: 0,
        width: 256,
    });
    rig.objects
        .inner
        .lock()
        .unwrap()
        .insert(name, b"other".to_vec());
    let log = rig.start().await.unwrap();
    let Parts {
        mut pipeline,
        mut sealer,
        ..
    } = log.parts.lock().unwrap().take().unwrap();
    let waiting = (0..256).map(|n| Pending::new(Word::boxed(&format!("entry {n}"))).0);
    pipeline.append(waiting.collect()).await.unwrap();
    assert!(matches!(
        sealer.seal().await,
        Err(crate::seal::SealError::Contradiction(_))
    ));
    assert_eq!(rig.objects.inner.lock().unwrap()[&name], b"other");
}

#[tokio::test]
async fn objects() {
    let rig = Rig::new();
    rig.objects
        .fails_to_read
        .store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(matches!(refused(&rig).await, StartError::Objects(_)));
}

#[tokio::test]
async fn genesis() {
    let rig = Rig::new();
    rig.plan.strike(0, crate::testing::Fault::Fail);
    assert!(matches!(refused(&rig).await, StartError::Genesis(_)));
    assert!(rig.start().await.is_ok());
}

#[tokio::test]
async fn sign() {
    let rig = Rig::new();
    grown(&rig, 3).await;
    rig.signer_fails
        .store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(matches!(refused(&rig).await, StartError::Sign(_)));
}

/// I7: what a start reads depends on what is not sealed, and not on the size of the log.
#[tokio::test]
async fn a_start_reads_the_right_edge_and_no_more() {
    use std::sync::atomic::Ordering;
    let mut reads = Vec::new();
    for size in [256 * 100, 256 * (256 + 100)] {
        let rig = Rig::new();
        let mut at = 0;
        while at < size {
            at = size.min(at + 1024);
            grown(&rig, at).await;
        }
        let before = rig.objects.reads.load(Ordering::SeqCst);
        rig.start().await.unwrap();
        reads.push(rig.objects.reads.load(Ordering::SeqCst) - before);
        assert!(rig.ledger.inner.lock().unwrap().tail.len() < 2 * 256);
    }
    // The tiles below the last one of every level, at most 256 for each, and the checkpoint: for
    // three times the entries it is one tile more, because there is one level more.
    println!("objects read at a start: {reads:?}");
    assert!(reads[0] <= 102 && reads[1] <= reads[0] + 2, "{reads:?}");
}

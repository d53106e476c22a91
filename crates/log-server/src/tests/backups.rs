//! Rule D11: a copy of a log is the log as it was, and never becomes it again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use waxseal_crypto::{SignatureAlgorithm, Time};
use waxseal_tlog::{
    EntryBundle, Frontier, KeyName, NoteSigner, Origin, SignatureKind, Tile, TilePath, leaf_hash,
};

use super::running::Running;
use crate::testing::{MemoryLedger, MemoryObjects, ORIGIN, Rig, provider, signer_of};
use crate::{
    BackupTarget, Config, LogServer, ObjectName, Published, Replica, ReplicaContext, ReplicaEnd,
    ReplicaError, ReplicaKind, StartError,
};

const OTHER: &str = "other.example";

/// The stores of a copy.
#[derive(Default)]
struct Stores {
    ledger: Arc<MemoryLedger>,
    objects: Arc<MemoryObjects>,
}

impl Stores {
    async fn take(&self, log: &LogServer) -> Result<Arc<Published>, ReplicaError> {
        let target = BackupTarget {
            ledger: Arc::clone(&self.ledger) as _,
            objects: Arc::clone(&self.objects) as _,
            progress: Box::new(|done, all| assert!(done <= all)),
        };
        log.backup(provider(), target).await
    }

    fn context(&self, rig: &Rig) -> ReplicaContext {
        ReplicaContext {
            provider: provider(),
            clock: Arc::clone(&rig.clock) as _,
            ledger: Arc::clone(&self.ledger) as _,
            objects: Arc::clone(&self.objects) as _,
            personality: Arc::clone(&rig.personality),
        }
    }

    /// The entries, read from the objects alone and compared with the checkpoint.
    fn entries(&self, published: &Published) -> Vec<Vec<u8>> {
        let objects = self.objects.inner.lock().unwrap();
        let checkpoint = &objects[&ObjectName::Checkpoint];
        assert_eq!(checkpoint, published.checkpoint.as_bytes());
        let (size, mut entries) = (published.tree_size, Vec::new());
        for index in 0..size.div_ceil(256) {
            let width = Tile::in_tree(0, index, size).unwrap().width();
            let bytes = &objects[&ObjectName::Tile(TilePath::Entries { index, width })];
            let bundle = EntryBundle::parse(bytes, width).unwrap();
            entries.extend(bundle.entries().to_vec());
        }
        let mut frontier = Frontier::new();
        for entry in &entries {
            frontier.append(&leaf_hash(entry)).unwrap();
        }
        assert_eq!(frontier.root_hash(), published.root_hash);
        entries
    }
}

/// The same keys over other stores.
fn rig_over(rig: &Rig, stores: &Stores) -> Rig {
    Rig {
        ledger: Arc::clone(&stores.ledger),
        objects: Arc::clone(&stores.objects),
        signer: rig.signer.clone(),
        ..Rig::new()
    }
}

fn signer(name: &str) -> NoteSigner {
    let algorithm = SignatureAlgorithm::Ed25519;
    let signer = signer_of(&provider().generate(algorithm).unwrap(), algorithm);
    NoteSigner::new(KeyName::new(name).unwrap(), SignatureKind::Ed25519, signer).unwrap()
}

fn adopting() -> Config {
    Config {
        adopts: Some(Origin::new(ORIGIN).unwrap()),
        ..Config::new(Origin::new(OTHER).unwrap())
    }
}

#[tokio::test]
async fn d11_a_backup_of_a_running_log_is_whole_and_starts_no_log() {
    let rig = Rig::new();
    rig.ledger.millis.store(1, Ordering::SeqCst);
    let log = Running::new(rig.start().await.unwrap());
    log.grow(1, 700).await;
    let backup = Stores::default();
    // While it goes on.
    let (published, ()) = tokio::join!(backup.take(&log.log), log.grow(700, 1400));
    let published = published.unwrap();
    assert!(published.tree_size >= 700);
    let entries = backup.entries(&published);
    assert_eq!(entries.len() as u64, published.tree_size);
    // Incremental.
    log.log.flush().await;
    let published = backup.take(&log.log).await.unwrap();
    assert_eq!(published.tree_size, 1400);
    assert_eq!(backup.entries(&published).len(), 1400);
    log.grow(1400, 1500).await;
    log.stop().await;
    // The log has gone on: from the backup it would fork.
    let error = rig_over(&rig, &backup).start().await.unwrap_err();
    assert!(matches!(error, StartError::Backup { of } if of.as_str() == ORIGIN));
    // Neither with the log's own objects, which are ahead of it.
    let mixed = Stores {
        ledger: Arc::clone(&backup.ledger),
        objects: Arc::clone(&rig.objects),
    };
    let error = rig_over(&rig, &mixed).start().await.unwrap_err();
    assert!(matches!(error, StartError::Backup { .. }));
}

#[tokio::test]
async fn d11_a_backup_goes_on_under_a_name_and_a_key_of_its_own() {
    let rig = Rig::new();
    let log = Running::new(rig.start().await.unwrap());
    log.grow(1, 700).await;
    let backup = Stores::default();
    backup.take(&log.log).await.unwrap();
    log.stop().await;
    let mut other = rig_over(&rig, &backup);
    other.signer = signer(OTHER);
    // Not by accident: the other log must be named.
    let config = Config::new(Origin::new(OTHER).unwrap());
    let error = LogServer::new(config, other.context()).await.unwrap_err();
    assert!(matches!(error, StartError::OtherLog { .. }));
    let log = LogServer::new(adopting(), other.context()).await.unwrap();
    assert_eq!(log.published().tree_size, 700);
    assert!(log.published().checkpoint.starts_with("other.example\n"));
    let log = Running::new(log);
    // It knows what it holds (D9), and goes on.
    let known = log.submit("entry 5").await.unwrap();
    assert!(known.is_duplicate() && known.stored() == b"entry 5");
    assert_eq!(log.submit("new").await.unwrap().index(), 700);
    log.stop().await;
    // From now on it is that log, whatever the configuration says.
    let config = Config::new(Origin::new(OTHER).unwrap());
    let log = LogServer::new(config, other.context()).await.unwrap();
    assert_eq!(log.published().tree_size, 701);
    assert!(LogServer::new(adopting(), other.context()).await.is_ok());
    let error = rig_over(&rig, &backup).start().await.unwrap_err();
    assert!(matches!(error, StartError::OtherLog { .. }));
}

/// The ledger is the new log's, and the checkpoint object still the old one's.
#[tokio::test]
async fn d11_a_log_that_was_killed_while_it_took_stores_over_starts_again() {
    let rig = Rig::new();
    let log = Running::new(rig.start().await.unwrap());
    log.grow(1, 300).await;
    let backup = Stores::default();
    backup.take(&log.log).await.unwrap();
    log.stop().await;
    let mut other = rig_over(&rig, &backup);
    other.signer = signer(OTHER);
    // It never ran: nothing was sealed, nor written out.
    drop(LogServer::new(adopting(), other.context()).await.unwrap());
    let log = LogServer::new(adopting(), other.context()).await.unwrap();
    assert!(log.published().checkpoint.starts_with("other.example\n"));
    let log = Running::new(log);
    assert_eq!(log.submit("new").await.unwrap().index(), 300);
    log.stop().await;
    // Without the other one's name its checkpoint is none of this log.
    let config = Config::new(Origin::new(OTHER).unwrap());
    assert!(LogServer::new(config, other.context()).await.is_ok());
}

#[tokio::test]
async fn same_key() {
    let mut rig = Rig::new();
    let key = provider().generate(SignatureAlgorithm::Ed25519).unwrap();
    let signer = |name: &str| {
        let signer = signer_of(&key, SignatureAlgorithm::Ed25519);
        NoteSigner::new(KeyName::new(name).unwrap(), SignatureKind::Ed25519, signer).unwrap()
    };
    rig.signer = signer(ORIGIN);
    let log = Running::new(rig.start().await.unwrap());
    let backup = Stores::default();
    backup.take(&log.log).await.unwrap();
    log.stop().await;
    let mut other = rig_over(&rig, &backup);
    other.signer = signer(OTHER);
    let error = LogServer::new(adopting(), other.context())
        .await
        .unwrap_err();
    assert!(matches!(error, StartError::SameKey));
}

#[tokio::test]
async fn backup_not_a_copy() {
    let (one, other) = (Rig::new(), Rig::new());
    let log = Running::new(one.start().await.unwrap());
    drop(other.start().await.unwrap());
    let stores = Stores {
        ledger: Arc::clone(&other.ledger),
        objects: Arc::clone(&other.objects),
    };
    let before = other.ledger.inner.lock().unwrap().state.clone();
    let error = stores.take(&log.log).await.unwrap_err();
    assert!(matches!(error, ReplicaError::NotACopy { .. }));
    assert_eq!(other.ledger.inner.lock().unwrap().state, before);
    log.stop().await;
}

#[tokio::test]
async fn d11_a_backup_tells_that_its_log_was_rolled_back() {
    let rig = Rig::new();
    let log = Running::new(rig.start().await.unwrap());
    log.grow(1, 10).await;
    log.log.flush().await;
    let old = (
        rig.ledger.inner.lock().unwrap().clone(),
        rig.objects.inner.lock().unwrap().clone(),
    );
    log.grow(10, 20).await;
    let backup = Stores::default();
    backup.take(&log.log).await.unwrap();
    log.stop().await;
    // Both stores are restored from a snapshot: nothing on the machine knows better …
    *rig.ledger.inner.lock().unwrap() = old.0;
    *rig.objects.inner.lock().unwrap() = old.1;
    let log = Running::new(rig.start().await.unwrap());
    // … but the backup does,
    let error = backup.take(&log.log).await.unwrap_err();
    let ahead = |error: &_| {
        matches!(
            error,
            ReplicaError::Ahead {
                copied: 20,
                tree_size: 10
            }
        )
    };
    assert!(ahead(&error), "{error:?}");
    // and also when the log has forked since.
    for n in 0..30 {
        log.submit(&format!("other {n}")).await.unwrap();
    }
    let error = backup.take(&log.log).await.unwrap_err();
    assert!(matches!(error, ReplicaError::OtherTree { tree_size: 20 }));
    log.stop().await;
}

#[tokio::test]
async fn a_log_moves_in_with_its_name_and_key() {
    let rig = Rig::new();
    let log = Running::new(rig.start().await.unwrap());
    log.grow(1, 600).await;
    log.stop().await;
    let last = rig.start().await.unwrap().published();
    let moved = Stores::default();
    let origin = || Origin::new(ORIGIN).unwrap();
    let mut replica = Replica::open(origin(), moved.context(&rig)).await.unwrap();
    let entries: Vec<_> = std::iter::once(ORIGIN.as_bytes().to_vec())
        .chain((1..600).map(|n| format!("entry {n}").into_bytes()))
        .collect();
    // The order of a log that ran at once is not that of the names: read it from there.
    let shared = &rig.start().await.unwrap().shared.clone();
    let mut stored = Vec::new();
    for index in 0..600 {
        stored.push(shared.entry(index).await.unwrap());
    }
    assert_eq!(stored.len(), entries.len());
    replica.append(stored[..300].to_vec()).await.unwrap();
    drop(replica);
    let mut replica = Replica::open(origin(), moved.context(&rig)).await.unwrap();
    assert_eq!(replica.tree_size(), 300);
    replica.append(stored[300..].to_vec()).await.unwrap();
    let end = ReplicaEnd {
        checkpoint: &last.checkpoint,
        kind: ReplicaKind::Move,
        is_frozen: false,
        last_time: Time::from_unix_millis(1_800_000_000_000).unwrap(),
    };
    replica.finish(end).await.unwrap();
    // A log that has moved in is no copy any more.
    let reopened = Replica::open(origin(), moved.context(&rig)).await;
    assert!(matches!(reopened, Err(ReplicaError::NotACopy { .. })));
    let log = Running::new(rig_over(&rig, &moved).start().await.unwrap());
    assert_eq!(log.log.published().checkpoint, last.checkpoint);
    assert!(log.submit("entry 599").await.unwrap().is_duplicate());
    assert_eq!(log.submit("new").await.unwrap().index(), 600);
    assert!(log.log.statistics().last_time >= end.last_time);
    log.stop().await;
}

#[tokio::test]
async fn other_checkpoint() {
    let rig = Rig::new();
    let stores = Stores::default();
    let origin = Origin::new(OTHER).unwrap();
    let last = rig.start().await.unwrap().published();
    let end = |checkpoint| ReplicaEnd {
        checkpoint,
        kind: ReplicaKind::Move,
        is_frozen: false,
        last_time: Time::UNIX_EPOCH,
    };
    for checkpoint in ["", last.checkpoint.as_str()] {
        let origin = origin.clone();
        let replica = Replica::open(origin, stores.context(&rig)).await.unwrap();
        let error = replica.finish(end(checkpoint)).await.unwrap_err();
        assert!(matches!(error, ReplicaError::OtherCheckpoint));
    }
}

#[tokio::test]
async fn other_tree() {
    let rig = Rig::new();
    let stores = Stores::default();
    let last = rig.start().await.unwrap().published();
    let origin = Origin::new(ORIGIN).unwrap();
    let mut replica = Replica::open(origin, stores.context(&rig)).await.unwrap();
    replica.append(vec![b"other".to_vec()]).await.unwrap();
    let end = ReplicaEnd {
        checkpoint: &last.checkpoint,
        kind: ReplicaKind::Move,
        is_frozen: false,
        last_time: Time::UNIX_EPOCH,
    };
    let error = replica.finish(end).await.unwrap_err();
    assert!(matches!(error, ReplicaError::OtherTree { tree_size: 1 }));
    // Nothing starts from what was not finished.
    let error = rig_over(&rig, &stores).start().await.unwrap_err();
    assert!(matches!(error, StartError::Backup { .. }));
}

#[tokio::test]
async fn store_of_a_copy() {
    let rig = Rig::new();
    let log = Running::new(rig.start().await.unwrap());
    log.grow(1, 300).await;
    let backup = Stores::default();
    backup.objects.fails_to_read.store(true, Ordering::SeqCst);
    let error = backup.take(&log.log).await.unwrap_err();
    assert!(matches!(error, ReplicaError::Start(StartError::Objects(_))));
    backup.objects.fails_to_read.store(false, Ordering::SeqCst);
    backup.ledger.fails_to_find.store(true, Ordering::SeqCst);
    let error = backup.take(&log.log).await.unwrap_err();
    assert!(matches!(error, ReplicaError::Store(_)));
    backup.ledger.fails_to_find.store(false, Ordering::SeqCst);
    assert_eq!(backup.take(&log.log).await.unwrap().tree_size, 300);
    log.stop().await;
}

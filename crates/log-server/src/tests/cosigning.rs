//! What a checkpoint without enough cosignatures is worth, and what witnesses are believed in.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use waxseal_crypto::BoxFuture;
use waxseal_serve::Shutdown;
use waxseal_tlog::{Hash, KeyId, KeyName, SignatureLine, SignedNote};

use crate::AppendError;
use crate::append::{Pending, Sequenced};
use crate::pipeline::Pipeline;
use crate::server::Parts;
use crate::testing::{Rig, Word};
use crate::{
    ConsistencyProver, CosignError, CosignMode, Cosigners, LogServer, ObjectName, ReadError,
    StartError, Unpublished,
};

/// What the one witness does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Cosigns,
    Sleeps,
    Hangs,
}

/// One witness, which checks that the log only grows.
struct Witness {
    mode: CosignMode,
    mood: Mutex<Mood>,
    seen: Mutex<(u64, Hash)>,
    asked: AtomicUsize,
}

impl Witness {
    fn new(mode: CosignMode) -> Arc<Self> {
        Arc::new(Self {
            mode,
            mood: Mutex::new(Mood::Cosigns),
            seen: Mutex::new((0, waxseal_tlog::empty_root())),
            asked: AtomicUsize::new(0),
        })
    }

    fn feels(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn line() -> SignatureLine {
        SignatureLine::new(name(), KeyId([1, 2, 3, 4]), vec![4; 72])
    }
}

fn name() -> KeyName {
    KeyName::new("witness.example").unwrap()
}

impl Cosigners for Witness {
    fn mode(&self) -> CosignMode {
        self.mode
    }

    fn cosign<'a>(
        &'a self,
        unpublished: &'a Unpublished,
        prover: Arc<dyn ConsistencyProver>,
    ) -> BoxFuture<'a, Result<Vec<SignatureLine>, CosignError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mood = *self.mood.lock().unwrap();
        Box::pin(async move {
            match mood {
                Mood::Cosigns => {}
                Mood::Sleeps => {
                    return Err(CosignError::NoQuorum {
                        collected: Vec::new(),
                    });
                }
                Mood::Hangs => std::future::pending().await,
            }
            let (old_size, old_root) = *self.seen.lock().unwrap();
            let (tree_size, root_hash) = (unpublished.tree_size, unpublished.root_hash);
            let witness = name();
            if old_size > tree_size {
                let tree_size = old_size;
                return Err(CosignError::Ahead { witness, tree_size });
            }
            let proof = prover.consistency(old_size, tree_size).await.unwrap();
            if proof.check(&old_root, &root_hash).is_err() {
                return Err(CosignError::Forked { witness, tree_size });
            }
            *self.seen.lock().unwrap() = (tree_size, root_hash);
            Ok(vec![Self::line()])
        })
    }
}

fn rig(witness: &Arc<Witness>) -> Rig {
    Rig {
        cosigners: Some(Arc::clone(witness) as _),
        ..Rig::new()
    }
}

fn pipeline(log: &LogServer) -> Pipeline {
    log.parts.lock().unwrap().take().unwrap().pipeline
}

async fn append(pipeline: &mut Pipeline, text: &str) -> Result<Sequenced, AppendError> {
    let (reply, answer) = oneshot::channel();
    let submission = Word::boxed(text);
    let _ = pipeline.append(vec![Pending { submission, reply }]).await;
    answer.await.unwrap()
}

fn is_cosigned(checkpoint: &str) -> bool {
    let note = SignedNote::parse(checkpoint).unwrap();
    note.signatures().iter().any(|line| *line.name() == name())
}

#[tokio::test]
async fn cosigned_before_it_is_published() {
    for mode in [CosignMode::FailClosed, CosignMode::FailOpen] {
        let rig = rig(&Witness::new(mode));
        let log = rig.start().await.unwrap();
        assert!(is_cosigned(&log.published().checkpoint));
        let mut pipeline = pipeline(&log);
        for n in 0..600 {
            let sequenced = append(&mut pipeline, &n.to_string()).await.unwrap();
            assert!(is_cosigned(&sequenced.published.checkpoint));
        }
    }
}

#[tokio::test]
async fn no_quorum() {
    let witness = Witness::new(CosignMode::FailClosed);
    let rig = rig(&witness);
    let log = rig.start().await.unwrap();
    let before = log.published();
    let mut pipeline = pipeline(&log);
    witness.feels(Mood::Sleeps);
    for text in ["a", "b", "a"] {
        let error = append(&mut pipeline, text).await.unwrap_err();
        assert!(matches!(error, AppendError::NoQuorum));
    }
    // Committed, and nobody knows: neither a client nor a reader.
    assert_eq!(log.published(), before);
    witness.feels(Mood::Cosigns);
    let sequenced = append(&mut pipeline, "a").await.unwrap();
    assert!(sequenced.is_duplicate && is_cosigned(&sequenced.published.checkpoint));
    assert_eq!(sequenced.published.tree_size, 3);
}

#[tokio::test]
async fn fails_open() {
    let witness = Witness::new(CosignMode::FailOpen);
    let rig = rig(&witness);
    witness.feels(Mood::Sleeps);
    let log = rig.start().await.unwrap();
    let sequenced = append(&mut pipeline(&log), "a").await.unwrap();
    assert!(!is_cosigned(&sequenced.published.checkpoint));
}

#[tokio::test(start_paused = true)]
async fn s_17_cosigners_that_hang_are_given_up() {
    let witness = Witness::new(CosignMode::FailOpen);
    let rig = rig(&witness);
    let log = rig.start().await.unwrap();
    witness.feels(Mood::Hangs);
    assert!(append(&mut pipeline(&log), "a").await.is_ok());
}

#[tokio::test]
async fn starts_without_cosignatures_and_publishes_nothing() {
    let witness = Witness::new(CosignMode::FailClosed);
    let rig = rig(&witness);
    witness.feels(Mood::Sleeps);
    let log = rig.start().await.unwrap();
    assert_eq!(log.published().checkpoint, "");
    let target = crate::BackupTarget {
        ledger: Arc::new(crate::testing::MemoryLedger::default()),
        objects: Arc::new(crate::testing::MemoryObjects::default()),
        progress: Box::new(|_, _| {}),
    };
    let unpublished = log.backup(crate::testing::provider(), target).await;
    assert!(matches!(unpublished, Err(crate::ReplicaError::Unpublished)));
    let Parts { mut sealer, .. } = log.parts.lock().unwrap().take().unwrap();
    sealer.seal().await.unwrap();
    let objects = rig.objects.inner.lock().unwrap().clone();
    assert!(!objects.contains_key(&ObjectName::Checkpoint));
    drop(log);
    // What was published by an earlier process is served on.
    witness.feels(Mood::Cosigns);
    let log = rig.start().await.unwrap();
    let published = log.published();
    let Parts { mut sealer, .. } = log.parts.lock().unwrap().take().unwrap();
    sealer.seal().await.unwrap();
    witness.feels(Mood::Sleeps);
    let log = rig.start().await.unwrap();
    assert_eq!(log.published(), published);
}

#[tokio::test]
async fn top_up() {
    let witness = Witness::new(CosignMode::TopUp);
    let rig = rig(&witness);
    witness.feels(Mood::Sleeps);
    let log = Arc::new(rig.start().await.unwrap());
    let shutdown = Shutdown::new();
    let running = tokio::spawn({
        let (log, shutdown) = (Arc::clone(&log), shutdown.clone());
        async move { log.run(shutdown).await }
    });
    witness.feels(Mood::Cosigns);
    let body = bytes::Bytes::from_static(b"word");
    let logged = log.service.submit(0, &body).await.unwrap();
    // The client did not wait for a witness.
    assert!(!is_cosigned(&logged.published().checkpoint));
    let size = logged.published().tree_size;
    log.flush().await;
    let object = || {
        let bytes = rig.objects.inner.lock().unwrap()[&ObjectName::Checkpoint].clone();
        String::from_utf8(bytes).unwrap()
    };
    for _ in 0..200 {
        if is_cosigned(&object()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The same tree under more signatures, in memory and among the objects.
    assert!(is_cosigned(&object()));
    assert_eq!(log.published().checkpoint, object());
    assert_eq!(log.published().tree_size, size);
    shutdown.trigger();
    running.await.unwrap().unwrap();
    // A checkpoint with cosignatures is one of this log at the next start.
    assert!(rig.start().await.is_ok());
}

#[tokio::test]
async fn cosign() {
    for mode in [
        CosignMode::FailClosed,
        CosignMode::FailOpen,
        CosignMode::TopUp,
    ] {
        let witness = Witness::new(mode);
        let rig = rig(&witness);
        let log = rig.start().await.unwrap();
        append(&mut pipeline(&log), "a").await.unwrap();
        let old = rig.ledger.inner.lock().unwrap().clone();
        for (seen, ledger) in [(9, old), (9, crate::testing::LedgerInner::default())] {
            *rig.ledger.inner.lock().unwrap() = ledger;
            *witness.seen.lock().unwrap() = (seen, [7; 32]);
            let error = rig.start().await.unwrap_err();
            assert!(
                matches!(
                    error,
                    StartError::Cosign(CosignError::Ahead { tree_size: 9, .. })
                ),
                "{mode:?}"
            );
        }
    }
}

#[tokio::test]
async fn forked() {
    let witness = Witness::new(CosignMode::TopUp);
    let rig = rig(&witness);
    rig.start().await.unwrap();
    *witness.seen.lock().unwrap() = (1, [7; 32]);
    let error = rig.start().await.unwrap_err();
    assert!(matches!(
        error,
        StartError::Cosign(CosignError::Forked { tree_size: 1, .. })
    ));
}

#[tokio::test]
async fn ahead() {
    let witness = Witness::new(CosignMode::FailOpen);
    let rig = rig(&witness);
    let log = rig.start().await.unwrap();
    let before = log.published();
    *witness.seen.lock().unwrap() = (99, [7; 32]);
    let error = append(&mut pipeline(&log), "a").await.unwrap_err();
    assert!(matches!(error, AppendError::Stopped));
    assert!(log.shared.is_stopped());
    assert_eq!(log.published(), before);
}

#[tokio::test]
async fn impossible() {
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    append(&mut pipeline(&log), "a").await.unwrap();
    for (old, new) in [(0, 3), (2, 1), (1, 9)] {
        let proof = log.shared.consistency(old, new).await;
        assert!(
            matches!(proof, Err(ReadError::Impossible(_))),
            "{old} {new}"
        );
    }
    assert!(log.shared.consistency(1, 2).await.is_ok());
}

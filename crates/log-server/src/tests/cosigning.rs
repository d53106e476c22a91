//! What a checkpoint without enough cosignatures is worth, and what witnesses are believed in.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use waxseal_crypto::BoxFuture;
use waxseal_serve::Shutdown;
use waxseal_tlog::{Hash, KeyId, KeyName, SignatureLine, SignedNote};

use super::sequencing::sequenced;
use crate::AppendError;
use crate::append::{Pending, Sequenced};
use crate::pipeline::Pipeline;
use crate::server::Parts;
use crate::shown::LONGEST_BEHIND;
use crate::testing::{Rig, Word};
use crate::{
    ConsistencyProver, CosignError, CosignMode, Cosigners, LateCosignatures, LogServer, ObjectName,
    ReadError, StartError, Unpublished,
};

/// What the one witness does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Cosigns,
    Sleeps,
    Hangs,
    /// Answers after so many milliseconds.
    Takes(u64),
}

/// One witness, which checks that the log only grows.
struct Witness {
    mode: CosignMode,
    mood: Mutex<Mood>,
    seen: Mutex<(u64, Hash)>,
    asked: AtomicUsize,
    late: (
        mpsc::UnboundedSender<LateCosignatures>,
        tokio::sync::Mutex<mpsc::UnboundedReceiver<LateCosignatures>>,
    ),
}

impl Witness {
    fn new(mode: CosignMode) -> Arc<Self> {
        let (sender, receiver) = mpsc::unbounded_channel();
        Arc::new(Self {
            late: (sender, tokio::sync::Mutex::new(receiver)),
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

    /// Cosigns the tree of that size although nobody waits any more, with a key of that number.
    fn answers_late(&self, tree_size: u64, key: u8) {
        let line = SignatureLine::new(name(), KeyId([key; 4]), vec![4; 72]);
        let lines = vec![line];
        self.late
            .0
            .send(LateCosignatures { tree_size, lines })
            .unwrap();
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
                Mood::Takes(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
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

    fn late(&self) -> BoxFuture<'_, LateCosignatures> {
        Box::pin(async { self.late.1.lock().await.recv().await.unwrap() })
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
    let (pending, answer) = Pending::new(Word::boxed(text));
    let _ = pipeline.append(vec![pending]).await;
    answer.await.unwrap().map(sequenced)
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

fn signatures(checkpoint: &str) -> usize {
    SignedNote::parse(checkpoint).unwrap().signatures().len()
}

/// Lets what was sent arrive.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn late_cosignatures_are_added_to_the_newest_checkpoint() {
    for mode in [CosignMode::FailClosed, CosignMode::FailOpen] {
        let witness = Witness::new(mode);
        let rig = rig(&witness);
        let log = rig.start().await.unwrap();
        let Parts {
            mut pipeline,
            mut sealer,
            ..
        } = log.parts.lock().unwrap().take().unwrap();
        let late = tokio::spawn(crate::late::add_late(Arc::clone(&log.shared)));
        let first = append(&mut pipeline, "a").await.unwrap().published;
        sealer.seal().await.unwrap();
        witness.answers_late(first.tree_size, 7);
        settle().await;
        let topped = log.published();
        // The same text, the log's own line as it was, and one line more.
        let (had, has) = (&first.checkpoint, &topped.checkpoint);
        assert!(has.starts_with(had.as_str()), "{mode:?}");
        assert_eq!(signatures(has), signatures(had) + 1);
        // Among the objects as well, and a second one on top, each once.
        sealer.top_up().await.unwrap();
        assert_eq!(object(&rig), *has);
        witness.answers_late(first.tree_size, 8);
        witness.answers_late(first.tree_size, 9);
        witness.answers_late(first.tree_size, 8);
        settle().await;
        sealer.top_up().await.unwrap();
        assert_eq!(object(&rig), log.published().checkpoint);
        assert_eq!(signatures(&object(&rig)), signatures(had) + 3);
        // D6: one that is about an earlier tree brings nothing back.
        let second = append(&mut pipeline, "b").await.unwrap().published;
        witness.answers_late(first.tree_size, 10);
        settle().await;
        assert_eq!(log.published(), second);
        sealer.top_up().await.unwrap();
        assert_eq!(signatures(&object(&rig)), signatures(had) + 4);
        sealer.seal().await.unwrap();
        assert_eq!(object(&rig), second.checkpoint);
        late.abort();
    }
}

fn object(rig: &Rig) -> String {
    let bytes = rig.objects.inner.lock().unwrap()[&ObjectName::Checkpoint].clone();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(start_paused = true)]
async fn d6_topped_up_checkpoints_are_shown_under_steady_load() {
    let witness = Witness::new(CosignMode::TopUp);
    let rig = rig(&witness);
    let log = rig.start().await.unwrap();
    let Parts {
        mut pipeline,
        mut sealer,
        ..
    } = log.parts.lock().unwrap().take().unwrap();
    let topping = tokio::spawn(crate::top_up::top_up(Arc::clone(&log.shared)));
    settle().await;
    witness.feels(Mood::Takes(50));
    let mut sizes = vec![0];
    // A write every 5 ms, a witness that takes ten times as long: no checkpoint is the newest one
    // when its cosignature comes.
    for n in 0..1000_u32 {
        let answered = append(&mut pipeline, &n.to_string()).await.unwrap();
        assert!(!is_cosigned(&answered.published.checkpoint));
        tokio::time::sleep(Duration::from_millis(5)).await;
        let shown = log.service.shown();
        assert!(is_cosigned(&shown.checkpoint), "{n}");
        assert!(shown.tree_size + 30 > answered.published.tree_size, "{n}");
        assert!(sizes.last() <= Some(&shown.tree_size));
        sizes.push(shown.tree_size);
        if n % 200 == 0 {
            sealer.seal_shown().await.unwrap();
            assert!(is_cosigned(&object(&rig)));
        }
    }
    sizes.dedup();
    assert!(sizes.len() > 50, "{}", sizes.len());
    // The witness is gone: readers wait for it for so long, and no longer.
    witness.feels(Mood::Hangs);
    let begin = tokio::time::Instant::now();
    let mut last = log.service.shown();
    for n in 1000..3000_u32 {
        let answered = append(&mut pipeline, &n.to_string()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let shown = log.service.shown();
        assert!(last.tree_size <= shown.tree_size);
        let is_newest = shown.tree_size == answered.published.tree_size;
        if begin.elapsed() > LONGEST_BEHIND {
            assert!(is_newest, "{n}");
        }
        last = shown;
    }
    assert!(!is_cosigned(&last.checkpoint));
    // It is back: the next round that begins has it, and nothing goes back meanwhile.
    witness.feels(Mood::Takes(50));
    for n in 3000..8000_u32 {
        append(&mut pipeline, &n.to_string()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let shown = log.service.shown();
        assert!(last.tree_size <= shown.tree_size);
        last = shown;
    }
    assert!(is_cosigned(&last.checkpoint));
    topping.abort();
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

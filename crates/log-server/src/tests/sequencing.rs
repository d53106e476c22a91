//! Order and duplicates.

use std::sync::atomic::Ordering;

use waxseal_tlog::leaf_hash;

use super::running::Running;
use crate::AppendError;
use crate::LogServer;
use crate::append::{Pending, Sequenced, Told};
use crate::personality::Prover;
use crate::pipeline::Pipeline;
use crate::server::Parts;
use crate::service::SubmitError;
use crate::testing::{Fault, Rig, Word};

type Answer = Result<Sequenced, AppendError>;

/// A batch, of which none is known as a sealed entry.
async fn append(pipeline: &mut Pipeline, texts: &[&str]) -> Vec<Answer> {
    let told = tell(pipeline, texts).await.into_iter();
    told.map(|told| told.map(sequenced)).collect()
}

async fn tell(pipeline: &mut Pipeline, texts: &[&str]) -> Vec<Result<Told, AppendError>> {
    let (waiting, answers): (Vec<_>, Vec<_>) = texts
        .iter()
        .map(|text| Pending::new(Word::boxed(text)))
        .unzip();
    let fatal = pipeline.append(waiting).await;
    let mut found = Vec::new();
    for answer in answers {
        found.push(answer.await.unwrap_or(Err(AppendError::Stopped)));
    }
    drop(fatal);
    found
}

pub(super) fn sequenced(told: Told) -> Sequenced {
    match told {
        Told::Sequenced(sequenced) => sequenced,
        Told::Sealed { index, .. } => panic!("entry {index} is sealed"),
    }
}

fn parts(log: &LogServer) -> Parts {
    log.parts.lock().unwrap().take().unwrap()
}

fn places(answers: &[Answer]) -> Vec<(u64, bool)> {
    answers
        .iter()
        .map(|answer| answer.as_ref().map(|s| (s.index, s.is_duplicate)).unwrap())
        .collect()
}

#[tokio::test]
async fn entries_are_proven_by_the_checkpoint_they_come_with() {
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    let Parts { mut pipeline, .. } = parts(&log);
    for batch in [&["a"][..], &["b", "c"], &["d"]] {
        for (answer, text) in append(&mut pipeline, batch).await.into_iter().zip(batch) {
            let Sequenced {
                index,
                stored,
                published,
                ..
            } = answer.unwrap();
            assert_eq!(stored, text.as_bytes());
            let proof = log.shared.prove(index, published.tree_size).unwrap();
            assert_eq!(
                proof.check(&leaf_hash(&stored), &published.root_hash),
                Ok(())
            );
        }
    }
    assert_eq!(log.published().tree_size, 5);
}

#[tokio::test]
async fn the_same_entry_has_one_index() {
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    let Parts { mut pipeline, .. } = parts(&log);
    let answers = append(&mut pipeline, &["a", "b", "a", "a"]).await;
    assert_eq!(
        places(&answers),
        [(1, false), (2, false), (1, true), (1, true)]
    );
    assert!(
        answers
            .iter()
            .all(|a| a.as_ref().unwrap().published.tree_size == 3)
    );
    assert_eq!(answers[2].as_ref().unwrap().stored, b"a");
    // … in a later batch, after sealing, and after a restart.
    let more: Vec<_> = (0..300).map(|n| format!("more {n}")).collect();
    let more: Vec<_> = more.iter().map(String::as_str).collect();
    append(&mut pipeline, &more).await;
    let answers = append(&mut pipeline, &["b", "new", "a"]).await;
    assert_eq!(places(&answers), [(2, true), (303, false), (1, true)]);
    let log = rig.start().await.unwrap();
    let Parts {
        mut pipeline,
        mut sealer,
        ..
    } = parts(&log);
    sealer.seal().await.unwrap();
    let late = |n: usize| format!("more {n}");
    let (first, last) = (late(290), late(299));
    let answers = append(&mut pipeline, &[&first, "newest", &last]).await;
    assert_eq!(places(&answers), [(293, true), (304, false), (302, true)]);
    // All of a batch are old: nothing is committed, and all are answered.
    assert_eq!(
        places(&append(&mut pipeline, &[&first, &last]).await),
        [(293, true), (302, true)]
    );
    assert_eq!(log.published().tree_size, 305);
    let log = Running::new(rig.start().await.unwrap());
    for (text, index) in [("a", 1), ("log.example", 0), ("b", 2), (&first, 293)] {
        let logged = log.submit(text).await.unwrap();
        assert_eq!((logged.index(), logged.is_duplicate()), (index, true));
        assert_eq!(logged.stored(), text.as_bytes());
        assert!(logged.prove().is_ok());
    }
    log.stop().await;
}

/// A bundle has up to 16 MiB: nobody waits for one to be read but who submits what is in it.
#[tokio::test]
async fn the_sequencer_reads_no_bundle() {
    let rig = Rig::new();
    grow(&rig, 600).await;
    let log = rig.start().await.unwrap();
    let Parts { mut pipeline, .. } = parts(&log);
    let texts: Vec<_> = (0..500).map(|n| format!("entry {n}")).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let reads = rig.objects.reads.load(Ordering::SeqCst);
    for (told, n) in tell(&mut pipeline, &texts).await.into_iter().zip(0u64..) {
        match told.unwrap() {
            Told::Sealed { index, submission } => {
                assert_eq!(index, n + 1);
                assert!(submission.is_stored_as(texts[n as usize].as_bytes()));
            }
            Told::Sequenced(sequenced) => panic!("{sequenced:?}"),
        }
    }
    assert_eq!(rig.objects.reads.load(Ordering::SeqCst), reads);
    // Those that the ledger holds are compared at once.
    let answers = append(&mut pipeline, &["entry 599", "new"]).await;
    assert_eq!(places(&answers), [(600, true), (602, false)]);
}

#[tokio::test]
async fn s_13_a_colliding_key_proves_nothing() {
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    let Parts { mut pipeline, .. } = parts(&log);
    let answers = append(&mut pipeline, &["collide 1", "collide 2", "collide 1"]).await;
    assert_eq!(places(&answers), [(1, false), (2, false), (1, true)]);
    let answers = append(&mut pipeline, &["collide 3", "collide 1"]).await;
    assert_eq!(places(&answers), [(3, false), (1, true)]);
    assert_eq!(answers[1].as_ref().unwrap().stored, b"collide 1");
    assert_eq!(rig.ledger.inner.lock().unwrap().keys[&[7; 32]], 1);
    // … nor one that leads to a sealed entry, with others beside it.
    grow(&rig, 300).await;
    let log = Running::new(rig.start().await.unwrap());
    let size = log.log.published().tree_size;
    let texts = ["collide 4", "new", "collide 1"];
    let (four, new, one) = tokio::join!(
        log.submit(texts[0]),
        log.submit(texts[1]),
        log.submit(texts[2])
    );
    let [four, new, one] = [four, new, one].map(Result::unwrap);
    assert_eq!((one.index(), one.is_duplicate()), (1, true));
    let mut indexes = [four.index(), new.index()];
    indexes.sort_unstable();
    assert_eq!(indexes, [size, size + 1]);
    assert!(!four.is_duplicate() && !new.is_duplicate());
    log.stop().await;
}

#[tokio::test]
async fn s_18_a_failing_look_up_is_not_a_new_entry() {
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    let Parts { mut pipeline, .. } = parts(&log);
    append(&mut pipeline, &["a"]).await;
    rig.ledger.fails_to_find.store(true, Ordering::SeqCst);
    for answer in append(&mut pipeline, &["a", "b"]).await {
        assert!(matches!(answer, Err(AppendError::Store(_))));
    }
    rig.ledger.fails_to_find.store(false, Ordering::SeqCst);
    // The stored bytes of a duplicate cannot be read: nothing is said about it either.
    let tail = std::mem::take(&mut rig.ledger.inner.lock().unwrap().tail);
    for answer in append(&mut pipeline, &["a"]).await {
        assert!(matches!(answer, Err(AppendError::Store(_))));
    }
    rig.ledger.inner.lock().unwrap().tail = tail;
    let answers = append(&mut pipeline, &["a", "b"]).await;
    assert_eq!(places(&answers), [(1, true), (2, false)]);
}

#[tokio::test]
async fn s_20_entry_too_long() {
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    let Parts {
        mut pipeline,
        mut sealer,
        ..
    } = parts(&log);
    let texts = [65_534, 65_535, 65_536].map(|length| "x".repeat(length));
    let texts = texts.each_ref().map(String::as_str);
    let answers = append(&mut pipeline, &[texts[0], texts[2], texts[1], "after"]).await;
    assert!(matches!(
        answers[1],
        Err(AppendError::EntryTooLong { length: 65_536 })
    ));
    assert_eq!(
        places(&[0, 2, 3].map(|n| Ok(take(&answers[n])))),
        [(1, false), (2, false), (3, false)]
    );
    sealer.seal().await.unwrap();
    assert!(rig.start().await.is_ok());
}

fn take(answer: &Answer) -> Sequenced {
    let found = answer.as_ref().unwrap();
    Sequenced {
        index: found.index,
        is_duplicate: found.is_duplicate,
        stored: found.stored.clone(),
        published: found.published.clone(),
        prover: found.prover.clone(),
    }
}

#[tokio::test]
async fn store_fails() {
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    let Parts { mut pipeline, .. } = parts(&log);
    rig.plan.strike(0, Fault::Fail);
    for answer in append(&mut pipeline, &["a", "b"]).await {
        assert!(matches!(answer, Err(AppendError::Store(_))));
    }
    // Nothing of it is in the tree: the next batch has the same indexes.
    let answers = append(&mut pipeline, &["c", "a"]).await;
    assert_eq!(places(&answers), [(1, false), (2, false)]);
}

#[tokio::test]
async fn unknown() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        let rig = Rig::new();
        let log = rig.start().await.unwrap();
        let Parts { mut pipeline, .. } = parts(&log);
        let before = log.published();
        rig.plan.strike(0, fault);
        for answer in append(&mut pipeline, &["a", "b"]).await {
            assert!(matches!(answer, Err(AppendError::Unknown)));
        }
        assert!(log.shared.is_stopped());
        // Nothing was signed over what may or may not be there.
        assert_eq!(log.published(), before);
    }
}

#[tokio::test]
async fn a_second_writer_fences_the_first() {
    let rig = Rig::new();
    let first = rig.start().await.unwrap();
    let second = rig.start().await.unwrap();
    let Parts { mut pipeline, .. } = parts(&first);
    for answer in append(&mut pipeline, &["a"]).await {
        assert!(matches!(answer, Err(AppendError::Stopped)));
    }
    assert!(first.shared.is_stopped());
    let Parts { mut pipeline, .. } = parts(&second);
    assert_eq!(places(&append(&mut pipeline, &["a"]).await), [(1, false)]);
}

#[tokio::test]
async fn times_never_go_back() {
    let rig = Rig::new();
    rig.clock.seconds.store(1000, Ordering::SeqCst);
    let log = rig.start().await.unwrap();
    let Parts { mut pipeline, .. } = parts(&log);
    append(&mut pipeline, &["a"]).await;
    let time = |rig: &Rig| {
        let state = rig.ledger.inner.lock().unwrap().state.clone().unwrap();
        crate::state::LogState::parse(&state).unwrap().time
    };
    let before = time(&rig);
    rig.clock.seconds.store(0, Ordering::SeqCst);
    append(&mut pipeline, &["b"]).await;
    assert_eq!(time(&rig), before);
    let log = rig.start().await.unwrap();
    append(&mut parts(&log).pipeline, &["c"]).await;
    assert_eq!(time(&rig), before);
}

/// A clock that is ten years ahead for one batch would be in every later entry.
#[tokio::test]
async fn clock_ahead() {
    let rig = Rig::new();
    rig.clock.uptime.store(100, Ordering::SeqCst);
    let log = rig.start().await.unwrap();
    let health = log.health("log");
    let Parts { mut pipeline, .. } = parts(&log);
    append(&mut pipeline, &["a"]).await;
    let time = |rig: &Rig| {
        let state = rig.ledger.inner.lock().unwrap().state.clone().unwrap();
        crate::state::LogState::parse(&state).unwrap().time
    };
    let before = time(&rig);
    let years = 10 * 365 * 86_400;
    rig.clock.seconds.fetch_add(years, Ordering::SeqCst);
    let answers = append(&mut pipeline, &["b", "a"]).await;
    assert!(matches!(answers[0], Err(AppendError::ClockAhead)));
    assert_eq!(places(&answers[1..]), [(1, true)]);
    assert_eq!(time(&rig), before);
    let (_, reason) = health.ready().await.unwrap_err();
    assert_eq!(reason.0, "the clock has leapt ahead: set it right");
    // Nothing came of it, and it heals by itself.
    rig.clock.seconds.fetch_sub(years, Ordering::SeqCst);
    assert!(health.ready().await.is_ok());
    assert_eq!(places(&append(&mut pipeline, &["b"]).await), [(2, false)]);
    assert!(time(&rig).saturating_since(before).as_secs() < 60);
    // The operator says that the clock is right by a restart; a log that rests needs none.
    rig.clock.seconds.fetch_add(years, Ordering::SeqCst);
    let answers = append(&mut pipeline, &["c"]).await;
    assert!(matches!(answers[0], Err(AppendError::ClockAhead)));
    let log = rig.start().await.unwrap();
    let Parts { mut pipeline, .. } = parts(&log);
    assert_eq!(places(&append(&mut pipeline, &["c"]).await), [(3, false)]);
    rig.clock.seconds.fetch_add(years, Ordering::SeqCst);
    rig.clock.uptime.fetch_add(years, Ordering::SeqCst);
    assert_eq!(places(&append(&mut pipeline, &["d"]).await), [(4, false)]);
}

#[tokio::test]
async fn data_beside_the_leaf_is_kept() {
    use crate::Ledger as _;
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    let Parts { mut pipeline, .. } = parts(&log);
    append(&mut pipeline, &["a", "b"]).await;
    assert_eq!(rig.ledger.read_beside(2).await.unwrap(), b"2");
    assert_eq!(rig.ledger.read_beside(9).await.unwrap(), b"");
}

#[tokio::test]
async fn full() {
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    let Parts { mut pipeline, .. } = parts(&log);
    let answers = append(&mut pipeline, &["a", "full", "b"]).await;
    assert!(matches!(answers[1], Err(AppendError::Full)));
    let places = [0, 2].map(|n| Ok(take(&answers[n])));
    assert_eq!(self::places(&places), [(1, false), (2, false)]);
}

#[tokio::test]
async fn signer() {
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    let Parts { mut pipeline, .. } = parts(&log);
    rig.signer_fails.store(true, Ordering::SeqCst);
    for text in ["a", "a"] {
        let answers = append(&mut pipeline, &[text]).await;
        assert!(matches!(answers[0], Err(AppendError::Signer(_))));
    }
    assert_eq!(log.published().tree_size, 1);
    rig.signer_fails.store(false, Ordering::SeqCst);
    // It was committed: who comes back is told so, under a checkpoint that covers it.
    let answers = append(&mut pipeline, &["a"]).await;
    assert_eq!(places(&answers), [(1, true)]);
    assert_eq!(answers[0].as_ref().unwrap().published.tree_size, 2);
}

#[tokio::test(start_paused = true)]
async fn deadline() {
    let rig = Rig::new();
    // Not running: nobody takes what waits.
    let log = rig.start().await.unwrap();
    let submitted = log
        .service
        .submit(0, &bytes::Bytes::from_static(b"word"))
        .await;
    let error = submitted.unwrap_err();
    assert!(matches!(error, SubmitError::Append(AppendError::Deadline)));
}

#[tokio::test]
async fn store() {
    let rig = Rig::new();
    grow(&rig, 300).await;
    let log = rig.start().await.unwrap();
    rig.objects.fails_to_read.store(true, Ordering::SeqCst);
    let read = log.service.read(BUNDLE).await;
    assert!(matches!(read, Err(crate::ReadError::Store(_))));
}

#[tokio::test]
async fn damaged() {
    let rig = Rig::new();
    grow(&rig, 300).await;
    let log = rig.start().await.unwrap();
    rig.objects
        .inner
        .lock()
        .unwrap()
        .remove(&crate::ObjectName::Tile(BUNDLE));
    let read = log.service.read(BUNDLE).await;
    assert!(matches!(read, Err(crate::ReadError::Damaged { .. })));
}

/// Whoever sends again what lies in a bundle that is lost stops nobody else.
#[tokio::test]
async fn s_18_a_duplicate_that_cannot_be_read_is_refused_alone() {
    let rig = Rig::new();
    grow(&rig, 300).await;
    let log = Running::new(rig.start().await.unwrap());
    rig.objects
        .inner
        .lock()
        .unwrap()
        .remove(&crate::ObjectName::Tile(BUNDLE));
    let (new, lost, newer) = tokio::join!(
        log.submit("new"),
        log.submit("entry 5"),
        log.submit("newer")
    );
    assert!(matches!(
        lost,
        Err(SubmitError::Append(AppendError::Store(_)))
    ));
    for logged in [new, newer] {
        let logged = logged.unwrap();
        assert!((302..304).contains(&logged.index()) && !logged.is_duplicate());
    }
    log.stop().await;
}

const BUNDLE: waxseal_tlog::TilePath = waxseal_tlog::TilePath::Entries {
    index: 0,
    width: 256,
};

/// A log whose first entries are sealed and forgotten.
pub(crate) async fn grow(rig: &Rig, size: usize) {
    let log = rig.start().await.unwrap();
    let Parts {
        mut pipeline,
        mut sealer,
        ..
    } = parts(&log);
    let texts: Vec<_> = (0..size).map(|n| format!("entry {n}")).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    append(&mut pipeline, &texts).await;
    sealer.seal().await.unwrap();
    append(&mut pipeline, &["last"]).await;
}

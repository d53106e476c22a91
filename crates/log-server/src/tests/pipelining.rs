//! A slow, failing or hanging signer: what goes on, who waits, who is refused. The clock is that of
//! tokio, and stands still while anything can be done.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use waxseal_serve::{Fatal, Shutdown};
use waxseal_tlog::leaf_hash;

use super::sequencing::sequenced;
use crate::append::{Pending, Sequenced};
use crate::pipeline::Arrivals;
use crate::sequencer::FreezeRequest;
use crate::server::Parts;
use crate::testing::{Fault, Rig, Word};
use crate::{AppendError, LogServer};

type Answer = Result<Sequenced, AppendError>;

/// Both stages at once, as tasks of this thread.
struct Running {
    log: LogServer,
    arrivals: mpsc::Sender<Pending>,
    freeze: mpsc::Sender<FreezeRequest>,
    stop: Shutdown,
    ended: JoinHandle<Result<(), Fatal>>,
}

impl Running {
    async fn new(rig: &Rig) -> Self {
        // The start is not on this thread, and the clock stands still meanwhile.
        let (signer, ledger) = (&*rig.signer_millis, &rig.ledger.millis);
        let times = [signer, ledger].map(|millis| millis.swap(0, Ordering::SeqCst));
        let log = rig.start().await.unwrap();
        signer.store(times[0], Ordering::SeqCst);
        ledger.store(times[1], Ordering::SeqCst);
        let Parts { pipeline, .. } = log.parts.lock().unwrap().take().unwrap();
        let (arrivals, entries) = mpsc::channel(4096);
        let (freeze, freezes) = mpsc::channel(1);
        let stop = Shutdown::new();
        let ended = tokio::spawn(pipeline.run(Arrivals { entries, freezes }, stop.clone()));
        Self {
            log,
            arrivals,
            freeze,
            stop,
            ended,
        }
    }

    fn submit(&self, text: &str) -> Waiting {
        let (pending, answer) = Pending::new(Word::boxed(text));
        self.arrivals.try_send(pending).ok().unwrap();
        let since = Instant::now();
        tokio::spawn(async move {
            let answer = answer.await.unwrap_or(Err(AppendError::Stopped));
            let answer = answer.map(sequenced);
            (answer, since.elapsed())
        })
    }

    async fn stop(self) -> Result<(), Fatal> {
        self.stop.trigger();
        self.ended.await.unwrap()
    }
}

type Waiting = JoinHandle<(Answer, Duration)>;

fn rig(signer_millis: u64) -> Rig {
    let rig = Rig::new();
    rig.ledger.millis.store(3, Ordering::SeqCst);
    rig.signer_millis.store(signer_millis, Ordering::SeqCst);
    rig
}

fn is_proven(sequenced: &Sequenced) -> bool {
    let Sequenced { index, stored, .. } = sequenced;
    let published = &sequenced.published;
    let proof = sequenced.prover.prove(*index, published.tree_size);
    let checked = proof
        .unwrap()
        .check(&leaf_hash(stored), &published.root_hash);
    checked.is_ok()
}

/// One entry every millisecond, for a second.
async fn load(rig: &Rig) -> (usize, usize, Vec<Duration>) {
    let log = Running::new(rig).await;
    let (commits, signed) = (&rig.ledger.commits, &rig.signed);
    let before = (
        commits.load(Ordering::SeqCst),
        signed.load(Ordering::SeqCst),
    );
    let mut waiting = Vec::new();
    for n in 0..1000 {
        waiting.push(log.submit(&format!("entry {n}")));
        sleep(Duration::from_millis(1)).await;
    }
    let commits = commits.load(Ordering::SeqCst) - before.0;
    let signed = signed.load(Ordering::SeqCst) - before.1;
    let (mut newest, mut times) = (0, Vec::new());
    for (n, waiting) in waiting.into_iter().enumerate() {
        let (answer, time) = waiting.await.unwrap();
        let sequenced = answer.unwrap();
        assert_eq!(sequenced.index, n as u64 + 1);
        assert!(sequenced.published.tree_size >= newest && is_proven(&sequenced));
        newest = sequenced.published.tree_size;
        times.push(time);
    }
    log.stop().await.unwrap();
    times.sort();
    (commits, signed, times)
}

#[tokio::test(start_paused = true)]
async fn a_slow_signer_does_not_stop_the_next_batch() {
    let (quick_commits, quick_signed, _) = load(&rig(0)).await;
    let (commits, signed, times) = load(&rig(50)).await;
    println!(
        "1,000 entries/s, commit 3 ms, signer 50 ms: {commits} commits and {signed} signatures in \
         a second (signer 0 ms: {quick_commits} and {quick_signed}); p50 {:?}, longest {:?}",
        times[500], times[999]
    );
    // As many commits as with a signer that takes no time; one after the other it would be 19.
    assert!(commits >= 240 && commits + 20 >= quick_commits, "{commits}");
    assert!((15..=20).contains(&signed), "{signed}");
    // Two commits, the signature on its way, and one's own.
    assert!(times[999] <= Duration::from_millis(3 + 3 + 50 + 50 + 4));
}

#[tokio::test(start_paused = true)]
async fn one_signature_covers_what_was_committed_meanwhile() {
    let rig = rig(50);
    let log = Running::new(&rig).await;
    let signed = rig.signed.load(Ordering::SeqCst);
    let first = log.submit("first");
    sleep(Duration::from_millis(10)).await;
    let mut later = Vec::new();
    for n in 0..5 {
        later.push(log.submit(&n.to_string()));
        sleep(Duration::from_millis(4)).await;
    }
    assert_eq!(first.await.unwrap().0.unwrap().published.tree_size, 2);
    for waiting in later {
        let sequenced = waiting.await.unwrap().0.unwrap();
        assert!(sequenced.published.tree_size == 7 && is_proven(&sequenced));
    }
    assert_eq!(rig.signed.load(Ordering::SeqCst), signed + 2);
    log.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_failing_signer_refuses_those_whom_it_would_have_covered() {
    let rig = rig(50);
    let log = Running::new(&rig).await;
    assert!(log.submit("before").await.unwrap().0.is_ok());
    let signing = log.submit("signing");
    sleep(Duration::from_millis(10)).await;
    rig.signer_fails.store(true, Ordering::SeqCst);
    // Committed while the signature fails: it is for the next signature to cover it.
    let next = log.submit("next");
    let known = log.submit("before");
    sleep(Duration::from_millis(45)).await;
    assert!(matches!(
        signing.await.unwrap().0,
        Err(AppendError::Signer(_))
    ));
    rig.signer_fails.store(false, Ordering::SeqCst);
    let next = next.await.unwrap().0.unwrap();
    assert_eq!((next.index, next.published.tree_size), (3, 4));
    assert!(known.await.unwrap().0.unwrap().is_duplicate);
    // It was committed: who comes back learns of it.
    let again = log.submit("signing").await.unwrap().0.unwrap();
    assert_eq!((again.index, again.is_duplicate), (2, true));
    // What is published already can be told without a signature.
    rig.signer_fails.store(true, Ordering::SeqCst);
    let (new, known) = (log.submit("new"), log.submit("before"));
    assert!(matches!(new.await.unwrap().0, Err(AppendError::Signer(_))));
    assert_eq!(known.await.unwrap().0.unwrap().index, 1);
    log.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_not_signed_is_signed_by_itself_later() {
    let rig = rig(0);
    let log = Running::new(&rig).await;
    rig.signer_fails.store(true, Ordering::SeqCst);
    assert!(log.submit("a").await.unwrap().0.is_err());
    rig.signer_fails.store(false, Ordering::SeqCst);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(log.log.published().tree_size, 2);
    log.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_hanging_signer_stops_the_log_before_its_memory_is_full() {
    let rig = rig(0);
    let log = Running::new(&rig).await;
    rig.signer_millis.store(1 << 40, Ordering::SeqCst);
    let mut waiting = Vec::new();
    for n in 0..14_000 {
        if log.arrivals.capacity() > 0 {
            waiting.push(log.submit(&format!("entry {n}")));
        }
        if n % 100 == 0 {
            sleep(Duration::from_millis(3)).await;
        }
    }
    // Committed and unanswered, on its way to that, and waiting.
    let committed = log.log.shared.committed.load(Ordering::SeqCst);
    assert!(committed <= 8 * 1024 + 1, "{committed}");
    assert_eq!(log.arrivals.capacity(), 0);
    // The signer is given up, and those who wait for it are refused.
    let (answer, time) = waiting.remove(0).await.unwrap();
    assert!(matches!(answer, Err(AppendError::Signer(_))));
    assert!(time <= Duration::from_secs(11));
    rig.signer_millis.store(0, Ordering::SeqCst);
    sleep(Duration::from_secs(30)).await;
    assert!(log.submit("after").await.unwrap().0.is_ok());
    log.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn d2_after_an_unknown_commit_nothing_more_is_signed() {
    let rig = rig(50);
    let log = Running::new(&rig).await;
    let before = log.log.published();
    let signing = log.submit("signing");
    sleep(Duration::from_millis(10)).await;
    rig.plan.strike(0, Fault::CrashBefore);
    let unknown = log.submit("unknown").await.unwrap().0;
    assert!(matches!(unknown, Err(AppendError::Unknown)));
    // The signature that is on its way is not published either.
    assert!(matches!(
        signing.await.unwrap().0,
        Err(AppendError::Stopped)
    ));
    assert_eq!(log.log.published(), before);
    let fatal = log.ended.await.unwrap().unwrap_err();
    assert_eq!(fatal.reason(), "it is unknown what is in the log");
}

#[tokio::test(start_paused = true)]
async fn d5_a_stale_writer_is_fenced_at_its_commit_and_publishes_nothing() {
    let rig = rig(50);
    let stale = Running::new(&rig).await;
    let published = stale.log.published();
    let signing = stale.submit("signing");
    sleep(Duration::from_millis(10)).await;
    // Another process takes over while this one stands still, and goes on.
    let successor = Running::new(&rig).await;
    assert_eq!(successor.log.published().tree_size, 2);
    let fenced = stale.submit("fenced");
    sleep(Duration::from_millis(10)).await;
    assert!(matches!(fenced.await.unwrap().0, Err(AppendError::Stopped)));
    drop(signing);
    assert!(stale.ended.await.unwrap().is_err());
    // Whatever it had published before was committed; no size has two roots.
    let old = stale.log.published();
    assert!(old.tree_size <= 2 && old.tree_size >= published.tree_size);
    assert!(stale.log.shared.is_stopped());
    let sequenced = successor.submit("on").await.unwrap().0.unwrap();
    assert_eq!((sequenced.index, sequenced.published.tree_size), (2, 3));
    successor.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn d10_what_has_arrived_is_answered_before_the_end() {
    let rig = rig(50);
    let log = Running::new(&rig).await;
    let waiting: Vec<_> = (0..3000).map(|n| log.submit(&n.to_string())).collect();
    let (reply, frozen) = oneshot::channel();
    log.freeze.send(reply).await.unwrap();
    log.stop().await.unwrap();
    // What had arrived before a freeze comes before it.
    assert_eq!(frozen.await.unwrap().unwrap(), 3001);
    for waiting in waiting {
        assert!(is_proven(&waiting.await.unwrap().0.unwrap()));
    }
}

#[tokio::test]
async fn on_threads_of_their_own() {
    let rig = rig(5);
    let log = Arc::new(rig.start().await.unwrap());
    let shutdown = Shutdown::new();
    let running = tokio::spawn({
        let (log, shutdown) = (Arc::clone(&log), shutdown.clone());
        async move { log.run(shutdown).await }
    });
    let submitted = (0..500).map(|n| {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            let body = bytes::Bytes::from(format!("entry {n}"));
            log.service.submit(0, &body).await.unwrap()
        })
    });
    for logged in submitted.collect::<Vec<_>>() {
        let logged = logged.await.unwrap();
        let root = logged.published().root_hash;
        let proof = logged.prove().unwrap();
        assert_eq!(proof.check(&leaf_hash(logged.stored()), &root), Ok(()));
    }
    shutdown.trigger();
    running.await.unwrap().unwrap();
}

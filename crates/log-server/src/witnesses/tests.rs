//! A log's side of witnessing, against a witness in the process that behaves, and many that do not.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use waxseal_crypto::{SignatureAlgorithm, Time};
use waxseal_tlog::{
    AddCheckpointRequest, CheckpointText, ConsistencyProof, Frontier, Hash, KeyName, Origin,
    ProofError, SignatureKind, encode_signature_lines, leaf_hash, prove_consistency, sign_note,
};
use waxseal_transport::{Headers, Response};

use super::exchange::WitnessFailure;
use super::*;
use crate::ReadError;
use crate::testing::{ORIGIN, TestClock, provider, signer_of};

mod accusing;

/// A tree that answers for all its sizes.
struct Trees {
    nodes: BTreeMap<waxseal_tlog::Node, Hash>,
    roots: Vec<Hash>,
}

impl Trees {
    fn new(size: usize) -> Arc<Self> {
        let mut frontier = Frontier::new();
        let mut nodes = BTreeMap::new();
        let mut roots = vec![frontier.root_hash()];
        for leaf in 0..size {
            let leaf = leaf_hash(&leaf.to_be_bytes());
            frontier
                .append_visiting(&leaf, |node, hash| {
                    nodes.insert(node, *hash);
                })
                .unwrap();
            roots.push(frontier.root_hash());
        }
        Arc::new(Self { nodes, roots })
    }
}

impl ConsistencyProver for Trees {
    fn consistency(
        &self,
        old: u64,
        new: u64,
    ) -> BoxFuture<'_, Result<ConsistencyProof, ReadError>> {
        let size = u64::try_from(self.roots.len()).unwrap() - 1;
        if new > size {
            let sizes = ProofError::SizesReversed {
                old_size: new,
                new_size: size,
            };
            return Box::pin(async move { Err(ReadError::Impossible(sizes)) });
        }
        let made = prove_consistency(old, new, |node| {
            self.nodes.get(&node).copied().ok_or("no such node")
        });
        Box::pin(async move { made.map_err(|error| ReadError::Store(error.into())) })
    }
}

fn key(name: &str, kind: SignatureKind) -> NoteSigner {
    let algorithm = match kind {
        SignatureKind::MlDsa44 => SignatureAlgorithm::MlDsa44,
        _ => SignatureAlgorithm::Ed25519,
    };
    let key = provider().generate(algorithm).unwrap();
    let signer = signer_of(&key, algorithm);
    NoteSigner::new(KeyName::new(name).unwrap(), kind, signer).unwrap()
}

fn vkey(signer: &NoteSigner) -> String {
    signer.note_key(provider()).unwrap().to_vkey()
}

/// What a witness does instead of its duty.
#[derive(Debug, Clone)]
enum Mood {
    Dutiful,
    Says(u16, &'static str, &'static str),
    /// Never answers.
    Silent,
    /// Answers when told.
    Slow,
    /// Signs with a key that nobody knows, under its own name and id.
    WrongKey,
    /// Sends what it sent before.
    Replays,
    /// Signs another size.
    WrongSize,
    /// States no time.
    Timeless,
    /// Always 409, with a size that is one more each time.
    Loops,
    Unreachable,
}

struct Desk {
    signers: Vec<NoteSigner>,
    mood: Mood,
    size: u64,
    root: Hash,
    earlier: Option<String>,
    asked: usize,
    /// The old sizes that were named, in order.
    old_sizes: Vec<u64>,
    /// What it says that it has cosigned last: a status, and bytes.
    last: (u16, String),
}

/// Witnesses at `https://w<N>.example/`.
struct Town {
    desks: Vec<Mutex<Desk>>,
    open: Notify,
    busy: AtomicUsize,
    most_busy: AtomicUsize,
}

impl Town {
    fn new(count: usize) -> Arc<Self> {
        let desk = |number: usize| {
            let name = format!("w{number}.example");
            Mutex::new(Desk {
                signers: vec![key(&name, SignatureKind::CosignatureV1)],
                mood: Mood::Dutiful,
                size: 0,
                root: waxseal_tlog::empty_root(),
                earlier: None,
                asked: 0,
                old_sizes: Vec::new(),
                last: (404, String::new()),
            })
        };
        Arc::new(Self {
            desks: (0..count).map(desk).collect(),
            open: Notify::new(),
            busy: AtomicUsize::new(0),
            most_busy: AtomicUsize::new(0),
        })
    }

    fn mood(&self, desk: usize, mood: Mood) {
        self.desk(desk).mood = mood;
    }

    fn desk(&self, desk: usize) -> std::sync::MutexGuard<'_, Desk> {
        self.desks[desk].lock().unwrap()
    }

    /// `witness` lines, and the group `all` of the given threshold as the quorum.
    fn policy(&self, threshold: &str) -> String {
        let mut text = String::new();
        let mut members = String::new();
        for (number, desk) in self.desks.iter().enumerate() {
            for (key, signer) in desk.lock().unwrap().signers.iter().enumerate() {
                let name = format!("w{number}-{key}");
                let vkey = vkey(signer);
                text += &format!("witness {name} {vkey} https://w{number}.example/\n");
                members += &format!(" {name}");
            }
        }
        format!("{text}group all {threshold}{members}\nquorum all\n")
    }

    async fn visit(&self, request: Request) -> Result<Response, TransportError> {
        let host = request.url.host_str().unwrap().to_owned();
        let number: usize = host[1..].split('.').next().unwrap().parse().unwrap();
        if request.body.is_empty() {
            let origin = hex::encode(waxseal_crypto::sha256(ORIGIN.as_bytes()));
            assert_eq!(request.url.path(), format!("/{origin}/checkpoint"));
            let (status, body) = self.desk(number).last.clone();
            let mut collected = request.collector();
            collected.push(body.as_bytes())?;
            let headers = Headers::new();
            return Ok(Response::new(status, headers, collected.into_body()));
        }
        assert_eq!(request.url.path(), "/add-checkpoint");
        let text = String::from_utf8(request.body.clone()).unwrap();
        let asked = AddCheckpointRequest::parse(&text).unwrap();
        let mood = {
            let mut desk = self.desk(number);
            desk.asked += 1;
            desk.old_sizes.push(asked.old_size);
            desk.mood.clone()
        };
        let (status, kind, body) = match mood {
            Mood::Says(status, kind, body) => (status, kind, body.to_owned()),
            Mood::Unreachable => {
                return Err(TransportError::Deadline {
                    after: request.deadline,
                });
            }
            Mood::Silent => std::future::pending().await,
            Mood::Loops => {
                let size = self.desk(number).asked;
                (409, "text/x.tlog.size", format!("{size}\n"))
            }
            mood => {
                if matches!(mood, Mood::Slow) {
                    self.open.notified().await;
                }
                self.serve(number, &asked, mood).await
            }
        };
        let mut headers = Headers::new();
        headers.append("Content-Type", kind);
        request.admit(status, &headers)?;
        let mut collected = request.collector();
        collected.push(body.as_bytes())?;
        Ok(Response::new(status, headers, collected.into_body()))
    }

    /// The specification's checks, in its order.
    async fn serve(
        &self,
        number: usize,
        asked: &AddCheckpointRequest,
        mood: Mood,
    ) -> (u16, &'static str, String) {
        let text = asked.checkpoint.unverified_checkpoint().unwrap();
        let (signers, earlier) = {
            let mut desk = self.desk(number);
            if asked.old_size != desk.size {
                return (409, "text/x.tlog.size", format!("{}\n", desk.size));
            }
            let proof = ConsistencyProof {
                old_size: asked.old_size,
                new_size: text.tree_size(),
                hashes: asked.hashes.clone(),
            };
            if proof.check(&desk.root, text.root_hash()).is_err() {
                return (422, "text/plain", String::new());
            }
            (desk.size, desk.root) = (text.tree_size(), *text.root_hash());
            (desk.signers.clone(), desk.earlier.clone())
        };
        let mut note = asked.checkpoint.unverified_text().to_owned();
        let mut time = Time::from_unix(1_700_000_000).unwrap();
        match mood {
            Mood::Replays if earlier.is_some() => {
                return (200, "text/plain", earlier.unwrap());
            }
            Mood::WrongSize => {
                let smaller = text.tree_size() - 1;
                let origin = text.origin().clone();
                note = CheckpointText::new(origin, smaller, *text.root_hash()).to_string();
            }
            Mood::Timeless => time = Time::UNIX_EPOCH,
            _ => {}
        }
        let mut lines = Vec::new();
        for signer in &signers {
            let line = if matches!(mood, Mood::WrongKey) {
                let other = key(signer.name().as_str(), signer.kind());
                let line = other.sign(&note, time).await.unwrap();
                SignatureLine::new(
                    signer.name().clone(),
                    signer.key_id(),
                    line.payload().to_vec(),
                )
            } else {
                signer.sign(&note, time).await.unwrap()
            };
            lines.push(line);
        }
        // Lines of others are nobody's business here, and must not be kept.
        let stranger = key("stranger.example", SignatureKind::CosignatureV1);
        lines.push(stranger.sign(&note, time).await.unwrap());
        let body = encode_signature_lines(&lines);
        self.desk(number).earlier = Some(body.clone());
        (200, "text/plain", body)
    }
}

impl Transport for Town {
    fn send<'a>(
        &'a self,
        request: Request,
    ) -> waxseal_transport::BoxFuture<'a, Result<Response, TransportError>> {
        struct Leaves<'a>(&'a AtomicUsize);
        impl Drop for Leaves<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        Box::pin(async move {
            let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
            let _leaves = Leaves(&self.busy);
            self.most_busy.fetch_max(busy, Ordering::SeqCst);
            self.visit(request).await
        })
    }

    fn sleep<'a>(&'a self, duration: Duration) -> waxseal_transport::BoxFuture<'a, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

struct Scene {
    town: Arc<Town>,
    log: NoteSigner,
    trees: Arc<Trees>,
    witnesses: Witnesses,
}

impl Scene {
    fn new(count: usize, threshold: &str, mode: CosignMode) -> Self {
        Self::of(Town::new(count), threshold, mode)
    }

    fn of(town: Arc<Town>, threshold: &str, mode: CosignMode) -> Self {
        let log = key(ORIGIN, SignatureKind::Ed25519);
        let witnesses = open(&town, &town.policy(threshold), mode, &log).unwrap();
        Self {
            town,
            log,
            trees: Trees::new(600),
            witnesses,
        }
    }

    async fn note(&self, size: u64) -> SignedNote {
        let root = self.trees.roots[usize::try_from(size).unwrap()];
        let text = CheckpointText::new(Origin::new(ORIGIN).unwrap(), size, root).to_string();
        sign_note(&text, Time::UNIX_EPOCH, &[&self.log])
            .await
            .unwrap()
    }

    async fn begin(&self, size: u64) -> Round {
        let note = self.note(size).await;
        self.witnesses.begin(note, size, self.trees.clone())
    }

    async fn cosign(&self, size: u64) -> Result<Vec<SignatureLine>, NoQuorum> {
        self.begin(size).await.quorum().await
    }

    /// As the log asks.
    async fn ask(&self, size: u64) -> Result<Vec<SignatureLine>, CosignError> {
        let unpublished = Unpublished {
            note: self.note(size).await,
            tree_size: size,
            root_hash: self.trees.roots[usize::try_from(size).unwrap()],
        };
        let trees = self.trees.clone();
        self.witnesses.cosign(&unpublished, trees).await
    }

    /// The one witness's failure.
    async fn failure(&self, size: u64) -> WitnessFailure {
        let mut refused = self.cosign(size).await.unwrap_err();
        assert_eq!(refused.failures.len(), 1, "{refused:?}");
        refused.failures.remove(0).1
    }
}

fn open(
    town: &Arc<Town>,
    policy: &str,
    mode: CosignMode,
    log: &NoteSigner,
) -> Result<Witnesses, WitnessError> {
    open_as(ORIGIN, town, policy, mode, log)
}

fn open_as(
    origin: &str,
    town: &Arc<Town>,
    policy: &str,
    mode: CosignMode,
    log: &NoteSigner,
) -> Result<Witnesses, WitnessError> {
    let policy = WitnessPolicy::parse(provider(), policy.as_bytes()).unwrap();
    let config = WitnessConfig {
        mode,
        timeout: Duration::from_millis(500),
        ..WitnessConfig::new(policy)
    };
    let context = WitnessContext {
        provider: provider(),
        origin: &Origin::new(origin).unwrap(),
        signers: std::slice::from_ref(log),
        bundles: BundleKind::Entries,
        transport: town.clone(),
        clock: Arc::new(TestClock::default()),
        meter: Meter::new(),
    };
    Witnesses::new(config, context)
}

/// Lets every task go as far as it can.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

/// What a single witness in that mood leads to, at a tree of 300 leaves.
macro_rules! check_mood {
    ($mood:expr, $expected:pat) => {{
        let scene = Scene::new(1, "all", CosignMode::FailClosed);
        scene.town.mood(0, $mood);
        let failure = scene.failure(300).await;
        assert!(matches!(failure, $expected), "{failure:?}");
    }};
}

#[tokio::test]
async fn cosignatures_of_both_kinds_open_with_the_checkpoint() {
    let town = Town::new(3);
    town.desk(1).signers = vec![key("w1.example", SignatureKind::MlDsa44)];
    // One server with two keys is asked once.
    let second = key("w2.example", SignatureKind::MlDsa44);
    town.desk(2).signers.push(second);
    let scene = Scene::of(town, "all", CosignMode::FailClosed);
    for size in [0, 1, 255, 256, 257, 600, 600] {
        let lines = scene.cosign(size).await.unwrap();
        let mut note = scene.note(size).await;
        note.extend(lines).unwrap();
        let policy = &scene.witnesses.shared.policy;
        let keys: Vec<_> = policy.witnesses().iter().map(|w| &w.key).collect();
        let log = LogKey::new(scene.log.note_key(provider()).unwrap());
        let opened = waxseal_tlog::Checkpoint::open(&note, &log, &keys).unwrap();
        let who: Vec<_> = opened.cosignatures().iter().map(|c| c.cosigner).collect();
        assert_eq!(who, [0, 1, 2, 3], "{size}");
        // The log's line, and theirs: nothing unverified is kept (S-14).
        assert_eq!(note.signatures().len(), 5);
    }
    // The old size is remembered: never a second request.
    let asked: Vec<_> = (0..3).map(|desk| scene.town.desk(desk).asked).collect();
    assert_eq!(asked, [7, 7, 7]);
    assert_eq!(scene.town.desk(0).old_sizes, [0, 0, 1, 255, 256, 257, 600]);
}

#[tokio::test]
async fn a_conflict_tells_the_old_size_once() {
    let scene = Scene::new(1, "all", CosignMode::FailClosed);
    {
        let mut desk = scene.town.desk(0);
        (desk.size, desk.root) = (257, scene.trees.roots[257]);
    }
    assert_eq!(scene.cosign(300).await.unwrap().len(), 1);
    assert_eq!(scene.town.desk(0).old_sizes, [0, 257]);
    assert_eq!(scene.cosign(301).await.unwrap().len(), 1);
    assert_eq!(scene.town.desk(0).old_sizes, [0, 257, 300]);
    // A witness that lost its memory is told from where it is.
    {
        let mut desk = scene.town.desk(0);
        (desk.size, desk.root) = (7, scene.trees.roots[7]);
    }
    assert_eq!(scene.cosign(302).await.unwrap().len(), 1);
    assert_eq!(scene.town.desk(0).old_sizes, [0, 257, 300, 301, 7]);
}

#[tokio::test]
async fn s_17_every_answer_of_a_witness_has_a_meaning() {
    use Mood::Says;
    use WitnessFailure as F;
    let size = "text/x.tlog.size";
    check_mood!(Says(400, "text/plain", "?"), F::Malformed);
    check_mood!(Says(403, "text/plain", ""), F::UntrustedKey);
    check_mood!(Says(404, "text/plain", ""), F::UnknownLog);
    check_mood!(Says(422, "text/plain", ""), F::Disagrees { .. });
    check_mood!(Says(409, "text/plain", "5\n"), F::BadSize);
    for body in [
        "",
        "5",
        "05\n",
        "+5\n",
        "-1\n",
        "5\n\n",
        "18446744073709551616\n",
    ] {
        check_mood!(Says(409, size, body), F::BadSize);
    }
    check_mood!(Says(409, size, "0\n"), F::Conflict);
    check_mood!(Says(409, size, "5\n"), F::Conflict);
    check_mood!(Mood::Loops, F::Conflict);
    for status in [201, 202, 204, 401, 429, 500, 502, 503] {
        check_mood!(Says(status, "text/plain", ""), F::UnexpectedStatus { .. });
    }
    check_mood!(
        Says(302, "text/plain", ""),
        F::Transport(TransportError::RedirectRefused { .. })
    );
    check_mood!(Says(200, "text/plain", ""), F::BadAnswer(_));
    check_mood!(Says(200, "text/plain", "cosigned\n"), F::BadAnswer(_));
    let giant: &'static str = Box::leak("x".repeat(exchange::MAX_ANSWER_BYTES + 1).into());
    check_mood!(
        Says(200, "text/plain", giant),
        F::Transport(TransportError::TooLarge { .. })
    );
    check_mood!(Mood::WrongKey, F::BadCosignature(_));
    check_mood!(Mood::WrongSize, F::BadCosignature(_));
    check_mood!(Mood::Timeless, F::NoTime);
    check_mood!(
        Mood::Unreachable,
        F::Transport(TransportError::Deadline { .. })
    );
    check_mood!(Mood::Silent, F::Timeout);
}

#[tokio::test]
async fn no_cosignature() {
    // A stranger's line, well formed and true, is none of this witness.
    let scene = Scene::new(1, "all", CosignMode::FailClosed);
    scene.town.desk(0).signers.clear();
    assert!(matches!(
        scene.failure(3).await,
        WitnessFailure::NoCosignature
    ));
}

#[tokio::test]
async fn a_replayed_cosignature_is_none_of_this_checkpoint() {
    let scene = Scene::new(1, "all", CosignMode::FailClosed);
    scene.cosign(300).await.unwrap();
    scene.town.mood(0, Mood::Replays);
    let failure = scene.failure(301).await;
    assert!(matches!(failure, WitnessFailure::BadCosignature(_)));
    // The witness has moved on all the same, and says so: the next round finds it.
    scene.town.mood(0, Mood::Dutiful);
    assert_eq!(scene.cosign(302).await.unwrap().len(), 1);
    assert_eq!(scene.town.desk(0).old_sizes, [0, 300, 300, 301]);
}

#[tokio::test]
async fn d4_a_witness_that_is_ahead_is_an_alarm() {
    let scene = Scene::new(1, "all", CosignMode::FailClosed);
    scene.town.desk(0).size = 301;
    let expected = CosignError::Ahead {
        witness: KeyName::new("w0.example").unwrap(),
        tree_size: 301,
    };
    assert_eq!(scene.ask(300).await, Err(expected.clone()));
    // It is never taken back: nothing heals a log that was rolled back but a person.
    scene.town.mood(0, Mood::Dutiful);
    scene.town.desk(0).size = 0;
    assert_eq!(scene.ask(300).await, Err(expected));
    assert_eq!(scene.town.desk(0).asked, 1);
}

#[tokio::test]
async fn d4_a_fork_is_an_alarm() {
    let scene = Scene::new(1, "all", CosignMode::FailOpen);
    {
        let mut desk = scene.town.desk(0);
        (desk.size, desk.root) = (300, [7; 32]);
    }
    let expected = CosignError::Forked {
        witness: KeyName::new("w0.example").unwrap(),
        tree_size: 300,
    };
    assert_eq!(scene.ask(300).await, Err(expected));
}

#[tokio::test]
async fn d4_at_the_start_every_witness_is_heard() {
    // A quorum of one is there at once; the other, later, knows better.
    let scene = Scene::new(2, "any", CosignMode::FailOpen);
    scene.town.mood(1, Mood::Slow);
    scene.town.desk(1).size = 301;
    let (asked, ()) = tokio::join!(scene.ask(300), async {
        settle().await;
        scene.town.open.notify_one();
    });
    assert!(matches!(
        asked,
        Err(CosignError::Ahead { tree_size: 301, .. })
    ));
    // Later on a quorum suffices.
    let scene = Scene::new(2, "any", CosignMode::FailOpen);
    assert_eq!(scene.ask(300).await.unwrap().len(), 2);
    scene.town.mood(1, Mood::Silent);
    assert_eq!(scene.ask(301).await.unwrap().len(), 1);
}

#[tokio::test]
async fn too_few_cosignatures_are_handed_over() {
    let scene = Scene::new(2, "all", CosignMode::FailOpen);
    scene.town.mood(1, Mood::Unreachable);
    let Err(CosignError::NoQuorum { collected }) = scene.ask(300).await else {
        panic!("there is no quorum");
    };
    assert_eq!(collected.len(), 1);
    assert_eq!(Cosigners::mode(&scene.witnesses), CosignMode::FailOpen);
}

#[tokio::test]
async fn unprovable() {
    let scene = Scene::new(1, "all", CosignMode::FailClosed);
    scene.cosign(5).await.unwrap();
    let note = scene.note(600).await;
    let short: Arc<Trees> = Trees::new(3);
    let mut round = scene.witnesses.begin(note, 600, short);
    let refused = round.quorum().await.unwrap_err();
    assert!(matches!(
        refused.failures[0].1,
        WitnessFailure::Unprovable(_)
    ));
}

#[tokio::test]
async fn the_quorum_is_there_with_the_first_who_make_it() {
    let scene = Scene::new(3, "2", CosignMode::FailClosed);
    scene.town.mood(1, Mood::Silent);
    let started = std::time::Instant::now();
    assert_eq!(scene.cosign(300).await.unwrap().len(), 2);
    // Nobody waited for the silent one's timeout.
    assert!(started.elapsed() < Duration::from_millis(400));
    scene.town.mood(2, Mood::Unreachable);
    let refused = scene.cosign(301).await.unwrap_err();
    assert_eq!(refused.cosignatures.len(), 1);
    assert_eq!(refused.failures.len(), 2);
}

#[tokio::test]
async fn late_cosignatures_are_not_lost() {
    let scene = Scene::new(2, "any", CosignMode::FailOpen);
    scene.town.mood(1, Mood::Slow);
    let mut round = scene.begin(300).await;
    assert_eq!(round.quorum().await.unwrap().len(), 1);
    scene.town.open.notify_one();
    assert_eq!(round.everybody().await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_late() {
    // The slow one answers after the round is dropped, or before and unheard.
    for is_unheard in [false, true] {
        for mode in [CosignMode::FailOpen, CosignMode::FailClosed] {
            let scene = Scene::new(2, "any", mode);
            scene.town.mood(1, Mood::Slow);
            let mut round = scene.begin(300).await;
            let first = round.quorum().await.unwrap();
            if is_unheard {
                scene.town.open.notify_one();
                settle().await;
            }
            drop(round);
            scene.town.open.notify_one();
            let late = scene.witnesses.late().await;
            assert_eq!(late.tree_size, 300);
            assert_eq!(late.lines.len(), 1);
            assert_ne!(late.lines[0].name(), first[0].name());
        }
    }
}

#[tokio::test]
async fn s_17_nothing_piles_up_behind_a_slow_witness() {
    let scene = Scene::new(2, "any", CosignMode::FailOpen);
    scene.town.mood(1, Mood::Slow);
    for size in 1..=100 {
        assert_eq!(scene.cosign(size).await.unwrap().len(), 1);
    }
    // It was asked once, and is: whoever waited behind that gave up for a newer checkpoint.
    settle().await;
    assert_eq!(scene.town.desk(1).asked, 1);
    assert!(scene.town.most_busy.load(Ordering::SeqCst) <= 2);
    // When it is free again it is shown the newest, from where it is.
    scene.town.mood(1, Mood::Dutiful);
    scene.town.open.notify_one();
    let mut round = scene.begin(101).await;
    assert_eq!(round.everybody().await.unwrap().len(), 2);
    assert!(scene.town.desk(1).asked <= 4);
}

#[tokio::test]
async fn racing_checkpoints_are_no_alarm() {
    let scene = Scene::new(1, "all", CosignMode::FailClosed);
    let mut rounds = Vec::new();
    for size in 1..=50 {
        rounds.push(scene.begin(size).await);
    }
    let mut last = None;
    for mut round in rounds {
        last = Some(round.quorum().await);
    }
    assert_eq!(last.unwrap().unwrap().len(), 1);
    assert_eq!(scene.witnesses.shared.contradiction(), Ok(()));
    assert_eq!(scene.town.desk(0).size, 50);
    // An earlier checkpoint, shown late, is superseded.
    let refused = scene.cosign(49).await.unwrap_err();
    assert!(matches!(refused.failures[0].1, WitnessFailure::Superseded));
}

#[tokio::test]
async fn whoever_fails_again_and_again_is_left_alone_for_a_while() {
    let scene = Scene::new(1, "all", CosignMode::FailClosed);
    scene.town.mood(0, Mood::Unreachable);
    let mut skipped = 0;
    for size in 1..=40 {
        if matches!(scene.failure(size).await, WitnessFailure::Paused) {
            skipped += 1;
        }
    }
    let asked = scene.town.desk(0).asked;
    assert_eq!(asked + skipped, 40);
    // The clock of this test goes on by a second at each look: 3 failures, then longer and longer
    // pauses.
    assert!((6..20).contains(&asked), "{asked}");
    scene.town.mood(0, Mood::Dutiful);
    let mut size = 41;
    while scene.cosign(size).await.is_err() {
        size += 1;
        assert!(size < 100);
    }
    assert_eq!(scene.cosign(size + 1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_probe_delays_nobody_where_outages_are_no_outages() {
    let scene = Scene::new(1, "all", CosignMode::FailOpen);
    scene.town.mood(0, Mood::Unreachable);
    for size in 1..=3 {
        scene.failure(size).await;
    }
    scene.town.mood(0, Mood::Silent);
    for size in 4..=60 {
        let started = std::time::Instant::now();
        scene.cosign(size).await.unwrap_err();
        assert!(started.elapsed() < Duration::from_millis(400));
        tokio::task::yield_now().await;
    }
    assert!(scene.town.desk(0).asked > 3);
}

#[test]
fn policies_that_promise_nothing_are_refused() {
    let town = Town::new(2);
    let log = key(ORIGIN, SignatureKind::Ed25519);
    let refused = |policy: &str| open(&town, policy, CosignMode::FailClosed, &log).unwrap_err();
    let (a, b) = (
        vkey(&town.desk(0).signers[0]),
        vkey(&town.desk(1).signers[0]),
    );
    // always_met
    let error = refused(&format!("witness a {a} https://a.example\nquorum none\n"));
    assert!(matches!(error, WitnessError::AlwaysMet));
    assert!(matches!(refused("quorum none\n"), WitnessError::AlwaysMet));
    // no_url
    let error = refused(&format!(
        "witness a {a} https://a.example\nwitness b {b}\nquorum a\n"
    ));
    assert_eq!(
        error.to_string(),
        "the witness \"b\" has no URL in the policy"
    );
    // bad_url
    for url in [
        "nowhere",
        "http://a.example",
        "ftp://a.example",
        "https://u:p@a.example",
        "https://a.example?q",
    ] {
        let error = refused(&format!("witness a {a} {url}\nquorum a\n"));
        assert!(matches!(error, WitnessError::BadUrl { .. }), "{url}");
    }
    // own_key
    let own = waxseal_tlog::NoteKey::new(
        provider(),
        KeyName::new("other.example").unwrap(),
        SignatureKind::CosignatureV1,
        log.public_key(),
    );
    let own = own.unwrap().to_vkey();
    let error = refused(&format!("witness a {own} https://a.example\nquorum a\n"));
    assert!(matches!(error, WitnessError::OwnKey { .. }));
    // other_log
    let other = vkey(&key(ORIGIN, SignatureKind::Ed25519));
    let error = refused(&format!(
        "log {other}\nwitness a {a} https://a.example\nquorum a\n"
    ));
    assert!(matches!(error, WitnessError::OtherLog));
    let ours = vkey(&log);
    let policy = format!("log {other}\nlog {ours}\nwitness a {a} https://a.example\nquorum a\n");
    open(&town, &policy, CosignMode::FailClosed, &log).unwrap();
}

#[test]
fn too_many_witnesses() {
    let town = Town::new(64);
    let log = key(ORIGIN, SignatureKind::Ed25519);
    let error = open(&town, &town.policy("1"), CosignMode::FailOpen, &log).unwrap_err();
    assert!(matches!(
        error,
        WitnessError::TooManyWitnesses {
            room: 63,
            found: 64
        }
    ));
    let town = Town::new(63);
    open(&town, &town.policy("1"), CosignMode::FailOpen, &log).unwrap();
}

#[test]
fn v1_checkpoint() {
    let town = Town::new(1);
    let log = key("rekor.example", SignatureKind::Ed25519);
    let policy = town.policy("1");
    let open = |origin| open_as(origin, &town, &policy, CosignMode::FailOpen, &log);
    let error = open("rekor.example - 1193050959916656506").unwrap_err();
    assert!(matches!(error, WitnessError::V1Checkpoint));
    open("rekor.example - 119a").unwrap();
}

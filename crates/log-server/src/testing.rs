//! Stores in memory that can fail and crash at any point, and a personality without signatures.
#![allow(clippy::as_conversions, reason = "coercions to trait objects")]

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use waxseal_crypto::{
    BoxFuture, Clock, CryptoProvider, Input, LocalSigner, PrivateKey, PublicKey, SignError,
    SignatureAlgorithm, Signer, Time, sha256,
};
use waxseal_serve::{BoxError, Meter};
use waxseal_tlog::{EntryBundle, KeyName, NoteSigner, Origin, SignatureKind, TilePath};

use crate::personality::{BundleKind, CheckError, RefusalKind};
use crate::{
    Answer, Commit, CommitOutcome, Config, Context, Cosigners, DedupKey, Endpoint, Ledger,
    LedgerError, LogServer, Logged, ObjectName, Objects, ObjectsError, Opened, Personality, Record,
    Refusal, StartError, Submission,
};

pub(crate) const ORIGIN: &str = "log.example";

pub(crate) fn provider() -> CryptoProvider {
    waxseal_crypto_aws_lc::provider()
}

pub(crate) fn signer_of(key: &PrivateKey, algorithm: SignatureAlgorithm) -> Arc<dyn Signer> {
    let local: Box<dyn LocalSigner> = provider().signer(key, algorithm).unwrap();
    let signer: Box<dyn Signer> = local;
    Arc::from(signer)
}

/// A signer that fails while its flag is up, and takes its time.
pub(crate) struct Flaky {
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) fails: Arc<AtomicBool>,
    pub(crate) millis: Arc<AtomicU64>,
    pub(crate) signed: Arc<AtomicUsize>,
}

impl Signer for Flaky {
    fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.signer.algorithm()
    }

    fn sign<'a>(&'a self, input: Input<'a>) -> BoxFuture<'a, Result<Vec<u8>, SignError>> {
        Box::pin(async move {
            let millis = self.millis.load(Ordering::SeqCst);
            if millis > 0 {
                tokio::time::sleep(Duration::from_millis(millis)).await;
            }
            if self.fails.load(Ordering::SeqCst) {
                return Err(SignError::Failed(broken()));
            }
            self.signed.fetch_add(1, Ordering::SeqCst);
            self.signer.sign(input).await
        })
    }
}

/// What happens at the point where the plan strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The operation fails and is certainly not done; the process goes on.
    Fail,
    /// The process crashes before the operation is done.
    CrashBefore,
    /// The process crashes after a part of it (of many objects), or after it (of a commit).
    CrashAfter,
}

/// Strikes once, at the n-th operation that changes something.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    fault: Mutex<Option<(usize, Fault)>>,
    operations: AtomicUsize,
    crashed: AtomicBool,
    fired: AtomicBool,
}

impl Plan {
    pub(crate) fn strike(&self, operation: usize, fault: Fault) {
        self.operations.store(0, Ordering::SeqCst);
        *self.fault.lock().unwrap() = Some((operation, fault));
    }

    pub(crate) fn restart(&self) {
        self.crashed.store(false, Ordering::SeqCst);
        *self.fault.lock().unwrap() = None;
    }

    pub(crate) fn has_fired(&self) -> bool {
        self.fired.load(Ordering::SeqCst)
    }

    pub(crate) fn has_crashed(&self) -> bool {
        self.crashed.load(Ordering::SeqCst)
    }

    fn next(&self) -> Option<Fault> {
        if self.has_crashed() {
            return Some(Fault::CrashBefore);
        }
        let operation = self.operations.fetch_add(1, Ordering::SeqCst);
        let planned = *self.fault.lock().unwrap();
        let (at, fault) = planned?;
        if operation != at {
            return None;
        }
        self.fired.store(true, Ordering::SeqCst);
        if fault != Fault::Fail {
            self.crashed.store(true, Ordering::SeqCst);
        }
        Some(fault)
    }
}

fn broken() -> BoxError {
    "/var/lib/secret: no space left on device (os error 28)".into()
}

#[derive(Debug, Default)]
pub(crate) struct MemoryLedger {
    plan: Arc<Plan>,
    pub(crate) inner: Mutex<LedgerInner>,
    pub(crate) fails_to_find: AtomicBool,
    /// How long a commit takes.
    pub(crate) millis: AtomicU64,
    pub(crate) commits: AtomicUsize,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct LedgerInner {
    epoch: u64,
    pub(crate) state: Option<Vec<u8>>,
    pub(crate) tail: BTreeMap<u64, Vec<u8>>,
    pub(crate) keys: HashMap<DedupKey, u64>,
    beside: BTreeMap<u64, Vec<u8>>,
}

impl LedgerInner {
    fn apply(&mut self, commit: Commit<'_>) {
        for (entry, index) in commit.entries.iter().zip(commit.first_index..) {
            self.tail.insert(index, entry.stored.clone());
            if let Some(key) = entry.key {
                self.keys.entry(key).or_insert(index);
            }
            if !entry.beside.is_empty() {
                self.beside.insert(index, entry.beside.clone());
            }
        }
        self.state = Some(commit.state.to_vec());
        self.tail.retain(|index, _| *index >= commit.forget_before);
    }
}

impl Ledger for MemoryLedger {
    fn open(&self) -> BoxFuture<'_, Result<Opened, LedgerError>> {
        let mut inner = self.inner.lock().unwrap();
        inner.epoch += 1;
        let opened = Opened {
            epoch: inner.epoch,
            state: inner.state.clone(),
        };
        Box::pin(async move { Ok(opened) })
    }

    fn look(&self) -> BoxFuture<'_, Result<Opened, LedgerError>> {
        let inner = self.inner.lock().unwrap();
        let opened = Opened {
            epoch: inner.epoch,
            state: inner.state.clone(),
        };
        Box::pin(async move { Ok(opened) })
    }

    fn commit<'a>(&'a self, commit: Commit<'a>) -> BoxFuture<'a, CommitOutcome> {
        Box::pin(async move {
            let millis = self.millis.load(Ordering::SeqCst);
            if millis > 0 {
                tokio::time::sleep(Duration::from_millis(millis)).await;
            }
            self.commits.fetch_add(1, Ordering::SeqCst);
            let mut inner = self.inner.lock().unwrap();
            match self.plan.next() {
                _ if inner.epoch != commit.epoch => CommitOutcome::Fenced,
                None => {
                    inner.apply(commit);
                    CommitOutcome::Committed
                }
                Some(Fault::Fail) => CommitOutcome::NotCommitted(broken()),
                Some(Fault::CrashBefore) => CommitOutcome::Unknown(broken()),
                Some(Fault::CrashAfter) => {
                    inner.apply(commit);
                    CommitOutcome::Unknown(broken())
                }
            }
        })
    }

    fn find<'a>(
        &'a self,
        keys: &'a [DedupKey],
    ) -> BoxFuture<'a, Result<Vec<Option<u64>>, LedgerError>> {
        let inner = self.inner.lock().unwrap();
        let found = if self.fails_to_find.load(Ordering::SeqCst) {
            Err(LedgerError::Failed(broken()))
        } else {
            Ok(keys
                .iter()
                .map(|key| inner.keys.get(key).copied())
                .collect())
        };
        Box::pin(async move { found })
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Result<Vec<Vec<u8>>, LedgerError>> {
        let inner = self.inner.lock().unwrap();
        let read: Option<Vec<_>> = range.clone().map(|i| inner.tail.get(&i).cloned()).collect();
        Box::pin(async move { read.ok_or(LedgerError::Forgotten { range }) })
    }

    fn read_beside(&self, index: u64) -> BoxFuture<'_, Result<Vec<u8>, LedgerError>> {
        let beside = self.inner.lock().unwrap().beside.get(&index).cloned();
        Box::pin(async move { Ok(beside.unwrap_or_default()) })
    }
}

#[derive(Debug, Default)]
pub(crate) struct MemoryObjects {
    plan: Arc<Plan>,
    pub(crate) inner: Mutex<BTreeMap<ObjectName, Vec<u8>>>,
    pub(crate) fails_to_read: AtomicBool,
    pub(crate) reads: AtomicUsize,
}

impl MemoryObjects {
    fn failed(name: ObjectName) -> ObjectsError {
        ObjectsError::Failed {
            name,
            source: broken(),
        }
    }

    fn create_some(
        &self,
        objects: Vec<(ObjectName, Vec<u8>)>,
        count: usize,
    ) -> Result<(), ObjectsError> {
        let mut inner = self.inner.lock().unwrap();
        for (name, bytes) in objects.into_iter().take(count) {
            if *inner.entry(name).or_insert_with(|| bytes.clone()) != bytes {
                return Err(ObjectsError::Conflict { name });
            }
        }
        Ok(())
    }
}

impl Objects for MemoryObjects {
    fn read(&self, name: ObjectName) -> BoxFuture<'_, Result<Option<Vec<u8>>, ObjectsError>> {
        if self.fails_to_read.load(Ordering::SeqCst) {
            return Box::pin(async move { Err(Self::failed(name)) });
        }
        self.reads.fetch_add(1, Ordering::SeqCst);
        let read = self.inner.lock().unwrap().get(&name).cloned();
        Box::pin(async move { Ok(read) })
    }

    fn create(
        &self,
        objects: Vec<(ObjectName, Vec<u8>)>,
    ) -> BoxFuture<'_, Result<(), ObjectsError>> {
        let failed = || Err(Self::failed(ObjectName::Checkpoint));
        let count = objects.len();
        let result = match self.plan.next() {
            None => self.create_some(objects, count),
            Some(Fault::Fail | Fault::CrashBefore) => failed(),
            Some(Fault::CrashAfter) => self.create_some(objects, count / 2).and_then(|()| failed()),
        };
        Box::pin(async move { result })
    }

    fn replace_checkpoint<'a>(
        &'a self,
        old: Option<&'a [u8]>,
        new: &'a [u8],
    ) -> BoxFuture<'a, Result<(), ObjectsError>> {
        let name = ObjectName::Checkpoint;
        let fault = self.plan.next();
        let mut inner = self.inner.lock().unwrap();
        let result = if fault == Some(Fault::Fail) || fault == Some(Fault::CrashBefore) {
            Err(Self::failed(name))
        } else if inner.get(&name).map(Vec::as_slice) == old {
            inner.insert(name, new.to_vec());
            fault.map_or(Ok(()), |_| Err(Self::failed(name)))
        } else {
            Err(ObjectsError::Conflict { name })
        };
        Box::pin(async move { result })
    }

    fn discard_partials(&self, full: TilePath) -> BoxFuture<'_, Result<(), ObjectsError>> {
        let prefix = format!("{full}.p/");
        let mut inner = self.inner.lock().unwrap();
        inner.retain(|name, _| !name.to_string().starts_with(&prefix));
        Box::pin(async { Ok(()) })
    }
}

/// A clock that goes forward one second at each look, from where it was set.
#[derive(Debug, Default)]
pub(crate) struct TestClock {
    pub(crate) seconds: AtomicU64,
    /// In seconds; 0 is not known.
    pub(crate) uptime: AtomicU64,
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        let seconds = self.seconds.fetch_add(1, Ordering::SeqCst);
        Time::from_unix_millis((1_700_000_000 + seconds) * 1000).unwrap()
    }

    fn uptime(&self) -> Option<Duration> {
        let seconds = self.uptime.load(Ordering::SeqCst);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }
}

/// Entries are the request's bytes. A body that starts with `bad` is refused; the key of every
/// body that starts with `collide` is the same (S-13).
#[derive(Debug)]
pub(crate) struct Words;

pub(crate) struct Word(Vec<u8>);

impl Word {
    pub(crate) fn boxed(text: &str) -> Box<dyn Submission> {
        Box::new(Self(text.as_bytes().to_vec()))
    }
}

impl Submission for Word {
    fn key(&self) -> DedupKey {
        if self.0.starts_with(b"collide") {
            [7; 32]
        } else {
            sha256(&self.0)
        }
    }

    fn check(&self) -> BoxFuture<'_, Result<(), CheckError>> {
        let checked = match self.0.as_slice() {
            b"unknown" => Err(CheckError::Refused(Refusal {
                kind: RefusalKind::Unauthenticated,
                reason: "UNKNOWN",
                message: "nobody knows you".into(),
                field: None,
            })),
            b"broken" => Err(CheckError::Fault(broken())),
            _ => Ok(()),
        };
        Box::pin(async move { checked })
    }

    fn record(&self, index: u64, _: Time) -> Option<Record> {
        if self.0 == b"full" {
            return None;
        }
        Some(Record {
            stored: self.0.clone(),
            beside: format!("{index}").into_bytes(),
        })
    }

    fn is_stored_as(&self, stored: &[u8]) -> bool {
        self.0 == stored
    }
}

impl Personality for Words {
    fn endpoints(&self) -> &'static [Endpoint] {
        &[Endpoint {
            path: "/add",
            max_body: 100_000,
        }]
    }

    fn read_prefixes(&self) -> &'static [&'static str] {
        &[""]
    }

    fn bundles(&self) -> BundleKind {
        BundleKind::Entries
    }

    fn genesis(
        &self,
        origin: &Origin,
    ) -> BoxFuture<'_, Result<Option<Box<dyn Submission>>, BoxError>> {
        let first = Word::boxed(origin.as_str());
        Box::pin(async move { Ok(Some(first)) })
    }

    fn parse(&self, _: usize, body: &Bytes) -> Result<Box<dyn Submission>, Refusal> {
        if body.starts_with(b"bad") {
            return Err(Refusal {
                kind: RefusalKind::Invalid,
                reason: "BAD",
                message: "a bad word".into(),
                field: None,
            });
        }
        Ok(Box::new(Word(body.to_vec())))
    }

    fn key(&self, stored: &[u8]) -> Option<DedupKey> {
        Some(Word(stored.to_vec()).key())
    }

    fn leaf<'a>(&self, stored: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        Some(Cow::Borrowed(stored))
    }

    fn encode_bundle(&self, stored: &[Vec<u8>]) -> Vec<u8> {
        let mut bundle = EntryBundle::new();
        stored
            .iter()
            .for_each(|entry| bundle.push(entry.clone()).unwrap());
        bundle.encode()
    }

    fn decode_bundle(&self, bundle: &[u8], width: u16) -> Option<Vec<Vec<u8>>> {
        Some(EntryBundle::parse(bundle, width).ok()?.entries().to_vec())
    }

    fn answer<'a>(&'a self, logged: &'a Logged) -> BoxFuture<'a, Result<Answer, BoxError>> {
        Box::pin(async move {
            if logged.is_duplicate() {
                return Ok(Answer::Duplicate);
            }
            logged.prove()?;
            let body = logged.index().to_string().into_bytes();
            Ok(Answer::Created {
                content_type: "text/plain",
                body,
            })
        })
    }
}

/// One log's stores and key: it can be started many times.
pub(crate) struct Rig {
    pub(crate) plan: Arc<Plan>,
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) objects: Arc<MemoryObjects>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) signer: NoteSigner,
    pub(crate) signer_fails: Arc<AtomicBool>,
    pub(crate) signer_millis: Arc<AtomicU64>,
    pub(crate) signed: Arc<AtomicUsize>,
    pub(crate) personality: Arc<dyn Personality>,
    pub(crate) cosigners: Option<Arc<dyn Cosigners>>,
    pub(crate) meter: Meter,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let plan = Arc::new(Plan::default());
        let algorithm = SignatureAlgorithm::Ed25519;
        let key = provider().generate(algorithm).unwrap();
        let name = KeyName::new(ORIGIN).unwrap();
        let fails = Arc::new(AtomicBool::new(false));
        let (millis, signed) = (Arc::default(), Arc::default());
        let signer = Arc::new(Flaky {
            signer: signer_of(&key, algorithm),
            fails: Arc::clone(&fails),
            millis: Arc::clone(&millis),
            signed: Arc::clone(&signed),
        });
        Self {
            signer_fails: fails,
            signer_millis: millis,
            signed,
            ledger: Arc::new(MemoryLedger {
                plan: Arc::clone(&plan),
                ..MemoryLedger::default()
            }),
            objects: Arc::new(MemoryObjects {
                plan: Arc::clone(&plan),
                ..MemoryObjects::default()
            }),
            plan,
            clock: Arc::new(TestClock::default()),
            signer: NoteSigner::new(name, SignatureKind::Ed25519, signer).unwrap(),
            personality: Arc::new(Words),
            cosigners: None,
            meter: Meter::new(),
        }
    }

    pub(crate) fn context(&self) -> Context {
        Context {
            provider: provider(),
            clock: Arc::clone(&self.clock) as _,
            signers: vec![self.signer.clone()],
            cosigners: self.cosigners.clone(),
            ledger: Arc::clone(&self.ledger) as _,
            objects: Arc::clone(&self.objects) as _,
            personality: Arc::clone(&self.personality),
            meter: self.meter.clone(),
        }
    }

    pub(crate) async fn start(&self) -> Result<LogServer, StartError> {
        LogServer::new(Config::new(Origin::new(ORIGIN).unwrap()), self.context()).await
    }
}

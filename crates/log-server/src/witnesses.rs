//! Witnesses: others who see every checkpoint, and vouch that the log never forked
//! (c2sp.org/tlog-witness, c2sp.org/tlog-policy).
//!
//! A checkpoint goes to every witness at once; it has its quorum as soon as the policy is met. A
//! witness can keep the log from starting by a claim to have seen another past. One that runs it can
//! stop by a checkpoint that proves the claim, and by refusal where its quorum needs it; it can make
//! the log sign nothing.

mod breaker;
mod exchange;
mod member;
mod round;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use waxseal_crypto::{BoxFuture, Clock, CryptoProvider, PublicKey};
use waxseal_serve::{BoxError, Counter, Label, Meter};
use waxseal_tlog::{
    LogKey, MAX_SIGNATURES, NoteKeyError, NoteSigner, Origin, PolicyLog, SignatureLine, SignedNote,
    WitnessPolicy,
};
use waxseal_transport::{Request, Transport, TransportError, Url};

use crate::{
    BundleKind, ConsistencyProver, CosignError, CosignMode, Cosigners, LateCosignatures,
    Unpublished,
};
use member::Member;
use round::{NoQuorum, Round, Task};

/// The time that a witness has for its answer, a second attempt included.
pub const WITNESS_TIMEOUT: Duration = Duration::from_secs(2);

/// Answers that may wait to be added to a published checkpoint: one per witness and a few rounds.
const MAX_LATE: usize = 64;

/// Whom a log asks to cosign its checkpoints.
#[derive(Debug)]
#[non_exhaustive]
pub struct WitnessConfig {
    /// The witnesses, where they are, and which of them make a quorum.
    pub policy: WitnessPolicy,
    /// What becomes of a checkpoint without a quorum.
    pub mode: CosignMode,
    /// The time that a witness has for its answer.
    pub timeout: Duration,
}

/// Why a log does not start with such witnesses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// The policy is met by no cosignature at all: it would promise what nobody checks.
    #[error("the witness policy is met without any witness: name a quorum")]
    AlwaysMet,
    /// Nobody can be asked where to submit checkpoints.
    #[error("the witness {name:?} has no URL in the policy")]
    NoUrl {
        /// Its name in the policy.
        name: Box<str>,
    },
    /// The URL is not one, or nothing may be sent there (plain http, a password in it).
    #[error("the URL of the witness {name:?} cannot be used")]
    BadUrl {
        /// Its name in the policy.
        name: Box<str>,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// More witnesses than a checkpoint has room for (signed-note).
    #[error("a checkpoint has room for {room} cosignatures, and the policy has {found} witnesses")]
    TooManyWitnesses {
        /// Lines that are left beside the log's own.
        room: usize,
        /// Witnesses of the policy.
        found: usize,
    },
    /// A log that witnesses itself proves nothing.
    #[error("the witness {name:?} has the log's own key")]
    OwnKey {
        /// Its name in the policy.
        name: Box<str>,
    },
    /// The policy is one for other logs.
    #[error("the witness policy names logs, and this log's key is not among them")]
    OtherLog,
    /// Released clients refuse version 1 checkpoints with any second signature.
    #[error("checkpoints of version 1 logs are not cosigned: their clients refuse them")]
    V1Checkpoint,
    /// A key of the log cannot be used.
    #[error("the log's key cannot be used")]
    Key(#[from] NoteKeyError),
}

/// The world, as far as witnesses have to do with it.
#[expect(
    clippy::exhaustive_structs,
    reason = "made by whoever composes a process"
)]
pub struct WitnessContext<'a> {
    /// Checks cosignatures.
    pub provider: CryptoProvider,
    /// The log's name.
    pub origin: &'a Origin,
    /// The log's signers, its own key first.
    pub signers: &'a [NoteSigner],
    /// What the log holds: its metrics are named after that.
    pub bundles: BundleKind,
    /// How the witnesses are reached.
    pub transport: Arc<dyn Transport>,
    /// How long a witness that failed is left alone.
    pub clock: Arc<dyn Clock>,
    /// Where is counted.
    pub meter: Meter,
}

/// All witnesses of one log.
pub struct Witnesses {
    shared: Arc<Asking>,
    members: Vec<Arc<Member>>,
    names: Arc<[Box<str>]>,
    mode: CosignMode,
    /// The number of the newest round: whoever waits for an earlier one gives up.
    newest: watch::Sender<u64>,
    /// Whether this process has asked before.
    has_asked: AtomicBool,
    late: tokio::sync::Mutex<mpsc::Receiver<LateCosignatures>>,
}

/// What every question to a witness needs.
pub(crate) struct Asking {
    /// The log's name.
    origin: Origin,
    /// The log's own key: a cosignature counts if the note opens with it beside.
    log: LogKey,
    policy: Arc<WitnessPolicy>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    /// The largest tree that was ever shown to a witness.
    largest: AtomicU64,
    /// What counts against the log's past. It is never taken back.
    evidence: Mutex<Option<CosignError>>,
    /// Takes cosignatures that nobody waits for any more.
    late: mpsc::Sender<LateCosignatures>,
    metrics: WitnessMetrics,
}

impl WitnessConfig {
    /// Witnesses that may be out without the log being out.
    pub const fn new(policy: WitnessPolicy) -> Self {
        Self {
            policy,
            mode: CosignMode::FailOpen,
            timeout: WITNESS_TIMEOUT,
        }
    }
}

impl Witnesses {
    /// Checks the policy against the log; nobody is asked yet.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn new(config: WitnessConfig, context: WitnessContext<'_>) -> Result<Self, WitnessError> {
        let WitnessContext {
            provider, signers, ..
        } = context;
        if is_v1(context.origin) {
            return Err(WitnessError::V1Checkpoint);
        }
        let own = signers.first().ok_or(WitnessError::OtherLog)?;
        let log = LogKey::new(own.note_key(provider)?);
        let policy = Arc::new(config.policy);
        check_policy(&policy, signers)?;
        let names = match context.bundles {
            BundleKind::Entries => WitnessMetricNames::LOG,
            BundleKind::Data => WitnessMetricNames::CT,
        };
        let (late, late_ones) = mpsc::channel(MAX_LATE);
        Ok(Self {
            members: members(&policy)?,
            names: policy.witnesses().iter().map(|w| shown(&w.name)).collect(),
            shared: Arc::new(Asking {
                origin: context.origin.clone(),
                log,
                policy,
                transport: context.transport,
                clock: context.clock,
                timeout: config.timeout,
                largest: AtomicU64::new(0),
                evidence: Mutex::new(None),
                late,
                metrics: WitnessMetrics::register(&context.meter, names),
            }),
            mode: config.mode,
            newest: watch::Sender::new(0),
            has_asked: AtomicBool::new(false),
            late: tokio::sync::Mutex::new(late_ones),
        })
    }

    /// Shows a checkpoint to every witness. The note is signed by the log and has no cosignature
    /// yet; its tree is committed (rule D1). Rounds of larger trees supersede those of smaller
    /// ones: who was not asked yet is not asked about them any more.
    fn begin(&self, note: SignedNote, tree_size: u64, prover: Arc<dyn ConsistencyProver>) -> Round {
        self.shared.largest.fetch_max(tree_size, Ordering::AcqRel);
        let mut number = 0;
        self.newest.send_modify(|newest| {
            *newest += 1;
            number = *newest;
        });
        let task = Arc::new(Task {
            number,
            note,
            tree_size,
            prover,
        });
        Round::begin(self, &task)
    }

    async fn cosigned(
        &self,
        unpublished: &Unpublished,
        prover: Arc<dyn ConsistencyProver>,
    ) -> Result<Vec<SignatureLine>, CosignError> {
        self.shared.contradiction()?;
        // At the start every witness is heard, for one alone may know that the log was rolled back
        // (D4).
        let is_first = !self.has_asked.swap(true, Ordering::AcqRel);
        let note = unpublished.note.clone();
        let mut round = self.begin(note, unpublished.tree_size, prover);
        let lines = if is_first {
            round.everybody().await
        } else {
            round.quorum().await
        };
        self.shared.contradiction()?;
        lines.map_err(|refused| {
            let NoQuorum {
                cosignatures,
                failures,
            } = refused;
            tracing::debug!(?failures, "no quorum of witnesses");
            CosignError::NoQuorum {
                collected: cosignatures,
            }
        })
    }
}

impl Cosigners for Witnesses {
    fn mode(&self) -> CosignMode {
        self.mode
    }

    fn cosign<'a>(
        &'a self,
        unpublished: &'a Unpublished,
        prover: Arc<dyn ConsistencyProver>,
    ) -> BoxFuture<'a, Result<Vec<SignatureLine>, CosignError>> {
        Box::pin(self.cosigned(unpublished, prover))
    }

    fn late(&self) -> BoxFuture<'_, LateCosignatures> {
        Box::pin(async {
            match self.late.lock().await.recv().await {
                Some(late) => late,
                // The sender lives in `self`.
                None => std::future::pending().await,
            }
        })
    }
}

impl Asking {
    /// What counts against the log's past, if anything.
    fn contradiction(&self) -> Result<(), CosignError> {
        let evidence = self.evidence.lock();
        let evidence = evidence.unwrap_or_else(PoisonError::into_inner);
        evidence.clone().map_or(Ok(()), Err)
    }

    /// Keeps what came late. A log that takes none any more misses nothing by it.
    fn keep_late(&self, tree_size: u64, lines: Vec<SignatureLine>) {
        if lines.is_empty() {
            return;
        }
        let late = LateCosignatures { tree_size, lines };
        if self.late.try_send(late).is_err() {
            tracing::debug!(tree_size, "late cosignatures were dropped");
        }
    }

    fn contradict(&self, error: CosignError) {
        let evidence = self.evidence.lock();
        let mut evidence = evidence.unwrap_or_else(PoisonError::into_inner);
        evidence.get_or_insert(error);
    }
}

impl fmt::Debug for Witnesses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witnesses")
            .field("names", &self.names)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

fn check_policy(policy: &WitnessPolicy, signers: &[NoteSigner]) -> Result<(), WitnessError> {
    if policy.is_met_by(|_| false) {
        return Err(WitnessError::AlwaysMet);
    }
    let room = MAX_SIGNATURES.saturating_sub(signers.len());
    let found = policy.witnesses().len();
    if found > room {
        return Err(WitnessError::TooManyWitnesses { room, found });
    }
    let is_ours = |key: &PublicKey| signers.iter().any(|signer| signer.public_key() == key);
    for witness in policy.witnesses() {
        if is_ours(witness.key.public_key()) {
            let name = shown(&witness.name);
            return Err(WitnessError::OwnKey { name });
        }
    }
    let is_this = |log: &PolicyLog| {
        let key = &log.key.key;
        is_ours(key.public_key()) && signers.iter().any(|signer| signer.name() == key.name())
    };
    if policy.logs().is_empty() || policy.logs().iter().any(is_this) {
        Ok(())
    } else {
        Err(WitnessError::OtherLog)
    }
}

/// Witnesses at one URL are one server with several keys: it is asked once.
fn members(policy: &WitnessPolicy) -> Result<Vec<Arc<Member>>, WitnessError> {
    let mut members: Vec<Member> = Vec::new();
    for (position, witness) in policy.witnesses().iter().enumerate() {
        let name = shown(&witness.name);
        let Some(url) = &witness.url else {
            return Err(WitnessError::NoUrl { name });
        };
        let url = submission(url).map_err(|source| WitnessError::BadUrl {
            name: name.clone(),
            source,
        })?;
        match members.iter_mut().find(|member| member.is_at(&url)) {
            Some(member) => member.add(position),
            None => members.push(Member::new(url, position)),
        }
    }
    Ok(members.into_iter().map(Arc::new).collect())
}

/// `<submission prefix>/add-checkpoint`
fn submission(prefix: &[u8]) -> Result<Url, BoxError> {
    let prefix = std::str::from_utf8(prefix)?;
    let url: Url = format!("{}/add-checkpoint", prefix.trim_end_matches('/')).parse()?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a submission prefix has no query".into());
    }
    Request::get(url.clone())
        .check()
        .map_err(|error: TransportError| BoxError::from(error))?;
    Ok(url)
}

/// The origin of a version 1 log is `NAME - TREE-ID`.
fn is_v1(origin: &Origin) -> bool {
    let name = origin.as_str();
    name.rsplit_once(" - ")
        .is_some_and(|(_, id)| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()))
}

/// Names in a policy are opaque bytes without control characters.
fn shown(name: &[u8]) -> Box<str> {
    String::from_utf8_lossy(name).into()
}

/// What is counted of witnesses.
#[derive(Debug, Clone)]
pub(crate) struct WitnessMetrics {
    requests: Counter<Answered>,
    rounds: Counter<RoundOutcome>,
}

/// How a witness was asked in vain, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    Cosigned,
    /// It claims another past than the log knows: an alarm.
    Contradicted,
    Failed,
    Skipped,
}

impl Label for Answered {
    const NAME: &'static str = "outcome";

    fn value(&self) -> &'static str {
        match self {
            Self::Cosigned => "cosigned",
            Self::Contradicted => "contradicted",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// What came of showing a checkpoint around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoundOutcome {
    Quorum,
    NoQuorum,
}

impl Label for RoundOutcome {
    const NAME: &'static str = "outcome";

    fn value(&self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::NoQuorum => "no_quorum",
        }
    }
}

/// The names of one log's witness metrics.
#[derive(Debug, Clone, Copy)]
struct WitnessMetricNames {
    requests: &'static str,
    rounds: &'static str,
}

impl WitnessMetricNames {
    const LOG: Self = Self {
        requests: "log_witness_requests",
        rounds: "log_witness_rounds",
    };
    const CT: Self = Self {
        requests: "ct_witness_requests",
        rounds: "ct_witness_rounds",
    };
}

impl WitnessMetrics {
    fn register(meter: &Meter, names: WitnessMetricNames) -> Self {
        Self {
            requests: meter.counter(names.requests, "Checkpoints shown to a witness"),
            rounds: meter.counter(names.rounds, "Checkpoints shown to all witnesses"),
        }
    }
}

#[cfg(test)]
mod tests;

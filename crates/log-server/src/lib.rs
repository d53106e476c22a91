//! A transparency log: appends entries in milliseconds, proves them, serves them as tiles.
//!
//! **What it is.** A tile-based Merkle log (C2SP tlog-tiles, tlog-checkpoint) whose entries are the
//! business of a [`Personality`]: [`ArtifactLog`] speaks Rekor's version 2 API, [`CtLog`] that of
//! RFC 6962 and static-ct-api.
//!
//! **In scope.** Order, durability, exact deduplication, checkpoints, proofs, sealing into
//! immutable objects, recovery, the HTTP routes of all that.
//!
//! **Out of scope.** The stores: they come in as [`Ledger`] and [`Objects`]
//! (`waxseal-store-embedded`). Whether a certificate is anybody's: verifiers decide. Witnesses.
//!
//! ```no_run
//! use std::sync::Arc;
//! use waxseal_crypto::{Clock, CryptoProvider};
//! use waxseal_log_server::{ArtifactLog, Config, Context, Ledger, LogServer, Objects, StartError};
//! use waxseal_serve::{Meter, Shutdown};
//! use waxseal_tlog::{NoteSigner, Origin};
//!
//! async fn start(
//!     provider: CryptoProvider,
//!     clock: Arc<dyn Clock>,
//!     signer: NoteSigner,
//!     ledger: Arc<dyn Ledger>,
//!     objects: Arc<dyn Objects>,
//! ) -> Result<axum::Router, StartError> {
//!     let context = Context {
//!         provider,
//!         clock,
//!         signers: vec![signer],
//!         cosigners: None,
//!         ledger,
//!         objects,
//!         personality: Arc::new(ArtifactLog::new(provider)),
//!         meter: Meter::new(),
//!     };
//!     let config = Config::new(Origin::new("log.example").expect("a name"));
//!     let log = LogServer::new(config, context).await?;
//!     let router = log.router();
//!     tokio::spawn(async move { log.run(Shutdown::new()).await });
//!     Ok(router)
//! }
//! ```
//!
//! **Trust.** Assumes that nobody but itself writes its stores and its key. Promises: an entry that
//! was acknowledged is durable at its index for ever (I1, D1); no two checkpoints of one size have
//! different roots, and each contains the one before (I2, D3, D4); whatever the newest checkpoint
//! implies can be read (I3); a duplicate's answer is about the same bytes (I6). It stops rather than
//! break one of them.

mod append;
mod artifact;
mod batch;
mod batch_proofs;
mod ct;
mod http;
mod integrate;
mod ledger;
mod metrics;
mod objects;
mod personality;
mod pipeline;
mod problem;
mod prove;
mod publish;
mod publisher;
mod recovery;
mod seal;
mod sequencer;
mod service;
mod shared;
mod state;
mod top_up;
mod tree;
mod witness;
mod witnesses;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use waxseal_crypto::{Clock, CryptoProvider};
use waxseal_serve::{BoxError, Fatal, Health, Meter, NotReady, Shutdown};
use waxseal_tlog::{NoteSigner, Origin, empty_root};

pub use append::AppendError;
pub use artifact::{ArtifactLog, RequestError};
pub use ct::{ChainError, CtConfigError, CtLog};
pub use ledger::{Commit, CommitOutcome, DedupKey, Ledger, LedgerError, NewEntry, Opened};
pub use objects::{ObjectName, Objects, ObjectsError};
pub use personality::{
    Answer, BundleKind, CheckError, Document, Endpoint, Logged, Personality, Published, Record,
    Refusal, RefusalKind, Submission,
};
pub use recovery::StartError;
pub use shared::ReadError;
pub use state::StateError;
/// The name of a tile or bundle, as [`Objects`] are asked for it.
pub use waxseal_tlog::TilePath;
pub use witness::{ConsistencyProver, CosignError, CosignMode, Cosigners, Unpublished};
pub use witnesses::{WITNESS_TIMEOUT, WitnessConfig, WitnessContext, WitnessError, Witnesses};

use append::Pending;
use metrics::{MetricNames, Metrics};
use pipeline::Pipeline;
use publish::publish_first;
use recovery::{check_published, own_key, recover};
use seal::{SealError, Sealer};
use service::{MAX_WAITING, Service};
use shared::{Shared, Tree, off_thread};
use top_up::top_up;

/// How often partial tiles and the checkpoint are written out as objects, at most.
const SEAL_INTERVAL: Duration = Duration::from_secs(1);

/// What an operator decides about a log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The log's name: the host of its URL, and the path if there is one.
    pub origin: Origin,
    /// Whether the log takes no more entries: it is only read.
    pub is_frozen: bool,
}

/// The world, as far as a log has to do with it.
#[expect(
    clippy::exhaustive_structs,
    reason = "made by whoever composes a process"
)]
pub struct Context {
    /// Checks its own published checkpoint at start.
    pub provider: CryptoProvider,
    /// The time of entries and checkpoints.
    pub clock: Arc<dyn Clock>,
    /// Who signs checkpoints; the first is the log's own key. All are named as the origin.
    pub signers: Vec<NoteSigner>,
    /// Who asks witnesses for their cosignatures, if anybody.
    pub cosigners: Option<Arc<dyn Cosigners>>,
    /// The transactional store.
    pub ledger: Arc<dyn Ledger>,
    /// The immutable store.
    pub objects: Arc<dyn Objects>,
    /// What the log holds.
    pub personality: Arc<dyn Personality>,
    /// Where it counts.
    pub meter: Meter,
}

/// A log.
pub struct LogServer {
    service: Arc<Service>,
    shared: Arc<Shared>,
    metrics: Metrics,
    parts: Mutex<Option<Parts>>,
}

/// What runs in the background, until it does.
struct Parts {
    pipeline: Pipeline,
    arrivals: mpsc::Receiver<Pending>,
    sealer: Sealer,
}

impl Config {
    /// A log that takes entries.
    pub const fn new(origin: Origin) -> Self {
        Self {
            origin,
            is_frozen: false,
        }
    }
}

impl LogServer {
    /// Opens the stores, makes sure that they tell one story, and signs the committed state. An
    /// empty log gets its first entry, if its personality has one.
    ///
    /// # Errors
    /// [`StartError`], before anything is served. Nothing was changed then but the ledger's epoch.
    pub async fn new(config: Config, context: Context) -> Result<Self, StartError> {
        off_thread(async move { Self::start(config, context).await })
            .await
            .map_err(StartError::Genesis)?
    }

    async fn start(config: Config, context: Context) -> Result<Self, StartError> {
        let own = own_key(context.provider, &config.origin, &context.signers)?;
        let names = match context.personality.bundles() {
            BundleKind::Entries => MetricNames::LOG,
            BundleKind::Data => MetricNames::CT,
        };
        let metrics = Metrics::register(&context.meter, names);
        let unsigned = Arc::new(Published {
            tree_size: 0,
            root_hash: empty_root(),
            checkpoint: String::new(),
        });
        let shared = Arc::new(Shared {
            personality: context.personality,
            ledger: context.ledger,
            objects: context.objects,
            signers: context.signers,
            cosigners: context.cosigners,
            clock: context.clock,
            tree: RwLock::new(Tree::default()),
            published: watch::Sender::new(Arc::clone(&unsigned)),
            sealed: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            written: watch::Sender::new(unsigned),
            cosigned: watch::Sender::new(None),
            stopped: AtomicBool::new(false),
            flush: Notify::new(),
        });
        let opened = shared.ledger.open().await?;
        let state = recover(&shared, &config.origin, opened.state).await?;
        let checkpoint = shared.objects.read(ObjectName::Checkpoint).await?;
        if let Some(published) = &checkpoint {
            let published = check_published(&shared, &own, &state, published).await?;
            shared.published.send_replace(Arc::new(published));
        }
        shared.sealed.store(state.sealed, Ordering::Release);
        let committed = state.frontier.size();
        shared.committed.store(committed, Ordering::Release);
        let pipeline = Pipeline::new(Arc::clone(&shared), metrics.clone(), opened.epoch, state);
        let pipeline = begin(pipeline, &shared, &config).await?;
        let (sender, arrivals) = mpsc::channel(MAX_WAITING);
        Ok(Self {
            service: Arc::new(Service::new(Arc::clone(&shared), sender, config.is_frozen)),
            metrics,
            parts: Mutex::new(Some(Parts {
                pipeline,
                arrivals,
                sealer: Sealer::new(Arc::clone(&shared), checkpoint),
            })),
            shared,
        })
    }

    /// The HTTP surface. It answers writes while [`Self::run`] runs, and reads always.
    pub fn router(&self) -> axum::Router {
        http::router(&self.service)
    }

    /// Whether the log can do its job now.
    pub fn health(&self, name: &'static str) -> Health {
        let shared = Arc::clone(&self.shared);
        Health::new().probe(name, move || {
            let shared = Arc::clone(&shared);
            async move {
                if shared.is_stopped() {
                    return Err(NotReady("the log has stopped"));
                }
                Ok(())
            }
        })
    }

    /// The newest signed checkpoint.
    pub fn published(&self) -> Arc<Published> {
        self.shared.published()
    }

    /// The untruncated key id of the log: `logId.keyId` in its entries.
    pub fn log_id(&self) -> [u8; 32] {
        personality::log_id(&self.shared.signers)
    }

    /// Writes everything that is published now out as objects, and waits until it is there. The
    /// log must be running; it does so by itself about once a second.
    pub async fn flush(&self) {
        let size = self.shared.published().tree_size;
        let mut written = self.shared.written.subscribe();
        self.shared.flush.notify_one();
        // The sender lives in `self`.
        let _ = written.wait_for(|written| written.tree_size >= size).await;
    }

    /// Sequences, commits, signs, publishes, answers; seals behind that. Returns when `shutdown`
    /// has fired and all that had arrived is answered and sealed.
    ///
    /// # Errors
    /// [`Fatal`]: going on is unsafe, and the process must stop.
    pub async fn run(&self, shutdown: Shutdown) -> Result<(), Fatal> {
        let parts = self
            .parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(parts) = parts else {
            return Err(Fatal::because("the log was started twice"));
        };
        let Parts {
            pipeline,
            arrivals,
            sealer,
        } = parts;
        let _stop = StopOnDrop(Arc::clone(&self.shared));
        let stop_arrivals = Shutdown::new();
        let ended = pipeline.spawn(arrivals, stop_arrivals.clone())?;
        let outcome = self
            .seal_until(sealer, shutdown, stop_arrivals, ended)
            .await;
        if let Err(fatal) = &outcome {
            tracing::error!(reason = fatal.reason(), "the log stops");
        }
        outcome
    }

    /// Seals about once a second while the sequencer runs, and once more when it has ended.
    async fn seal_until(
        &self,
        mut sealer: Sealer,
        shutdown: Shutdown,
        stop_arrivals: Shutdown,
        mut ended: oneshot::Receiver<Result<(), Fatal>>,
    ) -> Result<(), Fatal> {
        let mut cosigned = self.shared.cosigned.subscribe();
        let mut topping_up = std::pin::pin!(top_up(Arc::clone(&self.shared)));
        let mut tick = tokio::time::interval(SEAL_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut turn = Turn::Seal;
            tokio::select! {
                biased;
                result = &mut ended => {
                    result.unwrap_or_else(|_| Err(Fatal::because("the sequencer panicked")))?;
                    break;
                }
                () = shutdown.triggered(), if !stop_arrivals.is_triggered() => {
                    stop_arrivals.trigger();
                    continue;
                }
                fatal = &mut topping_up => {
                    self.shared.stopped.store(true, Ordering::Release);
                    stop_arrivals.trigger();
                    return Err(fatal);
                }
                // The sender lives in `self`.
                _ = cosigned.changed() => turn = Turn::TopUp,
                () = self.shared.flush.notified() => {}
                _ = tick.tick() => {}
            }
            sealer = match self.seal(sealer, turn).await {
                Ok(sealer) => sealer,
                Err(fatal) => {
                    // Nothing more is signed over what contradicts itself.
                    self.shared.stopped.store(true, Ordering::Release);
                    stop_arrivals.trigger();
                    return Err(fatal);
                }
            };
        }
        self.seal(sealer, Turn::Seal).await.map(|_| ())
    }

    async fn seal(&self, mut sealer: Sealer, turn: Turn) -> Result<Sealer, Fatal> {
        let lost = |error: BoxError| Fatal::new("the sealer ended", error);
        let (sealer, result) = off_thread(async move {
            let result = match turn {
                Turn::Seal => sealer.seal().await,
                Turn::TopUp => sealer.top_up().await,
            };
            (sealer, result)
        })
        .await
        .map_err(lost)?;
        let sealed = self.shared.sealed.load(Ordering::Acquire);
        let committed = self.shared.committed.load(Ordering::Acquire);
        self.metrics.unsealed(committed.saturating_sub(sealed));
        match result {
            Ok(()) => Ok(sealer),
            Err(error @ SealError::Store(_)) => {
                self.metrics.seal_failed();
                tracing::error!(error = %chain(&error), "sealing failed, and is tried again");
                Ok(sealer)
            }
            Err(error) => Err(Fatal::new(
                "what is stored contradicts the log's tree",
                error,
            )),
        }
    }
}

/// What the sealer does next.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Seal,
    TopUp,
}

/// A log that has ended, in whatever way, takes nothing more.
struct StopOnDrop(Arc<Shared>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Release);
    }
}

/// Publishes the committed state; an empty log gets its first entry before.
async fn begin(
    mut pipeline: Pipeline,
    shared: &Arc<Shared>,
    config: &Config,
) -> Result<Pipeline, StartError> {
    let is_empty = pipeline.state().frontier.size() == 0;
    let mut genesis = None;
    if is_empty {
        let made = shared.personality.genesis(&config.origin).await;
        genesis = made.map_err(StartError::Genesis)?;
    }
    // An empty log whose witnesses have seen it full has lost its stores.
    if genesis.is_none() || shared.cosigners.is_some() {
        publish_first(shared, pipeline.state()).await?;
    }
    let Some(submission) = genesis else {
        return Ok(pipeline);
    };
    let (reply, answer) = oneshot::channel();
    let appended = pipeline.append(vec![Pending { submission, reply }]).await;
    appended.map_err(|error| StartError::Genesis(error.into()))?;
    let answer = answer.await;
    match answer.map_err(|error| StartError::Genesis(error.into()))? {
        // A log that fails closed publishes its first entry when its witnesses are there.
        Ok(_) | Err(AppendError::NoQuorum) => Ok(pipeline),
        Err(error) => Err(StartError::Genesis(error.into())),
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text.replace(char::is_control, " ")
}

impl std::fmt::Debug for LogServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let published = self.published();
        f.debug_struct("LogServer")
            .field("tree_size", &published.tree_size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

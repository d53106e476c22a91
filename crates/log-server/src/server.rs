//! A log as whoever composes a process sees it: start, serve, run, freeze.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use waxseal_serve::{Door, Fatal, Health, NotReady, Shutdown};
use waxseal_tlog::{Origin, empty_root};

use crate::append::Pending;
use crate::background::Background;
use crate::history::History;
use crate::leap::Leaps;
use crate::metrics::{MetricNames, Metrics};
use crate::pipeline::{Arrivals, Pipeline};
use crate::publish::{COSIGN_LIMIT, publish_first};
use crate::recovery::{OwnKey, check_published, recover};
use crate::seal::Sealer;
use crate::sequencer::FreezeRequest;
use crate::service::{MAX_WAITING, Service};
use crate::shared::{Shared, Tree, off_thread};
use crate::shown::Shown;
use crate::state::LogState;
use crate::statistics::signatures;
use crate::{
    AppendError, BundleKind, Config, Context, LateCosignatures, Published, StartError, http,
    personality,
};

/// How long a freeze may take; a log that fails closed waits for its witnesses.
const FREEZE_LIMIT: Duration = Duration::from_secs(60);

/// A log.
pub struct LogServer {
    pub(crate) service: Arc<Service>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) parts: Mutex<Option<Parts>>,
    pub(crate) metrics: Metrics,
    origin: Origin,
    epoch: u64,
    freezes: mpsc::Sender<FreezeRequest>,
}

/// What runs in the background, until it does.
pub(crate) struct Parts {
    pub(crate) pipeline: Pipeline,
    pub(crate) arrivals: Arrivals,
    pub(crate) sealer: Sealer,
}

impl LogServer {
    /// Opens the stores, makes sure that they and the witnesses tell one story, and signs the
    /// committed state. An empty log gets its first entry, if its personality has one.
    ///
    /// # Errors
    /// [`StartError`], before anything is served. Nothing was changed then but the ledger's epoch.
    pub async fn new(config: Config, context: Context) -> Result<Self, StartError> {
        off_thread(async move { Self::start(config, context).await })
            .await
            .map_err(StartError::Genesis)?
    }

    async fn start(config: Config, context: Context) -> Result<Self, StartError> {
        let own = OwnKey::new(context.provider, &config.origin, &context.signers)?;
        let names = match context.personality.bundles() {
            BundleKind::Entries => MetricNames::LOG,
            BundleKind::Data => MetricNames::CT,
        };
        let metrics = Metrics::register(&context.meter, names);
        let shared = Arc::new(Shared::new(context));
        let opened = shared.ledger.open().await?;
        let mut state = recover(&shared, &config, opened.state).await?;
        let checkpoint = check_published(&shared, &own, &config, &state).await?;
        let is_adopted = state.origin != config.origin;
        if is_adopted {
            state = LogState {
                origin: config.origin.clone(),
                is_frozen: false,
                is_copy: false,
                ..state
            };
        }
        shared.begin_at(&state, config.is_frozen);
        // What the clock shows now is what later leaps are told by.
        let _ = shared.leaps.next_time(state.time);
        let mut pipeline = Pipeline::new(Arc::clone(&shared), metrics.clone(), opened.epoch, state);
        if is_adopted {
            // Before anything is signed under the new name.
            let committed = pipeline.commit_state().await;
            committed.map_err(|error| StartError::Genesis(error.into()))?;
        }
        let pipeline = begin(pipeline, &shared, &config).await?;
        let (sender, entries) = mpsc::channel(MAX_WAITING);
        let (freezes, freeze_requests) = mpsc::channel(1);
        Ok(Self {
            service: Arc::new(Service::new(Arc::clone(&shared), sender, metrics.clone())),
            metrics,
            origin: config.origin,
            epoch: opened.epoch,
            freezes,
            parts: Mutex::new(Some(Parts {
                pipeline,
                arrivals: Arrivals {
                    entries,
                    freezes: freeze_requests,
                },
                sealer: Sealer::new(Arc::clone(&shared), checkpoint),
            })),
            shared,
        })
    }

    /// The HTTP surface. It answers writes while [`Self::run`] runs, and reads always.
    pub fn router(&self) -> axum::Router {
        http::router(&self.service)
    }

    /// The door before those routes, which are mounted at `prefix` (empty: the root). Without it the
    /// log refuses the same requests, at a higher price.
    pub fn door(&self, prefix: &str) -> Arc<dyn Door> {
        Arc::new(http::SubmissionDoor::new(&self.service, prefix))
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
                if shared.is_damaged() {
                    return Err(NotReady("stored entries of the log are damaged"));
                }
                if shared.uncommitted.load(Ordering::Acquire) {
                    return Err(NotReady("the log's ledger cannot be written"));
                }
                if !shared.is_frozen() && shared.leaps.next_time(shared.last_time()).is_err() {
                    return Err(NotReady("the clock has leapt ahead: set it right"));
                }
                if shared.unpublished.load(Ordering::Acquire) {
                    return Err(NotReady("the log's newest checkpoint is not published"));
                }
                if shared.unsealed.load(Ordering::Acquire) {
                    return Err(NotReady("the log's objects cannot be written"));
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

    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
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

    /// Takes no more entries, for ever: what has arrived is appended, the ledger says that the log
    /// is frozen, and its last checkpoint, a plain one, is published and written out. The log must
    /// be running. To freeze a frozen log again is no error.
    ///
    /// # Errors
    /// [`AppendError::Store`]: it is not frozen. [`AppendError::Deadline`]: it is frozen, but its
    /// last checkpoint is not published yet. [`AppendError::Stopped`].
    pub async fn freeze(&self) -> Result<Arc<Published>, AppendError> {
        tokio::time::timeout(FREEZE_LIMIT, self.freeze_now())
            .await
            .map_err(|_| AppendError::Deadline)?
    }

    async fn freeze_now(&self) -> Result<Arc<Published>, AppendError> {
        let (reply, answer) = oneshot::channel();
        let stopped = |_| AppendError::Stopped;
        self.freezes
            .send(reply)
            .await
            .map_err(|_| AppendError::Stopped)?;
        let size = answer.await.map_err(stopped)??;
        let mut published = self.shared.published.subscribe();
        let last = published.wait_for(|published| published.tree_size >= size);
        last.await.map_err(|_| AppendError::Stopped)?;
        if self.shared.tops_up() {
            // Nothing takes the place of this one: its cosignatures are worth waiting for.
            let own = self.shared.signers.len();
            let cosigned = published.wait_for(|last| signatures(last) > own);
            let _ = tokio::time::timeout(COSIGN_LIMIT, cosigned).await;
        }
        self.flush().await;
        Ok(self.shared.published())
    }

    /// Sequences, commits, signs, publishes, answers; seals and scrubs behind that. Returns when
    /// `shutdown` has fired and all that had arrived is answered and sealed.
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
        let background = Background::new(Arc::clone(&self.shared), self.metrics.clone());
        background.run(parts, shutdown).await
    }
}

/// Publishes the committed state; an empty log gets its first entry before.
async fn begin(
    mut pipeline: Pipeline,
    shared: &Arc<Shared>,
    config: &Config,
) -> Result<Pipeline, StartError> {
    let state = pipeline.state();
    let (size, published) = (state.frontier.size(), shared.published());
    let has_last = !published.checkpoint.is_empty() && published.tree_size == size;
    if state.is_frozen && has_last {
        // Its last checkpoint stays as it is, with all cosignatures, whatever became of the key.
        return Ok(pipeline);
    }
    let mut genesis = None;
    if size == 0 {
        let made = shared.personality.genesis(&config.origin).await;
        genesis = made.map_err(StartError::Genesis)?;
    }
    // An empty log whose witnesses have seen it full has lost its stores.
    if genesis.is_none() || shared.cosigners.is_some() {
        publish_first(shared, state).await?;
    }
    let Some(submission) = genesis else {
        return Ok(pipeline);
    };
    let (pending, answer) = Pending::new(submission);
    let appended = pipeline.append(vec![pending]).await;
    appended.map_err(|error| StartError::Genesis(error.into()))?;
    let answer = answer.await;
    match answer.map_err(|error| StartError::Genesis(error.into()))? {
        // A log that fails closed publishes its first entry when its witnesses are there.
        Ok(_) | Err(AppendError::NoQuorum) => Ok(pipeline),
        Err(error) => Err(StartError::Genesis(error.into())),
    }
}

impl Shared {
    pub(crate) fn new(context: Context) -> Self {
        let unsigned = Arc::new(Published {
            tree_size: 0,
            root_hash: empty_root(),
            checkpoint: String::new(),
        });
        Self {
            personality: context.personality,
            ledger: context.ledger,
            objects: context.objects,
            signers: context.signers,
            cosigners: context.cosigners,
            leaps: Leaps::new(Arc::clone(&context.clock)),
            clock: context.clock,
            tree: RwLock::new(Tree::default()),
            published: watch::Sender::new(Arc::clone(&unsigned)),
            sealed: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            last_millis: AtomicU64::new(0),
            written: watch::Sender::new(unsigned),
            late: watch::Sender::new(LateCosignatures::default()),
            shown: Shown::default(),
            stopped: AtomicBool::new(false),
            frozen: AtomicBool::new(false),
            damaged: AtomicBool::new(false),
            unpublished: AtomicBool::new(false),
            uncommitted: AtomicBool::new(false),
            unsealed: AtomicBool::new(false),
            flush: Notify::new(),
            history: History::default(),
        }
    }
}

impl std::fmt::Debug for LogServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let published = self.published();
        f.debug_struct("LogServer")
            .field("tree_size", &published.tree_size)
            .finish_non_exhaustive()
    }
}

//! The log as its callers see it: append an entry, read a tile. No HTTP in here.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use waxseal_serve::BoxError;
use waxseal_tlog::{Tile, TilePath};

use crate::admission::{Admission, OverShare, Share};
use crate::append::{Pending, Sequenced, Told};
use crate::gate::Gate;
use crate::metrics::{Metrics, Outcome};
use crate::personality::CheckError;
use crate::sequencer::MAX_BATCH;
use crate::shared::{ReadError, Shared, off_thread};
use crate::{AppendError, BundleKind, Logged, ObjectName, Published, Refusal, Submission};

/// Entries that may wait for a place.
pub(crate) const MAX_WAITING: usize = 4 * MAX_BATCH;

/// Submissions that wait when a check is no longer done at once.
const CROWD: usize = 32;

/// Entries that may be committed and not sealed: beyond, the ledger would grow without bound while
/// the objects cannot be written.
const MAX_UNSEALED: u64 = 1 << 18;

/// The time an entry has to get its place. Clients give up after 20 seconds or more.
const APPEND_DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Service {
    pub(crate) shared: Arc<Shared>,
    arrivals: mpsc::Sender<Pending>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) metrics: Metrics,
    pub(crate) reads: Gate,
    /// Reads that decide whether a submission is a duplicate do not wait for everybody else's.
    pub(crate) own_reads: Gate,
}

/// Why a submission has no answer.
#[derive(Debug)]
pub(crate) enum SubmitError {
    Refused(Refusal),
    Check(BoxError),
    Append(AppendError),
    /// The client has more than its share of the queue.
    OverShare,
}

/// What is known of who submits.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Client {
    /// As far as clients are told apart.
    pub(crate) address: Option<IpAddr>,
    /// It asks for the whole entry, also of a duplicate.
    pub(crate) wants_entry: bool,
}

impl Service {
    pub(crate) fn new(
        shared: Arc<Shared>,
        arrivals: mpsc::Sender<Pending>,
        metrics: Metrics,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            shared,
            arrivals,
            admission: Arc::new(Admission::new(cores)),
            reads: Gate::new(cores),
            own_reads: Gate::new(cores),
            metrics,
        }
    }

    /// Parses, looks for the same entry, waits for its turn, checks, appends; the entry is durable,
    /// and covered by a published checkpoint.
    pub(crate) async fn submit_for(
        &self,
        client: Client,
        endpoint: usize,
        body: &Bytes,
    ) -> Result<Logged, SubmitError> {
        let answer = self.log_once(client, endpoint, body).await;
        let outcome = match &answer {
            Ok(logged) if logged.is_duplicate() => Outcome::Duplicate,
            Ok(_) => Outcome::Created,
            Err(SubmitError::OverShare) => Outcome::OverShare,
            Err(SubmitError::Refused(_) | SubmitError::Append(AppendError::Frozen)) => {
                Outcome::Refused
            }
            Err(SubmitError::Append(AppendError::Overloaded)) => Outcome::Overloaded,
            Err(SubmitError::Append(_) | SubmitError::Check(_)) => Outcome::Failed,
        };
        self.metrics.submitted(outcome, self.waiting());
        answer
    }

    async fn log_once(
        &self,
        client: Client,
        endpoint: usize,
        body: &Bytes,
    ) -> Result<Logged, SubmitError> {
        self.admit().map_err(SubmitError::Append)?;
        let personality = &self.shared.personality;
        let submission = personality
            .parse(endpoint, body)
            .map_err(SubmitError::Refused)?;
        let cost = submission.cost();
        // What was verified when it was logged need not be verified again; and while the log has
        // nothing better to do, two reads of the ledger cost more than one check.
        if (self.admission.is_busy(cost) || cost > 1)
            && let Some(logged) = self.find_duplicate(&*submission, client).await
        {
            return Ok(logged);
        }
        let waiting = self.waiting();
        let places = self.admission.places(self.arrivals.max_capacity());
        let share = self.admission.share(client.address, waiting, places);
        let share = share.map_err(|OverShare| SubmitError::OverShare)?;
        // A place before the check: nothing is verified only to be turned away.
        let place = self.arrivals.try_reserve().map_err(|error| {
            SubmitError::Append(match error {
                mpsc::error::TrySendError::Full(()) => AppendError::Overloaded,
                mpsc::error::TrySendError::Closed(()) => AppendError::Stopped,
            })
        })?;
        if waiting >= CROWD {
            // Whoever has arrived is counted, or turned away, before the processors go to checks:
            // otherwise they would wait unseen in the sockets.
            tokio::task::yield_now().await;
        }
        {
            let _permit = self.admission.check(cost).await;
            submission.check().await.map_err(|error| match error {
                CheckError::Refused(refusal) => SubmitError::Refused(refusal),
                CheckError::Fault(cause) => SubmitError::Check(cause),
            })?;
        }
        let appended = self.append(place, submission, client, share);
        match tokio::time::timeout(APPEND_DEADLINE, appended).await {
            Ok(logged) => {
                let logged = logged.map_err(SubmitError::Append)?;
                self.admission.answered();
                Ok(logged)
            }
            Err(_) => Err(SubmitError::Append(AppendError::Deadline)),
        }
    }

    /// Waits for the place of a checked submission. The sequencer may give it back, if a sealed
    /// entry has its key: that one is read and compared here, where nobody else waits for it.
    async fn append(
        &self,
        mut place: mpsc::Permit<'_, Pending>,
        submission: Box<dyn Submission>,
        client: Client,
        share: Share,
    ) -> Result<Logged, AppendError> {
        // Until it is known to be old: who only waits for a read holds nobody up.
        let mut share = Some(share);
        let stopped = |_| AppendError::Stopped;
        let (mut pending, mut answer) = Pending::new(submission);
        loop {
            place.send(pending);
            let (index, submission) = match answer.await.map_err(stopped)?? {
                Told::Sequenced(sequenced) => return Ok(self.logged(sequenced, client)),
                Told::Sealed { index, submission } => (index, submission),
            };
            drop(share.take());
            let cause = |error: ReadError| match error {
                ReadError::Busy => AppendError::Overloaded,
                error => AppendError::Store(BoxError::from(error).into()),
            };
            let entry = self.settled_entry(index).await.map_err(cause)?;
            if let Some(mut logged) = entry.filter(|one| submission.is_stored_as(one.stored())) {
                logged.wants_entry = client.wants_entry;
                return Ok(logged);
            }
            // A key that leads to other bytes proves nothing (S-13, I6): it is a new entry. A key
            // keeps its first index, so this is asked once.
            (pending, answer) = Pending::new(submission);
            pending.is_not = Some(index);
            place = self
                .arrivals
                .reserve()
                .await
                .map_err(|_| AppendError::Stopped)?;
        }
    }

    /// Whether a submission may be read at all; one that may not has ended.
    pub(crate) fn lets_in(&self) -> bool {
        let queued = self.waiting();
        let lets_in = self.admission.lets_in(queued);
        if !lets_in {
            self.metrics.submitted(Outcome::Overloaded, queued);
        }
        lets_in
    }

    /// [`Self::submit_for`] for nobody in particular.
    #[cfg(test)]
    pub(crate) async fn submit(
        &self,
        endpoint: usize,
        body: &Bytes,
    ) -> Result<Logged, SubmitError> {
        self.submit_for(Client::default(), endpoint, body).await
    }

    fn admit(&self) -> Result<(), AppendError> {
        if self.shared.is_frozen() {
            return Err(AppendError::Frozen);
        }
        if self.shared.is_stopped() {
            return Err(AppendError::Stopped);
        }
        if self.shared.is_damaged() {
            return Err(AppendError::Damaged);
        }
        let sealed = self.shared.sealed.load(Ordering::Acquire);
        let committed = self.shared.committed.load(Ordering::Acquire);
        if committed.saturating_sub(sealed) > MAX_UNSEALED || self.arrivals.capacity() == 0 {
            return Err(AppendError::Overloaded);
        }
        Ok(())
    }

    /// How many entries wait for their place.
    pub(crate) fn waiting(&self) -> usize {
        self.arrivals.max_capacity() - self.arrivals.capacity()
    }

    pub(crate) fn logged(&self, sequenced: Sequenced, client: Client) -> Logged {
        let Sequenced {
            index,
            is_duplicate,
            stored,
            published,
            prover,
        } = sequenced;
        Logged {
            index,
            is_duplicate,
            stored,
            published,
            prover,
            log_id: crate::personality::log_id(&self.shared.signers),
            ledger: Arc::clone(&self.shared.ledger),
            wants_entry: client.wants_entry,
        }
    }

    /// When those who wait now will have been answered.
    pub(crate) fn retry_after(&self) -> Duration {
        self.admission.retry_after(self.waiting())
    }

    /// The checkpoint that readers are shown.
    pub(crate) fn shown(&self) -> Arc<Published> {
        self.shared.shown()
    }

    /// The newest checkpoint.
    pub(crate) fn published(&self) -> Arc<Published> {
        self.shared.published()
    }

    /// A tile or bundle of the published tree, at any width that it has or had (I3); `None` if it
    /// is not in the tree.
    pub(crate) async fn read(&self, path: TilePath) -> Result<Option<Vec<u8>>, ReadError> {
        let size = self.published().tree_size;
        match (path, self.shared.personality.bundles()) {
            (TilePath::Tile(tile), _) => self.read_tile(tile, size).await,
            (TilePath::Entries { index, width }, BundleKind::Entries)
            | (TilePath::Data { index, width }, BundleKind::Data) => {
                self.read_bundle(index, width, size).await
            }
            _ => Ok(None),
        }
    }

    async fn read_tile(&self, tile: Tile, size: u64) -> Result<Option<Vec<u8>>, ReadError> {
        let in_tree = Tile::in_tree(tile.level(), tile.index(), size);
        if in_tree.is_none_or(|in_tree| in_tree.width() < tile.width()) {
            return Ok(None);
        }
        let shared = Arc::clone(&self.shared);
        // Nearly always in memory; otherwise a file is read.
        if let Some(hashes) = self.shared.tree().tile(tile) {
            return Ok(Some(Tile::encode(&hashes)));
        }
        let hashes = self.reads.read(async move { shared.tile(tile).await });
        Ok(Some(Tile::encode(&hashes.await?)))
    }

    async fn read_bundle(
        &self,
        index: u64,
        width: u16,
        size: u64,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let in_tree = Tile::in_tree(0, index, size);
        if in_tree.is_none_or(|in_tree| in_tree.width() < width) {
            return Ok(None);
        }
        let shared = Arc::clone(&self.shared);
        let bundle = self.reads.read(async move {
            let name = ObjectName::Tile(shared.bundle_path(index, width));
            let is_sealed = index < shared.sealed.load(Ordering::Acquire) / 256;
            if is_sealed && width == 256 {
                return shared.object(name).await;
            }
            let stored = shared.entries(index, 0, u64::from(width)).await?;
            if stored.len() < usize::from(width) {
                return Err(ReadError::Damaged { name });
            }
            Ok(shared.personality.encode_bundle(&stored))
        });
        Ok(Some(bundle.await?))
    }

    /// The certificate of an issuer, by its digest.
    pub(crate) async fn issuer(&self, digest: [u8; 32]) -> Result<Option<Vec<u8>>, ReadError> {
        let objects = Arc::clone(&self.shared.objects);
        let read = off_thread(async move { objects.read(ObjectName::Issuer(digest)).await });
        let read = read.await.map_err(ReadError::Store)?;
        read.map_err(|error| ReadError::Store(error.into()))
    }
}

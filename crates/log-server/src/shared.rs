//! What the parts of one log share: its stores, its tree in memory, and what is published.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use waxseal_crypto::{Clock, Time};
use waxseal_serve::BoxError;
use waxseal_tlog::{Frontier, Hash, InclusionProof, Node, NoteSigner, ProofError, Tile, TilePath};

use crate::history::History;
use crate::leap::Leaps;
use crate::personality::{BundleKind, Prover};
use crate::shown::Shown;
use crate::state::LogState;
use crate::{
    Cosigners, LateCosignatures, Ledger, LedgerError, ObjectName, Objects, Personality, Published,
};

pub(crate) struct Shared {
    pub(crate) personality: Arc<dyn Personality>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) objects: Arc<dyn Objects>,
    pub(crate) signers: Vec<NoteSigner>,
    pub(crate) cosigners: Option<Arc<dyn Cosigners>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether the clock is believed.
    pub(crate) leaps: Leaps,
    pub(crate) tree: RwLock<Tree>,
    /// Only committed states that were signed, and only ever larger ones (rule D6).
    pub(crate) published: watch::Sender<Arc<Published>>,
    /// Entries below this index are in durable objects.
    pub(crate) sealed: AtomicU64,
    /// Size of the committed tree.
    pub(crate) committed: AtomicU64,
    /// Time of the last entry.
    pub(crate) last_millis: AtomicU64,
    /// What the checkpoint object is.
    pub(crate) written: watch::Sender<Arc<Published>>,
    /// Cosignatures that what was written out is to get.
    pub(crate) late: watch::Sender<LateCosignatures>,
    /// Which checkpoint readers are shown.
    pub(crate) shown: Shown,
    /// Set for good when going on is unsafe, or the log has shut down.
    pub(crate) stopped: AtomicBool,
    /// Whether the log takes no more entries.
    pub(crate) frozen: AtomicBool,
    /// Set for good when stored bytes are not those that were written (rule D8).
    pub(crate) damaged: AtomicBool,
    /// Whether the newest committed tree could not be published.
    pub(crate) unpublished: AtomicBool,
    /// Whether the last commit certainly failed: the ledger's disk may be full.
    pub(crate) uncommitted: AtomicBool,
    /// Whether the last sealing failed, and is tried again: the objects' disk may be full.
    pub(crate) unsealed: AtomicBool,
    /// Asks for sealing and publication of objects now.
    pub(crate) flush: Notify,
    /// Checkpoints that were written out.
    pub(crate) history: History,
}

pub(crate) use crate::tree::Tree;

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A store failed.
    #[error("a store of the log failed")]
    Store(#[source] BoxError),
    /// A store does not have what the published checkpoint implies (I3), or not its bytes.
    #[error("{name} is missing or damaged")]
    Damaged {
        /// Which object.
        name: ObjectName,
    },
    /// Too many look something up just now.
    #[error("too many look something up just now")]
    Busy,
    /// There is no such proof.
    #[error(transparent)]
    Impossible(ProofError),
}

impl Shared {
    pub(crate) fn tree(&self) -> RwLockReadGuard<'_, Tree> {
        self.tree.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tree_mut(&self) -> RwLockWriteGuard<'_, Tree> {
        self.tree.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn published(&self) -> Arc<Published> {
        self.published.borrow().clone()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Acquire)
    }

    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
    }

    /// Stored bytes are not those that were written: from here on the log is only read (rule D8).
    pub(crate) fn found_damaged(&self, path: TilePath) -> ReadError {
        let name = ObjectName::Tile(path);
        tracing::error!(%name, "stored bytes are damaged: the log is only read from here on");
        self.damaged.store(true, Ordering::Release);
        ReadError::Damaged { name }
    }

    /// Takes over where the stores are: before this, nothing is known of them.
    pub(crate) fn begin_at(&self, state: &LogState, is_frozen: bool) {
        self.sealed.store(state.sealed, Ordering::Release);
        let committed = state.frontier.size();
        self.committed.store(committed, Ordering::Release);
        self.note_time(state.time);
        let is_frozen = is_frozen || state.is_frozen;
        self.frozen.store(is_frozen, Ordering::Release);
    }

    pub(crate) fn note_time(&self, time: Time) {
        self.last_millis
            .store(time.unix_millis(), Ordering::Release);
    }

    pub(crate) fn last_time(&self) -> Time {
        let millis = self.last_millis.load(Ordering::Acquire);
        Time::from_unix_millis(millis).unwrap_or(Time::UNIX_EPOCH)
    }

    pub(crate) fn bundle_path(&self, index: u64, width: u16) -> TilePath {
        match self.personality.bundles() {
            BundleKind::Entries => TilePath::Entries { index, width },
            BundleKind::Data => TilePath::Data { index, width },
        }
    }

    /// The leaf hash of stored bytes; `None` if they are damaged.
    pub(crate) fn leaf_hash(&self, stored: &[u8]) -> Option<Hash> {
        let leaf = self.personality.leaf(stored)?;
        Some(waxseal_tlog::leaf_hash(&leaf))
    }

    /// The stored bytes of one committed entry.
    pub(crate) async fn entry(&self, index: u64) -> Result<Vec<u8>, ReadError> {
        let mut entries = self.entries(index / 256, index % 256, 1).await?;
        entries.pop().ok_or(ReadError::Damaged {
            name: ObjectName::Tile(self.bundle_path(index / 256, 256)),
        })
    }

    /// Stored bytes out of the bundle `index`: `count` entries from `first` on. Those that the
    /// ledger holds are compared with the tree: no damaged byte of it leaves (rule D8).
    pub(crate) async fn entries(
        &self,
        index: u64,
        first: u64,
        count: u64,
    ) -> Result<Vec<Vec<u8>>, ReadError> {
        let start = index * 256 + first;
        if start >= self.sealed.load(Ordering::Acquire) {
            match self.ledger.read(start..start + count).await {
                // It was sealed, and forgotten, in between.
                Err(LedgerError::Forgotten { .. }) => {}
                Err(error) => return Err(ReadError::Store(error.into())),
                Ok(entries) => {
                    let leaves: Option<Vec<_>> =
                        entries.iter().map(|entry| self.leaf_hash(entry)).collect();
                    let expected = self.tree().nodes(0, start, start + count);
                    if leaves.is_none() || leaves != expected {
                        return Err(self.found_damaged(self.bundle_path(index, 256)));
                    }
                    return Ok(entries);
                }
            }
        }
        let path = self.bundle_path(index, 256);
        let name = ObjectName::Tile(path);
        let damaged = || ReadError::Damaged { name };
        let bytes = self.object(name).await?;
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let positions = first..first.saturating_add(count);
        self.personality
            .decode_entries(&bytes, positions)
            .ok_or_else(damaged)
    }

    /// The hashes of a tile of the committed tree.
    pub(crate) async fn tile(&self, tile: Tile) -> Result<Vec<Hash>, ReadError> {
        let in_memory = self.tree().tile(tile);
        if let Some(hashes) = in_memory {
            return Ok(hashes);
        }
        let name = ObjectName::Tile(TilePath::Tile(tile.full()));
        let damaged = || ReadError::Damaged { name };
        let bytes = self.object(name).await?;
        let mut hashes = tile.full().parse(&bytes).map_err(|_| damaged())?;
        hashes.truncate(usize::from(tile.width()));
        Ok(hashes)
    }

    /// The root hash of an earlier committed tree.
    pub(crate) async fn root_hash(&self, size: u64) -> Result<Hash, ReadError> {
        let mut peaks = Vec::new();
        for node in Frontier::peak_nodes(size) {
            peaks.push(self.node(node).await?);
        }
        let name = ObjectName::Checkpoint;
        let frontier =
            Frontier::from_peaks(size, peaks).map_err(|_| ReadError::Damaged { name })?;
        Ok(frontier.root_hash())
    }

    pub(crate) async fn node(&self, node: Node) -> Result<Hash, ReadError> {
        let in_memory = self.tree().node(node);
        if let Some(hash) = in_memory {
            return Ok(hash);
        }
        // Out of the part of a full tile that is below it.
        let height = node.level % 8;
        let index = node.index >> (8 - height);
        let damaged = || ReadError::Damaged {
            name: ObjectName::Checkpoint,
        };
        let tile = Tile::new(node.level / 8, index, 256).map_err(|_| damaged())?;
        let hashes = self.tile(tile).await?;
        let inside = node.index & ((1 << (8 - height)) - 1);
        let first = usize::try_from(inside << height).map_err(|_| damaged())?;
        let below = hashes.get(first..first + (1 << height));
        below.and_then(subtree_root).ok_or_else(damaged)
    }

    pub(crate) async fn object(&self, name: ObjectName) -> Result<Vec<u8>, ReadError> {
        match self.objects.read(name).await {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(ReadError::Damaged { name }),
            Err(error) => Err(ReadError::Store(error.into())),
        }
    }
}

impl Prover for Shared {
    fn prove(&self, index: u64, tree_size: u64) -> Result<InclusionProof, BoxError> {
        self.tree()
            .prove(index, tree_size)
            .map_err(|_| format!("the path of entry {index} is not in memory").into())
    }
}

/// The root over as many hashes as a power of two; `None` if there is none.
fn subtree_root(hashes: &[Hash]) -> Option<Hash> {
    let mut frontier = Frontier::new();
    for hash in hashes {
        frontier.append(hash).ok()?;
    }
    (!hashes.is_empty()).then(|| frontier.root_hash())
}

/// Runs a store's future on a thread that may block.
pub(crate) async fn off_thread<T, F>(future: F) -> Result<T, BoxError>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let handle = Handle::current();
    Ok(tokio::task::spawn_blocking(move || handle.block_on(future)).await?)
}

#[cfg(test)]
mod tests {
    use waxseal_tlog::leaf_hash;

    use super::*;
    use crate::testing::Rig;
    use crate::tests::sequencing::grow;

    /// Every node of a sealed tile, at every height, is that of the tree.
    #[tokio::test]
    async fn nodes_are_computed_from_their_part_of_a_tile() {
        let rig = Rig::new();
        grow(&rig, 600).await;
        let log = rig.start().await.unwrap();
        let mut whole = Tree::default();
        for index in 0..600 {
            let entry = log.shared.entry(index).await.unwrap();
            whole.append(&leaf_hash(&entry));
        }
        // What is sealed is not in memory.
        *log.shared.tree_mut() = Tree::sealed(512);
        for level in 0..8 {
            for index in 0..512 >> level {
                let node = Node { level, index };
                let computed = log.shared.node(node).await.unwrap();
                assert_eq!(Some(computed), whole.node(node), "{node:?}");
            }
        }
        assert_eq!(subtree_root(&[]), None);
    }
}

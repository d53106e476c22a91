//! Sealing: committed entries become immutable objects; then the objects' checkpoint follows.
//!
//! It runs behind the commits and is idempotent: after a crash it starts again at what the ledger
//! says is sealed, and writes the same bytes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use waxseal_serve::BoxError;
use waxseal_tlog::{Tile, TilePath};

use crate::late::with_lines;
use crate::shared::{ReadError, Shared};
use crate::{ObjectName, ObjectsError, Published};

/// Bundles sealed in one go: what is held in memory for it is at most this many. Every thread that
/// ever sealed keeps about so much of the allocator's memory.
const BUNDLES_AT_ONCE: u64 = 4;

/// Why sealing failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SealError {
    /// A store failed: it is tried again.
    #[error("sealing failed, and will be tried again")]
    Store(#[source] BoxError),
    /// Stored entries do not hash to the tree, or objects are there with other bytes: going on is
    /// unsafe (I4, S-21).
    #[error("what is stored contradicts the tree")]
    Contradiction(#[source] BoxError),
}

pub(crate) struct Sealer {
    shared: Arc<Shared>,
    /// The checkpoint object, as it was last read or written.
    checkpoint: Option<Vec<u8>>,
    /// Full tiles and bundles whose partial versions are not needed once the checkpoint is newer.
    superseded: Vec<ObjectName>,
}

impl Sealer {
    pub(crate) const fn new(shared: Arc<Shared>, checkpoint: Option<Vec<u8>>) -> Self {
        Self {
            shared,
            checkpoint,
            superseded: Vec::new(),
        }
    }

    /// Seals what is full, then writes partial tiles and the checkpoint of the published state.
    ///
    /// # Errors
    /// [`SealError`].
    pub(crate) async fn seal(&mut self) -> Result<(), SealError> {
        let newest = self.shared.published();
        let newest = self.shared.shown.at_least(&newest);
        self.seal_as(newest).await
    }

    /// The same for the checkpoint that readers are shown: where cosignatures come later, one that
    /// has them.
    ///
    /// # Errors
    /// [`SealError`].
    pub(crate) async fn seal_shown(&mut self) -> Result<(), SealError> {
        let shown = self.shared.shown();
        self.seal_as(shown).await
    }

    async fn seal_as(&mut self, published: Arc<Published>) -> Result<(), SealError> {
        if published.checkpoint.is_empty() {
            return Ok(());
        }
        self.seal_full(published.tree_size).await?;
        self.publish(&published).await
    }

    /// Full bundles and tiles, from the left; what is sealed is remembered as it goes.
    pub(crate) async fn seal_full(&mut self, tree_size: u64) -> Result<(), SealError> {
        let full = tree_size / 256;
        let mut at = self.shared.sealed.load(Ordering::Acquire) / 256;
        while at < full {
            let end = full.min(at + BUNDLES_AT_ONCE);
            let mut objects = Vec::new();
            for index in at..end {
                self.add_full(index, &mut objects).await?;
            }
            let names: Vec<_> = objects.iter().map(|(name, _)| *name).collect();
            self.shared.objects.create(objects).await.map_err(failed)?;
            // From here on these entries are read from objects; the next commit forgets them.
            self.shared.sealed.store(end * 256, Ordering::Release);
            self.superseded.extend(names);
            at = end;
        }
        Ok(())
    }

    /// The bundle `index`, its tile, and the tiles above that it completes.
    async fn add_full(
        &self,
        index: u64,
        objects: &mut Vec<(ObjectName, Vec<u8>)>,
    ) -> Result<(), SealError> {
        let stored = self.shared.entries(index, 0, 256).await.map_err(unread)?;
        let tile = full_tile(0, index)?;
        let hashes = self.shared.tile(tile).await.map_err(unread)?;
        let leaves: Option<Vec<_>> = stored
            .iter()
            .map(|entry| self.shared.leaf_hash(entry))
            .collect();
        // One flipped bit in a stored entry would end the log: it is found before it is sealed.
        if leaves.as_ref() != Some(&hashes) {
            let name = ObjectName::Tile(self.shared.bundle_path(index, 256));
            return Err(SealError::Contradiction(ReadError::Damaged { name }.into()));
        }
        let bundle = self.shared.personality.encode_bundle(&stored);
        objects.push((
            ObjectName::Tile(self.shared.bundle_path(index, 256)),
            bundle,
        ));
        objects.push((
            ObjectName::Tile(TilePath::Tile(tile)),
            Tile::encode(&hashes),
        ));
        let (mut level, mut below) = (1, index);
        while below % 256 == 255 && level < 8 {
            below /= 256;
            let tile = full_tile(level, below)?;
            let hashes = self.shared.tile(tile).await.map_err(unread)?;
            objects.push((
                ObjectName::Tile(TilePath::Tile(tile)),
                Tile::encode(&hashes),
            ));
            level += 1;
        }
        Ok(())
    }

    pub(crate) async fn publish(&mut self, published: &Arc<Published>) -> Result<(), SealError> {
        let new = published.checkpoint.as_bytes();
        let size = published.tree_size;
        if self.checkpoint.as_deref() == Some(new) {
            self.shared.written.send_replace(Arc::clone(published));
            return Ok(());
        }
        if self.shared.written.borrow().tree_size != size || size == 0 {
            self.create_partial(size).await?;
        }
        self.replace(published).await?;
        for name in std::mem::take(&mut self.superseded) {
            self.discard(name).await;
        }
        Ok(())
    }

    /// Adds the cosignatures that came late to the checkpoint.
    ///
    /// # Errors
    /// [`SealError`].
    pub(crate) async fn top_up(&mut self) -> Result<(), SealError> {
        let late = self.shared.late.borrow().clone();
        let written = self.shared.written.borrow().clone();
        if written.tree_size != late.tree_size {
            return Ok(());
        }
        match with_lines(&written, &late.lines) {
            Some(cosigned) => self.replace(&Arc::new(cosigned)).await,
            None => Ok(()),
        }
    }

    /// Partial tiles, and the partial bundle.
    async fn create_partial(&self, size: u64) -> Result<(), SealError> {
        let mut partial = Vec::new();
        for tile in Tile::right_edge(size) {
            let hashes = self.shared.tile(tile).await.map_err(unread)?;
            partial.push((
                ObjectName::Tile(TilePath::Tile(tile)),
                Tile::encode(&hashes),
            ));
        }
        if let Some(width) = u16::try_from(size % 256).ok().filter(|width| *width > 0) {
            let index = size / 256;
            let stored = self
                .shared
                .entries(index, 0, size % 256)
                .await
                .map_err(unread)?;
            let path = self.shared.bundle_path(index, width);
            let bundle = self.shared.personality.encode_bundle(&stored);
            partial.push((ObjectName::Tile(path), bundle));
        }
        self.shared.objects.create(partial).await.map_err(failed)
    }

    /// The checkpoint comes last: everything that it implies is there (I3). It is replaced only
    /// where it is what this log wrote before (D6).
    async fn replace(&mut self, published: &Arc<Published>) -> Result<(), SealError> {
        let new = published.checkpoint.as_bytes();
        self.shared
            .objects
            .replace_checkpoint(self.checkpoint.as_deref(), new)
            .await
            .map_err(failed)?;
        self.checkpoint = Some(new.to_vec());
        self.shared
            .history
            .keep(published, &*self.shared.objects)
            .await;
        // The last of it: whoever waits for this finds everything written.
        self.shared.written.send_replace(Arc::clone(published));
        Ok(())
    }

    /// Partial versions are not needed once the full one is there.
    async fn discard(&self, name: ObjectName) {
        let ObjectName::Tile(path) = name else { return };
        if let Err(error) = self.shared.objects.discard_partials(path).await {
            tracing::warn!(%error, "partial tiles were not removed");
        }
    }
}

fn full_tile(level: u8, index: u64) -> Result<Tile, SealError> {
    Tile::new(level, index, 256).map_err(|error| SealError::Contradiction(error.into()))
}

fn failed(error: ObjectsError) -> SealError {
    match error {
        ObjectsError::Conflict { .. } => SealError::Contradiction(error.into()),
        ObjectsError::Failed { .. } => SealError::Store(error.into()),
    }
}

fn unread(error: ReadError) -> SealError {
    match error {
        ReadError::Damaged { .. } | ReadError::Impossible(_) => {
            SealError::Contradiction(error.into())
        }
        ReadError::Store(_) | ReadError::Busy => SealError::Store(error.into()),
    }
}

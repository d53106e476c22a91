//! A consistent copy of a log that runs.
//!
//! A log only grows: whatever a published checkpoint covers stays as it is, so a copy of it needs no
//! pause and no lock. It is verified while it is made, for its root is computed from its entries.

use std::sync::Arc;

use waxseal_crypto::CryptoProvider;

use crate::replica::CHUNK;
use crate::shared::{Shared, off_thread};
use crate::{
    Ledger, LogServer, Objects, Published, Replica, ReplicaContext, ReplicaEnd, ReplicaError,
    ReplicaKind,
};

/// Where a backup goes: empty stores, or those of an earlier backup of the same log.
#[expect(
    clippy::exhaustive_structs,
    reason = "made by whoever composes a process"
)]
pub struct BackupTarget {
    /// Its ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Its objects: they can be served and verified as they are.
    pub objects: Arc<dyn Objects>,
    /// Is told how many entries are there, and how many there are to be.
    pub progress: Box<dyn Fn(u64, u64) + Send + Sync>,
}

impl LogServer {
    /// Copies everything that is published now. Only what an earlier backup does not have is read.
    ///
    /// No log starts from the copy under this log's name, because this log may have gone on since,
    /// and the two would fork ([`crate::StartError::Backup`]). A log with another name and another
    /// key may ([`crate::Config::adopts`]).
    ///
    /// # Errors
    /// [`ReplicaError`]; [`ReplicaError::Ahead`] tells that this log itself was rolled back.
    pub async fn backup(
        &self,
        provider: CryptoProvider,
        target: BackupTarget,
    ) -> Result<Arc<Published>, ReplicaError> {
        let (shared, origin) = (Arc::clone(&self.shared), self.origin().clone());
        let published = shared.published();
        if published.checkpoint.is_empty() {
            return Err(ReplicaError::Unpublished);
        }
        let context = ReplicaContext {
            provider,
            clock: Arc::clone(&shared.clock),
            ledger: target.ledger,
            objects: target.objects,
            personality: Arc::clone(&shared.personality),
        };
        let progress = target.progress;
        let copied = off_thread(async move {
            let mut replica = Replica::open(origin, context).await?;
            replica.check_begun(&shared, published.tree_size).await?;
            copy(&shared, &mut replica, published.tree_size, &*progress).await?;
            let end = ReplicaEnd {
                checkpoint: &published.checkpoint,
                kind: ReplicaKind::Backup,
                is_frozen: shared.is_frozen(),
                last_time: shared.last_time(),
            };
            replica.finish(end).await?;
            Ok(published)
        });
        copied.await.map_err(ReplicaError::Store)?
    }
}

async fn copy(
    from: &Shared,
    replica: &mut Replica,
    tree_size: u64,
    progress: &(dyn Fn(u64, u64) + Send + Sync),
) -> Result<(), ReplicaError> {
    progress(replica.tree_size(), tree_size);
    while replica.tree_size() < tree_size {
        if from.is_stopped() {
            return Err(ReplicaError::Unpublished);
        }
        let mut stored = Vec::new();
        let mut at = replica.tree_size();
        while at < tree_size && stored.len() + 256 <= CHUNK {
            let end = tree_size.min((at / 256 + 1) * 256);
            let read = from.entries(at / 256, at % 256, end - at).await;
            stored.extend(read.map_err(|error| ReplicaError::Store(error.into()))?);
            at = end;
        }
        replica.copy_objects(from, &stored).await?;
        replica.append(stored).await?;
        progress(replica.tree_size(), tree_size);
    }
    Ok(())
}

impl std::fmt::Debug for BackupTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackupTarget").finish_non_exhaustive()
    }
}

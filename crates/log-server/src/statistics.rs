//! Where a log stands, whether it runs or not.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use waxseal_crypto::Time;
use waxseal_tlog::{Hash, Origin, SignedNote};

use crate::recovery::{OwnKey, check_published, recover};
use crate::shared::{Shared, off_thread};
use crate::{Config, Context, LogServer, Published, StartError, personality};

/// Where a log stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Its name.
    pub origin: Origin,
    /// The untruncated key id of its first signer.
    pub log_id: [u8; 32],
    /// Entries under the published checkpoint.
    pub tree_size: u64,
    /// Root hash of the published tree.
    pub root_hash: Hash,
    /// Signatures and cosignatures of the published checkpoint.
    pub signatures: usize,
    /// Entries that are durable; what is above the published size is being signed.
    pub committed: u64,
    /// Entries in immutable objects.
    pub sealed: u64,
    /// Size of the tree whose checkpoint is written out as an object.
    pub written: u64,
    /// Entries that wait for their place.
    pub waiting: usize,
    /// Time of the last entry.
    pub last_time: Time,
    /// How often a process has taken the log over.
    pub epoch: u64,
    /// Whether it takes no more entries, for ever.
    pub is_frozen: bool,
    /// Whether something is wrong with it: see the error log.
    pub is_stopped: bool,
    /// Whether stored bytes were found damaged: it is only read then.
    pub is_damaged: bool,
}

impl Statistics {
    /// Looks at a log that nobody runs: its stores are compared as at a start, and nothing is
    /// written, signed or asked. What is published is the checkpoint that is written out.
    ///
    /// # Errors
    /// [`StartError`]: the log would not start.
    pub async fn look(config: Config, context: Context) -> Result<Self, StartError> {
        off_thread(async move { Self::look_now(&config, context).await })
            .await
            .map_err(StartError::BrokenOff)?
    }

    async fn look_now(config: &Config, context: Context) -> Result<Self, StartError> {
        let own = OwnKey::new(context.provider, &config.origin, &context.signers)?;
        let shared = Shared::new(context);
        let found = shared.ledger.look().await?;
        let state = recover(&shared, config, found.state).await?;
        check_published(&shared, &own, config, &state).await?;
        shared.begin_at(&state, config.is_frozen);
        shared.written.send_replace(shared.published());
        Ok(Self::of(&shared, state.origin, found.epoch, 0))
    }

    fn of(shared: &Shared, origin: Origin, epoch: u64, waiting: usize) -> Self {
        let published = shared.published();
        Self {
            origin,
            log_id: personality::log_id(&shared.signers),
            tree_size: published.tree_size,
            root_hash: published.root_hash,
            signatures: signatures(&published),
            committed: shared.committed.load(Ordering::Acquire),
            sealed: shared.sealed.load(Ordering::Acquire),
            written: shared.written.borrow().tree_size,
            waiting,
            last_time: shared.last_time(),
            epoch,
            is_frozen: shared.is_frozen(),
            is_stopped: shared.is_stopped(),
            is_damaged: shared.is_damaged(),
        }
    }
}

impl LogServer {
    /// Where the log stands.
    pub fn statistics(&self) -> Statistics {
        let waiting = self.service.waiting();
        Statistics::of(&self.shared, self.origin().clone(), self.epoch(), waiting)
    }
}

/// How many have signed a checkpoint.
pub(crate) fn signatures(published: &Arc<Published>) -> usize {
    let note = SignedNote::parse(&published.checkpoint);
    note.map_or(0, |note| note.signatures().len())
}

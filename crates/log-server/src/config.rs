//! What an operator decides about a log, and what the log is given.

use std::sync::Arc;

use waxseal_crypto::{Clock, CryptoProvider};
use waxseal_serve::Meter;
use waxseal_tlog::{NoteSigner, Origin};

use crate::{Cosigners, Ledger, Objects, Personality};

/// What an operator decides about a log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The log's name: the host of its URL, and the path if there is one.
    pub origin: Origin,
    /// Whether the log takes no more entries: it is only read.
    pub is_frozen: bool,
    /// The log whose stores this one takes over for good, under a name and a key of its own: the
    /// one way to go on from a backup. Its entries are the first ones of this log.
    pub adopts: Option<Origin>,
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

impl Config {
    /// A log that takes entries.
    pub const fn new(origin: Origin) -> Self {
        Self {
            origin,
            is_frozen: false,
            adopts: None,
        }
    }
}

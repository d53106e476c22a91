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
//! (`waxseal-store-embedded`). Whether a certificate is anybody's: verifiers decide.
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

mod admission;
mod append;
mod artifact;
mod background;
mod backup;
mod batch;
mod batch_proofs;
mod config;
mod ct;
mod gate;
mod history;
mod http;
mod integrate;
mod late;
mod leap;
mod ledger;
mod lookup;
mod metrics;
mod objects;
mod personality;
mod pipeline;
mod problem;
mod prove;
mod publish;
mod publisher;
mod recovery;
mod replica;
mod scrub;
mod seal;
mod sequencer;
mod server;
mod service;
mod shared;
mod shown;
mod state;
mod statistics;
mod top_up;
mod tree;
mod witness;
mod witnesses;

pub use append::AppendError;
pub use artifact::{ArtifactLog, RequestError};
pub use backup::BackupTarget;
pub use config::{Config, Context};
pub use ct::{ChainError, CtConfigError, CtLog};
pub use ledger::{Commit, CommitOutcome, DedupKey, Ledger, LedgerError, NewEntry, Opened};
pub use objects::{ObjectName, Objects, ObjectsError};
pub use personality::{
    Answer, BundleKind, CheckError, Document, Endpoint, Logged, Personality, Published, Record,
    Refusal, RefusalKind, Submission,
};
pub use recovery::StartError;
pub use replica::{Replica, ReplicaContext, ReplicaEnd, ReplicaError, ReplicaKind};
pub use server::LogServer;
pub use shared::ReadError;
pub use state::{LogState, StateError};
pub use statistics::Statistics;
/// The name of a tile or bundle, as [`Objects`] are asked for it.
pub use waxseal_tlog::TilePath;
pub use witness::{
    ConsistencyProver, CosignError, CosignMode, Cosigners, LateCosignatures, Unpublished,
};
pub use witnesses::{WITNESS_TIMEOUT, WitnessConfig, WitnessContext, WitnessError, Witnesses};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

//! The joint for witnesses: who cosigns a checkpoint between its signature and its publication.

use std::fmt;
use std::sync::Arc;

use waxseal_crypto::BoxFuture;
use waxseal_tlog::{ConsistencyProof, Hash, KeyName, SignatureLine, SignedNote};

use crate::ReadError;

/// Asks witnesses for cosignatures.
///
/// **What it is given.** Checkpoints of committed trees that only ever grow, one at a time, and
/// none of an earlier tree than one before. A cosignature is asked for only what is durable (D1).
///
/// **Time.** It has time limits of its own, well below a client's patience; the log gives up on it
/// after ten seconds.
///
/// **Trust.** Cosigners are believed in one thing: that somebody has seen a larger or another tree of
/// this log. The log does not start then, or stops, rather than fork (D4). They say so on a witness's
/// bare word the first time that they are asked, when nobody knows better; later only with a proof.
pub trait Cosigners: Send + Sync {
    /// What a checkpoint without enough cosignatures is worth.
    fn mode(&self) -> CosignMode;

    /// Collects cosignatures until there are enough.
    ///
    /// # Errors
    /// [`CosignError`].
    fn cosign<'a>(
        &'a self,
        unpublished: &'a Unpublished,
        prover: Arc<dyn ConsistencyProver>,
    ) -> BoxFuture<'a, Result<Vec<SignatureLine>, CosignError>>;

    /// Waits for cosignatures that came after [`cosign`](Self::cosign) had answered. They verify
    /// over the checkpoint of their tree. Called by one task, again and again.
    fn late(&self) -> BoxFuture<'_, LateCosignatures> {
        Box::pin(std::future::pending())
    }
}

/// Cosignatures of a checkpoint that was given up waiting for, or had enough without them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "cosigners outside this crate make it"
)]
pub struct LateCosignatures {
    /// Number of leaves.
    pub tree_size: u64,
    /// Verified lines.
    pub lines: Vec<SignatureLine>,
}

/// When a checkpoint is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "every case decides what is published"
)]
pub enum CosignMode {
    /// With enough cosignatures. Without them nobody is answered.
    FailClosed,
    /// With enough cosignatures, or with those that came before the cosigners gave up.
    FailOpen,
    /// At once. Cosignatures come into it later, while its tree is still the newest.
    TopUp,
}

/// A checkpoint that the log has signed, and not published.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unpublished {
    /// The note with the log's own signatures.
    pub note: SignedNote,
    /// Number of leaves.
    pub tree_size: u64,
    /// Root hash of the tree.
    pub root_hash: Hash,
}

/// Proves to a witness that the log only grew.
pub trait ConsistencyProver: Send + Sync {
    /// The proof between two sizes of the committed tree. From 0 it is empty.
    ///
    /// # Errors
    /// [`ReadError::Impossible`], if the sizes are not in that order or not in the tree; or a
    /// store failed.
    fn consistency(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> BoxFuture<'_, Result<ConsistencyProof, ReadError>>;
}

/// Why a checkpoint does not have enough cosignatures.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CosignError {
    /// Too few witnesses answered in time.
    #[error("too few witnesses have cosigned the checkpoint")]
    NoQuorum {
        /// The cosignatures that came.
        collected: Vec<SignatureLine>,
    },
    /// A witness has cosigned a larger tree than the log has: the log was rolled back.
    #[error("the witness {witness} has seen {tree_size} entries of the log")]
    Ahead {
        /// Which one.
        witness: KeyName,
        /// The size that it told.
        tree_size: u64,
    },
    /// A witness has cosigned another tree of this size.
    #[error("the witness {witness} has seen another tree of {tree_size} entries")]
    Forked {
        /// Which one.
        witness: KeyName,
        /// The size of both trees.
        tree_size: u64,
    },
}

impl fmt::Debug for dyn Cosigners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cosigners").field(&self.mode()).finish()
    }
}

//! Objects: immutable files in the layout of C2SP tlog-tiles, and the published checkpoint.

use std::fmt;

use waxseal_crypto::BoxFuture;
use waxseal_serve::BoxError;
use waxseal_tlog::TilePath;

/// The name of an object. It is made of numbers and hashes only, so that no store can be led out
/// of its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ObjectName {
    /// `checkpoint`: the only object that changes.
    Checkpoint,
    /// `tile/…`
    Tile(TilePath),
    /// `checkpoints/<size>`: a checkpoint that was published at that size. The size is written in
    /// groups of three digits, as the indices of tiles are.
    CheckpointAt(u64),
    /// `issuer/<hex>`: a certificate, by its SHA-256 (static-ct-api).
    Issuer([u8; 32]),
}

/// The other half of a log's storage: large, immutable, readable by everybody.
///
/// **Durability.** When [`create`](Self::create) or [`replace_checkpoint`](Self::replace_checkpoint)
/// returns, its objects survive a crash and a loss of power.
///
/// **Consistency.** An object is read whole or not at all. Objects never change, but for the
/// checkpoint, which is replaced atomically. Its tree never becomes smaller; the same tree may get
/// more signatures, so a cache tells two checkpoints apart by their bytes and not by their size.
///
/// **Concurrency.** One log writes at a time (the ledger sees to that); a second one can only
/// write the same bytes, or fail. The checkpoint is replaced only where it is what the writer
/// wrote last, so that a stale writer stops there (D6).
///
/// **Errors.** Whatever fails is tried again with the same bytes. A conflict is none of that: the
/// log stops.
///
/// **Blocking.** Methods may block the thread: the log calls them only where that is allowed.
///
/// **Trust.** Trusted to keep what they are given, not for integrity: whoever reads a log checks
/// tiles and entries against the checkpoint, and the log itself does so about once a day (D8).
pub trait Objects: Send + Sync {
    /// An object, if it is there.
    fn read(&self, name: ObjectName) -> BoxFuture<'_, Result<Option<Vec<u8>>, ObjectsError>>;

    /// Creates objects. One that is there with the same bytes is left alone; one with other bytes
    /// is [`ObjectsError::Conflict`], and never overwritten (I4). On an error some of them may have
    /// been created: to try again is safe.
    fn create(
        &self,
        objects: Vec<(ObjectName, Vec<u8>)>,
    ) -> BoxFuture<'_, Result<(), ObjectsError>>;

    /// Replaces the checkpoint if it is still `old` (`None`: if there is none).
    fn replace_checkpoint<'a>(
        &'a self,
        old: Option<&'a [u8]>,
        new: &'a [u8],
    ) -> BoxFuture<'a, Result<(), ObjectsError>>;

    /// Removes the partial versions of a tile or bundle whose full version is there (tlog-tiles
    /// allows it). A failure costs space only.
    fn discard_partials(&self, full: TilePath) -> BoxFuture<'_, Result<(), ObjectsError>>;
}

/// Why objects were not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectsError {
    /// An object is there with other bytes; or the checkpoint is not the expected one.
    #[error("{name} is there with other bytes")]
    Conflict {
        /// Which one.
        name: ObjectName,
    },
    /// The store failed.
    #[error("{name}: the object store failed")]
    Failed {
        /// Which one.
        name: ObjectName,
        /// Why.
        #[source]
        source: BoxError,
    },
}

impl ObjectsError {
    /// A failure of the store.
    pub fn failed(name: ObjectName, cause: impl Into<BoxError>) -> Self {
        Self::Failed {
            name,
            source: cause.into(),
        }
    }
}

impl fmt::Display for ObjectName {
    /// The path, without a leading slash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::CheckpointAt(size) => {
                f.write_str("checkpoints/")?;
                fmt_groups(*size, f)
            }
            Self::Tile(path) => path.fmt(f),
            Self::Issuer(digest) => {
                f.write_str("issuer/")?;
                digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// `x001/x234/067` for 1234067.
fn fmt_groups(number: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut divisor = 1;
    while number / divisor >= 1000 {
        divisor *= 1000;
    }
    while divisor > 1 {
        write!(f, "x{:03}/", number / divisor % 1000)?;
        divisor /= 1000;
    }
    write!(f, "{:03}", number % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_named_by_their_size() {
        for (size, name) in [
            (0, "checkpoints/000"),
            (999, "checkpoints/999"),
            (1000, "checkpoints/x001/000"),
            (1_234_067, "checkpoints/x001/x234/067"),
            (u64::MAX, "checkpoints/x018/x446/x744/x073/x709/x551/615"),
        ] {
            assert_eq!(ObjectName::CheckpointAt(size).to_string(), name);
        }
    }
}

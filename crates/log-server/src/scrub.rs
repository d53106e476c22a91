//! The scrub: reads everything that is stored again and again, from the entries up to the root.
//!
//! One flipped bit in a stored entry has ended more than one log (S-21). It is found here, while
//! there is still a copy elsewhere: the log is only read from then on, and says so (rule D8).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use waxseal_serve::{Fatal, causes};
use waxseal_tlog::{Frontier, Hash, Node, SignedNote, Tile, TilePath};

use crate::ObjectName;
use crate::metrics::Metrics;
use crate::shared::{ReadError, Shared, off_thread};

/// What a whole pass may take: with what reading takes, less than a day.
const PASS: Duration = Duration::from_secs(20 * 60 * 60);

/// The pause between two bundles of a log that has few of them.
const PAUSE: Duration = Duration::from_secs(1);

/// How often an object that cannot be read is tried.
const TRIES: u32 = 3;

pub(crate) struct Scrub {
    shared: Arc<Shared>,
    metrics: Metrics,
}

/// One thing to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// A sealed bundle, its tile, and what they complete above them.
    Bundle(u64),
    /// What is in the ledger only, and the checkpoints.
    Tail,
}

impl Scrub {
    pub(crate) const fn new(shared: Arc<Shared>, metrics: Metrics) -> Self {
        Self { shared, metrics }
    }

    /// Looks at everything, again and again, for ever.
    pub(crate) async fn run(self) -> Fatal {
        loop {
            let bundles = self.bundles();
            let pause = pause(bundles);
            // A log that is started often is looked at everywhere all the same.
            let start = self.shared.clock.now().unix_millis() / 1000 % bundles.max(1);
            for index in (start..bundles).chain(0..start) {
                tokio::time::sleep(pause).await;
                self.check(Piece::Bundle(index)).await;
            }
            tokio::time::sleep(pause).await;
            self.check(Piece::Tail).await;
        }
    }

    /// Looks at everything once.
    #[cfg(test)]
    pub(crate) async fn pass(&self) {
        for index in 0..self.bundles() {
            self.check(Piece::Bundle(index)).await;
        }
        self.check(Piece::Tail).await;
    }

    fn bundles(&self) -> u64 {
        self.shared.sealed.load(Ordering::Acquire) / 256
    }

    async fn check(&self, piece: Piece) {
        for attempt in 1..=TRIES {
            let shared = Arc::clone(&self.shared);
            let checked = off_thread(async move {
                match piece {
                    Piece::Bundle(index) => check_bundle(&shared, index).await,
                    Piece::Tail => check_tail(&shared).await,
                }
            })
            .await;
            let error = match checked {
                Ok(Ok(())) => return self.metrics.scrubbed(),
                Ok(Err(error)) => error,
                Err(error) => ReadError::Store(error),
            };
            let is_final = attempt == TRIES || !matches!(error, ReadError::Store(_));
            tracing::error!(error = %causes(&error), ?piece, "the scrub found an error");
            if is_final {
                self.shared.damaged.store(true, Ordering::Release);
                return self.metrics.scrub_failed();
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn pause(bundles: u64) -> Duration {
    let bundles = u32::try_from(bundles.max(1)).unwrap_or(u32::MAX);
    (PASS / bundles).min(PAUSE)
}

/// Entries → their tile → the tile above → … as far as this bundle completes them.
async fn check_bundle(shared: &Shared, index: u64) -> Result<(), ReadError> {
    let bundle = shared.bundle_path(index, 256);
    let bytes = shared.object(ObjectName::Tile(bundle)).await?;
    let entries = shared.personality.decode_bundle(&bytes, 256);
    let leaves: Option<Vec<Hash>> =
        entries.and_then(|entries| entries.iter().map(|one| shared.leaf_hash(one)).collect());
    let Some(leaves) = leaves else {
        return Err(shared.found_damaged(bundle));
    };
    let tile = full_tile(shared, 0, index).await?;
    if leaves != tile {
        return Err(shared.found_damaged(bundle));
    }
    let (mut level, mut index, mut hashes) = (0u8, index, tile);
    loop {
        let path = tile_path(shared, level, index)?;
        let mut root = Frontier::new();
        let is_whole = hashes.iter().all(|hash| root.append(hash).is_ok());
        let node = Node {
            level: 8 * (level + 1),
            index,
        };
        if !is_whole || root.root_hash() != shared.node(node).await? {
            return Err(shared.found_damaged(path));
        }
        // The tile above is whole with this one.
        if index % 256 != 255 || level >= 6 {
            return Ok(());
        }
        (level, index) = (level + 1, index / 256);
        hashes = full_tile(shared, level, index).await?;
    }
}

/// A full tile as it is stored, never out of memory.
async fn full_tile(shared: &Shared, level: u8, index: u64) -> Result<Vec<Hash>, ReadError> {
    let path = tile_path(shared, level, index)?;
    let bytes = shared.object(ObjectName::Tile(path)).await?;
    match path {
        TilePath::Tile(tile) => tile.parse(&bytes).map_err(|_| shared.found_damaged(path)),
        _ => Err(shared.found_damaged(path)),
    }
}

fn tile_path(shared: &Shared, level: u8, index: u64) -> Result<TilePath, ReadError> {
    match Tile::new(level, index, 256) {
        Ok(tile) => Ok(TilePath::Tile(tile)),
        Err(_) => Err(shared.found_damaged(shared.bundle_path(index, 256))),
    }
}

/// Entries that are not sealed, and the two checkpoints, against the tree in memory. What is sealed
/// leads up to that tree.
async fn check_tail(shared: &Shared) -> Result<(), ReadError> {
    let sealed = shared.sealed.load(Ordering::Acquire);
    let committed = shared.committed.load(Ordering::Acquire);
    let mut at = sealed;
    while at < committed {
        let end = committed.min(at + 256);
        // Compares them with the tree.
        shared.entries(at / 256, 0, end - at).await?;
        at = end;
    }
    let published = shared.published();
    check_root(shared, published.tree_size, &published.root_hash).await?;
    let name = ObjectName::Checkpoint;
    if let Some(bytes) = shared.objects.read(name).await.map_err(store)? {
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        let note = SignedNote::parse(text);
        let text = note.ok().and_then(|note| note.unverified_checkpoint().ok());
        let Some(text) = text else {
            return Err(ReadError::Damaged { name });
        };
        check_root(shared, text.tree_size(), text.root_hash()).await?;
    }
    Ok(())
}

async fn check_root(shared: &Shared, size: u64, expected: &Hash) -> Result<(), ReadError> {
    if shared.root_hash(size).await? == *expected {
        Ok(())
    } else {
        let name = ObjectName::Checkpoint;
        Err(ReadError::Damaged { name })
    }
}

fn store(error: crate::ObjectsError) -> ReadError {
    ReadError::Store(error.into())
}

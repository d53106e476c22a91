//! The whole log against its root: every entry, every tile, in constant memory and without I/O.

use crate::tile::fold;
use crate::{
    DataBundle, DataBundleError, EntryBundle, EntryBundleError, Frontier, Hash, TILE_WIDTH, Tile,
    TileError, TilePath, leaf_hash,
};

/// What the bundles of a log are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BundleFormat {
    /// `tile/entries/…`: entries after their lengths (tlog-tiles).
    Entries,
    /// `tile/data/…`: entries of a CT log (static-ct-api).
    Data,
}

/// Checks that all bundles and tiles of a log are those that its root hash commits to.
///
/// Ask [`next`](Self::next) what is wanted, fetch it, [`supply`](Self::supply) it, until nothing is
/// wanted; then [`finish`](Self::finish). [`plan`](Self::plan) tells everything in advance, so that
/// it can be read ahead. Entries are hashed and compared with the tiles of level 0; the roots of full
/// tiles with the tiles above; and, independently of all tiles, the entries with the root.
#[derive(Debug, Clone)]
pub struct TreeCheck {
    tree_size: u64,
    root_hash: Hash,
    format: BundleFormat,
    plan: Plan,
    wanted: Option<TilePath>,
    /// Grown from the entries alone.
    frontier: Frontier,
    /// For each level the hashes that its next tile must hold.
    expected: [Vec<Hash>; 8],
}

/// Why a log is not what its root hash commits to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeCheckError {
    /// Nothing more is wanted.
    #[error("everything was supplied before")]
    NothingWanted,
    /// Wider than what is wanted, but not full; or narrower.
    #[error("{path} is not of the width that was supplied")]
    WrongWidth {
        /// What is wanted.
        path: TilePath,
    },
    /// An entry bundle is malformed.
    #[error("{path} is not an entry bundle")]
    BadBundle {
        /// Which one.
        path: TilePath,
        /// What is wrong with it.
        #[source]
        source: EntryBundleError,
    },
    /// A data tile is malformed.
    #[error("{path} is not a data tile")]
    BadData {
        /// Which one.
        path: TilePath,
        /// What is wrong with it.
        #[source]
        source: DataBundleError,
    },
    /// A tile is malformed.
    #[error("{path} is not a tile")]
    BadTile {
        /// Which one.
        path: TilePath,
        /// What is wrong with it.
        #[source]
        source: TileError,
    },
    /// The tile of level 0 has another hash than the entry: one of the two was altered.
    #[error("entry {index} does not hash to what its tile says")]
    EntryMismatch {
        /// The entry.
        index: u64,
    },
    /// A tile has another hash than the tile below makes.
    #[error("hash {position} of {path} is not that of the tile below")]
    TileMismatch {
        /// Which tile.
        path: TilePath,
        /// Which hash in it, from 0.
        position: usize,
    },
    /// Entries and tiles agree with each other, and not with the root: the log was rewritten.
    #[error("the entries do not hash to the root that was signed")]
    RootMismatch,
    /// Not everything was supplied.
    #[error("not everything was supplied")]
    Incomplete,
}

/// What a tree of a size consists of, in the order in which [`TreeCheck`] wants it.
#[derive(Debug, Clone)]
struct Plan {
    tree_size: u64,
    format: BundleFormat,
    bundle: u64,
    /// The level of the tile that comes after the bundle before this one; 8 for none.
    level: u8,
    /// Levels of partial tiles that are left, when all bundles are done.
    last: u8,
}

impl TreeCheck {
    /// A check of the tree of `tree_size` leaves under `root_hash`, which the caller trusts: it
    /// comes from an opened [`crate::Checkpoint`].
    pub fn new(tree_size: u64, root_hash: Hash, format: BundleFormat) -> Self {
        let mut plan = Plan::new(tree_size, format);
        Self {
            tree_size,
            root_hash,
            format,
            wanted: plan.next(),
            plan,
            frontier: Frontier::new(),
            expected: Default::default(),
        }
    }

    /// Everything that will be wanted, in order.
    pub fn plan(&self) -> impl Iterator<Item = TilePath> + use<> {
        Plan::new(self.tree_size, self.format)
    }

    /// What is wanted next.
    pub const fn next(&self) -> Option<TilePath> {
        self.wanted
    }

    /// How many entries were checked.
    pub const fn checked(&self) -> u64 {
        self.frontier.size()
    }

    /// Takes what is wanted: the bytes of a bundle or tile of `width`, which is the wanted one, or
    /// 256, because servers may drop partial versions once the full one is there. Gives the
    /// fingerprints of issuers that the entries name.
    ///
    /// # Errors
    /// [`TreeCheckError`]. The check is over then.
    pub fn supply(&mut self, bytes: &[u8], width: u16) -> Result<Vec<[u8; 32]>, TreeCheckError> {
        let path = self.wanted.ok_or(TreeCheckError::NothingWanted)?;
        let wanted = match path {
            TilePath::Tile(tile) => tile.width(),
            TilePath::Entries { width, .. } | TilePath::Data { width, .. } => width,
        };
        if width != wanted && width != TILE_WIDTH {
            return Err(TreeCheckError::WrongWidth { path });
        }
        let issuers = match path {
            TilePath::Tile(tile) => {
                self.take_tile(path, tile, bytes, width)?;
                Vec::new()
            }
            _ => self.take_bundle(path, bytes, width, wanted)?,
        };
        self.wanted = self.plan.next();
        Ok(issuers)
    }

    /// The verdict, when everything was supplied.
    ///
    /// # Errors
    /// [`TreeCheckError::RootMismatch`] or [`TreeCheckError::Incomplete`].
    pub fn finish(self) -> Result<(), TreeCheckError> {
        if self.wanted.is_some() || self.frontier.size() != self.tree_size {
            return Err(TreeCheckError::Incomplete);
        }
        if self.frontier.root_hash() == self.root_hash {
            Ok(())
        } else {
            Err(TreeCheckError::RootMismatch)
        }
    }

    fn take_bundle(
        &mut self,
        path: TilePath,
        bytes: &[u8],
        width: u16,
        wanted: u16,
    ) -> Result<Vec<[u8; 32]>, TreeCheckError> {
        let wanted = usize::from(wanted);
        let (hashes, issuers): (Vec<Hash>, Vec<_>) = match self.format {
            BundleFormat::Entries => {
                let bundle = EntryBundle::parse(bytes, width)
                    .map_err(|source| TreeCheckError::BadBundle { path, source })?;
                (bundle.leaf_hashes(), Vec::new())
            }
            BundleFormat::Data => {
                let bundle = DataBundle::parse(bytes, width)
                    .map_err(|source| TreeCheckError::BadData { path, source })?;
                let entries = bundle.entries().iter().take(wanted);
                let issuers = entries.clone().flat_map(|entry| &entry.issuers);
                let hashes = entries.clone().map(|entry| leaf_hash(&entry.leaf));
                (hashes.collect(), issuers.copied().collect())
            }
        };
        let [leaves, ..] = &mut self.expected;
        leaves.clear();
        leaves.extend(hashes.into_iter().take(wanted));
        for leaf in leaves {
            // A size that fits 64 bits is never too large.
            self.frontier
                .append(leaf)
                .map_err(|_| TreeCheckError::RootMismatch)?;
        }
        Ok(issuers)
    }

    fn take_tile(
        &mut self,
        path: TilePath,
        tile: Tile,
        bytes: &[u8],
        width: u16,
    ) -> Result<(), TreeCheckError> {
        let found = if width == tile.width() {
            tile
        } else {
            tile.full()
        };
        let hashes = found
            .parse(bytes)
            .map_err(|source| TreeCheckError::BadTile { path, source })?;
        let level = usize::from(tile.level());
        let Some(expected) = self.expected.get_mut(level) else {
            return Err(TreeCheckError::Incomplete);
        };
        // The tile may be full already and hold more than the tree of the checkpoint.
        let hashes = hashes.get(..usize::from(tile.width())).unwrap_or_default();
        if hashes != expected.as_slice() {
            let differs = |(one, other): (&Hash, &Hash)| one != other;
            let position = hashes.iter().zip(expected.iter()).position(differs);
            let position = position.unwrap_or_else(|| hashes.len().min(expected.len()));
            return Err(if level == 0 {
                let index = u64::try_from(position).unwrap_or(0);
                TreeCheckError::EntryMismatch {
                    index: tile.index() * 256 + index,
                }
            } else {
                TreeCheckError::TileMismatch { path, position }
            });
        }
        if !tile.is_full() {
            return Ok(());
        }
        let root = fold(expected);
        expected.clear();
        if let (Some(root), Some(above)) = (root, self.expected.get_mut(level + 1)) {
            above.push(root);
        }
        Ok(())
    }
}

impl Plan {
    const fn new(tree_size: u64, format: BundleFormat) -> Self {
        Self {
            tree_size,
            format,
            bundle: 0,
            level: 8,
            last: 1,
        }
    }
}

impl Iterator for Plan {
    type Item = TilePath;

    fn next(&mut self) -> Option<TilePath> {
        // The tiles that the bundle before completes, from the bottom.
        if let Some(done) = self.bundle.checked_sub(1).filter(|_| self.level < 8) {
            let level = self.level;
            let index = done.checked_shr(8 * u32::from(level)).unwrap_or(0);
            self.level = if index % 256 == 255 { level + 1 } else { 8 };
            let tile = Tile::in_tree(level, index, self.tree_size);
            // Above level 0 only what is complete comes here.
            if let Some(tile) = tile.filter(|tile| level == 0 || tile.is_full()) {
                return Some(TilePath::Tile(tile));
            }
            self.level = 8;
        }
        if let Some(tile) = Tile::in_tree(0, self.bundle, self.tree_size) {
            let (index, width) = (self.bundle, tile.width());
            self.bundle += 1;
            self.level = 0;
            return Some(match self.format {
                BundleFormat::Entries => TilePath::Entries { index, width },
                BundleFormat::Data => TilePath::Data { index, width },
            });
        }
        // The right edge above level 0.
        let edge = Tile::right_edge(self.tree_size);
        let tile = edge.into_iter().find(|tile| tile.level() >= self.last)?;
        self.last = tile.level() + 1;
        Some(TilePath::Tile(tile))
    }
}

#[cfg(test)]
mod tests;

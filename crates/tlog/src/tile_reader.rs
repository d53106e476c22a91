//! Which tiles a question needs, and their hashes once they are proven: a machine without I/O.

use std::collections::{BTreeMap, BTreeSet};

use crate::prove::{nodes_of, nodes_read};
use crate::tile::{TILE_BYTES, fold};
use crate::{
    ConsistencyProof, Frontier, Hash, InclusionProof, Node, ProofError, ProveError, Tile,
    prove_consistency, prove_inclusion,
};

/// Reads hashes of one tree out of tiles that nobody vouches for.
///
/// Ask what is needed, fetch it, [`supply`](Self::supply) it, and repeat until nothing is needed:
/// then the proof can be made. Every hash that comes out is committed to by the root hash.
#[derive(Debug, Clone)]
pub struct TileReader {
    tree_size: u64,
    root_hash: Hash,
    /// Tiles proven against the root, by level and index.
    proven: Tiles,
}

type Tiles = BTreeMap<(u8, u64), Vec<Hash>>;

/// Why a tile was not believed, or an answer not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TileReaderError {
    /// The bytes are not a tile of the width that was asked for, nor a full one.
    #[error("tile {tile:?} cannot have {found} bytes")]
    WrongLength {
        /// The tile.
        tile: Tile,
        /// Bytes found.
        found: usize,
    },
    /// The tree has no such tile.
    #[error("the tree has no tile {tile:?}")]
    NotInTree {
        /// The tile.
        tile: Tile,
    },
    /// The tiles at the right edge do not hash to the root.
    #[error("the tiles at the right edge do not hash to the root")]
    RootMismatch,
    /// A tile does not hash to what its parent says.
    #[error("tile {tile:?} does not hash to what its parent says")]
    TileMismatch {
        /// The tile.
        tile: Tile,
    },
    /// Tiles that this answer needs were not supplied yet.
    #[error("tiles are still missing")]
    Missing,
    /// There is no such proof.
    #[error(transparent)]
    Impossible(#[from] ProofError),
}

impl TileReader {
    /// A reader of the tree of `tree_size` leaves under `root_hash`, which the caller trusts
    /// (it comes from an opened [`crate::Checkpoint`]).
    pub const fn new(tree_size: u64, root_hash: Hash) -> Self {
        Self {
            tree_size,
            root_hash,
            proven: BTreeMap::new(),
        }
    }

    /// Tiles that must be supplied before the leaf `index` can be proven included.
    ///
    /// # Errors
    /// [`TileReaderError::Impossible`].
    pub fn needed_for_inclusion(&self, index: u64) -> Result<Vec<Tile>, TileReaderError> {
        let nodes = nodes_read(|read| prove_inclusion(index, self.tree_size, read))?;
        Ok(self.needed(&nodes))
    }

    /// Tiles that must be supplied before the tree of `old_size` leaves can be proven consistent.
    ///
    /// # Errors
    /// [`TileReaderError::Impossible`].
    pub fn needed_for_consistency(&self, old_size: u64) -> Result<Vec<Tile>, TileReaderError> {
        let nodes = nodes_read(|read| prove_consistency(old_size, self.tree_size, read))?;
        Ok(self.needed(&nodes))
    }

    /// Tiles that must be supplied before the leaf hashes `[start, end)` can be read.
    ///
    /// # Errors
    /// [`TileReaderError::Impossible`] if the range is not inside the tree.
    pub fn needed_for_leaves(&self, start: u64, end: u64) -> Result<Vec<Tile>, TileReaderError> {
        let tiles = self.leaf_tiles(start, end)?;
        Ok(self.with_parents(tiles))
    }

    /// Takes the bytes of tiles and proves them against the root. A full tile is taken in place of
    /// a partial one, because servers may drop partial tiles. On an error nothing of this call is
    /// kept.
    ///
    /// # Errors
    /// [`TileReaderError`].
    pub fn supply(&mut self, tiles: &[(Tile, Vec<u8>)]) -> Result<(), TileReaderError> {
        let mut fresh = BTreeMap::new();
        for (tile, bytes) in tiles {
            let in_tree = Tile::in_tree(tile.level(), tile.index(), self.tree_size)
                .filter(|in_tree| in_tree.width() == tile.width() || tile.is_full())
                .ok_or(TileReaderError::NotInTree { tile: *tile })?;
            fresh.insert((tile.level(), tile.index()), parse(in_tree, bytes)?);
        }
        let mut edge = BTreeMap::new();
        for tile in Tile::right_edge(self.tree_size) {
            let at = (tile.level(), tile.index());
            if let Some(hashes) = fresh.remove(&at) {
                edge.insert(at, hashes);
            }
        }
        let mut staged = self.prove_right_edge(edge)?;
        // From the top: a tile is proven by its parent.
        while let Some(((level, index), hashes)) = fresh.pop_last() {
            let tile =
                Tile::in_tree(level, index, self.tree_size).ok_or(TileReaderError::Missing)?;
            let above = (level + 1, index / 256);
            let parent = staged
                .get(&above)
                .or_else(|| self.proven.get(&above))
                .ok_or(TileReaderError::Missing)?;
            let position = usize::try_from(index % 256).unwrap_or(usize::MAX);
            if !tile.is_full() || parent.get(position) != fold(&hashes).as_ref() {
                return Err(TileReaderError::TileMismatch { tile });
            }
            staged.insert((level, index), hashes);
        }
        self.proven.append(&mut staged);
        Ok(())
    }

    /// The proof that the leaf `index` is in the tree.
    ///
    /// # Errors
    /// [`TileReaderError::Missing`] or [`TileReaderError::Impossible`].
    pub fn prove_inclusion(&self, index: u64) -> Result<InclusionProof, TileReaderError> {
        Ok(prove_inclusion(index, self.tree_size, |node| {
            self.hash(node)
        })?)
    }

    /// The proof that the tree of `old_size` leaves is the beginning of this one.
    ///
    /// # Errors
    /// [`TileReaderError::Missing`] or [`TileReaderError::Impossible`].
    pub fn prove_consistency(&self, old_size: u64) -> Result<ConsistencyProof, TileReaderError> {
        Ok(prove_consistency(old_size, self.tree_size, |node| {
            self.hash(node)
        })?)
    }

    /// The leaf hashes `[start, end)`.
    ///
    /// # Errors
    /// [`TileReaderError::Missing`] or [`TileReaderError::Impossible`].
    pub fn leaves(&self, start: u64, end: u64) -> Result<Vec<Hash>, TileReaderError> {
        self.leaf_tiles(start, end)?;
        (start..end)
            .map(|index| self.hash(Node { level: 0, index }))
            .collect()
    }

    /// The hash of a complete subtree of the tree.
    ///
    /// # Errors
    /// [`TileReaderError::Missing`].
    pub fn hash(&self, node: Node) -> Result<Hash, TileReaderError> {
        Tile::of_node(node)
            .and_then(|(level, index, first, above)| {
                let first = usize::try_from(first).ok()?;
                let hashes = self.proven.get(&(level, index))?;
                fold(hashes.get(first..first + (1 << above))?)
            })
            .ok_or(TileReaderError::Missing)
    }

    /// The tiles of these nodes and everything that proves them, without what is already proven.
    fn needed(&self, nodes: &[Node]) -> Vec<Tile> {
        let tiles = nodes
            .iter()
            .filter_map(|node| Tile::of_node(*node))
            .filter_map(|(level, index, ..)| Tile::in_tree(level, index, self.tree_size))
            .collect();
        self.with_parents(tiles)
    }

    fn with_parents(&self, mut tiles: BTreeSet<Tile>) -> Vec<Tile> {
        let edge: BTreeSet<_> = Tile::right_edge(self.tree_size).into_iter().collect();
        let mut all = edge.clone();
        while let Some(tile) = tiles.pop_last() {
            if edge.contains(&tile) || !all.insert(tile) {
                continue;
            }
            tiles.extend(Tile::in_tree(
                tile.level() + 1,
                tile.index() / 256,
                self.tree_size,
            ));
        }
        all.retain(|tile| !self.proven.contains_key(&(tile.level(), tile.index())));
        all.into_iter().collect()
    }

    fn leaf_tiles(&self, start: u64, end: u64) -> Result<BTreeSet<Tile>, TileReaderError> {
        if start > end || end > self.tree_size {
            return Err(ProofError::SizesReversed {
                old_size: end.max(start),
                new_size: self.tree_size,
            }
            .into());
        }
        Ok((start / 256..end.div_ceil(256))
            .filter_map(|index| Tile::in_tree(0, index, self.tree_size))
            .collect())
    }

    /// Proves the tiles at the right edge, which together hold the complete subtrees of the whole
    /// tree, against the root.
    fn prove_right_edge(&self, fresh: Tiles) -> Result<Tiles, TileReaderError> {
        let all_proven = Tile::right_edge(self.tree_size)
            .iter()
            .all(|tile| self.proven.contains_key(&(tile.level(), tile.index())));
        if all_proven && self.tree_size > 0 {
            return Ok(Tiles::new());
        }
        let edge = Self {
            proven: fresh,
            ..Self::new(self.tree_size, self.root_hash)
        };
        let peaks: Vec<_> = nodes_of(0, self.tree_size)
            .into_iter()
            .map(|node| edge.hash(node))
            .collect::<Result<_, _>>()?;
        let found = Frontier::from_peaks(self.tree_size, peaks).map(|f| f.root_hash());
        if found == Ok(self.root_hash) {
            Ok(edge.proven)
        } else {
            Err(TileReaderError::RootMismatch)
        }
    }
}

impl From<ProveError<Self>> for TileReaderError {
    fn from(error: ProveError<Self>) -> Self {
        match error {
            ProveError::Impossible(error) => error.into(),
            ProveError::Read(error) => error,
        }
    }
}

fn parse(tile: Tile, bytes: &[u8]) -> Result<Vec<Hash>, TileReaderError> {
    let wrong = TileReaderError::WrongLength {
        tile,
        found: bytes.len(),
    };
    let width = usize::from(tile.width());
    let partial = if bytes.len() == TILE_BYTES {
        bytes.get(..width * 32).ok_or(wrong)?
    } else {
        bytes
    };
    tile.parse(partial).map_err(|_| wrong)
}

#[cfg(test)]
mod tests;

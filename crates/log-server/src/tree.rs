//! The part of the tree that is in memory: its right edge, and tiles that were full not long ago.

use std::collections::BTreeMap;

use waxseal_tlog::{
    Hash, InclusionProof, Node, ProofError, ProveError, Tile, hash_range, node_hash,
    prove_consistency, prove_inclusion,
};

/// Full tiles of each level that stay after they are sealed, for proofs that are still being made:
/// many times more entries than there can be waiting.
const KEPT_TILES: u64 = 64;

/// One tile with its inner nodes: row 0 is the tile, row `r` has the roots over `2^r` of its
/// hashes. The root over all 256 is in the tile above.
#[derive(Debug, Clone, Default)]
struct Grown {
    rows: [Vec<Hash>; 8],
}

/// Tiles by level and index. It is computed apart from the frontier, so that the two check each
/// other before anything is signed (rule D3).
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    tiles: BTreeMap<(u8, u64), Grown>,
    size: u64,
}

impl Tree {
    /// A tree whose first `size` leaves are sealed (a multiple of 256); what is needed to grow it
    /// is given by [`Self::restore`].
    pub(crate) fn sealed(size: u64) -> Self {
        Self {
            size,
            ..Self::default()
        }
    }

    /// Puts the root of a full tile back into the tile above: `level` is that of the tile above.
    pub(crate) fn restore(&mut self, level: u8, index: u64, hash: &Hash) {
        self.push(level, index, *hash);
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf hash.
    pub(crate) fn append(&mut self, leaf: &Hash) {
        self.push(0, self.size, *leaf);
        self.size += 1;
    }

    /// Puts a hash at its place, and the nodes that it completes above it.
    fn push(&mut self, level: u8, index: u64, hash: Hash) {
        let (mut level, mut index, mut hash) = (level, index, hash);
        loop {
            let tile = self.tiles.entry((level, index / 256)).or_default();
            let mut at = index % 256;
            let mut full = None;
            for (height, row) in (1..=8).zip(tile.rows.iter_mut()) {
                row.push(hash);
                let [.., left, right] = row.as_slice() else {
                    break;
                };
                if at & 1 == 0 {
                    break;
                }
                hash = node_hash(left, right);
                at >>= 1;
                if height == 8 {
                    full = Some(hash);
                }
            }
            match full {
                // The last level has one tile at most: sizes fit 64 bits.
                Some(root) if level < 7 => {
                    (level, index, hash) = (level + 1, index / 256, root);
                }
                _ => return,
            }
        }
    }

    /// The hash of a complete subtree, if it is in memory.
    pub(crate) fn node(&self, node: Node) -> Option<Hash> {
        let (level, height) = (node.level / 8, node.level % 8);
        let index = node.index >> (8 - height);
        let position = usize::try_from(node.index & ((1 << (8 - height)) - 1)).ok()?;
        let tile = self.tiles.get(&(level, index))?;
        tile.rows.get(usize::from(height))?.get(position).copied()
    }

    /// The hashes of complete subtrees `[from, to)` of one level, if they are all in memory.
    pub(crate) fn nodes(&self, node_level: u8, from: u64, to: u64) -> Option<Vec<Hash>> {
        let (level, height) = (node_level / 8, node_level % 8);
        let per_tile = 256u64 >> height;
        let mut hashes = Vec::new();
        let mut at = from;
        while at < to {
            let tile = self.tiles.get(&(level, at / per_tile))?;
            let end = to.min((at / per_tile + 1) * per_tile);
            let first = usize::try_from(at % per_tile).ok()?;
            let count = usize::try_from(end - at).ok()?;
            let row = tile.rows.get(usize::from(height))?;
            hashes.extend_from_slice(row.get(first..first + count)?);
            at = end;
        }
        Some(hashes)
    }

    /// The hashes of a tile, if they are in memory.
    pub(crate) fn tile(&self, tile: Tile) -> Option<Vec<Hash>> {
        let row = self
            .tiles
            .get(&(tile.level(), tile.index()))?
            .rows
            .first()?;
        row.get(..usize::from(tile.width())).map(<[Hash]>::to_vec)
    }

    /// The root hash of the first `size` leaves.
    pub(crate) fn root_hash(&self, size: u64) -> Result<Hash, ProveError<Node>> {
        hash_range(0, size, |node| self.node(node).ok_or(node))
    }

    pub(crate) fn prove(&self, index: u64, size: u64) -> Result<InclusionProof, ProveError<Node>> {
        prove_inclusion(index, size, |node| self.node(node).ok_or(node))
    }

    /// Checks that the whole tree starts with an earlier one (rule D3).
    pub(crate) fn check_growth(
        &self,
        old_size: u64,
        old_root: &Hash,
        new_root: &Hash,
    ) -> Result<(), ProveError<Node>> {
        let proof = prove_consistency(old_size, self.size, |node| self.node(node).ok_or(node))?;
        proof.check(old_root, new_root).map_err(ProofError::into)
    }

    /// Takes leaves off again that were not committed.
    pub(crate) fn truncate(&mut self, size: u64) {
        self.size = size;
        self.tiles.retain(|(level, index), tile| {
            let on_level = size.checked_shr(8 * u32::from(*level)).unwrap_or(0);
            let kept = on_level.saturating_sub(index * 256).min(256);
            for (height, row) in (0..8u32).zip(tile.rows.iter_mut()) {
                row.truncate(usize::try_from(kept >> height).unwrap_or(0));
            }
            kept > 0
        });
    }

    /// Forgets full tiles that are sealed, but for the last ones.
    pub(crate) fn evict(&mut self, sealed: u64) {
        self.tiles.retain(|(level, index), _| {
            let full = sealed.checked_shr(8 * (u32::from(*level) + 1)).unwrap_or(0);
            index.saturating_add(KEPT_TILES) >= full
        });
    }

    #[cfg(test)]
    pub(crate) fn tiles_in_memory(&self) -> usize {
        self.tiles.len()
    }
}

#[cfg(test)]
mod tests {
    use waxseal_tlog::{Frontier, TileReader, leaf_hash};

    use super::*;

    fn leaf(index: u64) -> Hash {
        leaf_hash(&index.to_be_bytes())
    }

    #[test]
    fn grows_as_the_frontier_does() {
        let (mut tree, mut frontier) = (Tree::default(), Frontier::new());
        for index in 0..66_000 {
            let old = (tree.size(), frontier.root_hash());
            tree.append(&leaf(index));
            frontier.append(&leaf(index)).unwrap();
            if !(600..=65_500).contains(&index) {
                let root = frontier.root_hash();
                assert_eq!(tree.root_hash(index + 1), Ok(root));
                assert_eq!(tree.check_growth(old.0, &old.1, &root), Ok(()));
                let proof = tree.prove(index / 2, index + 1).unwrap();
                assert_eq!(proof.check(&leaf(index / 2), &root), Ok(()));
                assert!(tree.check_growth(old.0, &[7; 32], &root).is_err());
            }
        }
    }

    #[test]
    fn its_tiles_hash_to_its_root() {
        let mut tree = Tree::default();
        (0..1000).for_each(|index| tree.append(&leaf(index)));
        let mut reader = TileReader::new(1000, tree.root_hash(1000).unwrap());
        let tiles: Vec<_> = reader
            .needed_for_leaves(0, 1000)
            .unwrap()
            .into_iter()
            .map(|tile| (tile, Tile::encode(&tree.tile(tile).unwrap())))
            .collect();
        reader.supply(&tiles).unwrap();
        assert_eq!(reader.leaves(999, 1000), Ok(vec![leaf(999)]));
    }

    #[test]
    fn truncate_undoes_append() {
        for (size, more) in [
            (0, 3),
            (1, 300),
            (255, 1),
            (256, 600),
            (500, 12),
            (65_535, 2),
        ] {
            let mut tree = Tree::default();
            (0..size).for_each(|index| tree.append(&leaf(index)));
            let root = tree.root_hash(size);
            (0..more).for_each(|_| tree.append(&[9; 32]));
            tree.truncate(size);
            assert_eq!((tree.size(), tree.root_hash(size)), (size, root));
            (size..size + 300).for_each(|index| tree.append(&leaf(index)));
            let mut expected = Tree::default();
            (0..size + 300).for_each(|index| expected.append(&leaf(index)));
            assert_eq!(tree.root_hash(size + 300), expected.root_hash(size + 300));
        }
    }

    #[test]
    fn evicted_trees_still_grow() {
        let (mut tree, mut frontier) = (Tree::default(), Frontier::new());
        for index in 0..70_000 {
            tree.append(&leaf(index));
            frontier.append(&leaf(index)).unwrap();
            if index % 1024 == 1023 {
                tree.evict(index / 256 * 256);
                let size = index + 1;
                assert_eq!(tree.root_hash(size), Ok(frontier.root_hash()));
                assert!(tree.prove(index, size).is_ok());
                assert!(tree.tiles_in_memory() < 80);
            }
        }
        assert!(tree.prove(0, 70_000).is_err());
    }

    #[test]
    fn restored_trees_grow_on() {
        let (mut whole, mut frontier) = (Tree::default(), Frontier::new());
        let sealed = 65_536 + 512;
        for index in 0..sealed + 100 {
            whole.append(&leaf(index));
            frontier.append(&leaf(index)).unwrap();
        }
        let mut tree = Tree::sealed(sealed);
        let node = |level, index| whole.node(Node { level, index }).unwrap();
        tree.restore(2, 0, &node(16, 0));
        tree.restore(1, 256, &node(8, 256));
        tree.restore(1, 257, &node(8, 257));
        (sealed..sealed + 100).for_each(|index| tree.append(&leaf(index)));
        assert_eq!(tree.root_hash(sealed + 100), Ok(frontier.root_hash()));
    }
}

//! The inclusion proofs of all entries of one publication, made in one go: they share most nodes.

use waxseal_serve::BoxError;
use waxseal_tlog::{Hash, InclusionProof, node_hash};

use crate::personality::Prover;
use crate::tree::Tree;

/// The nodes from the first entry on, level by level: every path is made of them.
#[derive(Debug)]
pub(crate) struct BatchProofs {
    first: u64,
    tree_size: u64,
    root_hash: Hash,
    levels: Vec<Level>,
}

/// One level of the tree, from the pair that holds the first entry's node to its end.
#[derive(Debug)]
struct Level {
    /// Position of the first of the hashes.
    start: u64,
    /// The last of them is that of the last node, which need not be complete.
    hashes: Vec<Hash>,
}

impl BatchProofs {
    /// Reads the nodes of the entries `[first, tree_size)`; `None` if they are not all in memory.
    pub(crate) fn read(tree: &Tree, first: u64, tree_size: u64) -> Option<Self> {
        let mut levels: Vec<Level> = Vec::new();
        let mut top: Option<Hash> = None;
        for level in 0..64u8 {
            let last = (tree_size.checked_sub(1)?) >> level;
            let start = (first >> level) & !1;
            let is_complete = tree_size >> level > last;
            let end = if is_complete { last + 1 } else { last };
            let mut hashes = tree.nodes(level, start, end)?;
            if !is_complete {
                // Its left child, and its right one if there is one.
                let below = levels.last()?;
                let incomplete = match below.at(2 * last + 1) {
                    Some(right) => node_hash(&below.at(2 * last)?, &right),
                    None => top?,
                };
                hashes.push(incomplete);
            }
            top = hashes.last().copied();
            levels.push(Level { start, hashes });
            if last == 0 {
                break;
            }
        }
        Some(Self {
            first,
            tree_size,
            root_hash: top?,
            levels,
        })
    }

    /// The root that every proof leads to.
    pub(crate) const fn root_hash(&self) -> &Hash {
        &self.root_hash
    }

    fn path(&self, index: u64) -> Option<Vec<Hash>> {
        let mut hashes = Vec::with_capacity(self.levels.len());
        // The top level is the root.
        let (_, below) = self.levels.split_last()?;
        for (level, nodes) in (0u32..).zip(below) {
            let sibling = (index >> level) ^ 1;
            if sibling <= (self.tree_size - 1) >> level {
                hashes.push(nodes.at(sibling)?);
            }
        }
        Some(hashes)
    }
}

impl Level {
    fn at(&self, position: u64) -> Option<Hash> {
        let position = usize::try_from(position.checked_sub(self.start)?).ok()?;
        self.hashes.get(position).copied()
    }
}

impl Prover for BatchProofs {
    fn prove(&self, index: u64, tree_size: u64) -> Result<InclusionProof, BoxError> {
        let is_in_batch = (self.first..self.tree_size).contains(&index);
        let hashes = self
            .path(index)
            .filter(|_| is_in_batch && tree_size == self.tree_size)
            .ok_or_else(|| format!("entry {index} is not in the batch"))?;
        Ok(InclusionProof {
            leaf_index: index,
            tree_size,
            hashes,
        })
    }
}

#[cfg(test)]
mod tests {
    use waxseal_tlog::leaf_hash;

    use super::*;

    /// Every proof is that of the tree, whatever the batch.
    #[test]
    fn are_those_of_the_tree() {
        let mut tree = Tree::default();
        for size in 1..700u64 {
            tree.append(&leaf_hash(&size.to_be_bytes()));
            for first in [0, size / 2, size.saturating_sub(3), size - 1] {
                let proofs = BatchProofs::read(&tree, first, size).unwrap();
                assert_eq!(Ok(*proofs.root_hash()), tree.root_hash(size));
                for index in [first, (first + size) / 2, size - 1] {
                    let proof = proofs.prove(index, size).unwrap();
                    assert_eq!(Ok(proof), tree.prove(index, size), "{index} of {size}");
                }
                assert!(proofs.prove(size, size).is_err());
                assert!(proofs.prove(first, size + 1).is_err());
            }
            // Of an earlier size, while the tree has grown on.
            let old = size / 2 + 1;
            let proofs = BatchProofs::read(&tree, old - 1, old).unwrap();
            assert_eq!(
                proofs.prove(old - 1, old).ok(),
                tree.prove(old - 1, old).ok()
            );
        }
        assert!(BatchProofs::read(&tree, 0, 0).is_none());
    }
}

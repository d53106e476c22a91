//! Proofs with their coordinates, and how they are made from the hashes of complete subtrees.

use std::convert::Infallible;

use crate::merkle::check_subtree;
use crate::{Hash, ProofError, check_consistency, check_inclusion, empty_root, node_hash};

/// A complete subtree of `2^level` leaves, starting at leaf `index · 2^level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Height; leaves are level 0.
    pub level: u8,
    /// Position on that level, from the left.
    pub index: u64,
}

/// That one leaf is in a tree (RFC 9162 §2.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// Index of the leaf.
    pub leaf_index: u64,
    /// Size of the tree.
    pub tree_size: u64,
    /// Sibling hashes from the leaf up.
    pub hashes: Vec<Hash>,
}

/// That one tree is the beginning of another (RFC 9162 §2.1.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// Size of the older tree.
    pub old_size: u64,
    /// Size of the newer tree.
    pub new_size: u64,
    /// The hashes, in the RFC's order.
    pub hashes: Vec<Hash>,
}

impl InclusionProof {
    /// Checks the proof for a leaf hash and a root hash.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn check(&self, leaf: &Hash, root_hash: &Hash) -> Result<(), ProofError> {
        check_inclusion(
            leaf,
            self.leaf_index,
            self.tree_size,
            &self.hashes,
            root_hash,
        )
    }
}

impl ConsistencyProof {
    /// Checks the proof between two root hashes. Every tree is consistent with the empty one,
    /// whose root hash must then be [`empty_root`] and whose proof must be empty (tlog-witness).
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn check(&self, old_root: &Hash, new_root: &Hash) -> Result<(), ProofError> {
        if self.old_size > 0 {
            return check_consistency(
                self.old_size,
                self.new_size,
                &self.hashes,
                old_root,
                new_root,
            );
        }
        if !self.hashes.is_empty() {
            return Err(ProofError::TrailingHashes);
        }
        let new_is_possible = self.new_size > 0 || *new_root == empty_root();
        if *old_root == empty_root() && new_is_possible {
            Ok(())
        } else {
            Err(ProofError::RootMismatch)
        }
    }
}

/// Why a proof was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError<E> {
    /// There is no such proof.
    #[error(transparent)]
    Impossible(#[from] ProofError),
    /// A hash could not be read.
    #[error("a node of the tree cannot be read")]
    Read(E),
}

/// Makes the proof that leaf `index` is in the tree of `size` leaves; `read` gives the hashes of
/// complete subtrees.
///
/// # Errors
/// [`ProveError`].
pub fn prove_inclusion<E>(
    index: u64,
    size: u64,
    read: impl FnMut(Node) -> Result<Hash, E>,
) -> Result<InclusionProof, ProveError<E>> {
    Ok(InclusionProof {
        leaf_index: index,
        tree_size: size,
        hashes: prove_subtree_inclusion(index, 0, size, read)?,
    })
}

/// Makes the proof that leaf `index` is in the subtree `[start, end)`.
///
/// # Errors
/// [`ProveError`].
pub fn prove_subtree_inclusion<E>(
    index: u64,
    start: u64,
    end: u64,
    mut read: impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Vec<Hash>, ProveError<E>> {
    if !(start..end).contains(&index) {
        return Err(ProofError::IndexOutOfRange { index, start, end }.into());
    }
    check_subtree(start, end)?;
    let mut ranges = Vec::new();
    let (mut low, mut high) = (start, end);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            ranges.push((middle, high));
            high = middle;
        } else {
            ranges.push((low, middle));
            low = middle;
        }
    }
    read_ranges(&ranges, &mut read)
}

/// Makes the proof that the tree of `old_size` leaves is the beginning of that of `new_size`
/// leaves. From the empty tree the proof is empty.
///
/// # Errors
/// [`ProveError`].
pub fn prove_consistency<E>(
    old_size: u64,
    new_size: u64,
    read: impl FnMut(Node) -> Result<Hash, E>,
) -> Result<ConsistencyProof, ProveError<E>> {
    Ok(ConsistencyProof {
        old_size,
        new_size,
        hashes: prove_subtree_consistency(0, old_size, new_size, read)?,
    })
}

/// Makes the proof that the subtree `[start, end)` is part of the tree of `size` leaves.
///
/// # Errors
/// [`ProveError`].
pub fn prove_subtree_consistency<E>(
    start: u64,
    end: u64,
    size: u64,
    mut read: impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Vec<Hash>, ProveError<E>> {
    if end > size {
        return Err(ProofError::SizesReversed {
            old_size: end,
            new_size: size,
        }
        .into());
    }
    if start == end {
        return Ok(Vec::new());
    }
    check_subtree(start, end)?;
    let mut ranges = Vec::new();
    let (mut low, mut high) = (0, size);
    // Whether the verifier knows the hash of the range that is left (it is the subtree itself).
    let mut known = true;
    let mut start = start;
    while (low, high) != (start, end) {
        let middle = low + split(high - low);
        if end <= middle {
            ranges.push((middle, high));
            high = middle;
        } else {
            ranges.push((low, middle));
            if start < middle {
                start = middle;
                known = false;
            }
            low = middle;
        }
    }
    if !known {
        ranges.push((low, high));
    }
    read_ranges(&ranges, &mut read)
}

/// The hash of the leaves `[start, end)`: of a subtree or of a whole tree.
///
/// # Errors
/// [`ProveError`].
pub fn hash_range<E>(
    start: u64,
    end: u64,
    mut read: impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Hash, ProveError<E>> {
    if start == end {
        return Ok(empty_root());
    }
    check_subtree(start, end)?;
    read_range(start, end, &mut read).map_err(ProveError::Read)
}

/// The ranges were found from the root down; proofs go from the leaf up.
fn read_ranges<E>(
    ranges: &[(u64, u64)],
    read: &mut impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Vec<Hash>, ProveError<E>> {
    ranges
        .iter()
        .rev()
        .map(|(start, end)| read_range(*start, *end, read).map_err(ProveError::Read))
        .collect()
}

fn read_range<E>(
    start: u64,
    end: u64,
    read: &mut impl FnMut(Node) -> Result<Hash, E>,
) -> Result<Hash, E> {
    let mut nodes = nodes_of(start, end).into_iter().rev();
    let Some(last) = nodes.next() else {
        return Ok(empty_root());
    };
    let mut hash = read(last)?;
    for node in nodes {
        hash = node_hash(&read(node)?, &hash);
    }
    Ok(hash)
}

/// The complete subtrees that make up an aligned range, from the left.
pub(crate) fn nodes_of(start: u64, end: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    let (mut at, mut left) = (start, end.saturating_sub(start));
    while left > 0 {
        let level = left.ilog2();
        nodes.push(Node {
            level: u8::try_from(level).unwrap_or(u8::MAX),
            index: at >> level,
        });
        at = at.saturating_add(1 << level);
        left -= 1 << level;
    }
    nodes
}

/// Every node that a proof or a range would read, without reading any: the plan for a
/// [`crate::TileReader`].
pub(crate) fn nodes_read<T>(
    make: impl FnOnce(
        &mut dyn FnMut(Node) -> Result<Hash, Infallible>,
    ) -> Result<T, ProveError<Infallible>>,
) -> Result<Vec<Node>, ProofError> {
    let mut nodes = Vec::new();
    let made = make(&mut |node| {
        nodes.push(node);
        Ok([0; 32])
    });
    match made {
        Ok(_) => Ok(nodes),
        Err(ProveError::Impossible(error)) => Err(error),
        Err(ProveError::Read(never)) => match never {},
    }
}

/// The largest power of two that is less than `size` (RFC 6962 §2.1); `size` is at least 2.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

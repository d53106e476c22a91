//! Hashes of the tree and the four proof checks (RFC 6962 §2.1, RFC 9162 §2.1.3.2 and §2.1.4.2).

use waxseal_crypto::{sha256, sha256_of};

/// A SHA-256 hash of a leaf or a node.
pub type Hash = [u8; 32];

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The leaf index is not inside the tree or subtree (RFC 9162 §2.1.3.2 step 1).
    #[error("leaf index {index} is outside [{start}, {end})")]
    IndexOutOfRange {
        /// The index.
        index: u64,
        /// First index of the (sub)tree.
        start: u64,
        /// One past its last index.
        end: u64,
    },
    /// A consistency proof needs at least one leaf in the older tree (RFC 9162 §2.1.4.1).
    #[error("nothing is proven from an empty tree")]
    EmptyTree,
    /// The older tree is larger than the newer (RFC 9162 §2.1.4.1: 0 < m <= n).
    #[error("the older size {old_size} exceeds the newer size {new_size}")]
    SizesReversed {
        /// The older size, or the end of the subtree.
        old_size: u64,
        /// The newer size.
        new_size: u64,
    },
    /// The range is not a subtree: `start` must be a multiple of the smallest power of two that is
    /// not less than the length (draft-ietf-plants-merkle-tree-certs §4.1).
    #[error("[{start}, {end}) is not a subtree")]
    InvalidSubtree {
        /// First index.
        start: u64,
        /// One past the last index.
        end: u64,
    },
    /// The proof ends before the root is reached.
    #[error("the proof is too short")]
    MissingHashes,
    /// The proof goes on after the root is reached.
    #[error("the proof has trailing hashes")]
    TrailingHashes,
    /// The proof leads to another root hash (or, for consistency, from another one).
    #[error("the proof does not lead to the root hash")]
    RootMismatch,
}

/// The hash of an entry: SHA-256(0x00 ‖ entry).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256_of(&[&[0], entry])
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut input = [1; 65];
    let (_, children) = input.split_at_mut(1);
    let (to_left, to_right) = children.split_at_mut(32);
    to_left.copy_from_slice(left);
    to_right.copy_from_slice(right);
    sha256(&input)
}

/// The root hash of the tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    sha256(b"")
}

/// Checks that `leaf` (a leaf *hash*) is the leaf `index` of the tree of `size` leaves under `root`.
///
/// # Errors
/// [`ProofError`]; trailing hashes and an index that is not less than `size` are refused.
pub fn check_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    hashes: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    check_subtree_inclusion(leaf, index, 0, size, hashes, root)
}

/// Checks that `leaf` is the leaf `index` (counted in the whole tree) of the subtree
/// `[start, end)` whose hash is `root`.
///
/// # Errors
/// [`ProofError`].
pub fn check_subtree_inclusion(
    leaf: &Hash,
    index: u64,
    start: u64,
    end: u64,
    hashes: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if !(start..end).contains(&index) {
        return Err(ProofError::IndexOutOfRange { index, start, end });
    }
    check_subtree(start, end)?;
    let (mut at, mut last) = (index - start, end - start - 1);
    let mut hash = *leaf;
    for sibling in hashes {
        if last == 0 {
            return Err(ProofError::TrailingHashes);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            // A right edge without a sibling climbs until it is a right child.
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::MissingHashes);
    }
    matches(&hash, root)
}

/// Checks that the tree of `new_size` leaves under `new_root` starts with the tree of `old_size`
/// leaves under `old_root`.
///
/// # Errors
/// [`ProofError`]; an `old_size` of zero is refused, because no proof says anything about it
/// ([`crate::ConsistencyProof::check`] knows what to ask instead).
pub fn check_consistency(
    old_size: u64,
    new_size: u64,
    hashes: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), ProofError> {
    if old_size == 0 {
        return Err(ProofError::EmptyTree);
    }
    check_subtree_consistency(0, old_size, new_size, hashes, old_root, new_root)
}

/// Checks that the subtree `[start, end)` with hash `subtree` is part of the tree of `size` leaves
/// under `root` (draft-ietf-plants-merkle-tree-certs §4.4.3). An empty subtree is part of every
/// tree that reaches it, and has the empty root and the empty proof.
///
/// # Errors
/// [`ProofError`].
pub fn check_subtree_consistency(
    start: u64,
    end: u64,
    size: u64,
    hashes: &[Hash],
    subtree: &Hash,
    root: &Hash,
) -> Result<(), ProofError> {
    if end > size {
        return Err(ProofError::SizesReversed {
            old_size: end,
            new_size: size,
        });
    }
    if start == end {
        return match hashes {
            [] => matches(subtree, &empty_root()),
            _ => Err(ProofError::TrailingHashes),
        };
    }
    check_subtree(start, end)?;
    // first and last leaf of the subtree, last leaf of the tree; all climb together
    let (mut first, mut last, mut tree_last) = (start, end - 1, size - 1);
    while first != last && (last == tree_last || last & 1 == 1) {
        (first, last, tree_last) = (first >> 1, last >> 1, tree_last >> 1);
    }
    let mut hashes = hashes.iter();
    let seed = if first == last {
        subtree
    } else {
        hashes.next().ok_or(ProofError::MissingHashes)?
    };
    let (mut subtree_hash, mut tree_hash) = (*seed, *seed);
    for sibling in hashes {
        if tree_last == 0 {
            return Err(ProofError::TrailingHashes);
        }
        if last & 1 == 1 || last == tree_last {
            if first < last {
                subtree_hash = node_hash(sibling, &subtree_hash);
            }
            tree_hash = node_hash(sibling, &tree_hash);
            while last & 1 == 0 {
                (first, last, tree_last) = (first >> 1, last >> 1, tree_last >> 1);
            }
        } else {
            tree_hash = node_hash(&tree_hash, sibling);
        }
        (first, last, tree_last) = (first >> 1, last >> 1, tree_last >> 1);
    }
    if tree_last != 0 {
        return Err(ProofError::MissingHashes);
    }
    matches(&subtree_hash, subtree)?;
    matches(&tree_hash, root)
}

/// Refuses ranges that are not subtrees; an empty range is not one.
pub(crate) fn check_subtree(start: u64, end: u64) -> Result<(), ProofError> {
    let aligned = match end.checked_sub(start) {
        None | Some(0) => false,
        // A subtree of more than 2^63 leaves can only start at zero.
        Some(length) => start
            .checked_rem(length.checked_next_power_of_two().unwrap_or(0))
            .unwrap_or(start)
            .eq(&0),
    };
    if aligned {
        Ok(())
    } else {
        Err(ProofError::InvalidSubtree { start, end })
    }
}

fn matches(found: &Hash, expected: &Hash) -> Result<(), ProofError> {
    if found == expected {
        Ok(())
    } else {
        Err(ProofError::RootMismatch)
    }
}

#[cfg(test)]
mod tests;

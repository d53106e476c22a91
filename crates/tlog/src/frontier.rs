//! The right edge of a growing tree: enough to append and to know the root hash.

use crate::{Hash, Node, empty_root, node_hash};

/// The complete subtrees of a tree, largest first: one hash for every one-bit of its size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

/// Why a frontier was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrontierError {
    /// The bytes are not a size and exactly the hashes that it needs.
    #[error("a frontier of {size} leaves has {expected} hashes, found {found} bytes of them")]
    WrongLength {
        /// Leaves.
        size: u64,
        /// Hashes for that many leaves.
        expected: u32,
        /// Bytes after the size.
        found: usize,
    },
    /// There is no size in the bytes.
    #[error("a frontier starts with a size of 8 bytes")]
    Truncated,
    /// The tree has 2^64 − 1 leaves.
    #[error("the tree is full")]
    Full,
}

impl Frontier {
    /// The empty tree.
    pub const fn new() -> Self {
        Self {
            size: 0,
            peaks: Vec::new(),
        }
    }

    /// A frontier from its size and the hashes of its complete subtrees, largest first.
    ///
    /// # Errors
    /// [`FrontierError::WrongLength`].
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Result<Self, FrontierError> {
        let expected = size.count_ones();
        if usize::try_from(expected) == Ok(peaks.len()) {
            Ok(Self { size, peaks })
        } else {
            Err(FrontierError::WrongLength {
                size,
                expected,
                found: peaks.len() * 32,
            })
        }
    }

    /// The nodes whose hashes [`Self::from_peaks`] takes for a tree of `size` leaves.
    pub fn peak_nodes(size: u64) -> Vec<Node> {
        crate::prove::nodes_of(0, size)
    }

    /// Number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the complete subtrees, largest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Adds a leaf hash.
    ///
    /// # Errors
    /// [`FrontierError::Full`].
    pub fn append(&mut self, leaf: &Hash) -> Result<(), FrontierError> {
        self.append_visiting(leaf, |_, _| {})
    }

    /// Adds a leaf hash and shows every node that becomes complete by it: the leaf, then its
    /// ancestors.
    ///
    /// # Errors
    /// [`FrontierError::Full`].
    pub fn append_visiting(
        &mut self,
        leaf: &Hash,
        mut completed: impl FnMut(Node, &Hash),
    ) -> Result<(), FrontierError> {
        let grown = self.size.checked_add(1).ok_or(FrontierError::Full)?;
        let (mut hash, mut level, mut index) = (*leaf, 0, self.size);
        completed(Node { level, index }, &hash);
        while index & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            (level, index) = (level + 1, index >> 1);
            completed(Node { level, index }, &hash);
        }
        self.peaks.push(hash);
        self.size = grown;
        Ok(())
    }

    /// The root hash of the tree.
    pub fn root_hash(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return empty_root();
        };
        peaks.fold(*last, |hash, left| node_hash(left, &hash))
    }

    /// The size (8 bytes, big-endian) and the hashes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        bytes.extend(self.peaks.iter().flatten());
        bytes
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`FrontierError::Truncated`] or [`FrontierError::WrongLength`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (size, rest) = bytes
            .split_first_chunk::<8>()
            .ok_or(FrontierError::Truncated)?;
        let size = u64::from_be_bytes(*size);
        let (peaks, remainder) = rest.as_chunks::<32>();
        if !remainder.is_empty() {
            return Err(FrontierError::WrongLength {
                size,
                expected: size.count_ones(),
                found: rest.len(),
            });
        }
        Self::from_peaks(size, peaks.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf_hash;

    fn grown(size: u64) -> Frontier {
        let mut frontier = Frontier::new();
        for index in 0..size {
            frontier.append(&leaf_hash(&index.to_be_bytes())).unwrap();
        }
        frontier
    }

    #[test]
    fn survives_a_round_trip() {
        for size in 0..130 {
            let frontier = grown(size);
            assert_eq!(Frontier::parse(&frontier.encode()), Ok(frontier.clone()));
            assert_eq!(
                Frontier::peak_nodes(size).len(),
                frontier.peaks().len(),
                "{size}"
            );
        }
    }

    #[test]
    fn wrong_length() {
        let mut bytes = grown(7).encode();
        bytes.push(0);
        let wrong = |found| FrontierError::WrongLength {
            size: 7,
            expected: 3,
            found,
        };
        assert_eq!(Frontier::parse(&bytes), Err(wrong(97)));
        bytes.truncate(bytes.len() - 33);
        assert_eq!(Frontier::parse(&bytes), Err(wrong(64)));
    }

    #[test]
    fn truncated() {
        assert_eq!(Frontier::parse(&[0; 7]), Err(FrontierError::Truncated));
    }

    #[test]
    fn full() {
        let mut frontier = Frontier::from_peaks(u64::MAX, vec![[7; 32]; 64]).unwrap();
        let before = frontier.clone();
        assert_eq!(frontier.append(&[0; 32]), Err(FrontierError::Full));
        assert_eq!(frontier, before);
        frontier.root_hash();
    }
}

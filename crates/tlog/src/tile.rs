//! Tiles: 256 neighbouring hashes of one level (c2sp.org/tlog-tiles).

use crate::{Hash, Node, node_hash};

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// Bytes in a full tile.
pub const TILE_BYTES: usize = 8192;

/// The coordinates of a tile. Its hash `i` is the root of the complete subtree of `256^level`
/// leaves with number `index · 256 + i`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

/// Why numbers or bytes are not a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// Levels go from 0 to 63 (tlog-tiles).
    #[error("tile level {level} is not in 0..=63")]
    LevelOutOfRange {
        /// The level.
        level: u8,
    },
    /// Widths go from 1 to 256 (tlog-tiles).
    #[error("tile width {width} is not in 1..=256")]
    WidthOutOfRange {
        /// The width.
        width: u16,
    },
    /// The bytes are not 32 for every hash.
    #[error("a tile of {width} hashes cannot have {found} bytes")]
    WrongLength {
        /// The width.
        width: u16,
        /// Bytes found.
        found: usize,
    },
}

impl Tile {
    /// A tile from its coordinates.
    ///
    /// # Errors
    /// [`TileError::LevelOutOfRange`] or [`TileError::WidthOutOfRange`].
    pub const fn new(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        if level > 63 {
            return Err(TileError::LevelOutOfRange { level });
        }
        if width == 0 || width > TILE_WIDTH {
            return Err(TileError::WidthOutOfRange { width });
        }
        Ok(Self {
            level,
            index,
            width,
        })
    }

    /// The level: 0 holds leaf hashes, `l` the roots of subtrees of `256^l` leaves.
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// The position on the level, from the left.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes: 1 to 256.
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether all 256 hashes are there.
    pub const fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The same tile with all its hashes, which a server may have in place of a partial one.
    #[must_use]
    pub const fn full(self) -> Self {
        Self {
            width: TILE_WIDTH,
            ..self
        }
    }

    /// How wide the tile `index` of `level` is in a tree of `size` leaves; `None` if it is not
    /// there.
    pub fn in_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        let hashes = hashes_on_level(level, size);
        let before = index.checked_mul(256)?;
        let width = hashes.checked_sub(before)?.min(256);
        Self::new(level, index, u16::try_from(width).ok()?).ok()
    }

    /// The partial tiles at the right edge of a tree of `size` leaves, from the bottom. Together
    /// they hold the hashes of all its complete subtrees, and so its root.
    pub fn right_edge(size: u64) -> Vec<Self> {
        (0..8)
            .filter_map(|level| {
                let hashes = hashes_on_level(level, size);
                let width = u16::try_from(hashes % 256)
                    .ok()
                    .filter(|width| *width > 0)?;
                Self::new(level, hashes / 256, width).ok()
            })
            .collect()
    }

    /// All tiles of a tree of `size` leaves, the partial ones included, from the bottom left.
    pub fn all(size: u64) -> impl Iterator<Item = Self> {
        (0..8u8).flat_map(move |level| {
            let count = hashes_on_level(level, size).div_ceil(256);
            (0..count).filter_map(move |index| Self::in_tree(level, index, size))
        })
    }

    /// The tile that holds a node (at its full width) and where: the node is the root of the
    /// complete subtree over the hashes `[first, first + 2^levels)` of the tile.
    pub(crate) fn of_node(node: Node) -> Option<(u8, u64, u64, u8)> {
        let level = node.level / 8;
        let above = node.level % 8;
        let first = node.index.checked_shl(u32::from(above))?;
        // the shift must lose nothing
        if first >> above != node.index {
            return None;
        }
        Some((level, first / 256, first % 256, above))
    }

    /// Cuts bytes into the hashes of this tile.
    ///
    /// # Errors
    /// [`TileError::WrongLength`].
    pub fn parse(&self, bytes: &[u8]) -> Result<Vec<Hash>, TileError> {
        let wrong = TileError::WrongLength {
            width: self.width,
            found: bytes.len(),
        };
        let (hashes, rest) = bytes.as_chunks::<32>();
        if rest.is_empty() && hashes.len() == usize::from(self.width) {
            Ok(hashes.to_vec())
        } else {
            Err(wrong)
        }
    }

    /// The bytes of a tile.
    pub fn encode(hashes: &[Hash]) -> Vec<u8> {
        hashes.concat()
    }
}

/// How many complete subtrees of `256^level` leaves a tree of `size` leaves has.
pub(crate) fn hashes_on_level(level: u8, size: u64) -> u64 {
    size.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

/// The root over a power of two of hashes.
pub(crate) fn fold(hashes: &[Hash]) -> Option<Hash> {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => Some(node_hash(left, right)),
                _ => None,
            })
            .collect::<Option<_>>()?;
    }
    row.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_out_of_range() {
        assert!(Tile::new(63, 0, 1).is_ok());
        let error = TileError::LevelOutOfRange { level: 64 };
        assert_eq!(Tile::new(64, 0, 1), Err(error));
    }

    #[test]
    fn width_out_of_range() {
        for width in [0, 257, u16::MAX] {
            let error = TileError::WidthOutOfRange { width };
            assert_eq!(Tile::new(0, 0, width), Err(error));
        }
        assert!(Tile::new(0, 0, 256).is_ok());
    }

    #[test]
    fn wrong_length() {
        let tile = Tile::new(0, 0, 2).unwrap();
        assert_eq!(tile.parse(&[7; 64]), Ok(vec![[7; 32]; 2]));
        for found in [0, 32, 63, 65, 96] {
            let error = TileError::WrongLength { width: 2, found };
            assert_eq!(tile.parse(&vec![7; found]), Err(error));
        }
    }

    #[test]
    fn the_specification_s_example_of_70_000() {
        // tlog-tiles: 273 full and one of 112; one full and one of 17; one of 1
        let tiles: Vec<_> = Tile::all(70_000).collect();
        let full = |level| {
            tiles
                .iter()
                .filter(|t| t.level == level && t.is_full())
                .count()
        };
        assert_eq!((full(0), full(1), full(2)), (273, 1, 0));
        let edge = Tile::right_edge(70_000);
        let widths: Vec<_> = edge.iter().map(|t| (t.level, t.index, t.width)).collect();
        assert_eq!(widths, [(0, 273, 112), (1, 1, 17), (2, 0, 1)]);
        assert_eq!(tiles.len(), 273 + 1 + 3);
    }

    #[test]
    fn the_edge_of_the_largest_tree() {
        assert_eq!(Tile::right_edge(u64::MAX).len(), 8);
        assert_eq!(Tile::right_edge(0), []);
        assert_eq!(Tile::in_tree(0, u64::MAX, u64::MAX), None);
        assert_eq!(Tile::in_tree(63, 0, u64::MAX), None);
    }
}

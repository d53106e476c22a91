//! Reading trees of many sizes from honest and from lying servers.
#![allow(clippy::as_conversions, reason = "small sizes in a test")]

use super::*;
use crate::testing::{Tree, tree};

fn bytes_of(tree: &Tree, tile: Tile) -> Vec<u8> {
    let hashes: Vec<_> = (0..u64::from(tile.width()))
        .map(|position| {
            let index = tile.index() * 256 + position;
            tree.read(Node {
                level: tile.level() * 8,
                index,
            })
            .unwrap()
        })
        .collect();
    Tile::encode(&hashes)
}

fn fetch(tree: &Tree, tiles: Vec<Tile>) -> Vec<(Tile, Vec<u8>)> {
    tiles
        .into_iter()
        .map(|tile| (tile, bytes_of(tree, tile)))
        .collect()
}

fn reader(tree: &Tree) -> TileReader {
    TileReader::new(tree.frontier.size(), tree.frontier.root_hash())
}

const SIZES: [u64; 12] = [
    1, 2, 3, 255, 256, 257, 511, 513, 1000, 65_535, 65_536, 66_049,
];

#[test]
fn proofs_from_tiles_hold() {
    // One tree holds the nodes of all the smaller ones.
    let mut small = tree(66_049);
    let leaves = std::mem::take(&mut small.leaves);
    for size in SIZES {
        small.frontier = Frontier::new();
        for leaf in &leaves[..size as usize] {
            small.frontier.append(leaf).unwrap();
        }
        let root = small.frontier.root_hash();
        for index in [0, 1, size / 2, size.saturating_sub(257), size - 1] {
            if index >= size {
                continue;
            }
            let mut reader = reader(&small);
            assert_eq!(
                reader.prove_inclusion(index).err(),
                (size > 1).then_some(TileReaderError::Missing)
            );
            reader
                .supply(&fetch(&small, reader.needed_for_inclusion(index).unwrap()))
                .unwrap();
            let proof = reader.prove_inclusion(index).unwrap();
            assert_eq!(proof.check(&leaves[index as usize], &root), Ok(()));
            assert_eq!(reader.needed_for_inclusion(index), Ok(Vec::new()));
            // A second question asks for what is missing only.
            reader
                .supply(&fetch(
                    &small,
                    reader.needed_for_consistency(index).unwrap(),
                ))
                .unwrap();
            let old = crate::hash_range(0, index, |node| small.read(node)).unwrap();
            let proof = reader.prove_consistency(index).unwrap();
            assert_eq!(proof.check(&old, &root), Ok(()));
        }
    }
}

#[test]
fn leaves_from_tiles() {
    let tree = tree(1000);
    let mut reader = reader(&tree);
    for (start, end) in [(0, 0), (0, 1), (255, 257), (990, 1000), (0, 1000)] {
        reader
            .supply(&fetch(&tree, reader.needed_for_leaves(start, end).unwrap()))
            .unwrap();
        let leaves = reader.leaves(start, end).unwrap();
        assert_eq!(leaves, tree.leaves[start as usize..end as usize]);
    }
}

#[test]
fn any_flipped_byte_is_refused() {
    let tree = tree(300);
    let reader = reader(&tree);
    let tiles = fetch(&tree, reader.needed_for_leaves(0, 300).unwrap());
    assert_eq!(tiles.len(), 3);
    for tile in 0..tiles.len() {
        for at in 0..tiles[tile].1.len() {
            let mut wrong = tiles.clone();
            wrong[tile].1[at] ^= 0x80;
            let mut reader = reader.clone();
            let error = reader.supply(&wrong).unwrap_err();
            assert!(matches!(
                error,
                TileReaderError::RootMismatch | TileReaderError::TileMismatch { .. }
            ));
            assert_eq!(reader.leaves(0, 1), Err(TileReaderError::Missing));
        }
    }
}

#[test]
fn root_mismatch() {
    let tree = tree(300);
    let mut reader = TileReader::new(300, [7; 32]);
    let tiles = fetch(&tree, reader.needed_for_inclusion(0).unwrap());
    assert_eq!(reader.supply(&tiles), Err(TileReaderError::RootMismatch));
}

#[test]
fn tile_mismatch() {
    let tree = tree(600);
    let mut reader = reader(&tree);
    let swapped = Tile::new(0, 0, 256).unwrap();
    let mut tiles = fetch(&tree, reader.needed_for_leaves(0, 1).unwrap());
    for (tile, bytes) in &mut tiles {
        if *tile == swapped {
            *bytes = bytes_of(&tree, Tile::new(0, 1, 256).unwrap());
        }
    }
    assert_eq!(
        reader.supply(&tiles),
        Err(TileReaderError::TileMismatch { tile: swapped })
    );
}

#[test]
fn wrong_length() {
    let tree = tree(300);
    let mut reader = reader(&tree);
    let tile = Tile::new(0, 1, 44).unwrap();
    for found in [0, 43 * 32, 44 * 32 - 1, 45 * 32, 8191, 8193] {
        let error = TileReaderError::WrongLength { tile, found };
        assert_eq!(reader.supply(&[(tile, vec![0; found])]), Err(error));
    }
}

#[test]
fn a_full_tile_stands_in_for_a_partial_one() {
    let (old, new) = (tree(300), tree(600));
    let mut reader = reader(&old);
    let tiles: Vec<_> = reader
        .needed_for_leaves(0, 300)
        .unwrap()
        .into_iter()
        .map(|tile| match tile.is_full() || tile.level() > 0 {
            true => (tile, bytes_of(&old, tile)),
            false => (tile.full(), bytes_of(&new, tile.full())),
        })
        .collect();
    reader.supply(&tiles).unwrap();
    assert_eq!(reader.leaves(0, 300).unwrap(), old.leaves);
}

#[test]
fn not_in_tree() {
    let tree = tree(300);
    let mut reader = reader(&tree);
    for (level, index, width) in [(0, 2, 1), (0, 1, 43), (1, 1, 1), (9, 0, 1)] {
        let tile = Tile::new(level, index, width).unwrap();
        let error = TileReaderError::NotInTree { tile };
        assert_eq!(reader.supply(&[(tile, Vec::new())]), Err(error));
    }
}

#[test]
fn missing() {
    let tree = tree(600);
    let mut reader = reader(&tree);
    // Without the right edge nothing can be proven; without its parent no tile can.
    let tiles = fetch(&tree, vec![Tile::new(0, 0, 256).unwrap()]);
    assert_eq!(reader.supply(&tiles), Err(TileReaderError::Missing));
    assert_eq!(reader.leaves(0, 1), Err(TileReaderError::Missing));
}

#[test]
fn impossible() {
    let reader = TileReader::new(10, [0; 32]);
    let range = ProofError::IndexOutOfRange {
        index: 10,
        start: 0,
        end: 10,
    };
    assert_eq!(
        reader.needed_for_inclusion(10),
        Err(TileReaderError::Impossible(range))
    );
    let sizes = ProofError::SizesReversed {
        old_size: 11,
        new_size: 10,
    };
    assert_eq!(
        reader.needed_for_consistency(11),
        Err(TileReaderError::Impossible(sizes))
    );
    assert_eq!(
        reader.needed_for_leaves(0, 11),
        Err(TileReaderError::Impossible(sizes))
    );
    assert_eq!(
        reader.leaves(0, 11),
        Err(TileReaderError::Impossible(sizes))
    );
}

#[test]
fn v_49_the_largest_tree_needs_few_tiles() {
    let reader = TileReader::new(u64::MAX, [0; 32]);
    for index in [0, u64::MAX / 2, u64::MAX - 1] {
        assert!(reader.needed_for_inclusion(index).unwrap().len() <= 16);
    }
    assert!(reader.needed_for_consistency(1 << 63).unwrap().len() <= 16);
}

//! A tree that is hashed piece by piece has the root of the whole.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::Node;

/// A log with all its files.
struct Log {
    size: u64,
    root: Hash,
    files: BTreeMap<TilePath, Vec<u8>>,
}

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

fn log(size: u64) -> Log {
    let mut frontier = Frontier::new();
    let mut nodes: BTreeMap<Node, Hash> = BTreeMap::new();
    for index in 0..size {
        frontier
            .append_visiting(&leaf_hash(&entry(index)), |node, hash| {
                nodes.insert(node, *hash);
            })
            .unwrap();
    }
    let mut files = BTreeMap::new();
    for tile in Tile::all(size) {
        let first = tile.index() * 256;
        let hash = |index| {
            nodes[&Node {
                level: 8 * tile.level(),
                index,
            }]
        };
        let hashes: Vec<_> = (first..first + u64::from(tile.width())).map(hash).collect();
        files.insert(TilePath::Tile(tile), Tile::encode(&hashes));
        if tile.level() == 0 {
            let mut bundle = EntryBundle::new();
            for index in first..first + u64::from(tile.width()) {
                bundle.push(entry(index)).unwrap();
            }
            let (index, width) = (tile.index(), tile.width());
            files.insert(TilePath::Entries { index, width }, bundle.encode());
        }
    }
    Log {
        size,
        root: frontier.root_hash(),
        files,
    }
}

impl Log {
    fn check(&self) -> Result<(), TreeCheckError> {
        let mut check = TreeCheck::new(self.size, self.root, BundleFormat::Entries);
        let plan: Vec<_> = check.plan().collect();
        for path in plan {
            assert_eq!(check.next(), Some(path));
            let width = match path {
                TilePath::Tile(tile) => tile.width(),
                TilePath::Entries { width, .. } | TilePath::Data { width, .. } => width,
            };
            check.supply(&self.files[&path], width)?;
        }
        assert_eq!(check.next(), None);
        check.finish()
    }

    fn alter(&mut self, path: TilePath, change: impl FnOnce(&mut Vec<u8>)) {
        change(self.files.get_mut(&path).unwrap());
    }
}

fn tile(level: u8, index: u64, width: u16) -> TilePath {
    TilePath::Tile(Tile::new(level, index, width).unwrap())
}

#[test]
fn every_file_is_wanted_once() {
    for size in [
        0, 1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 66_000,
    ] {
        let check = TreeCheck::new(size, [0; 32], BundleFormat::Data);
        let mut plan: Vec<_> = check.plan().collect();
        let mut all: Vec<_> = Tile::all(size).map(TilePath::Tile).collect();
        all.extend(
            Tile::all(size)
                .filter(|tile| tile.level() == 0)
                .map(|tile| {
                    let (index, width) = (tile.index(), tile.width());
                    TilePath::Data { index, width }
                }),
        );
        plan.sort();
        all.sort();
        assert_eq!(plan, all, "{size}");
    }
}

#[test]
fn whole_logs_pass() {
    for size in [
        0, 1, 2, 255, 256, 257, 600, 65_535, 65_536, 65_537, 65_792, 65_793,
    ] {
        assert_eq!(log(size).check(), Ok(()), "{size}");
    }
}

#[test]
fn entry_mismatch() {
    let bundle = TilePath::Entries {
        index: 1,
        width: 44,
    };
    let mut altered = log(300);
    altered.alter(bundle, |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(
        altered.check(),
        Err(TreeCheckError::EntryMismatch { index: 299 })
    );
    let mut altered = log(300);
    altered.alter(tile(0, 1, 44), |bytes| bytes[0] ^= 1);
    assert_eq!(
        altered.check(),
        Err(TreeCheckError::EntryMismatch { index: 256 })
    );
}

#[test]
fn tile_mismatch() {
    let mut altered = log(600);
    altered.alter(tile(1, 0, 2), |bytes| bytes[40] ^= 1);
    let path = tile(1, 0, 2);
    let error = TreeCheckError::TileMismatch { path, position: 1 };
    assert_eq!(altered.check(), Err(error));
}

#[test]
fn root_mismatch() {
    // Entries and tiles were rewritten together: only the signed root tells.
    let honest = log(300);
    let mut rewritten = log(300);
    rewritten.root = log(301).root;
    assert_eq!(rewritten.check(), Err(TreeCheckError::RootMismatch));
    rewritten.root = honest.root;
    assert_eq!(rewritten.check(), Ok(()));
    let mut empty = log(0);
    empty.root = [0; 32];
    assert_eq!(empty.check(), Err(TreeCheckError::RootMismatch));
}

#[test]
fn bad_bundle_and_bad_tile() {
    let path = TilePath::Entries { index: 0, width: 9 };
    let mut cut = log(9);
    cut.alter(path, |bytes| bytes.truncate(bytes.len() - 1));
    let source = EntryBundleError::Truncated { position: 8 };
    assert_eq!(cut.check(), Err(TreeCheckError::BadBundle { path, source }));
    // bad_tile
    let path = tile(0, 0, 9);
    let mut cut = log(9);
    cut.alter(path, |bytes| bytes.truncate(bytes.len() - 1));
    let source = TileError::WrongLength {
        width: 9,
        found: 287,
    };
    assert_eq!(cut.check(), Err(TreeCheckError::BadTile { path, source }));
}

#[test]
fn bad_data() {
    let mut check = TreeCheck::new(1, [0; 32], BundleFormat::Data);
    let path = TilePath::Data { index: 0, width: 1 };
    let source = DataBundleError::Malformed { position: 0 };
    let error = TreeCheckError::BadData { path, source };
    assert_eq!(check.supply(b"x", 1), Err(error));
}

#[test]
fn full_versions_stand_in_for_partial_ones() {
    let (small, large) = (log(300), log(512));
    let mut check = TreeCheck::new(300, small.root, BundleFormat::Entries);
    for path in check.plan().collect::<Vec<_>>() {
        let (file, width) = match path {
            TilePath::Entries { index: 1, .. } => {
                let full = TilePath::Entries {
                    index: 1,
                    width: 256,
                };
                (&large.files[&full], 256)
            }
            TilePath::Tile(t) if t.level() == 0 && t.index() == 1 => {
                (&large.files[&tile(0, 1, 256)], 256)
            }
            TilePath::Tile(t) => (&small.files[&path], t.width()),
            TilePath::Entries { width, .. } | TilePath::Data { width, .. } => {
                (&small.files[&path], width)
            }
        };
        check.supply(file, width).unwrap();
    }
    check.finish().unwrap();
}

#[test]
fn wrong_width() {
    let mut check = TreeCheck::new(300, [0; 32], BundleFormat::Entries);
    let path = TilePath::Entries {
        index: 0,
        width: 256,
    };
    let error = TreeCheckError::WrongWidth { path };
    assert_eq!(check.supply(b"", 255), Err(error));
}

#[test]
fn incomplete_and_nothing_wanted() {
    let one = log(1);
    let mut check = TreeCheck::new(1, one.root, BundleFormat::Entries);
    assert_eq!(check.clone().finish(), Err(TreeCheckError::Incomplete));
    check.supply(&EntryBundleBytes::one(), 1).unwrap();
    assert_eq!(check.clone().finish(), Err(TreeCheckError::Incomplete));
    check.supply(&one.root, 1).unwrap();
    // nothing_wanted
    let error = TreeCheckError::NothingWanted;
    assert_eq!(check.supply(b"", 1), Err(error));
    assert_eq!(check.checked(), 1);
    check.finish().unwrap();
}

struct EntryBundleBytes;

impl EntryBundleBytes {
    fn one() -> Vec<u8> {
        let mut bundle = EntryBundle::new();
        bundle.push(entry(0)).unwrap();
        bundle.encode()
    }
}

proptest! {
    /// One flipped bit anywhere is found.
    #[test]
    fn s_21_any_flipped_bit_is_found(size in 1u64..700, file in any::<prop::sample::Index>(), bit in any::<prop::sample::Index>()) {
        let mut altered = log(size);
        let path = *file.get(&altered.files.keys().copied().collect::<Vec<_>>());
        altered.alter(path, |bytes| {
            let bit = bit.index(8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
        });
        prop_assert!(altered.check().is_err());
    }
}

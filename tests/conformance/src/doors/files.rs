//! What a reader of a log is given: tiles of hashes, bundles, data tiles, and whole trees of them.

use waxseal_tlog::{
    BundleFormat, DataBundle, EntryBundle, Frontier, Tile, TileReader, TreeCheck, leaf_hash,
};

/// The tree whose files are forged: two entries, below a root that the reader trusts.
const ENTRIES: [&[u8]; 2] = [b"one", b"two"];

fn frontier() -> Frontier {
    let mut frontier = Frontier::new();
    for entry in ENTRIES {
        frontier.append(&leaf_hash(entry)).unwrap();
    }
    frontier
}

/// Two data tile entries of static-ct-api: a certificate and a precertificate, one issuer each.
fn data_tile() -> Vec<u8> {
    let certificate = [&[0; 8][..], &[0, 0, 0, 0, 1, b'c', 0, 0]];
    let precertificate = [
        &[0; 8][..],
        &[0, 1],
        &[7; 32],
        &[0, 0, 1, b't', 0, 0, 0, 0, 1, b'p'],
    ];
    let issuers = [&[0, 32][..], &[9; 32]];
    [&certificate[..], &issuers, &precertificate, &issuers]
        .concat()
        .concat()
}

/// Each after a byte that says how wide it is said to be.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let hashes = ENTRIES.map(leaf_hash);
    let mut bundle = EntryBundle::new();
    for entry in ENTRIES {
        bundle.push(entry.to_vec()).unwrap();
    }
    [Tile::encode(&hashes), bundle.encode(), data_tile()]
        .into_iter()
        .map(|file| [vec![2], file].concat())
        .collect()
}

pub(super) fn read(bytes: &[u8]) {
    let Some((width, bytes)) = bytes.split_first() else {
        return;
    };
    let width = u16::from(*width).max(1);
    let tile = Tile::new(0, 0, width).unwrap();
    if let Ok(hashes) = tile.parse(bytes) {
        assert_eq!(Tile::encode(&hashes), bytes, "a tile is its bytes");
    }
    if let Ok(bundle) = EntryBundle::parse(bytes, width) {
        assert_eq!(bundle.encode(), bytes, "a bundle is its bytes");
        assert_eq!(bundle.leaf_hashes().len(), usize::from(width));
    }
    if let Ok(data) = DataBundle::parse(bytes, width) {
        assert_eq!(data.entries().len(), usize::from(width));
    }
    // Nothing but the tree's own files is ever taken for them.
    let (root, size) = (frontier().root_hash(), 2);
    let mut reader = TileReader::new(size, root);
    if reader.supply(&[(tile, bytes.to_vec())]).is_ok() {
        let leaves = reader.leaves(0, size).unwrap();
        assert_eq!(leaves, ENTRIES.map(leaf_hash), "another tree");
    }
    for format in [BundleFormat::Entries, BundleFormat::Data] {
        let mut check = TreeCheck::new(size, root, format);
        if check.supply(bytes, width).is_ok() {
            drop(check.supply(bytes, width));
        }
        let _ = check.finish();
    }
}

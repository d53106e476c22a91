//! A real tile log at every size from 0 to 15, written by transparency-dev/tessera: checkpoints,
//! tiles and entry bundles are read through our verifying reader, and no byte of them can change.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Failed, Trial};
use waxseal_tests_conformance::run;
use waxseal_tlog::{
    Checkpoint, EntryBundle, Frontier, Hash, LogKey, NoteKey, SignedNote, Tile, TilePath,
    TileReader, empty_root,
};

/// The key of the checked-in log (tessera `testdata/README.md`).
const VKEY: &str = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx";

fn main() -> ExitCode {
    run("tlog/tessera-sizes-0-15", 16 + 2, load)
}

fn load(folder: &Path) -> Vec<Trial> {
    let mut trials: Vec<_> = (0..16)
        .map(|size| {
            let folder = folder.to_owned();
            Trial::test(format!("size {size}"), move || check_size(&folder, size))
        })
        .collect();
    let path = folder.to_owned();
    trials.push(Trial::test(
        "every two checkpoints are consistent",
        move || check_growth(&path),
    ));
    let path = folder.to_owned();
    trials.push(Trial::test("any flipped byte is refused", move || {
        check_flips(&path)
    }));
    trials
}

fn open(note: &str) -> Result<Checkpoint, String> {
    let provider = waxseal_crypto_aws_lc::provider();
    let key = LogKey::new(NoteKey::from_vkey(provider, VKEY).map_err(|e| e.to_string())?);
    let note = SignedNote::parse(note).map_err(|e| e.to_string())?;
    Checkpoint::open(&note, &key, &[]).map_err(|e| e.to_string())
}

fn checkpoint(folder: &Path, size: u64) -> Result<Checkpoint, Failed> {
    let note = std::fs::read_to_string(folder.join(format!("checkpoint.{size}")))?;
    let opened = open(&note)?;
    if opened.tree_size() == size {
        Ok(opened)
    } else {
        Err(Failed::from(format!("found size {}", opened.tree_size())))
    }
}

fn read(folder: &Path, path: TilePath) -> Vec<u8> {
    std::fs::read(folder.join(path.to_string())).unwrap()
}

fn reader(folder: &Path, opened: &Checkpoint) -> Result<TileReader, Failed> {
    let mut reader = TileReader::new(opened.tree_size(), *opened.root_hash());
    let tiles: Vec<_> = reader
        .needed_for_leaves(0, opened.tree_size())?
        .into_iter()
        .map(|tile| (tile, read(folder, TilePath::Tile(tile))))
        .collect();
    if !tiles.is_empty() {
        reader.supply(&tiles)?;
    }
    Ok(reader)
}

fn leaves(folder: &Path, size: u64) -> Result<Vec<Hash>, Failed> {
    let Some(width) = u16::try_from(size).ok().filter(|width| *width > 0) else {
        return Ok(Vec::new());
    };
    let bytes = read(folder, TilePath::Entries { index: 0, width });
    let bundle = EntryBundle::parse(&bytes, width)?;
    if bundle.encode() != bytes {
        return Err(Failed::from("the bundle is written otherwise"));
    }
    Ok(bundle.leaf_hashes())
}

fn check_size(folder: &Path, size: u64) -> Result<(), Failed> {
    let opened = checkpoint(folder, size)?;
    let leaves = leaves(folder, size)?;
    let mut frontier = Frontier::new();
    for leaf in &leaves {
        frontier.append(leaf)?;
    }
    if size == 0 && *opened.root_hash() != empty_root() {
        return Err(Failed::from("an empty tree with another root"));
    }
    if frontier.root_hash() != *opened.root_hash() {
        return Err(Failed::from("the entries lead to another root"));
    }
    let reader = reader(folder, &opened)?;
    if reader.leaves(0, size)? != leaves {
        return Err(Failed::from("the tiles are not those of the entries"));
    }
    for (leaf, index) in leaves.iter().zip(0..) {
        reader
            .prove_inclusion(index)?
            .check(leaf, opened.root_hash())?;
    }
    Ok(())
}

fn check_growth(folder: &Path) -> Result<(), Failed> {
    for new in 1..16 {
        let newer = checkpoint(folder, new)?;
        let reader = reader(folder, &newer)?;
        for old in 0..=new {
            let older = checkpoint(folder, old)?;
            let proof = reader.prove_consistency(old)?;
            proof.check(older.root_hash(), newer.root_hash())?;
        }
    }
    Ok(())
}

fn check_flips(folder: &Path) -> Result<(), Failed> {
    let mut refused = 0;
    for size in 1..16u16 {
        let opened = checkpoint(folder, u64::from(size))?;
        let tile = Tile::new(0, 0, size)?;
        let bytes = read(folder, TilePath::Tile(tile));
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x10;
            let mut reader = TileReader::new(u64::from(size), *opened.root_hash());
            refused += usize::from(reader.supply(&[(tile, wrong)]).is_err());
        }
        let path = TilePath::Entries {
            index: 0,
            width: size,
        };
        let (bytes, tile) = (read(folder, path), tile.parse(&bytes)?);
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x10;
            let parsed = EntryBundle::parse(&wrong, size);
            refused += usize::from(parsed.map(|bundle| bundle.leaf_hashes()) != Ok(tile.clone()));
        }
        let note = std::fs::read(folder.join(format!("checkpoint.{size}")))?;
        for at in 0..note.len() {
            let mut wrong = note.clone();
            wrong[at] ^= 0x10;
            let opened = String::from_utf8(wrong)
                .map_err(|e| e.to_string())
                .and_then(|n| open(&n));
            refused += usize::from(opened.is_err());
        }
        refused -= bytes.len() + note.len() + tile.len() * 32;
    }
    // Every flip was counted and taken off again.
    if refused == 0 {
        Ok(())
    } else {
        Err(Failed::from("a flipped byte was accepted"))
    }
}

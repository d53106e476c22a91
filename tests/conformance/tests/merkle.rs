//! transparency-dev/merkle: 518 proofs of inclusion and consistency, in trees and subtrees; what is
//! valid is also made again by our own generator.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::{Failed, Trial};
use serde::Deserialize;
use waxseal_tests_conformance::run;
use waxseal_tlog::{
    Hash, Node, check_consistency, check_inclusion, check_subtree_consistency,
    check_subtree_inclusion, empty_root, hash_range, leaf_hash, node_hash, prove_consistency,
    prove_inclusion, prove_subtree_consistency, prove_subtree_inclusion,
};

/// Vectors in each folder.
const CATEGORIES: [(&str, usize); 4] = [
    ("inclusion", 98),
    ("consistency", 98),
    ("subtreeinclusion", 204),
    ("subtreeconsistency", 118),
];

/// Valid vectors over the eight leaves that the whole corpus is about: ours are equal to them.
const MADE_AGAIN: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Vector {
    leaf_idx: Option<u64>,
    tree_size: Option<u64>,
    size1: Option<u64>,
    size2: Option<u64>,
    start: Option<u64>,
    end: Option<u64>,
    size: Option<u64>,
    root: Option<String>,
    root1: Option<String>,
    root2: Option<String>,
    leaf_hash: Option<String>,
    proof: Option<Vec<String>>,
    #[serde(rename = "desc")]
    _description: String,
    want_err: bool,
}

fn main() -> ExitCode {
    // 518 vectors, four counts of categories, one trial for what is made again
    run("merkle", 518 + 4 + 1, load)
}

fn load(folder: &Path) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut valid = Vec::new();
    for (category, expected) in CATEGORIES {
        let mut files = Vec::new();
        find(&folder.join(category), &mut files);
        files.sort();
        let found = files.len();
        trials.push(Trial::test(format!("{category}: the count"), move || {
            equal(&found, &expected)
        }));
        for file in files {
            let name = file.strip_prefix(folder).unwrap().display().to_string();
            let vector: Vector = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            let checked = check(category, &vector);
            let refused = vector.want_err;
            if !refused {
                valid.push((category, vector));
            }
            trials.push(Trial::test(name, move || {
                equal(&(checked != Some(true)), &refused)
            }));
        }
    }
    trials.push(Trial::test("valid proofs are made again", move || {
        let made: Vec<_> = valid
            .iter()
            .filter_map(|(category, v)| make(category, v))
            .collect();
        equal(&made, &vec![true; MADE_AGAIN])
    }));
    trials
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// What is not 32 bytes is no hash, and refused before any check.
fn hash(text: Option<&String>) -> Option<Hash> {
    STANDARD.decode(text?).unwrap().try_into().ok()
}

/// Where the corpus only asks whether two roots are the same, they may be texts that are no hashes:
/// then equal hashes stand for equal texts.
fn stand_in(text: Option<&String>) -> Option<Hash> {
    let bytes = STANDARD.decode(text?).unwrap();
    Some(
        bytes
            .as_slice()
            .try_into()
            .unwrap_or_else(|_| leaf_hash(&bytes)),
    )
}

fn hashes(vector: &Vector) -> Option<Vec<Hash>> {
    vector
        .proof
        .iter()
        .flatten()
        .map(|text| hash(Some(text)))
        .collect()
}

/// `None` and an error are both a refusal.
fn check(category: &str, v: &Vector) -> Option<bool> {
    let proof = hashes(v)?;
    let inclusion = || Some((hash(v.leaf_hash.as_ref())?, hash(v.root.as_ref())?));
    let consistency = || Some((stand_in(v.root1.as_ref())?, stand_in(v.root2.as_ref())?));
    let checked = match category {
        "inclusion" => {
            let (leaf, root) = inclusion()?;
            check_inclusion(
                &leaf,
                v.leaf_idx.unwrap(),
                v.tree_size.unwrap(),
                &proof,
                &root,
            )
        }
        "subtreeinclusion" => {
            let (leaf, root) = inclusion()?;
            let (start, end) = (v.start.unwrap(), v.end.unwrap());
            check_subtree_inclusion(&leaf, v.leaf_idx.unwrap(), start, end, &proof, &root)
        }
        "consistency" => {
            let (old, new) = consistency()?;
            check_consistency(v.size1.unwrap(), v.size2.unwrap(), &proof, &old, &new)
        }
        _ => {
            let (start, end, size) = (v.start.unwrap(), v.end.unwrap(), v.size.unwrap());
            let (subtree, root) = consistency()?;
            check_subtree_consistency(start, end, size, &proof, &subtree, &root)
        }
    };
    Some(checked.is_ok())
}

/// The leaves of the corpus' tree of eight.
fn leaves() -> Vec<Hash> {
    let run = |first: u8, count: u8| (first..first + count).collect::<Vec<_>>();
    [
        run(0, 0),
        run(0, 1),
        run(0x10, 1),
        run(0x20, 2),
        run(0x30, 2),
        run(0x40, 4),
        run(0x50, 8),
        run(0x60, 16),
    ]
    .iter()
    .map(|entry| leaf_hash(entry))
    .collect()
}

fn read(node: Node) -> Result<Hash, Infallible> {
    let Node { level, index } = node;
    if level == 0 {
        return Ok(leaves()[usize::try_from(index).unwrap()]);
    }
    let left = read(Node {
        level: level - 1,
        index: 2 * index,
    })?;
    let right = read(Node {
        level: level - 1,
        index: 2 * index + 1,
    })?;
    Ok(node_hash(&left, &right))
}

/// Whether our proof is the vector's; `None` where the vector is about another tree.
fn make(category: &str, v: &Vector) -> Option<bool> {
    let root = v.root.as_ref().or(v.root2.as_ref());
    let root = hash(root)?;
    let (start, end) = match category {
        "inclusion" => (0, v.tree_size?),
        "consistency" => (0, v.size2?),
        "subtreeinclusion" => (v.start?, v.end?),
        _ => (0, v.size?),
    };
    if root == empty_root() || end > 8 || hash_range(start, end, read) != Ok(root) {
        return None;
    }
    let made = match category {
        "inclusion" => prove_inclusion(v.leaf_idx?, end, read).unwrap().hashes,
        "subtreeinclusion" => prove_subtree_inclusion(v.leaf_idx?, start, end, read).unwrap(),
        "consistency" => prove_consistency(v.size1?, end, read).unwrap().hashes,
        _ => prove_subtree_consistency(v.start?, v.end?, end, read).unwrap(),
    };
    Some(Some(made) == hashes(v))
}

fn equal<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T) -> Result<(), Failed> {
    if found == expected {
        Ok(())
    } else {
        Err(Failed::from(format!(
            "expected {expected:?}, found {found:?}"
        )))
    }
}

//! The audit itself: it accepts a log that keeps its word, and names every way of breaking it.
//!
//! **Oracle.** The text of the violation.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use waxseal_crypto::{LocalSigner, SignatureAlgorithm, Signer, Time};
use waxseal_crypto_aws_lc::provider;
use waxseal_tests_simulation::{Acknowledgement, Audit, Author, Outcome, Source};
use waxseal_tlog::{
    CheckpointText, EntryBundle, Frontier, Hash, KeyName, LogKey, NoteSigner, Origin,
    SignatureKind, Tile, TilePath, leaf_hash, sign_note,
};

const ORIGIN: &str = "log.example";

/// A log of one level of full tiles, as files.
struct Files {
    signer: NoteSigner,
    entries: Vec<Vec<u8>>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Source for Files {
    async fn read(&mut self, path: &str) -> Outcome<Option<Vec<u8>>> {
        Ok(self.files.get(path).cloned())
    }
}

impl Files {
    /// The genesis entry, and others.
    fn new(size: usize) -> Self {
        let algorithm = SignatureAlgorithm::Ed25519;
        let key = provider().generate(algorithm).unwrap();
        let local: Box<dyn LocalSigner> = provider().signer(&key, algorithm).unwrap();
        let signer: Box<dyn Signer> = local;
        let name = KeyName::new(ORIGIN).unwrap();
        let signer = NoteSigner::new(name, SignatureKind::Ed25519, Arc::from(signer)).unwrap();
        let genesis = Author::new().unwrap().entry(ORIGIN).unwrap().stored;
        let others = (1..size).map(|number| format!("entry {number}").into_bytes());
        Self {
            signer,
            entries: std::iter::once(genesis).chain(others).collect(),
            files: BTreeMap::new(),
        }
    }

    fn key(&self) -> LogKey {
        LogKey::new(self.signer.note_key(provider()).unwrap())
    }

    fn root(&self) -> Hash {
        let mut frontier = Frontier::new();
        for entry in &self.entries {
            frontier.append(&leaf_hash(entry)).unwrap();
        }
        frontier.root_hash()
    }

    /// Writes everything down: bundles, tiles, checkpoint.
    async fn publish(&mut self) -> &mut Self {
        self.files.clear();
        for (entries, index) in self.entries.chunks(256).zip(0..) {
            let mut bundle = EntryBundle::new();
            for entry in entries {
                bundle.push(entry.clone()).unwrap();
            }
            let width = u16::try_from(entries.len()).unwrap();
            let path = TilePath::Entries { index, width };
            self.files.insert(path.to_string(), bundle.encode());
            let hashes: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
            let tile = TilePath::Tile(Tile::new(0, index, width).unwrap());
            self.files.insert(tile.to_string(), Tile::encode(&hashes));
        }
        let above: Vec<_> = self.entries.chunks_exact(256).map(subtree).collect();
        if let Ok(width @ 1..) = u16::try_from(above.len()) {
            let tile = TilePath::Tile(Tile::new(1, 0, width).unwrap());
            self.files.insert(tile.to_string(), Tile::encode(&above));
        }
        self.sign(self.root()).await
    }

    async fn sign(&mut self, root: Hash) -> &mut Self {
        let size = u64::try_from(self.entries.len()).unwrap();
        let text = CheckpointText::new(Origin::new(ORIGIN).unwrap(), size, root);
        let time = Time::from_unix(1_700_000_000).unwrap();
        let note = sign_note(&text.to_string(), time, &[&self.signer]).await;
        let note = note.unwrap().to_string().into_bytes();
        self.files.insert("checkpoint".to_owned(), note);
        self
    }
}

fn subtree(entries: &[Vec<u8>]) -> Hash {
    let mut frontier = Frontier::new();
    for entry in entries {
        frontier.append(&leaf_hash(entry)).unwrap();
    }
    frontier.root_hash()
}

/// Reads a log of 300 entries, lets something happen to it, and reads it again.
async fn check(expected: &str, happens: impl AsyncFnOnce(&mut Files)) {
    let mut files = Files::new(300);
    files.publish().await;
    let mut audit = Audit::new(files.key());
    let first = audit.read(&mut files, false).await.unwrap();
    assert_eq!(audit.tree_size(), 300);
    happens(&mut files).await;
    let second = audit.read(&mut files, true).await;
    let outcome = second.and_then(|_| audit.check_root(first.tree_size(), first.root_hash()));
    assert_eq!(outcome.err().as_deref().unwrap_or_default(), expected);
}

#[tokio::test]
async fn a_log_that_grows_is_accepted() {
    check("", async |_| {}).await;
    check("", async |files| {
        files
            .entries
            .extend((0..300).map(|n: u32| n.to_be_bytes().to_vec()));
        files.publish().await;
    })
    .await;
}

#[tokio::test]
async fn an_entry_that_changed() {
    let expected = "entry 7 was acknowledged, and is lost";
    check(expected, async |files| {
        files.entries[7].push(b'!');
        files.publish().await;
    })
    .await;
}

#[tokio::test]
async fn an_entry_that_is_there_twice() {
    check("entries 7 and 300 are the same", async |files| {
        let entry = files.entries[7].clone();
        files.entries.push(entry);
        files.publish().await;
    })
    .await;
}

#[tokio::test]
async fn two_trees_of_one_size() {
    let expected = "two trees of 300 entries were signed: a fork";
    check(expected, async |files| {
        files.sign([7; 32]).await;
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_missing() {
    for path in ["tile/entries/000", "tile/0/001.p/44", "tile/1/000.p/1"] {
        let full = path.split(".p/").next().unwrap();
        let expected = format!("{path} is not there, nor is {full}");
        check(&expected, async |files| {
            files.files.remove(path).unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn a_tile_with_other_hashes() {
    for path in ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"] {
        check(&format!("{path} holds other hashes"), async |files| {
            files.files.get_mut(path).unwrap()[0] ^= 1;
        })
        .await;
    }
}

#[tokio::test]
async fn a_checkpoint_by_another_key() {
    let expected = "the note is not signed by a known key";
    check(expected, async |files| {
        files.signer = Files::new(1).signer;
        files.publish().await;
    })
    .await;
}

#[tokio::test]
async fn a_log_without_its_genesis_entry() {
    let mut files = Files::new(3);
    let other = Author::new().unwrap().entry("another.example").unwrap();
    files.entries[0] = other.stored;
    files.publish().await;
    let mut audit = Audit::new(files.key());
    let outcome = audit.read(&mut files, false).await;
    assert_eq!(outcome.unwrap_err(), "entry 0 is not the genesis entry");
}

#[tokio::test]
async fn promises_that_are_not_kept() {
    let mut files = Files::new(3);
    files.publish().await;
    let mut audit = Audit::new(files.key());
    audit.read(&mut files, false).await.unwrap();
    let kept = Acknowledgement {
        index: 1,
        leaf: leaf_hash(&files.entries[1]),
        tree_size: 3,
        root_hash: files.root(),
    };
    audit.check(&kept).unwrap();
    let refused = |promise: Acknowledgement, expected: &str| {
        assert_eq!(audit.check(&promise).unwrap_err(), expected);
    };
    refused(Acknowledgement { index: 2, ..kept }, "entry 2 is at 1 now");
    let leaf = [0; 32];
    let lost = "entry 1 was acknowledged, and is lost";
    refused(Acknowledgement { leaf, ..kept }, lost);
    let short = "a tree of 4 entries was signed, and the log holds 3";
    let tree_size = 4;
    refused(Acknowledgement { tree_size, ..kept }, short);
    let fork = "two trees of 2 entries were signed: a fork";
    let tree_size = 2;
    refused(Acknowledgement { tree_size, ..kept }, fork);
}

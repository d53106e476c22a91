//! A Merkle log: append entries, sign a checkpoint, prove that an entry is in the log and that the
//! log only grew, and check both as somebody who has nothing but the log's public key.
//!
//! `cargo run -p waxseal-examples --example log`

#![expect(clippy::print_stdout, reason = "an example tells what it did")]

use std::collections::BTreeMap;
use std::sync::Arc;

use waxseal_crypto::{Clock as _, SignatureAlgorithm, Signer};
use waxseal_crypto_aws_lc::{SystemClock, provider};
use waxseal_tlog::{
    Checkpoint, CheckpointText, ConsistencyProof, Frontier, FrontierError, Hash, InclusionProof,
    KeyName, LogKey, Node, NoteKey, NoteSigner, Origin, ProveError, SignatureKind, SignedNote,
    leaf_hash, prove_consistency, prove_inclusion, sign_note,
};

const NAME: &str = "log.example.com/first";

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let signer = signer()?;
    let vkey = signer.note_key(provider())?.to_vkey();
    println!("{vkey}");

    // The log's side.
    let mut log = Log::default();
    for number in 0..300 {
        log.append(format!("entry {number}").as_bytes())?;
    }
    let older = log.checkpoint(&signer).await?.to_string();
    for number in 300..1000 {
        log.append(format!("entry {number}").as_bytes())?;
    }
    let newer = log.checkpoint(&signer).await?.to_string();
    let inclusion = log.prove_inclusion(137)?;
    let consistency = log.prove_consistency(300)?;

    // Everybody else's side: the key's text, two notes, two proofs.
    let key = LogKey::new(NoteKey::from_vkey(provider(), &vkey)?);
    let older = Checkpoint::open(&SignedNote::parse(&older)?, &key, &[])?;
    let newer = Checkpoint::open(&SignedNote::parse(&newer)?, &key, &[])?;
    inclusion.check(&leaf_hash(b"entry 137"), newer.root_hash())?;
    println!(
        "entry 137 is in the tree of {}: {} hashes",
        newer.tree_size(),
        inclusion.hashes.len()
    );
    consistency.check(older.root_hash(), newer.root_hash())?;
    println!(
        "the tree of {} is the beginning of that of {}: {} hashes",
        older.tree_size(),
        newer.tree_size(),
        consistency.hashes.len()
    );
    match inclusion.check(&leaf_hash(b"entry 138"), newer.root_hash()) {
        Ok(()) => Err("another entry must not pass for it".into()),
        Err(error) => {
            println!("entry 138 in its place: {error}");
            Ok(())
        }
    }
}

/// A log in memory: the right edge of its tree, and every hash that is complete.
#[derive(Default)]
struct Log {
    frontier: Frontier,
    hashes: BTreeMap<Node, Hash>,
}

impl Log {
    fn append(&mut self, entry: &[u8]) -> Result<(), FrontierError> {
        let Self { frontier, hashes } = self;
        frontier.append_visiting(&leaf_hash(entry), |node, hash| {
            hashes.insert(node, *hash);
        })
    }

    async fn checkpoint(&self, signer: &NoteSigner) -> Result<SignedNote, Failure> {
        let (size, root) = (self.frontier.size(), self.frontier.root_hash());
        let text = CheckpointText::new(Origin::new(NAME)?, size, root).to_string();
        Ok(sign_note(&text, SystemClock.now(), &[signer]).await?)
    }

    fn prove_inclusion(&self, index: u64) -> Result<InclusionProof, ProveError<Node>> {
        prove_inclusion(index, self.frontier.size(), |node| self.hash(node))
    }

    fn prove_consistency(&self, older: u64) -> Result<ConsistencyProof, ProveError<Node>> {
        prove_consistency(older, self.frontier.size(), |node| self.hash(node))
    }

    fn hash(&self, node: Node) -> Result<Hash, Node> {
        self.hashes.get(&node).copied().ok_or(node)
    }
}

/// A key made for this run; a real log keeps its key for as long as it lives.
fn signer() -> Result<NoteSigner, Failure> {
    let key = provider().generate(SignatureAlgorithm::Ed25519)?;
    let signer: Box<dyn Signer> = provider().signer(&key, SignatureAlgorithm::Ed25519)?;
    let name = KeyName::new(NAME)?;
    Ok(NoteSigner::new(
        name,
        SignatureKind::Ed25519,
        Arc::from(signer),
    )?)
}

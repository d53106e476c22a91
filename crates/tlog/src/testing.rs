//! Keys and trees for this crate's tests.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use waxseal_crypto::{CryptoProvider, KeyKind, LocalSigner, SignatureAlgorithm, Signer, Time};

use crate::{
    Frontier, Hash, KeyName, Node, NoteSigner, SignatureKind, SignedNote, leaf_hash, sign_note,
};

pub(crate) fn provider() -> CryptoProvider {
    waxseal_crypto_aws_lc::provider()
}

/// A fresh local key; local signers never wait, so one poll is enough.
pub(crate) fn signer(algorithm: SignatureAlgorithm) -> Arc<dyn Signer> {
    let key = provider().generate(algorithm).unwrap();
    let local: Box<dyn LocalSigner> = provider().signer(&key, algorithm).unwrap();
    let signer: Box<dyn Signer> = local;
    Arc::from(signer)
}

pub(crate) const KINDS: [(SignatureKind, KeyKind); 8] = [
    (SignatureKind::Ed25519, KeyKind::Ed25519),
    (SignatureKind::Ecdsa, KeyKind::P256),
    (SignatureKind::Ecdsa, KeyKind::P384),
    (SignatureKind::Ecdsa, KeyKind::P521),
    (SignatureKind::RsaPkcs1, KeyKind::Rsa),
    (SignatureKind::CosignatureV1, KeyKind::Ed25519),
    (SignatureKind::Rfc6962, KeyKind::P256),
    (SignatureKind::MlDsa44, KeyKind::MlDsa44),
];

pub(crate) fn note_signer(name: &str, kind: SignatureKind, key: KeyKind) -> NoteSigner {
    let signer = signer(kind.algorithm(key).unwrap());
    NoteSigner::new(KeyName::new(name).unwrap(), kind, signer).unwrap()
}

pub(crate) fn log_signer(name: &str) -> NoteSigner {
    note_signer(name, SignatureKind::Ed25519, KeyKind::Ed25519)
}

pub(crate) fn witness_signer(name: &str) -> NoteSigner {
    note_signer(name, SignatureKind::CosignatureV1, KeyKind::Ed25519)
}

pub(crate) fn time(seconds: i64) -> Time {
    Time::from_unix(seconds).unwrap()
}

pub(crate) fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a local signer waited"),
    }
}

pub(crate) fn signed(text: &str, signers: &[&NoteSigner]) -> SignedNote {
    at_once(sign_note(text, time(1_700_000_000), signers)).unwrap()
}

/// The leaf hashes, every complete subtree, and the frontier of a tree.
pub(crate) struct Tree {
    pub(crate) leaves: Vec<Hash>,
    pub(crate) nodes: BTreeMap<Node, Hash>,
    pub(crate) frontier: Frontier,
}

pub(crate) fn tree(size: u64) -> Tree {
    let mut tree = Tree {
        leaves: Vec::new(),
        nodes: BTreeMap::new(),
        frontier: Frontier::new(),
    };
    for index in 0..size {
        let leaf = leaf_hash(&index.to_be_bytes());
        let nodes = &mut tree.nodes;
        tree.frontier
            .append_visiting(&leaf, |node, hash| {
                nodes.insert(node, *hash);
            })
            .unwrap();
        tree.leaves.push(leaf);
    }
    tree
}

impl Tree {
    pub(crate) fn read(&self, node: Node) -> Result<Hash, Node> {
        self.nodes.get(&node).copied().ok_or(node)
    }
}

//! There and back, every error, and the check.

use super::*;
use crate::testing::{log_signer, provider, signed, tree};
use crate::{CheckpointText, LogKey, Origin, prove_inclusion};

fn proof(extra: Option<&[u8]>) -> TlogProof {
    let tree = tree(11);
    let made = prove_inclusion(5, 11, |node| tree.read(node)).unwrap();
    let origin = Origin::new("log.example").unwrap();
    let text = CheckpointText::new(origin, 11, tree.frontier.root_hash()).to_string();
    TlogProof {
        extra: extra.map(<[u8]>::to_vec),
        leaf_index: 5,
        hashes: made.hashes,
        checkpoint: signed(&text, &[&log_signer("log.example")]),
    }
}

fn check(from: &str, to: &str, expected: TlogProofError) {
    let text = proof(Some(b"extra")).to_string();
    assert!(text.contains(from));
    assert_eq!(
        TlogProof::parse(&text.replacen(from, to, 1)),
        Err(expected),
        "{from:?} {to:?}"
    );
}

#[test]
fn survives_a_round_trip() {
    for extra in [None, Some(&b""[..]), Some(b"claims")] {
        let proof = proof(extra);
        assert_eq!(TlogProof::parse(&proof.to_string()), Ok(proof));
    }
}

#[test]
fn the_check_is_of_leaf_index_and_checkpoint() {
    let (log, tree) = (log_signer("log.example"), tree(11));
    let origin = Origin::new("log.example").unwrap();
    let text = CheckpointText::new(origin, 11, tree.frontier.root_hash()).to_string();
    let checkpoint = signed(&text, &[&log]);
    let key = LogKey::new(log.note_key(provider()).unwrap());
    let opened = Checkpoint::open(&checkpoint, &key, &[]).unwrap();
    let mut proof = TlogProof {
        checkpoint,
        ..proof(None)
    };
    assert_eq!(proof.check(&tree.leaves[5], &opened), Ok(()));
    assert_eq!(
        proof.check(&tree.leaves[4], &opened),
        Err(ProofError::RootMismatch)
    );
    proof.leaf_index = 11;
    assert!(proof.check(&tree.leaves[5], &opened).is_err());
}

#[test]
fn wrong_header() {
    check("@v1", "@v2", TlogProofError::WrongHeader);
}

#[test]
fn bad_extra() {
    check("extra ZXh0cmE=", "extra ZXh0cmE", TlogProofError::BadExtra);
    let long = STANDARD.encode(vec![0; MAX_EXTRA_BYTES + 3]);
    check("ZXh0cmE=", &long, TlogProofError::BadExtra);
    let longest = vec![0; MAX_EXTRA_BYTES];
    assert!(TlogProof::parse(&proof(Some(&longest)).to_string()).is_ok());
}

#[test]
fn bad_index() {
    for index in ["index 05", "index -5", "index", "index ", "Index 5"] {
        check("index 5", index, TlogProofError::BadIndex);
    }
    check("index 5\n", "", TlogProofError::BadIndex);
}

#[test]
fn bad_hash() {
    check("index 5\n", "index 5\nAAAA\n", TlogProofError::BadHash);
    check(
        "index 5\n",
        "index 5\nextra AAAA\n",
        TlogProofError::BadHash,
    );
}

#[test]
fn too_many_hashes() {
    let mut proof = proof(None);
    proof.hashes = vec![[7; 32]; 64];
    assert!(TlogProof::parse(&proof.to_string()).is_ok());
    proof.hashes.push([7; 32]);
    assert_eq!(
        TlogProof::parse(&proof.to_string()),
        Err(TlogProofError::TooManyHashes)
    );
}

#[test]
fn no_checkpoint() {
    let header = "c2sp.org/tlog-proof@v1\nindex 5\n";
    assert_eq!(TlogProof::parse(header), Err(TlogProofError::NoCheckpoint));
}

#[test]
fn note() {
    let header = "c2sp.org/tlog-proof@v1\nindex 5\n\n";
    assert_eq!(TlogProof::parse(header), Err(NoteError::NoSeparator.into()));
}

#[test]
fn too_long() {
    let text = "a".repeat(MAX_NOTE_BYTES + 2 * MAX_EXTRA_BYTES + 1);
    assert_eq!(TlogProof::parse(&text), Err(TlogProofError::TooLong));
    assert_eq!(
        TlogProof::parse(&text[1..]),
        Err(TlogProofError::NoCheckpoint)
    );
}

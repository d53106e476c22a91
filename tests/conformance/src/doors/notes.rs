//! Signed notes, what is said about them, and the files of a tile log.

use waxseal_crypto::{SignatureAlgorithm, Time};
use waxseal_tlog::{
    AddCheckpointRequest, CheckpointText, EntryBundle, Frontier, KeyName, NoteKey, SignatureKind,
    SignedNote, TilePath, TlogProof, WitnessPolicy, parse_signature_lines,
};

use crate::virtual_sigstore::{Case, Instance, key, provider};

fn checkpoint() -> String {
    let own = Instance::new("operator a", "a.example");
    let mut case = Case::v2(&own);
    let proof = case.entry().inclusion_proof.clone().unwrap();
    proof.checkpoint.unwrap()
}

fn vkey() -> String {
    let signer = key(SignatureAlgorithm::Ed25519);
    let name = KeyName::new("witness.example").unwrap();
    let kind = SignatureKind::CosignatureV1;
    let key = NoteKey::new(provider(), name, kind, signer.public_key()).unwrap();
    key.to_vkey()
}

pub(super) fn note_seeds() -> Vec<Vec<u8>> {
    let hash = format!("{}=", "A".repeat(43));
    vec![
        checkpoint().into_bytes(),
        format!("old 3\n{hash}\n\n{}", checkpoint()).into_bytes(),
        format!(
            "c2sp.org/tlog-proof@v1\nindex 3\n{hash}\n\n{}",
            checkpoint()
        )
        .into_bytes(),
    ]
}

pub(super) fn read_note(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(note) = SignedNote::parse(text) {
        drop(note.unverified_checkpoint());
        assert_eq!(note.to_string(), text, "a note is its bytes");
    }
    if let Ok(checkpoint) = CheckpointText::parse(text) {
        assert_eq!(checkpoint.to_string(), text, "a checkpoint is its bytes");
    }
    drop(AddCheckpointRequest::parse(text));
    drop(parse_signature_lines(text));
    if let Ok(proof) = TlogProof::parse(text) {
        let again = TlogProof::parse(&proof.to_string());
        assert!(again.is_ok(), "a proof changed");
    }
}

pub(super) fn policy_seeds() -> Vec<Vec<u8>> {
    let vkey = vkey();
    let policy = format!("witness w {vkey}\ngroup g any w\nquorum g\n");
    vec![policy.into_bytes(), vkey.into_bytes()]
}

pub(super) fn read_policy(bytes: &[u8]) {
    drop(WitnessPolicy::parse(provider(), bytes));
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(key) = NoteKey::from_vkey(provider(), text)
    {
        let again = NoteKey::from_vkey(provider(), &key.to_vkey());
        assert!(again.is_ok(), "a vkey changed");
    }
}

pub(super) fn tile_seeds() -> Vec<Vec<u8>> {
    vec![
        b"tile/entries/x001/x234/067.p/42".to_vec(),
        b"2026-11-25T01:02:03.5Z".to_vec(),
        b"\x00\x03one\x00\x03two".to_vec(),
        Frontier::default().encode(),
    ]
}

pub(super) fn read_tile(bytes: &[u8]) {
    drop(EntryBundle::parse(bytes, 2));
    if let Ok(frontier) = Frontier::parse(bytes) {
        assert_eq!(frontier.encode(), bytes, "a frontier is its bytes");
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(path) = TilePath::parse(text) {
        assert_eq!(path.to_string(), text, "a path is its bytes");
    }
    drop(Time::parse_rfc3339(text));
}

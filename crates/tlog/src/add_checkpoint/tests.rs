//! There and back, every error.

use super::*;
use crate::testing::{log_signer, signed, witness_signer};

const TEXT: &str = "log.example\n736\nrs1YPY0ydAV0lxgfrq5pE4oRpUJwo3syeps5+eGUTDI=\n";

fn request(hashes: usize) -> AddCheckpointRequest {
    AddCheckpointRequest {
        old_size: 20,
        hashes: vec![[7; 32]; hashes],
        checkpoint: signed(TEXT, &[&log_signer("log.example")]),
    }
}

fn check(from: &str, to: &str, expected: AddCheckpointError) {
    let text = request(2).to_string();
    assert!(text.contains(from));
    let found = AddCheckpointRequest::parse(&text.replacen(from, to, 1));
    assert_eq!(found, Err(expected), "{from:?} {to:?}");
}

#[test]
fn survives_a_round_trip() {
    for hashes in [0, 1, 63] {
        let request = request(hashes);
        assert_eq!(
            AddCheckpointRequest::parse(&request.to_string()),
            Ok(request)
        );
    }
}

#[test]
fn too_long() {
    let text = "a".repeat(MAX_REQUEST_BYTES + 1);
    assert_eq!(
        AddCheckpointRequest::parse(&text),
        Err(AddCheckpointError::TooLong)
    );
    assert_eq!(
        AddCheckpointRequest::parse(&text[1..]),
        Err(AddCheckpointError::NoCheckpoint)
    );
}

#[test]
fn bad_old_size() {
    for old in [
        "old 020",
        "old -1",
        "old",
        "old 18446744073709551616",
        "20",
        "Old 20",
    ] {
        check("old 20", old, AddCheckpointError::BadOldSize);
    }
}

#[test]
fn bad_hash() {
    check("old 20\n", "old 20\nAAAA\n", AddCheckpointError::BadHash);
}

#[test]
fn too_many_hashes() {
    let text = request(64).to_string();
    assert_eq!(
        AddCheckpointRequest::parse(&text),
        Err(AddCheckpointError::TooManyHashes)
    );
}

#[test]
fn no_checkpoint() {
    assert_eq!(
        AddCheckpointRequest::parse("old 20\n"),
        Err(AddCheckpointError::NoCheckpoint)
    );
}

#[test]
fn note() {
    check("— ", "- ", NoteError::MalformedSignature { line: 0 }.into());
}

#[test]
fn answers_survive_a_round_trip() {
    let note = signed(
        TEXT,
        &[
            &witness_signer("w.example/1"),
            &witness_signer("w.example/2"),
        ],
    );
    let body = encode_signature_lines(note.signatures());
    assert_eq!(parse_signature_lines(&body), Ok(note.signatures().to_vec()));
    assert_eq!(parse_signature_lines(""), Err(NoteError::NoSignature));
    let malformed = NoteError::MalformedSignature { line: 0 };
    assert_eq!(parse_signature_lines("\n"), Err(malformed));
    let length = MAX_NOTE_BYTES + 1;
    assert_eq!(
        parse_signature_lines(&"a".repeat(length)),
        Err(NoteError::TooLong { length })
    );
}

//! Every kind there and back, and every error.

use super::*;
use crate::testing::{KINDS, note_signer, provider};

fn check(vkey: &str, expected: &VkeyError) {
    assert_eq!(
        NoteKey::from_vkey(provider(), vkey).unwrap_err(),
        *expected,
        "{vkey}"
    );
}

#[test]
fn every_kind_survives_a_round_trip() {
    for (kind, key_kind) in KINDS {
        let key = note_signer("log.example/a", kind, key_kind)
            .note_key(provider())
            .unwrap();
        let parsed = NoteKey::from_vkey(provider(), &key.to_vkey()).unwrap();
        assert_eq!(parsed.key_id(), key.key_id());
        assert_eq!(parsed.name(), key.name());
        assert_eq!(parsed.kind(), kind);
        assert_eq!(parsed.public_key(), key.public_key());
    }
}

#[test]
fn the_key_of_the_go_library_s_documentation() {
    // golang.org/x/mod/sumdb/note
    let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(
        NoteKey::from_vkey(provider(), vkey).unwrap().to_vkey(),
        vkey
    );
}

#[test]
fn malformed() {
    for vkey in [
        "",
        "name",
        "name+c74f20a3",
        "name+c74f20a+AQ==",
        "name+c74f20a3a+AQ==",
        "name++c74f20+AQ==",
        "name+c74f20a3+",
        "name+c74f20a3+!",
        &"a".repeat(5000),
    ] {
        check(vkey, &VkeyError::Malformed);
    }
}

#[test]
fn bad_name() {
    check(
        "a b+c74f20a3+AQ==",
        &VkeyError::BadName(NameError::BadCharacter { character: ' ' }),
    );
}

#[test]
fn unknown_type() {
    for (encoded, type_byte) in [("Aw==", 3), ("AAAA", 0), ("/w==", 0xff), ("+g==", 0xfa)] {
        check(
            &format!("a+c74f20a3+{encoded}"),
            &VkeyError::UnknownType { type_byte },
        );
    }
}

#[test]
fn wrong_key_id() {
    let vkey = "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let (found, expected) = (
        KeyId([0xc7, 0x4f, 0x20, 0xa4]),
        KeyId([0xc7, 0x4f, 0x20, 0xa3]),
    );
    check(vkey, &VkeyError::WrongKeyId { found, expected });
}

#[test]
fn bad_key() {
    check("a+c74f20a3+AQ==", &VkeyError::BadKey(KeyError::BadKeyBytes));
    check("a+c74f20a3+AgAA", &VkeyError::BadKey(KeyError::Malformed));
}

#[test]
fn key() {
    // An Ed25519 key where an ECDSA key should be.
    let spki = PublicKey::from_key_bytes(KeyKind::Ed25519, &[9; 32]).unwrap();
    let typed = STANDARD.encode([&[2], spki.spki_der()].concat());
    let error = NoteKeyError::WrongKeyKind {
        kind: SignatureKind::Ecdsa,
        key: KeyKind::Ed25519,
    };
    check(&format!("a+c74f20a3+{typed}"), &VkeyError::Key(error));
}

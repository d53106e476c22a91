//! Every error of a note, both sides of every limit, and the rules for known and unknown keys.

use super::*;
use crate::testing::{log_signer, note_signer, provider, signed, witness_signer};
use crate::{KeyName, NoteSigner, SignatureKind};

const TEXT: &str = "log.example\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

fn check(note: &str, expected: NoteError) {
    assert_eq!(SignedNote::parse(note), Err(expected), "{note:?}");
}

fn key(signer: &NoteSigner) -> NoteKey {
    signer.note_key(provider()).unwrap()
}

#[test]
fn survives_a_round_trip() {
    let note = signed(
        TEXT,
        &[&log_signer("log.example"), &witness_signer("w.example/1")],
    );
    assert_eq!(SignedNote::parse(&note.to_string()), Ok(note.clone()));
    assert_eq!(note.unverified_text(), TEXT);
}

#[test]
fn text_may_have_blank_lines() {
    let log = log_signer("log.example");
    let note = signed("one\n\ntwo\n", &[&log]);
    let parsed = SignedNote::parse(&note.to_string()).unwrap();
    assert_eq!(parsed.open(&[&key(&log)]).unwrap().text(), "one\n\ntwo\n");
}

#[test]
fn too_long() {
    let length = MAX_NOTE_BYTES + 1;
    check(&"a".repeat(length), NoteError::TooLong { length });
    check(&"a".repeat(length - 1), NoteError::NoSeparator);
}

#[test]
fn control_character() {
    for character in ['\r', '\t', '\0', '\u{1b}'] {
        check(
            &format!("a{character}\n\n— a AAAAAAA=\n"),
            NoteError::ControlCharacter,
        );
    }
}

#[test]
fn no_separator() {
    for note in ["", "text\n", "text", "— a AAAAAAA=\n", "a\n— a AAAAAAA=\n"] {
        check(note, NoteError::NoSeparator);
    }
}

#[test]
fn no_signature() {
    check("text\n\n", NoteError::NoSignature);
    check("text\n\n\n", NoteError::NoSignature);
    assert_eq!(
        SignedNote::from_parts("text\n", Vec::new()),
        Err(NoteError::NoSignature)
    );
}

#[test]
fn too_many_signatures() {
    let lines = |count: usize| format!("text\n\n{}", "— a AAAAAAA=\n".repeat(count));
    check(&lines(MAX_SIGNATURES + 1), NoteError::TooManySignatures);
    let most = SignedNote::parse(&lines(MAX_SIGNATURES)).unwrap();
    assert_eq!(most.signatures().len(), MAX_SIGNATURES);
    const { assert!(MAX_SIGNATURES >= 16, "signed-note: MUST accept at least 16") };
    let mut note = most.clone();
    assert_eq!(
        note.extend(most.signatures()[..1].to_vec()),
        Err(NoteError::TooManySignatures)
    );
}

#[test]
fn malformed_signature() {
    for line in [
        "— a AAAAAAA=",
        "- a AAAAAAA=\n",
        "—  AAAAAAA=\n",
        "— a\n",
        "— a AAAA\n",
        "— a AAAAAA==\n",
        "— a AAAAAAA\n",
        "— a AAAAAAB=\n",
        "— a AAAA AAA=\n",
        "—a AAAAAAA=\n",
        "— a b AAAAAAA=\n",
        "\u{2013} a AAAAAAA=\n",
    ] {
        let good = "— a AAAAAAA=\n";
        let note = format!("text\n\n{good}{line}");
        let found = SignedNote::parse(&note).unwrap_err();
        let bad_name = matches!(found, NoteError::BadKeyName { line: 1, .. });
        assert!(
            found == NoteError::MalformedSignature { line: 1 } || bad_name,
            "{line:?} {found}"
        );
    }
}

#[test]
fn bad_key_name() {
    for name in ["", "a+b", "a\u{a0}b"] {
        let found = SignedNote::parse(&format!("text\n\n— {name} AAAAAAA=\n")).unwrap_err();
        assert!(
            matches!(found, NoteError::BadKeyName { line: 0, .. }),
            "{name:?} {found}"
        );
    }
}

#[test]
fn v_44_names_of_signers_are_not_patterns() {
    let log = log_signer("log.example");
    let mut note = signed(TEXT, &[&log]).to_string();
    for name in ["(.*)*x", "(", "[", "log.exampl."] {
        note.push_str(&format!("— {name} AAAAAAA=\n"));
    }
    let note = SignedNote::parse(&note).unwrap();
    assert_eq!(note.open(&[&key(&log)]).unwrap().verified().len(), 1);
    let dotted = log_signer(".*");
    assert_eq!(
        note.open(&[&key(&dotted)]).unwrap_err(),
        OpenError::NoKnownSignature
    );
}

#[test]
fn bad_text() {
    let lines = signed("text\n", &[&log_signer("a")]).signatures().to_vec();
    for text in ["", "text", "\n", "text\n\n"] {
        assert_eq!(
            SignedNote::from_parts(text, lines.clone()),
            Err(NoteError::BadText),
            "{text:?}"
        );
    }
}

#[test]
fn no_known_signature() {
    let (log, other) = (log_signer("log.example"), log_signer("log.example"));
    let note = signed(TEXT, &[&log]);
    for keys in [&[][..], &[&key(&other)]] {
        assert_eq!(note.open(keys).unwrap_err(), OpenError::NoKnownSignature);
    }
    // The same key under another name, or as another kind, is another key.
    let kind = SignatureKind::CosignatureV1;
    let renamed = NoteKey::new(
        provider(),
        KeyName::new("log2.example").unwrap(),
        SignatureKind::Ed25519,
        log.public_key(),
    );
    let recast = NoteKey::new(provider(), log.name().clone(), kind, log.public_key());
    for key in [renamed.unwrap(), recast.unwrap()] {
        assert_eq!(note.open(&[&key]).unwrap_err(), OpenError::NoKnownSignature);
    }
}

#[test]
fn invalid_signature() {
    let (log, witness) = (log_signer("log.example"), witness_signer("w.example"));
    let note = signed(TEXT, &[&log, &witness]).to_string();
    let keys = [&key(&log), &key(&witness)];
    let other = note.replacen("\n0\n", "\n1\n", 1);
    let other = SignedNote::parse(&other).unwrap();
    assert_eq!(
        other.open(&keys).unwrap_err(),
        OpenError::InvalidSignature { line: 0 }
    );
    // One known key that fails rejects the whole note, even beside one that verifies.
    let mut lines = SignedNote::parse(&note).unwrap().signatures().to_vec();
    let mut payload = lines[1].payload().to_vec();
    *payload.last_mut().unwrap() ^= 1;
    lines[1] = SignatureLine::new(witness.name().clone(), witness.key_id(), payload);
    let forged = SignedNote::from_parts(TEXT, lines).unwrap();
    assert_eq!(
        forged.open(&keys).unwrap_err(),
        OpenError::InvalidSignature { line: 1 }
    );
    // … unless the key is not known to this verifier.
    assert!(forged.open(&keys[..1]).is_ok());
}

#[test]
fn ambiguous_keys() {
    let (log, other) = (log_signer("log.example"), log_signer("log.example"));
    let clash = key(&other).with_key_id(log.key_id());
    let note = signed(TEXT, &[&log]);
    assert_eq!(
        note.open(&[&key(&log), &clash]).unwrap_err(),
        OpenError::AmbiguousKeys
    );
}

#[test]
fn a_key_that_collides_with_a_known_id_does_not_verify() {
    let (log, other) = (log_signer("log.example"), log_signer("log.example"));
    let clash = key(&other).with_key_id(log.key_id());
    let note = signed(TEXT, &[&log]);
    assert_eq!(
        note.open(&[&clash]).unwrap_err(),
        OpenError::InvalidSignature { line: 0 }
    );
}

#[test]
fn every_byte_of_a_note_counts() {
    let log = note_signer(
        "log.example",
        SignatureKind::Ecdsa,
        waxseal_crypto::KeyKind::P256,
    );
    let note = signed(TEXT, &[&log]).to_string();
    let known = key(&log);
    for at in 0..note.len() {
        let mut bytes = note.clone().into_bytes();
        bytes[at] ^= 1;
        let opened = String::from_utf8(bytes)
            .ok()
            .and_then(|note| SignedNote::parse(&note).ok())
            .is_some_and(|note| note.open(&[&known]).is_ok());
        assert!(!opened, "byte {at}");
    }
}

//! Every error of a checkpoint, its bindings, and checkpoints of the public logs.

use waxseal_crypto::SignatureAlgorithm;

use super::*;
use crate::testing::{log_signer, note_signer, provider, signed, signer, witness_signer};
use crate::{KeyName, NoteSigner, SignatureKind};

const ROOT: &str = "rs1YPY0ydAV0lxgfrq5pE4oRpUJwo3syeps5+eGUTDI=";
const EMPTY: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

fn check(text: &str, expected: CheckpointTextError) {
    assert_eq!(CheckpointText::parse(text), Err(expected), "{text:?}");
}

fn log_key(signer: &NoteSigner) -> LogKey {
    LogKey::new(signer.note_key(provider()).unwrap())
}

#[test]
fn survives_a_round_trip() {
    for text in [
        format!("log.example\n736\n{ROOT}\n"),
        format!("rekor.example - 119\n18446744073709551615\n{ROOT}\n"),
        format!("log.example\n0\n{EMPTY}\none\ntwo\n"),
    ] {
        assert_eq!(CheckpointText::parse(&text).unwrap().to_string(), text);
    }
}

#[test]
fn bad_origin() {
    check(
        &format!("\n1\n{ROOT}\n"),
        CheckpointTextError::BadOrigin(NameError::Empty),
    );
    check("\n", CheckpointTextError::BadOrigin(NameError::Empty));
}

#[test]
fn bad_tree_size() {
    check("a\n", CheckpointTextError::BadTreeSize);
    for size in [
        "",
        "-1",
        "+1",
        "01",
        "00",
        "1 ",
        "0x1",
        "18446744073709551616",
        "١",
        "notanumber",
    ] {
        check(
            &format!("a\n{size}\n{ROOT}\n"),
            CheckpointTextError::BadTreeSize,
        );
    }
    // the line is missing altogether
    check(&format!("a\n{ROOT}\n"), CheckpointTextError::BadTreeSize);
}

#[test]
fn bad_root_hash() {
    check("a\n736\n", CheckpointTextError::BadRootHash);
    for root in [
        "",
        "rs1YPY0ydAV0lxgfrq5pE4oRpUJwo3syeps5+eGUTDI",
        "rs1YPY0ydAV0lxgfrq5pE4oRpUJwo3syeps5-eGUTDI=",
        "rs1YPY0ydAV0lxgfrq5pE4oRpUJwo3syeps5+eGUTDJ=",
        "rs1YPY0ydAV0lxgfrq5pE4oRpUJwo3syeps5+eGUTA==",
        "aecd583d8d3274057497181faeae69138a11a54270a37b327a9b39f9e1944c32",
    ] {
        check(
            &format!("a\n736\n{root}\n"),
            CheckpointTextError::BadRootHash,
        );
    }
}

#[test]
fn wrong_empty_root() {
    check(
        &format!("a\n0\n{ROOT}\n"),
        CheckpointTextError::WrongEmptyRoot,
    );
}

#[test]
fn empty_extension() {
    for end in ["\n", "\nx\n", "x\n\n"] {
        check(
            &format!("a\n736\n{ROOT}\n{end}"),
            CheckpointTextError::EmptyExtension,
        );
    }
}

#[test]
fn unterminated() {
    check(
        &format!("a\n736\n{ROOT}"),
        CheckpointTextError::Unterminated,
    );
    check("", CheckpointTextError::Unterminated);
}

#[test]
fn opens_with_cosignatures() {
    let text = format!("log.example\n736\n{ROOT}\n");
    let (log, stranger) = (log_signer("log.example"), witness_signer("s.example"));
    let witnesses = [
        witness_signer("w.example/1"),
        note_signer(
            "w.example/2",
            SignatureKind::MlDsa44,
            waxseal_crypto::KeyKind::MlDsa44,
        ),
    ];
    let note = signed(&text, &[&stranger, &witnesses[1], &log, &witnesses[0]]);
    let keys = witnesses
        .each_ref()
        .map(|w| w.note_key(provider()).unwrap());
    let opened = Checkpoint::open(&note, &log_key(&log), &[&keys[0], &keys[1]]).unwrap();
    assert_eq!(opened.tree_size(), 736);
    let cosigned: Vec<_> = opened
        .cosignatures()
        .iter()
        .map(|c| (c.cosigner, c.timestamp))
        .collect();
    assert_eq!(cosigned, [(1, 1_700_000_000), (0, 1_700_000_000)]);
}

#[test]
fn not_signed_by_log() {
    let text = format!("log.example\n736\n{ROOT}\n");
    let (log, witness) = (log_signer("log.example"), witness_signer("w.example"));
    let note = signed(&text, &[&witness]);
    let key = witness.note_key(provider()).unwrap();
    let error = Checkpoint::open(&note, &log_key(&log), &[&key]).unwrap_err();
    assert_eq!(error, CheckpointError::NotSignedByLog);
}

#[test]
fn open() {
    let text = format!("log.example\n736\n{ROOT}\n");
    let (log, other) = (log_signer("log.example"), log_signer("log.example"));
    let error = Checkpoint::open(&signed(&text, &[&other]), &log_key(&log), &[]).unwrap_err();
    assert_eq!(error, CheckpointError::Open(OpenError::NoKnownSignature));
}

#[test]
fn text() {
    // A log that signs something that is not a checkpoint.
    let log = log_signer("log.example");
    for (text, expected) in [
        (
            format!("log.example\n{ROOT}\n"),
            CheckpointTextError::BadTreeSize,
        ),
        (
            "log.example\n736\n".to_owned(),
            CheckpointTextError::BadRootHash,
        ),
    ] {
        let error = Checkpoint::open(&signed(&text, &[&log]), &log_key(&log), &[]).unwrap_err();
        assert_eq!(error, CheckpointError::Text(expected));
    }
}

#[test]
fn wrong_origin() {
    let check = |origin: &str, rule: OriginRule, allowed: bool| {
        let log = log_signer("log.example");
        let note = signed(&format!("{origin}\n736\n{ROOT}\n"), &[&log]);
        let log = LogKey {
            key: log.note_key(provider()).unwrap(),
            origin: rule,
        };
        let found = Checkpoint::open(&note, &log, &[]).map(|_| ());
        let expected = if allowed {
            Ok(())
        } else {
            Err(CheckpointError::WrongOrigin)
        };
        assert_eq!(found, expected, "{origin}");
    };
    check("log.example", OriginRule::KeyName, true);
    check("log.example ", OriginRule::KeyName, false);
    check("LOG.example", OriginRule::KeyName, false);
    check("log.example - 1", OriginRule::KeyName, false);
    let v1 = || OriginRule::KeyNameAndTreeId;
    check("log.example - 1193050959916656506", v1(), true);
    for origin in [
        "log.example",
        "log.example - ",
        "log.example - 01",
        "log.example - 1 ",
        "log.example - -1",
        "log.example - 1 - 2",
        "log.example.evil - 1",
        "other.example - 1",
        "log.example -1",
    ] {
        check(origin, v1(), false);
    }
    let exactly = || OriginRule::Exactly(Origin::new("elsewhere").unwrap());
    check("elsewhere", exactly(), true);
    check("log.example", exactly(), false);
}

#[test]
fn version_1_logs_of_every_kind_of_key_open() {
    let text = format!("rekor.example - 1193050959916656506\n736\n{ROOT}\n");
    for algorithm in [
        SignatureAlgorithm::EcdsaP256Sha256,
        SignatureAlgorithm::Ed25519,
        SignatureAlgorithm::RsaPkcs1Sha256,
    ] {
        let name = KeyName::new("rekor.example").unwrap();
        let log = NoteSigner::of_v1_log(name, signer(algorithm)).unwrap();
        let key = LogKey::v1(log.note_key(provider()).unwrap());
        let opened = Checkpoint::open(&signed(&text, &[&log]), &key, &[]).unwrap();
        assert_eq!(
            opened.origin().as_str(),
            "rekor.example - 1193050959916656506"
        );
    }
}

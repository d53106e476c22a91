//! Key ids as published, kinds and their keys, and the messages that are signed.

use super::*;
use crate::testing::{KINDS, note_signer, provider, signed, signer};
use crate::{OpenError, SignedNote};

fn name(name: &str) -> KeyName {
    KeyName::new(name).unwrap()
}

#[test]
fn key_ids_of_the_public_logs() {
    let key = |text| {
        let spki = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text);
        PublicKey::from_spki_der(&spki.unwrap()).unwrap()
    };
    // log2025-1.rekor.sigstore.dev, as in the public trusted root
    let v2 = key("MCowBQYDK2VwAyEAt8rlp1knGwjfbcXAYPYAkn0XiLz1x8O4t0YkEhie244=");
    let v2 = NoteKey::new(
        provider(),
        name("log2025-1.rekor.sigstore.dev"),
        SignatureKind::Ed25519,
        &v2,
    )
    .unwrap();
    assert_eq!(v2.key_id().to_string(), "cf119915");
    assert_eq!(KeyId::from_prefix(&v2.log_id()), Some(v2.key_id()));
    // rekor.sigstore.dev: a version 1 log
    let v1 = key(
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2G2Y+2tabdTV5BcGiBIx0a9fAFwrkBbmLSGtks4L3qX6yYY0zufBnhC8Ur/iy55GhWP/9A/bY2LhC30M9+RYtw==",
    );
    let v1 = NoteKey::of_v1_log(provider(), name("rekor.sigstore.dev"), &v1).unwrap();
    assert_eq!(v1.key_id().to_string(), "c0d23d6a");
}

#[test]
fn a_version_1_log_s_id_is_that_of_its_spki_for_every_kind_of_key() {
    for algorithm in [
        SignatureAlgorithm::Ed25519,
        SignatureAlgorithm::EcdsaP256Sha256,
        SignatureAlgorithm::RsaPkcs1Sha256,
    ] {
        let signer = signer(algorithm);
        let key = NoteKey::of_v1_log(provider(), name("rekor.example"), signer.public_key());
        let id = KeyId::from_prefix(&signer.public_key().spki_sha256());
        assert_eq!(Some(key.unwrap().key_id()), id);
    }
}

#[test]
fn every_kind_signs_and_opens() {
    let text = "log.example\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    for (kind, key_kind) in KINDS {
        let signer = note_signer("log.example", kind, key_kind);
        let key = signer.note_key(provider()).unwrap();
        let note = signed(text, &[&signer]);
        let opened = note.open(&[&key]).unwrap();
        let stated = match kind {
            SignatureKind::Rfc6962 => Some(1_700_000_000_000),
            kind => kind.has_timestamp().then_some(1_700_000_000),
        };
        assert_eq!(opened.verified()[0].timestamp, stated, "{kind:?}");
        // A changed timestamp, length or signature fails.
        let payload = note.signatures()[0].payload();
        for (at, byte) in payload.iter().enumerate() {
            let mut payload = payload.to_vec();
            payload[at] = byte ^ 1;
            refuse(text, &signer, &key, payload);
        }
        refuse(text, &signer, &key, payload[..payload.len() - 1].to_vec());
        refuse(text, &signer, &key, [payload, &[0]].concat());
        refuse(text, &signer, &key, payload[..1].to_vec());
    }
}

fn refuse(text: &str, signer: &crate::NoteSigner, key: &NoteKey, payload: Vec<u8>) {
    let line = crate::SignatureLine::new(signer.name().clone(), signer.key_id(), payload);
    let note = SignedNote::from_parts(text, vec![line]).unwrap();
    assert_eq!(
        note.open(&[key]).unwrap_err(),
        OpenError::InvalidSignature { line: 0 }
    );
}

#[test]
fn wrong_key_kind() {
    for (kind, good) in KINDS {
        for (_, key_kind) in KINDS {
            let fits = KINDS.contains(&(kind, key_kind))
                || (kind, key_kind) == (SignatureKind::Rfc6962, KeyKind::Rsa);
            assert_eq!(
                kind.algorithm(key_kind).is_ok(),
                fits,
                "{kind:?} {key_kind:?} {good:?}"
            );
        }
    }
    let p256 = signer(SignatureAlgorithm::EcdsaP256Sha256);
    let error = NoteKey::new(
        provider(),
        name("a"),
        SignatureKind::Ed25519,
        p256.public_key(),
    );
    assert_eq!(
        error.unwrap_err(),
        NoteKeyError::WrongKeyKind {
            kind: SignatureKind::Ed25519,
            key: KeyKind::P256
        }
    );
    let dsa87 = PublicKey::from_key_bytes(KeyKind::MlDsa87, &[7; 2592]).unwrap();
    assert!(SignatureKind::of_log(&dsa87).is_err());
}

#[test]
fn refused() {
    // An RSA key of 1024 bits: too weak for every provider.
    let modulus = [vec![0x02, 0x81, 129, 0, 0x80], vec![1; 127]].concat();
    let body = [modulus, vec![2, 3, 1, 0, 1]].concat();
    let rsa = [vec![0x30, 0x81, 137], body].concat();
    let weak = PublicKey::from_key_bytes(KeyKind::Rsa, &rsa).unwrap();
    let error = NoteKey::new(provider(), name("a"), SignatureKind::RsaPkcs1, &weak).unwrap_err();
    assert_eq!(error, NoteKeyError::Refused(SignatureError::InvalidKey));
}

#[test]
fn messages_are_the_specification_s() {
    let text =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let cosigner = name("witness.example/w1");
    let message = |kind, time| signed_message(kind, &cosigner, text, time);
    let expected = format!("cosignature/v1\ntime 1679315147\n{text}");
    assert_eq!(
        message(SignatureKind::CosignatureV1, 1_679_315_147),
        Some(expected.into_bytes())
    );
    let subtree = message(SignatureKind::MlDsa44, 1_679_315_147).unwrap();
    assert_eq!(subtree.len(), 12 + 1 + 18 + 8 + 1 + 27 + 8 + 8 + 32);
    assert_eq!(&subtree[..31], b"subtree/v1\n\0\x12witness.example/w1");
    assert_eq!(subtree[31..39], 1_679_315_147u64.to_be_bytes());
    assert_eq!(&subtree[39..67], b"\x1bexample.com/behind-the-sofa");
    assert_eq!(subtree[67..75], 0u64.to_be_bytes());
    assert_eq!(subtree[75..83], 20_852_163u64.to_be_bytes());
    let tree_head = message(SignatureKind::Rfc6962, 7).unwrap();
    assert_eq!(tree_head[..10], [0, 1, 0, 0, 0, 0, 0, 0, 0, 7]);
    assert_eq!(tree_head.len(), 2 + 8 + 8 + 32);
}

#[test]
fn what_no_cosigner_may_state_is_not_signed() {
    let cosigner = name("w");
    let text = "a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let extended = &format!("{text}extension\n");
    let signable = |kind, text: &str, time| signed_message(kind, &cosigner, text, time).is_some();
    for kind in [
        SignatureKind::CosignatureV1,
        SignatureKind::MlDsa44,
        SignatureKind::Rfc6962,
    ] {
        assert!(signable(kind, text, (1 << 63) - 1));
        assert!(!signable(kind, text, 1 << 63));
        assert!(!signable(kind, "not a checkpoint\n", 1));
        // RFC 6962 tree heads have no extension lines
        assert_eq!(signable(kind, extended, 1), kind != SignatureKind::Rfc6962);
    }
}

//! Every version and spelling, every rule, and that what is written is read back.

use proptest::prelude::*;

use super::*;
use crate::{DsseSignature, InclusionProof};

fn entry() -> TransparencyLogEntry {
    TransparencyLogEntry {
        log_index: 0,
        log_id: vec![0xfb; 32],
        kind: "hashedrekord".into(),
        version: "0.0.1".into(),
        integrated_time: 1_700_000_000,
        inclusion_promise: Some(vec![0xff; 7]),
        inclusion_proof: Some(InclusionProof {
            log_index: 0,
            root_hash: vec![2; 32],
            tree_size: 1,
            hashes: vec![],
            checkpoint: Some("origin\n1\nAg==\n\n— origin AAAA\n".into()),
        }),
        canonicalized_body: b"{}".to_vec(),
    }
}

fn bundle(version: BundleVersion) -> Bundle {
    Bundle {
        version,
        spelling: Spelling::Parameter,
        material: VerificationMaterial {
            key: match version {
                BundleVersion::V03 => KeyMaterial::Certificate(vec![0x30, 0xfe, 0xff]),
                _ => KeyMaterial::CertificateChain(vec![vec![0x30, 1], vec![0x30, 2]]),
            },
            tlog_entries: vec![entry()],
            timestamps: vec![vec![0x30]],
        },
        content: Content::MessageSignature {
            digest: Some(MessageDigest {
                algorithm: HashAlgorithm::SHA2_256,
                digest: vec![0xfb; 32],
            }),
            signature: vec![0x30, 0x44],
        },
    }
}

fn dsse(signatures: usize) -> Bundle {
    Bundle {
        content: Content::Dsse(DsseEnvelope {
            payload: b"{}".to_vec(),
            payload_type: DsseEnvelope::IN_TOTO.into(),
            signatures: vec![
                DsseSignature {
                    sig: vec![1],
                    keyid: String::new()
                };
                signatures
            ],
        }),
        ..bundle(BundleVersion::V03)
    }
}

/// A change to a good bundle's text must give this error.
fn check(text: &str, from: &str, to: &str, expected: BundleError) {
    assert!(text.contains(from), "{from} is not in {text}");
    let changed = text.replacen(from, to, 1);
    assert_eq!(
        Bundle::from_json(changed.as_bytes()),
        Err(expected),
        "{changed}"
    );
}

/// A bundle that this crate writes, and must refuse.
fn refused(bundle: &Bundle, expected: BundleError) {
    assert_eq!(
        Bundle::from_json(bundle.to_json().as_bytes()),
        Err(expected)
    );
}

fn v01() -> String {
    bundle(BundleVersion::V01).to_json()
}

fn v03() -> String {
    bundle(BundleVersion::V03).to_json()
}

#[test]
fn every_version_in_every_spelling() {
    for (version, number) in [
        (BundleVersion::V01, "0.1"),
        (BundleVersion::V02, "0.2"),
        (BundleVersion::V03, "0.3"),
    ] {
        let parameter = format!("application/vnd.dev.sigstore.bundle+json;version={number}");
        let suffix = format!("application/vnd.dev.sigstore.bundle.v{number}+json");
        let made = bundle(version);
        assert_eq!(made.media_type(), parameter);
        assert_eq!(
            Bundle::from_json(made.to_json().as_bytes()),
            Ok(made.clone())
        );
        let other = Bundle {
            spelling: Spelling::Suffix,
            ..made
        };
        assert_eq!(other.media_type(), suffix);
        assert_eq!(Bundle::from_json(other.to_json().as_bytes()), Ok(other));
    }
}

#[test]
fn what_is_written() {
    let mut small = bundle(BundleVersion::V03);
    small.spelling = Spelling::Suffix;
    small.material.timestamps.clear();
    small.material.tlog_entries[0].inclusion_promise = None;
    small.material.tlog_entries[0].integrated_time = 0;
    small.material.tlog_entries[0].log_id = vec![1, 2, 3];
    small.material.tlog_entries[0]
        .inclusion_proof
        .as_mut()
        .unwrap()
        .root_hash = vec![1, 2, 3];
    small.content = Content::MessageSignature {
        digest: None,
        signature: vec![1, 2, 3],
    };
    assert_eq!(
        small.to_json(),
        r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"certificate":{"rawBytes":"MP7/"},"tlogEntries":[{"logIndex":"0","logId":{"keyId":"AQID"},"kindVersion":{"kind":"hashedrekord","version":"0.0.1"},"integratedTime":"0","inclusionProof":{"logIndex":"0","rootHash":"AQID","treeSize":"1","hashes":[],"checkpoint":{"envelope":"origin\n1\nAg==\n\n— origin AAAA\n"}},"canonicalizedBody":"e30="}],"timestampVerificationData":{"rfc3161Timestamps":[]}},"messageSignature":{"signature":"AQID"}}"#
    );
}

#[test]
fn the_leaf_certificate_is_found_in_either_form() {
    let leaf = |version| {
        bundle(version)
            .material
            .key
            .leaf_certificate()
            .map(<[u8]>::to_vec)
    };
    assert_eq!(leaf(BundleVersion::V01), Some(vec![0x30, 1]));
    assert_eq!(leaf(BundleVersion::V03), Some(vec![0x30, 0xfe, 0xff]));
    let key = KeyMaterial::PublicKey {
        hint: String::new(),
    };
    assert_eq!(key.leaf_certificate(), None);
}

/// The same bundle in every other dress that protojson permits.
#[test]
fn protojson_liberties() {
    let expected = bundle(BundleVersion::V03);
    let text = v03();
    for (from, to) in [
        ("\"mediaType\"", "\"media_type\""),
        ("\"verificationMaterial\"", "\"verification_material\""),
        ("\"tlogEntries\"", "\"tlog_entries\""),
        ("\"logIndex\"", "\"log_index\""),
        ("\"inclusionPromise\"", "\"inclusion_promise\""),
        ("\"signedEntryTimestamp\"", "\"signed_entry_timestamp\""),
        ("\"canonicalizedBody\"", "\"canonicalized_body\""),
        ("\"rfc3161Timestamps\"", "\"rfc3161_timestamps\""),
        ("\"rawBytes\"", "\"raw_bytes\""),
        ("\"messageDigest\"", "\"message_digest\""),
        ("\"SHA2_256\"", "1"),
        ("\"logIndex\":\"0\",", ""),
        ("\"logIndex\":\"0\"", "\"logIndex\":0"),
        ("\"hashes\":[],", ""),
        ("\"hashes\":[]", "\"hashes\":null"),
        ("\"1700000000\"", "1700000000"),
        ("\"1700000000\"", "1.7e9"),
        ("+/v7", "-_v7"),
        ("\"e30=\"", "\"e30\""),
        ("\"keyId\":", "\"unknown\":[{\"x\":{}}],\"keyId\":"),
        ("\"certificate\":", "\"publicKey\":null,\"certificate\":"),
    ] {
        assert!(text.contains(from), "{from}");
        let dressed = if from == "+/v7" {
            // One text has one alphabet, so the whole of it changes.
            text.split('"')
                .map(|part| {
                    if part.starts_with("+/v7") {
                        part.replace('+', "-").replace('/', "_")
                    } else {
                        part.to_owned()
                    }
                })
                .collect::<Vec<_>>()
                .join("\"")
        } else {
            text.replace(from, to)
        };
        assert_ne!(dressed, text);
        assert_eq!(
            Bundle::from_json(dressed.as_bytes()).as_ref(),
            Ok(&expected),
            "{from} → {to}"
        );
    }
}

/// At every level: a second copy of each key, whatever it is, and of each in its other name.
#[test]
fn s_54_duplicate_keys_are_refused_at_every_level() {
    for text in [v01(), v03(), dsse(1).to_json()] {
        let mut found = 0;
        for (at, _) in text.match_indices("\":") {
            let start = text[..at].rfind('"').unwrap();
            let key = &text[start + 1..at];
            let (before, after) = text.split_at(start);
            let twice = format!("{before}\"{key}\":null,{after}");
            assert!(
                matches!(
                    Bundle::from_json(twice.as_bytes()),
                    Err(BundleError::Json(JsonError::DuplicateKey { .. }))
                ),
                "{twice}"
            );
            let snake: String = key
                .chars()
                .flat_map(|c| {
                    c.is_ascii_uppercase()
                        .then_some('_')
                        .into_iter()
                        .chain([c.to_ascii_lowercase()])
                })
                .collect();
            if snake != key {
                let both = format!("{before}\"{snake}\":null,{after}");
                assert!(
                    matches!(
                        Bundle::from_json(both.as_bytes()),
                        Err(BundleError::Field(FieldError::TwoNames { .. }))
                    ),
                    "{both}"
                );
            }
            found += 1;
        }
        assert!(found > 20, "{found}");
    }
    let unknown = v03().replacen('{', r#"{"new":[{"a":1,"a":2}],"#, 1);
    assert!(matches!(
        Bundle::from_json(unknown.as_bytes()),
        Err(BundleError::Json(JsonError::DuplicateKey { .. }))
    ));
}

#[test]
fn json() {
    let length = MAX_BUNDLE_BYTES + 1;
    let error = JsonError::TooLong {
        length,
        limit: MAX_BUNDLE_BYTES,
    };
    assert_eq!(
        Bundle::from_json(&vec![b' '; length]),
        Err(BundleError::Json(error))
    );
    let mut padded = v03().into_bytes();
    padded.resize(MAX_BUNDLE_BYTES, b' ');
    assert!(Bundle::from_json(&padded).is_ok());
    for (suffix, expected) in [
        ("{}", "bytes after the JSON value, from byte 2 on"),
        ("\0", "bytes after the JSON value, from byte 2 on"),
    ] {
        let Err(BundleError::Json(error)) = Bundle::from_json(format!("{{}}{suffix}").as_bytes())
        else {
            panic!("{suffix}");
        };
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn field() {
    let wrong = |field, expected| BundleError::Field(FieldError::WrongType { field, expected });
    assert_eq!(Bundle::from_json(b"[]"), Err(wrong("bundle", "an object")));
    check(&v03(), "\"0\"", "[]", wrong("logIndex", "an integer"));
    check(
        &v03(),
        "\"0\"",
        "\"zero\"",
        BundleError::Field(FieldError::Integer { field: "logIndex" }),
    );
    check(
        &v03(),
        "MP7/",
        "MP7?",
        BundleError::Field(FieldError::Base64 { field: "rawBytes" }),
    );
    check(
        &v03(),
        "\"verificationMaterial\"",
        "\"material\"",
        BundleError::Field(FieldError::Missing {
            field: "verificationMaterial",
        }),
    );
    for field in ["logId", "kindVersion", "canonicalizedBody"] {
        check(
            &v03(),
            &format!("\"{field}\""),
            "\"other\"",
            BundleError::Field(FieldError::Missing { field }),
        );
    }
    check(
        &v03(),
        "\"messageSignature\"",
        "\"dsseEnvelope\":{},\"messageSignature\"",
        BundleError::Field(FieldError::Oneof {
            first: "messageSignature",
            second: "dsseEnvelope",
        }),
    );
    check(
        &v03(),
        "\"certificate\"",
        "\"publicKey\":{},\"certificate\"",
        BundleError::Field(FieldError::Oneof {
            first: "publicKey",
            second: "certificate",
        }),
    );
}

#[test]
fn v_08_counts_are_limited() {
    let too_many = |field, count, limit| {
        BundleError::Field(FieldError::TooMany {
            field,
            count,
            limit,
        })
    };
    let with = |entries: usize, timestamps: usize| {
        let mut bundle = bundle(BundleVersion::V03);
        bundle.material.tlog_entries = vec![entry(); entries];
        bundle.material.timestamps = vec![vec![1]; timestamps];
        bundle
    };
    assert!(Bundle::from_json(with(32, 32).to_json().as_bytes()).is_ok());
    refused(&with(33, 32), too_many("tlogEntries", 33, 32));
    refused(&with(32, 33), too_many("rfc3161Timestamps", 33, 32));
    let chain = |length| {
        let mut bundle = bundle(BundleVersion::V02);
        bundle.material.key = KeyMaterial::CertificateChain(vec![vec![1]; length]);
        bundle
    };
    assert!(Bundle::from_json(chain(10).to_json().as_bytes()).is_ok());
    refused(&chain(11), too_many("certificates", 11, 10));
}

#[test]
fn media_type() {
    for media_type in [
        "",
        "application/json",
        "application/vnd.dev.sigstore.bundle",
        "application/vnd.dev.sigstore.bundle+json",
        "application/vnd.dev.sigstore.bundle+json;version=0.4",
        "application/vnd.dev.sigstore.bundle+json;version=0.30",
        "application/vnd.dev.sigstore.bundle+json; version=0.3",
        "application/vnd.dev.sigstore.bundle.v0.4+json",
        "application/vnd.dev.sigstore.bundle.v0.3",
        "application/vnd.dev.sigstore.bundle.v0.3+JSON",
    ] {
        check(
            &v03(),
            "application/vnd.dev.sigstore.bundle+json;version=0.3",
            media_type,
            BundleError::MediaType {
                media_type: media_type.into(),
            },
        );
    }
}

#[test]
fn no_key_material() {
    check(
        &v03(),
        "\"certificate\"",
        "\"other\"",
        BundleError::NoKeyMaterial,
    );
    check(
        &v03(),
        "\"certificate\":{\"rawBytes\":\"MP7/\"}",
        "\"certificate\":null",
        BundleError::NoKeyMaterial,
    );
}

#[test]
fn empty_chain() {
    let mut bundle = bundle(BundleVersion::V01);
    bundle.material.key = KeyMaterial::CertificateChain(vec![]);
    refused(&bundle, BundleError::EmptyChain);
    check(
        &v01(),
        "\"certificates\"",
        "\"other\"",
        BundleError::EmptyChain,
    );
}

#[test]
fn empty_certificate() {
    check(&v03(), "MP7/", "", BundleError::EmptyCertificate);
    check(&v01(), "MAI=", "", BundleError::EmptyCertificate);
}

#[test]
fn chain_in_v03() {
    check(&v01(), "0.1", "0.3", BundleError::ChainInV03);
}

#[test]
fn certificate_before_v03() {
    check(&v03(), "0.3", "0.1", BundleError::CertificateBeforeV03);
    check(&v03(), "0.3", "0.2", BundleError::CertificateBeforeV03);
}

#[test]
fn no_content() {
    check(
        &v03(),
        "\"messageSignature\"",
        "\"other\"",
        BundleError::NoContent,
    );
}

#[test]
fn empty_signature() {
    check(&v03(), "\"MEQ=\"", "\"\"", BundleError::EmptySignature);
    check(
        &dsse(1).to_json(),
        "\"sig\":\"AQ==\"",
        "\"sig\":\"\"",
        BundleError::EmptySignature,
    );
}

#[test]
fn v_26_dsse_signatures() {
    assert_eq!(Bundle::from_json(dsse(1).to_json().as_bytes()), Ok(dsse(1)));
    for count in [0, 2, 10] {
        refused(&dsse(count), BundleError::DsseSignatures { count });
    }
}

#[test]
fn promise_missing() {
    check(
        &v01(),
        "\"inclusionPromise\"",
        "\"other\"",
        BundleError::PromiseMissing { entry: 0 },
    );
    check(
        &v01(),
        "/////////w==",
        "",
        BundleError::PromiseMissing { entry: 0 },
    );
}

#[test]
fn proof_missing() {
    let mut bundle = bundle(BundleVersion::V02);
    bundle.material.tlog_entries.push(TransparencyLogEntry {
        inclusion_proof: None,
        ..entry()
    });
    refused(&bundle, BundleError::ProofMissing { entry: 1 });
    bundle.version = BundleVersion::V01;
    assert_eq!(Bundle::from_json(bundle.to_json().as_bytes()), Ok(bundle));
}

#[test]
fn a_proof_without_checkpoint_is_read() {
    for text in [v01(), v03()] {
        let without = text.replace("\"checkpoint\"", "\"other\"");
        assert!(Bundle::from_json(without.as_bytes()).is_ok());
    }
}

#[test]
fn negative() {
    let text = v03();
    for (from, to, field) in [
        (
            "\"logIndex\":\"0\",\"logId\"",
            "\"logIndex\":\"-1\",\"logId\"",
            "logIndex",
        ),
        ("\"1700000000\"", "-1700000000", "integratedTime"),
        (
            "\"logIndex\":\"0\",\"rootHash\"",
            "\"logIndex\":\"-1\",\"rootHash\"",
            "inclusionProof.logIndex",
        ),
        (
            "\"treeSize\":\"1\"",
            "\"treeSize\":\"-1\"",
            "inclusionProof.treeSize",
        ),
    ] {
        check(&text, from, to, BundleError::Negative { entry: 0, field });
    }
}

#[test]
fn empty_timestamp() {
    check(
        &v03(),
        "\"MA==\"",
        "\"\"",
        BundleError::EmptyTimestamp { timestamp: 0 },
    );
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 1..40)
}

prop_compose! {
    fn any_entry()(
        log_index in 0..i64::MAX,
        log_id in any_bytes(),
        kind in "[a-z]{0,9}",
        version in any::<String>(),
        integrated_time in 0..i64::MAX,
        inclusion_promise in any_bytes(),
        proof in (0..i64::MAX, any_bytes(), 0..i64::MAX, proptest::collection::vec(any_bytes(), 0..4), any::<String>()),
        canonicalized_body in any_bytes(),
    ) -> TransparencyLogEntry {
        let (index, root_hash, tree_size, hashes, checkpoint) = proof;
        TransparencyLogEntry {
            log_index,
            log_id,
            kind,
            version,
            integrated_time,
            inclusion_promise: Some(inclusion_promise),
            inclusion_proof: Some(InclusionProof {
                log_index: index,
                root_hash,
                tree_size,
                hashes,
                checkpoint: Some(checkpoint),
            }),
            canonicalized_body,
        }
    }
}

prop_compose! {
    fn any_bundle()(
        number in 1..=3,
        suffix in any::<bool>(),
        certificate in any_bytes(),
        hint in proptest::option::of(any::<String>()),
        tlog_entries in proptest::collection::vec(any_entry(), 0..3),
        timestamps in proptest::collection::vec(any_bytes(), 0..3),
        digest in proptest::option::of((prop_oneof!["[A-Z][A-Z0-9_]{0,9}", Just("6".to_owned())], any_bytes())),
        signature in any_bytes(),
        payload_type in proptest::option::of(any::<String>()),
    ) -> Bundle {
        let version = match number {
            1 => BundleVersion::V01,
            2 => BundleVersion::V02,
            _ => BundleVersion::V03,
        };
        Bundle {
            version,
            spelling: if suffix { Spelling::Suffix } else { Spelling::Parameter },
            material: VerificationMaterial {
                key: match (hint, version) {
                    (Some(hint), _) => KeyMaterial::PublicKey { hint },
                    (None, BundleVersion::V03) => KeyMaterial::Certificate(certificate),
                    (None, _) => KeyMaterial::CertificateChain(vec![certificate]),
                },
                tlog_entries,
                timestamps,
            },
            content: match payload_type {
                Some(payload_type) => Content::Dsse(DsseEnvelope {
                    payload: signature.clone(),
                    payload_type,
                    signatures: vec![DsseSignature { sig: signature, keyid: String::new() }],
                }),
                None => Content::MessageSignature {
                    digest: digest.map(|(name, digest)| MessageDigest {
                        algorithm: HashAlgorithm::new(name),
                        digest,
                    }),
                    signature,
                },
            },
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(bundle in any_bundle()) {
        let text = bundle.to_json();
        let read = Bundle::from_json(text.as_bytes());
        prop_assert_eq!(read.as_ref(), Ok(&bundle));
        prop_assert_eq!(&read.unwrap().to_json(), &text);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }

    #[test]
    fn a_flipped_byte_panics_nowhere(at in 0..4000usize, bit in 0..8u8) {
        let mut text = v03().into_bytes();
        let at = at % text.len();
        text[at] ^= 1 << bit;
        let _ = Bundle::from_json(&text);
    }
}

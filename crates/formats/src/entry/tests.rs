//! A body of each kind, what is refused, and the canonical bytes.

use super::*;
use crate::{HashAlgorithm, KeyDetails, MessageDigest};

const HASHED_REKORD_V001: &str = r#"{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"00ff"}},"signature":{"content":"AQID","publicKey":{"content":"BAUG"}}}}"#;
const HASHED_REKORD_V002: &str = r#"{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"AP8="},"signature":{"content":"AQID","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","x509Certificate":{"rawBytes":"BAUG"}}}}}}"#;
const DSSE_V001: &str = r#"{"apiVersion":"0.0.1","kind":"dsse","spec":{"envelopeHash":{"algorithm":"sha256","value":"00ff"},"payloadHash":{"algorithm":"sha256","value":"11"},"signatures":[{"signature":"AQID","verifier":"BAUG"}]}}"#;
const DSSE_V002: &str = r#"{"apiVersion":"0.0.2","kind":"dsse","spec":{"dsseV002":{"payloadHash":{"algorithm":"SHA2_256","digest":"AP8="},"signatures":[{"content":"AQID","verifier":{"keyDetails":"PKIX_ED25519_PH","publicKey":{"rawBytes":"BAUG"}}}]}}}"#;
const INTOTO_V001: &str = r#"{"apiVersion":"0.0.1","kind":"intoto","spec":{"content":{"hash":{"algorithm":"sha256","value":"00ff"},"payloadHash":{"algorithm":"sha512","value":"11"}},"publicKey":"BAUG"}}"#;
const INTOTO_V002: &str = r#"{"apiVersion":"0.0.2","kind":"intoto","spec":{"content":{"envelope":{"payloadType":"t","signatures":[{"keyid":"","publicKey":"BAUG","sig":"QVFJRA=="}]},"hash":{"algorithm":"sha256","value":"00ff"},"payloadHash":{"algorithm":"sha384","value":"11"}}}}"#;

const ALL: [(&str, &str, &str); 6] = [
    ("hashedrekord", "0.0.1", HASHED_REKORD_V001),
    ("hashedrekord", "0.0.2", HASHED_REKORD_V002),
    ("dsse", "0.0.1", DSSE_V001),
    ("dsse", "0.0.2", DSSE_V002),
    ("intoto", "0.0.1", INTOTO_V001),
    ("intoto", "0.0.2", INTOTO_V002),
];

fn digest(algorithm: HashAlgorithm, digest: &[u8]) -> MessageDigest {
    MessageDigest {
        algorithm,
        digest: digest.to_vec(),
    }
}

fn sha256() -> MessageDigest {
    digest(HashAlgorithm::SHA2_256, &[0, 0xff])
}

fn signature(key: VerifierKey, details: &'static str) -> Signature {
    Signature {
        content: vec![1, 2, 3],
        verifier: Verifier {
            key,
            key_details: KeyDetails::new(details),
        },
    }
}

fn expected(kind: &str, version: &str) -> Body {
    let (signature_bytes, verifier_pem) = (vec![1, 2, 3], vec![4, 5, 6]);
    match (kind, version) {
        ("hashedrekord", "0.0.1") => Body::HashedRekordV001(HashedRekordV001 {
            digest: sha256(),
            signature: signature_bytes,
            verifier_pem,
        }),
        ("hashedrekord", _) => Body::HashedRekordV002(HashedRekordV002 {
            digest: sha256(),
            signature: signature(
                VerifierKey::Certificate(verifier_pem),
                "PKIX_ECDSA_P256_SHA_256",
            ),
        }),
        ("dsse", "0.0.1") => Body::DsseV001(DsseV001 {
            envelope_hash: sha256(),
            payload_hash: digest(HashAlgorithm::SHA2_256, &[0x11]),
            signatures: vec![PemSignature {
                signature: signature_bytes,
                verifier_pem,
            }],
        }),
        ("dsse", _) => Body::DsseV002(DsseV002 {
            payload_hash: sha256(),
            signatures: vec![signature(
                VerifierKey::PublicKey(verifier_pem),
                "PKIX_ED25519_PH",
            )],
        }),
        (_, "0.0.1") => Body::IntotoV001(IntotoV001 {
            envelope_hash: sha256(),
            payload_hash: Some(digest(HashAlgorithm::SHA2_512, &[0x11])),
            verifier_pem,
        }),
        _ => Body::IntotoV002(IntotoV002 {
            payload_type: "t".into(),
            signatures: vec![IntotoSignature {
                signature_base64: b"AQID".to_vec(),
                verifier_pem,
            }],
            envelope_hash: sha256(),
            payload_hash: digest(HashAlgorithm::SHA2_384, &[0x11]),
        }),
    }
}

fn refused(kind: &str, version: &str, body: &str, error: impl Into<EntryError>) {
    assert_eq!(
        Body::parse(kind, version, body.as_bytes()),
        Err(error.into()),
        "{body}"
    );
}

#[test]
fn every_kind_is_read() {
    for (kind, version, text) in ALL {
        let body = Body::parse(kind, version, text.as_bytes());
        assert_eq!(body, Ok(expected(kind, version)));
        assert_eq!(body.unwrap().kind_version(), (kind, version));
    }
}

#[test]
fn canonical_bytes_are_those_that_were_read() {
    for (kind, version, text) in ALL {
        let body = expected(kind, version).encode_canonical();
        let written = body.map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(
            written.as_deref(),
            (version == "0.0.2" && kind != "intoto").then_some(text)
        );
    }
}

#[test]
fn unsupported_kind() {
    for (kind, version) in [
        ("", ""),
        ("rekord", "0.0.1"),
        ("hashedrekord", "0.0.3"),
        ("hashedrekord", "0.0.10"),
        ("HashedRekord", "0.0.1"),
        ("dsse", "0.0.0"),
        ("intoto", "0.0.3"),
    ] {
        let error = EntryError::UnsupportedKind {
            kind: kind.into(),
            version: version.into(),
        };
        refused(kind, version, "not even JSON", error);
    }
}

#[test]
fn kind_mismatch() {
    let error = |kind: &str, version: &str| EntryError::KindMismatch {
        kind: kind.into(),
        version: version.into(),
    };
    refused(
        "dsse",
        "0.0.1",
        HASHED_REKORD_V001,
        error("hashedrekord", "0.0.1"),
    );
    refused(
        "hashedrekord",
        "0.0.2",
        HASHED_REKORD_V001,
        error("hashedrekord", "0.0.1"),
    );
    refused("hashedrekord", "0.0.1", "{}", error("", ""));
}

#[test]
fn field() {
    let missing = |field| FieldError::Missing { field };
    refused(
        "dsse",
        "0.0.1",
        r#"{"kind":"dsse","apiVersion":"0.0.1"}"#,
        missing("spec"),
    );
    for (kind, version, text, part, with, field) in [
        (
            "hashedrekord",
            "0.0.1",
            HASHED_REKORD_V001,
            r#""content":"BAUG""#,
            "",
            "content",
        ),
        (
            "hashedrekord",
            "0.0.2",
            HASHED_REKORD_V002,
            r#","x509Certificate":{"rawBytes":"BAUG"}"#,
            "",
            "verifier",
        ),
        (
            "dsse",
            "0.0.1",
            DSSE_V001,
            r#"{"signature":"AQID","verifier":"BAUG"}"#,
            "",
            "signatures",
        ),
        ("dsse", "0.0.2", DSSE_V002, r#""AP8=""#, r#""""#, "digest"),
        (
            "intoto",
            "0.0.1",
            INTOTO_V001,
            r#""BAUG""#,
            "null",
            "publicKey",
        ),
        (
            "intoto",
            "0.0.2",
            INTOTO_V002,
            r#""sig":"QVFJRA==""#,
            r#""sig":"""#,
            "sig",
        ),
    ] {
        assert!(text.contains(part));
        refused(kind, version, &text.replace(part, with), missing(field));
    }
    let one = r#"{"signature":"AQID","verifier":"BAUG"}"#;
    let many = |count| DSSE_V001.replace(one, &vec![one; count].join(","));
    assert!(Body::parse("dsse", "0.0.1", many(10).as_bytes()).is_ok());
    let error = FieldError::TooMany {
        field: "signatures",
        count: 11,
        limit: 10,
    };
    refused("dsse", "0.0.1", &many(11), error);
}

#[test]
fn unknown_fields_are_refused_at_every_level() {
    for (kind, version, text) in ALL {
        for (at, _) in text.match_indices('{') {
            let (before, after) = text.split_at(at + 1);
            let error = FieldError::UnknownField { name: "new".into() };
            refused(kind, version, &format!("{before}\"new\":1,{after}"), error);
        }
    }
}

#[test]
fn hex() {
    for value in ["0", "0F", "zz", " 0", "é"] {
        refused(
            "intoto",
            "0.0.1",
            &INTOTO_V001.replace("00ff", value),
            EntryError::Hex { field: "hash" },
        );
    }
}

#[test]
fn intoto_keeps_the_signature_as_text() {
    let Body::IntotoV002(body) = expected("intoto", "0.0.2") else {
        unreachable!()
    };
    assert!(body.signatures[0].is(&[1, 2, 3]));
    assert!(!body.signatures[0].is(b"AQID"));
    assert!(!body.signatures[0].is(&[]));
}

#[test]
fn the_oldest_intoto_entries_have_no_payload_hash() {
    let text = INTOTO_V001.replace(r#","payloadHash":{"algorithm":"sha512","value":"11"}"#, "");
    let Ok(Body::IntotoV001(body)) = Body::parse("intoto", "0.0.1", text.as_bytes()) else {
        panic!("{text}");
    };
    assert_eq!(body.payload_hash, None);
}

//! JWK sets: thumbprints of the RFCs, what is skipped, what is refused.

use waxseal_crypto::SignatureAlgorithm;

use super::*;
use crate::testing::{Key, P256, RSA};

fn check(text: &str, expected: Result<(usize, usize), &JwkError>) {
    let parsed = JwkSet::parse(text.as_bytes());
    let found = parsed.as_ref().map(|set| (set.keys().len(), set.skipped()));
    assert_eq!(found, expected, "{text}");
}

fn one(key: &Value) -> String {
    json!({ "keys": [key] }).to_string()
}

#[test]
fn rfc_7638_thumbprint() {
    // RFC 7638 §3.1, the example.
    let text = r#"{"keys":[{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}]}"#;
    let set = JwkSet::parse(text.as_bytes()).unwrap();
    assert_eq!(
        set.keys()[0].thumbprint(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
    assert_eq!(set.by_id("2011-04-29"), Some(&set.keys()[0]));
}

#[test]
fn rfc_8037_thumbprint() {
    // RFC 8037 appendix A.3.
    let key = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let set = JwkSet::parse(key.as_bytes()).unwrap();
    assert_eq!(
        set.keys()[0].thumbprint(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}

#[test]
fn every_kind_round_trips() {
    for algorithm in [
        SignatureAlgorithm::RsaPkcs1Sha256,
        SignatureAlgorithm::EcdsaP256Sha256,
        SignatureAlgorithm::EcdsaP384Sha384,
        SignatureAlgorithm::EcdsaP521Sha512,
        SignatureAlgorithm::Ed25519,
    ] {
        let set = Key::generate(algorithm).set();
        assert_eq!(JwkSet::parse(set.to_json().to_string().as_bytes()), Ok(set));
    }
}

#[test]
fn unusable_keys_are_skipped() {
    let good = P256.jwk.to_json();
    check(&one(&good), Ok((1, 0)));
    let mut changes: Vec<(&str, Value)> = vec![
        ("use", json!("enc")),
        ("use", json!(7)),
        ("key_ops", json!(["encrypt"])),
        ("key_ops", json!("verify")),
        ("alg", json!("RS256")),
        ("alg", json!("ES384")),
        ("alg", json!("HS256")),
        ("alg", json!("none")),
        ("kid", json!(7)),
        ("kty", json!("RSA")),
        ("kty", json!("new")),
        ("crv", json!("P-384")),
        ("crv", json!("secp256k1")),
    ];
    for value in ["", "AA", "AQAB=", "not base64"] {
        changes.push(("x", json!(value)));
    }
    // A coordinate with a zero too many or one too few is not its curve's length.
    changes.push(("y", json!(URL_SAFE_NO_PAD.encode([1; 31]))));
    changes.push(("y", json!(URL_SAFE_NO_PAD.encode([1; 33]))));
    for (member, value) in changes {
        let mut key = good.clone();
        key[member] = value;
        check(&one(&key), Ok((0, 1)));
    }
    check(
        &json!({"keys": [good, {"kty": "new"}, {}]}).to_string(),
        Ok((1, 2)),
    );
}

#[test]
fn too_long() {
    let text = format!("{{\"keys\":[]}}{}", " ".repeat(MAX_JWKS));
    assert_eq!(JwkSet::parse(text.as_bytes()), Err(JwkError::TooLong));
    check(&text[..MAX_JWKS], Ok((0, 0)));
}

#[test]
fn not_json() {
    for text in ["", "[]", r#"{"keys":[],"keys":[]}"#] {
        assert!(
            matches!(JwkSet::parse(text.as_bytes()), Err(JwkError::NotJson(_))),
            "{text}"
        );
    }
}

#[test]
fn malformed() {
    for text in [
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":[7]}"#,
        r#"{"keys":null}"#,
    ] {
        check(text, Err(&JwkError::Malformed));
    }
}

#[test]
fn too_many_keys() {
    let keys = |count| json!({"keys": vec![json!({"kty": "new"}); count]}).to_string();
    check(&keys(MAX_KEYS), Ok((0, MAX_KEYS)));
    check(&keys(MAX_KEYS + 1), Err(&JwkError::TooManyKeys));
}

#[test]
fn symmetric_key() {
    let text = json!({"keys": [RSA.jwk.to_json(), {"kty": "oct", "k": "AAAA"}]}).to_string();
    check(&text, Err(&JwkError::SymmetricKey));
}

#[test]
fn duplicate_key_id() {
    let mut other = P256.jwk.to_json();
    other["kid"] = json!(RSA.jwk.key_id());
    let text = |other: &Value| json!({"keys": [RSA.jwk.to_json(), other]}).to_string();
    check(&text(&other), Err(&JwkError::DuplicateKeyId));
    // A key for encryption is not ours to confuse.
    other["use"] = json!("enc");
    check(&text(&other), Ok((1, 1)));
    let twice = vec![RSA.jwk.clone(), RSA.jwk.clone()];
    assert_eq!(JwkSet::new(twice), Err(JwkError::DuplicateKeyId));
}

#[test]
fn unsupported_key() {
    let key = |jwk: &Jwk| jwk.key().clone();
    assert_eq!(
        Jwk::new(key(&RSA.jwk), JwsAlgorithm::Es256),
        Err(JwkError::UnsupportedKey)
    );
    assert_eq!(
        Jwk::new(key(&P256.jwk), JwsAlgorithm::Es384),
        Err(JwkError::UnsupportedKey)
    );
    assert!(Jwk::new(key(&RSA.jwk), JwsAlgorithm::Ps512).is_ok());
}

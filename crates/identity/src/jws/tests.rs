//! Compact JWS: every refusal by its name, every algorithm, and an oracle.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::json;
use waxseal_crypto::{BoxFuture, LocalSigner, PublicKey, SignatureAlgorithm};

use super::*;
use crate::testing::{Key, P256, RSA, good_claims, run};

const ALL: [JwsAlgorithm; 10] = JwsAlgorithm::ALL;

fn name(error: &JwsError) -> String {
    let text = format!("{error:?}");
    text.split([' ', '(', '{'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn check_parse(token: &str, expected: &str) {
    let found = CompactJws::parse(token).map_or_else(|error| name(&error), |_| "ok".to_owned());
    let shown: String = token.chars().take(60).collect();
    assert_eq!(found, expected, "{shown}");
}

fn check(token: &str, keys: &JwkSet, allowed: &[JwsAlgorithm], expected: &str) {
    let verdict = CompactJws::parse(token).and_then(|jws| {
        jws.verify(waxseal_crypto_aws_lc::provider(), keys, allowed)
            .map(<[u8]>::to_vec)
    });
    let found = verdict.map_or_else(|error| name(&error), |_| "ok".to_owned());
    assert_eq!(found, expected, "{token}");
}

fn with_header(header: &str) -> String {
    format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(header))
}

/// A token signed by `key` with any header.
fn signed(key: &Key, header: &serde_json::Value) -> String {
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode("{}")
    );
    let signature = key
        .signer
        .sign_now(Input::Message(input.as_bytes()))
        .unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn every_algorithm_round_trips() {
    for algorithm in [
        SignatureAlgorithm::RsaPkcs1Sha256,
        SignatureAlgorithm::EcdsaP256Sha256,
        SignatureAlgorithm::EcdsaP384Sha384,
        SignatureAlgorithm::EcdsaP521Sha512,
        SignatureAlgorithm::Ed25519,
    ] {
        let key = Key::generate(algorithm);
        check(&key.sign(b"payload"), &key.set(), &ALL, "ok");
        check(&key.sign(b""), &key.set(), &ALL, "ok");
    }
}

#[test]
fn no_jws_algorithm() {
    let provider = waxseal_crypto_aws_lc::provider();
    let algorithm = SignatureAlgorithm::EcdsaP384Sha256;
    let key = provider
        .generate(SignatureAlgorithm::EcdsaP384Sha384)
        .unwrap();
    let signer = provider.signer(&key, algorithm).unwrap();
    let error = run(sign_jws(&*signer, "id", b"")).unwrap_err();
    assert!(matches!(error, JwsSignError::NoJwsAlgorithm));
}

#[test]
fn token_too_long() {
    let filler = |length: usize| {
        format!(
            "{}.e30.{}",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#),
            "A".repeat(length)
        )
    };
    let fixed = filler(0).len();
    check_parse(&filler((MAX_TOKEN - fixed) / 4 * 4), "ok");
    check_parse(&filler(MAX_TOKEN - fixed + 1), "TokenTooLong");
    check_parse(&"A".repeat(5 * 1024 * 1024), "TokenTooLong");
}

#[test]
fn s_32_not_three_parts() {
    for token in ["", "a", "a.b", "a.b.c.d", "..."] {
        check_parse(token, "NotThreeParts");
    }
    check_parse(&".".repeat(10_000), "NotThreeParts");
    check_parse(&".".repeat(4 * 1024 * 1024), "TokenTooLong");
}

#[test]
fn header_too_long() {
    let header = |length: usize| {
        with_header(&format!(
            r#"{{"alg":"RS256","x":"{}"}}"#,
            "a".repeat(length)
        ))
    };
    check_parse(&header(MAX_HEADER - 22), "ok");
    check_parse(&header(MAX_HEADER - 21), "HeaderTooLong");
    check_parse(&header(10_000), "HeaderTooLong");
}

#[test]
fn not_base64_url() {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
    for token in [
        format!("{header}.e30=.c2ln"),
        format!("{header}.e30.c2ln\n"),
        format!(" {header}.e30.c2ln"),
        format!("{header}.e30.c2ln=="),
        format!("{header}.e31.c2ln"),
        format!("{header}.e3+.c2ln"),
        format!("{header}.e30.c2l?"),
        format!("{header}.e30.c"),
        format!("{}.e30.c2ln", URL_SAFE.encode(r#"{"alg":"RS256" }"#)),
        format!(
            "{}.e30.c2ln",
            STANDARD.encode(r#"{"alg":"RS256","x":"~~~???"}"#)
        ),
    ] {
        check_parse(&token, "NotBase64Url");
    }
}

#[test]
fn header_not_json() {
    for header in [
        "",
        "[]",
        "{",
        r#"{"alg":"RS256","alg":"RS256"}"#,
        r#"{"alg":"RS256"} "#,
    ] {
        let expected = if header.ends_with("} ") {
            "ok"
        } else {
            "HeaderNotJson"
        };
        check_parse(&with_header(header), expected);
    }
    let bytes = URL_SAFE_NO_PAD.encode(b"{\"alg\":\"RS256\",\"x\":\"\xff\"}");
    check_parse(&format!("{bytes}.e30.c2ln"), "HeaderNotJson");
    // JWS JSON serialization and JWE are not spoken at all.
    check_parse(r#"{"payload":"e30","signatures":[]}"#, "NotThreeParts");
    check_parse("a.b.c.d.e", "NotThreeParts");
}

#[test]
fn s_33_forbidden_header() {
    for member in ["crit", "jku", "jwk", "x5u", "x5c", "zip", "b64"] {
        for value in [json!("x"), json!(["exp"]), json!(false), json!(null)] {
            check_parse(
                &with_header(&json!({"alg": "RS256", member: value}).to_string()),
                "ForbiddenHeader",
            );
        }
    }
}

#[test]
fn malformed_header() {
    for header in [
        "{}",
        r#"{"alg":7}"#,
        r#"{"alg":null}"#,
        r#"{"alg":"RS256","kid":7}"#,
        r#"{"alg":"RS256","kid":null}"#,
    ] {
        check_parse(&with_header(header), "MalformedHeader");
    }
}

#[test]
fn s_35_unknown_algorithm() {
    for algorithm in [
        "none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "rs256", "ES256K", "RSA-OAEP",
        "dir", "",
    ] {
        check_parse(
            &with_header(&json!({"alg": algorithm}).to_string()),
            "UnknownAlgorithm",
        );
    }
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    check_parse(&format!("{none}.e30."), "UnknownAlgorithm");
}

#[test]
fn algorithm_not_allowed() {
    let token = RSA.sign(b"{}");
    check(&token, &RSA.set(), &[JwsAlgorithm::Rs256], "ok");
    check(
        &token,
        &RSA.set(),
        &[JwsAlgorithm::Es256],
        "AlgorithmNotAllowed",
    );
    check(&token, &RSA.set(), &[], "AlgorithmNotAllowed");
}

#[test]
fn unknown_key() {
    check(&P256.sign(b"{}"), &RSA.set(), &ALL, "UnknownKey");
    check(&P256.sign(b"{}"), &JwkSet::default(), &ALL, "UnknownKey");
}

#[test]
fn ambiguous_key() {
    let token = signed(&RSA, &json!({"alg": "RS256"}));
    check(&token, &RSA.set(), &ALL, "ok");
    let both = JwkSet::new(vec![RSA.jwk.clone(), P256.jwk.clone()]).unwrap();
    check(&token, &both, &ALL, "ok");
    let other = Key::generate(SignatureAlgorithm::RsaPkcs1Sha256);
    let two = JwkSet::new(vec![RSA.jwk.clone(), other.jwk]).unwrap();
    check(&token, &two, &ALL, "AmbiguousKey");
    check(&token, &P256.set(), &ALL, "AmbiguousKey");
}

#[test]
fn s_35_algorithm_mismatch() {
    // The RS256 key named by an ES256 token, and the other way round.
    let kid = RSA.jwk.key_id().unwrap();
    for algorithm in ["ES256", "EdDSA", "PS256", "RS384"] {
        check(
            &signed(&RSA, &json!({"alg": algorithm, "kid": kid})),
            &RSA.set(),
            &ALL,
            "AlgorithmMismatch",
        );
    }
    let kid = P256.jwk.key_id().unwrap();
    for algorithm in ["RS256", "ES384", "EdDSA"] {
        check(
            &signed(&P256, &json!({"alg": algorithm, "kid": kid})),
            &P256.set(),
            &ALL,
            "AlgorithmMismatch",
        );
    }
}

#[test]
fn signature() {
    let token = RSA.sign(good_claims().to_string().as_bytes());
    let (input, good) = token.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(good).unwrap();
    for at in [0, 100, 255] {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        check(
            &format!("{input}.{}", URL_SAFE_NO_PAD.encode(bad)),
            &RSA.set(),
            &ALL,
            "Signature",
        );
    }
    check(&format!("{input}."), &RSA.set(), &ALL, "Signature");
    // Another key under the same id.
    let other = Key::generate(SignatureAlgorithm::RsaPkcs1Sha256);
    let header = json!({"alg": "RS256", "kid": RSA.jwk.key_id()});
    check(&signed(&other, &header), &RSA.set(), &ALL, "Signature");
    // ECDSA in DER, which JOSE does not use.
    check(
        &signed(&P256, &json!({"alg": "ES256", "kid": P256.jwk.key_id()})),
        &P256.set(),
        &ALL,
        "Signature",
    );
}

/// A P-256 key whose signatures are not DER.
struct Careless(Box<dyn LocalSigner>);

impl Signer for Careless {
    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }

    fn sign<'a>(&'a self, _: Input<'a>) -> BoxFuture<'a, Result<Vec<u8>, SignError>> {
        Box::pin(async { Ok(vec![0; 64]) })
    }
}

#[test]
fn malformed_signature() {
    let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
    let key = waxseal_crypto_aws_lc::provider()
        .generate(algorithm)
        .unwrap();
    let signer = waxseal_crypto_aws_lc::provider()
        .signer(&key, algorithm)
        .unwrap();
    let error = run(sign_jws(&Careless(signer), "k", b"{}")).unwrap_err();
    assert!(
        matches!(error, JwsSignError::MalformedSignature),
        "{error:?}"
    );
}

#[test]
fn jsonwebtoken_agrees() {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

    jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER
        .install_default()
        .ok();
    let mut claims = good_claims();
    claims["exp"] = json!(32_503_680_000_i64);
    for (key, algorithm) in [(&*RSA, Algorithm::RS256), (&*P256, Algorithm::ES256)] {
        let token = key.sign(claims.to_string().as_bytes());
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.jwk.to_json()).unwrap();
        let decoding = DecodingKey::from_jwk(&jwk).unwrap();
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&["sigstore"]);
        let accepts =
            |token: &str| decode::<serde_json::Value>(token, &decoding, &validation).is_ok();
        assert!(accepts(&token));
        check(&token, &key.set(), &ALL, "ok");
        // Both say the same of every token with one byte changed.
        let allowed = [key.jwk.algorithm().unwrap()];
        for at in (0..token.len()).step_by(7) {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            let ours = CompactJws::parse(&changed)
                .and_then(|jws| {
                    jws.verify(waxseal_crypto_aws_lc::provider(), &key.set(), &allowed)
                        .map(|_| ())
                })
                .is_ok();
            assert!(!ours && !accepts(&changed), "byte {at}");
        }
    }
}

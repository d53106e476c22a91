//! Identity tokens, the keys of their issuers, and what a login is given.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use waxseal_crypto::SignatureAlgorithm;
use waxseal_identity::{
    CompactJws, Discovery, EmailAddress, IdentityToken, Jwk, JwkSet, JwsAlgorithm, parse_json,
};

use crate::virtual_sigstore::{ISSUER, key, provider};

/// `{"alg":"RS256","kid":"k"}`, claims of an e-mail login, three bytes of a signature.
pub(super) const TOKEN: &[u8] = b"eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.\
eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlL2F1dGgiLCJzdWIiOiJzIiwiYXVkIjoic2lnc3RvcmUiLCJleHAiOjE4MDAwMDAwMDAsImlhdCI6MTcwMDAwMDAwMCwiZW1haWwiOiJhQGIuYyIsImVtYWlsX3ZlcmlmaWVkIjp0cnVlfQ.\
AAAA";

fn keys() -> JwkSet {
    let signer = key(SignatureAlgorithm::EcdsaP256Sha256);
    let known = Jwk::new(signer.public_key().clone(), JwsAlgorithm::Es256).unwrap();
    JwkSet::new(vec![known]).unwrap()
}

pub(super) fn token_seeds() -> Vec<Vec<u8>> {
    let claims = r#"{"iss":"https://idp.example","sub":"s","aud":["sigstore"],"exp":1800000000}"#;
    vec![
        TOKEN.to_vec(),
        b"alice@example.com".to_vec(),
        claims.as_bytes().to_vec(),
    ]
}

pub(super) fn read_token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    drop(IdentityToken::parse(text));
    // The claims inside, which are read before anybody has checked a signature.
    let claims = URL_SAFE_NO_PAD.encode(text);
    drop(IdentityToken::parse(&format!(
        "eyJhbGciOiJFUzI1NiJ9.{claims}.AAAA"
    )));
    if let Ok(jws) = CompactJws::parse(text) {
        static KEYS: LazyLock<JwkSet> = LazyLock::new(keys);
        drop(jws.verify(provider(), &KEYS, &[JwsAlgorithm::Es256]));
    }
    if let Ok(address) = EmailAddress::parse(text) {
        let again = EmailAddress::parse(address.normalized().as_str());
        assert!(again.is_ok(), "a normalized address is an address");
    }
}

pub(super) fn key_seeds() -> Vec<Vec<u8>> {
    let keys = keys().to_json().to_string();
    let document = format!(
        r#"{{"issuer":"{ISSUER}","authorization_endpoint":"{ISSUER}/auth","token_endpoint":"{ISSUER}/token","jwks_uri":"{ISSUER}/keys","response_types_supported":["code"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["RS256"]}}"#
    );
    vec![keys.into_bytes(), document.into_bytes()]
}

pub(super) fn read_keys(bytes: &[u8]) {
    drop(parse_json(bytes, 1 << 20));
    if let Ok(keys) = JwkSet::parse(bytes) {
        let again = JwkSet::parse(keys.to_json().to_string().as_bytes());
        assert!(again.is_ok(), "a set of keys changed");
    }
    drop(Discovery::parse(bytes, ISSUER));
}

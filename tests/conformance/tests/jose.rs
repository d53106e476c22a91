//! Wycheproof's JSON Web Signature and JSON Web Key vectors through `waxseal-identity`.
//!
//! A vector passes if we accept what is valid and refuse what is invalid. Where the two differ,
//! the row is here with its reason, and an exception that heals fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use waxseal_identity::{CompactJws, JwkSet, JwsAlgorithm};

/// Signature vectors and key vectors.
const VECTORS: usize = 401 + 26;

/// What differs on purpose: file, first and last test id, what Wycheproof says, reason.
const EXCEPTIONS: &[(&str, u64, u64, &str, &str)] = &[
    (SIGNATURES, 1, 1, "valid", HMAC),
    (
        SIGNATURES,
        346,
        346,
        "valid",
        "the key is reserved for PS256, the token says PS384",
    ),
    (
        SIGNATURES,
        347,
        347,
        "valid",
        "the key's algorithm is ES521, which JOSE does not have",
    ),
    (SIGNATURES, 348, 348, "valid", HMAC),
    (
        SIGNATURES,
        350,
        350,
        "valid",
        "the key is reserved for PS256, the token says PS384",
    ),
    (
        SIGNATURES,
        351,
        351,
        "valid",
        "the key's algorithm is ES521, which JOSE does not have",
    ),
    (SIGNATURES, 352, 352, "valid", HMAC),
    (SIGNATURES, 357, 361, "valid", HMAC),
    (SIGNATURES, 372, 373, "valid", HMAC),
    (SIGNATURES, 376, 377, "valid", HMAC),
    (KEYS, 2, 2, "valid", HMAC),
    (
        KEYS,
        7,
        7,
        "invalid",
        "the ROCA fingerprint is checked on subscribers' keys, by the CA",
    ),
    (KEYS, 13, 15, "valid", HMAC),
];

const SIGNATURES: &str = "json_web_signature_test.json";
const KEYS: &str = "json_web_key_test.json";
const HMAC: &str = "an HMAC: an identity token is never verified with a shared secret";

fn main() -> ExitCode {
    waxseal_tests_conformance::run("jose", VECTORS, |folder| {
        [SIGNATURES, KEYS]
            .into_iter()
            .flat_map(|file| trials(folder, file))
            .collect()
    })
}

fn trials(folder: &Path, file: &'static str) -> Vec<Trial> {
    let text = std::fs::read(folder.join(file)).unwrap();
    let corpus: Value = serde_json::from_slice(&text).unwrap();
    let mut trials = Vec::new();
    for group in corpus["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        let set = match key.get("keys") {
            Some(_) => key.to_string(),
            None => json!({ "keys": [key] }).to_string(),
        };
        for test in group["tests"].as_array().unwrap() {
            let (set, test) = (set.clone(), test.clone());
            let id = test["tcId"].as_u64().unwrap();
            let comment = test["comment"].as_str().unwrap();
            let name = format!("{file} {id} {comment}");
            trials.push(Trial::test(name, move || check(file, id, &set, &test)));
        }
    }
    trials
}

fn check(file: &str, id: u64, set: &str, test: &Value) -> Result<(), Failed> {
    let says = test["result"].as_str().unwrap();
    let accepted = accepts(set, test["jws"].as_str());
    let agrees = accepted == (says == "valid");
    let exception = EXCEPTIONS.iter().find(|(of, first, last, result, _)| {
        *of == file && (*first..=*last).contains(&id) && *result == says
    });
    match (agrees, exception) {
        (true, None) | (false, Some(_)) => Ok(()),
        (true, Some((.., reason))) => {
            Err(format!("healed, no longer an exception: {reason}").into())
        }
        (false, None) => Err(format!("expected {says}, accepted: {accepted}").into()),
    }
}

/// Whether one of the set's keys verifies the token, whatever algorithm it names.
fn accepts(set: &str, token: Option<&str>) -> bool {
    let (Ok(set), Some(token)) = (JwkSet::parse(set.as_bytes()), token) else {
        return false;
    };
    let verdicts = [
        waxseal_crypto_aws_lc::provider(),
        waxseal_crypto_rustcrypto::provider(),
    ]
    .map(|provider| {
        let jws = CompactJws::parse(token);
        jws.is_ok_and(|jws| jws.verify(provider, &set, &JwsAlgorithm::ALL).is_ok())
    });
    assert_eq!(verdicts[0], verdicts[1], "the providers disagree");
    verdicts[0]
}

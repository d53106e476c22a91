//! CCTV `ed25519`: 914 edge cases, built so that verifiers disagree. Ours may not: both accept
//! exactly the same ones, and none with a key or an `R` of small order or in non-canonical form.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Failed, Trial};
use serde::Deserialize;
use waxseal_crypto::{CryptoProvider, Input, KeyKind, PublicKey, SignatureAlgorithm};

const VECTORS: usize = 914;

#[derive(Deserialize)]
struct Vector {
    number: usize,
    key: String,
    sig: String,
    msg: String,
    flags: Option<Vec<String>>,
}

/// What strict verification without the cofactor refuses. A component of small order alone is no
/// flaw; a residue is one, since then `[S]B = R + [k]A` does not hold.
const REFUSED: [&str; 5] = [
    "low_order_A",
    "low_order_R",
    "non_canonical_A",
    "non_canonical_R",
    "low_order_residue",
];

fn main() -> ExitCode {
    waxseal_tests_conformance::run("ed25519", VECTORS, load)
}

fn load(folder: &Path) -> Vec<Trial> {
    let text = std::fs::read_to_string(folder.join("ed25519vectors.json")).unwrap();
    let vectors: Vec<Vector> = serde_json::from_str(&text).unwrap();
    vectors.into_iter().map(trial).collect()
}

fn trial(vector: Vector) -> Trial {
    Trial::test(format!("{:03}", vector.number), move || {
        let flags = vector.flags.as_deref().unwrap_or_default();
        let expected = !flags.iter().any(|flag| REFUSED.contains(&flag.as_str()));
        for provider in [
            waxseal_crypto_aws_lc::provider(),
            waxseal_crypto_rustcrypto::provider(),
        ] {
            if accepts(provider, &vector) != expected {
                let refused = if expected { "refused" } else { "accepted" };
                return Err(Failed::from(format!("{provider:?} {refused} {flags:?}")));
            }
        }
        Ok(())
    })
}

fn accepts(provider: CryptoProvider, vector: &Vector) -> bool {
    let key = hex::decode(&vector.key).unwrap();
    let key = PublicKey::from_key_bytes(KeyKind::Ed25519, &key).unwrap();
    let signature = hex::decode(&vector.sig).unwrap();
    let input = Input::Message(vector.msg.as_bytes());
    provider
        .verify(&key, SignatureAlgorithm::Ed25519, input, &signature)
        .is_ok()
}

//! The public conformance suite: every bundle by path and by digest, and every refusal for its own
//! reason (`bundles.toml`).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Failed, Trial};
use waxseal_crypto::{Digest, HashAlgorithm, PublicKey, Time};
use waxseal_formats::{Bundle, TrustedRoot};
use waxseal_tests_conformance::run;
use waxseal_verify::{Artifact, IdentityRule, ValidFor, VerificationPolicy, Verifier};

/// The suite's own signer (its `conftest`), in every case that has a certificate.
const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
/// Later than every bundle of the suite.
const NOW: &str = "2026-11-25T00:00:00Z";
/// 48 folders, each by path and by digest.
const TRIALS: usize = 96;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    error: Option<String>,
    #[serde(rename = "why")]
    _why: Option<String>,
}

fn main() -> ExitCode {
    run("sigstore-conformance/bundle-verify", TRIALS, |root| {
        let table: BTreeMap<String, Expected> =
            toml::from_str(include_str!("bundles.toml")).unwrap();
        let mut folders: Vec<_> = fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        let names: Vec<_> = folders.iter().map(|path| name_of(path)).collect();
        let stale: Vec<_> = table.keys().filter(|name| !names.contains(name)).collect();
        assert!(
            stale.is_empty(),
            "the table has cases that the suite has not: {stale:?}"
        );
        folders
            .into_iter()
            .flat_map(|folder| {
                let name = name_of(&folder);
                let expected = table
                    .get(&name)
                    .expect("a row for every case")
                    .error
                    .clone();
                [false, true].map(|by_digest| {
                    let (folder, expected) = (folder.clone(), expected.clone());
                    let how = if by_digest { "by digest" } else { "by path" };
                    Trial::test(format!("{name} {how}"), move || {
                        check(&folder, by_digest, expected.as_deref())
                    })
                })
            })
            .collect()
    })
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

fn check(folder: &Path, by_digest: bool, expected: Option<&str>) -> Result<(), Failed> {
    let found = verify(folder, by_digest);
    if found.as_ref().err().map(|(code, _)| code.as_str()) == expected {
        return Ok(());
    }
    Err(Failed::from(format!(
        "expected {expected:?}, found {found:?}"
    )))
}

/// The code of the rule that was broken, and its message.
fn verify(folder: &Path, by_digest: bool) -> Result<(), (String, String)> {
    let artifact_path = folder.join("artifact");
    let artifact = if artifact_path.exists() {
        fs::read(artifact_path).unwrap()
    } else {
        fs::read(folder.parent().unwrap().join("a.txt")).unwrap()
    };
    let artifact = if by_digest {
        Artifact::digest(Digest::of(HashAlgorithm::Sha256, &artifact))
    } else {
        Artifact::bytes(&artifact)
    };
    let root = folder.join("trusted_root.json");
    let root = if root.exists() {
        TrustedRoot::from_json(&fs::read(root).unwrap()).unwrap()
    } else {
        TrustedRoot::public_good()
    };
    let key = folder.join("key.pub");
    let policy = if key.exists() {
        let key = PublicKey::from_pem(&fs::read_to_string(key).unwrap()).unwrap();
        VerificationPolicy::key(key, ValidFor::always())
    } else {
        VerificationPolicy::identity(IdentityRule::new(IDENTITY, ISSUER))
    };
    let bundle = Bundle::from_json(&fs::read(folder.join("bundle.sigstore.json")).unwrap())
        .map_err(|error| (format!("bundle:{}", variant(&error)), error.to_string()))?;
    let verifier = Verifier::new(waxseal_crypto_aws_lc::provider(), &root).unwrap();
    let now = Time::parse_rfc3339(NOW).unwrap();
    match verifier.verify(artifact, &bundle, &policy, now) {
        Ok(verified) => {
            serde_json::to_string(&verified).unwrap();
            Ok(())
        }
        Err(error) => Err((error.code().to_owned(), error.to_string())),
    }
}

fn variant(error: &impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    text.chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect()
}

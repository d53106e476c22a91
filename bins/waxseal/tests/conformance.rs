//! The public bundle vectors through the binary, each by path and by digest: exit codes.
//!
//! Which rule refuses each bundle is pinned in `tests/conformance`; here it is that the verdict
//! reaches the exit code.

#![allow(
    clippy::unwrap_used,
    reason = "a vector that cannot be read fails the test"
)]

use std::path::Path;
use std::process::{Command, ExitCode};

use libtest_mimic::{Failed, Trial};
use waxseal_crypto::{Digest, HashAlgorithm};

const CASES: usize = 48;
const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

fn main() -> ExitCode {
    let folder = "sigstore-conformance/bundle-verify";
    waxseal_tests_conformance::run(folder, 2 * CASES, |path| {
        let mut folders: Vec<_> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        let both = folders.into_iter().flat_map(|folder| {
            [false, true].map(|by_digest| {
                let name = folder.file_name().unwrap().to_string_lossy().into_owned();
                let how = if by_digest { "digest" } else { "path" };
                let folder = folder.clone();
                Trial::test(format!("{name} by {how}"), move || {
                    check(&folder, &name, by_digest)
                })
            })
        });
        both.collect()
    })
}

fn check(folder: &Path, name: &str, by_digest: bool) -> Result<(), Failed> {
    let text = |file: &str, default: &str| {
        std::fs::read_to_string(folder.join(file))
            .map_or_else(|_| default.to_owned(), |text| text.trim().to_owned())
    };
    let mut artifact = folder.join("artifact");
    if !artifact.exists() {
        artifact = folder.parent().unwrap().join("a.txt");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_waxseal"));
    command
        .arg("verify")
        .arg("--json")
        .arg("--bundle")
        .arg(folder.join("bundle.sigstore.json"));
    if by_digest {
        let bytes = std::fs::read(&artifact).unwrap();
        command.arg(Digest::of(HashAlgorithm::Sha256, &bytes).to_string());
    } else {
        command.arg(&artifact);
    }
    let key = folder.join("key.pub");
    if key.exists() {
        command.arg("--key").arg(key);
    } else {
        command.args(["--identity", &text("identity", IDENTITY)]);
        command.args(["--issuer", &text("issuer", ISSUER)]);
    }
    let root = folder.join("trusted_root.json");
    if root.exists() {
        command.arg("--trusted-root").arg(root);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let object: serde_json::Value = serde_json::from_str(&said)
        .map_err(|error| format!("{error}: {said}{}", String::from_utf8_lossy(&output.stderr)))?;
    let refused = name.ends_with("_fail");
    let code = output.status.code().unwrap_or(-1);
    let fits = if refused {
        matches!(code, 3 | 4 | 6 | 7)
    } else {
        code == 0
    };
    let named = object
        .pointer("/error/code")
        .is_some_and(serde_json::Value::is_string);
    if fits && named == refused {
        Ok(())
    } else {
        Err(Failed::from(format!("exit code {code}: {said}")))
    }
}

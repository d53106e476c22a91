//! The bundles of sigstore-conformance through the reader and the writer: which are refused for
//! their structure alone, that the others are written and read back, and that the canonical
//! bodies of version 0.0.2 are made again byte for byte.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Failed, Trial};
use waxseal_formats::entry::Body;
use waxseal_formats::{Bundle, BundleError, TrustedRoot};
use waxseal_tests_conformance::run;

/// The cases whose structure is refused, each by its own rule.
fn refusal(case: &str) -> Option<BundleError> {
    match case {
        "bundle-empty-certificate-chain_fail" => Some(BundleError::EmptyChain),
        "bundle-negative-log-index_fail" => Some(BundleError::Negative {
            entry: 0,
            field: "logIndex",
        }),
        "bundle-unknown-version_fail" => Some(BundleError::MediaType {
            media_type: "application/vnd.dev.sigstore.bundle+json;version=99.9".into(),
        }),
        "intoto-missing-inclusion-proof_fail" | "rekor2-no-inclusion-proof_fail" => {
            Some(BundleError::ProofMissing { entry: 0 })
        }
        _ => None,
    }
}

/// Cases with an entry of version 0.0.2, whose body is made again.
const MADE_AGAIN: usize = 15;

fn main() -> ExitCode {
    // 48 cases, one trial for what is made again
    run("sigstore-conformance", 48 + 1, |folder| {
        load(&folder.join("bundle-verify"))
    })
}

fn load(folder: &Path) -> Vec<Trial> {
    let mut made_again = 0;
    let mut trials = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let case = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read(path.join("bundle.sigstore.json")).unwrap();
        let root = std::fs::read(path.join("trusted_root.json")).ok();
        made_again += Bundle::from_json(&text).map_or(0, |bundle| bodies_of_v2(&bundle).len());
        trials.push(Trial::test(case.clone(), move || {
            check(&case, &text)?;
            root.map_or(Ok(()), |root| check_root(&root))
        }));
    }
    trials.push(Trial::test("the count of bodies made again", move || {
        same(&made_again, &MADE_AGAIN)
    }));
    trials
}

fn check(case: &str, text: &[u8]) -> Result<(), Failed> {
    let bundle = match (Bundle::from_json(text), refusal(case)) {
        (Err(error), Some(expected)) => return same(&error, &expected),
        (read, None) => read?,
        (Ok(_), Some(expected)) => {
            return Err(Failed::from(format!("read, expected {expected:?}")));
        }
    };
    let written = bundle.to_json();
    same(&Bundle::from_json(written.as_bytes())?, &bundle)?;
    for (body, stored) in bodies_of_v2(&bundle) {
        same(&body, &stored)?;
    }
    Ok(())
}

fn check_root(text: &[u8]) -> Result<(), Failed> {
    let root = TrustedRoot::from_json(text)?;
    same(&TrustedRoot::from_json(root.to_json().as_bytes())?, &root)
}

/// The bodies that this crate can encode, beside the bytes that the log stored.
fn bodies_of_v2(bundle: &Bundle) -> Vec<(Vec<u8>, Vec<u8>)> {
    let entries = bundle.material.tlog_entries.iter();
    entries
        .filter_map(|entry| {
            let stored = &entry.canonicalized_body;
            let body = Body::parse(&entry.kind, &entry.version, stored).ok()?;
            Some((body.encode_canonical()?, stored.clone()))
        })
        .collect()
}

fn same<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T) -> Result<(), Failed> {
    if found == expected {
        Ok(())
    } else {
        Err(Failed::from(format!(
            "expected {expected:?}, found {found:?}"
        )))
    }
}

//! x509-limbo: paths that must be found, and paths that must not be.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde::Deserialize;
use waxseal_crypto::{Pem, Time};
use waxseal_pki::{Certificate, PathSearch, Purpose, SubjectAltName};

/// How many cases there are, those that are skipped included.
const CASES: usize = 208;

/// At most 15 % may be skipped, each for the name of a feature that is not there.
const MAX_SKIPPED: usize = 31;

/// No search takes longer (K-07); builds for debugging are given more.
const BUDGET: Duration = Duration::from_millis(if cfg!(debug_assertions) { 3000 } else { 50 });

/// The cases that are skipped: feature → cases.
const SKIPPED: &str = include_str!("limbo.toml");

#[derive(Deserialize)]
struct Limbo {
    testcases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    validation_kind: String,
    trusted_certs: Vec<String>,
    untrusted_intermediates: Vec<String>,
    peer_certificate: String,
    validation_time: Option<String>,
    expected_result: String,
    expected_peer_name: Option<PeerName>,
    expected_peer_names: Vec<PeerName>,
    max_chain_depth: Option<usize>,
}

#[derive(Deserialize)]
struct PeerName {
    kind: String,
    value: String,
}

/// Where a case says nothing about the time.
const TIME: &str = "2026-01-01T00:00:00Z";

fn verify(case: &Case) -> Result<(), String> {
    let der = |text: &String| Pem::parse(text).map(|block| block.der);
    let ders = |texts: &[String]| {
        texts
            .iter()
            .map(der)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.to_string())
    };
    let (anchors, intermediates) = (
        ders(&case.trusted_certs)?,
        ders(&case.untrusted_intermediates)?,
    );
    let leaf = der(&case.peer_certificate).map_err(|error| error.to_string())?;
    let anchors: Vec<&[u8]> = anchors.iter().map(Vec::as_slice).collect();
    let intermediates: Vec<&[u8]> = intermediates.iter().map(Vec::as_slice).collect();
    let time = Time::parse_rfc3339(case.validation_time.as_deref().unwrap_or(TIME)).unwrap();
    let purpose = match case.validation_kind.as_str() {
        "SERVER" => Purpose::ServerAuth,
        "CLIENT" => Purpose::ClientAuth,
        other => panic!("unknown kind {other}"),
    };
    let provider = waxseal_crypto_aws_lc::provider();
    let mut search = PathSearch::new(provider, &anchors, &intermediates, time, purpose);
    search.max_intermediates = case.max_chain_depth;
    let found = match &case.expected_peer_name {
        Some(name) => search.find_for_host(&leaf, &name.value),
        None => search.find(&leaf),
    };
    found.map_err(|error| error.to_string())?;
    let leaf = Certificate::parse(leaf).unwrap();
    for name in &case.expected_peer_names {
        assert_eq!(name.kind, "RFC822");
        if !leaf
            .subject_alt_names()
            .contains(&SubjectAltName::Email(name.value.clone()))
        {
            return Err(format!("{} is not in the certificate", name.value));
        }
    }
    Ok(())
}

fn check(case: &Case) -> Result<(), Failed> {
    let start = Instant::now();
    let found = verify(case);
    let taken = start.elapsed();
    if taken > BUDGET {
        return Err(format!("took {taken:?}").into());
    }
    match (case.expected_result.as_str(), found) {
        ("SUCCESS", Ok(())) | ("FAILURE", Err(_)) => Ok(()),
        ("SUCCESS", Err(error)) => Err(error.into()),
        ("FAILURE", Ok(())) => Err("a path was found".into()),
        (other, _) => panic!("unknown result {other}"),
    }
}

/// A skipped case must go wrong: one that heals is taken off the list.
fn check_skipped(case: &Case) -> Result<(), Failed> {
    match check(case) {
        Ok(()) => Err("it passes: take it off the list".into()),
        Err(_) => Ok(()),
    }
}

fn main() -> ExitCode {
    let skipped: BTreeMap<String, Vec<String>> = toml::from_str(SKIPPED).unwrap();
    let skipped: Vec<String> = skipped.into_values().flatten().collect();
    waxseal_tests_conformance::run("x509-limbo", CASES + 1, |folder| {
        let text = std::fs::read(folder.join("limbo.json")).unwrap();
        let limbo: Limbo = serde_json::from_slice(&text).unwrap();
        let known = skipped.clone();
        let ids: Vec<_> = limbo.testcases.iter().map(|case| case.id.clone()).collect();
        let list = Trial::test("the list of skipped cases", move || {
            match known.iter().find(|id| !ids.contains(id)) {
                Some(id) => Err(format!("there is no case {id}").into()),
                None if known.len() > MAX_SKIPPED => {
                    Err(format!("{} of at most {MAX_SKIPPED} skipped", known.len()).into())
                }
                None => Ok(()),
            }
        });
        let mut trials = vec![list];
        trials.extend(limbo.testcases.into_iter().map(|case| {
            let name = case.id.clone();
            if skipped.contains(&name) {
                Trial::test(format!("skipped: {name}"), move || check_skipped(&case))
            } else {
                Trial::test(name, move || check(&case))
            }
        }));
        trials
    })
}

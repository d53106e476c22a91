//! Entries of the public logs of version 2, by golden values: leaf, root, key id. Every one of the
//! suite's bundles of such a log is here, the bad ones too: of those, what is good about them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::path::Path;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use waxseal_crypto::PublicKey;
use waxseal_formats::TrustedRoot;
use waxseal_tests_conformance::run;
use waxseal_tlog::{
    Checkpoint, Hash, InclusionProof, KeyId, KeyName, LogKey, NoteKey, SignatureKind, SignedNote,
    leaf_hash,
};

const ALPHA1: &str = "log2025-alpha1.rekor.sigstage.dev";
const ALPHA3: &str = "log2025-alpha3.rekor.sigstage.dev";

/// What an entry is, and whether its checkpoint opens with the log's key.
struct Golden {
    case: &'static str,
    log: (&'static str, &'static str),
    index: u64,
    leaf: &'static str,
    root: &'static str,
    opens: bool,
}

const fn golden(case: &'static str, opens: bool) -> Golden {
    Golden {
        case,
        log: (ALPHA1, "f30d5a99"),
        index: 735,
        leaf: "78470eff2921878c2141726b650bf349099c37850a731f287a6accf35d40441f",
        root: "rs1YPY0ydAV0lxgfrq5pE4oRpUJwo3syeps5+eGUTDI=",
        opens,
    }
}

const fn other(case: &'static str, index: u64, leaf: &'static str, root: &'static str) -> Golden {
    Golden {
        index,
        leaf,
        root,
        ..golden(case, true)
    }
}

const fn envelope(case: &'static str) -> Golden {
    Golden {
        log: (ALPHA3, "d3d3a70c"),
        ..other(
            case,
            4_026_478,
            "fe40655a0f968947de630c778c0f68bd52c68a40c5a25fc1a3a4edd6ab3c2f99",
            "5iaX4xK6PMnp4ZFTP4iywMcwLgaTjzgRTkrTOUFIrfY=",
        )
    }
}

const GOLDEN: [Golden; 15] = [
    golden("rekor2-happy-path", true),
    golden("rekor2-checkpoint-multiple-cosigs", true),
    golden("rekor2-checkpoint-two-sigs-from-origin", true),
    golden("rekor2-timestamp-with-incorrect-time_fail", true),
    golden("rekor2-checkpoint-missing-log-signature_fail", false),
    golden("rekor2-checkpoint-missing-root-hash_fail", false),
    golden("rekor2-checkpoint-missing-size_fail", false),
    golden("rekor2-checkpoint-no-matching-signature_fail", false),
    golden("rekor2-no-inclusion-proof_fail", false),
    envelope("rekor2-dsse-happy-path"),
    envelope("rekor2-dsse-mismatch-sig_fail"),
    other(
        "rekor2-timestamp-outside-tsa-cert-validity_fail",
        32_513,
        "8c50304abae3c269038072ab6561d1e5bb15996a94596acc9ba411d385d2af5b",
        "/lf5Ht/PfEDnGtmkjA5gtGDauW2bgKjDZoZa0tbK7Tk=",
    ),
    other(
        "rekor2-timestamp-payload-mismatch_fail",
        5_864,
        "960d596d8b38bef2c5042bf1878e0ff0072a6b52fe74ca6eef4f26b2d586390e",
        "MXdgbdyekWzOf8BPkS7+tjtj8PkCPDs7SUtzxIvd7P4=",
    ),
    other(
        "rekor2-timestamp-with-expired-cert-chain",
        32_511,
        "d5b4df45a0976c1b461ffb3f074e9592b1648fcbe9400701a5a36d11664d8eba",
        "iiE2t9FbzTZnYcy5EFDbIZKNX2u900uYH5p4X+p+Yq0=",
    ),
    other(
        "rekor2-timestamp-without-embedded-cert",
        29_472,
        "ee4c311f691b03e94f5cf2c8d715448e3a5d065940eba01dac15f88ceee2130c",
        "QhmIerM0/llqWWAWtEAInIMwCTCYnsHHKmk0DGKl/bc=",
    ),
];

fn main() -> ExitCode {
    // The bundles, and that there are no others.
    run("sigstore-conformance/bundle-verify", 15 + 1, load)
}

fn load(folder: &Path) -> Vec<Trial> {
    let mut trials: Vec<_> = GOLDEN
        .iter()
        .map(|golden| {
            let folder = folder.join(golden.case);
            Trial::test(golden.case, move || check(&folder, golden))
        })
        .collect();
    let folder = folder.to_owned();
    trials.push(Trial::test(
        "every bundle of a log of version 2",
        move || {
            let names = std::fs::read_dir(folder)?.flatten();
            let all = names.filter(|one| one.file_name().to_string_lossy().starts_with("rekor2-"));
            same(&all.count(), &GOLDEN.len())
        },
    ));
    trials
}

fn check(folder: &Path, golden: &Golden) -> Result<(), Failed> {
    let text = std::fs::read(folder.join("bundle.sigstore.json"))?;
    // Not by our reader of bundles, which refuses some of them for other reasons.
    let bundle: Value = serde_json::from_slice(&text)?;
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    same(&entry["logIndex"], &golden.index.to_string().into())?;
    let leaf = leaf_hash(&bytes(&entry["canonicalizedBody"]));
    same(&hex::encode(leaf).as_str(), &golden.leaf)?;
    let (name, id) = golden.log;
    let key = log_key(folder, name)?;
    same(&key.key.key_id().to_string().as_str(), &id)?;
    let log_id = bytes(&entry["logId"]["keyId"]);
    same(&KeyId::from_prefix(&log_id), &Some(key.key.key_id()))?;
    let proof = &entry["inclusionProof"];
    if proof.is_null() {
        return same(&golden.opens, &false);
    }
    let root: Hash = STANDARD.decode(golden.root)?.try_into().unwrap();
    let hashes = proof["hashes"].as_array().unwrap().iter();
    let walked = InclusionProof {
        leaf_index: golden.index,
        tree_size: golden.index + 1,
        hashes: hashes.map(|hash| bytes(hash).try_into().unwrap()).collect(),
    };
    walked.check(&leaf, &root)?;
    let note = proof["checkpoint"]["envelope"].as_str().unwrap();
    let opened = SignedNote::parse(note)
        .ok()
        .and_then(|note| Checkpoint::open(&note, &key, &[]).ok());
    same(&opened.is_some(), &golden.opens)?;
    match opened {
        Some(opened) => same(
            &(opened.tree_size(), opened.root_hash()),
            &(golden.index + 1, &root),
        ),
        None => Ok(()),
    }
}

/// The log's key in the trusted root of the case, by the id that follows from it.
fn log_key(folder: &Path, name: &str) -> Result<LogKey, Failed> {
    let root = TrustedRoot::from_json(&std::fs::read(folder.join("trusted_root.json"))?)?;
    let url = format!("https://{name}");
    let mut logs = root.tlogs.iter();
    let log = logs
        .find(|log| log.base_url == url)
        .ok_or_else(|| format!("no log {name}"))?;
    let key = PublicKey::from_spki_der(&log.public_key.raw_bytes)?;
    let provider = waxseal_crypto_aws_lc::provider();
    let key = NoteKey::new(provider, KeyName::new(name)?, SignatureKind::Ed25519, &key)?;
    same(&key.log_id().to_vec(), &log.log_id)?;
    Ok(LogKey::new(key))
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn same<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T) -> Result<(), Failed> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("found {found:?}, expected {expected:?}").into())
    }
}

//! `waxseal inspect`: what is recognised, and that nothing of it is said to be true.

use waxseal_crypto::{SignatureAlgorithm, Signer, Time};
use waxseal_crypto_aws_lc::provider;
use waxseal_tlog::{CheckpointText, KeyName, NoteSigner, Origin, SignatureKind, SignedNote};

use crate::made::Made;
use crate::run::waxseal;

const LOG: &str = "log.example/inspected";

fn signer(name: &str, kind: SignatureKind) -> NoteSigner {
    let algorithm = match kind {
        SignatureKind::MlDsa44 => SignatureAlgorithm::MlDsa44,
        SignatureKind::Ecdsa => SignatureAlgorithm::EcdsaP256Sha256,
        _ => SignatureAlgorithm::Ed25519,
    };
    let key = provider().generate(algorithm).unwrap();
    let signer: Box<dyn Signer> = provider().signer(&key, algorithm).unwrap();
    NoteSigner::new(KeyName::new(name).unwrap(), kind, signer.into()).unwrap()
}

fn vkey(signer: &NoteSigner) -> String {
    signer.note_key(provider()).unwrap().to_vkey()
}

/// A checkpoint with these lines.
fn checkpoint(size: u64, signers: &[&NoteSigner]) -> SignedNote {
    let text = CheckpointText::new(Origin::new(LOG).unwrap(), size, [7; 32]).to_string();
    let time = Time::from_unix(1_700_000_000).unwrap();
    let signed = waxseal_tlog::sign_note(&text, time, signers);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(signed).unwrap()
}

/// What is said of each line of `note` with these keys, the exit code and the error's code.
fn statuses(note: &str, keys: &[&NoteSigner]) -> (Vec<String>, i32, Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("checkpoint"), note).unwrap();
    let keys: Vec<_> = keys.iter().map(|key| vkey(key)).collect();
    let mut arguments = vec!["inspect", "--json", "checkpoint"];
    for key in &keys {
        arguments.extend(["--key", key]);
    }
    let ran = waxseal(folder.path(), arguments.clone());
    let object: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(object["ok"], ran.code == 0, "{object}");
    let lines = object["contents"]["signatures"].as_array().unwrap();
    let status = |line: &serde_json::Value| line["status"].as_str().unwrap_or("").to_owned();
    let found: Vec<_> = lines.iter().map(status).collect();
    // For a person the same, and the error where errors go.
    arguments.remove(1);
    let told = waxseal(folder.path(), arguments);
    assert_eq!(told.code, ran.code);
    for status in &found {
        assert!(told.stdout.contains(status.as_str()), "{}", told.stdout);
    }
    let code = object["error"]["code"].as_str().map(str::to_owned);
    assert_eq!(told.stderr.is_empty(), code.is_none(), "{}", told.stderr);
    (found, ran.code, code)
}

#[test]
fn each_line_of_a_checkpoint_is_judged_by_the_keys_given() {
    let log = signer(LOG, SignatureKind::Ed25519);
    let second = signer(LOG, SignatureKind::MlDsa44);
    let witness = signer("witness.example", SignatureKind::CosignatureV1);
    let other = signer(LOG, SignatureKind::Ecdsa);
    let note = checkpoint(7, &[&log, &second, &witness]);
    let text = note.to_string();
    let check =
        |text: &str, keys: &[&NoteSigner], expected: [&str; 3], code, error: Option<&str>| {
            let (found, ran, told) = statuses(text, keys);
            assert_eq!((found, ran), (expected.map(str::to_owned).to_vec(), code));
            assert_eq!(told.as_deref(), error);
        };
    const YES: &str = "verified";
    const NO: &str = "INVALID";
    const WHO: &str = "unknown key";
    check(&text, &[], ["", "", ""], 0, None);
    check(&text, &[&log, &second, &witness], [YES, YES, YES], 0, None);
    check(&text, &[&second], [WHO, YES, WHO], 0, None);
    check(&text, &[&witness, &other, &log], [YES, WHO, YES], 0, None);
    let missing = Some("signature-line-missing");
    check(&text, &[&other], [WHO, WHO, WHO], 7, missing);
    // The lines of another checkpoint under this one, one at a time.
    let foreign = checkpoint(8, &[&log, &second, &witness]);
    let invalid = Some("signature-line-invalid");
    for at in 0..3 {
        let mut lines = note.signatures().to_vec();
        lines[at] = foreign.signatures()[at].clone();
        let mixed = SignedNote::from_parts(note.unverified_text(), lines).unwrap();
        let mut expected = [YES; 3];
        expected[at] = NO;
        let text = mixed.to_string();
        check(&text, &[&log, &second, &witness], expected, 3, invalid);
    }
}

#[test]
fn the_checkpoint_in_a_bundle_is_judged_too() {
    let made = Made::new();
    let stranger = vkey(&signer("log.example", SignatureKind::Ed25519));
    let arguments = ["inspect", "a.sigstore.json", "--key", &stranger];
    let ran = waxseal(made.path(), arguments);
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(ran.stdout.contains("status: unknown key"), "{}", ran.stdout);
    assert!(ran.stderr.contains("[signature-line-missing]"));
    // What has no signature lines has none by the key.
    let ran = waxseal(made.path(), ["inspect", "key.pub", "--key", &stranger]);
    assert_eq!(ran.code, 7, "{ran:?}");
    let ran = waxseal(made.path(), ["inspect", "key.pub", "--key", "no+key"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

/// A verified checkpoint does not stand for a broken one beside it.
#[test]
fn a_malformed_checkpoint_in_a_bundle_is_invalid() {
    let made = Made::new();
    let log = signer(LOG, SignatureKind::Ed25519);
    let good = checkpoint(7, &[&log]).to_string();
    let check = |checkpoints: [&str; 2], keys: &[&str], code: i32, error: Option<&str>| {
        let mut bundle: serde_json::Value =
            serde_json::from_str(&made.read("a.sigstore.json")).unwrap();
        let entries = &mut bundle["verificationMaterial"]["tlogEntries"];
        let entry = entries[0].clone();
        *entries = checkpoints
            .map(|text| {
                let mut entry = entry.clone();
                entry["inclusionProof"]["checkpoint"]["envelope"] = text.into();
                entry
            })
            .to_vec()
            .into();
        made.write("two.json", bundle.to_string().as_bytes());
        let mut arguments = vec!["inspect", "--json", "two.json"];
        for key in keys {
            arguments.extend(["--key", key]);
        }
        let ran = waxseal(made.path(), arguments);
        assert_eq!(ran.code, code, "{ran:?}");
        let object: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(object["ok"], code == 0, "{object}");
        assert_eq!(object["error"]["code"].as_str(), error, "{object}");
    };
    let key = vkey(&log);
    let other = vkey(&signer(LOG, SignatureKind::Ed25519));
    let invalid = Some("signature-line-invalid");
    let (good, bad) = (good.as_str(), "no note");
    check([good, good], &[&key], 0, None);
    check([good, bad], &[&key], 3, invalid);
    check([bad, good], &[&key], 3, invalid);
    check([bad, bad], &[&other], 3, invalid);
    check([good, good], &[&other], 7, Some("signature-line-missing"));
    // Without a key nothing is said of signatures.
    check([good, bad], &[], 0, None);
}

fn check(made: &Made, file: &str, code: i32, said: &[&str]) {
    let ran = waxseal(made.path(), ["inspect", file]);
    assert_eq!(ran.code, code, "{file}: {ran:?}");
    let all = format!("{}{}", ran.stdout, ran.stderr);
    for part in said {
        assert!(all.contains(part), "{file}: expected {part:?} in {all}");
    }
}

#[test]
fn files_are_recognised_by_what_is_in_them() {
    let made = Made::new();
    check(
        &made,
        "a.sigstore.json",
        0,
        &[
            "kind: bundle",
            "content: message signature",
            "kind: hashedrekord 0.0.1",
            "origin: log.example - 1",
            "treeSize: 1",
        ],
    );
    check(
        &made,
        "root.json",
        0,
        &[
            "kind: trusted root",
            "url: https://log.example",
            "from: 2020-01-01T00:00:00Z",
        ],
    );
    check(
        &made,
        "key.pub",
        0,
        &["kind: public key", "algorithm: P256"],
    );
    check(&made, "a", 6, &["✗ a: ", "[unrecognised]"]);
    check(&made, "absent", 2, &["[file-unreadable]"]);
}

#[test]
fn json_is_one_object_for_each_file() {
    let made = Made::new();
    let ran = waxseal(
        made.path(),
        ["inspect", "--json", "a.sigstore.json", "a", "key.pub"],
    );
    assert_eq!(ran.code, 6, "{ran:?}");
    let objects: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects.len(), 3);
    assert_eq!(objects[0]["contents"]["logEntries"][0]["index"], 0);
    assert_eq!(objects[1]["error"]["code"], "unrecognised");
    assert_eq!(objects[2]["contents"]["kind"], "public key");
}

//! A log and its next shard, as an operator brings them about: what is signed before and after
//! verifies offline with the files that the command printed.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed};
use serde_json::Value;
use waxseal_crypto::{Digest, HashAlgorithm};
use waxseal_tests_interop::{
    Client, IDENTITY, Instance, Kind, Tool, Work, our, output, run, trial,
};

fn main() -> ExitCode {
    let all: Vec<Tool> = Client::ALL.into_iter().filter_map(Client::tool).collect();
    let trials = vec![
        trial("our client before and after a rotation", &[], || {
            rotated(&[Client::Waxseal])
        }),
        trial("every client before and after a rotation", &all, || {
            rotated(&Client::ALL)
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A client's bundle.
fn bundle(work: &Work, client: Client, when: &str) -> PathBuf {
    work.path(&format!("{client:?}.{when}.json"))
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn rotated(clients: &[Client]) -> Result<(), Failed> {
    let mut instance = Instance::start()?;
    let work = Work::new(|bytes| Digest::of(HashAlgorithm::Sha256, bytes).to_hex());
    for client in clients {
        client.sign(Kind::Blob, &instance, &work, &bundle(&work, *client, "old"))?;
    }
    let old_config = work.path("old.json");
    std::fs::copy(instance.file("trust_config.json"), &old_config)?;
    instance.kill();

    let url = format!("http://127.0.0.1:{}", instance.port());
    let mut rotate = Command::new(our("waxseald"));
    rotate.args(["log", "rotate", "--json", "--url", &url, "--data"]);
    let printed: Value = serde_json::from_str(&output(rotate.arg(instance.data()))?)?;
    apply(&instance, &printed)?;
    let by_hand = [
        "trusted_root.json",
        "signing_config.json",
        "trust_config.json",
    ]
    .map(|name| json(&instance.file(name)));

    instance.restart()?;
    // What was done by hand is what the start does.
    let written = [
        "trusted_root.json",
        "signing_config.json",
        "trust_config.json",
    ]
    .map(|name| json(&instance.file(name)));
    assert_eq!(by_hand, written);
    for client in clients {
        client.sign(Kind::Blob, &instance, &work, &bundle(&work, *client, "new"))?;
    }
    let (token, later) = (instance.token()?, work.path("later.json"));
    let mut late = Command::new(our("waxseal"));
    late.arg("sign").arg(&work.artifact).arg("--instance");
    late.arg(&old_config).args(["--identity-token", &token]);
    let late = late.arg("--bundle").arg(&later).output()?;
    let said = String::from_utf8_lossy(&late.stderr);
    assert_eq!(late.status.code(), Some(6), "{said}");
    assert!(said.contains("has begun another log"), "{said}");
    // Not killed: of a process that is, the tiles lack what the last second brought.
    instance.stop()?;

    for verifier in clients {
        for signer in clients {
            for when in ["old", "new"] {
                let bundle = bundle(&work, *signer, when);
                let verified = verifier.verify(Kind::Blob, &instance, &work, &bundle, IDENTITY);
                verified.map_err(|error| format!("{verifier:?}, {signer:?} {when}: {error}"))?;
            }
        }
    }
    // Who has the files from before verifies what was signed before, and is told what is missing.
    for (when, code) in [("old", 0), ("new", 7)] {
        let mut verify = Command::new(our("waxseal"));
        verify.arg("verify").arg(&work.artifact).arg("--instance");
        verify.arg(&old_config).args(["--identity", IDENTITY]);
        verify.args(["--issuer", &instance.issuer(), "--bundle"]);
        let verified = verify.arg(bundle(&work, clients[0], when)).output()?;
        let said = String::from_utf8_lossy(&verified.stderr);
        assert_eq!(verified.status.code(), Some(code), "{said}");
        assert_eq!(code == 7, said.contains("its files of today"), "{said}");
    }
    let signed = u64::try_from(clients.len()).unwrap();
    // Both are whole: the frozen one, and the one that was stopped.
    for (tiles, host) in [("shards/1/tiles", "localhost"), ("log/tiles", "127.0.0.1")] {
        let mut fsck = Command::new(our("waxseal"));
        fsck.args(["log", "fsck", "--json", "--instance"]);
        fsck.arg(instance.data()).arg(instance.data().join(tiles));
        let checked: Value = serde_json::from_str(&output(&mut fsck)?)?;
        assert_eq!(
            (&checked["ok"], &checked["origin"]),
            (&true.into(), &host.into())
        );
        assert_eq!(checked["treeSize"], 1 + signed, "{host}");
    }
    let mut stats = Command::new(our("waxseald"));
    run(stats.args(["log", "stats", "--data"]).arg(instance.data()))?;
    Ok(())
}

/// Puts what the command printed into the files of before.
fn apply(instance: &Instance, printed: &Value) -> Result<(), Failed> {
    let put = |name: &str, below: Option<&str>, key: &str| {
        let path = instance.file(name);
        let mut file = json(&path);
        let place = match below {
            Some(below) => &mut file[below][key],
            None => &mut file[key],
        };
        assert!(place.is_array(), "{name} has no {key}");
        place.clone_from(&printed[key]);
        std::fs::write(path, file.to_string())
    };
    put("trusted_root.json", None, "tlogs")?;
    put("signing_config.json", None, "rekorTlogUrls")?;
    put("trust_config.json", Some("trustedRoot"), "tlogs")?;
    put("trust_config.json", Some("signingConfig"), "rekorTlogUrls")?;
    Ok(())
}

//! `waxseal verify`: exit codes, messages, discovery, and what the binary must not read.

use std::process::Stdio;

use crate::made::{Made, SIGNED_AT_TEXT};
use crate::run::{Ran, command, waxseal};

const GOOD: [&str; 6] = [
    "verify",
    "a",
    "--key",
    "key.pub",
    "--trusted-root",
    "root.json",
];

fn good_with(more: &[&'static str]) -> Vec<&'static str> {
    GOOD.iter().chain(more).copied().collect()
}

fn check(made: &Made, arguments: &[&str], code: i32, said: &str) -> Ran {
    let ran = waxseal(made.path(), arguments);
    assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert!(
        all.contains(said),
        "{arguments:?}: expected {said:?} in {ran:?}"
    );
    ran
}

#[test]
fn a_good_bundle_is_verified_and_said_on_stdout() {
    let made = Made::new();
    let ran = check(&made, &GOOD, 0, "✓ a  sha256:2cf24dba");
    assert_eq!(ran.stderr, "");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(
        lines[0].ends_with(&format!("signed {SIGNED_AT_TEXT}")),
        "{lines:?}"
    );
    assert!(lines[1].starts_with("  by   key sha256:"), "{lines:?}");
    assert!(
        lines[2].contains("log log.example #0   trust: root.json"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 3);
}

#[test]
fn quiet_says_nothing_on_success_and_the_failure_all_the_same() {
    let made = Made::new();
    let ran = check(&made, &good_with(&["-q"]), 0, "");
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    made.write("a", b"other");
    check(
        &made,
        &good_with(&["-q"]),
        3,
        "✗ a: this is not what was signed  [artifact-mismatch]",
    );
}

#[test]
fn json_is_one_object_for_each_artifact_on_failure_too() {
    let made = Made::new();
    let object = check(&made, &good_with(&["--json"]), 0, "").json();
    assert_eq!(object["ok"], true);
    assert_eq!(object["artifact"], "a");
    assert_eq!(object["digest"], Made::digest());
    assert_eq!(object["timestamps"][0]["time"], SIGNED_AT_TEXT);
    assert_eq!(object["timestamps"][0]["source"], "log.example");
    assert_eq!(object["log"]["index"], 0);
    assert_eq!(object["log"]["treeSize"], 1);
    assert_eq!(object["trust"]["source"], "root.json");
    assert!(object.get("error").is_none());

    made.write("b", b"other");
    made.write("b.sigstore.json", made.read("a.sigstore.json").as_bytes());
    let ran = check(
        &made,
        &[
            "verify",
            "a",
            "b",
            "c",
            "--key",
            "key.pub",
            "--trusted-root",
            "root.json",
            "--json",
        ],
        3,
        "",
    );
    let objects: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let codes: Vec<&serde_json::Value> = objects.iter().map(|o| &o["error"]["code"]).collect();
    assert_eq!(
        codes,
        [
            &serde_json::Value::Null,
            &"artifact-mismatch".into(),
            &"artifact-unreadable".into()
        ]
    );
    assert_eq!(objects[1]["error"]["class"], "cryptographic");
    assert_eq!(objects[1]["ok"], false);
    // Usage errors too: whoever reads JSON gets JSON.
    let usage = check(&made, &["verify", "a", "--json"], 2, "").json();
    assert_eq!(usage["error"]["code"], "usage");
}

#[test]
fn exit_codes_mean_one_thing_each() {
    let made = Made::new();
    let with = |arguments: &[&'static str]| -> Vec<&'static str> {
        let trust = ["--trusted-root", "root.json"];
        ["verify"]
            .iter()
            .chain(arguments)
            .chain(&trust)
            .copied()
            .collect()
    };
    // 2: usage.
    check(&made, &[], 2, "Usage");
    check(&made, &["verify"], 2, "required");
    check(&made, &with(&["a"]), 2, "say who must have signed");
    check(&made, &with(&["a", "--identity", "x"]), 2, "--issuer URL");
    check(
        &made,
        &with(&["a", "--issuer", "x"]),
        2,
        "would accept everybody",
    );
    check(&made, &with(&["a", "--key", "absent"]), 2, "cannot be read");
    check(
        &made,
        &with(&["a", "--key", "key.pub", "--any-identity"]),
        2,
        "cannot be used with",
    );
    check(
        &made,
        &with(&["a", "--key", "key.pub", "--min-logs", "0"]),
        2,
        "min-logs",
    );
    check(
        &made,
        &with(&["a", "--key", "key.pub", "--at", "yesterday"]),
        2,
        "not a time",
    );
    check(
        &made,
        &with(&["a", "--key", "key.pub", "--type", "slsa"]),
        2,
        "short name",
    );
    check(
        &made,
        &with(&["absent", "--key", "key.pub"]),
        2,
        "artifact-unreadable",
    );
    check(&made, &with(&[".", "--key", "key.pub"]), 2, "directory");
    check(
        &made,
        &with(&["sha256:00", "--key", "key.pub"]),
        2,
        "64 hexadecimal digits",
    );
    check(
        &made,
        &with(&["a", "a", "--bundle", "a.sigstore.json", "--key", "key.pub"]),
        2,
        "one artifact",
    );
    check(
        &made,
        &with(&["-", "--bundle", "-", "--key", "key.pub"]),
        2,
        "stdin",
    );
    check(
        &made,
        &with(&["a", "--identity-regexp", "(", "--issuer", "x"]),
        2,
        "not a pattern",
    );
    check(
        &made,
        &with(&["a", "--issuer", "x", "--claim", "nothing=1"]),
        2,
        "no such claim",
    );
    // 3: does not hold. 4: not who was asked for.
    check(&made, &with(&["a", "--key", "other.pub"]), 3, "✗ a: ");
    check(&made, &with(&["a", "--any-identity"]), 4, "--key FILE");
    check(
        &made,
        &with(&["a", "--identity", "x", "--issuer", "y"]),
        4,
        "[certificate-required]",
    );
    check(
        &made,
        &with(&["a", "--key", "key.pub", "--min-logs", "2"]),
        4,
        "[log-threshold]",
    );
    check(
        &made,
        &with(&["a", "--key", "key.pub", "--min-timestamps", "1"]),
        4,
        "[timestamp-threshold]",
    );
    check(
        &made,
        &with(&["a", "--key", "key.pub", "--at", "2020-01-01T00:00:00Z"]),
        3,
        "[time-in-future]",
    );
    // 5: no bundle.
    check(
        &made,
        &with(&["key.pub", "--key", "key.pub"]),
        5,
        "key.pub.sigstore.json",
    );
    check(
        &made,
        &with(&["a", "--bundle", "absent", "--key", "key.pub"]),
        5,
        "[bundle-unreadable]",
    );
    // 6: malformed or unsupported.
    made.write("b", b"hello");
    made.write("b.sigstore.json", b"{}");
    check(&made, &with(&["b", "--key", "key.pub"]), 6, "[bundle-");
    let newer = made
        .read("a.sigstore.json")
        .replace("v0.3+json", "v0.9+json");
    made.write("b.sigstore.json", newer.as_bytes());
    check(
        &made,
        &with(&["b", "--key", "key.pub"]),
        6,
        "[bundle-unsupported]",
    );
    // 7: trust root.
    check(
        &made,
        &[
            "verify",
            "a",
            "--key",
            "key.pub",
            "--trusted-root",
            "absent",
        ],
        7,
        "[trusted-root-missing]",
    );
    check(
        &made,
        &["verify", "a", "--key", "key.pub", "--trusted-root", "a"],
        7,
        "[trusted-root-malformed]",
    );
    check(
        &made,
        &["verify", "a", "--key", "key.pub"],
        7,
        "[log-unknown]",
    );
    check(
        &made,
        &["verify", "a", "--key", "key.pub", "--staging"],
        7,
        "--instance DIR|FILE",
    );
    check(
        &made,
        &["verify", "a", "--key", "key.pub", "--instance", "."],
        7,
        "is not an instance",
    );
    check(
        &made,
        &["verify", "a", "--key", "key.pub", "--instance", "https://x"],
        2,
        "unauthenticated",
    );
    // 0: help and version are no failures.
    check(&made, &["--version"], 0, "waxseal ");
    check(&made, &["verify", "--help"], 0, "Exit codes");
}

#[test]
fn artifacts_by_path_digest_and_stdin() {
    let made = Made::new();
    let digest = Made::digest();
    let tail = [
        "--bundle",
        "a.sigstore.json",
        "--key",
        "key.pub",
        "--trusted-root",
        "root.json",
    ];
    let mut by_digest = vec!["verify", digest.as_str()];
    by_digest.extend(tail);
    check(&made, &by_digest, 0, &digest);
    let other = format!("sha256:{}", "00".repeat(32));
    by_digest[1] = &other;
    check(&made, &by_digest, 3, "[artifact-mismatch]");

    for (input, code) in [("a", 0), ("key.pub", 3)] {
        let file = std::fs::File::open(made.path().join(input)).unwrap();
        let output = command(made.path())
            .args(["verify", "-"])
            .args(tail)
            .stdin(file)
            .output();
        assert_eq!(Ran::of(output.unwrap()).code, code, "{input}");
    }
}

#[test]
fn of_several_bundles_one_suffices() {
    let made = Made::new();
    let good = made.read("a.sigstore.json");
    let other = made.bundle(b"other");
    let lines = |bundles: &[&str]| {
        let lines: String = bundles
            .iter()
            .map(|b| format!("{}\n", b.replace('\n', "")))
            .collect();
        made.write("a.sigstore.jsonl", lines.as_bytes());
    };
    std::fs::remove_file(made.path().join("a.sigstore.json")).unwrap();
    lines(&[&other, "{}", &good]);
    check(&made, &GOOD, 0, "✓ a");
    // The failure of the bundle that came furthest is told.
    lines(&["{}", &other, "{}"]);
    check(&made, &GOOD, 3, "[artifact-mismatch]");
    lines(&["{}"]);
    check(&made, &GOOD, 6, "[bundle-");
}

#[test]
fn an_instance_is_a_folder_of_client_files() {
    let made = Made::new();
    made.write(
        "data/client/trusted_root.json",
        made.trusted_root().as_bytes(),
    );
    for instance in ["data", "data/client", "root.json"] {
        check(
            &made,
            &["verify", "a", "--key", "key.pub", "--instance", instance],
            0,
            "✓ a",
        );
    }
}

#[test]
fn v_58_nothing_is_read_from_the_current_folder() {
    let made = Made::new();
    for decoy in [
        ".sigstore.toml",
        "waxseal.toml",
        "cosign.key",
        ".netrc",
        "trusted_root.json",
        "client/trusted_root.json",
        ".env",
    ] {
        made.write(decoy, b"decoy");
    }
    check(&made, &GOOD, 0, "✓ a");
    // The public instance's root is used, not the decoy that is lying there.
    made.write("trusted_root.json", made.trusted_root().as_bytes());
    check(
        &made,
        &["verify", "a", "--key", "key.pub"],
        7,
        "[log-unknown]",
    );
}

#[test]
fn s_60_a_hostile_name_does_nothing_to_the_terminal() {
    let made = Made::new();
    let name = "a\u{1b}[2J\u{202e}\r";
    made.write(name, b"other");
    made.write(
        &format!("{name}.sigstore.json"),
        made.read("a.sigstore.json").as_bytes(),
    );
    let arguments = [
        "verify",
        name,
        "--key",
        "key.pub",
        "--trusted-root",
        "root.json",
    ];
    let ran = check(&made, &arguments, 3, "a\\u{1b}[2J\\u{202e}\\u{d}: ");
    assert!(
        !ran.stderr.contains(['\u{1b}', '\u{202e}', '\r']),
        "{ran:?}"
    );
}

#[test]
fn a_reader_that_is_gone_is_no_success() {
    let made = Made::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = command(made.path())
        .args(good_with(&["--json"]))
        .stdout(writer)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn what_the_trusted_root_has_and_cannot_be_used_is_told() {
    let made = Made::new();
    let root = made.read("root.json");
    let mut root: serde_json::Value = serde_json::from_str(&root).unwrap();
    root["tlogs"][0]["publicKey"]["keyDetails"] = "PKIX_OF_TOMORROW".into();
    made.write("root.json", root.to_string().as_bytes());
    let ran = check(&made, &GOOD, 7, "[log-unknown]");
    let said = "of the trusted root is not used: unknown key details \"PKIX_OF_TOMORROW\"";
    assert!(ran.stderr.contains(said), "{ran:?}");
}

//! `waxseal inspect`: what is recognised, and that nothing of it is said to be true.

use crate::made::Made;
use crate::run::waxseal;

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

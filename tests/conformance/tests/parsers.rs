//! Every parser of the libraries has a door that attacks knock on, or a reason to have none; and
//! every door has its fuzz target.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use waxseal_tests_conformance::doors::DOORS;

/// How functions begin that make something of text or bytes.
const PARSERS: [&str; 9] = [
    "parse",
    "from_json",
    "from_pem",
    "from_spki_der",
    "from_pkcs8_der",
    "from_response",
    "from_vkey",
    "decode",
    "split_",
];

/// Parsers that no door calls, and why.
const EXCUSED: &[(&str, &str)] = &[
    ("BanTarget::parse", OPERATOR),
    ("ClaimPath::parse", OPERATOR),
    ("InstanceUrl::parse", OPERATOR),
    ("KeptRing::decode", OPERATOR),
    ("LogState::parse", OPERATOR),
    ("OrderDone::parse", OPERATOR),
    ("BundleVersion::parse", WITHIN),
    ("TrustedRootVersion::parse", WITHIN),
    ("Timestamp::parse", WITHIN),
    ("Tile::parse", "the door `tile_files` calls it of a tile"),
    (
        "LeafCertificate::parse",
        "it reads by `SigningCertificate` and `Certificate`, which have doors",
    ),
];

const OPERATOR: &str = "the operator's own: whoever writes it owns the process";
const WITHIN: &str = "a field of a document that has a door";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name().into_string().unwrap();
        if path.is_dir() && name != "generated" && name != "tests" {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" && name != "testing.rs" {
            found.push(path);
        }
    }
}

/// The parsers of a file that others can call: `Type::function`, or `function`.
fn parsers(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut type_name = "";
    for line in text.lines() {
        if line.starts_with("impl") {
            let named = line.rsplit(" for ").next().unwrap();
            let named = named.trim_start_matches("impl").trim_start();
            let named = match named.strip_prefix('<') {
                Some(generics) => generics.split_once("> ").unwrap().1,
                None => named,
            };
            type_name = named.split(['<', ' ', '{']).next().unwrap();
        } else if line == "}" {
            type_name = "";
        }
        let Some(name) = line.trim_start().strip_prefix("pub fn ") else {
            continue;
        };
        let name = name.split(['(', '<']).next().unwrap();
        let is_parser = PARSERS.iter().any(|parser| name.starts_with(parser));
        // Of text or bytes; a signature that goes on in the next line is looked at by its name.
        let of_bytes = ["&str", "&[u8]", "Vec<u8>", "&'a str", "(\n"]
            .iter()
            .any(|kind| line.contains(kind));
        if is_parser && (of_bytes || line.ends_with('(')) {
            found.push(match type_name {
                "" => name.to_owned(),
                type_name => format!("{type_name}::{name}"),
            });
        }
    }
    found
}

#[test]
fn every_parser_has_a_door_or_a_reason() {
    let crates = std::fs::read_dir(root().join("crates")).unwrap().flatten();
    let mut files = Vec::new();
    for one in crates {
        sources(&one.path().join("src"), &mut files);
    }
    let mut all = BTreeSet::new();
    for file in &files {
        all.extend(parsers(&std::fs::read_to_string(file).unwrap()));
    }
    let mut doors = Vec::new();
    sources(&root().join("tests/conformance/src/doors"), &mut doors);
    let doors: String = doors
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    let excused = |name: &str| EXCUSED.iter().any(|(known, _)| *known == name);
    let unguarded: Vec<_> = all
        .iter()
        .filter(|name| !doors.contains(name.as_str()) && !excused(name))
        .collect();
    assert!(
        unguarded.is_empty(),
        "neither door nor reason: {unguarded:?}"
    );
    let stale: Vec<_> = EXCUSED
        .iter()
        .filter(|(name, _)| !all.contains(*name) || doors.contains(name))
        .collect();
    assert!(stale.is_empty(), "nobody needs these reasons: {stale:?}");
    assert!(all.len() > 50, "{all:?}");
}

#[test]
fn every_door_has_its_fuzz_target() {
    let targets = std::fs::read_dir(root().join("fuzz/targets")).unwrap();
    let targets: BTreeSet<_> = targets
        .flatten()
        .map(|file| file.path().file_stem().unwrap().to_owned())
        .map(|name| name.into_string().unwrap())
        .collect();
    let doors: BTreeSet<_> = DOORS.iter().map(|door| door.name.to_owned()).collect();
    assert_eq!(targets, doors);
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for name in doors {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
        let target = root().join(format!("fuzz/targets/{name}.rs"));
        let target = std::fs::read_to_string(target).unwrap();
        assert!(target.contains(&format!("door(\"{name}\")")), "{name}");
    }
}

//! What the manual says about this binary, against the binary.

use std::collections::BTreeSet;
use std::path::Path;

use waxseal_tests_docs::{commands, markdown_files, root};
use waxseal_verify::{ErrorClass, VerifyError};

use crate::run::waxseal;

/// The commands whose every mention is checked.
const CHECKED: [&str; 2] = ["verify", "inspect"];

/// The rows of a table with a code and an exit code, below a heading.
fn rows(heading: &str) -> Vec<(String, u8)> {
    let text = std::fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let section = text
        .split("\n## ")
        .find(|section| section.starts_with(heading))
        .unwrap();
    let rows = section.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let code = cells.next()?.strip_suffix('`')?.to_owned();
        Some((code, cells.next()?.parse().ok()?))
    });
    rows.collect()
}

#[test]
fn the_manual_lists_every_rule_in_its_order() {
    let expected: Vec<(String, u8)> = VerifyError::RULES
        .iter()
        .map(|rule| {
            let exit = match rule.class {
                ErrorClass::Cryptographic => 3,
                ErrorClass::Policy => 4,
                ErrorClass::Malformed => 6,
                ErrorClass::TrustRoot => 7,
                other => panic!("a class that the manual does not know: {other:?}"),
            };
            (rule.code.to_owned(), exit)
        })
        .collect();
    assert_eq!(rows("The rules of verification"), expected);
}

/// Every `Class::X, "code"` of the sources.
fn codes_in_sources(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes_in_sources(&path, codes);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let found = text.split("Class::").skip(1).filter_map(|after| {
            let (_, argument) = after.split_once(',')?;
            let (code, _) = argument.trim_start().strip_prefix('"')?.split_once('"')?;
            code.bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'-')
                .then(|| code.to_owned())
        });
        codes.extend(found);
    }
}

#[test]
fn the_manual_lists_every_other_code() {
    let mut found = BTreeSet::new();
    codes_in_sources(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        &mut found,
    );
    // These three are made where the class depends on the error.
    found.extend(
        [
            "bundle-malformed",
            "bundle-unsupported",
            "bundle-unreadable",
        ]
        .map(str::to_owned),
    );
    let listed: BTreeSet<String> = rows("Around the bundle")
        .into_iter()
        .map(|(code, _)| code)
        .collect();
    assert_eq!(listed, found);
}

#[test]
fn every_command_of_the_manual_has_options_that_exist() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for file in markdown_files().unwrap() {
        let text = std::fs::read_to_string(&file).unwrap();
        for command in commands(&text).iter().filter(|c| c[0] == "waxseal") {
            let Some(name) = command
                .get(1)
                .filter(|name| CHECKED.contains(&name.as_str()))
            else {
                continue;
            };
            let help = waxseal(folder.path(), [name.as_str(), "--help"]).stdout;
            for option in command.iter().filter(|word| word.starts_with("--")) {
                assert!(
                    help.contains(option.as_str()),
                    "{}: {command:?}",
                    file.display()
                );
                count += 1;
            }
        }
    }
    assert!(count > 2, "only {count} options were found");
}

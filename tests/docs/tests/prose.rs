//! README, ARCHITECTURE and the rest, against the repository.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a file that is not as expected fails the test"
)]

use std::collections::BTreeSet;

use waxseal_tests_docs::{commands, fenced, linked_paths, markdown_files, root};

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The folders under `folder` that hold a package.
fn folders(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let packages = entries
        .map(|e| e.unwrap())
        .filter(|e| e.path().join("Cargo.toml").exists());
    packages
        .map(|e| format!("{folder}/{}", e.file_name().to_string_lossy()))
        .collect()
}

/// The names of every package.
fn packages() -> BTreeSet<String> {
    let mut all: BTreeSet<String> = ["examples", "benches", "xtask"].map(str::to_owned).into();
    for folder in ["crates", "bins", "tests"] {
        all.extend(folders(folder));
    }
    all.iter()
        .map(|folder| {
            let manifest: toml::Table = read(&format!("{folder}/Cargo.toml")).parse().unwrap();
            manifest["package"]["name"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn readme_has_the_two_commands() {
    let said: Vec<String> = commands(&read("README.md"))
        .iter()
        .map(|c| c.join(" "))
        .collect();
    assert_eq!(said[0], "cargo run --release -p waxseald -- up --demo");
    assert!(
        said.contains(&"cargo test --workspace".to_owned()),
        "{said:?}"
    );
}

#[test]
fn readme_lists_every_crate() {
    let readme = read("README.md");
    let listed: BTreeSet<String> = readme
        .lines()
        .filter(|line| line.starts_with("| [`"))
        .flat_map(linked_paths)
        .collect();
    assert_eq!(listed, folders("crates"));
    for line in readme.lines().filter(|line| line.starts_with("| [`")) {
        let stability = line.trim_end_matches(" |").rsplit("| ").next().unwrap();
        assert!(
            ["stable", "settling", "inside"].contains(&stability),
            "{line}"
        );
    }
}

#[test]
fn architecture_maps_every_package() {
    let map = read("ARCHITECTURE.md");
    for folder in folders("crates").iter().chain(&folders("bins")) {
        assert!(
            map.contains(&format!("`{folder}`")),
            "{folder} is not in the code map"
        );
    }
}

#[test]
fn links_lead_somewhere() {
    let mut count = 0;
    for file in markdown_files().unwrap() {
        let text = std::fs::read_to_string(&file).unwrap();
        for path in linked_paths(&text) {
            let target = file.parent().unwrap().join(&path);
            assert!(target.exists(), "{} links to {path}", file.display());
            count += 1;
        }
    }
    assert!(count > 20, "only {count} links were found");
}

#[test]
fn commands_name_packages_that_exist() {
    let packages = packages();
    let mut count = 0;
    for file in markdown_files().unwrap() {
        let text = std::fs::read_to_string(&file).unwrap();
        for command in commands(&text).iter().filter(|c| c[0] == "cargo") {
            let named = command
                .windows(2)
                .filter(|w| w[0] == "-p" || w[0] == "--package");
            for pair in named {
                assert!(
                    packages.contains(&pair[1]),
                    "{}: {command:?}",
                    file.display()
                );
                count += 1;
            }
        }
    }
    assert!(count > 0, "no command names a package");
}

#[test]
fn contributing_lists_the_steps_of_ci() {
    let steps = read("xtask/src/steps.rs");
    let names: Vec<&str> = steps
        .lines()
        .filter_map(|line| line.trim().strip_prefix("name: \"")?.split('"').next())
        .collect();
    assert!(names.len() > 5, "{names:?}");
    let expected: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let text = read("CONTRIBUTING.md")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        text.contains(&expected.join(", ")),
        "expected {}",
        expected.join(", ")
    );
    assert_eq!(read(".ci/run").lines().last(), Some("cargo xtask ci"));
}

#[test]
fn toml_samples_are_toml() {
    for file in markdown_files().unwrap() {
        let text = std::fs::read_to_string(&file).unwrap();
        for block in fenced(&text, "toml") {
            let parsed = block.join("\n").parse::<toml::Table>();
            assert!(parsed.is_ok(), "{}: {parsed:?}", file.display());
        }
    }
}

/// The manuals whose configuration is that of an instance.
fn manuals() -> String {
    ["instance", "broker", "log"]
        .map(|name| read(&format!("docs/operate/{name}.md")))
        .join("\n")
}

/// The samples are loaded by the tests of `instance`; here they are the manual's.
#[test]
fn manual_shows_the_samples() {
    let manual = manuals();
    let mut shown: Vec<String> = fenced(&manual, "toml")
        .iter()
        .map(|block| block.join("\n"))
        .collect();
    let mut samples = Vec::new();
    for entry in std::fs::read_dir(root().join("docs/operate/samples")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        samples.push(lines.collect::<Vec<_>>().join("\n"));
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(manual.contains(&format!("(samples/{name})")), "{name}");
    }
    shown.sort();
    samples.sort();
    assert_eq!(shown, samples);
}

#[test]
fn manual_lists_every_key_of_the_samples() {
    let manual = manuals();
    let rows: Vec<&str> = manual.lines().filter(|l| l.starts_with("| `")).collect();
    let rows_of_own = manual
        .lines()
        .filter_map(|line| line.strip_prefix("| key of `[["))
        .filter_map(|rest| rest.split_once("]]`"))
        .map(|(name, _)| name.to_owned())
        .collect::<Vec<_>>();
    for block in fenced(&manual, "toml") {
        let table: toml::Table = block.join("\n").parse().unwrap();
        for (key, value) in &table {
            let keys: Vec<String> = match value {
                toml::Value::Table(inner) => {
                    inner.keys().map(|name| format!("`{key}.{name}`")).collect()
                }
                toml::Value::Array(rows) if rows.iter().all(toml::Value::is_table) => rows
                    .iter()
                    .filter_map(toml::Value::as_table)
                    .flat_map(|row| row.keys().map(|name| format!("`{key}.{name}`")))
                    // A table of its own may say whose keys it lists once.
                    .map(|name| {
                        if rows_of_own.contains(key) {
                            name.replace(&format!("{key}."), "")
                        } else {
                            name
                        }
                    })
                    .collect(),
                _ => vec![format!("`{key}`")],
            };
            for key in keys {
                assert!(rows.iter().any(|row| row.contains(&key)), "{key}");
            }
        }
    }
}

#[test]
fn manual_lists_every_key_of_a_connector() {
    let manual = read("docs/operate/broker.md");
    let rows: Vec<&str> = manual.lines().filter(|l| l.starts_with("| `")).collect();
    let sample = read("docs/operate/samples/providers.toml");
    let sample: toml::Table = sample.parse().unwrap();
    let connectors = sample["connectors"].as_array().unwrap();
    assert_eq!(connectors.len(), 6);
    let keys = connectors.iter().flat_map(|c| c.as_table().unwrap().keys());
    for key in keys {
        let key = format!("`{key}`");
        assert!(rows.iter().any(|row| row.contains(&key)), "{key}");
    }
}

#[test]
fn a_block_that_is_not_closed_or_not_asked_for_yields_nothing() {
    let check = |text: &str, expected: &[&[&str]]| {
        assert_eq!(commands(text), expected, "{text}");
    };
    check(
        "```console\n$ a b\nout\n$ c # why\n```\n",
        &[&["a", "b"], &["c"]],
    );
    check("```text\n$ a\n```\n", &[]);
    check("$ a\n", &[]);
    assert_eq!(linked_paths("[a](b.md#c) [d](https://e) [f](#g)"), ["b.md"]);
}

/// The broker's rules name tests; each is there.
#[test]
fn every_rule_of_the_broker_has_its_test() {
    let table = read("docs/broker-rules.md");
    let mut folders = ["crates/identity-server", "crates/testkit/src"]
        .map(|folder| root().join(folder))
        .to_vec();
    let mut tests = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|name| name == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let names = text
                    .lines()
                    .zip(text.lines().skip(1))
                    .filter_map(|(mark, line)| {
                        let is_test = mark.trim() == "#[test]" || mark.contains("#[tokio::test");
                        let (_, rest) = line.split_once("fn ")?;
                        is_test.then(|| rest.split('(').next().unwrap_or_default().to_owned())
                    });
                tests.extend(names);
            }
        }
    }
    let rows = table
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'));
    let mut named = 0;
    for row in rows {
        let cell = row.trim_end_matches('|').rsplit("| ").next().unwrap();
        for name in cell.split('`').skip(1).step_by(2) {
            assert!(tests.contains(name), "no test is called {name}");
            named += 1;
        }
    }
    assert!(named > 100, "{named}");
}

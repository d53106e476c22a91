//! What every package says of itself: its licence, the workspace's lints, and few features.

use crate::{Tree, Violation};

/// Features of the whole workspace. Backends are values, not features.
const MAX_FEATURES: usize = 3;

/// The licence of every package.
const LICENCE: &str = "Apache-2.0 OR MIT";

/// The licence texts are there, and every package carries the workspace's licence.
pub fn licences(tree: &Tree) -> Vec<Violation> {
    const RULE: &str = "licences";
    let mut violations = Vec::new();
    for (file, words) in [
        ("LICENSE-APACHE", "Apache License"),
        ("LICENSE-MIT", "Permission is hereby granted"),
    ] {
        if !tree.text(file).is_some_and(|text| text.contains(words)) {
            violations.push(Violation::new(RULE, file, "the licence's text is missing"));
        }
    }
    let root: toml::Table = tree
        .text("Cargo.toml")
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    let licence = root
        .get("workspace")
        .and_then(|w| w.get("package"))
        .and_then(|p| p.get("license"))
        .and_then(toml::Value::as_str);
    if licence != Some(LICENCE) {
        violations.push(Violation::new(
            RULE,
            "Cargo.toml",
            format!("licence is {licence:?}"),
        ));
    }
    for (folder, manifest) in tree.packages() {
        if !inherits(&manifest, "package", "license") {
            violations.push(Violation::new(RULE, folder, "does not inherit the licence"));
        }
    }
    violations
}

/// Every package inherits the lints.
pub fn inherited_lints(tree: &Tree) -> Vec<Violation> {
    let outside = tree.packages().filter(|(_, manifest)| {
        let workspace = manifest.get("lints").and_then(|l| l.get("workspace"));
        workspace.and_then(toml::Value::as_bool) != Some(true)
    });
    outside
        .map(|(folder, _)| Violation::new("inherited_lints", folder, "[lints] workspace = true"))
        .collect()
}

/// The workspace has at most three features, and none by default.
pub fn feature_count(tree: &Tree) -> Vec<Violation> {
    const RULE: &str = "feature_count";
    let mut violations = Vec::new();
    let mut features = Vec::new();
    for (folder, manifest) in tree.packages() {
        let Some(table) = manifest.get("features").and_then(toml::Value::as_table) else {
            continue;
        };
        for name in table.keys() {
            if name == "default" {
                violations.push(Violation::new(RULE, folder, "features by default"));
            }
            features.push(format!("{folder}/{name}"));
        }
    }
    if features.len() > MAX_FEATURES {
        let found = format!("{} features, at most {MAX_FEATURES}", features.len());
        violations.push(Violation::new(RULE, features.join(", "), found));
    }
    violations
}

fn inherits(manifest: &toml::Table, table: &str, key: &str) -> bool {
    let value = manifest
        .get(table)
        .and_then(|t| t.get(key))
        .and_then(|k| k.get("workspace"));
    value.and_then(toml::Value::as_bool) == Some(true)
}

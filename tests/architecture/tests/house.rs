//! The rules, on this repository.

#![allow(
    clippy::unwrap_used,
    reason = "a tree that cannot be read fails the test"
)]

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use waxseal_tests_architecture as rules;
use waxseal_tests_architecture::{REACH, Tree, Violation};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn check(rule: fn(&Tree) -> Vec<Violation>) {
    static TREE: LazyLock<Tree> = LazyLock::new(|| Tree::read(root()).unwrap());
    let tree = &*TREE;
    assert!(tree.sources().len() > 50, "the tree is not this repository");
    report(&rule(tree));
}

fn report(violations: &[Violation]) {
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} violations:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

#[test]
fn dependency_edges() {
    check(rules::dependency_edges);
}

#[test]
fn direct_owners() {
    check(rules::direct_owners);
}

#[test]
fn unreachable_packages() {
    let mut violations = Vec::new();
    for rule in REACH {
        let output = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--offline",
                "--locked",
                "-e",
                "normal,build",
                "--prefix",
                "none",
                "-p",
            ])
            .arg(rule.package)
            .current_dir(root())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let tree = String::from_utf8(output.stdout).unwrap();
        violations.extend(rules::unreachable_packages(rule, &tree));
    }
    report(&violations);
}

#[test]
fn output_clock_and_environment() {
    check(rules::output_clock_and_environment);
}

#[test]
fn core_is_pure() {
    check(rules::core_is_pure);
}

#[test]
fn no_string_errors() {
    check(rules::no_string_errors);
}

#[test]
fn file_headers() {
    check(rules::file_headers);
}

#[test]
fn crate_headers() {
    check(rules::crate_headers);
}

#[test]
fn file_sizes() {
    check(rules::file_sizes);
}

#[test]
fn thin_mains() {
    check(rules::thin_mains);
}

#[test]
fn no_mod_rs() {
    check(rules::no_mod_rs);
}

#[test]
fn forbidden_words() {
    check(rules::forbidden_words);
}

#[test]
fn product_names() {
    check(rules::product_names);
}

#[test]
fn licences() {
    check(rules::licences);
}

#[test]
fn inherited_lints() {
    check(rules::inherited_lints);
}

#[test]
fn feature_count() {
    check(rules::feature_count);
}

#[test]
fn no_local_paths() {
    check(rules::no_local_paths);
}

#[test]
fn no_stale_exceptions() {
    check(rules::no_stale_exceptions);
}

#[test]
fn error_variants_are_tested() {
    check(rules::error_variants_are_tested);
}

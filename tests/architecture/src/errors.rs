//! Errors: a variant is one rule, and a test says its name.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{item_end, words};
use crate::{Exception, Source, Tree, Violation, excused};

/// The crates that are embedded alone: who matches on their errors is not here. What a server refuses is
/// seen on the wire, as a code, and tested there.
const EMBEDDED: &[&str] = &[
    "crates/crypto",
    "crates/crypto-aws-lc",
    "crates/crypto-rustcrypto",
    "crates/formats",
    "crates/pki",
    "crates/issuing",
    "crates/tlog",
    "crates/verify",
    "crates/transport",
    "crates/transport-reqwest",
    "crates/identity",
    "crates/trust",
    "crates/ca-client",
    "crates/sign",
];

/// Variants that no test can reach, and why.
pub(crate) const UNTESTED: &[Exception] = &[
    Exception {
        path: "crates/crypto/src/provider.rs",
        what: "SignatureError::UnsupportedAlgorithm",
        reason: "both providers of the workspace have every algorithm of the registry",
    },
    Exception {
        path: "crates/crypto/src/private.rs",
        what: "PrivateKeyError::Random",
        reason: "the randomness of a provider's library is its own, and does not fail on demand",
    },
];

/// Every variant of an embedded crate's public errors is named by a test of its crate, as a variant or in the test's own
/// name, or by a test of another crate in full (`Error::Variant`).
pub fn error_variants_are_tested(tree: &Tree) -> Vec<Violation> {
    let mut tested: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut elsewhere = String::new();
    for source in tree.sources() {
        let names = tested.entry(package(&source.path)).or_default();
        for code in test_code(source) {
            names.extend(Source::identifiers(code).map(|(_, name)| snake(name)));
            elsewhere.push_str(code);
        }
    }
    let mut violations = Vec::new();
    for source in tree
        .sources()
        .iter()
        .filter(|s| EMBEDDED.contains(&package(&s.path)))
    {
        let own = tested.get(package(&source.path));
        for (name, variants) in public_errors(&source.production) {
            for variant in variants {
                let snake = snake(&variant);
                let what = format!("{name}::{variant}");
                let named = own.is_some_and(|names| names.iter().any(|n| n.contains(&snake)))
                    || elsewhere.contains(&what);
                if !named && !excused(UNTESTED, &source.path, &what) {
                    let found = format!("no test names `{what}`");
                    violations.push(Violation::new(
                        "error_variants_are_tested",
                        &source.path,
                        found,
                    ));
                }
            }
        }
    }
    violations
}

/// The first two folders of a path: the package that a file is of.
fn package(path: &str) -> &str {
    let end = path
        .match_indices('/')
        .nth(1)
        .map_or(path.len(), |(at, _)| at);
    path.get(..end).unwrap_or(path)
}

/// What is compiled for tests only; in a file of tests with its literals, because tables name
/// variants by their text.
fn test_code(source: &Source) -> Vec<&str> {
    if source.production.is_empty() {
        return vec![&source.text];
    }
    source
        .code
        .match_indices("#[cfg(test)]")
        .filter_map(|(at, mark)| {
            let after = source.code.get(at + mark.len()..)?;
            after.get(..item_end(after))
        })
        .collect()
}

/// The public enums whose names end in `Error`, with their variants.
fn public_errors(code: &str) -> Vec<(String, Vec<String>)> {
    let mut errors = Vec::new();
    let mut rest = code;
    while let Some((_, after)) = rest.split_once("pub enum ") {
        let (item, remaining) = after.split_at(item_end(after));
        rest = remaining;
        let name: String = item.chars().take_while(|c| c.is_alphanumeric()).collect();
        if name.ends_with("Error") {
            errors.push((name, variants(item)));
        }
    }
    errors
}

/// The names at the first level of an enum's braces.
fn variants(item: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut depth, mut word, mut fresh) = (0_usize, String::new(), false);
    for c in item.chars() {
        match c {
            '{' | '(' | '[' | '<' => {
                if depth == 1 && fresh && !word.is_empty() {
                    names.push(std::mem::take(&mut word));
                    fresh = false;
                }
                depth += 1;
                fresh |= depth == 1;
            }
            '}' | ')' | ']' | '>' => {
                if depth == 1 && fresh && !word.is_empty() {
                    names.push(std::mem::take(&mut word));
                }
                depth = depth.saturating_sub(1);
                word.clear();
                fresh |= c == ']' && depth == 1;
            }
            ',' if depth == 1 => {
                if fresh && !word.is_empty() {
                    names.push(std::mem::take(&mut word));
                }
                word.clear();
                fresh = true;
            }
            c if depth == 1 && (c.is_alphanumeric() || c == '_') => word.push(c),
            '#' => word.clear(),
            _ => {}
        }
    }
    names.retain(|name| name.starts_with(|c: char| c.is_uppercase()));
    names
}

fn snake(name: &str) -> String {
    words(name).join("_")
}

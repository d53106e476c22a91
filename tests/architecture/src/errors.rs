//! Errors: a variant is one rule, and a test says its name.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{item_end, words};
use crate::{Exception, Source, Tree, Violation, excused};

/// Variants that no test can reach, and why.
pub(crate) const UNTESTED: &[Exception] = &[];

/// Every variant of a public error is named by a test of its crate, as a variant or as the test's own
/// name. A test that needs two crates is in `tests/`, and counts too.
pub fn error_variants_are_tested(tree: &Tree) -> Vec<Violation> {
    let mut tested: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for source in tree.sources() {
        let names = tested.entry(package(&source.path)).or_default();
        for code in test_code(source) {
            for (_, name) in Source::identifiers(code) {
                names.insert(snake(name));
            }
        }
    }
    let everywhere: BTreeSet<&String> = tested
        .iter()
        .filter(|(package, _)| package.starts_with("tests/"))
        .flat_map(|(_, names)| names)
        .collect();
    let mut violations = Vec::new();
    for source in tree
        .sources()
        .iter()
        .filter(|source| source.path.starts_with("crates/"))
    {
        let own = tested.get(package(&source.path));
        for (name, variants) in public_errors(&source.production) {
            for variant in variants {
                let snake = snake(&variant);
                let named = own.is_some_and(|names| contains(names, &snake))
                    || everywhere.iter().any(|name| name.contains(&snake));
                let what = format!("{name}::{variant}");
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

fn contains(names: &BTreeSet<String>, snake: &str) -> bool {
    names.contains(snake) || names.iter().any(|name| name.contains(snake))
}

/// The first two folders of a path: the package that a file is of.
fn package(path: &str) -> &str {
    let end = path
        .match_indices('/')
        .nth(1)
        .map_or(path.len(), |(at, _)| at);
    path.get(..end).unwrap_or(path)
}

/// What is compiled for tests only.
fn test_code(source: &Source) -> Vec<&str> {
    if source.production.is_empty() {
        return vec![&source.code];
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

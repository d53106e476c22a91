//! What a file looks like: it introduces itself, it is short, and a module is named by its file.

use crate::{Exception, Source, Tree, Violation};

/// The hard limit; most files are between 100 and 300 lines.
const MAX_LINES: usize = 800;

/// The limit for a server's `main.rs`: it wires, it does not think.
const MAX_MAIN_LINES: usize = 80;

/// Files that are longer, and why.
const LONG: &[Exception] = &[];

/// The five parts of a crate's header, by a word that each must hold.
const HEADER_PARTS: &[(&str, &[&str])] = &[
    ("what it is", &["What it is"]),
    ("in scope", &["In scope"]),
    ("out of scope", &["Out of scope"]),
    ("an example that runs", &["```"]),
    ("trust", &["Trust"]),
];

/// Every Rust file opens with `//!`.
pub fn file_headers(tree: &Tree) -> Vec<Violation> {
    let missing = tree
        .sources()
        .iter()
        .filter(|s| !s.text.starts_with("//! "));
    missing
        .map(|s| Violation::new("file_headers", &s.path, "does not open with `//!`"))
        .collect()
}

/// The header of every library crate has its five parts. A crate without code has nothing to say.
pub fn crate_headers(tree: &Tree) -> Vec<Violation> {
    let libraries = tree.sources().iter().filter(|s| {
        s.path.starts_with("crates/")
            && s.path.ends_with("/src/lib.rs")
            && !s.code.trim().is_empty()
    });
    let mut violations = Vec::new();
    for source in libraries {
        let header: String = source
            .text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect();
        for (part, words) in HEADER_PARTS {
            if !words.iter().any(|word| header.contains(word)) {
                let found = format!("the header does not have {part}");
                violations.push(Violation::new("crate_headers", &source.path, found));
            }
        }
    }
    violations
}

/// No file is longer than the limit, tests excluded.
pub fn file_sizes(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in tree.sources() {
        let lines = production_lines(source);
        let long = lines > MAX_LINES;
        let exception = LONG
            .iter()
            .find(|e| e.path == source.path && !e.reason.is_empty());
        match (long, exception) {
            (true, None) => {
                let found = format!("{lines} lines, at most {MAX_LINES}");
                violations.push(Violation::new("file_sizes", &source.path, found));
            }
            (false, Some(_)) => {
                let found = "is short enough: drop its exception";
                violations.push(Violation::new("file_sizes", &source.path, found));
            }
            _ => {}
        }
    }
    violations
}

/// No `mod.rs`.
pub fn no_mod_rs(tree: &Tree) -> Vec<Violation> {
    let named = tree
        .sources()
        .iter()
        .filter(|s| s.path.ends_with("/mod.rs"));
    named
        .map(|s| Violation::new("no_mod_rs", &s.path, "name the file after its module"))
        .collect()
}

/// The `main.rs` of every server is short.
pub fn thin_mains(tree: &Tree) -> Vec<Violation> {
    let mains = tree.sources().iter().filter(|s| {
        s.path.starts_with("bins/")
            && s.path.ends_with("/src/main.rs")
            && s.path != "bins/waxseal/src/main.rs"
    });
    mains
        .filter_map(|s| {
            let lines = production_lines(s);
            let found = format!("{lines} lines, at most {MAX_MAIN_LINES}");
            (lines > MAX_MAIN_LINES).then(|| Violation::new("thin_mains", &s.path, found))
        })
        .collect()
}

/// The lines of a file up to its tests; none in a file of tests.
fn production_lines(source: &Source) -> usize {
    if source.production.is_empty() {
        return 0;
    }
    let tests = source.code.find("#[cfg(test)]\nmod tests {");
    let kept = tests
        .and_then(|at| source.code.get(..at))
        .unwrap_or(&source.code);
    kept.lines().count()
}

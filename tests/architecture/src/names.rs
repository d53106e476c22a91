//! Names: words that say nothing, and names of other people's products.

use crate::source::words;
use crate::{Exception, Source, Tree, Violation, excused};

/// Words that say nothing about a thing.
const EMPTY_WORDS: &[&str] = &[
    "process", "handle", "handler", "manager", "helper", "helpers", "util", "utils", "impl",
];

/// Products: in our code a thing is named by its role; the wire alone says these.
const PRODUCTS: &[&str] = &["fulcio", "rekor", "dex"];

/// Folders that are about the products themselves, or spell the wire out: the names of a gRPC
/// service and its methods are what goes over it.
const ABOUT_PRODUCTS: &[&str] = &[
    "tests/interop/",
    "tests/architecture/",
    "benches/",
    "crates/log-grpc/",
    "bins/log/tests/alone/grpc.rs",
];

/// Folders of code that is generated from what others have named.
const GENERATED: &[&str] = &["crates/log-grpc/src/generated/"];

/// Names that break the rule, and why.
pub(crate) const NAMED: &[Exception] = &[
    method_of_the_wire("get_tile"),
    method_of_the_wire("get_entry_bundle"),
    method_of_the_wire("get_checkpoint"),
    Exception {
        path: "tests/conformance/src/doors/servers.rs",
        what: "rekor",
        reason: "the package of the messages, as its proto file names it",
    },
];

const fn method_of_the_wire(what: &'static str) -> Exception {
    Exception {
        path: "crates/log-grpc/src/service.rs",
        what,
        reason: "a method of the service, as its proto file names it",
    }
}

/// What declares a name.
const DECLARES: &[&str] = &[
    "fn",
    "struct",
    "enum",
    "trait",
    "mod",
    "type",
    "const",
    "static",
    "union",
    "macro_rules",
];

/// No declared name, and no file, has a word that says nothing; none starts with `get_`.
pub fn forbidden_words(tree: &Tree) -> Vec<Violation> {
    const RULE: &str = "forbidden_words";
    let mut violations = Vec::new();
    let ours = |source: &&Source| !GENERATED.iter().any(|f| source.path.starts_with(f));
    for source in tree.sources().iter().filter(ours) {
        let file = source.path.rsplit('/').next().unwrap_or_default();
        let stem = file.strip_suffix(".rs").unwrap_or(file);
        if let Some(word) = empty_word(stem) {
            violations.push(Violation::new(
                RULE,
                &source.path,
                format!("`{word}` in a file's name"),
            ));
        }
        let mut declared = false;
        for (line, name) in Source::identifiers(&source.code) {
            if declared
                && name != "impl"
                && let Some(word) = empty_word(name)
                && !excused(NAMED, &source.path, name)
            {
                let place = format!("{}:{line}", source.path);
                violations.push(Violation::new(RULE, place, format!("`{word}` in `{name}`")));
            }
            declared = DECLARES.contains(&name);
        }
    }
    violations
}

/// No identifier of ours is another product's name.
pub fn product_names(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in tree.sources() {
        if ABOUT_PRODUCTS
            .iter()
            .any(|folder| source.path.starts_with(folder))
        {
            continue;
        }
        for (line, name) in Source::identifiers(&source.code) {
            let named = words(name)
                .iter()
                .any(|word| PRODUCTS.contains(&word.as_str()));
            if named && !excused(NAMED, &source.path, name) {
                let place = format!("{}:{line}", source.path);
                violations.push(Violation::new("product_names", place, format!("`{name}`")));
            }
        }
    }
    violations
}

fn empty_word(name: &str) -> Option<String> {
    let words = words(name);
    if words.first().is_some_and(|first| first == "get") && words.len() > 1 {
        return Some("get_".to_owned());
    }
    words
        .into_iter()
        .find(|word| EMPTY_WORDS.contains(&word.as_str()))
}

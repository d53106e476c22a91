//! The rules of the house, enforced: who may depend on whom, which packages a crate must never
//! reach, which crate owns what, and what a file looks like.
//!
//! Every rule is a function from a [`Tree`] (or from the names that `cargo tree` prints) to a list
//! of [`Violation`]s. `tests/house.rs` runs them on this repository; `tests/injected.rs` runs each
//! on a small tree made for it and sees it fail, so that no rule is green because it looks nowhere.
//!
//! Exceptions are rows with a reason, in the module of the rule they soften. A row that no longer
//! excuses anything is itself a violation.

mod edges;
mod errors;
mod files;
mod manifests;
mod names;
mod owners;
mod paths;
mod reach;
mod source;
mod tree;

pub use edges::{dependency_edges, direct_owners};
pub use errors::error_variants_are_tested;
pub use files::{crate_headers, file_headers, file_sizes, no_mod_rs, thin_mains};
pub use manifests::{feature_count, inherited_lints, licences};
pub use names::{forbidden_words, product_names};
pub use owners::{core_is_pure, no_string_errors, output_clock_and_environment};
pub use paths::no_local_paths;
pub use reach::{REACH, ReachRule, unreachable_packages};
pub use source::Source;
pub use tree::{Tree, TreeError};

/// One broken rule, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule's name, as its function is called.
    pub rule: &'static str,
    /// The file or package, with a line where there is one.
    pub place: String,
    /// What was found.
    pub found: String,
}

impl Violation {
    /// A violation of `rule` at `place`.
    pub fn new(rule: &'static str, place: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            rule,
            place: place.into(),
            found: found.into(),
        }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.rule, self.place, self.found)
    }
}

/// A place where a rule does not hold, and why that is right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exception {
    /// The file's path from the root of the repository.
    pub(crate) path: &'static str,
    /// What is excused there: a name, a call, or nothing where the path says it all.
    pub(crate) what: &'static str,
    /// Why.
    pub(crate) reason: &'static str,
}

/// Whether an exception excuses `what` in `path`.
pub(crate) fn excused(table: &[Exception], path: &str, what: &str) -> bool {
    table
        .iter()
        .any(|e| e.path == path && e.what == what && !e.reason.is_empty())
}

/// Every exception excuses something that is still there.
pub fn no_stale_exceptions(tree: &Tree) -> Vec<Violation> {
    let rows = owners::CALLED
        .iter()
        .chain(names::NAMED)
        .chain(errors::UNTESTED);
    rows.filter(|row| {
        let source = tree.sources().iter().find(|s| s.path == row.path);
        let word = row.what.rsplit("::").next().unwrap_or(row.what);
        !source.is_some_and(|s| s.code.contains(word))
    })
    .map(|row| {
        Violation::new(
            "no_stale_exceptions",
            row.path,
            format!("no `{}`", row.what),
        )
    })
    .collect()
}

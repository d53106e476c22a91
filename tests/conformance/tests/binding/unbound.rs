//! The reviewed list of fields that may change without the verdict changing (`unbound.toml`).

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::trace::Trace;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    row: Vec<Row>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The path in the bundle's JSON.
    path: String,
    /// The bundles in which it is unbound.
    bundles: Vec<String>,
    /// Why nothing can hang on it.
    reason: String,
}

static TABLE: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let table: Table = toml::from_str(include_str!("unbound.toml")).unwrap();
    assert!(table.row.iter().all(|row| !row.reason.is_empty()));
    table.row
});

/// The number of the row that lists a path of a bundle.
pub(crate) fn row_of(bundle: &str, path: &str) -> Option<usize> {
    TABLE
        .iter()
        .position(|row| row.path == path && row.bundles.iter().any(|name| name == bundle))
}

/// The rows that none of the traces needed.
pub(crate) fn unused(traces: [&Trace; 3]) -> Vec<String> {
    let used: BTreeSet<usize> = traces.into_iter().flat_map(Trace::rows).collect();
    let rows = TABLE.iter().enumerate();
    rows.filter(|(number, _)| !used.contains(number))
        .map(|(_, row)| format!("{row:?}"))
        .collect()
}

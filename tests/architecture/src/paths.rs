//! No path of one machine in the repository: what is here works anywhere.

use crate::{Tree, Violation};

/// The one file that says where the vectors of other people are.
const VECTORS: &str = "tests/conformance/src/lib.rs";

/// Paths that mean something on one machine only, spelled so that this file does not hold them.
const LOCAL: &[&str] = &[
    concat!("../", "shared"),
    concat!("/", "work/"),
    concat!("/", "home/"),
    concat!("/root", "/"),
];

/// No file names the folder of the vectors but the one constant, and none a machine's own folder.
pub fn no_local_paths(tree: &Tree) -> Vec<Violation> {
    let sources = tree
        .sources()
        .iter()
        .map(|s| (s.path.as_str(), s.text.as_str()));
    let mut violations = Vec::new();
    for (path, text) in sources.chain(tree.texts()) {
        if path == VECTORS {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            for local in LOCAL.iter().filter(|local| line.contains(**local)) {
                let place = format!("{path}:{}", number + 1);
                violations.push(Violation::new(
                    "no_local_paths",
                    place,
                    format!("`{local}`"),
                ));
            }
        }
    }
    violations
}

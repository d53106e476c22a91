//! Public vectors, table-driven: where they are, how many there must be, and what a missing folder
//! means.
//!
//! The vectors are other people's data and are not part of this repository. A corpus that is
//! missing fails where `CI` is set, and elsewhere shows as ignored, with the reason in its name.

pub mod doors;
pub mod virtual_sigstore;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// Where the vectors are, seen from the root of the workspace.
const VECTORS: &str = "../shared/vectors";

/// The path of one corpus; it may not exist.
pub fn corpus(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(VECTORS)
        .join(folder)
}

/// Whether a missing corpus, or a missing foreign tool, is a failure.
pub fn must_run() -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by the environment where they run"
    )]
    std::env::var_os("CI").is_some()
}

/// Runs one corpus: `load` makes the trials from its folder, and there must be exactly
/// `expected` of them, so that a corpus that loads nothing is not green.
pub fn run(folder: &str, expected: usize, load: impl FnOnce(&Path) -> Vec<Trial>) -> ExitCode {
    let path = corpus(folder);
    let trials = if path.exists() {
        let mut trials = load(&path);
        let found = trials.len();
        trials.push(Trial::test("the count of vectors", move || {
            if found == expected {
                Ok(())
            } else {
                Err(Failed::from(format!(
                    "expected {expected} vectors, found {found}"
                )))
            }
        }));
        trials
    } else {
        vec![missing(folder)]
    };
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A trial that stands for something that is not here: ignored, or failed where `CI` is set.
pub fn missing(what: &str) -> Trial {
    let reason = format!("not here: {VECTORS}/{what}");
    let failure = reason.clone();
    Trial::test(reason, move || Err(Failed::from(failure))).with_ignored_flag(!must_run())
}

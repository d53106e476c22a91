//! One owner each: who prints, who reads the clock, who reads the environment, who opens files.
//!
//! The lints of the workspace say the same to the compiler; these rules hold where a lint is
//! expected away, and for what no lint knows.

use crate::source::item_end;
use crate::{Exception, Tree, Violation, excused};

/// A call that has an owner.
struct Owned {
    what: &'static str,
    calls: &'static [&'static str],
    owners: &'static [&'static str],
}

const OWNED: &[Owned] = &[
    Owned {
        what: "stdout, stderr",
        calls: &[
            "println!",
            "print!",
            "eprintln!",
            "eprint!",
            "dbg!",
            "io::stdout",
            "io::stderr",
        ],
        owners: &["bins/", "xtask/", "examples/", "benches/", "tests/"],
    },
    Owned {
        what: "exit codes",
        calls: &["process::exit", "process::abort"],
        owners: &["bins/", "xtask/"],
    },
    Owned {
        what: "the clock",
        calls: &["SystemTime::now"],
        owners: &[
            "crates/crypto-aws-lc/",
            "crates/crypto-rustcrypto/",
            "benches/",
            "tests/",
        ],
    },
    Owned {
        what: "the environment",
        calls: &[
            "env::var",
            "env::vars",
            "env::var_os",
            "env::args",
            "env::set_var",
        ],
        owners: &[
            "crates/identity/",
            "bins/",
            "xtask/",
            "examples/",
            "benches/",
            "tests/",
        ],
    },
    Owned {
        what: "process-wide signals",
        calls: &["signal::ctrl_c", "signal::unix"],
        owners: &["crates/serve/", "bins/", "examples/", "tests/"],
    },
];

/// Calls outside their owner, and why.
pub(crate) const CALLED: &[Exception] = &[Exception {
    path: "crates/serve/src/telemetry.rs",
    what: "io::stderr",
    reason: "telemetry is its own, and a server's log goes to stderr",
}];

/// The crates that do no I/O, spawn nothing, read no clock and no environment.
const CORE: &[&str] = &[
    "crates/crypto/",
    "crates/formats/",
    "crates/pki/",
    "crates/tlog/",
    "crates/verify/",
];

/// What such a crate never says.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "Instant::now",
    "SystemTime",
    "tokio::",
    "static mut",
    "thread_local!",
];

/// Output, exit codes, the clock, the environment and signals are used by their owners only.
pub fn output_clock_and_environment(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in tree.sources() {
        for owned in OWNED {
            if owned
                .owners
                .iter()
                .any(|owner| source.path.starts_with(owner))
            {
                continue;
            }
            for call in owned.calls {
                for line in lines_saying(&source.production, call) {
                    if !excused(CALLED, &source.path, call) {
                        let place = format!("{}:{line}", source.path);
                        let found = format!("`{call}`: {} is not its to use", owned.what);
                        violations.push(Violation::new(
                            "output_clock_and_environment",
                            place,
                            found,
                        ));
                    }
                }
            }
        }
    }
    violations
}

/// The core crates are functions: no I/O, no threads, no clock, no environment, no global.
pub fn core_is_pure(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    let core = tree
        .sources()
        .iter()
        .filter(|s| CORE.iter().any(|c| s.path.starts_with(c)));
    for source in core {
        for word in IMPURE {
            for line in lines_saying(&source.production, word) {
                let place = format!("{}:{line}", source.path);
                violations.push(Violation::new("core_is_pure", place, format!("`{word}`")));
            }
        }
    }
    violations
}

/// No error of a core crate has a `String` variant: a variant is a rule, and its fields are data.
pub fn no_string_errors(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    let core = tree
        .sources()
        .iter()
        .filter(|s| CORE.iter().any(|c| s.path.starts_with(c)));
    for source in core {
        let mut rest = source.production.as_str();
        while let Some((_, after)) = rest.split_once("enum ") {
            let (item, remaining) = after.split_at(item_end(after));
            rest = remaining;
            let name: String = item
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            // `Variant(String)` is a bucket for anything; a named field says what it holds.
            if name.ends_with("Error") && item.contains("(String)") {
                let found = format!("a `String` variant in `{name}`");
                violations.push(Violation::new("no_string_errors", &source.path, found));
            }
        }
    }
    violations
}

/// The lines, from 1, where `word` stands for itself and not as the end of a longer one.
fn lines_saying(code: &str, word: &str) -> Vec<usize> {
    let alone = |line: &str, at: usize| {
        let before = line.get(..at).and_then(|b| b.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|a| a.chars().next());
        let continues = |c: char| c.is_alphanumeric() || c == '_';
        let open_end = word.ends_with("::") || word.ends_with('!');
        !before.is_some_and(continues) && (open_end || !after.is_some_and(continues))
    };
    code.lines()
        .enumerate()
        .filter(|(_, line)| line.match_indices(word).any(|(at, _)| alone(line, at)))
        .map(|(number, _)| number + 1)
        .collect()
}

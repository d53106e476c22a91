//! Benches that print our figures beside those of peers, measured in the same run.
//!
//! **What it is.** Programs, one per question: `verify` (the library beside the nearest Rust peer,
//! and where the time goes), `command` (the command line beside cosign), `build-time` (what it
//! costs to depend on us), `instance` (all roles under load), `log` (the log beside rekor-tiles),
//! `ledger` (a commit by the number of keys); `prefill` makes a large log to measure on. Each prints a
//! table; none asserts, because figures move with the machine. Ratios within one run do not.
//!
//! **In scope.** Cases from the public conformance suite, interleaved repetitions, a provider that
//! counts.
//!
//! **Out of scope.** Correctness: tests do that. A bench stops if a verdict is not the expected one.
//!
//! ```
//! use waxseal_benches::Samples;
//! let mut samples = Samples::default();
//! for micros in [3, 1, 2] {
//!     samples.add(std::time::Duration::from_micros(micros));
//! }
//! assert_eq!(samples.best().as_micros(), 1);
//! assert_eq!(samples.quantile(0.5).as_micros(), 2);
//! ```
//!
//! **Trust.** None: what is printed is what was measured here and now.

mod case;
mod costs;
mod counting;
pub mod load;
mod machine;
mod peer;
mod prefill;
mod program;
mod samples;
mod table;

pub use case::{Case, corpus, public_good};
pub use costs::Costs;
pub use counting::{Calls, Tally, counting_provider, take_tally};
pub use machine::{CpuTime, beside, cpu_time, disk, load_average, megabytes, two_workers};
pub use peer::{RekorTiles, Settings};
pub use prefill::prefill;
pub use program::Program;
pub use samples::Samples;
pub use table::Table;

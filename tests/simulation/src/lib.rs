//! Load on a real `waxseald`, and the oracle that says whether its log kept its word.
//!
//! **What it is.** A process that is started, killed and started again; writers that post real
//! entries over loopback; an audit that reads everything back. The tests that use it are in
//! `tests/`, the load generator in `benches/`.
//!
//! **In scope.** [`Running`] (`waxseald up` on a directory and a port), [`Connection`] (HTTP/1.1,
//! kept alive), [`Author`] and [`Entry`] (what is posted, and what the log must hold then),
//! [`Acknowledgement`] (an answer, verified), [`Audit`] (the log read back), [`Chance`] (seeded).
//!
//! **Out of scope.** Faults of the disk: the crash tests of `log-server` strike in every operation,
//! in memory. A killed process loses nothing that the kernel has; a power failure may.
//!
//! ```
//! use waxseal_tests_simulation::Chance;
//! let (mut one, mut same) = (Chance::new(7), Chance::new(7));
//! assert_eq!(one.below(1000), same.below(1000));
//! ```
//!
//! **Trust.** The audit believes nothing but the log's key: hashes are recomputed from the bytes
//! that were read, and compared with what was signed.

mod acknowledgement;
mod again;
mod audit;
mod author;
mod chance;
mod connection;
mod disk;
mod folder;
mod running;
mod shim;
mod source;
mod trust;
mod word;

pub use acknowledgement::Acknowledgement;
pub use again::send_again;
pub use audit::Audit;
pub use author::{Author, Entry};
pub use chance::Chance;
pub use connection::{Answer, Connection};
pub use disk::{Disk, DiskDatabase, DiskFolder, DiskTree, Loss, Strike};
pub use folder::copy_folder;
pub use running::{Running, Variables, free_port, our, resident_memory};
pub use shim::{Event, Fault, Shim, read_trace};
pub use source::{Directory, Server, Source};
pub use trust::{log_key, open};
pub use word::{WORDS, Words};

/// What went wrong, in words: a broken promise, or something that the test needs and has not got.
pub type Outcome<T> = Result<T, String>;

/// Where entries are posted.
pub const ENTRIES: &str = "/api/v2/log/entries";

/// An error as a text.
fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

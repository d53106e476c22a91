//! Foreign clients against our servers, and our client against foreign servers and bundles.
//!
//! Every program that a test needs is started by the test run itself, on loopback, on a port of
//! its own and a directory of its own, and ended by its process id.

mod client;
mod instance;
mod peer;
mod program;
mod records;
mod tools;
mod wire;
mod witness;

use std::path::{Path, PathBuf};

pub use client::{Client, Kind, Work};
pub use instance::{IDENTITY, Instance, Setup, block_on, free_port, log_in};
pub use peer::RekorTiles;
pub use program::{Server, our, output, run};
pub use records::Records;
pub use tools::{Tool, Unavailable, root, trial};
pub use wire::{Answer, Asked};
pub use witness::Witness;

/// Whether a foreign program that is missing is installed, and a failure to do so is a failure.
pub fn wanted() -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by the environment where they run"
    )]
    let set = |name| std::env::var_os(name).is_some();
    set("CI") || set("WAXSEAL_INTEROP")
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

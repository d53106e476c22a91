//! The identity broker with foreign parts around it: a mail server, a browser, relying parties and
//! clients that others wrote.
//!
//! Every program that a test needs is started by the test run itself, on loopback, on a port of
//! its own and a directory of its own, and ended by its process id.

mod canaries;
mod dialogue;
mod guided;
mod letters;
mod mail_server;
mod stage;
mod upstream;
mod visitor;

use std::path::{Path, PathBuf};

pub use canaries::Canaries;
pub use dialogue::converse;
pub use guided::Guided;
pub use letters::Letters;
pub use mail_server::{MailServer, mail_setup};
pub use stage::{Mails, Play, Stage, on_stage};
pub use upstream::{CLIENT_SECRET, Upstream, platforms};
pub use visitor::{Attempt, Page, REDIRECT, Visitor, network};

/// A script of this package, by its name under `js/` or `py/`.
#[must_use]
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Whether the tests that are long by nature use their full counts (`cargo xtask soak`).
#[must_use]
pub fn soaks() -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by the environment how long they may take"
    )]
    let set = std::env::var_os("WAXSEAL_SOAK").is_some();
    set
}

//! The binary as people and scripts run it: arguments in, exit code, stdout and stderr out.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what is not as expected fails the test"
)]

mod identity;
mod inspect;
mod issuer;
mod log;
mod login;
mod made;
mod mutations;
mod prose;
mod run;
mod verify;

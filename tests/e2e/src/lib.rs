//! The deployment, every role talking to every other.
//!
//! A [`Deployment`] is a whole private Sigstore in this process, over real stores in a directory
//! of its own; its router is the [`Transport`](waxseal_transport::Transport) of most tests, and
//! its port is open for those that need a socket. A [`Liar`] stands between client and services
//! and says whatever it is told to; [`Forgery`] is a certificate that the authority's own key
//! signed, and that is wrong in one respect.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "this is a test: what goes wrong here is told by a panic"
)]

mod cli;
mod client;
mod deployment;
mod forgery;
mod liar;
mod oracle;
mod proxy;

pub use cli::{Outcome, start, waxseal};
pub use client::{Client, statement, verify_artifact, verify_policy};
pub use deployment::{Deployment, e2e, e2e_alone, e2e_with_other};
pub use forgery::{Forgery, Scts};
pub use liar::{Liar, Lie, text};
pub use oracle::{BrokenRandom, clock_at};
pub use proxy::Proxy;

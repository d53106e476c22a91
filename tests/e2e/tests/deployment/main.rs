//! The whole deployment in one process: what works, and what is said when something does not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this is a test"
)]

mod authority;
mod cli;
mod common;
mod device;
mod log;
mod loopback;
mod providers;
mod recovery;
mod refusals;
mod rules;
mod signing;
mod slow;
mod timestamps;
mod workloads;

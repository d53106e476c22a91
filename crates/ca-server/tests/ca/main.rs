//! The authority through its router: a token and a key in, a certificate or the right refusal out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

mod ct;
mod http;
mod journal;
mod keys;
mod limits;
mod profile;
mod shapes;
mod start;
mod tokens;
mod world;

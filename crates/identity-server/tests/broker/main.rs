//! The broker through its router: every rule of OpenID Connect and of the e-mail code that an
//! attacker could lean on, with a clock that stands still.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod attacks;
mod authorize;
mod check;
mod device;
mod email_code;
mod internet;
mod operator;
mod pages;
mod proven;
mod provider;
mod providers;
mod start;
mod token;
mod token_exchange;
mod world;

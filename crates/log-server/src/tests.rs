//! Every rule of the log, in memory: order, duplicates, errors, recovery, and a crash at each
//! point.
#![allow(clippy::as_conversions, reason = "small numbers in tests")]

mod api;
mod backups;
mod cosigning;
mod crash;
mod ct;
mod freezing;
mod http;
mod pipelining;
mod recovery;
mod requests;
mod rules;
mod running;
mod scrubbing;
pub(crate) mod sequencing;

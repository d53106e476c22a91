//! A token that somebody put into a variable on purpose: it goes before anything detected.

use super::Found;
use crate::Environment;

pub(super) const VARIABLE: &str = "SIGSTORE_ID_TOKEN";

pub(super) fn find(environment: &dyn Environment) -> Found {
    match environment.variable(VARIABLE) {
        Some(token) => Found::Token(token),
        None => Found::Absent(VARIABLE),
    }
}

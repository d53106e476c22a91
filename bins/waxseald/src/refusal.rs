//! What a command refuses, with the code that programs know it by.

use std::fmt;

use waxseal_identity_server::StoreError;
use waxseal_instance::{BirthError, ConfigError, ControlError, DataError};
use waxseal_store_embedded::OpenError;

/// A refusal of our own.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: &'static str,
    text: String,
    is_told: bool,
}

impl Refusal {
    pub(crate) const fn new(code: &'static str, text: String) -> Self {
        Self {
            code,
            text,
            is_told: false,
        }
    }

    /// One whose reasons the output has told, whole, so that nothing is added to it.
    pub(crate) const fn told(code: &'static str, text: String) -> Self {
        Self {
            code,
            text,
            is_told: true,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

/// Whether the output has told it already.
pub(crate) fn is_told(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    refusal.is_some_and(|refusal| refusal.is_told)
}

/// The code of a failure: of the first of its causes that has one.
pub(crate) fn code(error: &anyhow::Error) -> &'static str {
    error.chain().find_map(code_of).unwrap_or("failed")
}

fn code_of(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    if let Some(refusal) = cause.downcast_ref::<Refusal>() {
        return Some(refusal.code);
    }
    if let Some(error) = cause.downcast_ref::<DataError>() {
        return Some(match error {
            DataError::InUse { .. } => "in_use",
            _ => "data_directory",
        });
    }
    if cause.is::<ControlError>() {
        return Some("running_broker");
    }
    if cause.is::<ConfigError>() {
        return Some("configuration");
    }
    if cause.is::<BirthError>() {
        return Some("instance");
    }
    let is_store = cause.is::<OpenError>() || cause.is::<StoreError>();
    is_store.then_some("store")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_behind_its_context() {
        let check = |error: anyhow::Error, expected: &str| {
            assert_eq!(code(&error), expected, "{error:?}");
            assert_eq!(code(&error.context("while it was tried")), expected);
        };
        let in_use = || DataError::InUse {
            path: "data".into(),
            holder: "7".to_owned(),
        };
        check(in_use().into(), "in_use");
        check(ControlError::from(in_use()).into(), "running_broker");
        check(ControlError::NoAnswer.into(), "running_broker");
        let symlink = DataError::Symlink {
            path: "data".into(),
        };
        check(symlink.into(), "data_directory");
        check(ConfigError::OutboxNotLoopback.into(), "configuration");
        check(StoreError("gone".into()).into(), "store");
        let refusal = Refusal::new("not_banned", "you are not banned".to_owned());
        check(refusal.into(), "not_banned");
        check(anyhow::anyhow!("something else"), "failed");
    }
}

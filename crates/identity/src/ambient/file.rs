//! A token in a file: the one that a variable names, or the place where Kubernetes projects a
//! service account's, as the Go clients look for it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{AmbientError, AmbientProvider, Found};
use crate::{Environment, MAX_TOKEN};

const VARIABLE: &str = "SIGSTORE_ID_TOKEN_FILE";

/// Where cosign's documentation has Kubernetes project the token.
const PROJECTED: &str = "/var/run/sigstore/cosign/oidc-token";

pub(super) fn find(environment: &dyn Environment) -> Result<Found, AmbientError> {
    let named = environment.variable(VARIABLE);
    let path = named.as_deref().unwrap_or(PROJECTED);
    // A line end belongs to the file, not to the token.
    let limit = u64::try_from(MAX_TOKEN).unwrap_or(u64::MAX);
    match environment.read_file(Path::new(path), limit.saturating_add(2)) {
        Ok(text) => Ok(Found::Token(text)),
        Err(error) if named.is_none() && error.kind() == ErrorKind::NotFound => {
            Ok(Found::Absent(VARIABLE))
        }
        Err(source) => Err(AmbientError::File {
            provider: AmbientProvider::File,
            path: PathBuf::from(path),
            source,
        }),
    }
}

//! GitLab CI puts tokens into variables that the job names; `SIGSTORE_ID_TOKEN` is looked at
//! before, so a job that gets here has asked for none.

use super::{AmbientError, Found};
use crate::Environment;

pub(super) fn find(environment: &dyn Environment, audience: &str) -> Result<Found, AmbientError> {
    if environment.variable("GITLAB_CI").is_none() {
        return Ok(Found::Absent("GITLAB_CI"));
    }
    Err(AmbientError::GitlabMissingToken {
        audience: audience.to_owned(),
    })
}

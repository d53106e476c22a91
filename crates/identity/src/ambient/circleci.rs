//! CircleCI: its own program asks for the token, since no interface is documented.

use serde_json::json;

use super::{AmbientError, AmbientProvider, Found};
use crate::Environment;

pub(super) fn find(environment: &dyn Environment, audience: &str) -> Result<Found, AmbientError> {
    if environment.variable("CIRCLECI").is_none() {
        return Ok(Found::Absent("CIRCLECI"));
    }
    let claims = json!({ "aud": audience }).to_string();
    environment
        .run(
            "circleci",
            &["run", "oidc", "get", "--claims", &claims, "--root-issuer"],
        )
        .map(Found::Token)
        .map_err(|source| AmbientError::Program {
            provider: AmbientProvider::Circleci,
            source,
        })
}

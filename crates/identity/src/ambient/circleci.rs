//! CircleCI: its own program asks for the token, since no interface is documented.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::json;

use super::{AmbientError, AmbientProvider, Found};
use crate::Environment;

/// How long the program may take: it makes one request.
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) async fn find(
    environment: &dyn Environment,
    audience: &str,
) -> Result<Found, AmbientError> {
    if environment.variable("CIRCLECI").is_none() {
        return Ok(Found::Absent("CIRCLECI"));
    }
    let claims = json!({ "aud": audience }).to_string();
    let arguments = ["run", "oidc", "get", "--claims", &claims, "--root-issuer"];
    let provider = AmbientProvider::Circleci;
    match environment.run("circleci", &arguments, DEADLINE).await {
        Ok(text) => Ok(Found::Token(text)),
        Err(source) if source.kind() == ErrorKind::NotFound => {
            Err(AmbientError::NoProgram { provider, source })
        }
        Err(source) => Err(AmbientError::Program { provider, source }),
    }
}

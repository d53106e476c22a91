//! Buildkite: a request to the agent's API.

use serde_json::json;
use url::Url;
use waxseal_transport::{Credential, Request, Transport};

use super::{AmbientError, AmbientProvider, Found, ask_service};
use crate::Environment;

const PROVIDER: AmbientProvider = AmbientProvider::Buildkite;
const ENDPOINT: &str = "BUILDKITE_AGENT_ENDPOINT";
const DEFAULT_ENDPOINT: &str = "https://agent.buildkite.com/v3";

pub(super) async fn find(
    environment: &dyn Environment,
    audience: &str,
    transport: &dyn Transport,
) -> Result<Found, AmbientError> {
    if environment.variable("BUILDKITE").is_none() {
        return Ok(Found::Absent("BUILDKITE"));
    }
    let bad = |variable| AmbientError::BadVariable {
        provider: PROVIDER,
        variable,
    };
    let required = |variable| environment.variable(variable).ok_or(bad(variable));
    let token = required("BUILDKITE_AGENT_ACCESS_TOKEN")?;
    let job = required("BUILDKITE_JOB_ID")?;
    let endpoint = environment.variable(ENDPOINT);
    let mut url =
        Url::parse(endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT)).map_err(|_| bad(ENDPOINT))?;
    url.path_segments_mut()
        .map_err(|()| bad(ENDPOINT))?
        .pop_if_empty()
        .extend(["jobs", &job, "oidc", "tokens"]);
    let credential = Credential::authorization(&url, format!("Token {token}"));
    let body = json!({ "audience": audience }).to_string().into_bytes();
    let request = Request::post(url, "application/json", body)
        .with_header("Accept", "application/json")
        .with_credential(credential);
    ask_service(PROVIDER, request, "token", transport).await
}

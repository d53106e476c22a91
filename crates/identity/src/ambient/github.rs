//! GitHub Actions: a request to the runner's token service.

use std::path::Path;

use serde_json::Value;
use url::Url;
use waxseal_transport::{Credential, Request, Transport};

use super::{AmbientError, AmbientProvider, Found, ask_service};
use crate::Environment;

const PROVIDER: AmbientProvider = AmbientProvider::GithubActions;
const URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// Longest event file that is read; GitHub caps the payloads of events at 25 MB.
const MAX_EVENT: u64 = 25 * 1024 * 1024;

pub(super) async fn find(
    environment: &dyn Environment,
    audience: &str,
    transport: &dyn Transport,
) -> Result<Found, AmbientError> {
    let (url, token) = match (environment.variable(URL), environment.variable(TOKEN)) {
        (Some(url), Some(token)) => (url, token),
        _ if environment.variable("GITHUB_ACTIONS").is_none() => {
            return Ok(Found::Absent("GITHUB_ACTIONS"));
        }
        _ if is_fork(environment) => return Err(AmbientError::GithubForkPullRequest),
        _ => return Err(AmbientError::GithubMissingPermission),
    };
    let mut url = Url::parse(&url).map_err(|_| AmbientError::BadVariable {
        provider: PROVIDER,
        variable: URL,
    })?;
    url.query_pairs_mut().append_pair("audience", audience);
    let credential = Credential::authorization(&url, format!("bearer {token}"));
    let request = Request::get(url)
        .with_header("Accept", "application/json")
        .with_credential(credential);
    ask_service(PROVIDER, request, "value", transport).await
}

/// Whether the workflow runs for a pull request whose head is in another repository, and with that
/// repository's rights: `pull_request_target` runs with those of its own, and lacks a permission.
fn is_fork(environment: &dyn Environment) -> bool {
    let is_pull_request = environment
        .variable("GITHUB_EVENT_NAME")
        .is_some_and(|event| event.starts_with("pull_request") && event != "pull_request_target");
    let event = environment
        .variable("GITHUB_EVENT_PATH")
        .filter(|_| is_pull_request)
        .and_then(|path| environment.read_file(Path::new(&path), MAX_EVENT).ok())
        .and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let repository = |side: &str| {
        event
            .as_ref()?
            .pointer(&format!("/pull_request/{side}/repo/full_name"))
    };
    event.is_some() && repository("head") != repository("base")
}

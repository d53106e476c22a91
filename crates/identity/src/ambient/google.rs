//! Google Cloud: the metadata server's token for the default service account.

use std::path::Path;

use url::Url;
use waxseal_transport::{METADATA_ADDRESS, METADATA_FLAVOR, METADATA_PATH, Request, Transport};

use super::{AmbientError, AmbientProvider, Found, MAX_ANSWER, succeeded};
use crate::Environment;

const PROVIDER: AmbientProvider = AmbientProvider::GoogleCloud;
const HOST: &str = "GCE_METADATA_HOST";
const NAME: &str = "metadata.google.internal";
const PRODUCT: &str = "/sys/class/dmi/id/product_name";

/// What Cloud Run sets for its services and jobs, which do not see the machine below them.
const CLOUD_RUN: [&str; 2] = ["K_SERVICE", "CLOUD_RUN_JOB"];

pub(super) async fn find(
    environment: &dyn Environment,
    audience: &str,
    transport: &dyn Transport,
) -> Result<Found, AmbientError> {
    let host = environment.variable(HOST);
    if host.is_none() && !is_google_machine(environment) {
        return Ok(Found::Absent(HOST));
    }
    let query = [("audience", audience), ("format", "full")];
    let request = match host.as_deref() {
        None => Request::to_metadata_server(&query),
        Some(host) if is_the_server(host) => Request::to_metadata_server(&query),
        Some(host) => emulator(host, &query).ok_or(AmbientError::BadVariable {
            provider: PROVIDER,
            variable: HOST,
        })?,
    };
    let failed = |source| AmbientError::Transport {
        provider: PROVIDER,
        source,
    };
    let response = transport
        .send(request.with_max_response(MAX_ANSWER))
        .await
        .map_err(failed)?;
    let no_token = AmbientError::NoTokenInAnswer { provider: PROVIDER };
    // Also of a transport that knows no routes, and of emulators.
    if response.headers.only(METADATA_FLAVOR.0) != Some(METADATA_FLAVOR.1) {
        return Err(AmbientError::NotMetadataServer);
    }
    if response.status == 404 {
        return Err(AmbientError::GoogleNoServiceAccount);
    }
    let body = succeeded(PROVIDER, response)?;
    String::from_utf8(body)
        .map(Found::Token)
        .map_err(|_| no_token)
}

/// The metadata server under its name, which nobody has to resolve, or its address.
fn is_the_server(host: &str) -> bool {
    let host = host.strip_suffix(":80").unwrap_or(host);
    host == NAME || host == METADATA_ADDRESS.to_string()
}

/// An emulator on loopback; the transport would refuse any other host, and so do we.
fn emulator(host: &str, query: &[(&str, &str)]) -> Option<Request> {
    let mut url = Url::parse(&format!("http://{host}{METADATA_PATH}")).ok()?;
    url.query_pairs_mut().extend_pairs(query);
    let is_plain = url.path() == METADATA_PATH && waxseal_transport::is_loopback(&url);
    is_plain.then(|| Request::get(url).with_header(METADATA_FLAVOR.0, METADATA_FLAVOR.1))
}

fn is_google_machine(environment: &dyn Environment) -> bool {
    let product = environment.read_file(Path::new(PRODUCT), 256);
    product.is_ok_and(|name| matches!(name.trim(), "Google" | "Google Compute Engine"))
        || CLOUD_RUN
            .iter()
            .any(|variable| environment.variable(variable).is_some())
}

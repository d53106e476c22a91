//! Google Cloud: the metadata server's token for the default service account.

use std::path::Path;

use url::Url;
use waxseal_transport::{Request, Transport};

use super::{AmbientError, AmbientProvider, Found, send};
use crate::Environment;

const PROVIDER: AmbientProvider = AmbientProvider::GoogleCloud;
const HOST: &str = "GCE_METADATA_HOST";
const DEFAULT_HOST: &str = "metadata.google.internal";
const PRODUCT: &str = "/sys/class/dmi/id/product_name";

pub(super) async fn find(
    environment: &dyn Environment,
    audience: &str,
    transport: &dyn Transport,
) -> Result<Found, AmbientError> {
    let host = environment.variable(HOST);
    if host.is_none() && !is_google_machine(environment) {
        return Ok(Found::Absent(HOST));
    }
    let host = host.as_deref().unwrap_or(DEFAULT_HOST);
    let url =
        format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/identity");
    let mut url = Url::parse(&url).map_err(|_| AmbientError::BadVariable {
        provider: PROVIDER,
        variable: HOST,
    })?;
    url.query_pairs_mut()
        .append_pair("audience", audience)
        .append_pair("format", "full");
    let request = Request::get(url).with_header("Metadata-Flavor", "Google");
    let body = send(PROVIDER, request, transport).await?;
    String::from_utf8(body)
        .map(Found::Token)
        .map_err(|_| AmbientError::NoTokenInAnswer { provider: PROVIDER })
}

fn is_google_machine(environment: &dyn Environment) -> bool {
    let product = environment.read_file(Path::new(PRODUCT), 256);
    product.is_ok_and(|name| matches!(name.trim(), "Google" | "Google Compute Engine"))
}

//! The REST surface: decode, call, encode.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::cors::{Any, CorsLayer};
use waxseal_formats::ca::{
    MAX_SIGNING_CERTIFICATE_REQUEST_BYTES, Secret, SigningCertificateRequest,
};
use waxseal_serve::{Accepts, accepting};

use crate::problem::problem;
use crate::service::Service;

/// How long a browser may remember what we told it about other origins.
const PREFLIGHT_AGE: Duration = Duration::from_secs(3600);

/// The routes. `Accept` is not looked at: sigstore-python asks for PEM and expects JSON.
pub(crate) fn router(service: Arc<Service>) -> Router {
    let body = Accepts::json(MAX_SIGNING_CERTIFICATE_REQUEST_BYTES);
    Router::new()
        .route(
            "/api/v2/signingCert",
            accepting(post(signing_cert).options(preflight), body),
        )
        .route("/api/v2/trustBundle", get(trust_bundle).options(preflight))
        .route(
            "/api/v2/configuration",
            get(configuration).options(preflight),
        )
        // Nothing here goes by cookies, so that pages of any origin may call.
        .layer(
            CorsLayer::new()
                .allow_origin(Any)
                .allow_methods([Method::GET, Method::HEAD, Method::POST])
                .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
                .max_age(PREFLIGHT_AGE),
        )
        .with_state(service)
}

/// `OPTIONS`; the layer answers preflights before this.
async fn preflight() -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn signing_cert(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let issued = match SigningCertificateRequest::from_json(&body) {
        Ok(request) => {
            // The body's token wins over the header's, as in Fulcio.
            let token = request.identity_token.or_else(|| bearer(&headers));
            service.issue(token.as_ref(), request.key.as_ref()).await
        }
        Err(error) => Err(error.into()),
    };
    match issued {
        Ok(certificate) => json(certificate.to_json()),
        Err(error) => problem(&error).into_response(),
    }
}

async fn trust_bundle(State(service): State<Arc<Service>>) -> Response {
    json(service.trust_bundle().to_json())
}

async fn configuration(State(service): State<Arc<Service>>) -> Response {
    json(service.configuration().to_json())
}

fn json(text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, text).into_response()
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1; schemes have no case, RFC 9110 §11.1).
/// Of two such fields neither counts: which one a proxy looked at is not known.
fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return None;
    };
    let (scheme, token) = field.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let found = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
    found.then(|| Secret::new(token.to_owned()))
}

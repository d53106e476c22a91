//! Decode, call, encode: the log's routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::sync::Semaphore;
use waxseal_serve::{Accepts, accepting};
use waxseal_tlog::TilePath;

use crate::personality::Answer;
use crate::problem;
use crate::service::Service;

/// Bytes of requests that may be in memory at once; beyond, requests are turned away before they
/// are read.
const MAX_BYTES_IN_FLIGHT: usize = 64 << 20;

/// What the smallest request counts as: bounds their number, too.
const MIN_COUNTED: usize = 4 << 10;

/// As Tessera sets it on objects.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("max-age=604800, immutable");

pub(crate) fn router(service: &Arc<Service>) -> Router {
    let personality = &service.shared.personality;
    let mut router = Router::new();
    let budget = Arc::new(Semaphore::new(MAX_BYTES_IN_FLIGHT / MIN_COUNTED));
    for (position, endpoint) in personality.endpoints().iter().enumerate() {
        let submit = async move |State(service): State<Arc<Service>>, body: Bytes| {
            submit(&service, position, &body).await
        };
        let admission = Admission {
            budget: Arc::clone(&budget),
            max_body: endpoint.max_body,
        };
        let methods = accepting(post(submit), Accepts::json(endpoint.max_body))
            .route_layer(from_fn_with_state(admission, admit));
        router = router.route(endpoint.path, methods);
    }
    for document in personality.documents() {
        let answer = async move || {
            let kind = [(header::CONTENT_TYPE, document.content_type)];
            (kind, document.body.clone())
        };
        router = router.route(document.path, get(answer));
    }
    for prefix in personality.read_prefixes() {
        router = router
            .route(&format!("{prefix}/checkpoint"), get(checkpoint))
            .route(&format!("{prefix}/tile/{{*path}}"), get(tile))
            .route(&format!("{prefix}/issuer/{{digest}}"), get(issuer));
    }
    router.with_state(Arc::clone(service))
}

#[derive(Clone)]
struct Admission {
    budget: Arc<Semaphore>,
    max_body: usize,
}

/// Counts a request's bytes before any of them is read.
async fn admit(State(admission): State<Admission>, request: Request, next: Next) -> Response {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok())
        .unwrap_or(admission.max_body)
        .min(admission.max_body);
    let permits = u32::try_from(announced.div_ceil(MIN_COUNTED).max(1)).unwrap_or(u32::MAX);
    match admission.budget.try_acquire_many(permits) {
        Ok(_permits) => next.run(request).await,
        Err(_) => problem::overloaded(),
    }
}

async fn submit(service: &Service, endpoint: usize, body: &Bytes) -> Response {
    let logged = match service.submit(endpoint, body).await {
        Ok(logged) => logged,
        Err(error) => return problem::submit(error),
    };
    let document = |status, content_type, body: Vec<u8>| {
        (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
    };
    match service.shared.personality.answer(&logged).await {
        Ok(Answer::Created { content_type, body }) => {
            document(StatusCode::CREATED, content_type, body)
        }
        Ok(Answer::Document { content_type, body }) => document(StatusCode::OK, content_type, body),
        Ok(Answer::Duplicate) => problem::duplicate(logged.index()),
        Err(cause) => waxseal_serve::Problem::fault("NO_ANSWER", cause).into_response(),
    }
}

async fn checkpoint(State(service): State<Arc<Service>>) -> Response {
    let note = service.published().checkpoint.clone();
    if note.is_empty() {
        return problem::not_found();
    }
    let mut response = note.into_response();
    set(response.headers_mut(), "text/plain; charset=utf-8");
    let uncached = HeaderValue::from_static("no-cache");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, uncached);
    response
}

async fn tile(State(service): State<Arc<Service>>, Path(path): Path<String>) -> Response {
    let Ok(path) = TilePath::parse(&format!("tile/{path}")) else {
        return problem::not_found();
    };
    immutable(service.read(path).await, "application/octet-stream")
}

async fn issuer(State(service): State<Arc<Service>>, Path(digest): Path<String>) -> Response {
    let Some(digest) = parse_digest(&digest) else {
        return problem::not_found();
    };
    immutable(service.issuer(digest).await, "application/pkix-cert")
}

fn immutable(
    read: Result<Option<Vec<u8>>, crate::ReadError>,
    content_type: &'static str,
) -> Response {
    match read {
        Ok(Some(bytes)) => {
            let mut response = bytes.into_response();
            set(response.headers_mut(), content_type);
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, IMMUTABLE);
            response
        }
        Ok(None) => problem::not_found(),
        Err(error) => problem::read(error),
    }
}

fn set(headers: &mut HeaderMap, content_type: &'static str) {
    let value = HeaderValue::from_static(content_type);
    headers.insert(header::CONTENT_TYPE, value);
}

/// 64 lower-case hexadecimal digits, and nothing else (S-53).
fn parse_digest(text: &str) -> Option<[u8; 32]> {
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| Some((nibble(*high)? << 4) | nibble(*low)?))
        .collect();
    bytes?.try_into().ok().filter(|_| rest.is_empty())
}

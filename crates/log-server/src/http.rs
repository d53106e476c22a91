//! The log's routes: who is let in, and which file answers.

mod compress;
mod lookup;
mod read;
mod serve_bytes;
mod submit;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use waxseal_serve::{Accepts, accepting};

use crate::problem;
use crate::service::Service;
use compress::Compressor;

/// Bytes of requests that may be in memory at once, until they are answered; beyond, requests are
/// turned away before they are read.
const MAX_BYTES_IN_FLIGHT: usize = 64 << 20;

/// What the smallest request counts as: bounds their number, too.
const MIN_COUNTED: usize = 4 << 10;

/// What the routes share.
pub(crate) struct Web {
    service: Arc<Service>,
    compressor: Compressor,
}

pub(crate) fn router(service: &Arc<Service>) -> Router {
    let personality = &service.shared.personality;
    let mut router = Router::new();
    let budget = Budget {
        bytes: Arc::new(Semaphore::new(MAX_BYTES_IN_FLIGHT / MIN_COUNTED)),
        service: Arc::clone(service),
        max_body: 0,
    };
    for (position, endpoint) in personality.endpoints().iter().enumerate() {
        let submit = async move |web, request| submit::one(web, position, request).await;
        let budget = budget.of(endpoint.max_body);
        let methods = accepting(post(submit), Accepts::json(endpoint.max_body))
            .route_layer(from_fn_with_state(budget, admit));
        router = router.route(endpoint.path, methods);
    }
    let first = personality.endpoints().first();
    if let (Some(path), Some(endpoint)) = (personality.batch_path(), first) {
        let budget = budget.of(endpoint.max_body);
        let methods = accepting(post(submit::batch), Accepts::json(endpoint.max_body))
            .route_layer(from_fn_with_state(budget, admit));
        router = router.route(path, methods);
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
            .route(&format!("{prefix}/checkpoint"), get(read::checkpoint))
            .route(
                &format!("{prefix}/checkpoint/{{size}}"),
                get(read::checkpoint_of),
            )
            .route(&format!("{prefix}/tile/{{*path}}"), get(read::tile))
            .route(&format!("{prefix}/issuer/{{digest}}"), get(read::issuer));
    }
    if let Some(path) = personality.lookup_path() {
        router = router
            .route(&format!("{path}/entries/{{index}}"), get(lookup::entry))
            .route(
                &format!("{path}/entries/{{index}}/proof"),
                get(lookup::proof),
            )
            .route(
                &format!("{path}/entries/by-hash/{{hash}}"),
                get(lookup::entry_by_hash),
            )
            .route(
                &format!("{path}/proof/consistency"),
                get(lookup::consistency),
            );
    }
    router.with_state(Arc::new(Web {
        service: Arc::clone(service),
        compressor: Compressor::new(),
    }))
}

#[derive(Clone)]
struct Budget {
    bytes: Arc<Semaphore>,
    service: Arc<Service>,
    max_body: usize,
}

impl Budget {
    fn of(&self, max_body: usize) -> Self {
        Self {
            max_body,
            ..self.clone()
        }
    }
}

/// Counts a request's bytes before any of them is read, until it is answered.
async fn admit(State(budget): State<Budget>, request: Request, next: Next) -> Response {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok())
        .unwrap_or(budget.max_body)
        .min(budget.max_body);
    let permits = u32::try_from(announced.div_ceil(MIN_COUNTED).max(1)).unwrap_or(u32::MAX);
    match budget.bytes.try_acquire_many(permits) {
        Ok(_permits) => next.run(request).await,
        Err(_) => problem::overloaded(budget.service.retry_after()),
    }
}

//! The log's routes: who is let in, and which file answers.

mod budget;
mod compress;
mod door;
mod lookup;
mod read;
mod serve_bytes;
mod submit;

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use waxseal_serve::{Accepts, accepting};

use crate::service::Service;
use budget::{Incoming, admit, hold, outgoing};
use compress::Compressor;
pub(crate) use door::SubmissionDoor;

/// What the routes share.
pub(crate) struct Web {
    service: Arc<Service>,
    compressor: Compressor,
}

pub(crate) fn router(service: &Arc<Service>) -> Router {
    let personality = &service.shared.personality;
    let mut router = Router::new();
    let incoming = Incoming::new(service);
    for (position, endpoint) in personality.endpoints().iter().enumerate() {
        let submit = async move |web, request| submit::one(web, position, request).await;
        let methods = accepting(post(submit), Accepts::json(endpoint.max_body))
            .route_layer(from_fn_with_state(incoming.clone(), admit));
        router = router.route(endpoint.path, methods);
    }
    let first = personality.endpoints().first();
    if let (Some(path), Some(endpoint)) = (personality.batch_path(), first) {
        let methods = accepting(post(submit::batch), Accepts::json(endpoint.max_body))
            .route_layer(from_fn_with_state(incoming, admit));
        router = router.route(path, methods);
    }
    for document in personality.documents() {
        let answer = async move || {
            let kind = [(header::CONTENT_TYPE, document.content_type)];
            (kind, document.body.clone())
        };
        router = router.route(document.path, get(answer));
    }
    let mut reads = Router::new();
    for prefix in personality.read_prefixes() {
        reads = reads
            .route(&format!("{prefix}/checkpoint"), get(read::checkpoint))
            .route(
                &format!("{prefix}/checkpoint/{{size}}"),
                get(read::checkpoint_of),
            )
            .route(&format!("{prefix}/tile/{{*path}}"), get(read::tile))
            .route(&format!("{prefix}/issuer/{{digest}}"), get(read::issuer));
    }
    if let Some(path) = personality.lookup_path() {
        reads = reads
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
    let reads = reads.route_layer(from_fn_with_state(outgoing(), hold));
    router.merge(reads).with_state(Arc::new(Web {
        service: Arc::clone(service),
        compressor: Compressor::new(),
    }))
}

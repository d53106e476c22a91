//! How much of the log's memory requests and answers take, before anybody is let in.

use std::sync::Arc;
use std::time::Duration;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use waxseal_serve::{Budget, client_of, discard};

use crate::problem;
use crate::service::Service;

/// Bytes of requests that may be in memory at once, until they are answered.
const MAX_INCOMING: usize = 64 << 20;

/// Bytes of answers that may be on their way at once, until they are sent: a bundle has some 800
/// KiB, and 16 MiB at most.
const MAX_OUTGOING: usize = 128 << 20;

/// What the smallest request or answer counts as: bounds their number, too.
const UNIT: usize = 4 << 10;

/// When to come back for what there was no room for.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// The budget of requests.
#[derive(Clone)]
pub(super) struct Incoming {
    budget: Budget,
    service: Arc<Service>,
}

impl Incoming {
    pub(super) fn new(service: &Arc<Service>) -> Self {
        Self {
            budget: Budget::new(MAX_INCOMING / UNIT),
            service: Arc::clone(service),
        }
    }
}

/// The budget of answers.
pub(super) fn outgoing() -> Budget {
    Budget::new(MAX_OUTGOING / UNIT)
}

/// Before a byte of a request is read: whether there is time for it, and room. Then counts its bytes
/// as they come, until it is answered. What is only announced counts for nothing: it costs its sender
/// nothing either.
pub(super) async fn admit(
    State(incoming): State<Incoming>,
    request: Request,
    next: Next,
) -> Response {
    let overloaded = || problem::overloaded(incoming.service.retry_after()).into_response();
    let client = client_of(request.extensions());
    let lease = if incoming.service.lets_in() {
        incoming.budget.lease(client, 1)
    } else {
        None
    };
    let Some(lease) = lease else {
        discard(request).await;
        return overloaded();
    };
    let (parts, body) = request.into_parts();
    let (body, taken) = lease.count(body, UNIT);
    let response = next.run(Request::from_parts(parts, body)).await;
    if taken.is_refused() {
        return overloaded();
    }
    response
}

/// Counts an answer's bytes until they are sent, however slowly they are taken.
pub(super) async fn hold(State(outgoing): State<Budget>, request: Request, next: Next) -> Response {
    let client = client_of(request.extensions());
    let response = next.run(request).await;
    let size = response.body().size_hint().lower();
    let units = usize::try_from(size).unwrap_or(usize::MAX).div_ceil(UNIT);
    if units == 0 {
        return response;
    }
    match outgoing.lease(client, units) {
        Some(lease) => response.map(|body| lease.hold(body)),
        None => problem::overloaded(READ_AGAIN).into_response(),
    }
}

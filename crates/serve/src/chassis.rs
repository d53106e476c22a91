//! The rules around a whole router: names, encodings, panics, headers, log, metrics.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use tracing::Instrument;

use crate::problem::Reason;
use crate::{Code, HostCheck, Meter, Problem};

/// The largest body, in bytes, that an extractor reads on a route without [`crate::accepting`].
pub const UNDECLARED_BODY: usize = 64 * 1024;

/// Upper ends of the buckets for response times, in seconds.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// Every response says these, unless a route says otherwise.
pub(crate) const SECURITY_HEADERS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // With `no-referrer` browsers send `Origin: null` from our own forms, which we refuse.
    (header::REFERRER_POLICY, "same-origin"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
];

/// Names a request in the log; also in the response header `x-request-id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// Sixteen hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What every server has around its routes. Merge all routers first, then wrap once.
#[derive(Debug, Clone)]
pub struct Chassis {
    host_check: HostCheck,
    metrics: Metrics,
}

impl Chassis {
    /// A chassis that counts its requests in `meter`, and takes any `Host`.
    #[must_use]
    pub fn new(meter: &Meter) -> Self {
        Self {
            host_check: HostCheck::off(),
            metrics: Metrics::register(meter),
        }
    }

    /// Sets by which names the server may be called, as a rule [`crate::Listener::host_check`].
    #[must_use]
    pub fn with_host_check(mut self, host_check: HostCheck) -> Self {
        self.host_check = host_check;
        self
    }

    /// Wraps a router: unknown paths (404) and methods (405) get problem bodies, and every request
    /// is checked, named, logged and counted. The routers within set no fallback of their own.
    pub fn wrap(self, router: Router) -> Router {
        let rules = Arc::new(Rules {
            host_check: self.host_check,
            metrics: self.metrics,
            ids: RandomState::new(),
            served: AtomicU64::new(0),
        });
        router
            .fallback(async || {
                Problem::refusal(
                    Code::NotFound,
                    "NO_SUCH_PATH",
                    "there is nothing at this path",
                )
            })
            .method_not_allowed_fallback(async || {
                let message = "this path does not take this method";
                Problem::refusal(Code::Unimplemented, "METHOD_NOT_ALLOWED", message)
                    .with_status(StatusCode::METHOD_NOT_ALLOWED)
            })
            .layer(DefaultBodyLimit::max(UNDECLARED_BODY))
            .layer(from_fn_with_state(rules, enforce))
    }
}

struct Rules {
    host_check: HostCheck,
    metrics: Metrics,
    ids: RandomState,
    served: AtomicU64,
}

async fn enforce(State(rules): State<Arc<Rules>>, mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let number = rules.served.fetch_add(1, Ordering::Relaxed);
    let id = RequestId(format!("{:016x}", rules.ids.hash_one(number)));
    let method = method_label(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    // The template, not the path: a path may hold anything.
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let span = tracing::info_span!("request", id = id.as_str(), method, route);

    request.extensions_mut().insert(id.clone());
    let answer = async {
        match check(&rules, &request) {
            Ok(()) => match caught(next.run(request)).await {
                Ok(response) => response,
                Err(_) => {
                    rules.metrics.panics.inc();
                    tracing::error!("a request panicked");
                    let cause = "the route panicked";
                    Problem::fault("PANIC", cause).into_response()
                }
            },
            Err(problem) => problem.into_response(),
        }
    };
    let mut response = answer.instrument(span.clone()).await;

    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert("x-request-id", value);
    }
    let status = response.status();
    let elapsed = start.elapsed();
    let reason = response
        .extensions()
        .get::<Reason>()
        .map_or("", |reason| reason.0);
    span.in_scope(|| {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(status = status.as_u16(), reason, micros, "served");
    });
    rules
        .metrics
        .count(route, method, status, elapsed.as_secs_f64());
    response
}

fn check(rules: &Rules, request: &Request) -> Result<(), Problem> {
    rules.host_check.check(request.uri(), request.headers())?;
    let encoded = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
    // Nothing is decompressed: a kilobyte could become a gigabyte.
    if request
        .headers()
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(encoded)
    {
        let message = "an encoded body is not taken: send it as it is";
        return Err(
            Problem::refusal(Code::InvalidArgument, "CONTENT_ENCODING", message)
                .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        );
    }
    Ok(())
}

/// Drives a future, and catches its panic. The future is not polled again after one.
async fn caught<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(payload) => Poll::Ready(Err(payload)),
        },
    )
    .await
}

fn method_label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        _ => "other",
    }
}

fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

/// The labels of a request. The route is a template of the merged router: there are as many as
/// the program has routes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Clone)]
struct Metrics {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabel, Histogram, fn() -> Histogram>,
    panics: Counter,
}

impl Metrics {
    fn register(meter: &Meter) -> Self {
        let metrics = Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            panics: Counter::default(),
        };
        meter.with(|registry| {
            let help = "Requests by route template, method and status class";
            registry.register("http_requests", help, metrics.requests.clone());
            let help = "Time from the request's head to the response's head";
            registry.register("http_request_seconds", help, metrics.seconds.clone());
            let help = "Requests whose route panicked; each is a bug";
            registry.register("http_panics", help, metrics.panics.clone());
        });
        metrics
    }

    fn count(&self, route: &str, method: &'static str, status: StatusCode, seconds: f64) {
        let route = route.to_owned();
        self.seconds
            .get_or_create(&RouteLabel {
                route: route.clone(),
            })
            .observe(seconds);
        let labels = RequestLabels {
            route,
            method,
            status: status_class(status),
        };
        self.requests.get_or_create(&labels).inc();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

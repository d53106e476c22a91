//! What one route takes: media type, size, time. All before anybody parses.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::{Code, Problem};

/// The time for a whole request body, however it trickles.
pub const BODY_TOTAL: Duration = Duration::from_secs(30);

/// The time in which a body may be slower than the minimum rate.
pub const BODY_GRACE: Duration = Duration::from_secs(5);

/// Bytes per second that a body must have on average once the grace is over.
pub const BODY_MIN_RATE: u64 = 1024;

/// The longest request body that is read only to be thrown away, in bytes.
pub const MAX_DISCARDED: u64 = 64 << 10;

/// What a route takes as a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepts {
    content_types: &'static [&'static str],
    max_body: usize,
}

impl Accepts {
    /// One of these media types (lower case, no parameters), of at most so many bytes.
    ///
    /// Requiring the type keeps browsers' cross-site forms out: they cannot send JSON.
    #[must_use]
    pub const fn one_of(content_types: &'static [&'static str], max_body: usize) -> Self {
        Self {
            content_types,
            max_body,
        }
    }

    /// JSON of at most so many bytes.
    #[must_use]
    pub const fn json(max_body: usize) -> Self {
        Self::one_of(&["application/json"], max_body)
    }

    /// A form of at most so many bytes.
    #[must_use]
    pub const fn form(max_body: usize) -> Self {
        Self::one_of(&["application/x-www-form-urlencoded"], max_body)
    }

    /// Any media type or none, for protocols that define none.
    #[must_use]
    pub const fn untyped(max_body: usize) -> Self {
        Self::one_of(&[], max_body)
    }
}

/// Wraps a route's methods: the body is of the right type (415), within the limit (413) and here
/// in time (408) before the handler runs, which then finds it whole in memory.
///
/// `GET`, `HEAD` and `OPTIONS` are passed on with an empty body.
pub fn accepting<S>(methods: MethodRouter<S>, accepts: Accepts) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    methods
        .route_layer(DefaultBodyLimit::disable())
        .route_layer(from_fn_with_state(accepts, enforce))
}

/// Takes in the body of a request that is refused unread, so that its connection may be used again:
/// a client that has to connect anew costs more than its request. Leaves it, and with it the
/// connection, if it is not announced, longer than [`MAX_DISCARDED`], or later than [`BODY_GRACE`].
pub async fn discard(request: Request) {
    let (parts, mut body) = request.into_parts();
    if announced(&parts.headers).is_none_or(|length| length > MAX_DISCARDED) {
        return;
    }
    let end = Instant::now() + BODY_GRACE;
    while let Ok(Some(Ok(_))) = timeout_at(end, body.frame()).await {}
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

async fn enforce(State(accepts): State<Accepts>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(Request::from_parts(parts, Body::empty())).await;
    }
    let taken = match check_type(&parts.headers, accepts) {
        Ok(()) => read(&parts.headers, body, accepts.max_body).await,
        Err(problem) => Err(problem),
    };
    match taken {
        Ok(bytes) => {
            next.run(Request::from_parts(parts, Body::from(bytes)))
                .await
        }
        Err(problem) => problem.into_response(),
    }
}

fn check_type(headers: &HeaderMap, accepts: Accepts) -> Result<(), Problem> {
    if accepts.content_types.is_empty() {
        return Ok(());
    }
    let mut found = headers.get_all(header::CONTENT_TYPE).iter();
    if let (Some(value), None) = (found.next(), found.next()) {
        let essence = value
            .to_str()
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default();
        if accepts
            .content_types
            .iter()
            .any(|t| essence.trim().eq_ignore_ascii_case(t))
        {
            return Ok(());
        }
    }
    let message = format!(
        "the content type must be {}",
        accepts.content_types.join(" or ")
    );
    Err(
        Problem::refusal(Code::InvalidArgument, "CONTENT_TYPE", message)
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE),
    )
}

async fn read(headers: &HeaderMap, mut body: Body, max_body: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        let message = format!("the body is larger than {max_body} bytes");
        Problem::refusal(Code::InvalidArgument, "BODY_TOO_LARGE", message)
            .with_status(StatusCode::PAYLOAD_TOO_LARGE)
    };
    if announced(headers)
        .is_some_and(|length| usize::try_from(length).map_or(true, |n| n > max_body))
    {
        return Err(too_large());
    }
    let start = Instant::now();
    let mut bytes = BytesMut::new();
    loop {
        let earned = u64::try_from(bytes.len()).unwrap_or(u64::MAX) / BODY_MIN_RATE;
        let deadline = (BODY_GRACE + Duration::from_secs(earned)).min(BODY_TOTAL);
        let frame = match timeout_at(start + deadline, body.frame()).await {
            Ok(None) => return Ok(bytes.freeze()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => {
                let message = "the body ended too early";
                return Err(Problem::refusal(
                    Code::InvalidArgument,
                    "BODY_BROKEN",
                    message,
                ));
            }
            Err(_) => {
                let message = "the body came too slowly";
                return Err(
                    Problem::refusal(Code::DeadlineExceeded, "BODY_TOO_SLOW", message)
                        .with_status(StatusCode::REQUEST_TIMEOUT),
                );
            }
        };
        // Trailers are dropped: no protocol of ours has any.
        if let Ok(data) = frame.into_data() {
            if data.len() > max_body.saturating_sub(bytes.len()) {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
    }
}

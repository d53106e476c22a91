//! Who is turned away by a request's head alone, before a route is looked for.
//!
//! Under overload most requests are refused, on the processors that the others wait for: what a
//! refusal costs decides how much is left. At the door it costs the parsing of a head and a copy of
//! an answer that was made before.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::Problem;
use crate::chassis::SECURITY_HEADERS;
use crate::problem::whole_seconds;

/// Turns requests away while a server has more to do than it can. It counts those itself: nobody
/// else sees them. They are in neither the request log nor the metrics of the
/// [`Chassis`](crate::Chassis), and the answer is sent as it is, without an `x-request-id`.
pub trait Door: fmt::Debug + Send + Sync {
    /// The answer to a request that is turned away; `None` lets it through to its route, which may
    /// still refuse it.
    fn turns_away(&self, method: &Method, path: &str) -> Option<Response>;
}

/// What a server answers with: routes, and the doors before them.
#[derive(Debug, Clone)]
pub struct Front {
    pub(crate) router: Router,
    doors: Arc<[Arc<dyn Door>]>,
}

impl Front {
    /// Routes behind doors. A request goes through all of them.
    pub fn new(router: Router, doors: impl IntoIterator<Item = Arc<dyn Door>>) -> Self {
        Self {
            router,
            doors: doors.into_iter().collect(),
        }
    }

    pub(crate) fn turns_away(&self, method: &Method, path: &str) -> Option<Response> {
        self.doors
            .iter()
            .find_map(|door| door.turns_away(method, path))
    }
}

impl From<Router> for Front {
    fn from(router: Router) -> Self {
        Self::new(router, [])
    }
}

/// A problem that is told very often: made once, with the security headers that every answer has,
/// and without the `x-request-id` that names a request in the log: this one is not in it.
#[derive(Debug)]
pub struct PreparedProblem {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl PreparedProblem {
    /// Prepares a refusal. What it says of its cause and of a time is not kept.
    #[must_use]
    pub fn new(problem: Problem) -> Self {
        let body = problem.body();
        let (parts, _) = problem.into_response().into_parts();
        let mut headers = parts.headers;
        for (name, value) in SECURITY_HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        Self {
            status: parts.status,
            headers,
            body: body.into(),
        }
    }

    /// Tells it, and when to come back; rounded up to whole seconds.
    pub fn response(&self, retry_after: Duration) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.clone_from(&self.headers);
        headers.insert(
            header::RETRY_AFTER,
            HeaderValue::from(whole_seconds(retry_after)),
        );
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    #[derive(Debug)]
    struct Shut(&'static str);

    impl Door for Shut {
        fn turns_away(&self, _: &Method, path: &str) -> Option<Response> {
            (path == self.0).then(|| self.0.into_response())
        }
    }

    #[test]
    fn a_request_goes_through_every_door() {
        let doors: [Arc<dyn Door>; 2] = [Arc::new(Shut("/a")), Arc::new(Shut("/b"))];
        let front = Front::new(Router::new(), doors);
        for (path, expected) in [("/a", true), ("/b", true), ("/c", false)] {
            let turned = front.turns_away(&Method::POST, path);
            assert_eq!(turned.is_some(), expected, "{path}");
        }
    }

    #[tokio::test]
    async fn a_prepared_problem_says_what_the_problem_does() {
        let busy = || Problem::refusal(Code::Unavailable, "BUSY", "come again");
        let told = busy().with_retry_after(Duration::from_millis(1500));
        let told = told.into_response();
        let prepared = PreparedProblem::new(busy()).response(Duration::from_millis(1500));
        assert_eq!(told.status(), prepared.status());
        for (name, value) in told.headers() {
            assert_eq!(prepared.headers().get(name), Some(value), "{name}");
        }
        assert_eq!(prepared.headers()["x-content-type-options"], "nosniff");
        let read = async |response: Response| {
            let body = axum::body::to_bytes(response.into_body(), 1 << 16).await;
            body.unwrap()
        };
        assert_eq!(read(told).await, read(prepared).await);
    }
}

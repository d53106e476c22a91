//! A router as a Transport: requests to one origin stay in the process.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::header;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use waxseal_transport::{
    BoxFuture, Headers, Origin, Request, Response, Transport, TransportError, Url,
};

/// Answers requests to one origin with a router in this process, and passes all others on.
///
/// The rules are the same as on the wire: what [`Request::check`] refuses does not reach the
/// router, and what [`Request::admit`] refuses does not come back.
#[derive(Clone)]
pub struct RouterTransport {
    origin: Origin,
    router: Router,
    elsewhere: Arc<dyn Transport>,
}

impl RouterTransport {
    /// A transport whose `origin` (of that URL) is `router`.
    pub fn new(origin: &Url, router: Router, elsewhere: Arc<dyn Transport>) -> Self {
        Self {
            origin: Origin::of(origin),
            router,
            elsewhere,
        }
    }

    async fn exchange(&self, request: Request) -> Result<Response, TransportError> {
        request.check()?;
        let deadline = request.deadline;
        tokio::time::timeout(deadline, self.call(request))
            .await
            .unwrap_or(Err(TransportError::Deadline { after: deadline }))
    }

    async fn call(&self, mut request: Request) -> Result<Response, TransportError> {
        let origin = self.origin.clone();
        let broken = move |source: axum::BoxError| TransportError::Interrupted {
            origin: origin.clone(),
            source,
        };
        let body = std::mem::take(&mut request.body);
        let call = encode(&request, body).map_err(|error| broken(error.into()))?;
        let Ok(answer) = self.router.clone().oneshot(call).await;
        let (head, mut body) = answer.into_parts();
        let mut headers = Headers::new();
        for (name, value) in &head.headers {
            headers.append(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
        }
        let status = head.status.as_u16();
        request.admit(status, &headers)?;
        let mut collected = request.collector();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| broken(error.into()))?;
            if let Some(bytes) = frame.data_ref() {
                collected.push(bytes)?;
            }
        }
        Ok(Response::new(status, headers, collected.into_body()))
    }
}

/// The request as it would arrive: path and query on the request line, the origin in `Host`.
fn encode(request: &Request, body: Vec<u8>) -> http::Result<http::Request<Body>> {
    let url = &request.url;
    let mut target = url.path().to_owned();
    if let Some(query) = url.query() {
        target.push('?');
        target.push_str(query);
    }
    let port = url
        .port()
        .map_or_else(String::new, |port| format!(":{port}"));
    let host = format!("{}{port}", url.host_str().unwrap_or_default());
    let mut call = http::Request::builder()
        .method(request.method.as_str())
        .uri(target)
        .header(header::HOST, host);
    for (name, value) in request.headers.iter() {
        call = call.header(name, value);
    }
    if let Some(credential) = &request.credential {
        call = call.header(credential.header(), credential.expose());
    }
    if !body.is_empty() {
        call = call.header(header::CONTENT_LENGTH, body.len());
    }
    call.body(Body::from(body))
}

impl Transport for RouterTransport {
    fn send<'a>(&'a self, request: Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        if Origin::of(&request.url) == self.origin {
            Box::pin(self.exchange(request))
        } else {
            self.elsewhere.send(request)
        }
    }

    fn sleep<'a>(&'a self, duration: Duration) -> BoxFuture<'a, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A transport that reaches nobody: for an instance that has nothing to ask of the world.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing in it")]
pub struct Nowhere;

impl Transport for Nowhere {
    fn send<'a>(&'a self, request: Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        let refused = request.check().and_then(|()| {
            Err(TransportError::Connect {
                origin: Origin::of(&request.url),
                source: "nothing outside this process is reached".into(),
            })
        });
        Box::pin(async move { refused })
    }

    fn sleep<'a>(&'a self, duration: Duration) -> BoxFuture<'a, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

impl std::fmt::Debug for RouterTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RouterTransport({})", self.origin)
    }
}

#[cfg(test)]
mod tests;

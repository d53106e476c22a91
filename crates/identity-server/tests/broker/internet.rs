//! The providers' servers, in process: each origin is a router.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request as Call;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use waxseal_transport::{BoxFuture, Headers, Origin, Request, Response, Transport, TransportError};

/// Routers by origin; every other place does not answer.
#[derive(Clone, Default)]
pub(crate) struct Internet {
    sites: Arc<Mutex<Vec<(String, Router)>>>,
    /// Every request as `METHOD url`, query included.
    pub(crate) seen: Arc<Mutex<Vec<String>>>,
}

impl Internet {
    /// Puts a router in the place of an origin.
    pub(crate) fn add(&self, origin: &str, router: Router) {
        let mut sites = self.sites.lock().unwrap();
        sites.retain(|(known, _)| known != origin);
        sites.push((origin.to_owned(), router));
    }

    async fn exchange(&self, mut request: Request) -> Result<Response, TransportError> {
        request.check()?;
        let origin = Origin::of(&request.url);
        let line = format!("{} {}", request.method.as_str(), request.url);
        self.seen.lock().unwrap().push(line);
        let site = {
            let sites = self.sites.lock().unwrap();
            sites
                .iter()
                .find(|(known, _)| *known == origin.to_string())
                .map(|(_, router)| router.clone())
        };
        let Some(site) = site else {
            let source = "no such site".into();
            return Err(TransportError::Connect { origin, source });
        };
        let mut target = request.url.path().to_owned();
        if let Some(query) = request.url.query() {
            target = format!("{target}?{query}");
        }
        let mut call = Call::builder().method(request.method.as_str()).uri(target);
        for (name, value) in request.headers.iter() {
            call = call.header(name, value);
        }
        if let Some(credential) = &request.credential {
            call = call.header(credential.header(), credential.expose());
        }
        let body = std::mem::take(&mut request.body);
        let answer = site.oneshot(call.body(Body::from(body)).unwrap());
        let Ok(answer) = answer.await;
        let (head, mut body) = answer.into_parts();
        let mut headers = Headers::new();
        for (name, value) in &head.headers {
            headers.append(name.as_str(), value.to_str().unwrap());
        }
        let status = head.status.as_u16();
        request.admit(status, &headers)?;
        let mut collected = request.collector();
        while let Some(frame) = body.frame().await {
            if let Some(bytes) = frame.unwrap().data_ref() {
                collected.push(bytes)?;
            }
        }
        Ok(Response::new(status, headers, collected.into_body()))
    }
}

impl Transport for Internet {
    fn send<'a>(&'a self, request: Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(async move {
            let deadline = request.deadline;
            let answer = tokio::time::timeout(deadline, self.exchange(request)).await;
            answer.unwrap_or(Err(TransportError::Deadline { after: deadline }))
        })
    }

    fn sleep<'a>(&'a self, duration: Duration) -> BoxFuture<'a, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

//! A transport behind a socket: what a process of its own talks to.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http;
use waxseal_serve::{Limits, Listen, Shutdown, serve};
use waxseal_transport::{Credential, Method, Request, Transport, TransportError};

/// The largest request that is passed on.
const MAX_REQUEST: usize = 8 << 20;

/// A server on loopback that passes requests to a transport. It ends when it is dropped.
pub struct Proxy {
    /// Where it listens: `http://localhost:PORT`.
    pub url: String,
    shutdown: Shutdown,
}

#[derive(Clone)]
struct Target {
    transport: Arc<dyn Transport>,
    origin: String,
}

impl Proxy {
    /// Serves `transport`, as if requests had been sent to `origin`.
    pub async fn start(transport: Arc<dyn Transport>, origin: &str) -> Self {
        let listener = Listen::new("localhost:0").bind().await.unwrap();
        let url = format!("http://localhost:{}", listener.port());
        let origin = origin.to_owned();
        let router = Router::new()
            .fallback(pass)
            .with_state(Target { transport, origin });
        let shutdown = Shutdown::new();
        let until = shutdown.clone();
        tokio::spawn(async move { serve(router, listener, until, Limits::default()).await });
        Self { url, shutdown }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

async fn pass(State(target): State<Target>, call: http::Request<Body>) -> http::Response<Body> {
    let (head, body) = call.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let url: waxseal_transport::Url = format!("{}{path}", target.origin).parse().unwrap();
    let method = match head.method {
        http::Method::POST => Method::Post,
        _ => Method::Get,
    };
    let mut request = Request::new(method, url.clone()).returning_redirects();
    request.body = to_bytes(body, MAX_REQUEST).await.unwrap().to_vec();
    request.max_response = MAX_REQUEST;
    for (name, value) in &head.headers {
        let value = value.to_str().unwrap();
        match name.as_str() {
            "authorization" => {
                request =
                    request.with_credential(Credential::authorization(&url, value.to_owned()));
            }
            "accept" | "content-type" => request = request.with_header(name.as_str(), value),
            _ => {}
        }
    }
    let answered = target.transport.send(request).await;
    let mut answer = http::Response::builder();
    match answered {
        Ok(answered) => {
            answer = answer.status(answered.status);
            for (name, value) in answered.headers.iter() {
                if !name.eq_ignore_ascii_case("content-length")
                    && !name.eq_ignore_ascii_case("transfer-encoding")
                {
                    answer = answer.header(name, value);
                }
            }
            answer.body(Body::from(answered.body)).unwrap()
        }
        // A socket cannot say that the answer was too long: it is.
        Err(TransportError::TooLarge { limit }) => {
            let answer = answer.header("content-type", "application/json");
            answer.body(Body::from(vec![b' '; limit + 1])).unwrap()
        }
        Err(error) => {
            let answer = answer.status(502);
            answer.body(Body::from(error.to_string())).unwrap()
        }
    }
}

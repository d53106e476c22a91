//! Whether the process lives, and whether it can do its job now.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

/// The time a probe has to answer; later is "not ready".
pub const PROBE_DEADLINE: Duration = Duration::from_secs(5);

/// Why a probe says no, in words that anybody may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(pub &'static str);

type Probe = Arc<
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), NotReady>> + Send>> + Send + Sync + 'static,
>;

/// Named probes. Those of several servers in one process are joined by [`Health::and`].
#[derive(Clone, Default)]
pub struct Health {
    probes: Vec<(&'static str, Probe)>,
}

impl Health {
    /// No probes: ready as soon as it listens.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a probe. It runs at each question, so it must be cheap.
    #[must_use]
    pub fn probe<F, Fut>(mut self, name: &'static str, probe: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), NotReady>> + Send + 'static,
    {
        self.probes
            .push((name, Arc::new(move || Box::pin(probe()))));
        self
    }

    /// Joins the probes of another server in this process.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.probes.extend(other.probes);
        self
    }

    /// Asks every probe; the first that says no.
    ///
    /// # Errors
    /// The name of the probe and its reason.
    pub async fn ready(&self) -> Result<(), (&'static str, NotReady)> {
        for (name, probe) in &self.probes {
            ask(probe).await.map_err(|reason| (*name, reason))?;
        }
        Ok(())
    }

    /// `GET /healthz` (the process lives) and `GET /readyz` (every probe says yes; else 503).
    pub fn router(self) -> Router {
        Router::new()
            .route(
                "/healthz",
                get(async || uncached(StatusCode::OK, json!({"alive": true}))),
            )
            .route("/readyz", get(async move || self.report().await))
    }

    async fn report(&self) -> Response {
        let mut report = Map::new();
        let mut ready = true;
        for (name, probe) in &self.probes {
            let answer = ask(probe).await;
            ready &= answer.is_ok();
            let text = answer.map_or_else(|NotReady(reason)| reason, |()| "ok");
            report.insert((*name).to_owned(), Value::from(text));
        }
        let status = if ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        uncached(status, json!({"ready": ready, "probes": report}))
    }
}

async fn ask(probe: &Probe) -> Result<(), NotReady> {
    timeout(PROBE_DEADLINE, probe())
        .await
        .unwrap_or(Err(NotReady("the probe does not answer")))
}

fn uncached(status: StatusCode, body: Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

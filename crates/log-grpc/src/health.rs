//! `grpc.health.v1.Health`: whether the log can do its job now, asked at each question.

use std::pin::Pin;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_server};
use waxseal_serve::Health;

/// The names under which a client may ask: the server, and the log's service.
const SERVICES: [&str; 2] = ["", "dev.sigstore.rekor.v2.Rekor"];

/// How often a watched status is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

pub(crate) struct Probes(Health);

impl Probes {
    pub(crate) const fn new(health: Health) -> Self {
        Self(health)
    }
}

async fn status_of(health: &Health, service: &str) -> ServingStatus {
    if !SERVICES.contains(&service) {
        return ServingStatus::ServiceUnknown;
    }
    match health.ready().await {
        Ok(()) => ServingStatus::Serving,
        Err(_) => ServingStatus::NotServing,
    }
}

fn told(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

type Statuses = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl health_server::Health for Probes {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match status_of(&self.0, &request.get_ref().service).await {
            ServingStatus::ServiceUnknown => Err(Status::not_found("there is no such service")),
            status => Ok(Response::new(told(status))),
        }
    }

    type WatchStream = Statuses;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Statuses>, Status> {
        let service = request.into_inner().service;
        let state = (self.0.clone(), service, None);
        let statuses = unfold(state, async |(health, service, mut last)| {
            loop {
                let status = status_of(&health, &service).await;
                if last != Some(status) {
                    last = Some(status);
                    return Some((Ok(told(status)), (health, service, last)));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Ok(Response::new(Box::pin(statuses)))
    }
}

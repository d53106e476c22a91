//! The door before the routes that take submissions.

use std::fmt;
use std::sync::Arc;

use axum::http::Method;
use axum::response::Response;
use waxseal_serve::{Door, PreparedProblem};

use crate::problem;
use crate::service::Service;

/// Turns submissions away while the queue stands, as the routes themselves would.
pub(crate) struct SubmissionDoor {
    service: Arc<Service>,
    paths: Vec<String>,
    overloaded: PreparedProblem,
}

impl SubmissionDoor {
    /// The log's routes are below `prefix`; the empty one is the root.
    pub(crate) fn new(service: &Arc<Service>, prefix: &str) -> Self {
        let personality = &service.shared.personality;
        let endpoints = personality.endpoints().iter().map(|one| one.path);
        let paths = endpoints.chain(personality.batch_path());
        Self {
            paths: paths.map(|path| format!("{prefix}{path}")).collect(),
            service: Arc::clone(service),
            overloaded: PreparedProblem::new(problem::overloaded(service.retry_after())),
        }
    }
}

impl Door for SubmissionDoor {
    fn turns_away(&self, method: &Method, path: &str) -> Option<Response> {
        let is_submission = method == Method::POST && self.paths.iter().any(|own| own == path);
        if !is_submission || self.service.lets_in() {
            return None;
        }
        Some(self.overloaded.response(self.service.retry_after()))
    }
}

impl fmt::Debug for SubmissionDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubmissionDoor({:?})", self.paths)
    }
}

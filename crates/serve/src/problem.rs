//! What a client is told when something does not work: google.rpc.Status as JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{BoxError, causes};

/// Who assigns the reasons in problem bodies (`google.rpc.ErrorInfo.domain`).
const DOMAIN: &str = "waxseal";

/// The canonical code (google/rpc/code.proto) and, with it, the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// 3; status 400.
    InvalidArgument,
    /// 4; status 504.
    DeadlineExceeded,
    /// 5; status 404.
    NotFound,
    /// 6; status 409.
    AlreadyExists,
    /// 7; status 403.
    PermissionDenied,
    /// 8; status 429.
    ResourceExhausted,
    /// 9; status 400.
    FailedPrecondition,
    /// 10; status 409.
    Aborted,
    /// 12; status 501.
    Unimplemented,
    /// 13; status 500.
    Internal,
    /// 14; status 503.
    Unavailable,
    /// 16; status 401.
    Unauthenticated,
}

impl Code {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::InvalidArgument => 3,
            Self::DeadlineExceeded => 4,
            Self::NotFound => 5,
            Self::AlreadyExists => 6,
            Self::PermissionDenied => 7,
            Self::ResourceExhausted => 8,
            Self::FailedPrecondition => 9,
            Self::Aborted => 10,
            Self::Unimplemented => 12,
            Self::Internal => 13,
            Self::Unavailable => 14,
            Self::Unauthenticated => 16,
        }
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidArgument | Self::FailedPrecondition => StatusCode::BAD_REQUEST,
            Self::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::AlreadyExists | Self::Aborted => StatusCode::CONFLICT,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Self::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
        }
    }
}

/// A refusal (the client's doing, with a message for it) or a fault (ours: the cause goes to the
/// log and never to the client). What must stop the process is a [`crate::Fatal`].
///
/// `reason` is stable: clients and dashboards may match on it. As a response it is
/// `{"code": 3, "message": "…", "details": [{"@type": "…ErrorInfo", "reason": "…", …}]}`.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    status: StatusCode,
    reason: &'static str,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    metadata: BTreeMap<&'static str, Cow<'static, str>>,
    cause: Option<BoxError>,
}

impl Problem {
    /// A refusal. The message is sent: it must be safe to show, and name no secret.
    pub fn refusal(
        code: Code,
        reason: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            status: code.status(),
            reason,
            message: message.into(),
            retry_after: None,
            metadata: BTreeMap::new(),
            cause: None,
        }
    }

    /// A fault: status 500, and a message that says nothing. The cause is logged.
    pub fn fault(reason: &'static str, cause: impl Into<BoxError>) -> Self {
        let message = "the server could not do this; its log says why";
        Self {
            cause: Some(cause.into()),
            ..Self::refusal(Code::Internal, reason, message)
        }
    }

    /// A fault of something this server depends on: status 503. The cause is logged.
    pub fn unavailable(
        reason: &'static str,
        message: impl Into<Cow<'static, str>>,
        cause: impl Into<BoxError>,
    ) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::refusal(Code::Unavailable, reason, message)
        }
    }

    /// Uses a status other than the code's own.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Tells when to come back; rounded up to whole seconds.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Adds to what a machine may read (`google.rpc.ErrorInfo.metadata`), such as the `field` that
    /// is wrong. It is sent: it must be safe to show.
    #[must_use]
    pub fn with_metadata(mut self, key: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.metadata.insert(key, value.into());
        self
    }

    /// What the client reads.
    pub(crate) fn body(&self) -> Vec<u8> {
        let body = Body {
            code: self.code.number(),
            message: &self.message,
            details: [Info {
                kind: "type.googleapis.com/google.rpc.ErrorInfo",
                reason: self.reason,
                domain: DOMAIN,
                metadata: &self.metadata,
            }],
        };
        // Strings and a number always serialise.
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// The stable reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

/// As `Retry-After` tells it (RFC 9110 §10.2.3).
pub(crate) fn whole_seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}

/// The reason of the problem that a response tells, for the request log.
#[derive(Clone, Copy)]
pub(crate) struct Reason(pub(crate) &'static str);

#[derive(Serialize)]
struct Body<'a> {
    code: u8,
    message: &'a str,
    details: [Info<'a>; 1],
}

#[derive(Serialize)]
struct Info<'a> {
    #[serde(rename = "@type")]
    kind: &'static str,
    reason: &'a str,
    domain: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<&'static str, Cow<'static, str>>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Some(cause) = &self.cause {
            tracing::error!(
                reason = self.reason,
                cause = causes(cause.as_ref()),
                "fault"
            );
        }
        let json = self.body();
        let mut response = (self.status, json).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(delay) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(delay)));
        }
        response.extensions_mut().insert(Reason(self.reason));
        response
    }
}

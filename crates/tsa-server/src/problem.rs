//! What clients are told: the statuses and messages of Sigstore's timestamp authority
//! (authority.md §3.1), and PKIFailureInfo where that is asked for.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use waxseal_pki::timestamp::{PkiFailure, RequestError};
use waxseal_serve::{Code, Problem, causes};

use crate::service::StampError;

const FAULT: &str = "Error generating timestamp response";

/// How long a client waits that came at a bad moment.
const COME_BACK: Duration = Duration::from_secs(1);

/// A problem, and the message in it.
pub(crate) struct Told {
    problem: Problem,
    pub(crate) message: Cow<'static, str>,
}

/// Logs a fault's cause, and chooses the answer.
pub(crate) fn problem(error: &StampError) -> Told {
    if error.is_fault() {
        tracing::error!(cause = causes(error), "no timestamp");
    }
    // Of our own errors the texts name numbers and identifiers, never contents.
    let (code, reason, message) = match error {
        StampError::Request(request) => (
            Code::InvalidArgument,
            reason_of(request),
            Cow::from(request.to_string()),
        ),
        StampError::Json(json) => (
            Code::InvalidArgument,
            "MALFORMED_REQUEST",
            json.to_string().into(),
        ),
        StampError::MalformedPolicy => (
            Code::InvalidArgument,
            "MALFORMED_REQUEST",
            error.to_string().into(),
        ),
        StampError::UnacceptedPolicy { .. } => (
            Code::InvalidArgument,
            "UNACCEPTED_POLICY",
            error.to_string().into(),
        ),
        StampError::UnacceptedExtension { .. } => (
            Code::InvalidArgument,
            "UNACCEPTED_EXTENSION",
            error.to_string().into(),
        ),
        StampError::Overloaded => (Code::Unavailable, "OVERLOADED", error.to_string().into()),
        StampError::ClockBehind(_) => (Code::Internal, "CLOCK", FAULT.into()),
        StampError::OutsideValidity { .. } => (Code::Internal, "CERTIFICATE", FAULT.into()),
        StampError::SignerTimeout => (Code::Unavailable, "SIGNER", FAULT.into()),
        StampError::Random(_)
        | StampError::Sign(_)
        | StampError::Unreadable(_)
        | StampError::Unverified(_) => (Code::Internal, "SIGNER", FAULT.into()),
    };
    let mut problem = Problem::refusal(code, reason, message.clone());
    if matches!(error, StampError::Request(RequestError::TooLarge)) {
        problem = problem.with_status(StatusCode::PAYLOAD_TOO_LARGE);
    }
    if code == Code::Unavailable {
        problem = problem.with_retry_after(COME_BACK);
    }
    Told { problem, message }
}

/// The response: its body is upstream's, where `code` is the HTTP status.
pub(crate) fn response(told: Told) -> Response {
    let (status, reason) = (told.problem.status(), told.problem.reason());
    let body = serde_json::json!({
        "code": status.as_u16(),
        "message": told.message,
        "reason": reason,
    });
    let (mut parts, _) = told.problem.into_response().into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body.to_string()))
}

/// The bit of PKIFailureInfo (RFC 3161 §2.4.2).
pub(crate) const fn failure_of(error: &StampError) -> PkiFailure {
    match error {
        StampError::Request(RequestError::WeakHash) => PkiFailure::BadAlgorithm,
        StampError::Request(RequestError::Malformed | RequestError::DigestLength { .. }) => {
            PkiFailure::BadDataFormat
        }
        StampError::Request(_) | StampError::Json(_) | StampError::MalformedPolicy => {
            PkiFailure::BadRequest
        }
        StampError::UnacceptedPolicy { .. } => PkiFailure::UnacceptedPolicy,
        StampError::UnacceptedExtension { .. } => PkiFailure::UnacceptedExtension,
        StampError::ClockBehind(_) | StampError::OutsideValidity { .. } => {
            PkiFailure::TimeNotAvailable
        }
        StampError::Overloaded
        | StampError::Random(_)
        | StampError::Sign(_)
        | StampError::SignerTimeout
        | StampError::Unreadable(_)
        | StampError::Unverified(_) => PkiFailure::SystemFailure,
    }
}

const fn reason_of(error: &RequestError) -> &'static str {
    match error {
        RequestError::TooLarge => "REQUEST_TOO_LARGE",
        RequestError::UnknownVersion => "UNKNOWN_VERSION",
        RequestError::WeakHash => "WEAK_HASH",
        RequestError::DigestLength { .. } => "DIGEST_LENGTH",
        RequestError::NonceTooLong { .. } => "NONCE_TOO_LONG",
        RequestError::OidTooLong => "OID_TOO_LONG",
        _ => "MALFORMED_REQUEST",
    }
}

//! The log's problem bodies as gRPC statuses: the same code, message and details.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::Response;
use http_body_util::{BodyExt as _, Empty};
use prost::Message as _;
use prost_types::{Any, Duration};
use serde_json::Value;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::google::rpc;

/// Headers of the log that mean something to clients of both kinds.
const PASSED_ON: [&str; 3] = ["x-log-index", "preference-applied", "retry-after"];

/// What makes a response the end of a call.
const OUTCOME: [&str; 3] = ["grpc-status", "grpc-message", "grpc-status-details-bin"];

const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// Too many calls at one time.
pub(crate) fn overloaded() -> Status {
    let message = "reached max pushback; retry";
    let info = error_info("OVERLOADED", "waxseal", rpc::ErrorInfo::default());
    with_details(Code::Unavailable, message, vec![info, retry_info(1)])
}

/// A request that could stand for no path.
pub(crate) fn malformed(field: &'static str, message: &'static str) -> Status {
    let mut info = rpc::ErrorInfo::default();
    info.metadata.insert("field".to_owned(), field.to_owned());
    let info = error_info("BAD_QUERY", "waxseal", info);
    with_details(Code::InvalidArgument, message, vec![info])
}

/// What the log answered, and not well.
pub(crate) fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Status {
    let mut told = match serde_json::from_slice::<Value>(body) {
        Ok(problem) => from_problem(&problem, headers),
        // The one answer that is text (rekor-tiles' words): the log is frozen.
        Err(_) if status == StatusCode::METHOD_NOT_ALLOWED => {
            let info = error_info("FROZEN", "waxseal", rpc::ErrorInfo::default());
            let message = String::from_utf8_lossy(body);
            with_details(Code::FailedPrecondition, message.trim(), vec![info])
        }
        Err(_) => Status::internal("the log did not say what is wrong"),
    };
    pass_on(headers, told.metadata_mut());
    told
}

/// What is passed on with a refusal, in front of it too: rekor-tiles sends it there, and a client
/// that looks there finds nothing in an answer that is all trailers (gRPC's `Trailers-Only`).
pub(crate) fn announced(response: Response) -> Response {
    let headers = response.headers();
    let is_all_trailers = headers.contains_key("grpc-status");
    if !is_all_trailers || !PASSED_ON.iter().any(|name| headers.contains_key(*name)) {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let mut trailers = HeaderMap::new();
    for name in OUTCOME.map(HeaderName::from_static) {
        if let Some(value) = parts.headers.remove(&name) {
            trailers.insert(name, value);
        }
    }
    for name in PASSED_ON.map(HeaderName::from_static) {
        if let Some(value) = parts.headers.get(&name) {
            trailers.insert(name, value.clone());
        }
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    let end = Empty::<Bytes>::new().with_trailers(async { Some(Ok::<_, Infallible>(trailers)) });
    Response::from_parts(parts, Body::new(end))
}

/// Copies [`PASSED_ON`] into a status's metadata.
pub(crate) fn pass_on(headers: &HeaderMap, metadata: &mut MetadataMap) {
    for name in PASSED_ON {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(value) = value.and_then(|value| value.parse().ok()) {
            metadata.insert(name, value);
        }
    }
}

fn from_problem(problem: &Value, headers: &HeaderMap) -> Status {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = problem["code"].as_i64();
    let number = number.and_then(|number| i32::try_from(number).ok());
    let mut details = Vec::new();
    for detail in problem["details"].as_array().into_iter().flatten() {
        let metadata = detail["metadata"].as_object().into_iter().flatten();
        let metadata = metadata.map(|(key, value)| (key.clone(), text(value)));
        let info = rpc::ErrorInfo {
            metadata: metadata.collect(),
            ..Default::default()
        };
        let (reason, domain) = (text(&detail["reason"]), text(&detail["domain"]));
        details.push(error_info(&reason, &domain, info));
    }
    let after = headers.get(header::RETRY_AFTER);
    let after = after.and_then(|after| after.to_str().ok()?.parse().ok());
    details.extend(after.map(retry_info));
    let code = Code::from_i32(number.unwrap_or(2));
    with_details(code, &text(&problem["message"]), details)
}

fn error_info(reason: &str, domain: &str, info: rpc::ErrorInfo) -> Any {
    let info = rpc::ErrorInfo {
        reason: reason.to_owned(),
        domain: domain.to_owned(),
        ..info
    };
    any(ERROR_INFO, &info)
}

fn retry_info(seconds: i64) -> Any {
    let retry_delay = Some(Duration { seconds, nanos: 0 });
    any(RETRY_INFO, &rpc::RetryInfo { retry_delay })
}

fn any(kind: &str, message: &impl prost::Message) -> Any {
    Any {
        type_url: kind.to_owned(),
        value: message.encode_to_vec(),
    }
}

fn with_details(code: Code, message: &str, details: Vec<Any>) -> Status {
    let whole = rpc::Status {
        code: code.into(),
        message: message.to_owned(),
        details,
    };
    Status::with_details(code, message, whole.encode_to_vec().into())
}

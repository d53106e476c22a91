//! The HTTP surface: decode, call, encode (RFC 3161 §3.4).

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use waxseal_crypto::{Digest, HashAlgorithm, Pem};
use waxseal_formats as formats;
use waxseal_formats::tsa::{MAX_TIMESTAMP_REQUEST_BYTES, TimestampJsonRequest};
use waxseal_pki::ObjectIdentifier;
use waxseal_pki::timestamp::{RequestError, TimestampRequest, TimestampResponse};
use waxseal_serve::{Accepts, accepting};

use crate::problem::{failure_of, problem, response};
use crate::service::{Service, StampError};

/// The largest body that is read at all (upstream's `--max-request-body-size`).
pub const MAX_BODY: usize = 1_048_576;

const QUERY: &str = "application/timestamp-query";
const REPLY: &str = "application/timestamp-reply";
const JSON: &str = "application/json";

/// The most components of an object identifier, by upstream's message for it.
const MAX_COMPONENTS: usize = 128;

/// The routes.
pub(crate) fn router(service: Arc<Service>) -> Router {
    let body = Accepts::one_of(&[QUERY, JSON], MAX_BODY);
    Router::new()
        .route("/api/v1/timestamp", accepting(post(timestamp), body))
        .route("/api/v1/timestamp/certchain", get(certchain))
        .route("/ping", get(async || "."))
        .with_state(service)
}

async fn timestamp(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let is_json = is_json(&headers);
    let request = match is_json {
        true => parse_json(&body),
        false => TimestampRequest::parse(&body).map_err(StampError::from),
    };
    match service.stamp(request).await {
        Ok(reply) => {
            let created = service.config.answer_created;
            let status = if created {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            der(status, reply)
        }
        Err(error) => {
            let told = problem(&error);
            if service.config.rfc3161_status && !is_json {
                let reply = TimestampResponse::encode_rejection(failure_of(&error), &told.message);
                return der(StatusCode::OK, reply);
            }
            response(told)
        }
    }
}

/// The route takes one of two types and nothing else: what is not JSON is DER.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(JSON)
}

fn parse_json(body: &[u8]) -> Result<TimestampRequest, StampError> {
    if body.len() > MAX_TIMESTAMP_REQUEST_BYTES {
        return Err(RequestError::TooLarge.into());
    }
    let json = TimestampJsonRequest::from_json(body)?;
    let algorithm = match &json.hash_algorithm {
        name if *name == formats::HashAlgorithm::SHA2_256 => HashAlgorithm::Sha256,
        name if *name == formats::HashAlgorithm::SHA2_384 => HashAlgorithm::Sha384,
        name if *name == formats::HashAlgorithm::SHA2_512 => HashAlgorithm::Sha512,
        _ => return Err(RequestError::WeakHash.into()),
    };
    let digest = Digest::new(algorithm, &json.artifact_hash).map_err(|error| {
        RequestError::DigestLength {
            algorithm,
            found: error.found,
        }
    })?;
    let mut request = TimestampRequest::new(digest).with_certificates(json.certificates);
    if let Some(nonce) = json.nonce {
        request = request.with_nonce(&nonce.to_be_bytes());
    }
    if let Some(policy) = json.policy {
        request = request.with_policy(parse_policy(&policy)?);
    }
    Ok(request)
}

/// V-67: dots are counted before anything is split or stored.
fn parse_policy(text: &str) -> Result<ObjectIdentifier, StampError> {
    if text.bytes().filter(|byte| *byte == b'.').count() >= MAX_COMPONENTS {
        return Err(RequestError::OidTooLong.into());
    }
    ObjectIdentifier::new(text).map_err(|_| StampError::MalformedPolicy)
}

async fn certchain(State(service): State<Arc<Service>>) -> Response {
    let blocks = service
        .certificates()
        .map(|one| Pem::new("CERTIFICATE", one.der()).encode());
    let headers = [
        (header::CONTENT_TYPE, "application/pem-certificate-chain"),
        (header::CACHE_CONTROL, "max-age=86400, immutable"),
    ];
    (headers, blocks.collect::<String>()).into_response()
}

fn der(status: StatusCode, body: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, REPLY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, body).into_response()
}

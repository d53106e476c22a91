//! The write routes: one entry, or many at once.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::future::join_all;
use waxseal_formats::log::split_batch;
use waxseal_serve::{Problem, client_of};

use super::Web;
use crate::personality::Answer;
use crate::problem;
use crate::service::Client;

/// RFC 7240.
const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const REPRESENTATION: HeaderValue = HeaderValue::from_static("return=representation");

/// No answer to one request is longer: 64 KiB of entry, base64 twice, a checkpoint.
const MAX_ANSWER: usize = 1 << 20;

pub(super) async fn one(
    State(web): State<Arc<Web>>,
    endpoint: usize,
    request: Request,
) -> Response {
    let client = submitter(&request);
    match Bytes::from_request(request, &()).await {
        Ok(body) => submit(&web, endpoint, &body, client).await,
        Err(rejection) => rejection.into_response(),
    }
}

/// Each request of a batch is taken or refused by itself; those that are taken at once are mostly
/// in one commit, under one checkpoint.
pub(super) async fn batch(State(web): State<Arc<Web>>, request: Request) -> Response {
    let client = submitter(&request);
    let body = match Bytes::from_request(request, &()).await {
        Ok(body) => body,
        Err(rejection) => return rejection.into_response(),
    };
    let parts = match split_batch(&body) {
        Ok(parts) => parts,
        Err(error) => return problem::bad_batch(&error),
    };
    let parts: Vec<_> = parts.into_iter().map(|part| body.slice_ref(part)).collect();
    let answers = parts.iter().map(|part| submit(&web, 0, part, client));
    together(join_all(answers).await).await
}

/// One answer for all of a batch, unless the log was frozen before any of it came: then it is what
/// one of them gets, and nothing of it was taken.
async fn together(answers: Vec<Response>) -> Response {
    let is_frozen = |answer: &Response| answer.status() == StatusCode::METHOD_NOT_ALLOWED;
    if answers.iter().all(is_frozen) {
        return problem::frozen();
    }
    let mut results = String::from(r#"{"results":["#);
    for (position, answer) in answers.into_iter().enumerate() {
        if position > 0 {
            results.push(',');
        }
        let answer = if is_frozen(&answer) {
            problem::frozen_meanwhile()
        } else {
            answer
        };
        push_result(&mut results, answer).await;
    }
    results.push_str("]}");
    ([(header::CONTENT_TYPE, "application/json")], results).into_response()
}

/// Appends `{"status": …, "entry": …}` or `{"status": …, "error": …}`.
async fn push_result(results: &mut String, answer: Response) {
    let status = answer.status();
    let member = if status.is_success() {
        "entry"
    } else {
        "error"
    };
    // Every body of ours is whole, and JSON.
    let body = to_bytes(answer.into_body(), MAX_ANSWER).await;
    let body = body.unwrap_or_default();
    let body = std::str::from_utf8(&body).unwrap_or("null");
    // Writing to a `String` cannot fail.
    let _ = write!(
        results,
        r#"{{"status":{},"{member}":{body}}}"#,
        status.as_u16()
    );
}

async fn submit(web: &Web, endpoint: usize, body: &Bytes, client: Client) -> Response {
    let service = &web.service;
    let logged = match service.submit_for(client, endpoint, body).await {
        Ok(logged) => logged,
        Err(error) => return problem::submit(error, service.retry_after()),
    };
    let document = |status, content_type, body: Vec<u8>| {
        (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
    };
    let mut response = match service.shared.personality.answer(&logged).await {
        Ok(Answer::Created { content_type, body }) => {
            document(StatusCode::CREATED, content_type, body)
        }
        Ok(Answer::Document { content_type, body }) => document(StatusCode::OK, content_type, body),
        Ok(Answer::Duplicate) => return problem::duplicate(logged.index()),
        Err(cause) => {
            service.metrics.proof_failed();
            return Problem::fault("NO_ANSWER", cause).into_response();
        }
    };
    let headers = response.headers_mut();
    if logged.is_duplicate() {
        headers.insert("x-log-index", HeaderValue::from(logged.index()));
        if client.wants_entry {
            headers.insert(PREFERENCE_APPLIED, REPRESENTATION);
        }
    }
    response
}

fn submitter(request: &Request) -> Client {
    Client {
        address: client_of(request.extensions()),
        wants_entry: prefers_representation(request.headers()),
    }
}

/// Whether `Prefer: return=representation` is among the preferences.
fn prefers_representation(headers: &HeaderMap) -> bool {
    let values = headers.get_all(PREFER).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        // Parameters of a preference change nothing.
        .filter_map(|preference| preference.split(';').next()?.split_once('='))
        .any(|(name, value)| {
            name.trim().eq_ignore_ascii_case("return")
                && value.trim().trim_matches('"') == "representation"
        })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A freeze in the middle of a batch: who was taken is told so.
    #[tokio::test]
    async fn a_batch_that_meets_a_freeze_is_answered_entry_by_entry() {
        let created = || (StatusCode::CREATED, r#"{"logIndex":"7"}"#).into_response();
        let answers = vec![created(), problem::frozen(), problem::duplicate(3)];
        let answer = together(answers).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let body = to_bytes(answer.into_body(), MAX_ANSWER).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let results = body["results"].as_array().unwrap();
        let statuses: Vec<_> = results.iter().map(|one| one["status"].clone()).collect();
        assert_eq!(statuses, [json!(201), json!(405), json!(409)]);
        assert_eq!(results[0]["entry"]["logIndex"], "7");
        assert_eq!(results[1]["error"]["code"], 9);
        assert_eq!(results[1]["error"]["details"][0]["reason"], "LOG_FROZEN");
        // If it was frozen before, the batch gets the text that one entry gets.
        for count in 1..4 {
            let answers = (0..count).map(|_| problem::frozen()).collect();
            let answer = together(answers).await;
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(answer.headers()[header::ALLOW], "GET, HEAD");
        }
    }

    #[test]
    fn preferences() {
        for (values, expected) in [
            (&["return=representation"][..], true),
            (&["respond-async, Return = \"representation\""], true),
            (&["wait=5", "return=representation; foo=1"], true),
            (&[], false),
            (&["return=minimal"], false),
            (&["return"], false),
            (&["representation"], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(PREFER, HeaderValue::from_static(value));
            }
            assert_eq!(prefers_representation(&headers), expected, "{values:?}");
        }
    }
}

//! The lookup routes: entries with their proofs, and consistency between published trees.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use waxseal_serve::{BoxError, Problem};
use waxseal_tlog::{SignedNote, TlogProof};

use super::Web;
use crate::personality::{Answer, Logged};
use crate::problem;
use crate::shared::ReadError;

const JSON: &str = "application/json";

/// The entry and its proof, as it was answered when it was logged, under the newest checkpoint.
pub(super) async fn entry(State(web): State<Arc<Web>>, Path(index): Path<String>) -> Response {
    let Some(index) = decimal(&index) else {
        return bad_index();
    };
    let found = web.service.entry(index).await;
    answer(&web, found).await
}

pub(super) async fn entry_by_hash(
    State(web): State<Arc<Web>>,
    Path(hash): Path<String>,
) -> Response {
    let Some(hash) = parse_digest(&hash) else {
        let message = "a leaf hash is 64 lower-case hexadecimal digits";
        return problem::bad_query("hash", message);
    };
    let found = web.service.entry_by_hash(hash).await;
    answer(&web, found).await
}

/// The same, or only the proof, as a text (c2sp.org/tlog-proof), for who asks for text.
pub(super) async fn proof(
    State(web): State<Arc<Web>>,
    Path(index): Path<String>,
    request: HeaderMap,
) -> Response {
    let Some(index) = decimal(&index) else {
        return bad_index();
    };
    let found = web.service.entry(index).await;
    let mut response = match found {
        Ok(Some(logged)) if wants_text(&request) => proof_text(&logged).unwrap_or_else(fault),
        found => answer(&web, found).await,
    };
    let by = HeaderValue::from_static("accept");
    response.headers_mut().insert(header::VARY, by);
    response
}

/// `?firstSize=…&lastSize=…`; the last is the published size if it is not given.
pub(super) async fn consistency(
    State(web): State<Arc<Web>>,
    query: Query<Vec<(String, String)>>,
) -> Response {
    let published = web.service.published().tree_size;
    let (mut first, mut last) = (None, None);
    for (name, value) in query.iter() {
        let size = match name.as_str() {
            "firstSize" => &mut first,
            "lastSize" => &mut last,
            _ => return problem::bad_query("query", "only firstSize and lastSize are known"),
        };
        let number = decimal(value).filter(|_| size.is_none());
        let Some(number) = number else {
            return problem::bad_query("query", "a tree size is one decimal number");
        };
        *size = Some(number);
    }
    let Some(first) = first else {
        return problem::bad_query("firstSize", "firstSize is missing");
    };
    let last = last.unwrap_or(published);
    let made = match web.service.consistency(first, last).await {
        Ok(Some(made)) => made,
        Ok(None) => return problem::no_such_proof(published),
        Err(error) => return problem::read(error),
    };
    let hashes: Vec<_> = made.proof.hashes.iter().map(quoted).collect();
    let mut body = String::new();
    // Writing to a `String` cannot fail.
    let _ = write!(
        body,
        r#"{{"firstSize":"{first}","lastSize":"{last}","firstRootHash":{},"rootHash":{},"hashes":[{}]}}"#,
        quoted(&made.old_root),
        quoted(&made.new_root),
        hashes.join(",")
    );
    revalidated(JSON, body)
}

fn quoted(hash: &[u8; 32]) -> String {
    format!("\"{}\"", STANDARD.encode(hash))
}

async fn answer(web: &Web, found: Result<Option<Logged>, ReadError>) -> Response {
    let logged = match found {
        Ok(Some(logged)) => logged,
        Ok(None) => return problem::not_yet(web.service.published().tree_size),
        Err(error) => return problem::read(error),
    };
    match web.service.shared.personality.answer(&logged).await {
        Ok(Answer::Created { content_type, body } | Answer::Document { content_type, body }) => {
            revalidated(content_type, body)
        }
        Ok(Answer::Duplicate) => problem::duplicate(logged.index()),
        Err(cause) => fault(cause),
    }
}

fn proof_text(logged: &Logged) -> Result<Response, BoxError> {
    let text = TlogProof {
        extra: None,
        leaf_index: logged.index(),
        hashes: logged.prove()?.hashes,
        checkpoint: SignedNote::parse(&logged.published().checkpoint)?,
    };
    Ok(revalidated("text/plain; charset=utf-8", text.to_string()))
}

fn fault(cause: BoxError) -> Response {
    Problem::fault("NO_ANSWER", cause).into_response()
}

/// It goes with the newest checkpoint, which there may be a newer one of.
fn revalidated(content_type: &'static str, body: impl axum::response::IntoResponse) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static(content_type);
    headers.insert(header::CONTENT_TYPE, kind);
    let uncached = HeaderValue::from_static("no-cache");
    headers.insert(header::CACHE_CONTROL, uncached);
    response
}

fn bad_index() -> Response {
    problem::bad_query("index", "an index is a decimal number")
}

/// Whether text is accepted, and JSON is not.
fn wants_text(request: &HeaderMap) -> bool {
    let kinds = || {
        let values = request.get_all(header::ACCEPT).iter();
        let values = values.filter_map(|value| value.to_str().ok());
        let ranges = values.flat_map(|value| value.split(','));
        ranges.filter_map(|range| range.split(';').next().map(str::trim))
    };
    let names = |wanted: &str| kinds().any(|kind| kind.eq_ignore_ascii_case(wanted));
    (names("text/plain") || names("text/*")) && !names(JSON) && !names("application/*")
}

/// A number as we write them: digits, no zeros before them.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let is_plain = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| is_plain)
}

/// 64 lower-case hexadecimal digits, and nothing else (S-53).
pub(super) fn parse_digest(text: &str) -> Option<[u8; 32]> {
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| Some((nibble(*high)? << 4) | nibble(*low)?))
        .collect();
    bytes?.try_into().ok().filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, number) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("07", None),
            ("+7", None),
            ("-7", None),
            ("", None),
            ("7a", None),
        ] {
            assert_eq!(decimal(text), number, "{text}");
        }
    }

    #[test]
    fn text_for_who_asks_for_it() {
        for (accept, expected) in [
            ("text/plain", true),
            ("text/plain; charset=utf-8, */*;q=0.1", true),
            ("Text/*", true),
            ("*/*", false),
            ("application/json, text/plain", false),
        ] {
            let value = HeaderValue::from_static(accept);
            let request = HeaderMap::from_iter([(header::ACCEPT, value)]);
            assert_eq!(wants_text(&request), expected, "{accept}");
        }
        assert!(!wants_text(&HeaderMap::new()));
    }
}

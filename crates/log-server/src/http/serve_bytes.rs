//! Bytes as a response (RFC 9110): conditional (§13), in one range (§14), encoded (§12.5.3).

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;

use super::compress::Encoding;

/// What is served, and how it may be kept.
pub(super) struct Content {
    pub(super) bytes: Bytes,
    pub(super) content_type: &'static str,
    pub(super) cache_control: HeaderValue,
    /// The entity tag, without its quotes: visible ASCII.
    pub(super) tag: String,
    /// Whether it is told in another encoding to those who ask for it.
    pub(super) varies: bool,
}

impl Content {
    /// The answer to a request with these headers. `HEAD` is answered as `GET`: axum leaves the
    /// body out.
    pub(super) fn respond(self, request: &HeaderMap) -> Response {
        let tag = format!("\"{}\"", self.tag);
        let mut response = if matches_tag(request, &tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            self.ranged(request, &tag)
        };
        self.describe(response.headers_mut(), &tag);
        response
    }

    /// The same in an encoding: whole.
    pub(super) fn respond_encoded(
        self,
        request: &HeaderMap,
        encoding: Encoding,
        encoded: Bytes,
    ) -> Response {
        let tag = format!("\"{}:{}\"", self.tag, encoding.name());
        let mut response = if matches_tag(request, &tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            encoded.into_response()
        };
        let headers = response.headers_mut();
        let name = HeaderValue::from_static(encoding.name());
        headers.insert(header::CONTENT_ENCODING, name);
        self.describe(headers, &tag);
        response
    }

    fn describe(&self, headers: &mut HeaderMap, tag: &str) {
        let kind = HeaderValue::from_static(self.content_type);
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(header::CACHE_CONTROL, self.cache_control.clone());
        if let Ok(tag) = HeaderValue::from_str(tag) {
            headers.insert(header::ETAG, tag);
        }
        if self.varies {
            let by = HeaderValue::from_static("accept-encoding");
            headers.insert(header::VARY, by);
        }
    }

    fn ranged(&self, request: &HeaderMap, tag: &str) -> Response {
        let accept = [(header::ACCEPT_RANGES, "bytes")];
        let length = self.bytes.len();
        match range_of(request, tag, length) {
            Range::Whole => (accept, self.bytes.clone()).into_response(),
            Range::Part { start, end } => {
                let told = format!("bytes {start}-{}/{length}", end.saturating_sub(1));
                let part = self.bytes.slice(start..end);
                let headers = [(header::CONTENT_RANGE, told)];
                (StatusCode::PARTIAL_CONTENT, accept, headers, part).into_response()
            }
            Range::Outside => {
                let headers = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
                (StatusCode::RANGE_NOT_SATISFIABLE, accept, headers).into_response()
            }
        }
    }
}

/// Whether `If-None-Match` names it (weak comparison).
fn matches_tag(request: &HeaderMap, tag: &str) -> bool {
    let values = request.get_all(header::IF_NONE_MATCH).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    Part { start: usize, end: usize },
    Outside,
}

/// One range of bytes. Several are answered with the whole, as RFC 9110 §14.2 lets a server do;
/// so is what it does not understand.
fn range_of(request: &HeaderMap, tag: &str, length: usize) -> Range {
    let mut values = request.get_all(header::RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Range::Whole;
    };
    // Of another version of it, a part is of no use.
    let is_current = request
        .get(header::IF_RANGE)
        .is_none_or(|known| known.as_bytes() == tag.as_bytes());
    let spec = value.to_str().ok().and_then(|v| v.strip_prefix("bytes="));
    match spec.filter(|_| is_current).and_then(parse_range) {
        None => Range::Whole,
        Some((Some(start), end)) => {
            let end = end.map_or(length, |end| end.saturating_add(1).min(length));
            if start < end {
                Range::Part { start, end }
            } else {
                Range::Outside
            }
        }
        Some((None, last)) => {
            let last = last.unwrap_or(0).min(length);
            if last == 0 {
                return Range::Outside;
            }
            let start = length - last;
            Range::Part { start, end: length }
        }
    }
}

/// `first-last`, `first-` or `-length`; `None` if it is none of them, or backwards.
fn parse_range(spec: &str) -> Option<(Option<usize>, Option<usize>)> {
    let (first, last) = spec.trim().split_once('-')?;
    let number = |text: &str| match text {
        "" => Some(None),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(Some(text.parse().unwrap_or(usize::MAX)))
        }
        _ => None,
    };
    match (number(first)?, number(last)?) {
        (None, None) => None,
        (Some(first), Some(last)) if first > last => None,
        range => Some(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn ranges() {
        let part = |start, end| Range::Part { start, end };
        for (value, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-4", part(2, 5)),
            ("bytes=2-", part(2, 10)),
            ("bytes=9-99999999999999999999999", part(9, 10)),
            ("bytes=-3", part(7, 10)),
            ("bytes=-99", part(0, 10)),
            ("bytes=10-", Range::Outside),
            ("bytes=99999999999999999999999-", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=4-2", Range::Whole),
            ("bytes=-", Range::Whole),
            ("bytes=0-1,3-4", Range::Whole),
            ("bytes=+1-2", Range::Whole),
            ("entries=0-1", Range::Whole),
        ] {
            let request = request(header::RANGE, value);
            assert_eq!(range_of(&request, "\"t\"", 10), expected, "{value}");
        }
        let mut two = request(header::RANGE, "bytes=0-0");
        two.append(header::RANGE, HeaderValue::from_static("bytes=1-1"));
        assert_eq!(range_of(&two, "\"t\"", 10), Range::Whole);
        let mut stale = request(header::RANGE, "bytes=0-0");
        stale.append(header::IF_RANGE, HeaderValue::from_static("\"other\""));
        assert_eq!(range_of(&stale, "\"t\"", 10), Range::Whole);
        assert_eq!(range_of(&stale, "\"other\"", 10), part(0, 1));
    }

    #[test]
    fn tags() {
        for (value, expected) in [
            ("\"t\"", true),
            ("W/\"t\"", true),
            ("\"a\", \"t\"", true),
            ("*", true),
            ("\"a\"", false),
            ("t", false),
        ] {
            let request = request(header::IF_NONE_MATCH, value);
            assert_eq!(matches_tag(&request, "\"t\""), expected, "{value}");
        }
        assert!(!matches_tag(&HeaderMap::new(), "\"t\""));
    }
}

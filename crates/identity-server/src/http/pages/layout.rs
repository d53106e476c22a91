//! What every page shares: the frame, the headers, the style sheet, and how text becomes HTML.

use std::fmt;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::service::Service;

/// One page. `form_action` is where its forms may end.
pub(super) fn page(
    service: &Service,
    status: StatusCode,
    title: &str,
    body: &str,
    form_action: &str,
) -> Response {
    let name = service.config.name();
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"robots\" content=\"noindex\">\
         <link rel=\"stylesheet\" href=\"{path}/style.css\">\
         <title>{title} · {name}</title></head>\
         <body><header>{name}</header><main><h1>{title}</h1>{body}</main></body></html>\n",
        path = service.config.path(),
        name = Escaped(&name),
    );
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action {form_action}; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    let mut response = (status, html).into_response();
    let headers = response.headers_mut();
    let policy =
        HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// With `no-referrer` browsers would send `Origin: null` from our own forms, which the check
/// against DNS rebinding refuses; `same-origin` tells other sites as little.
const FIXED: [(HeaderName, &str); 5] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// The one style sheet, so that no style is inline.
pub(crate) async fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, STYLE).into_response()
}

const STYLE: &str = include_str!("../style.css");

/// Text with everything that HTML could read as markup replaced.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Directions that turn a name around (S-60).
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => f.write_str("\u{fffd}")?,
                c if c.is_control() => f.write_str("\u{fffd}")?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// A refusal, where screen readers say it at once.
pub(super) fn alert(error: Option<&str>) -> String {
    error.map_or_else(String::new, |text| {
        format!(
            "<p role=\"alert\" id=\"error\" class=\"error\">{}</p>",
            Escaped(text)
        )
    })
}

/// The status of a page that may say a refusal.
pub(super) const fn status_of(error: Option<&str>) -> StatusCode {
    if error.is_some() {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    }
}

/// Ties an input to the refusal above it.
pub(super) fn describe(error: Option<&str>) -> &'static str {
    if error.is_some() {
        " aria-invalid=\"true\" aria-describedby=\"error\""
    } else {
        ""
    }
}

/// A text with a capital at its beginning: what people read there may begin with a provider's name.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped() {
        let check = |text: &str, expected: &str| assert_eq!(Escaped(text).to_string(), expected);
        check("a & b", "a &amp; b");
        check("<script>\"'", "&lt;script&gt;&quot;&#39;");
        check("a\u{202e}b\0\n", "a\u{fffd}b\u{fffd}\u{fffd}");
    }
}

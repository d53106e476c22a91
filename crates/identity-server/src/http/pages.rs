//! The pages that people see: plain HTML, no script, one style sheet, readable in any browser.

use std::fmt;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{EMAIL, form_action, login_minutes};
use crate::login::PageError;
use crate::records::Login;
use crate::secret::Secret;
use crate::service::{Fault, Refusal, Service};

/// Text with everything that HTML could read as markup replaced.
struct Escaped<'a>(&'a str);

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

/// Asks for the address.
pub(super) fn address(
    service: &Service,
    request: &str,
    login: &Login,
    error: Option<&str>,
) -> Response {
    let path = service.config.path();
    let sent = login
        .challenge
        .as_ref()
        .map(|challenge| challenge.address.as_str());
    let known = sent.or(login.login_hint.as_deref()).unwrap_or_default();
    let consent = if service.config.public_log {
        format!(
            "<p class=\"notice\"><strong>Your address becomes public.</strong> What you sign is \
             recorded with your e-mail address in the public log of {}, for everybody to read. \
             It cannot be removed later.</p>",
            Escaped(&service.config.name())
        )
    } else {
        String::new()
    };
    let way = if service.config.is_outbox() {
        "This instance sends no mail: your code will be on its terminal, and in its outbox folder."
    } else {
        "We send a code to your e-mail address."
    };
    let submit = if service.config.is_outbox() {
        "Make a code"
    } else {
        "Send me a code"
    };
    let body = format!(
        "<p>A program on your computer asks who you are, so that it can sign in your name. \
         {way}</p>{consent}{error}\
         <form method=\"post\" action=\"{path}{EMAIL}\">\
         <input type=\"hidden\" name=\"request\" value=\"{request}\">\
         <label for=\"email\">E-mail address</label>\
         <input id=\"email\" name=\"email\" type=\"email\" autocomplete=\"email\" required \
         maxlength=\"254\" value=\"{known}\"{described}>\
         <button type=\"submit\">{submit}</button></form>{cancel}",
        error = alert(error),
        described = describe(error),
        known = Escaped(known),
        request = Escaped(request),
        cancel = cancel_form(&path, request),
    );
    let status = if error.is_some() {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    };
    page(
        service,
        status,
        "Log in",
        &body,
        &form_action(&login.redirect_uri),
    )
}

/// Asks for the code.
pub(super) fn code(
    service: &Service,
    request: &str,
    login: &Login,
    error: Option<&str>,
) -> Response {
    let path = service.config.path();
    let address = login
        .challenge
        .as_ref()
        .map(|challenge| challenge.address.as_str());
    let address = Escaped(address.unwrap_or_default()).to_string();
    let where_to = if service.config.is_outbox() {
        "This instance sends no mail: the code is on the terminal where it runs, and in its outbox \
         folder."
    } else {
        "If this address may log in here, a code is on its way to it."
    };
    let another = if service.config.is_outbox() {
        "Make another code"
    } else {
        "Send another code"
    };
    let copied = if login.redirect_uri == waxseal_identity::OUT_OF_BAND {
        format!(
            "<p class=\"notice\">The program <strong>{}</strong> will ask you to copy a second \
             code into it. Go on only if you started it yourself, just now. Whoever gets that code \
             signs in your name.</p>",
            Escaped(&login.client_id)
        )
    } else {
        String::new()
    };
    let body = format!(
        "<p>{where_to}</p><p>Address: <strong>{address}</strong></p>{copied}{error}\
         <form method=\"post\" action=\"{path}{EMAIL}/code\">\
         <input type=\"hidden\" name=\"request\" value=\"{request}\">\
         <label for=\"code\">Code (eight digits)</label>\
         <input id=\"code\" name=\"code\" type=\"text\" inputmode=\"numeric\" \
         autocomplete=\"one-time-code\" required maxlength=\"20\"{described}>\
         <button type=\"submit\">Log in</button></form>\
         <form method=\"post\" action=\"{path}{EMAIL}\">\
         <input type=\"hidden\" name=\"request\" value=\"{request}\">\
         <input type=\"hidden\" name=\"email\" value=\"{address}\">\
         <button type=\"submit\" class=\"plain\">{another}</button></form>\
         <p><a href=\"{path}{EMAIL}?request={request}\">Use another address</a></p>{cancel}",
        error = alert(error),
        described = describe(error),
        request = Escaped(request),
        cancel = cancel_form(&path, request),
    );
    let status = if error.is_some() {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    };
    page(
        service,
        status,
        "Enter the code",
        &body,
        &form_action(&login.redirect_uri),
    )
}

/// Shows the code that a person copies into the program. It is the answer to the form that proved
/// who they are, never of a link (CVE-2022-39222).
pub(super) fn out_of_band(service: &Service, code: &Secret) -> Response {
    let body = format!(
        "<p>Copy this code into the program that asked for it. It counts once, for five \
         minutes.</p><p><label for=\"code\">Code for the program</label>\
         <input id=\"code\" type=\"text\" readonly value=\"{}\"></p>",
        Escaped(code.expose())
    );
    page(
        service,
        StatusCode::OK,
        "You are logged in",
        &body,
        "'none'",
    )
}

pub(super) fn out_of_band_error(service: &Service, description: &str) -> Response {
    let body = format!(
        "<p role=\"alert\">{}.</p><p>Go back to the program and start again.</p>",
        Escaped(description)
    );
    page(
        service,
        StatusCode::BAD_REQUEST,
        "No log-in",
        &body,
        "'none'",
    )
}

/// A request that cannot be answered to its client.
pub(super) fn bad_request(service: &Service, error: PageError) -> Response {
    let text = match error {
        PageError::Parameters => "Its request is too long, or says something twice.",
        PageError::UnknownClient => "It does not name itself as a program that is known here.",
        PageError::BadRedirect => {
            "It wants the answer somewhere else than on your own computer, and that is refused."
        }
    };
    let body = format!(
        "<p role=\"alert\">The program that sent you here cannot log you in. {text}</p>\
         <p>You can close this page.</p>"
    );
    page(
        service,
        StatusCode::BAD_REQUEST,
        "No log-in",
        &body,
        "'none'",
    )
}

/// A step that is refused: on the page where it can be done better, if there is one.
pub(super) fn refusal(
    service: &Service,
    request: &str,
    login: Option<&Login>,
    refusal: &Refusal,
) -> Response {
    let minutes = |retry: &std::time::Duration| retry.as_secs().div_ceil(60).max(1);
    match (refusal, login) {
        (Refusal::Fault(fault), _) => self::fault(service, fault),
        (Refusal::BadAddress, Some(login)) => {
            let error = "This is not an e-mail address that can be used here. Write it as in \
                         you@example.com; an international domain in its xn-- form.";
            address(service, request, login, Some(error))
        }
        (Refusal::NotACode, Some(login)) => {
            code(service, request, login, Some("The code has eight digits."))
        }
        (Refusal::WrongCode { attempts_left: 0 }, Some(login)) => {
            let error = "This is not the code, and it was the last attempt. Ask for another code.";
            code(service, request, login, Some(error))
        }
        (Refusal::WrongCode { attempts_left }, Some(login)) => {
            let error = format!("This is not the code. Attempts left: {attempts_left}.");
            code(service, request, login, Some(&error))
        }
        (Refusal::NoCode, Some(login)) => {
            let error = "That code is used up or too old. Ask for another one.";
            address(service, request, login, Some(error))
        }
        (Refusal::TooManyCodes { retry }, _) => {
            let seconds = retry.as_secs();
            let wait = if seconds <= 60 {
                format!("{seconds} seconds")
            } else {
                format!("{} minutes", minutes(retry))
            };
            let text = format!("Too many codes were asked for. Try again in {wait}.");
            limited(service, &text, *retry)
        }
        (Refusal::TooManyFailures { retry }, _) => {
            let text = format!(
                "Too many wrong codes were tried. Try again in {} minutes.",
                minutes(retry)
            );
            limited(service, &text, *retry)
        }
        (Refusal::OtherBrowser, _) => {
            let text = "This log-in was begun in another browser, or cookies are switched off. \
                        Finish it where it was begun.";
            ended(service, StatusCode::FORBIDDEN, text)
        }
        _ => {
            let text = format!(
                "This log-in is finished, or older than {} minutes.",
                login_minutes()
            );
            ended(service, StatusCode::BAD_REQUEST, &text)
        }
    }
}

fn limited(service: &Service, text: &str, retry: std::time::Duration) -> Response {
    let mut response = ended(service, StatusCode::TOO_MANY_REQUESTS, text);
    let seconds = HeaderValue::from(retry.as_secs().max(1));
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

fn ended(service: &Service, status: StatusCode, text: &str) -> Response {
    let body = format!(
        "<p role=\"alert\">{}</p><p>To begin again, go back to the program.</p>",
        Escaped(text)
    );
    page(service, status, "No log-in", &body, "'none'")
}

/// Ours, not theirs.
pub(super) fn fault(service: &Service, fault: &Fault) -> Response {
    log_fault(fault);
    let body = "<p role=\"alert\">Something is wrong here, not with you. Try again in a while; the \
                operator finds the cause in the log.</p>";
    page(
        service,
        StatusCode::INTERNAL_SERVER_ERROR,
        "Out of order",
        body,
        "'none'",
    )
}

/// The cause goes to the log, on one line.
pub(super) fn log_fault(fault: &Fault) {
    let mut text = fault.to_string();
    let mut next = std::error::Error::source(fault);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    tracing::error!(cause = text.escape_debug().to_string(), "fault");
}

fn alert(error: Option<&str>) -> String {
    error.map_or_else(String::new, |text| {
        format!(
            "<p role=\"alert\" id=\"error\" class=\"error\">{}</p>",
            Escaped(text)
        )
    })
}

fn describe(error: Option<&str>) -> &'static str {
    if error.is_some() {
        " aria-invalid=\"true\" aria-describedby=\"error\""
    } else {
        ""
    }
}

fn cancel_form(path: &str, request: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{path}{EMAIL}/cancel\">\
         <input type=\"hidden\" name=\"request\" value=\"{}\">\
         <button type=\"submit\" class=\"plain\">Cancel</button></form>",
        Escaped(request)
    )
}

fn page(
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
pub(super) async fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, STYLE).into_response()
}

const STYLE: &str = include_str!("style.css");

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

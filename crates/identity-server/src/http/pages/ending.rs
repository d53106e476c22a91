//! How a log-in ends, and what is refused on the way.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::device::type_code;
use super::email::{address, code, digits};
use super::layout::{Escaped, page, sentence};
use super::providers::{not_proven, refused};
use crate::http::login_minutes;
use crate::login::PageError;
use crate::records::Login;
use crate::secret::Secret;
use crate::service::{Fault, Refusal, Service, log_cause};

/// Shows the code that a person copies into the program. It is the answer to the form that proved
/// who they are, never of a link (CVE-2022-39222).
pub(crate) fn out_of_band(service: &Service, code: &Secret) -> Response {
    let body = format!(
        "<p>Copy this code into the program that asked for it. It counts once, for five \
         minutes.</p><p><label for=\"code\">Code for the program</label>\
         <textarea id=\"code\" rows=\"2\" readonly>{}</textarea></p>",
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

pub(crate) fn out_of_band_error(service: &Service, description: &str) -> Response {
    let body = format!(
        "<p role=\"alert\">{}.</p><p>Go back to the program and start again.</p>",
        Escaped(&sentence(description))
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
pub(crate) fn bad_request(service: &Service, error: PageError) -> Response {
    let text = match error {
        PageError::Parameters => "Its request is too long, or says something twice.",
        PageError::UnknownClient => "It does not name itself as a program that is known here.",
        PageError::BadRedirect => {
            "It wants the answer somewhere else than on your own computer, and that is refused."
        }
    };
    let body = format!(
        "<p role=\"alert\">The program that sent you here cannot log you in. {text}</p>\
         <p>Begin again from the program. If it sends you here once more, it needs a newer version, \
         or its makers need to know what is said above.</p>"
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
pub(crate) fn refusal(
    service: &Service,
    request: &str,
    login: Option<&Login>,
    refusal: &Refusal,
) -> Response {
    match (refusal, login) {
        (Refusal::Fault(fault), _) => self::fault(service, fault),
        (Refusal::BadAddress, Some(login)) => {
            let error = "This is not an e-mail address that can be used here. Write it as in \
                         you@example.com; an international domain in its xn-- form.";
            address(service, request, login, Some(error))
        }
        (Refusal::NotACode, Some(login)) => {
            let error = format!("The code has {} digits.", digits(login));
            code(service, request, login, Some(&error))
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
                format!("{} minutes", minutes(*retry))
            };
            let text = format!("Too many codes were asked for. Try again in {wait}.");
            match login {
                // The log-in goes on, and so does a code that was sent before.
                Some(login) if login.challenge.is_some() => {
                    let text = format!("{text} A code that was sent before still counts.");
                    waiting(code(service, request, login, Some(&text)), *retry)
                }
                Some(login) => waiting(address(service, request, login, Some(&text)), *retry),
                None => limited(service, &text, *retry),
            }
        }
        (Refusal::TooManyFailures { retry }, _) => {
            too_many(service, "Too many wrong codes were tried.", *retry)
        }
        (Refusal::ShortCode, Some(login)) => {
            let error = "Very many wrong codes are being tried here, and codes of eight digits \
                         count no more. Ask for another code: it has twelve, and counts.";
            code(service, request, login, Some(error))
        }
        (Refusal::TooManyLogins { retry }, _) => too_many(
            service,
            "Too many log-ins were begun from your network.",
            *retry,
        ),
        (Refusal::NotAUserCode, _) => {
            let error = "The code has eight letters, such as BCDF-GHJK, or twelve.";
            type_code(service, "", Some(error))
        }
        (Refusal::WrongUserCode, _) => {
            let error =
                "No device waits with this code. Look again; a code counts for ten minutes.";
            type_code(service, "", Some(error))
        }
        (Refusal::TooManyUserCodes { retry }, _) => too_many(
            service,
            "Too many wrong codes were tried from your network.",
            *retry,
        ),
        (Refusal::ShortUserCode, _) => {
            let error = "Very many wrong codes are being tried here, and codes of eight letters \
                         count no more. Begin again on the device: its next code has twelve.";
            type_code(service, "", Some(error))
        }
        (Refusal::DeviceGone, _) => {
            let text = "The device waits no longer: it was answered, or its ten minutes are over.";
            ended(service, StatusCode::BAD_REQUEST, text)
        }
        (Refusal::Upstream(refusal), _) => refused(service, request, refusal),
        (Refusal::NotProven, Some(_)) if !request.is_empty() => not_proven(service, request),
        (Refusal::UnknownProvider, _) => ended(
            service,
            StatusCode::NOT_FOUND,
            "Nobody logs in that way here.",
        ),
        (Refusal::OtherProvider, _) => {
            let text = "This answer comes from another provider than the one you went to. \
                        Somebody may be trying to log in as you.";
            ended(service, StatusCode::BAD_REQUEST, text)
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

fn minutes(retry: Duration) -> u64 {
    retry.as_secs().div_ceil(60).max(1)
}

/// A limit that ends the log-in, and for how many minutes.
fn too_many(service: &Service, what: &str, retry: Duration) -> Response {
    let text = format!("{what} Try again in {} minutes.", minutes(retry));
    limited(service, &text, retry)
}

fn limited(service: &Service, text: &str, retry: Duration) -> Response {
    waiting(ended(service, StatusCode::TOO_MANY_REQUESTS, text), retry)
}

/// Says when to come again.
fn waiting(mut response: Response, retry: Duration) -> Response {
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
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
pub(crate) fn fault(service: &Service, fault: &Fault) -> Response {
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
pub(crate) fn log_fault(fault: &Fault) {
    log_cause("fault", fault);
}

//! The log-in for a device: the page for its code, and the page that says who asks.

use std::net::IpAddr;

use axum::http::StatusCode;
use axum::response::Response;
use waxseal_crypto::Time;

use super::layout::{Escaped, alert, describe, page, status_of};
use crate::device::{UserCode, Waiting};
use crate::service::Service;

/// Asks for the code that the device shows. One that came with the link is shown for comparison;
/// nothing happens before the form is sent (RFC 8628 §3.3.1).
pub(crate) fn type_code(service: &Service, typed: &str, error: Option<&str>) -> Response {
    let path = service.config.path();
    let code = UserCode::typed(typed).map(|code| code.grouped());
    let text = match (&code, error) {
        (Some(_), None) => {
            "Compare this code with the one that your device or program shows. Go on only if they \
             are the same, and you started it yourself."
        }
        _ => "Type the code that your device or program shows.",
    };
    let body = format!(
        "<p>{text}</p>{error}\
         <form method=\"post\" action=\"{path}/device/auth/verify_code\">\
         <label for=\"user_code\">Code from the device</label>\
         <input id=\"user_code\" name=\"user_code\" type=\"text\" autocomplete=\"off\" \
         autocapitalize=\"characters\" spellcheck=\"false\" required maxlength=\"20\" \
         value=\"{value}\"{described}>\
         <button type=\"submit\">Continue</button></form>",
        error = alert(error),
        described = describe(error),
        value = Escaped(code.as_deref().unwrap_or(typed)),
    );
    page(
        service,
        status_of(error),
        "Log in on a device",
        &body,
        "'self'",
    )
}

/// Says which program asks, from where and since when, and what agreeing means: whoever was sent
/// the code by somebody else is the one to be warned (RFC 8628 §5.4).
pub(crate) fn confirm_device(
    service: &Service,
    request: &str,
    waiting: &Waiting,
    peer: Option<IpAddr>,
) -> Response {
    let path = service.config.path();
    let device = &waiting.device;
    let from = device.peer.as_deref().unwrap_or("an unknown address");
    let elsewhere = match peer.filter(|peer| !is_same_place(*peer, from)) {
        Some(here) => format!(
            "<p class=\"notice\">You are at <strong>{}</strong>, and the program is not. That is \
             so with a server or another network of yours; with a stranger\u{2019}s program too.</p>",
            Escaped(&here.to_canonical().to_string())
        ),
        None => String::new(),
    };
    let begun = Time::from_unix(device.begun).unwrap_or(Time::UNIX_EPOCH);
    let seconds = service.now().saturating_since(begun).as_secs();
    let ago = if seconds < 10 {
        "just now".to_owned()
    } else if seconds < 120 {
        format!("{seconds} seconds ago")
    } else {
        format!("{} minutes ago", seconds / 60)
    };
    let body = format!(
        "<p role=\"alert\">Go on only if you started this yourself. If somebody sent you the code \
         or the link, refuse: they would sign in your name.</p>\
         <dl><dt>Program</dt><dd>{client}</dd><dt>Asked from</dt><dd>{from}</dd>\
         <dt>Asked at</dt><dd>{begun}, {ago}</dd></dl>{elsewhere}\
         <form method=\"post\" action=\"{path}/device/confirm\" class=\"choice\">\
         <input type=\"hidden\" name=\"request\" value=\"{request}\">\
         <button type=\"submit\" name=\"answer\" value=\"continue\">I started this: continue\
         </button>\
         <button type=\"submit\" name=\"answer\" value=\"refuse\" class=\"plain\">Refuse\
         </button></form>",
        client = Escaped(&device.client_id),
        from = Escaped(from),
        request = Escaped(request),
    );
    page(service, StatusCode::OK, "Who asks?", &body, "'self'")
}

/// Whether a browser is where the device asked from: this machine has several addresses.
fn is_same_place(browser: IpAddr, device: &str) -> bool {
    let device = device.parse::<IpAddr>().ok();
    device.is_some_and(|device| {
        device == browser.to_canonical()
            || (device.is_loopback() && browser.to_canonical().is_loopback())
    })
}

/// The device has its answer.
pub(crate) fn device_done(service: &Service) -> Response {
    let body = "<p>Your device or program goes on by itself in a few seconds. You can close this \
                page.</p>";
    page(service, StatusCode::OK, "You are logged in", body, "'none'")
}

/// The device has learned that its person refused.
pub(crate) fn device_refused(service: &Service) -> Response {
    let body = "<p>The program was told no, and gets nothing. You can close this page.</p>";
    page(service, StatusCode::OK, "Refused", body, "'none'")
}

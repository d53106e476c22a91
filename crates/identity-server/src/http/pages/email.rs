//! The log-in by e-mail code: the page for the address, and the page for the code.

use axum::response::Response;

use super::layout::{Escaped, alert, describe, page, status_of};
use super::providers::other_ways;
use crate::http::{EMAIL, form_action};
use crate::records::Login;
use crate::service::Service;

/// Asks for the address.
pub(crate) fn address(
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
    let consent = consent(service);
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
    let who = asker(login);
    let why = match login.account() {
        None => format!("{who} asks who you are, so that it can sign in your name."),
        // Nobody proved the address that the account shows, so it is not believed.
        Some(account) => format!(
            "You are logged in at {}, which does not say whether an address is yours. Confirm \
             yours once; the next time your account is enough.",
            Escaped(&service.label_of(&account.connector))
        ),
    };
    let body = format!(
        "<p>{why} {way}</p>{consent}{error}\
         <form method=\"post\" action=\"{path}{EMAIL}\">\
         <input type=\"hidden\" name=\"request\" value=\"{request}\">\
         <label for=\"email\">E-mail address</label>\
         <input id=\"email\" name=\"email\" type=\"email\" autocomplete=\"email\" required \
         maxlength=\"254\" value=\"{known}\"{described}>\
         <button type=\"submit\">{submit}</button></form>{others}{cancel}",
        others = other_ways(service, request),
        error = alert(error),
        described = describe(error),
        known = Escaped(known),
        request = Escaped(request),
        cancel = cancel_form(&path, request),
    );
    page(
        service,
        status_of(error),
        "Log in",
        &body,
        &form_action(&login.redirect_uri),
    )
}

/// Who wants to know, as a person sees it.
pub(super) const fn asker(login: &Login) -> &'static str {
    if login.device.is_some() {
        "The device"
    } else {
        "A program on your computer"
    }
}

/// Asks for the code.
pub(crate) fn code(
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
    // A code without attempts counts no more: what helps then is another one.
    let is_void = login
        .challenge
        .as_ref()
        .is_some_and(|c| c.attempts_left == 0);
    let (typing, style) = if is_void {
        (String::new(), "")
    } else {
        let form = format!(
            "<form method=\"post\" action=\"{path}{EMAIL}/code\">\
             <input type=\"hidden\" name=\"request\" value=\"{request}\">\
             <label for=\"code\">Code ({digits} digits)</label>\
             <input id=\"code\" name=\"code\" type=\"text\" inputmode=\"numeric\" \
             autocomplete=\"one-time-code\" required maxlength=\"20\"{described}>\
             <button type=\"submit\">Log in</button></form>",
            digits = digits(login),
            described = describe(error),
            request = Escaped(request),
        );
        (form, " class=\"plain\"")
    };
    let body = format!(
        "<p>{where_to}</p><p>Address: <strong>{address}</strong></p>{copied}{error}{typing}\
         <form method=\"post\" action=\"{path}{EMAIL}\">\
         <input type=\"hidden\" name=\"request\" value=\"{request}\">\
         <input type=\"hidden\" name=\"email\" value=\"{address}\">\
         <button type=\"submit\"{style}>{another}</button></form>\
         <p><a href=\"{path}{EMAIL}?request={request}\">Use another address</a></p>{cancel}",
        error = alert(error),
        request = Escaped(request),
        cancel = cancel_form(&path, request),
    );
    page(
        service,
        status_of(error),
        "Enter the code",
        &body,
        &form_action(&login.redirect_uri),
    )
}

/// How many digits the code has that was sent.
pub(super) fn digits(login: &Login) -> &'static str {
    match &login.challenge {
        Some(challenge) if challenge.is_long => "twelve",
        _ => "eight",
    }
}

/// That what is signed becomes public, where it does.
pub(super) fn consent(service: &Service) -> String {
    if service.config.public_log {
        format!(
            "<p class=\"notice\"><strong>Your address becomes public.</strong> What you sign is \
             recorded with your e-mail address in the public log of {}, for everybody to read. \
             It cannot be removed later.</p>",
            Escaped(&service.config.name())
        )
    } else {
        String::new()
    }
}

pub(super) fn cancel_form(path: &str, request: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{path}{EMAIL}/cancel\">\
         <input type=\"hidden\" name=\"request\" value=\"{}\">\
         <button type=\"submit\" class=\"plain\">Cancel</button></form>",
        Escaped(request)
    )
}

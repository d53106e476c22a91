//! Log-in at a provider: the choice, the last look at who signs, and what a provider refuses.

use axum::http::StatusCode;
use axum::response::Response;
use waxseal_identity::DiscoveryError;
use waxseal_transport::TransportError;

use super::email::{asker, cancel_form, consent};
use super::layout::{Escaped, page, sentence};
use crate::connector::Entry;
use crate::http::{EMAIL, form_action, page_url, providers};
use crate::records::{Login, Proven};
use crate::service::{ProviderRefusal, Service};
use crate::upstream::UpstreamError;

/// One button for each way to log in. They are links: a form may not end at a provider, whose own
/// redirects nobody here knows. With `only` there is that provider's alone, and a way to the others.
pub(crate) fn choose(
    service: &Service,
    request: &str,
    login: &Login,
    only: Option<&str>,
) -> Response {
    let who = asker(login);
    let mut ways = String::new();
    let shown = |name: &str| only.is_none_or(|only| only == name);
    let upstreams = service.upstreams.iter();
    for upstream in upstreams.filter(|upstream| shown(upstream.config.name())) {
        let url = page_url(
            service,
            &format!("/auth/{}", upstream.config.name()),
            request,
        );
        let label = Escaped(upstream.config.label()).to_string();
        ways.push_str(&way(&url, &format!("Log in with {label}")));
    }
    if service.config.has_email_login() && only.is_none() {
        let url = page_url(service, EMAIL, request);
        ways.push_str(&way(&url, "Log in with a code by e-mail"));
    }
    let body = format!(
        "<p>{who} asks who you are, so that it can sign in your name.</p>{consent}\
         <ul class=\"ways\">{ways}</ul>{others}{cancel}",
        others = only.map_or_else(String::new, |_| other_ways(service, request)),
        consent = consent(service),
        cancel = cancel_form(&service.config.path(), request),
    );
    let action = form_action(&login.redirect_uri);
    page(service, StatusCode::OK, "Log in", &body, &action)
}

fn way(url: &str, text: &str) -> String {
    format!(
        "<li><a class=\"button\" href=\"{}\">{text}</a></li>",
        Escaped(url)
    )
}

/// Shows who signs, before the program learns it.
pub(crate) fn confirm(
    service: &Service,
    request: &str,
    login: &Login,
    identity: &Proven,
) -> Response {
    let path = service.config.path();
    let copied = if login.device.is_none() && login.redirect_uri == waxseal_identity::OUT_OF_BAND {
        format!(
            "<p class=\"notice\">The program <strong>{}</strong> will ask you to copy a code into \
             it. Go on only if you started it yourself, just now. Whoever gets that code signs in \
             your name.</p>",
            Escaped(&login.client_id)
        )
    } else {
        String::new()
    };
    let body = format!(
        "<p>You are about to sign as <strong>{email}</strong>, by {label}.</p>{copied}{consent}\
         <form method=\"post\" action=\"{path}{confirm}\">\
         <input type=\"hidden\" name=\"request\" value=\"{request}\">\
         <button type=\"submit\">Go on</button></form>{others}{cancel}",
        email = Escaped(&identity.email),
        label = Escaped(&service.label_of_id(&identity.connector_id)),
        consent = consent(service),
        confirm = providers::CONFIRM,
        request = Escaped(request),
        others = other_ways(service, request),
        cancel = cancel_form(&path, request),
    );
    let action = form_action(&login.redirect_uri);
    page(service, StatusCode::OK, "Is that you?", &body, &action)
}

/// The way back to the choice, where there is one.
pub(super) fn other_ways(service: &Service, request: &str) -> String {
    if service.entry() != Entry::Choice {
        return String::new();
    }
    let url = page_url(service, providers::CHOOSE, request);
    format!(
        "<p><a href=\"{}\">Log in another way</a></p>",
        Escaped(&url)
    )
}

/// Nothing that the log-in could end with.
pub(super) fn not_proven(service: &Service, request: &str) -> Response {
    let text = "You have not logged in anywhere yet.";
    again(service, StatusCode::BAD_REQUEST, request, text, None)
}

/// A provider that let nobody in: what it means, and what can be done about it.
pub(super) fn refused(service: &Service, request: &str, refusal: &ProviderRefusal) -> Response {
    let label = Escaped(&refusal.label).to_string();
    let (status, text) = explain(&label, &refusal.error);
    let connector = Some(refusal.connector.as_str());
    again(service, status, request, &text, connector)
}

fn again(
    service: &Service,
    status: StatusCode,
    request: &str,
    text: &str,
    provider: Option<&str>,
) -> Response {
    let retry = match provider.filter(|_| !request.is_empty()) {
        Some(name) => {
            let url = page_url(service, &format!("/auth/{name}"), request);
            format!("<p><a href=\"{}\">Try again</a></p>", Escaped(&url))
        }
        None => String::new(),
    };
    let others = if request.is_empty() {
        "<p>To begin again, go back to the program.</p>".to_owned()
    } else {
        other_ways(service, request)
    };
    let text = sentence(text);
    let body = format!("<p role=\"alert\">{text}</p>{retry}{others}");
    page(service, status, "No log-in", &body, "'none'")
}

/// Whether the provider is not there, or not well: what helps is to wait.
fn is_away(error: &UpstreamError) -> bool {
    match error {
        UpstreamError::TimedOut | UpstreamError::Status(500..) => true,
        UpstreamError::Unreachable(source)
        | UpstreamError::Discovery(DiscoveryError::Transport(source)) => matches!(
            source,
            TransportError::Deadline { .. }
                | TransportError::Connect { .. }
                | TransportError::Tls { .. }
                | TransportError::Interrupted { .. }
                | TransportError::UnexpectedStatus { found: 500.., .. }
        ),
        _ => false,
    }
}

/// What a person, or the operator, can do. Of the provider's own words only its code is shown.
fn explain(label: &str, error: &UpstreamError) -> (StatusCode, String) {
    let refused = StatusCode::FORBIDDEN;
    match error {
        UpstreamError::Denied => (
            refused,
            format!("You, or {label}, did not agree to the log-in."),
        ),
        UpstreamError::EmailNotVerified => (
            refused,
            format!(
                "{label} does not say that your e-mail address is verified. Verify it there, in \
                 the settings of your account, and try again."
            ),
        ),
        UpstreamError::NoEmail => (
            refused,
            format!(
                "{label} gives no e-mail address for your account. Add one there, make it the \
                 primary one, and let it be seen by this log-in."
            ),
        ),
        UpstreamError::BadEmail => (
            refused,
            format!("The e-mail address of your account at {label} cannot be used for signing."),
        ),
        UpstreamError::NotAdmitted
        | UpstreamError::Banned
        | UpstreamError::WrongHostedDomain
        | UpstreamError::WrongTenant => (
            refused,
            format!(
                "Your account at {label} is not one that may log in here. Use the account of \
                 your organization, or ask the operator."
            ),
        ),
        UpstreamError::MissingScope(scope) => (
            refused,
            format!(
                "{label} does not let this log-in see your e-mail address: it lacks the \
                 permission {scope}. Try again and grant it."
            ),
        ),
        UpstreamError::Busy | UpstreamError::TriedRecently => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{label} cannot be reached at the moment. Try again in a few seconds."),
        ),
        UpstreamError::Refused(code) | UpstreamError::Exchange(code) => (
            StatusCode::BAD_GATEWAY,
            format!(
                "{label} refuses log-ins from here (it says: {}). The operator finds more in the \
                 log, and \"waxseald broker check\" says what to change.",
                Escaped(code)
            ),
        ),
        UpstreamError::NoCode | UpstreamError::WrongIssuer | UpstreamError::WrongNonce => (
            StatusCode::BAD_REQUEST,
            format!("The answer does not belong to your log-in at {label}."),
        ),
        error if is_away(error) => (
            StatusCode::BAD_GATEWAY,
            format!(
                "{label} does not answer this instance. Your log-in is kept: try again in a \
                 minute. If it lasts, tell the operator, who finds the cause in the log and by \
                 \"waxseald broker check\"."
            ),
        ),
        _ => (
            StatusCode::BAD_GATEWAY,
            format!(
                "{label} gave no usable answer. Try once more; if it says so again, tell the \
                 operator, who finds the cause in the log and by \"waxseald broker check\"."
            ),
        ),
    }
}

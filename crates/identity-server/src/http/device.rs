//! The routes of the device flow, at the paths that clients and people know.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{
    Broker, OfLogin, Peer, ended, first_page_after_form, form_of_login, is_from_elsewhere, oauth,
    page_url, pages, see_other, with_cookie,
};
use crate::device::{DEVICE_LIFE, DeviceCodes, DeviceRefusal, POLL_INTERVAL, UserCode};
use crate::login::Outcome;
use crate::parameters::Parameters;
use crate::service::{Refusal, Service};

/// The page that says who asks.
pub(super) const CONFIRM: &str = "/device/confirm";

/// RFC 8628 §3.1, §3.2.
pub(super) async fn code(
    State(service): Broker,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let peer = peer.of(&service);
    let caller = oauth::caller(&headers, peer);
    let response = match service.begin_device(&body, &caller).await {
        Ok(codes) => Json(answer(&service, &codes)).into_response(),
        Err(refusal) => refused(&refusal),
    };
    oauth::uncached(response)
}

fn answer(service: &Service, codes: &DeviceCodes) -> serde_json::Value {
    let uri = format!("{}/device", service.config.issuer);
    let user_code = codes.user_code.grouped();
    json!({
        "device_code": codes.device_code.expose(),
        "user_code": user_code,
        "verification_uri": uri,
        "verification_uri_complete": format!("{uri}?user_code={user_code}"),
        "expires_in": DEVICE_LIFE.as_secs(),
        "interval": POLL_INTERVAL,
    })
}

fn refused(refusal: &DeviceRefusal) -> Response {
    let (status, code) = match refusal {
        DeviceRefusal::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
        DeviceRefusal::InvalidScope => (StatusCode::BAD_REQUEST, "invalid_scope"),
        DeviceRefusal::InvalidClient { .. } => (StatusCode::UNAUTHORIZED, "invalid_client"),
        DeviceRefusal::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "slow_down"),
        DeviceRefusal::Fault(fault) => return oauth::faulty(fault),
    };
    let mut response = oauth::error(status, code, &refusal.to_string());
    let headers = response.headers_mut();
    match refusal {
        DeviceRefusal::InvalidClient { basic: true } => {
            headers.insert(header::WWW_AUTHENTICATE, oauth::BASIC_CHALLENGE);
        }
        DeviceRefusal::TooMany { retry } => {
            let seconds = HeaderValue::from(retry.as_secs().max(1));
            headers.insert(header::RETRY_AFTER, seconds);
        }
        _ => {}
    }
    response
}

/// The page for the code. A link may carry it; looking at the page does nothing.
pub(super) async fn page(State(service): Broker, RawQuery(query): RawQuery) -> Response {
    let query = Parameters::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let typed = query.value("user_code").unwrap_or_default();
    // What is no code is not shown: it came with somebody's link.
    let typed = UserCode::typed(typed).map(|code| code.grouped());
    pages::type_code(&service, typed.as_deref().unwrap_or_default(), None)
}

/// A code was typed: this browser gets a log-in for its device, to agree to.
pub(super) async fn verify(
    State(service): Broker,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form = Parameters::parse(&body).unwrap_or_default();
    let typed = form.value("user_code").unwrap_or_default();
    if is_from_elsewhere(&service, &headers) {
        // As if by a link: the code is shown, and whoever looks at it goes on or does not.
        let typed = UserCode::typed(typed).map(|code| code.grouped());
        return pages::type_code(&service, typed.as_deref().unwrap_or_default(), None);
    }
    match service.type_user_code(typed, peer.of(&service)).await {
        Ok(begun) => {
            let url = page_url(&service, CONFIRM, begun.request.expose());
            with_cookie(see_other(&url), &service, &begun)
        }
        Err(refusal) => pages::refusal(&service, "", None, &refusal),
    }
}

/// Says who asks.
pub(super) async fn confirm_page(State(service): Broker, peer: Peer, login: OfLogin) -> Response {
    let peer = peer.of(&service);
    let cookie = login.cookie.as_deref();
    match service.waiting_device(&login.request, cookie).await {
        Ok(waiting) => pages::confirm_device(&service, &login.request, &waiting, peer),
        Err(refusal) => pages::refusal(&service, &login.request, None, &refusal),
    }
}

/// Takes the answer: the log-in begins, or the device is told no.
pub(super) async fn confirm(State(service): Broker, headers: HeaderMap, body: Bytes) -> Response {
    let Some((form, login)) = form_of_login(&service, &headers, &body) else {
        return pages::refusal(&service, "", None, &Refusal::UnknownLogin);
    };
    let cookie = login.cookie.as_deref();
    if form.value("answer") == Some("continue") {
        return match service.confirm_device(&login.request, cookie).await {
            Ok(connector) => see_other(&first_page_after_form(
                &service,
                connector.as_deref(),
                &login.request,
            )),
            Err(refusal) => pages::refusal(&service, &login.request, None, &refusal),
        };
    }
    match service.deny_device(&login.request, cookie).await {
        Ok(()) => ended(pages::device_refused(&service), &service, &login.request),
        Err(refusal) => pages::refusal(&service, &login.request, None, &refusal),
    }
}

/// Brings a log-in's outcome to its device, and says so.
pub(super) async fn finished(service: &Service, digest: &[u8; 32], outcome: &Outcome) -> Response {
    match (service.end_device(digest, outcome).await, outcome) {
        (Ok(()), Outcome::Code(_)) => pages::device_done(service),
        (Ok(()), Outcome::Error { .. }) => pages::device_refused(service),
        (Err(refusal), _) => pages::refusal(service, "", None, &refusal),
    }
}

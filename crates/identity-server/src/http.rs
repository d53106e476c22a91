//! Decode, call, encode: the broker's routes.

mod device;
mod oauth;
mod pages;
mod providers;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, FromRequestParts, RawQuery, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::convert::Infallible;
use waxseal_serve::{Accepts, accepting};

use crate::RecordKey;
use crate::client::Redirect;
use crate::connector::Entry;
use crate::login::{Answer, AuthorizeError, Begun, LOGIN_LIFE, Outcome, login_key};
use crate::parameters::{MAX_PARAMETERS, Parameters};
use crate::service::{Refusal, Service};

type Broker = State<Arc<Service>>;

/// The path of the e-mail log-in under the issuer, as Dex lays out its connectors.
const EMAIL: &str = "/auth/email";

pub(crate) fn router(service: Arc<Service>) -> Router {
    let form = |methods| accepting(methods, Accepts::form(MAX_PARAMETERS));
    let path = service.config.path();
    let routes = Router::new()
        .route("/.well-known/openid-configuration", get(oauth::discovery))
        .route("/keys", get(oauth::keys))
        .route("/token", form(post(oauth::token)))
        .route("/token/introspect", form(post(oauth::introspect)))
        .route("/device", get(device::page))
        .route("/device/code", form(post(device::code)))
        .route("/device/auth/verify_code", form(post(device::verify)))
        .route(
            device::CONFIRM,
            form(get(device::confirm_page).post(device::confirm)),
        )
        .route("/userinfo", get(oauth::userinfo).post(oauth::userinfo))
        .route(
            "/auth",
            form(get(authorize_by_query).post(authorize_by_form)),
        )
        .route(EMAIL, form(get(address_page).post(send_code)))
        .route("/auth/email/code", form(get(code_page).post(check_code)))
        .route("/auth/email/cancel", form(post(cancel)))
        .route(providers::CHOOSE, get(providers::choose_page))
        .route(
            providers::CONFIRM,
            form(get(providers::confirm_page).post(providers::confirm)),
        )
        .route("/auth/{provider}", get(providers::leave))
        .route("/callback/{provider}", get(providers::arrive))
        .route("/style.css", get(pages::style))
        .with_state(service);
    if path.is_empty() {
        routes
    } else {
        Router::new().nest(&path, routes)
    }
}

async fn authorize_by_query(state: Broker, peer: Peer, RawQuery(query): RawQuery) -> Response {
    authorize(state, &peer, query.unwrap_or_default().as_bytes()).await
}

async fn authorize_by_form(state: Broker, peer: Peer, body: axum::body::Bytes) -> Response {
    authorize(state, &peer, &body).await
}

async fn authorize(State(service): Broker, peer: &Peer, query: &[u8]) -> Response {
    match service.authorize(query, peer.of(&service)).await {
        Ok(begun) => {
            let connector = begun.connector_id.as_deref();
            let url = first_page(&service, connector, begun.request.expose());
            with_cookie(see_other(&url), &service, &begun)
        }
        Err(AuthorizeError::Page(error)) => pages::bad_request(&service, error),
        Err(AuthorizeError::Redirect(answer)) => answered(&service, &answer, None).await,
        Err(AuthorizeError::Refused(refusal)) => pages::refusal(&service, "", None, &refusal),
    }
}

async fn address_page(State(service): Broker, login: OfLogin) -> Response {
    match service.login(&login.request, login.cookie.as_deref()).await {
        Ok(found) if found.account().is_none() && !service.config.has_email_login() => {
            see_other(&first_page(&service, None, &login.request))
        }
        Ok(found) => pages::address(&service, &login.request, &found, None),
        Err(Refusal::NotConfirmed) => {
            see_other(&page_url(&service, device::CONFIRM, &login.request))
        }
        Err(refusal) => pages::refusal(&service, &login.request, None, &refusal),
    }
}

async fn code_page(State(service): Broker, login: OfLogin) -> Response {
    match service.login(&login.request, login.cookie.as_deref()).await {
        Ok(found) if found.challenge.is_some() => {
            pages::code(&service, &login.request, &found, None)
        }
        Ok(_) => see_other(&page_url(&service, EMAIL, &login.request)),
        Err(refusal) => pages::refusal(&service, &login.request, None, &refusal),
    }
}

async fn send_code(
    State(service): Broker,
    peer: Peer,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    let Some((form, login)) = form_of_login(&service, &headers, &body) else {
        return pages::refusal(&service, "", None, &Refusal::UnknownLogin);
    };
    let cookie = login.cookie.as_deref();
    let peer = peer.of(&service);
    let address = form.value("email").unwrap_or_default();
    match service
        .send_code(&login.request, cookie, address, peer)
        .await
    {
        Ok(()) => see_other(&page_url(&service, "/auth/email/code", &login.request)),
        Err(refusal) => {
            let found = service.login(&login.request, cookie).await.ok();
            pages::refusal(&service, &login.request, found.as_ref(), &refusal)
        }
    }
}

async fn check_code(
    State(service): Broker,
    peer: Peer,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    let Some((form, login)) = form_of_login(&service, &headers, &body) else {
        return pages::refusal(&service, "", None, &Refusal::UnknownLogin);
    };
    let cookie = login.cookie.as_deref();
    let peer = peer.of(&service);
    let code = form.value("code").unwrap_or_default();
    match service.check_code(&login.request, cookie, code, peer).await {
        Ok(answer) => answered(&service, &answer, Some(&login.request)).await,
        Err(refusal) => {
            let found = service.login(&login.request, cookie).await.ok();
            pages::refusal(&service, &login.request, found.as_ref(), &refusal)
        }
    }
}

async fn cancel(State(service): Broker, headers: HeaderMap, body: axum::body::Bytes) -> Response {
    let Some((_, login)) = form_of_login(&service, &headers, &body) else {
        return pages::refusal(&service, "", None, &Refusal::UnknownLogin);
    };
    match service
        .cancel(&login.request, login.cookie.as_deref())
        .await
    {
        Ok(answer) => answered(&service, &answer, Some(&login.request)).await,
        Err(refusal) => pages::refusal(&service, &login.request, None, &refusal),
    }
}

/// Where a log-in goes on once its client and its owner are known.
fn first_page(service: &Service, connector: Option<&str>, request: &str) -> String {
    match entry(service, connector) {
        Entry::Email => page_url(service, EMAIL, request),
        Entry::Choice => page_url(service, providers::CHOOSE, request),
        Entry::Provider(name) => page_url(service, &format!("/auth/{name}"), request),
    }
}

/// The same as the answer to a form of ours, which may not end at a provider (CSP `form-action`
/// holds for redirects too): there is a link first.
fn first_page_after_form(service: &Service, connector: Option<&str>, request: &str) -> String {
    match entry(service, connector) {
        Entry::Provider(name) => {
            let page = page_url(service, providers::CHOOSE, request);
            format!("{page}&connector={name}")
        }
        _ => first_page(service, connector, request),
    }
}

fn entry<'a>(service: &'a Service, connector: Option<&str>) -> Entry<'a> {
    connector.map_or_else(|| service.entry(), |id| service.entry_of(id))
}

/// Sends the answer to the client, shows it out of band, or keeps it for the device; the log-in's
/// cookie goes away.
async fn answered(service: &Service, answer: &Answer, request: Option<&str>) -> Response {
    let response = match (&answer.redirect, &answer.outcome) {
        (Redirect::Loopback(_), _) => match answer.url(&service.config.issuer) {
            Some(url) => see_other(url.as_str()),
            None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        },
        (Redirect::Device(digest), outcome) => device::finished(service, digest, outcome).await,
        (Redirect::OutOfBand, Outcome::Code(code)) => pages::out_of_band(service, code),
        (Redirect::OutOfBand, Outcome::Error { description, .. }) => {
            pages::out_of_band_error(service, description)
        }
    };
    match request {
        Some(request) => ended(response, service, request),
        None => response,
    }
}

/// Gives the browser the cookie of the log-in that it has begun.
fn with_cookie(mut response: Response, service: &Service, begun: &Begun) -> Response {
    let login = login_key(begun.request.expose());
    let cookie = set_cookie(service, &login, begun.cookie.expose(), LOGIN_LIFE.as_secs());
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Takes the cookie of a log-in away again.
fn ended(response: Response, service: &Service, request: &str) -> Response {
    without_cookie(response, service, &login_key(request))
}

fn without_cookie(mut response: Response, service: &Service, login: &RecordKey) -> Response {
    let cookie = set_cookie(service, login, "", 0);
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// 303: the browser comes with GET and leaves the form behind (RFC 9700 §4.12).
fn see_other(url: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    if let Ok(url) = HeaderValue::from_str(url) {
        headers.insert(header::LOCATION, url);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn page_url(service: &Service, page: &str, request: &str) -> String {
    let path = service.config.path();
    format!("{path}{page}?request={request}")
}

/// Each log-in has a cookie of its own name and value. Cookies ignore ports, so another server on
/// this machine may read or plant one; the log-in needs its request's secret beside it.
fn cookie_name(is_https: bool, login: &RecordKey) -> String {
    let key = waxseal_crypto::Digest::from(*login.as_bytes()).to_hex();
    let name = key.get(..16).unwrap_or_default();
    // The prefix keeps other hosts of the domain and plain http from setting it.
    let prefix = if is_https { "__Host-" } else { "" };
    format!("{prefix}waxseal-login-{name}")
}

/// It lives as long as its log-in, so that those of abandoned log-ins do not pile up.
fn set_cookie(service: &Service, login: &RecordKey, value: &str, seconds: u64) -> String {
    let is_https = service.config.is_https();
    let name = cookie_name(is_https, login);
    let attributes = format!("Max-Age={seconds}; HttpOnly; SameSite=Lax");
    if is_https {
        format!("{name}={value}; Path=/; Secure; {attributes}")
    } else {
        let path = service.config.path();
        let path = if path.is_empty() { "/" } else { &path };
        format!("{name}={value}; Path={path}; {attributes}")
    }
}

/// The cookie of a log-in, if there is exactly one: a second one was planted. Under https only the
/// name with the prefix counts: another host of the domain may plant one without, and so put a
/// log-in of its own, a device's for instance, into somebody's browser.
fn read_cookie(service: &Service, headers: &HeaderMap, login: &RecordKey) -> Option<String> {
    let expected = cookie_name(service.config.is_https(), login);
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == expected)
        .map(|(_, value)| value.to_owned());
    match (found.next(), found.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// The log-in that a form or a page's query names.
struct OfLogin {
    request: String,
    cookie: Option<String>,
}

impl OfLogin {
    fn new(service: &Service, parameters: &Parameters, headers: &HeaderMap) -> Self {
        let request = parameters.value("request").unwrap_or_default().to_owned();
        let cookie = read_cookie(service, headers, &login_key(&request));
        Self { request, cookie }
    }
}

impl FromRequestParts<Arc<Service>> for OfLogin {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        let parameters = Parameters::parse(query.as_bytes()).unwrap_or_default();
        Ok(Self::new(service, &parameters, &parts.headers))
    }
}

fn form_of_login(
    service: &Service,
    headers: &HeaderMap,
    body: &[u8],
) -> Option<(Parameters, OfLogin)> {
    let form = Parameters::parse(body)
        .ok()
        .filter(|_| !is_from_elsewhere(service, headers))?;
    let login = OfLogin::new(service, &form, headers);
    Some((form, login))
}

/// Whether a page of another origin has sent a form: it would put words into a person's mouth, and
/// jump over what our own page before it says. Browsers name the origin of every such form; on
/// loopback, where there are several names for one origin, the chassis checks them.
fn is_from_elsewhere(service: &Service, headers: &HeaderMap) -> bool {
    let own = service.config.origin();
    let mut origins = headers.get_all(header::ORIGIN).iter();
    service.config.is_https() && origins.any(|origin| origin.as_bytes() != own.as_bytes())
}

/// Who asks: the connection's address, or what the proxy in front says.
struct Peer {
    connected: Option<IpAddr>,
    forwarded: Option<IpAddr>,
}

impl Peer {
    fn of(&self, service: &Service) -> Option<IpAddr> {
        if service.config.behind_proxy {
            self.forwarded
        } else {
            self.connected
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let connected = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        // The last entry is the proxy's own; those before it are whatever the client wrote.
        let forwarded = parts.headers.get_all("x-forwarded-for").iter().next_back();
        let forwarded = forwarded.and_then(|value| value.to_str().ok());
        let forwarded = forwarded.and_then(|value| value.rsplit(',').next());
        Ok(Self {
            connected: connected.map(|info| info.0.ip()),
            forwarded: forwarded.and_then(|text| text.trim().parse().ok()),
        })
    }
}

/// Where a log-in's forms may end: here, and at the client's redirect.
fn form_action(redirect_uri: &str) -> String {
    let redirect = Redirect::parse(redirect_uri).and_then(|redirect| redirect.csp_source());
    redirect.map_or_else(|| "'self'".to_owned(), |source| format!("'self' {source}"))
}

/// Seconds that a log-in's pages count, for people.
const fn login_minutes() -> u64 {
    LOGIN_LIFE.as_secs() / 60
}

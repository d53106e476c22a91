//! The endpoints for programs: discovery, keys, tokens, userinfo.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Peer;
use crate::client::Caller;
use crate::device::PollRefusal;
use crate::grant::{Granted, TokenRefusal};
use crate::keys::KEYS_MAX_AGE;
use crate::service::{Fault, Service};
use crate::token::TOKEN_LIFE;

type Broker = State<Arc<Service>>;

/// OpenID Connect Discovery §3, with what RFC 8414 and RFC 9207 add.
pub(super) async fn discovery(State(service): Broker) -> Response {
    let issuer = &service.config.issuer;
    let algorithms: Vec<_> = service
        .context
        .keys
        .algorithms(service.now())
        .into_iter()
        .map(waxseal_identity::JwsAlgorithm::name)
        .collect();
    let document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "introspection_endpoint": format!("{issuer}/token/introspect"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "device_authorization_endpoint": format!("{issuer}/device/code"),
        "grant_types_supported": service.grant_types(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "email"],
        "token_endpoint_auth_methods_supported":
            ["none", "client_secret_basic", "client_secret_post"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash",
            "email", "email_verified", "federated_claims"],
        "authorization_response_iss_parameter_supported": true,
        "request_uri_parameter_supported": false,
    });
    cached(Json(document).into_response())
}

/// The key set (RFC 7517 §5).
pub(super) async fn keys(State(service): Broker) -> Response {
    let set = service.context.keys.published(service.now());
    cached(Json(set.to_json()).into_response())
}

fn cached(mut response: Response) -> Response {
    let value = format!("public, max-age={}", KEYS_MAX_AGE.as_secs());
    if let Ok(value) = HeaderValue::from_str(&value) {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}

/// RFC 6749 §4.1.3, RFC 8628 §3.4, RFC 8693 §2; the answer is RFC 6749 §5.1 with OpenID Connect Core
/// §3.1.3.3, or RFC 8693 §2.2.
pub(super) async fn token(
    State(service): Broker,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let outcome = service
        .exchange(&body, &caller(&headers, peer.of(&service)))
        .await;
    let response = match outcome {
        Ok(Granted::Exchanged(exchanged)) => Json(json!({
            "access_token": exchanged.token,
            "issued_token_type": exchanged.kind,
            "token_type": "bearer",
            "expires_in": exchanged.life,
        }))
        .into_response(),
        Ok(Granted::Tokens(tokens)) => Json(json!({
            "access_token": tokens.access_token,
            "token_type": "bearer",
            "expires_in": TOKEN_LIFE.as_secs(),
            "id_token": tokens.id_token,
        }))
        .into_response(),
        Err(refusal) => refused(&refusal),
    };
    uncached(response)
}

/// What the request says about its client besides its form. A header that is there and unreadable,
/// or there twice, authenticates nobody.
pub(super) fn caller(headers: &HeaderMap, peer: Option<IpAddr>) -> Caller<'_> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let authorization = match (fields.next(), fields.next()) {
        (None, _) => None,
        (Some(value), None) => Some(value.to_str().unwrap_or_default()),
        _ => Some(""),
    };
    Caller {
        authorization,
        peer,
    }
}

/// What a client learns that failed with `Authorization: Basic`.
pub(super) const BASIC_CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"token\"");

fn refused(refusal: &TokenRefusal) -> Response {
    let (status, code) = match refusal {
        TokenRefusal::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
        TokenRefusal::InvalidClient { .. } => (StatusCode::UNAUTHORIZED, "invalid_client"),
        TokenRefusal::InvalidGrant | TokenRefusal::Poll(PollRefusal::InvalidGrant) => {
            (StatusCode::BAD_REQUEST, "invalid_grant")
        }
        TokenRefusal::UnsupportedGrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
        TokenRefusal::Poll(PollRefusal::AuthorizationPending) => {
            (StatusCode::BAD_REQUEST, "authorization_pending")
        }
        TokenRefusal::Poll(PollRefusal::SlowDown) => (StatusCode::BAD_REQUEST, "slow_down"),
        TokenRefusal::Poll(PollRefusal::AccessDenied) => (StatusCode::BAD_REQUEST, "access_denied"),
        TokenRefusal::Poll(PollRefusal::ExpiredToken) => (StatusCode::BAD_REQUEST, "expired_token"),
        TokenRefusal::ForeignToken => (StatusCode::BAD_REQUEST, "invalid_request"),
        TokenRefusal::InvalidTarget => (StatusCode::BAD_REQUEST, "invalid_target"),
        TokenRefusal::IssuerUnavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
        }
        TokenRefusal::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "slow_down"),
        TokenRefusal::Poll(PollRefusal::Fault(fault)) | TokenRefusal::Fault(fault) => {
            return faulty(fault);
        }
    };
    let mut response = error(status, code, &refusal.to_string());
    let headers = response.headers_mut();
    match refusal {
        TokenRefusal::InvalidClient { basic: true } => {
            headers.insert(header::WWW_AUTHENTICATE, BASIC_CHALLENGE);
        }
        TokenRefusal::TooMany { retry } => {
            let seconds = HeaderValue::from(retry.as_secs().max(1));
            headers.insert(header::RETRY_AFTER, seconds);
        }
        _ => {}
    }
    response
}

/// RFC 6749 §5.2.
pub(super) fn error(status: StatusCode, code: &str, description: &str) -> Response {
    let body = json!({"error": code, "error_description": description});
    (status, Json(body)).into_response()
}

pub(super) fn faulty(fault: &Fault) -> Response {
    super::pages::log_fault(fault);
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    error(status, "server_error", "the broker's log says why")
}

/// RFC 7662 §2: whether a token counts.
pub(super) async fn introspect(
    State(service): Broker,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let caller = caller(&headers, peer.of(&service));
    let response = match service.introspection(&body, &caller) {
        Ok(about) => Json(about).into_response(),
        Err(refusal) => refused(&refusal),
    };
    uncached(response)
}

/// OpenID Connect Core §5.3: what a token says about its person.
pub(super) async fn userinfo(State(service): Broker, headers: HeaderMap) -> Response {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let about: Option<Value> = token.and_then(|token| service.userinfo(token));
    let response = match about {
        Some(about) => Json(about).into_response(),
        None => {
            let challenge = match token {
                None => HeaderValue::from_static("Bearer"),
                Some(_) => HeaderValue::from_static("Bearer error=\"invalid_token\""),
            };
            (
                StatusCode::UNAUTHORIZED,
                [(header::WWW_AUTHENTICATE, challenge)],
            )
                .into_response()
        }
    };
    uncached(response)
}

pub(super) fn uncached(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        HeaderName::from_static("pragma"),
        HeaderValue::from_static("no-cache"),
    );
    response
}

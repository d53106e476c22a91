//! The authorization code flow, step by step, without a browser.

use serde_json::json;
use waxseal_transport::Headers;

use super::*;
use crate::testing::{CountingRandom, NOW, RSA};

const ISSUER: &str = "https://issuer.example";

fn discovery() -> Discovery {
    let text = json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://issuer.example/auth",
        "token_endpoint": "https://issuer.example/token",
        "code_challenge_methods_supported": ["plain", "S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    Discovery::parse(text.to_string().as_bytes(), ISSUER).unwrap()
}

fn request() -> AuthorizationRequest {
    let mut config = LoginConfig::new(ISSUER);
    config.connector_id = Some("https://accounts.google.com".to_owned());
    let redirect_uri = "http://127.0.0.1:1/auth/callback";
    AuthorizationRequest::new(
        &discovery(),
        &config,
        redirect_uri,
        &CountingRandom::default(),
    )
    .unwrap()
}

fn variant(error: &LoginError) -> String {
    format!("{error:?}")
        .split([' ', '(', '{'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn the_url_carries_pkce_state_and_nonce() {
    let request = request();
    let pairs: HashMap<_, _> = request.url().query_pairs().into_owned().collect();
    let expected = [
        ("response_type", "code"),
        ("client_id", "sigstore"),
        ("redirect_uri", "http://127.0.0.1:1/auth/callback"),
        ("scope", "openid email"),
        ("code_challenge_method", "S256"),
        ("connector_id", "https://accounts.google.com"),
        ("state", &request.state),
        ("nonce", &request.nonce),
        (
            "code_challenge",
            &URL_SAFE_NO_PAD.encode(sha256(request.verifier.as_bytes())),
        ),
    ];
    for (name, value) in expected {
        assert_eq!(pairs.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(request.verifier.len(), 43);
    assert_ne!(request.state, request.nonce);
    assert!(!request.url().as_str().contains(request.verifier.as_str()));
    assert!(!format!("{request:?}").contains(&request.state));
}

#[test]
fn no_endpoint() {
    let mut discovery = discovery();
    discovery.token_endpoint = None;
    let found = AuthorizationRequest::new(
        &discovery,
        &LoginConfig::new(ISSUER),
        OUT_OF_BAND,
        &CountingRandom::default(),
    );
    assert!(matches!(found, Err(LoginError::NoEndpoint)));
}

#[test]
fn no_pkce() {
    let mut discovery = discovery();
    discovery.pkce_s256 = false;
    let found = AuthorizationRequest::new(
        &discovery,
        &LoginConfig::new(ISSUER),
        OUT_OF_BAND,
        &CountingRandom::default(),
    );
    assert!(matches!(found, Err(LoginError::NoPkce)));
}

fn check_callback(query: &str, expected: &str) {
    let request = request();
    let query = query
        .replace("STATE", &request.state)
        .replace("ISS", "https%3A%2F%2Fissuer.example");
    let found = request.code_from_callback(&query);
    let found = found.map_or_else(|error| variant(&error), |code| code.0.to_string());
    assert_eq!(found, expected, "{query}");
}

#[test]
fn s_42_wrong_state() {
    check_callback("code=c&state=STATE&iss=ISS", "c");
    check_callback("code=c&iss=ISS", "WrongState");
    check_callback("code=c&state=&iss=ISS", "WrongState");
    check_callback("code=c&state=STATEx&iss=ISS", "WrongState");
    check_callback("error=access_denied&iss=ISS", "WrongState");
    check_callback("", "WrongState");
}

#[test]
fn denied() {
    let request = request();
    let query = format!(
        "error=access_denied&error_description=not%20one%1b%20of%20us&state={}&iss={ISSUER}",
        request.state
    );
    let error = request.code_from_callback(&query).unwrap_err();
    assert!(matches!(error, LoginError::Denied { .. }));
    let expected = "the log-in was denied in the browser: not one of us";
    assert_eq!(error.to_string(), expected);
    check_callback("error=access_denied&state=STATE&iss=ISS", "Denied");
}

#[test]
fn malformed_callback() {
    check_callback(
        "code=c&state=STATE&state=STATE&iss=ISS",
        "MalformedCallback",
    );
    check_callback("code=c&code=d&state=STATE&iss=ISS", "MalformedCallback");
    check_callback(&"a".repeat(MAX_CALLBACK + 1), "MalformedCallback");
}

#[test]
fn wrong_issuer() {
    check_callback("code=c&state=STATE", "WrongIssuer");
    check_callback(
        "code=c&state=STATE&iss=https%3A%2F%2Fevil.example",
        "WrongIssuer",
    );
    let mut request = request();
    request.expects_iss = false;
    let query = format!("code=c&state={}", request.state);
    assert!(request.code_from_callback(&query).is_ok());
    let found = request.code_from_callback(&format!("{query}&iss=https%3A%2F%2Fevil.example"));
    assert!(matches!(found, Err(LoginError::WrongIssuer)));
}

#[test]
fn refused_by_the_issuer() {
    let request = request();
    let query = format!(
        "error=server_error&error_description=no%0d%0a%1b[2Jway&state={}&iss={ISSUER}",
        request.state
    );
    let error = request.code_from_callback(&query).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the log-in was refused: server_error: no[2Jway"
    );
}

#[test]
fn no_code() {
    check_callback("state=STATE&iss=ISS", "NoCode");
    check_callback("code=&state=STATE&iss=ISS", "NoCode");
    assert!(matches!(
        AuthorizationCode::pasted(" \n"),
        Err(LoginError::NoCode)
    ));
    assert_eq!(
        AuthorizationCode::pasted(" abc\n").unwrap().0.as_str(),
        "abc"
    );
}

#[test]
fn the_token_request_proves_possession_of_the_verifier() {
    let request = request();
    let sent = request.token_request(&AuthorizationCode::pasted("c+d").unwrap());
    assert_eq!(sent.url.as_str(), "https://issuer.example/token");
    let body: HashMap<_, _> = form_urlencoded::parse(&sent.body).into_owned().collect();
    assert_eq!(body["code"], "c+d");
    assert_eq!(body["code_verifier"], *request.verifier);
    assert_eq!(body["redirect_uri"], "http://127.0.0.1:1/auth/callback");
    assert!(!format!("{sent:?}").contains(request.verifier.as_str()));
}

fn check_answer(change: impl FnOnce(&mut Value, &mut Value), expected: &str) {
    let request = request();
    let mut claims = json!({
        "iss": ISSUER, "sub": "s", "aud": "sigstore", "exp": NOW, "nonce": request.nonce,
        "at_hash": at_hash(JwsAlgorithm::Rs256, "access"),
    });
    let mut body = json!({"access_token": "access", "token_type": "bearer"});
    change(&mut claims, &mut body);
    if body.get("id_token").is_none() {
        body["id_token"] = json!(RSA.sign(claims.to_string().as_bytes()));
    }
    let response = Response::new(200, Headers::new(), body.to_string().into_bytes());
    let found = request.token_from_answer(response);
    let found = match &found {
        Ok(_) => "ok".to_owned(),
        Err(LoginError::TokenMismatch { claim }) => (*claim).to_owned(),
        Err(error) => variant(error),
    };
    assert_eq!(found, expected);
}

#[test]
fn token_mismatch() {
    check_answer(|_, _| {}, "ok");
    check_answer(
        |claims, _| drop(claims.as_object_mut().unwrap().remove("at_hash")),
        "ok",
    );
    check_answer(
        |claims, _| claims["iss"] = json!("https://issuer.example/"),
        "iss",
    );
    check_answer(|claims, _| claims["aud"] = json!("other"), "aud");
    check_answer(|claims, _| claims["nonce"] = json!("other"), "nonce");
    check_answer(
        |claims, _| drop(claims.as_object_mut().unwrap().remove("nonce")),
        "nonce",
    );
    check_answer(|_, body| body["access_token"] = json!("other"), "at_hash");
    check_answer(|_, body| body["access_token"] = json!(7), "at_hash");
}

#[test]
fn no_token() {
    check_answer(|_, body| body["id_token"] = json!(7), "NoToken");
}

#[test]
fn bad_token() {
    check_answer(|_, body| body["id_token"] = json!("nonsense"), "BadToken");
    check_answer(|claims, _| claims["nonce"] = json!(7), "BadToken");
}

#[test]
fn answers_that_are_not_tokens() {
    let check = |status, body: &str, expected: &str| {
        let response = Response::new(status, Headers::new(), body.as_bytes().to_vec());
        assert_eq!(
            variant(&request().token_from_answer(response).unwrap_err()),
            expected,
            "{body}"
        );
    };
    check(400, r#"{"error":"invalid_grant"}"#, "Refused");
    check(401, r#"{"error":"invalid_client"}"#, "Refused");
    check(400, "oops", "Transport");
    check(500, r#"{"error":"server_error"}"#, "Transport");
    check(200, "oops", "NotJson");
    check(200, r#"{"id_token":"a","id_token":"a"}"#, "NotJson");
}

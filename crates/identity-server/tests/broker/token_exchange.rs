//! Tokens of other issuers, exchanged (RFC 8693): what comes out, and what does not.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::{Value, json};
use waxseal_identity::{Jwk, JwkSet, JwsAlgorithm};
use waxseal_identity_server::{Config, ConfigError, ExchangeIssuer};

use crate::world::{Answer, ISSUER, NOW, World, claims_of, outbox, signer, smtp, world};

const THEM: &str = "https://ci.example";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ID: &str = "urn:ietf:params:oauth:token-type:id_token";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

fn config() -> Config {
    let mut config = smtp();
    config.token_exchange.push(ExchangeIssuer::new(THEM));
    config
}

async fn with_issuer(config: Config) -> World {
    let world = world(config).await;
    let jwk = Jwk::new(signer().public_key().clone(), JwsAlgorithm::Rs256).unwrap();
    let keys = JwkSet::new(vec![jwk]).unwrap().to_json();
    let discovery = json!({"issuer": THEM, "jwks_uri": format!("{THEM}/keys"),
        "id_token_signing_alg_values_supported": ["RS256"]});
    let json = |value: Value| get(move || async move { axum::Json(value) });
    let site = Router::new()
        .route("/.well-known/openid-configuration", json(discovery))
        .route("/keys", json(keys));
    world.internet.add(THEM, site);
    world
}

fn claims() -> Value {
    json!({"iss": THEM, "sub": "job-7", "aud": ISSUER, "iat": NOW, "exp": NOW + 3600,
        "email": "robot@example.com", "email_verified": true})
}

pub(crate) async fn sign(claims: &Value) -> String {
    let signer = signer();
    let jwk = Jwk::new(signer.public_key().clone(), JwsAlgorithm::Rs256).unwrap();
    let payload = serde_json::to_vec(claims).unwrap();
    waxseal_identity::sign_jws(&*signer, jwk.key_id().unwrap(), &payload)
        .await
        .unwrap()
}

async fn exchange_with(world: &World, token: &str, changes: &[(&str, &str)]) -> Answer {
    let mut form = vec![
        ("grant_type", GRANT),
        ("client_id", "sigstore"),
        ("subject_token", token),
        ("subject_token_type", ID),
        ("connector_id", THEM),
    ];
    for (name, value) in changes {
        form.retain(|(known, _)| known != name);
        if *value != "-" {
            form.push((name, value));
        }
    }
    world.token(&form).await
}

/// A good request with other claims in its token.
async fn with_claims(world: &World, change: impl FnOnce(&mut Value)) -> Answer {
    let mut claims = claims();
    change(&mut claims);
    exchange_with(world, &sign(&claims).await, &[]).await
}

#[track_caller]
fn refused(answer: &Answer, error: &str) {
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
    assert_eq!(answer.json()["error"], json!(error), "{}", answer.body);
    assert!(answer.json().get("access_token").is_none());
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_workload_gets_a_token_of_its_issuer_s_identity() {
    let world = with_issuer(config()).await;
    let answer = with_claims(&world, |_| {}).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let body = answer.json();
    assert_eq!(body["issued_token_type"], json!(ACCESS));
    assert_eq!(body["token_type"], json!("bearer"));
    assert_eq!(body["expires_in"], json!(300));
    let claims = claims_of(body["access_token"].as_str().unwrap());
    assert_eq!(claims["iss"], json!(ISSUER));
    assert_eq!(claims["aud"], json!("sigstore"));
    assert_eq!(claims["email"], json!("robot@example.com"));
    assert_eq!(
        claims["federated_claims"],
        json!({"connector_id": THEM, "user_id": "job-7"})
    );
    // No person logged in.
    assert!(claims.get("auth_time").is_none() && claims.get("nonce").is_none());
    let token = sign(&self::claims()).await;
    for (kind, expected) in [(ID, ID), (ACCESS, ACCESS)] {
        let answer = exchange_with(&world, &token, &[("requested_token_type", kind)]).await;
        assert_eq!(answer.json()["issued_token_type"], json!(expected));
    }
    // Its issuer may be left out: the token says it.
    let answer = exchange_with(&world, &token, &[("connector_id", "-")]).await;
    assert_eq!(answer.status, StatusCode::OK);
    let audience = [("audience", "sigstore")];
    let answer = exchange_with(&world, &token, &audience).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_lives_no_longer_than_the_one_it_was_exchanged_for() {
    let world = with_issuer(config()).await;
    let answer = with_claims(&world, |claims| claims["exp"] = json!(NOW + 40)).await;
    assert_eq!(answer.json()["expires_in"], json!(40));
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(claims_of(&token)["exp"], json!(NOW + 40));
}

#[tokio::test]
async fn tokens_that_are_not_taken() {
    let world = with_issuer(config()).await;
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 12] = [
        ("for somebody else", |c| c["aud"] = json!("sigstore")),
        ("for nobody", |c| c["aud"] = json!("")),
        ("expired", |c| c["exp"] = json!(NOW)),
        ("from the future", |c| c["iat"] = json!(NOW + 61)),
        ("of nobody known", |c| c["iss"] = json!("https://x.example")),
        ("of ourselves", |c| c["iss"] = json!(ISSUER)),
        ("unverified", |c| c["email_verified"] = json!(false)),
        ("verified as text", |c| c["email_verified"] = json!("false")),
        ("without an address", |c| c["email"] = Value::Null),
        ("of another domain", |c| {
            c["email"] = json!("a@evil.example")
        }),
        ("of no domain", |c| c["email"] = json!("robot")),
        ("of nobody", |c| c["sub"] = json!("")),
    ];
    for (what, change) in changes {
        let answer = with_claims(&world, change).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{what}");
        refused(&answer, "invalid_request");
    }
    let good = sign(&claims()).await;
    for token in [
        "x",
        "a.b.c",
        &format!("{good}x"),
        &good.replacen('.', "..", 1),
    ] {
        refused(&exchange_with(&world, token, &[]).await, "invalid_request");
    }
}

#[tokio::test]
async fn our_own_tokens_are_not_exchanged() {
    let world = with_issuer(config()).await;
    let ours = world.tokens("you@example.com").await;
    for name in ["id_token", "access_token"] {
        let token = ours[name].as_str().unwrap();
        refused(&exchange_with(&world, token, &[]).await, "invalid_request");
        let silent = [("connector_id", "-")];
        refused(
            &exchange_with(&world, token, &silent).await,
            "invalid_request",
        );
    }
}

#[tokio::test]
async fn bad_requests() {
    let world = with_issuer(config()).await;
    let token = sign(&claims()).await;
    let check = async |changes: &[(&str, &str)], error: &str| {
        refused(&exchange_with(&world, &token, changes).await, error);
    };
    for (name, value) in [
        ("subject_token", "-"),
        ("subject_token_type", "-"),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:saml2",
        ),
        (
            "requested_token_type",
            "urn:ietf:params:oauth:token-type:refresh_token",
        ),
        ("connector_id", "https://other.example"),
        ("connector_id", ISSUER),
        ("actor_token", "x"),
    ] {
        check(&[(name, value)], "invalid_request").await;
    }
    check(&[("audience", "other")], "invalid_target").await;
    check(&[("resource", "https://other.example")], "invalid_target").await;
    for (name, value) in [
        ("client_id", "-"),
        ("client_id", "x"),
        ("client_secret", "x"),
    ] {
        let answer = exchange_with(&world, &token, &[(name, value)]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn s_39_domains_count_for_every_grant() {
    let mut denied = config();
    denied.deny_domains.push("example.com".to_owned());
    denied.token_exchange[0].allow_domains = vec!["example.com".to_owned()];
    let world = with_issuer(denied).await;
    let answer = with_claims(&world, |_| {}).await;
    refused(&answer, "invalid_request");
    // An issuer's own list is the one for it, and the broker's does not widen it.
    let mut narrow = config();
    narrow.token_exchange[0].allow_domains = vec!["robots.example".to_owned()];
    let world = with_issuer(narrow).await;
    refused(&with_claims(&world, |_| {}).await, "invalid_request");
    let robot = |claims: &mut Value| claims["email"] = json!("r@robots.example");
    let answer = with_claims(&world, robot).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_no_refusal() {
    let world = world(config()).await;
    let answer = with_claims(&world, |_| {}).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["error"], json!("temporarily_unavailable"));
}

#[tokio::test]
async fn an_account_is_limited() {
    let world = with_issuer(config()).await;
    let token = sign(&claims()).await;
    for _ in 0..600 {
        let answer = exchange_with(&world, &token, &[]).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    let answer = exchange_with(&world, &token, &[]).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.header("retry-after"), "3600");
    let other = with_claims(&world, |claims| claims["sub"] = json!("job-8")).await;
    assert_eq!(other.status, StatusCode::OK);
}

#[tokio::test]
async fn without_an_issuer_there_is_no_exchange() {
    let closed = world(outbox()).await;
    let answer = exchange_with(&closed, "x", &[]).await;
    refused(&answer, "unsupported_grant_type");
    let listed = async |world: &World| {
        let document = world.get("/auth/.well-known/openid-configuration").await;
        let types = document.json()["grant_types_supported"].clone();
        types.as_array().unwrap().contains(&json!(GRANT))
    };
    assert!(!listed(&closed).await);
    assert!(listed(&with_issuer(config()).await).await);
}

#[test]
fn exchange_issuer() {
    let check = |issuer: &str, good: bool| {
        let mut config = smtp();
        config.token_exchange.push(ExchangeIssuer::new(issuer));
        let expected = ConfigError::ExchangeIssuer {
            issuer: issuer.to_owned(),
        };
        let expected = if good { Ok(()) } else { Err(expected) };
        assert_eq!(config.check(), expected, "{issuer}");
    };
    check(THEM, true);
    check("http://localhost:1", true);
    for bad in ["", "ci.example", "http://ci.example", ISSUER] {
        check(bad, false);
    }
    let mut config = config();
    config.token_exchange[0].key_origins.push("x".to_owned());
    assert!(config.check().is_err());
}

#[test]
fn exchange_open() {
    let mut config = outbox();
    config.token_exchange.push(ExchangeIssuer::new(THEM));
    let issuer = THEM.to_owned();
    assert_eq!(config.check(), Err(ConfigError::ExchangeOpen { issuer }));
    config.token_exchange[0].allow_domains = vec!["Example.com".to_owned()];
    assert!(matches!(config.check(), Err(ConfigError::BadDomain { .. })));
    config.token_exchange[0].allow_domains = vec!["example.com".to_owned()];
    assert_eq!(config.check(), Ok(()));
}

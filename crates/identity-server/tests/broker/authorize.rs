//! The authorization endpoint: whom it answers, where, and what it demands.

use axum::http::StatusCode;

use crate::world::{Browser, ISSUER, Pkce, World, encode, outbox, post, world};

/// The error that a changed request brings to the client, or `page` for one that stays here.
async fn check(world: &World, changes: &[(&str, &str)], expected: &str) {
    let query = Pkce::default().query_with(changes);
    check_query(world, &query, expected).await;
}

async fn check_query(world: &World, query: &str, expected: &str) {
    let answer = world.get(&format!("/auth/auth?{query}")).await;
    let found = match answer.status {
        StatusCode::BAD_REQUEST => {
            assert!(answer.headers.get("location").is_none());
            assert!(answer.body.contains("role=\"alert\""));
            "page".to_owned()
        }
        StatusCode::SEE_OTHER if answer.header("location").starts_with("/auth/auth/email?") => {
            "ok".to_owned()
        }
        StatusCode::SEE_OTHER => {
            assert!(
                answer
                    .header("location")
                    .starts_with("http://localhost:4567/auth/callback?")
            );
            assert_eq!(answer.parameter("iss").as_deref(), Some(ISSUER));
            assert_eq!(answer.parameter("code"), None);
            answer.parameter("error").unwrap()
        }
        status => panic!("{status}"),
    };
    assert_eq!(found, expected, "{query}");
}

#[tokio::test]
async fn a_good_request_begins_a_log_in() {
    let world = world(outbox()).await;
    check(&world, &[], "ok").await;
    check(&world, &[("connector_id", ISSUER)], "ok").await;
    check(&world, &[("scope", "email openid profile")], "ok").await;
    check(&world, &[("prompt", "login")], "ok").await;
    check(&world, &[("nonce", "-")], "ok").await;
    // By form, as OpenID Connect Core §3.1.2.1 wants it too.
    let answer = world
        .send(post("/auth/auth", &Pkce::default().query()))
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn redirects_of_every_client_are_taken() {
    let world = world(outbox()).await;
    for redirect in [
        "http://localhost:1",
        "http://localhost:1/auth/callback",
        "http://localhost:1/Callback",
        "http://127.0.0.1:1/callback",
        "http://[::1]:1/x",
        "urn:ietf:wg:oauth:2.0:oob",
    ] {
        check(&world, &[("redirect_uri", redirect)], "ok").await;
    }
}

#[tokio::test]
async fn s_40_no_redirect_to_another_place() {
    let world = world(outbox()).await;
    for redirect in [
        "-",
        "http://localhost.evil.com",
        "http://127.0.0.1@evil",
        "https://localhost",
        "https://localhost:4567/auth/callback",
        "http://localhost:1/%0d%0a",
        "http://localhost:1/\r\nLocation: http://evil.com",
        "http://localhost:1/#fragment",
        "http%3A%2F%2Flocalhost%3A1",
        "javascript:alert(1)",
        "//evil.com",
        "/\\evil.com",
    ] {
        check(&world, &[("redirect_uri", redirect)], "page").await;
    }
}

#[tokio::test]
async fn unknown_client() {
    let world = world(outbox()).await;
    for client in ["-", "other", "Sigstore", "sigstore "] {
        check(&world, &[("client_id", client)], "page").await;
    }
}

#[tokio::test]
async fn duplicated_parameter() {
    let world = world(outbox()).await;
    for (name, value) in Pkce::default().parameters() {
        let query = format!("{}&{}", Pkce::default().query(), encode(&[(&name, &value)]));
        check_query(&world, &query, "page").await;
    }
    let query = format!("{}&redirect_uri=http://evil.com", Pkce::default().query());
    check_query(&world, &query, "page").await;
}

#[tokio::test]
async fn pkce_is_mandatory_and_s256() {
    let world = world(outbox()).await;
    let invalid = "invalid_request";
    check(&world, &[("code_challenge", "-")], invalid).await;
    check(
        &world,
        &[("code_challenge", "-"), ("code_challenge_method", "-")],
        invalid,
    )
    .await;
    check(&world, &[("code_challenge_method", "-")], invalid).await;
    check(&world, &[("code_challenge_method", "plain")], invalid).await;
    check(&world, &[("code_challenge_method", "s256")], invalid).await;
    for challenge in [
        "a".repeat(42),
        "a".repeat(44),
        "a".repeat(128),
        format!("{}=", "a".repeat(42)),
    ] {
        check(&world, &[("code_challenge", &challenge)], invalid).await;
    }
}

#[tokio::test]
async fn response_type_scope_and_prompt() {
    let world = world(outbox()).await;
    check(&world, &[("response_type", "-")], "invalid_request").await;
    for response_type in ["token", "id_token", "code id_token", "none"] {
        check(
            &world,
            &[("response_type", response_type)],
            "unsupported_response_type",
        )
        .await;
    }
    check(&world, &[("response_mode", "query")], "ok").await;
    check(&world, &[("response_mode", "fragment")], "invalid_request").await;
    for scope in ["-", "email", "openidx", "OPENID"] {
        check(&world, &[("scope", scope)], "invalid_scope").await;
    }
    check(&world, &[("prompt", "none")], "login_required").await;
    check(&world, &[("request", "x.y.z")], "request_not_supported").await;
    check(
        &world,
        &[("request_uri", "https://evil.com")],
        "request_uri_not_supported",
    )
    .await;
    check(
        &world,
        &[("connector_id", "https://accounts.google.com")],
        "invalid_request",
    )
    .await;
    check(&world, &[("nonce", &"n".repeat(1025))], "invalid_request").await;
    check(&world, &[("state", &"s".repeat(1025))], "invalid_request").await;
}

#[tokio::test]
async fn the_state_is_echoed_or_absent() {
    let world = world(outbox()).await;
    let cases = [
        ("the-state", Some("the-state")),
        ("a&b=c d\u{e4}", Some("a&b=c d\u{e4}")),
        ("-", None),
    ];
    for (state, expected) in cases {
        let query = Pkce::default().query_with(&[("state", state)]);
        let mut browser = Browser::default();
        let page = browser.begin(&world, &query).await;
        browser.ask(&world, &page, "you@example.com").await;
        let answer = browser
            .type_code(&world, &page, &world.last_code().await)
            .await;
        assert_eq!(answer.parameter("state").as_deref(), expected);
        assert_eq!(answer.parameter("iss").as_deref(), Some(ISSUER));
    }
}

#[tokio::test]
async fn errors_out_of_band_stay_on_a_page() {
    let world = world(outbox()).await;
    check(
        &world,
        &[
            ("redirect_uri", "urn:ietf:wg:oauth:2.0:oob"),
            ("scope", "email"),
        ],
        "page",
    )
    .await;
}

#[tokio::test]
async fn the_log_in_can_be_cancelled() {
    let world = world(outbox()).await;
    let mut browser = Browser::default();
    let page = browser.begin(&world, &Pkce::default().query()).await;
    let mut stranger = Browser::default();
    let answer = stranger
        .post(&world, "/auth/auth/email/cancel", &[("request", &page)])
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let answer = browser
        .post(&world, "/auth/auth/email/cancel", &[("request", &page)])
        .await;
    assert_eq!(answer.parameter("error").as_deref(), Some("access_denied"));
    assert_eq!(answer.parameter("state").as_deref(), Some("the-state"));
    let answer = browser.ask(&world, &page, "you@example.com").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn wrong_methods_and_bodies() {
    let world = world(outbox()).await;
    let put = axum::http::Request::put("/auth/auth")
        .body(axum::body::Body::empty())
        .unwrap();
    assert_eq!(world.send(put).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let mut json = post("/auth/auth", "{}");
    json.headers_mut()
        .insert("content-type", "application/json".parse().unwrap());
    assert_eq!(
        world.send(json).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    let long = format!("a={}", "x".repeat(9000));
    let answer = world.send(post("/auth/auth", &long)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    check_query(&world, &long, "page").await;
}

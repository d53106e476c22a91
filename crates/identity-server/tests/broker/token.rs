//! The token endpoint, the tokens, the keys, and userinfo.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use waxseal_identity::{CompactJws, JwkSet, JwsAlgorithm, at_hash};

use crate::world::{
    Answer, Browser, ISSUER, NOW, Pkce, REDIRECT, World, encode, outbox, post, signer, world,
};

const YOU: &str = "you@example.com";

fn check(answer: &Answer, status: StatusCode, error: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.json()["error"], json!(error));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("pragma"), "no-cache");
}

/// The error of a fresh code with a changed form; `-` removes a parameter.
async fn check_changed(world: &World, changes: &[(&str, &str)], status: StatusCode, error: &str) {
    let code = world.log_in(YOU).await;
    let pkce = Pkce::default();
    let mut form = pkce.form(&code).to_vec();
    for (name, value) in changes {
        form.retain(|(known, _)| known != name);
        if *value != "-" {
            form.push((name, value));
        }
    }
    let answer = world.token(&form).await;
    check(&answer, status, error);
}

fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn both_tokens_say_what_clients_read() {
    let world = world(outbox()).await;
    let answer = world.tokens("You@Example.com").await;
    assert_eq!(answer["token_type"], json!("bearer"));
    assert_eq!(answer["expires_in"], json!(300));
    let (id_token, access_token) = (
        answer["id_token"].as_str().unwrap(),
        answer["access_token"].as_str().unwrap(),
    );
    let mut claims = payload(id_token);
    let sub = claims["sub"].as_str().unwrap().to_owned();
    let expected = json!({
        "iss": ISSUER, "sub": sub, "aud": "sigstore", "exp": NOW + 300, "iat": NOW, "auth_time": NOW,
        "nonce": "the-nonce", "email": "You@example.com", "email_verified": true,
        "at_hash": at_hash(JwsAlgorithm::Rs256, access_token),
        "federated_claims": {"connector_id": ISSUER, "user_id": claims["federated_claims"]["user_id"]},
    });
    assert_eq!(claims, expected);
    assert_eq!(
        claims["federated_claims"]["user_id"]
            .as_str()
            .unwrap()
            .len(),
        32
    );
    // sigstore-python takes the access token for the identity token.
    claims.as_object_mut().unwrap().remove("at_hash");
    assert_eq!(payload(access_token), claims);
    // The subject is the same each time, and another for another address.
    assert_eq!(
        payload(
            world.tokens("You@example.com").await["id_token"]
                .as_str()
                .unwrap()
        )["sub"],
        json!(sub)
    );
    assert_ne!(
        payload(
            world.tokens("you@example.com").await["id_token"]
                .as_str()
                .unwrap()
        )["sub"],
        json!(sub)
    );
    // Signed by a published key, RS256, with the header that cosign looks for.
    let keys = JwkSet::parse(world.get("/auth/keys").await.body.as_bytes()).unwrap();
    for token in [id_token, access_token] {
        let jws = CompactJws::parse(token).unwrap();
        jws.verify(
            waxseal_crypto_aws_lc::provider(),
            &keys,
            &[JwsAlgorithm::Rs256],
        )
        .unwrap();
        let header = token.split('.').next().unwrap();
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        assert_eq!(
            header,
            json!({"alg": "RS256", "typ": "JWT", "kid": keys.keys()[0].thumbprint()})
        );
    }
}

#[tokio::test]
async fn the_verifier_of_the_workspace_takes_the_token() {
    use waxseal_identity::{ClaimPath, IssuerConfig, IssuerKind, KeySource, TokenVerifier};

    struct NoNetwork;
    impl waxseal_transport::Transport for NoNetwork {
        fn send<'a>(
            &'a self,
            _: waxseal_transport::Request,
        ) -> waxseal_transport::BoxFuture<
            'a,
            Result<waxseal_transport::Response, waxseal_transport::TransportError>,
        > {
            panic!("static keys need no network")
        }
        fn sleep<'a>(&'a self, _: std::time::Duration) -> waxseal_transport::BoxFuture<'a, ()> {
            Box::pin(std::future::pending())
        }
    }

    let world = world(outbox()).await;
    let tokens = world.tokens(YOU).await;
    let now = waxseal_crypto::Time::from_unix(NOW).unwrap();
    let mut config = IssuerConfig::new(ISSUER, &["sigstore"], IssuerKind::Email);
    config.keys = KeySource::Static(world.keys.published(now));
    config.issuer_claim = ClaimPath::parse("$.federated_claims.connector_id").ok();
    let provider = waxseal_crypto_aws_lc::provider();
    let verifier =
        TokenVerifier::new(provider, std::sync::Arc::new(NoNetwork), vec![config]).unwrap();
    for name in ["id_token", "access_token"] {
        let principal = verifier
            .verify(tokens[name].as_str().unwrap(), now)
            .await
            .unwrap();
        assert_eq!(principal.identity().as_str(), YOU);
        assert_eq!(principal.issuer(), ISSUER);
    }
}

#[tokio::test]
async fn the_client_of_the_workspace_logs_in() {
    use waxseal_identity::{AuthorizationRequest, Discovery, LoginConfig};

    let world = world(outbox()).await;
    let document = world.get("/auth/.well-known/openid-configuration").await;
    let discovery = Discovery::parse(document.body.as_bytes(), ISSUER).unwrap();
    let mut config = LoginConfig::new(ISSUER);
    config.connector_id = Some(ISSUER.to_owned());
    let random = crate::world::TestRandom::default();
    let client = AuthorizationRequest::new(&discovery, &config, REDIRECT, &random).unwrap();
    let mut browser = Browser::default();
    let page = browser.begin(&world, client.url().query().unwrap()).await;
    browser.ask(&world, &page, YOU).await;
    let answer = browser
        .type_code(&world, &page, &world.last_code().await)
        .await;
    let code = client
        .code_from_callback(answer.location().query().unwrap())
        .unwrap();
    let request = client.token_request(&code);
    let answer = world
        .send(post(
            request.url.path(),
            std::str::from_utf8(&request.body).unwrap(),
        ))
        .await;
    let response = waxseal_transport::Response::new(
        answer.status.as_u16(),
        waxseal_transport::Headers::new(),
        answer.body.into_bytes(),
    );
    let token = client.token_from_answer(response).unwrap();
    assert_eq!(token.challenge(), YOU);
}

#[tokio::test]
async fn code_replay() {
    let world = world(outbox()).await;
    let code = world.log_in(YOU).await;
    let pkce = Pkce::default();
    assert_eq!(world.token(&pkce.form(&code)).await.status, StatusCode::OK);
    for _ in 0..2 {
        check(
            &world.token(&pkce.form(&code)).await,
            StatusCode::BAD_REQUEST,
            "invalid_grant",
        );
    }
    let metrics = world.meter.text();
    assert!(
        metrics.contains("waxseal_broker_tokens_total{event=\"replayed\"} 2"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_failed_exchange_uses_the_code_up() {
    let world = world(outbox()).await;
    let code = world.log_in(YOU).await;
    let thief = Pkce {
        verifier: "x".repeat(43),
    };
    check(
        &world.token(&thief.form(&code)).await,
        StatusCode::BAD_REQUEST,
        "invalid_grant",
    );
    let answer = world.token(&Pkce::default().form(&code)).await;
    check(&answer, StatusCode::BAD_REQUEST, "invalid_grant");
}

#[tokio::test]
async fn expired_code() {
    let world = world(outbox()).await;
    let code = world.log_in(YOU).await;
    world.advance(59);
    assert_eq!(
        world.token(&Pkce::default().form(&code)).await.status,
        StatusCode::OK
    );
    let code = world.log_in(YOU).await;
    world.advance(60);
    check(
        &world.token(&Pkce::default().form(&code)).await,
        StatusCode::BAD_REQUEST,
        "invalid_grant",
    );
}

#[tokio::test]
async fn wrong_in_one_way_and_in_two() {
    let world = world(outbox()).await;
    let bad = StatusCode::BAD_REQUEST;
    let verifier = "w".repeat(43);
    let cases = [
        ("redirect_uri", "http://localhost:4567/other"),
        ("code_verifier", verifier.as_str()),
        ("code", "unknown"),
    ];
    for (index, case) in cases.iter().enumerate() {
        check_changed(&world, &[*case], bad, "invalid_grant").await;
        for other in &cases[index + 1..] {
            check_changed(&world, &[*case, *other], bad, "invalid_grant").await;
        }
    }
    let loose = [("redirect_uri", "http://localhost:4568/auth/callback")];
    check_changed(&world, &loose, bad, "invalid_grant").await;
    let loose = [("redirect_uri", "http://127.0.0.1:4567/auth/callback")];
    check_changed(&world, &loose, bad, "invalid_grant").await;
}

#[tokio::test]
async fn code_of_other_client() {
    // There is one client; a code presented in the name of another never gets as far as the code.
    let world = world(outbox()).await;
    check_changed(
        &world,
        &[("client_id", "other")],
        StatusCode::UNAUTHORIZED,
        "invalid_client",
    )
    .await;
    check_changed(
        &world,
        &[("client_id", "-")],
        StatusCode::UNAUTHORIZED,
        "invalid_client",
    )
    .await;
}

#[tokio::test]
async fn missing_parameters() {
    let world = world(outbox()).await;
    for name in ["grant_type", "code", "redirect_uri", "code_verifier"] {
        check_changed(
            &world,
            &[(name, "-")],
            StatusCode::BAD_REQUEST,
            "invalid_request",
        )
        .await;
        check_changed(
            &world,
            &[(name, "")],
            StatusCode::BAD_REQUEST,
            "invalid_request",
        )
        .await;
    }
    for grant_type in [
        "password",
        "client_credentials",
        "refresh_token",
        "implicit",
    ] {
        check_changed(
            &world,
            &[("grant_type", grant_type)],
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
        )
        .await;
    }
}

/// A code whose request had no challenge would take any verifier, or none: no such code is given
/// (RFC 9700 §2.1.1, the downgrade of PKCE).
#[tokio::test]
async fn verifier_without_challenge() {
    let world = world(outbox()).await;
    for absent in [
        &[("code_challenge", "-")][..],
        &[("code_challenge", "-"), ("code_challenge_method", "-")],
        &[("code_challenge", "")],
    ] {
        let query = Pkce::default().query_with(absent);
        let answer = world.get(&format!("/auth/auth?{query}")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        let error = answer.parameter("error");
        assert_eq!(error.as_deref(), Some("invalid_request"), "{absent:?}");
        assert_eq!(answer.parameter("code"), None);
    }
    // And where there was one, a token needs its verifier.
    let bad = StatusCode::BAD_REQUEST;
    check_changed(&world, &[("code_verifier", "-")], bad, "invalid_request").await;
}

#[tokio::test]
async fn verifier_lengths() {
    let world = world(outbox()).await;
    for verifier in [
        "v".repeat(42),
        "v".repeat(129),
        format!("{} ", "v".repeat(43)),
        format!("{}+", "v".repeat(43)),
    ] {
        check_changed(
            &world,
            &[("code_verifier", &verifier)],
            StatusCode::BAD_REQUEST,
            "invalid_request",
        )
        .await;
    }
    for length in [43, 128] {
        let pkce = Pkce {
            verifier: "~".repeat(length),
        };
        let mut browser = Browser::default();
        let page = browser.begin(&world, &pkce.query()).await;
        let code = browser.prove(&world, &page, YOU).await;
        assert_eq!(world.token(&pkce.form(&code)).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn duplicated_parameter() {
    let world = world(outbox()).await;
    let code = world.log_in(YOU).await;
    let pkce = Pkce::default();
    let mut form = pkce.form(&code).to_vec();
    form.push(("redirect_uri", REDIRECT));
    check(
        &world.token(&form).await,
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
}

async fn with_basic(world: &World, basic: &str, drop_client: bool, secret: Option<&str>) -> Answer {
    let code = world.log_in(YOU).await;
    let pkce = Pkce::default();
    let mut form = pkce.form(&code).to_vec();
    if drop_client {
        form.retain(|(name, _)| *name != "client_id");
    }
    form.extend(secret.map(|secret| ("client_secret", secret)));
    let mut request = post("/auth/token", &encode(&form));
    request
        .headers_mut()
        .insert(header::AUTHORIZATION, basic.parse().unwrap());
    world.send(request).await
}

#[tokio::test]
async fn basic_with_empty_secret() {
    let world = world(outbox()).await;
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    // sigstore-python: Basic `sigstore:` and an empty client_secret in the form.
    for (drop_client, secret) in [
        (true, None),
        (false, None),
        (true, Some("")),
        (false, Some("")),
    ] {
        let answer = with_basic(&world, &basic("sigstore:"), drop_client, secret).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    let answer = with_basic(
        &world,
        &basic("sigstore:").replace("Basic", "basic"),
        true,
        None,
    )
    .await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn basic_wrong_secret() {
    let world = world(outbox()).await;
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    for header in [
        basic("sigstore:secret"),
        basic("other:"),
        basic("sigstore"),
        basic(":"),
        "Basic !!!".to_owned(),
        "Bearer x".to_owned(),
        "Basic".to_owned(),
    ] {
        let answer = with_basic(&world, &header, true, None).await;
        check(&answer, StatusCode::UNAUTHORIZED, "invalid_client");
        assert!(
            answer.header("www-authenticate").starts_with("Basic "),
            "{header}"
        );
    }
    let answer = with_basic(&world, &basic("sigstore:"), true, Some("secret")).await;
    check(&answer, StatusCode::UNAUTHORIZED, "invalid_client");
    check_changed(
        &world,
        &[("client_secret", "secret")],
        StatusCode::UNAUTHORIZED,
        "invalid_client",
    )
    .await;
}

#[tokio::test]
async fn token_endpoint_get_and_json() {
    let world = world(outbox()).await;
    assert_eq!(
        world
            .get("/auth/token?grant_type=authorization_code")
            .await
            .status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    let mut request = post("/auth/token", "{}");
    request
        .headers_mut()
        .insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    assert_eq!(
        world.send(request).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
}

#[tokio::test]
async fn out_of_band_code_lives_five_minutes() {
    let world = world(outbox()).await;
    let oob = "urn:ietf:wg:oauth:2.0:oob";
    let pkce = Pkce::default();
    for (wait, expected) in [(299, StatusCode::OK), (300, StatusCode::BAD_REQUEST)] {
        let mut browser = Browser::default();
        let page = browser
            .begin(&world, &pkce.query_with(&[("redirect_uri", oob)]))
            .await;
        browser.ask(&world, &page, YOU).await;
        let shown = browser
            .type_code(&world, &page, &world.last_code().await)
            .await;
        assert_eq!(shown.status, StatusCode::OK);
        let (_, rest) = shown.body.split_once("readonly>").unwrap();
        let code = rest.split_once('<').unwrap().0;
        world.advance(wait);
        let mut form = pkce.form(code).to_vec();
        form.retain(|(name, _)| *name != "redirect_uri");
        form.push(("redirect_uri", oob));
        assert_eq!(world.token(&form).await.status, expected);
    }
}

#[tokio::test]
async fn discovery_is_what_clients_need() {
    let world = world(outbox()).await;
    let answer = world.get("/auth/.well-known/openid-configuration").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    let document = answer.json();
    for (name, expected) in [
        ("issuer", json!(ISSUER)),
        (
            "authorization_endpoint",
            json!("http://localhost:8383/auth/auth"),
        ),
        ("token_endpoint", json!("http://localhost:8383/auth/token")),
        ("jwks_uri", json!("http://localhost:8383/auth/keys")),
        (
            "userinfo_endpoint",
            json!("http://localhost:8383/auth/userinfo"),
        ),
        ("response_types_supported", json!(["code"])),
        ("response_modes_supported", json!(["query"])),
        (
            "introspection_endpoint",
            json!("http://localhost:8383/auth/token/introspect"),
        ),
        (
            "grant_types_supported",
            json!([
                "authorization_code",
                "urn:ietf:params:oauth:grant-type:device_code"
            ]),
        ),
        ("subject_types_supported", json!(["public"])),
        ("id_token_signing_alg_values_supported", json!(["RS256"])),
        ("code_challenge_methods_supported", json!(["S256"])),
        (
            "token_endpoint_auth_methods_supported",
            json!(["none", "client_secret_basic", "client_secret_post"]),
        ),
        (
            "authorization_response_iss_parameter_supported",
            json!(true),
        ),
    ] {
        assert_eq!(document[name], expected, "{name}");
    }
    // Our own client reads it.
    let parsed = waxseal_identity::Discovery::parse(answer.body.as_bytes(), ISSUER).unwrap();
    assert!(parsed.pkce_s256 && parsed.response_iss);
}

#[tokio::test]
async fn jwks_during_rotation() {
    let world = world(outbox()).await;
    let next = {
        let provider = waxseal_crypto_aws_lc::provider();
        let algorithm = waxseal_crypto::SignatureAlgorithm::EcdsaP256Sha256;
        let key = provider.generate(algorithm).unwrap();
        let signer: Box<dyn waxseal_crypto::Signer> = provider.signer(&key, algorithm).unwrap();
        std::sync::Arc::<dyn waxseal_crypto::Signer>::from(signer)
    };
    let before = world.tokens(YOU).await["id_token"]
        .as_str()
        .unwrap()
        .to_owned();
    world.keys.announce(next, world.server_now()).unwrap();
    let published = async || JwkSet::parse(world.get("/auth/keys").await.body.as_bytes()).unwrap();
    assert_eq!(published().await.keys().len(), 2);
    assert_eq!(
        world.get("/auth/keys").await.header("cache-control"),
        "public, max-age=300"
    );
    world.advance(300);
    world.keys.rotate(world.server_now()).unwrap();
    let after = world.tokens(YOU).await["id_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let verifies = |token: &str, keys: &JwkSet| {
        let jws = CompactJws::parse(token).unwrap();
        jws.verify(waxseal_crypto_aws_lc::provider(), keys, &JwsAlgorithm::ALL)
            .is_ok()
    };
    let keys = published().await;
    assert!(verifies(&before, &keys) && verifies(&after, &keys));
    world.advance(600);
    let keys = published().await;
    assert!(!verifies(&before, &keys) && verifies(&after, &keys));
    assert_eq!(
        world
            .get("/auth/.well-known/openid-configuration")
            .await
            .json()["id_token_signing_alg_values_supported"],
        json!(["ES256"])
    );
}

async fn userinfo(world: &World, authorization: &str) -> Answer {
    let request = Request::get("/auth/userinfo").header(header::AUTHORIZATION, authorization);
    world.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn userinfo_with_good_and_bad_tokens() {
    let world = world(outbox()).await;
    let tokens = world.tokens(YOU).await;
    let token = tokens["access_token"].as_str().unwrap();
    let answer = userinfo(&world, &format!("Bearer {token}")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["email"], json!(YOU));
    assert_eq!(answer.json()["sub"], payload(token)["sub"]);
    assert_eq!(answer.header("cache-control"), "no-store");
    let none = world.get("/auth/userinfo").await;
    assert_eq!(
        (none.status, none.header("www-authenticate")),
        (StatusCode::UNAUTHORIZED, "Bearer")
    );
    for bad in ["Bearer x", "Bearer ", &format!("Bearer {token}x")] {
        let answer = userinfo(&world, bad).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{bad}");
        assert!(answer.header("www-authenticate").contains("invalid_token"));
    }
}

#[tokio::test]
async fn userinfo_with_expired_token() {
    let world = world(outbox()).await;
    let tokens = world.tokens(YOU).await;
    let header = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    world.advance(299);
    assert_eq!(userinfo(&world, &header).await.status, StatusCode::OK);
    world.advance(1);
    assert_eq!(
        userinfo(&world, &header).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn userinfo_takes_no_token_of_another_issuer() {
    let world = world(outbox()).await;
    let keys = JwkSet::parse(world.get("/auth/keys").await.body.as_bytes()).unwrap();
    let claims =
        json!({"iss": "https://other.example", "aud": "sigstore", "sub": "s", "exp": NOW + 60});
    let kid = keys.keys()[0].key_id().unwrap();
    let token = waxseal_identity::sign_jws(&*signer(), kid, claims.to_string().as_bytes())
        .await
        .unwrap();
    assert_eq!(
        userinfo(&world, &format!("Bearer {token}")).await.status,
        StatusCode::UNAUTHORIZED
    );
}

async fn introspect(world: &World, changes: &[(&str, &str)], token: &str) -> Answer {
    let mut form = vec![("client_id", "sigstore"), ("token", token)];
    for (name, value) in changes {
        form.retain(|(known, _)| known != name);
        if *value != "-" {
            form.push((name, value));
        }
    }
    let request = post("/auth/token/introspect", &encode(&form));
    world.send(request).await
}

#[tokio::test]
async fn introspection() {
    let world = world(outbox()).await;
    let tokens = world.tokens(YOU).await;
    for name in ["id_token", "access_token"] {
        let answer = introspect(&world, &[], tokens[name].as_str().unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let about = answer.json();
        assert_eq!(about["active"], json!(true));
        assert_eq!(about["iss"], json!(ISSUER));
        assert_eq!(about["email"], json!(YOU));
        assert_eq!(about["client_id"], json!("sigstore"));
        assert_eq!(about["exp"], json!(NOW + 300));
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let token = tokens["access_token"].as_str().unwrap();
    for bad in ["x", "a.b.c", &format!("{token}x")] {
        let answer = introspect(&world, &[], bad).await;
        assert_eq!(
            (answer.status, answer.json()),
            (StatusCode::OK, json!({"active": false}))
        );
    }
    let unknown = introspect(&world, &[("client_id", "x")], token).await;
    check(&unknown, StatusCode::UNAUTHORIZED, "invalid_client");
    let nothing = introspect(&world, &[("token", "-")], token).await;
    check(&nothing, StatusCode::BAD_REQUEST, "invalid_request");
    let get = world.get("/auth/token/introspect").await;
    assert_eq!(get.status, StatusCode::METHOD_NOT_ALLOWED);
    world.advance(300);
    let late = introspect(&world, &[], token).await;
    assert_eq!(late.json(), json!({"active": false}));
}

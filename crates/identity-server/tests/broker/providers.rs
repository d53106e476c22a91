//! The way to a provider and back, under attack (authority.md §7.6, RFC 9700 §4).

use axum::http::StatusCode;
use serde_json::json;
use url::Url;
use waxseal_identity_server::{ConfigError, ConnectorKind, MailConfig, StartError};

use crate::provider::{claims_of, connector, of_kind, parameter, site, site_with, state_of, with};
use crate::world::{Browser, CLIENT_SECRET, ISSUER, Pkce, on_store, outbox, world};

fn oidc() -> waxseal_identity_server::ConnectorConfig {
    let mut config = connector(ConnectorKind::Oidc);
    config.issuer = Some("https://id.example".to_owned());
    config
}

#[tokio::test]
async fn a_log_in_at_a_provider_names_it_as_the_connector() {
    let (world, provider) = site(&connector(ConnectorKind::Google)).await;
    let mut browser = Browser::default();
    let answer = browser.visit(&world, &provider, "google").await;
    assert!(browser.cookies.is_empty(), "the log-in's cookies are gone");
    let claims = claims_of(&world, &answer).await;
    assert_eq!(claims["email"], "you@example.com");
    assert_eq!(claims["email_verified"], true);
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(claims["nonce"], "the-nonce");
    let federated = json!({"connector_id": "https://accounts.google.com", "user_id": "subject-1"});
    assert_eq!(claims["federated_claims"], federated);
    assert_eq!(answer.parameter("state").as_deref(), Some("the-state"));
    assert_eq!(answer.parameter("iss").as_deref(), Some(ISSUER));
}

#[tokio::test]
async fn the_provider_is_asked_with_secrets_of_this_visit_alone() {
    let (world, _) = site(&oidc()).await;
    let mut browser = Browser::default();
    let url = browser.leave(&world, "oidc").await;
    assert!(url.as_str().starts_with("https://id.example/authorize?"));
    assert_eq!(parameter(&url, "response_type").as_deref(), Some("code"));
    assert_eq!(parameter(&url, "client_id").as_deref(), Some("client-7"));
    assert_eq!(parameter(&url, "scope").as_deref(), Some("openid email"));
    assert_eq!(
        parameter(&url, "code_challenge_method").as_deref(),
        Some("S256")
    );
    assert_eq!(
        parameter(&url, "redirect_uri").as_deref(),
        Some("http://localhost:8383/auth/callback/oidc")
    );
    // Nothing of the client's own log-in goes on.
    for name in ["state", "nonce", "code_challenge"] {
        let value = parameter(&url, name).unwrap();
        assert!(value.len() >= 43, "{name}");
        assert!(!Pkce::default().query().contains(&value), "{name}");
    }
    let again = browser.leave(&world, "oidc").await;
    for name in ["state", "nonce", "code_challenge"] {
        assert_ne!(parameter(&url, name), parameter(&again, name), "{name}");
    }
    // The store tells nothing of it either.
    let records = world.store.text();
    for name in ["state", "nonce", "code_challenge"] {
        assert!(!records.contains(&parameter(&url, name).unwrap()), "{name}");
    }
    assert!(!records.contains("CANARY"));
}

#[tokio::test]
async fn only_the_way_in_needs_no_choice_and_several_need_one() {
    let query = format!("/auth/auth?{}", Pkce::default().query());
    let (one, _) = site(&connector(ConnectorKind::Google)).await;
    assert!(
        one.get(&query)
            .await
            .header("location")
            .starts_with("/auth/auth/google?request=")
    );
    let mut github = connector(ConnectorKind::Github);
    github.label = Some("<b>Git</b>".to_owned());
    let several = world(with(&[connector(ConnectorKind::Google), github])).await;
    let answer = several.get(&query).await;
    assert!(
        answer
            .header("location")
            .starts_with("/auth/auth/choose?request=")
    );
    let mut browser = Browser::default();
    let begun = browser.get(&several, &query).await;
    let page = browser.get(&several, begun.header("location")).await;
    assert_eq!(page.status, StatusCode::OK);
    for part in [
        "/auth/auth/google?request=",
        "/auth/auth/github?request=",
        "/auth/auth/email?request=",
        "Log in with Google",
        "&lt;b&gt;Git&lt;/b&gt;",
        "Log in with a code by e-mail",
        "Cancel",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    assert!(!page.body.contains("<script") && !page.body.contains("<b>Git"));
    // Somebody else sees nothing.
    let stranger = several.get(begun.header("location")).await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn connector_id_goes_straight_there() {
    let several = world(with(&[
        connector(ConnectorKind::Google),
        connector(ConnectorKind::Github),
    ]));
    let several = several.await;
    let check = async |id: &str, expected: &str| {
        let query = Pkce::default().query_with(&[("connector_id", id)]);
        let answer = several.get(&format!("/auth/auth?{query}")).await;
        let location = answer.header("location");
        assert!(location.starts_with(expected), "{id}: {location}");
    };
    check("https://accounts.google.com", "/auth/auth/google?").await;
    check("https://github.com/login/oauth", "/auth/auth/github?").await;
    check(ISSUER, "/auth/auth/email?").await;
    for unknown in [
        "google",
        "https://accounts.google.com/",
        "https://login.microsoftonline.com",
    ] {
        check(
            unknown,
            "http://localhost:4567/auth/callback?error=invalid_request",
        )
        .await;
    }
}

#[tokio::test]
async fn email_login_may_be_switched_off() {
    let mut config = with(&[connector(ConnectorKind::Google)]);
    config.email_login = false;
    let world = world(config).await;
    let mut browser = Browser::default();
    let begun = browser
        .get(&world, &format!("/auth/auth?{}", Pkce::default().query()))
        .await;
    let request = begun.parameter("request").unwrap();
    let answer = browser.ask(&world, &request, "you@example.com").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
    assert_eq!(world.mail_count().await, 0);
    let page = browser
        .get(&world, &format!("/auth/auth/email?request={request}"))
        .await;
    assert!(page.header("location").starts_with("/auth/auth/google"));
    let query = Pkce::default().query_with(&[("connector_id", ISSUER)]);
    let answer = world.get(&format!("/auth/auth?{query}")).await;
    assert_eq!(
        answer.parameter("error").as_deref(),
        Some("invalid_request")
    );
}

#[tokio::test]
async fn s_36_state_from_another_browser() {
    let (world, provider) = site(&oidc()).await;
    let mut browser = Browser::default();
    let url = browser.leave(&world, "oidc").await;
    let code = provider.agree(&url);
    let query = [("code", code.as_str()), ("state", &state_of(&url))];
    // Without cookies, and with those of another log-in.
    let mut stranger = Browser::default();
    assert_eq!(
        stranger.come_back(&world, "oidc", &query).await.status,
        StatusCode::FORBIDDEN
    );
    stranger.leave(&world, "oidc").await;
    assert_eq!(
        stranger.come_back(&world, "oidc", &query).await.status,
        StatusCode::FORBIDDEN
    );
    let name = browser.cookies.keys().next().unwrap().clone();
    stranger.cookies.insert(name, "planted".to_owned());
    assert_eq!(
        stranger.come_back(&world, "oidc", &query).await.status,
        StatusCode::FORBIDDEN
    );
    assert!(
        provider.forms.lock().unwrap().is_empty(),
        "the code went nowhere"
    );
    // And none of it kept its owner out.
    let answer = browser.come_back(&world, "oidc", &query).await;
    assert_eq!(claims_of(&world, &answer).await["email"], "you@example.com");
}

#[tokio::test]
async fn s_42_state_absent_wrong_or_twice() {
    let (world, provider) = site(&oidc()).await;
    let mut browser = Browser::default();
    let url = browser.leave(&world, "oidc").await;
    let (code, state) = (provider.agree(&url), state_of(&url));
    for query in [
        vec![("code", code.as_str())],
        vec![("code", &code), ("state", "")],
        vec![("code", &code), ("state", "other")],
        vec![("code", &code), ("state", "the-state")],
        vec![("code", &code), ("state", &state), ("state", &state)],
        vec![("code", &code), ("code", &code), ("state", &state)],
    ] {
        let answer = browser.come_back(&world, "oidc", &query).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query:?}");
    }
    assert!(provider.forms.lock().unwrap().is_empty());
}

#[tokio::test]
async fn connector_callback_with_other_connectors_state() {
    let mut other = oidc();
    other.name = Some("other".to_owned());
    other.issuer = Some("https://other.example".to_owned());
    let world = world(with(&[oidc(), other.clone()])).await;
    let provider = of_kind(&oidc(), &world);
    let mut browser = Browser::default();
    let url = browser.leave(&world, "oidc").await;
    let code = provider.agree(&url);
    let query = [("code", code.as_str()), ("state", &state_of(&url))];
    let answer = browser.come_back(&world, "other", &query).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.body.contains("another provider"), "{}", answer.body);
    let answer = browser.come_back(&world, "unknown", &query).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(
        provider.forms.lock().unwrap().is_empty(),
        "no provider was given the code"
    );
}

#[tokio::test]
async fn mix_up_by_iss_in_the_redirect() {
    let (world, provider) = site(&oidc()).await;
    let announce = json!({"authorization_response_iss_parameter_supported": true});
    provider.set(|script| script.discovery = announce);
    let check = async |iss: &[&str], expected: StatusCode| {
        let mut browser = Browser::default();
        let url = browser.leave(&world, "oidc").await;
        let (code, state) = (provider.agree(&url), state_of(&url));
        let mut query = vec![("code", code.as_str()), ("state", &state)];
        query.extend(iss.iter().map(|iss| ("iss", *iss)));
        let answer = browser.come_back(&world, "oidc", &query).await;
        assert_eq!(answer.status, expected, "{iss:?} {}", answer.body);
    };
    check(&["https://id.example"], StatusCode::SEE_OTHER).await;
    check(&[], StatusCode::BAD_REQUEST).await;
    check(&["https://evil.example"], StatusCode::BAD_REQUEST).await;
    check(&["https://id.example/"], StatusCode::BAD_REQUEST).await;
    check(
        &["https://id.example", "https://evil.example"],
        StatusCode::BAD_REQUEST,
    )
    .await;
}

#[tokio::test]
async fn iss_that_was_not_announced_must_be_right_all_the_same() {
    let (world, provider) = site(&oidc()).await;
    let mut browser = Browser::default();
    let url = browser.leave(&world, "oidc").await;
    let (code, state) = (provider.agree(&url), state_of(&url));
    let query = [
        ("code", code.as_str()),
        ("state", &state),
        ("iss", "https://evil.example"),
    ];
    let answer = browser.come_back(&world, "oidc", &query).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn code_replay() {
    let (world, provider) = site(&oidc()).await;
    let mut browser = Browser::default();
    let url = browser.leave(&world, "oidc").await;
    let code = provider.agree(&url);
    let query = [("code", code.as_str()), ("state", &state_of(&url))];
    let before = browser.cookies.clone();
    let answer = browser.come_back(&world, "oidc", &query).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    // The redirect again, from a browser that still has the cookie.
    browser.cookies = before;
    let answer = browser.come_back(&world, "oidc", &query).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(provider.forms.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn of_two_redirects_at_once_one_counts() {
    let (world, provider) = site(&oidc()).await;
    let mut browser = Browser::default();
    let url = browser.leave(&world, "oidc").await;
    let code = provider.agree(&url);
    let query = [("code", code.as_str()), ("state", &state_of(&url))];
    let mut other = Browser {
        cookies: browser.cookies.clone(),
        ..Browser::default()
    };
    let (one, two) = tokio::join!(
        browser.come_back(&world, "oidc", &query),
        other.come_back(&world, "oidc", &query)
    );
    let won = [one.status, two.status]
        .iter()
        .filter(|s| **s == StatusCode::SEE_OTHER)
        .count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_visit_expires_with_its_log_in() {
    let (world, provider) = site(&oidc()).await;
    let mut browser = Browser::default();
    let url = browser.leave(&world, "oidc").await;
    let code = provider.agree(&url);
    world.advance(15 * 60);
    let query = [("code", code.as_str()), ("state", &state_of(&url))];
    let answer = browser.come_back(&world, "oidc", &query).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_secrets_of_a_log_in_change_when_it_comes_back() {
    let mut config = with(&[oidc(), connector(ConnectorKind::Google)]);
    config.public_log = true;
    let world = world(config).await;
    let provider = of_kind(&oidc(), &world);
    let mut browser = Browser::default();
    let begun = browser
        .get(&world, &format!("/auth/auth?{}", Pkce::default().query()))
        .await;
    let request = begun.parameter("request").unwrap();
    let before = browser.cookies.clone();
    let url = browser.leave_from(&world, "oidc", &request).await;
    let code = provider.agree(&url);
    let query = [("code", code.as_str()), ("state", &state_of(&url))];
    let answer = browser.come_back(&world, "oidc", &query).await;
    let after = answer.parameter("request").unwrap();
    assert_ne!(after, request);
    // Session fixation: whoever planted the first secrets has a log-in that is gone.
    let mut planter = Browser {
        cookies: before,
        ..Browser::default()
    };
    for request in [&request, &after] {
        let page = planter
            .get(&world, &format!("/auth/auth/confirm?request={request}"))
            .await;
        assert_ne!(page.status, StatusCode::OK);
    }
    let page = browser
        .get(&world, &format!("/auth/auth/confirm?request={after}"))
        .await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("you@example.com") && page.body.contains("becomes public"));
}

#[tokio::test]
async fn where_signatures_are_public_the_person_is_asked_once_more() {
    let (world, provider) = site_with(&oidc(), |config| config.public_log = true).await;
    let mut browser = Browser::default();
    let answer = browser.visit(&world, &provider, "oidc").await;
    assert!(
        answer
            .header("location")
            .starts_with("/auth/auth/confirm?request=")
    );
    let page = browser.get(&world, answer.header("location")).await;
    let request = page.input("request");
    // Looking, even twice, agrees to nothing; nor does somebody else's click.
    browser.get(&world, answer.header("location")).await;
    let form = [("request", request.as_str())];
    let stranger = Browser::default()
        .post(&world, "/auth/auth/confirm", &form)
        .await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN);
    let answer = browser.post(&world, "/auth/auth/confirm", &form).await;
    assert_eq!(claims_of(&world, &answer).await["email"], "you@example.com");
    let again = browser.post(&world, "/auth/auth/confirm", &form).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn oob_approval_without_post() {
    let (world, provider) = site(&oidc()).await;
    let mut browser = Browser::default();
    let query = Pkce::default().query_with(&[("redirect_uri", "urn:ietf:wg:oauth:2.0:oob")]);
    let begun = browser.get(&world, &format!("/auth/auth?{query}")).await;
    let request = begun.parameter("request").unwrap();
    let url = browser.leave_from(&world, "oidc", &request).await;
    let code = provider.agree(&url);
    let query = crate::world::encode(&[("code", code.as_str()), ("state", &state_of(&url))]);
    let answer = browser
        .get(&world, &format!("/auth/callback/oidc?{query}"))
        .await;
    assert!(
        answer.header("location").starts_with("/auth/auth/confirm?"),
        "no code on a GET"
    );
    let page = browser.get(&world, answer.header("location")).await;
    assert!(
        page.body.contains("<strong>sigstore</strong>"),
        "{}",
        page.body
    );
    let request = page.input("request");
    let answer = browser
        .post(&world, "/auth/auth/confirm", &[("request", &request)])
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains("readonly"));
}

#[tokio::test]
async fn nobody_confirms_what_is_not_proven() {
    let (world, _) = site_with(&oidc(), |config| config.public_log = true).await;
    let mut browser = Browser::default();
    let begun = browser
        .get(&world, &format!("/auth/auth?{}", Pkce::default().query()))
        .await;
    let request = begun.parameter("request").unwrap();
    let form = [("request", request.as_str())];
    let answer = browser.post(&world, "/auth/auth/confirm", &form).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.parameter("code").is_none());
    let page = browser
        .get(&world, &format!("/auth/auth/confirm?request={request}"))
        .await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn access_denied() {
    let config = with(&[oidc(), connector(ConnectorKind::Google)]);
    let world = world(config).await;
    let provider = of_kind(&oidc(), &world);
    let mut browser = Browser::default();
    let url = browser.leave(&world, "oidc").await;
    let query = [
        ("error", "access_denied"),
        ("error_description", "<script>CANARY</script>"),
        ("state", &state_of(&url)),
    ];
    let answer = browser.come_back(&world, "oidc", &query).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.body.contains("did not agree") && !answer.body.contains("CANARY"));
    // The page leads on: again, or another way, with the log-in that is still theirs.
    let (_, rest) = answer
        .body
        .split_once("/auth/auth/choose?request=")
        .unwrap();
    let request = rest.split('"').next().unwrap().to_owned();
    let page = browser
        .get(&world, &format!("/auth/auth/choose?request={request}"))
        .await;
    assert_eq!(page.status, StatusCode::OK);
    let url = browser.leave_from(&world, "oidc", &request).await;
    let code = provider.agree(&url);
    let query = [("code", code.as_str()), ("state", &state_of(&url))];
    let answer = browser.come_back(&world, "oidc", &query).await;
    assert_eq!(claims_of(&world, &answer).await["email"], "you@example.com");
}

#[tokio::test]
async fn of_a_providers_error_only_the_code_is_repeated() {
    let (world, _) = site(&oidc()).await;
    let mut browser = Browser::default();
    let url = browser.leave(&world, "oidc").await;
    let query = [
        ("error", "temporarily_unavailable"),
        ("error_description", "CANARY"),
        ("state", &state_of(&url)),
    ];
    let answer = browser.come_back(&world, "oidc", &query).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    let said = "it says: temporarily_unavailable";
    assert!(answer.body.contains(said), "{}", answer.body);
    assert!(!answer.body.contains("CANARY"));
    // What stands in a code's place and is none: a provider may repeat a secret there.
    for error in ["CANARY-7", "<script>alert(1)</script>", ""] {
        let url = browser.leave(&world, "oidc").await;
        let query = [("error", error), ("state", &state_of(&url))];
        let answer = browser.come_back(&world, "oidc", &query).await;
        assert!(answer.status.is_client_error() || answer.status.is_server_error());
        assert!(!answer.body.contains("CANARY") && !answer.body.contains("alert(1)"));
    }
    // Neither code nor error.
    let url = browser.leave(&world, "oidc").await;
    let answer = browser
        .come_back(&world, "oidc", &[("state", &state_of(&url))])
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_client_secret_is_shown_to_the_token_endpoint_alone() {
    for (methods, basic) in [
        (json!(null), true),
        (json!(["client_secret_basic", "client_secret_post"]), true),
        (json!(["client_secret_post"]), false),
    ] {
        let (world, provider) = site(&oidc()).await;
        let members = json!({"token_endpoint_auth_methods_supported": methods});
        provider.set(|script| script.discovery = members);
        let mut browser = Browser::default();
        let answer = browser.visit(&world, &provider, "oidc").await;
        claims_of(&world, &answer).await;
        let form = provider.forms.lock().unwrap()[0].clone();
        assert_eq!(form["client_secret"], CLIENT_SECRET);
        assert_eq!(form.contains_key("basic"), basic);
        let seen = world.internet.seen.lock().unwrap().join("\n");
        assert!(!seen.contains("CANARY"), "{seen}");
    }
}

#[tokio::test]
async fn a_provider_that_is_down_keeps_nobody_else_out() {
    let world = world(with(&[oidc(), connector(ConnectorKind::Google)])).await;
    let google = of_kind(&connector(ConnectorKind::Google), &world);
    let mut browser = Browser::default();
    let begun = browser
        .get(&world, &format!("/auth/auth?{}", Pkce::default().query()))
        .await;
    let request = begun.parameter("request").unwrap();
    let down = format!("/auth/auth/oidc?request={request}");
    let answer = browser.get(&world, &down).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{}", answer.body);
    assert!(answer.body.contains("/auth/auth/choose?request="));
    // A stream of log-ins is no stream of requests.
    for _ in 0..10 {
        let answer = browser.get(&world, &down).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    let seen = world.internet.seen.lock().unwrap().len();
    assert_eq!(seen, 1);
    let answer = browser.visit(&world, &google, "google").await;
    assert_eq!(claims_of(&world, &answer).await["email"], "you@example.com");
    // Once it is up, so is its log-in.
    let provider = of_kind(&oidc(), &world);
    world.advance(6);
    let answer = browser.visit(&world, &provider, "oidc").await;
    assert_eq!(claims_of(&world, &answer).await["email"], "you@example.com");
}

#[tokio::test]
async fn a_discovery_document_is_kept_while_its_provider_is_down() {
    let (world, provider) = site(&oidc()).await;
    let mut browser = Browser::default();
    browser.leave(&world, "oidc").await;
    provider.set(|script| script.issuer = "https://evil.example".to_owned());
    world.advance(3601);
    let url = browser.leave(&world, "oidc").await;
    assert!(url.as_str().starts_with("https://id.example/"));
}

#[tokio::test]
async fn s_31_discovery_of_another_issuer_and_keys_on_another_host() {
    for members in [
        json!({"issuer": "https://evil.example"}),
        json!({"issuer": "https://id.example/"}),
        json!({"authorization_endpoint": "http://evil.example/authorize"}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
        json!({"token_endpoint": null}),
    ] {
        let (world, provider) = site(&oidc()).await;
        provider.set(|script| script.discovery = members.clone());
        let mut browser = Browser::default();
        let begun = browser
            .get(&world, &format!("/auth/auth?{}", Pkce::default().query()))
            .await;
        let answer = browser.get(&world, begun.header("location")).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{members}");
    }
    let (world, provider) = site(&oidc()).await;
    provider.serve(&world.internet, &["https://evil.example"]);
    let members = json!({"jwks_uri": "https://evil.example/keys"});
    provider.set(|script| script.discovery = members);
    let answer = Browser::default().visit(&world, &provider, "oidc").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    // Unless the operator names that host.
    let mut config = oidc();
    config.key_origins.push("https://evil.example".to_owned());
    let (world, provider) = site(&config).await;
    provider.serve(&world.internet, &["https://evil.example"]);
    let members = json!({"jwks_uri": "https://evil.example/keys"});
    provider.set(|script| script.discovery = members);
    let answer = Browser::default().visit(&world, &provider, "oidc").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

/// As a device's own `waxseal --device --provider NAME` asks.
#[tokio::test]
async fn a_device_names_its_connector_and_its_person() {
    let configured = [ConnectorKind::Google, ConnectorKind::Github].map(connector);
    let world = world(with(&configured)).await;
    let challenge = Pkce::default().challenge();
    let check = async |id: &str, expected: &str| {
        let form = [
            ("client_id", "sigstore"),
            ("scope", "openid email"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("connector_id", id),
            ("login_hint", "you@example.com"),
        ];
        let body = crate::world::encode(&form);
        let codes = world.send(crate::world::post("/auth/device/code", &body));
        let codes = codes.await;
        if codes.status != StatusCode::OK {
            assert_eq!(codes.json()["error"], expected, "{}", codes.body);
            return;
        }
        let codes = codes.json();
        let mut browser = Browser::default();
        let typed = [("user_code", codes["user_code"].as_str().unwrap())];
        let typed = browser.post(&world, "/auth/device/auth/verify_code", &typed);
        let request = typed.await.parameter("request").unwrap();
        let form = [("request", request.as_str()), ("answer", "continue")];
        let agreed = browser.post(&world, "/auth/device/confirm", &form).await;
        let location = agreed.header("location").to_owned();
        assert!(location.starts_with(expected), "{id}: {location}");
        let mut page = browser.get(&world, &location).await;
        if location.contains("&connector=") {
            // A form may not end at a provider: its button does, and no other's is there.
            assert!(page.body.contains("Log in with GitHub"), "{}", page.body);
            assert!(!page.body.contains("Log in with Google"), "{}", page.body);
            assert!(page.body.contains("Log in another way"), "{}", page.body);
            let leave = format!("/auth/auth/github?request={request}");
            page = browser.get(&world, &leave).await;
            assert_eq!(page.status, StatusCode::SEE_OTHER);
        }
        let hinted = page
            .header("location")
            .contains("login_hint=you%40example.com")
            || page.body.contains("value=\"you@example.com\"");
        // GitHub has no parameter for it.
        assert!(hinted || id.contains("github"), "{location}: {}", page.body);
    };
    check("https://github.com/login/oauth", "/auth/auth/choose?").await;
    check(ISSUER, "/auth/auth/email?").await;
    for unknown in ["google", "https://login.microsoftonline.com", "x"] {
        check(unknown, "invalid_request").await;
    }
}

#[tokio::test]
async fn a_device_is_logged_in_at_a_provider() {
    let (world, provider) = site(&oidc()).await;
    let form = [("client_id", "sigstore"), ("scope", "openid email")];
    let challenge = Pkce::default().challenge();
    let mut form = form.to_vec();
    form.push(("code_challenge", &challenge));
    form.push(("code_challenge_method", "S256"));
    let body = crate::world::encode(&form);
    let codes = world
        .send(crate::world::post("/auth/device/code", &body))
        .await
        .json();
    let mut browser = Browser::default();
    let user_code = codes["user_code"].as_str().unwrap();
    let form = [("user_code", user_code)];
    let typed = browser
        .post(&world, "/auth/device/auth/verify_code", &form)
        .await;
    let request = typed.parameter("request").unwrap();
    // Not before its owner has agreed.
    let early = browser
        .get(&world, &format!("/auth/auth/oidc?request={request}"))
        .await;
    assert!(
        early.header("location").starts_with("/auth/device/confirm"),
        "{}",
        early.body
    );
    let form = [("request", request.as_str()), ("answer", "continue")];
    let agreed = browser.post(&world, "/auth/device/confirm", &form).await;
    assert!(
        agreed
            .header("location")
            .ends_with(&format!("request={request}&connector=oidc"))
    );
    let url = browser.leave_from(&world, "oidc", &request).await;
    let code = provider.agree(&url);
    let query = [("code", code.as_str()), ("state", &state_of(&url))];
    let answer = browser.come_back(&world, "oidc", &query).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let poll = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", "sigstore"),
        ("device_code", codes["device_code"].as_str().unwrap()),
        ("code_verifier", &Pkce::default().verifier),
    ];
    let tokens = world.token(&poll).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
}

#[tokio::test]
async fn connector_secret_unreadable() {
    let refused = async |change: fn(&mut waxseal_identity_server::ConnectorConfig)| {
        let mut google = connector(ConnectorKind::Google);
        change(&mut google);
        let mut config = outbox();
        config.connectors = vec![google];
        on_store(config, std::sync::Arc::default()).await.err()
    };
    type Change = fn(&mut waxseal_identity_server::ConnectorConfig);
    let unset: Change = |c| c.client_secret_env = Some("UNSET".to_owned());
    let absent: Change = |c| {
        c.client_secret_env = None;
        c.client_secret_file = Some("/nonexistent/secret".into());
    };
    for change in [unset, absent] {
        assert!(matches!(
            refused(change).await,
            Some(StartError::Config(
                ConfigError::ConnectorSecretUnreadable { .. }
            ))
        ));
    }
}

#[tokio::test]
async fn s_56_no_secret_of_a_log_in_reaches_a_page_or_a_metric() {
    let (world, provider) = site_with(&oidc(), |config| config.mail = MailConfig::Outbox).await;
    let mut browser = Browser::default();
    let mut pages = String::new();
    for token in [
        None,
        Some((500, "CANARYSECRET")),
        Some((400, "{\"error\":\"CANARYSECRET!\"}")),
    ] {
        provider.set(|script| script.token = token.map(|(s, text)| (s, text.to_owned())));
        let answer = browser.visit(&world, &provider, "oidc").await;
        pages.push_str(&answer.body);
        pages.push_str(answer.header("location"));
    }
    assert!(
        !pages
            .replace("CANARYSECRET).", "")
            .contains("CANARYSECRET-"),
        "{pages}"
    );
    assert!(!world.store.text().contains("CANARYSECRET"));
    let audit = world.audit.lines.lock().unwrap().join("\n");
    assert!(audit.contains("provider_refused") && audit.contains("https://id.example"));
    assert!(
        !audit.contains("CANARYSECRET") && !audit.contains("you@"),
        "{audit}"
    );
    let metrics: Url = "http://localhost/metrics".parse().unwrap();
    let metrics = tower::ServiceExt::oneshot(
        world.meter.router(),
        axum::http::Request::get(metrics.path())
            .body(axum::body::Body::empty())
            .unwrap(),
    );
    let body = http_body_util::BodyExt::collect(metrics.await.unwrap().into_body())
        .await
        .unwrap();
    let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    assert!(
        text.contains("provider_refused") && !text.contains("CANARYSECRET"),
        "{text}"
    );
}

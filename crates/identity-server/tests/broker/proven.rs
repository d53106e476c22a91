//! When an address is believed, by provider (authority.md §2.4, each rule from both sides).

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};
use waxseal_identity_server::{ConnectorConfig, ConnectorKind, UserinfoNames};

use crate::provider::{Provider, Script, claims_of, connector, of_kind, parameter, site, with};
use crate::world::{Browser, Pkce, World, encode, post, world};

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const OTHER_TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

fn oidc() -> ConnectorConfig {
    let mut config = connector(ConnectorKind::Oidc);
    config.issuer = Some("https://id.example".to_owned());
    config
}

fn oauth2() -> ConnectorConfig {
    let mut config = connector(ConnectorKind::Oauth2);
    config.connector_id = Some("https://o.example".to_owned());
    config.authorization_endpoint = Some("https://id.example/authorize?audience=x".to_owned());
    config.token_endpoint = Some("https://id.example/token".to_owned());
    config.userinfo_endpoint = Some("https://id.example/userinfo".to_owned());
    config.scopes = vec!["read:email".to_owned()];
    config
}

/// A log-in at a provider of which a test changes something, and what the page then says.
async fn check(config: &ConnectorConfig, change: impl FnOnce(&mut Script), expected: &str) {
    let (world, provider) = site(config).await;
    provider.set(change);
    let mut browser = Browser::default();
    let answer = browser.visit(&world, &provider, config.name()).await;
    if answer.status == StatusCode::SEE_OTHER {
        let claims = claims_of(&world, &answer).await;
        let found = format!(
            "{} {}",
            claims["email"].as_str().unwrap(),
            claims["federated_claims"]["user_id"].as_str().unwrap()
        );
        assert_eq!(found, expected);
    } else {
        assert!(answer.body.contains("role=\"alert\""));
        assert!(
            answer.body.contains(expected),
            "{expected}: {}",
            answer.body
        );
        assert!(answer.status.is_client_error() || answer.status.is_server_error());
    }
}

fn claims(values: Value) -> impl FnOnce(&mut Script) {
    move |script| {
        for (name, value) in values.as_object().unwrap() {
            script.claims[name] = value.clone();
        }
    }
}

const GOOD: &str = "you@example.com subject-1";
const UNVERIFIED: &str = "does not say that your e-mail address is verified";
const NO_EMAIL: &str = "gives no e-mail address";
const NOT_ADMITTED: &str = "is not one that may log in here";
const UNUSABLE: &str = "gave no usable answer";
const NOT_YOURS: &str = "does not belong to your log-in";

#[tokio::test]
async fn upstream_email_unverified() {
    for config in [oidc(), connector(ConnectorKind::Google)] {
        check(&config, |_| {}, GOOD).await;
        check(&config, claims(json!({"email_verified": "true"})), GOOD).await;
        for not_true in [
            json!(false),
            json!("false"),
            json!(1),
            json!(null),
            json!([true]),
        ] {
            let change = claims(json!({"email_verified": not_true}));
            check(&config, change, UNVERIFIED).await;
        }
    }
}

#[tokio::test]
async fn an_address_is_one_that_a_certificate_may_carry() {
    let google = connector(ConnectorKind::Google);
    let normal = claims(json!({"email": "You@EXAMPLE.com"}));
    check(&google, normal, "You@example.com subject-1").await;
    for bad in [
        "a@b@example.com",
        "\"you\"@example.com",
        "yöu@example.com",
        "you@[127.0.0.1]",
    ] {
        check(
            &google,
            claims(json!({"email": bad})),
            "cannot be used for signing",
        )
        .await;
    }
    check(&google, claims(json!({"email": ""})), UNUSABLE).await;
    check(
        &google,
        claims(json!({"email": "a\u{0}b@example.com"})),
        UNUSABLE,
    )
    .await;
    check(&google, claims(json!({"email": null})), NO_EMAIL).await;
    check(&google, claims(json!({"sub": "a".repeat(256)})), UNUSABLE).await;
}

#[tokio::test]
async fn domains_that_may_not_log_in() {
    let mut google = connector(ConnectorKind::Google);
    let evil = || claims(json!({"email": "you@evil.example"}));
    check(&google, evil(), NOT_ADMITTED).await;
    check(
        &google,
        claims(json!({"email": "you@sub.example.com"})),
        NOT_ADMITTED,
    )
    .await;
    google.allow_domains = vec!["*".to_owned()];
    check(&google, evil(), "you@evil.example subject-1").await;
    google.deny_domains = vec!["evil.example".to_owned()];
    check(&google, evil(), NOT_ADMITTED).await;
}

#[tokio::test]
async fn google_hosted_domains() {
    let mut google = connector(ConnectorKind::Google);
    google.hosted_domains = vec!["example.com".to_owned()];
    check(&google, claims(json!({"hd": "example.com"})), GOOD).await;
    check(&google, claims(json!({"hd": "evil.example"})), NOT_ADMITTED).await;
    // A consumer account with an address of the domain has no `hd`.
    check(&google, |_| {}, NOT_ADMITTED).await;
    let (world, _) = site(&google).await;
    let url = Browser::default().leave(&world, "google").await;
    assert_eq!(parameter(&url, "hd").as_deref(), Some("example.com"));
}

#[tokio::test]
async fn google_writes_its_issuer_in_two_ways() {
    let google = connector(ConnectorKind::Google);
    check(&google, claims(json!({"iss": "accounts.google.com"})), GOOD).await;
}

#[tokio::test]
async fn github_unverified_primary() {
    let github = connector(ConnectorKind::Github);
    let emails = |emails: Value| {
        move |script: &mut Script| {
            script.about.insert("/user/emails", (200, emails));
        }
    };
    check(&github, |_| {}, "you@example.com 583231").await;
    let unverified = json!([
        {"email": "you@example.com", "primary": true, "verified": false},
        {"email": "other@example.com", "primary": false, "verified": true},
    ]);
    check(&github, emails(unverified), UNVERIFIED).await;
    let several = json!([
        {"email": "old@example.com", "primary": false, "verified": true},
        {"email": "you@example.com", "primary": true, "verified": true},
        {"email": "1+you@users.noreply.github.com", "primary": false, "verified": true},
    ]);
    check(&github, emails(several), "you@example.com 583231").await;
    check(&github, emails(json!([])), NO_EMAIL).await;
    // The address of the profile is what its owner writes there.
    let profile = |script: &mut Script| {
        let user = json!({"id": 583_231, "email": "ceo@example.com"});
        script.about.insert("/user", (200, user));
        script.about.insert("/user/emails", (200, json!([])));
    };
    check(&github, profile, NO_EMAIL).await;
}

#[tokio::test]
async fn github_refuses_with_status_200_and_without_scope() {
    let github = connector(ConnectorKind::Github);
    let refusal = |code: &str| {
        let text = json!({"error": code, "error_description": "CANARY"}).to_string();
        move |script: &mut Script| script.token = Some((200, text))
    };
    check(
        &github,
        refusal("bad_verification_code"),
        "bad_verification_code",
    )
    .await;
    check(
        &github,
        refusal("incorrect_client_credentials"),
        "broker check",
    )
    .await;
    let scope = |script: &mut Script| script.token_members["scope"] = json!("");
    check(&github, scope, "lacks the permission user:email").await;
    let forbidden = |script: &mut Script| {
        script
            .about
            .insert("/user/emails", (404, json!({"message": "Not Found"})));
    };
    check(&github, forbidden, "lacks the permission user:email").await;
    let expired = |script: &mut Script| {
        script
            .about
            .insert("/user/emails", (401, json!({"message": "Bad credentials"})));
    };
    check(&github, expired, UNUSABLE).await;
}

#[tokio::test]
async fn github_enterprise_is_another_connector() {
    let mut config = connector(ConnectorKind::Github);
    config.url = Some("https://git.example/".to_owned());
    let (world, provider) = site(&config).await;
    provider.serve(&world.internet, &["https://git.example"]);
    let answer = Browser::default().visit(&world, &provider, "github").await;
    let claims = claims_of(&world, &answer).await;
    assert_eq!(
        claims["federated_claims"]["connector_id"],
        "https://git.example/login/oauth"
    );
    let seen = world.internet.seen.lock().unwrap().join("\n");
    assert!(
        seen.contains("GET https://git.example/api/v3/user/emails"),
        "{seen}"
    );
    assert!(!seen.contains("github.com"), "{seen}");
}

#[tokio::test]
async fn microsoft_single_tenant() {
    let mut config = connector(ConnectorKind::Microsoft);
    config.tenant = Some(TENANT.to_owned());
    // Microsoft has no `email_verified`; the tenant is the operator's own.
    check(&config, |_| {}, GOOD).await;
    check(&config, claims(json!({"xms_edov": true})), GOOD).await;
    check(&config, claims(json!({"xms_edov": false})), UNVERIFIED).await;
    check(&config, claims(json!({"email": null})), NO_EMAIL).await;
}

#[tokio::test]
async fn microsoft_other_tenant() {
    let mut config = connector(ConnectorKind::Microsoft);
    config.tenant = Some(TENANT.to_owned());
    let issuer = format!("https://login.microsoftonline.com/{OTHER_TENANT}/v2.0");
    let other = claims(json!({"iss": issuer, "tid": OTHER_TENANT, "xms_edov": true}));
    check(&config, other, UNUSABLE).await;
}

#[tokio::test]
async fn microsoft_any_tenant_only_with_xms_edov() {
    let config = connector(ConnectorKind::Microsoft);
    let tenant = |edov: Option<Value>| {
        move |script: &mut Script| {
            script.issuer = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
            script.claims["tid"] = json!(TENANT);
            if let Some(edov) = edov {
                script.claims["xms_edov"] = edov;
            }
        }
    };
    for vouched in [json!(true), json!(1), json!("1"), json!("true")] {
        check(&config, tenant(Some(vouched)), GOOD).await;
    }
    // "nOAuth": the tenant's administrator writes any address into `email`.
    check(&config, tenant(None), UNVERIFIED).await;
    for not in [
        json!(false),
        json!(0),
        json!("0"),
        json!("false"),
        json!([true]),
        json!({}),
    ] {
        check(&config, tenant(Some(not)), UNVERIFIED).await;
    }
    let verified = |script: &mut Script| {
        tenant(None)(script);
        script.claims["email_verified"] = json!(true);
    };
    check(&config, verified, UNVERIFIED).await;
    // An issuer that is no tenant of Microsoft's is asked for nothing.
    for issuer in [
        "https://login.microsoftonline.com.evil.example/x/v2.0".to_owned(),
        format!("https://evil.example/{TENANT}/v2.0"),
        "https://login.microsoftonline.com/common/v2.0".to_owned(),
        format!("https://login.microsoftonline.com/{TENANT}/../{TENANT}/v2.0"),
        format!("https://login.microsoftonline.com/{TENANT}/v2.0/"),
    ] {
        check(&config, claims(json!({"iss": issuer})), NOT_ADMITTED).await;
    }
}

#[tokio::test]
async fn facebook_without_email() {
    let config = connector(ConnectorKind::Facebook);
    for me in [
        json!({"id": "10"}),
        json!({"id": "10", "email": "ceo@example.com"}),
    ] {
        let hint = me["email"].as_str().unwrap_or_default().to_owned();
        let (world, provider) = site(&config).await;
        provider.set(|script| {
            script.about.insert("/me", (200, me));
        });
        let mut browser = Browser::default();
        let answer = browser.visit(&world, &provider, "facebook").await;
        // Whatever Facebook says of an address, our own code proves it.
        assert!(
            answer
                .header("location")
                .starts_with("/auth/auth/email?request=")
        );
        let page = browser.get(&world, answer.header("location")).await;
        assert_eq!(page.input("email"), hint, "filled in, not believed");
        assert!(page.body.contains("Facebook"), "{}", page.body);
        let request = page.input("request");
        let code = browser.prove(&world, &request, "you@example.com").await;
        let tokens = world.token(&Pkce::default().form(&code)).await;
        assert_eq!(tokens.status, StatusCode::OK);
        // The next time the account is enough.
        let answer = browser.visit(&world, &provider, "facebook").await;
        let claims = claims_of(&world, &answer).await;
        assert_eq!(claims["email"], "you@example.com");
        let federated = json!({"connector_id": "https://www.facebook.com", "user_id": "10"});
        assert_eq!(claims["federated_claims"], federated);
        // Somebody else's account has confirmed nothing.
        provider.set(|script| {
            script.about.insert(
                "/me",
                (200, json!({"id": "11", "email": "you@example.com"})),
            );
        });
        let answer = browser.visit(&world, &provider, "facebook").await;
        assert!(answer.header("location").starts_with("/auth/auth/email?"));
    }
}

#[tokio::test]
async fn a_facebook_account_confirms_only_an_address_that_may_log_in() {
    let (world, provider) = site(&connector(ConnectorKind::Facebook)).await;
    let mut browser = Browser::default();
    let answer = browser.visit(&world, &provider, "facebook").await;
    let request = answer.parameter("request").unwrap();
    let answer = browser.ask(&world, &request, "you@evil.example").await;
    assert_eq!(
        answer.status,
        StatusCode::SEE_OTHER,
        "the page tells nobody who is admitted"
    );
    assert_eq!(world.mail_count().await, 0);
}

#[tokio::test]
async fn a_code_for_a_facebook_account_proves_nothing_else() {
    let config = with(&[connector(ConnectorKind::Facebook)]);
    let world = world(config).await;
    let provider = of_kind(&connector(ConnectorKind::Facebook), &world);
    let mut browser = Browser::default();
    let url = browser.leave(&world, "facebook").await;
    let code = provider.agree(&url);
    let state = parameter(&url, "state").unwrap();
    let query = [("code", code.as_str()), ("state", &state)];
    let answer = browser.come_back(&world, "facebook", &query).await;
    let request = answer.parameter("request").unwrap();
    browser.ask(&world, &request, "you@example.com").await;
    let typed = world.last_code().await;
    // Whoever goes back and chooses e-mail has left the account, and its code.
    browser
        .get(&world, &format!("/auth/auth/choose?request={request}"))
        .await;
    let answer = browser.type_code(&world, &request, &typed).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let code = browser.prove(&world, &request, "you@example.com").await;
    let tokens = world.token(&Pkce::default().form(&code)).await.json();
    let token = tokens["id_token"].as_str().unwrap().to_owned();
    let payload = token.split('.').nth(1).unwrap();
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload);
    let claims: Value = serde_json::from_slice(&claims.unwrap()).unwrap();
    assert_eq!(
        claims["federated_claims"]["connector_id"],
        crate::world::ISSUER
    );
    // And the account is not linked.
    let answer = browser.visit(&world, &provider, "facebook").await;
    assert!(answer.header("location").starts_with("/auth/auth/email?"));
}

#[tokio::test]
async fn facebook_is_shown_that_we_know_the_secret() {
    let (world, provider) = site(&connector(ConnectorKind::Facebook)).await;
    Browser::default()
        .visit(&world, &provider, "facebook")
        .await;
    let seen = world.internet.seen.lock().unwrap().join("\n");
    assert!(
        seen.contains("GET https://graph.facebook.com/me?fields=id"),
        "{seen}"
    );
    assert!(seen.contains("appsecret_proof="), "{seen}");
}

#[tokio::test]
async fn one_address_through_two_connectors_is_two_people() {
    let world = world(with(&[oidc(), connector(ConnectorKind::Google)])).await;
    let providers = [
        of_kind(&oidc(), &world),
        of_kind(&connector(ConnectorKind::Google), &world),
    ];
    let mut subjects = Vec::new();
    for (provider, name) in providers.iter().zip(["oidc", "google"]) {
        let answer = Browser::default().visit(&world, provider, name).await;
        let claims = claims_of(&world, &answer).await;
        assert_eq!(claims["email"], "you@example.com");
        subjects.push(claims["sub"].clone());
    }
    assert_ne!(subjects[0], subjects[1], "accounts are never merged");
}

#[tokio::test]
async fn upstream_iss_mismatch() {
    for issuer in [
        "https://evil.example",
        "https://id.example/",
        "https://ID.example",
        "https://id.example@evil.example",
        "https://id.example:443",
    ] {
        check(&oidc(), claims(json!({"iss": issuer})), UNUSABLE).await;
    }
}

#[tokio::test]
async fn an_id_token_must_be_this_providers_for_this_visit() {
    let config = oidc();
    check(&config, claims(json!({"nonce": "other"})), NOT_YOURS).await;
    check(&config, claims(json!({"nonce": null})), NOT_YOURS).await;
    check(&config, claims(json!({"aud": "client-8"})), UNUSABLE).await;
    check(
        &config,
        claims(json!({"aud": ["client-7", "client-8"]})),
        UNUSABLE,
    )
    .await;
    let azp = claims(json!({"aud": ["client-7", "client-8"], "azp": "client-7"}));
    check(&config, azp, GOOD).await;
    check(
        &config,
        claims(json!({"iss": "https://evil.example"})),
        UNUSABLE,
    )
    .await;
    check(
        &config,
        claims(json!({"iss": "https://id.example/"})),
        UNUSABLE,
    )
    .await;
    check(&config, claims(json!({"exp": crate::world::NOW})), UNUSABLE).await;
    check(&config, claims(json!({"exp": "never"})), UNUSABLE).await;
    check(
        &config,
        claims(json!({"iat": crate::world::NOW + 61})),
        UNUSABLE,
    )
    .await;
    check(&config, claims(json!({"sub": null})), UNUSABLE).await;
    check(&config, claims(json!({"at_hash": "AAAA"})), UNUSABLE).await;
    let absent = |script: &mut Script| script.token_members["id_token"] = Value::Null;
    check(&config, absent, UNUSABLE).await;
}

#[tokio::test]
async fn s_35_an_id_token_is_signed_with_the_providers_key() {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"RS256","jku":"https://evil.example/keys"}"#,
        r#"{"alg":"ES256"}"#,
    ] {
        let token = format!(
            "{}.{}.c2ln",
            encode(header),
            encode("{\"iss\":\"https://id.example\"}")
        );
        let forged = move |script: &mut Script| script.token_members["id_token"] = json!(token);
        check(&oidc(), forged, UNUSABLE).await;
    }
    for text in ["", "a.b", "a.b.c.d", &".".repeat(10_000)] {
        let token = text.to_owned();
        let broken = move |script: &mut Script| script.token_members["id_token"] = json!(token);
        check(&oidc(), broken, UNUSABLE).await;
    }
}

#[tokio::test]
async fn userinfo_lends_an_address_to_its_own_subject_alone() {
    let userinfo = |about: Value| {
        move |script: &mut Script| {
            script.claims["email"] = Value::Null;
            script.about.insert("/userinfo", (200, about));
        }
    };
    let you = "you@example.com";
    let good = json!({"sub": "subject-1", "email": you, "email_verified": true});
    // The claim is absent only if it is removed: merging `null` removes.
    check(&oidc(), userinfo(good), GOOD).await;
    let other = json!({"sub": "subject-2", "email": you, "email_verified": true});
    check(&oidc(), userinfo(other), UNUSABLE).await;
    let unverified = json!({"sub": "subject-1", "email": you});
    check(&oidc(), userinfo(unverified), UNVERIFIED).await;
    check(&oidc(), userinfo(json!({"sub": "subject-1"})), NO_EMAIL).await;
    check(&oidc(), userinfo(json!([])), UNUSABLE).await;
}

#[tokio::test]
async fn userinfo_with_expired_token() {
    let expired = |script: &mut Script| {
        script.claims["email"] = Value::Null;
        script
            .about
            .insert("/userinfo", (401, json!({"error": "invalid_token"})));
    };
    check(&oidc(), expired, UNUSABLE).await;
}

#[tokio::test]
async fn oauth2_is_believed_through_its_mapping() {
    check(&oauth2(), |_| {}, "you@example.com 7").await;
    let unverified = |script: &mut Script| {
        let me = json!({"sub": "7", "email": "you@example.com"});
        script.about.insert("/userinfo", (200, me));
    };
    check(&oauth2(), unverified, UNVERIFIED).await;
    let mut mapped = oauth2();
    let mut names = UserinfoNames::default();
    names.user_id = "id".to_owned();
    names.email = "mail".to_owned();
    names.email_verified = "confirmed".to_owned();
    mapped.userinfo = Some(names);
    let answer = |script: &mut Script| {
        let me = json!({"id": 7, "mail": "you@example.com", "confirmed": true});
        script.about.insert("/userinfo", (200, me));
    };
    check(&mapped, answer, "you@example.com 7").await;
    let mut trusting = oauth2();
    trusting.trust_unverified_email = true;
    check(&trusting, unverified, "you@example.com 7").await;
    // What the endpoint's URL says already is kept; PKCE is left out where it is switched off.
    let mut bare = oauth2();
    bare.pkce = Some(false);
    let (world, _) = site(&bare).await;
    let url = Browser::default().leave(&world, "oauth2").await;
    assert_eq!(parameter(&url, "audience").as_deref(), Some("x"));
    assert_eq!(parameter(&url, "scope").as_deref(), Some("read:email"));
    assert_eq!(parameter(&url, "code_challenge"), None);
    assert_eq!(parameter(&url, "nonce"), None);
    check(&bare, |_| {}, "you@example.com 7").await;
}

#[tokio::test]
async fn answers_of_providers_are_bounded() {
    let long = |script: &mut Script| {
        script.token = Some((
            200,
            format!("{{\"access_token\":\"{}\"}}", "a".repeat(70_000)),
        ));
    };
    check(&oidc(), long, UNUSABLE).await;
    let nested = |script: &mut Script| script.token = Some((200, "[".repeat(10_000)));
    check(&oidc(), nested, UNUSABLE).await;
    let twice = |script: &mut Script| {
        let text = r#"{"access_token":"a","access_token":"b","id_token":"c"}"#;
        script.token = Some((200, text.to_owned()));
    };
    check(&oidc(), twice, UNUSABLE).await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_holds_only_so_many_of_us() {
    let (world, provider) = site(&oidc()).await;
    let mut waiting = Vec::new();
    for _ in 0..65 {
        let mut browser = Browser::default();
        let url = browser.leave(&world, "oidc").await;
        let code = provider.agree(&url);
        waiting.push((browser, code, parameter(&url, "state").unwrap()));
    }
    let hang = axum::Router::new().fallback(|| async {
        tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
    });
    world.internet.add("https://id.example", hang);
    let world = &world;
    let all = waiting
        .into_iter()
        .map(|(mut browser, code, state)| async move {
            let query = [("code", code.as_str()), ("state", &state)];
            browser.come_back(world, "oidc", &query).await.status
        });
    let statuses = futures_util::future::join_all(all).await;
    let busy = statuses
        .iter()
        .filter(|s| **s == StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(busy.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_is_given_up() {
    let (world, provider) = site(&oidc()).await;
    let mut browser = Browser::default();
    let url = browser.leave(&world, "oidc").await;
    let code = provider.agree(&url);
    let hang = axum::Router::new().fallback(|| async {
        tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
    });
    world.internet.add("https://id.example", hang);
    let state = parameter(&url, "state").unwrap();
    let query = [("code", code.as_str()), ("state", &state)];
    let answer = browser.come_back(&world, "oidc", &query).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn banned() {
    use waxseal_identity_server::{Administration, BanTarget};
    let (world, provider) = site(&oidc()).await;
    let store = Arc::clone(&world.store);
    let operator = Administration::new(store, world.clock.clone(), world.audit.clone());
    let target = BanTarget::parse("you@example.com").unwrap();
    operator.ban(&target, None, None).await.unwrap();
    let answer = Browser::default().visit(&world, &provider, "oidc").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.body.contains(NOT_ADMITTED), "{}", answer.body);
}

/// How a client gets its answer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Flow {
    Code,
    OutOfBand,
    Device,
}

/// Logs in at the provider by a flow, as far as it goes; whether a token comes of it.
async fn reaches_a_token(world: &World, provider: &Provider, name: &str, flow: Flow) -> bool {
    let mut browser = Browser::default();
    let pkce = Pkce::default();
    let (request, device_code) = match flow {
        Flow::Device => {
            let challenge = pkce.challenge();
            let form = [
                ("client_id", "sigstore"),
                ("scope", "openid email"),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ];
            let codes = world
                .send(post("/auth/device/code", &encode(&form)))
                .await
                .json();
            let text = |name: &str| codes[name].as_str().unwrap().to_owned();
            let typed = [("user_code", text("user_code"))];
            let typed = typed
                .each_ref()
                .map(|(name, value)| (*name, value.as_str()));
            let typed = browser
                .post(world, "/auth/device/auth/verify_code", &typed)
                .await;
            let request = typed.parameter("request").unwrap();
            let agreed = [("request", request.as_str()), ("answer", "continue")];
            browser.post(world, "/auth/device/confirm", &agreed).await;
            (request, text("device_code"))
        }
        _ => {
            let redirect = match flow {
                Flow::OutOfBand => "urn:ietf:wg:oauth:2.0:oob",
                _ => crate::world::REDIRECT,
            };
            let query = pkce.query_with(&[("redirect_uri", redirect)]);
            let begun = browser.get(world, &format!("/auth/auth?{query}")).await;
            (begun.parameter("request").unwrap(), String::new())
        }
    };
    let url = browser.leave_from(world, name, &request).await;
    let code = provider.agree(&url);
    let state = parameter(&url, "state").unwrap();
    let query = [("code", code.as_str()), ("state", &state)];
    let mut answer = browser.come_back(world, name, &query).await;
    if answer.header("location").contains("/auth/auth/confirm?") {
        let request = answer.parameter("request").unwrap();
        let form = [("request", request.as_str())];
        answer = browser.post(world, "/auth/auth/confirm", &form).await;
    }
    let tokens = match flow {
        Flow::Device => {
            let form = [
                ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
                ("client_id", "sigstore"),
                ("device_code", &device_code),
                ("code_verifier", &pkce.verifier),
            ];
            world.token(&form).await
        }
        Flow::OutOfBand if answer.body.contains("readonly") => {
            let (_, rest) = answer.body.split_once("readonly>").unwrap();
            let code = rest.split_once('<').unwrap().0;
            let mut form = pkce.form(code).to_vec();
            form.retain(|(name, _)| *name != "redirect_uri");
            form.push(("redirect_uri", "urn:ietf:wg:oauth:2.0:oob"));
            world.token(&form).await
        }
        _ => match answer.parameter("code") {
            Some(code) => world.token(&pkce.form(&code)).await,
            None => return false,
        },
    };
    tokens.status == StatusCode::OK
}

#[tokio::test]
async fn s_39_every_rule_holds_for_every_flow() {
    type Change = fn(&mut ConnectorConfig, &mut Script);
    let rules: [(&str, bool, Change); 7] = [
        ("none", true, |_, _| {}),
        ("allow_domains", false, |c, _| {
            c.allow_domains = vec!["other.example".to_owned()]
        }),
        ("deny_domains", false, |c, _| {
            c.deny_domains = vec!["example.com".to_owned()]
        }),
        ("hosted_domains", false, |c, _| {
            c.hosted_domains = vec!["example.com".to_owned()]
        }),
        ("hosted", true, |c, s| {
            c.hosted_domains = vec!["example.com".to_owned()];
            s.claims["hd"] = json!("example.com");
        }),
        ("unverified", false, |_, s| {
            s.claims["email_verified"] = json!(false)
        }),
        ("nonce", false, |_, s| s.claims["nonce"] = json!("other")),
    ];
    for (rule, admitted, change) in rules {
        for flow in [Flow::Code, Flow::OutOfBand, Flow::Device] {
            let mut config = connector(ConnectorKind::Google);
            change(&mut config, &mut Provider::new("x").script.lock().unwrap());
            let (world, provider) = site(&config).await;
            provider.set(|script| change(&mut config, script));
            let found = reaches_a_token(&world, &provider, "google", flow).await;
            assert_eq!(found, admitted, "{rule} {flow:?}");
        }
    }
}

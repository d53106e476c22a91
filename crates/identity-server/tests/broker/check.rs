//! `broker check` against providers that tell, and providers that do not.

use serde_json::json;
use std::sync::Arc;
use waxseal_identity_server::{
    CheckResult, CheckSubject, ConnectorConfig, ConnectorKind, check_connector,
};

use crate::provider::{Provider, Script, connector, of_kind, with};
use crate::world::{ISSUER, Secrets, TestRandom, World, world};

fn oidc() -> ConnectorConfig {
    let mut config = connector(ConnectorKind::Oidc);
    config.issuer = Some("https://id.example".to_owned());
    config
}

/// What is found about a connector, as `subject: result` in order.
async fn check(
    config: &ConnectorConfig,
    change: impl FnOnce(&mut Script),
    expected: &[(CheckSubject, CheckResult)],
) {
    let world = world(with(&[connector(ConnectorKind::Google)])).await;
    let provider: Arc<Provider> = of_kind(config, &world);
    provider.set(change);
    let found = run(config, &world).await;
    let results: Vec<_> = found
        .findings
        .iter()
        .map(|f| (f.subject, f.result))
        .collect();
    assert_eq!(results, expected, "{found:?}");
    let failed = expected.iter().any(|(_, result)| *result == Failed);
    assert_eq!(found.passed(), !failed);
    assert!(!format!("{found:?}").contains("CANARYSECRET"), "{found:?}");
}

async fn run(config: &ConnectorConfig, world: &World) -> waxseal_identity_server::ConnectorCheck {
    check_connector(
        config,
        ISSUER,
        &Secrets,
        Arc::new(world.internet.clone()),
        waxseal_crypto_aws_lc::provider(),
        &TestRandom::default(),
        world.server_now(),
    )
    .await
}

use CheckResult::{Failed, Passed, Unclear};
use CheckSubject::{ClientId, ClientSecret, Configuration, Discovery, Keys, RedirectUri, Scope};

#[tokio::test]
async fn a_good_configuration() {
    let good = [
        (Discovery, Passed),
        (Keys, Passed),
        (RedirectUri, Passed),
        (ClientId, Passed),
        (ClientSecret, Passed),
    ];
    check(&oidc(), |_| {}, &good).await;
    check(&connector(ConnectorKind::Google), |_| {}, &good).await;
}

#[tokio::test]
async fn redirect_uri_not_registered() {
    let unregistered =
        |script: &mut Script| script.redirect_uri = "https://other.example".to_owned();
    let expected = [
        (Discovery, Passed),
        (Keys, Passed),
        (RedirectUri, Failed),
        (ClientSecret, Passed),
    ];
    check(&oidc(), unregistered, &expected).await;
    let world = world(with(&[connector(ConnectorKind::Google)])).await;
    let provider = of_kind(&oidc(), &world);
    provider.set(unregistered);
    let found = run(&oidc(), &world).await;
    let finding = found
        .findings
        .iter()
        .find(|f| f.subject == RedirectUri)
        .unwrap();
    assert!(
        finding
            .text
            .contains("http://localhost:8383/auth/callback/oidc"),
        "{}",
        finding.text
    );
}

#[tokio::test]
async fn client_secret_wrong() {
    for (kind, answer) in [
        (ConnectorKind::Oidc, json!({"error": "invalid_client"})),
        (
            ConnectorKind::Google,
            json!({"error": "invalid_client", "error_description": "Unauthorized"}),
        ),
    ] {
        let mut config = connector(kind);
        if kind == ConnectorKind::Oidc {
            config = oidc();
        }
        let wrong = |script: &mut Script| script.token = Some((401, answer.to_string()));
        let expected = [
            (Discovery, Passed),
            (Keys, Passed),
            (RedirectUri, Passed),
            (ClientId, Passed),
            (ClientSecret, Failed),
        ];
        check(&config, wrong, &expected).await;
    }
}

#[tokio::test]
async fn scope_missing() {
    let offers = |script: &mut Script| script.discovery = json!({"scopes_supported": ["openid"]});
    let expected = [
        (Discovery, Passed),
        (Keys, Passed),
        (Scope, Failed),
        (RedirectUri, Passed),
        (ClientId, Passed),
        (ClientSecret, Passed),
    ];
    check(&oidc(), offers, &expected).await;
    let registered = |script: &mut Script| script.discovery = json!({"offered": "nothing"});
    let expected = [
        (Discovery, Passed),
        (Keys, Passed),
        (RedirectUri, Passed),
        (Scope, Failed),
        (ClientSecret, Passed),
    ];
    check(&oidc(), registered, &expected).await;
}

#[tokio::test]
async fn discovery_unreachable_or_of_another_issuer() {
    let other = |script: &mut Script| script.discovery = json!({"issuer": "https://id.example/"});
    check(&oidc(), other, &[(Discovery, Failed)]).await;
    let mut elsewhere = oidc();
    elsewhere.issuer = Some("https://nowhere.example".to_owned());
    check(&elsewhere, |_| {}, &[(Discovery, Failed)]).await;
}

#[tokio::test]
async fn keys_on_a_host_that_nobody_named() {
    let keys = |script: &mut Script| {
        script.discovery = json!({"jwks_uri": "https://keys.example/keys"});
    };
    let expected = [
        (Discovery, Passed),
        (Keys, Failed),
        (RedirectUri, Passed),
        (ClientId, Passed),
        (ClientSecret, Passed),
    ];
    check(&oidc(), keys, &expected).await;
}

#[tokio::test]
async fn client_id_unknown() {
    let mut config = oidc();
    config.client_id = "unknown".to_owned();
    let expected = [
        (Discovery, Passed),
        (Keys, Passed),
        (ClientId, Failed),
        (ClientSecret, Failed),
    ];
    check(&config, |_| {}, &expected).await;
}

#[tokio::test]
async fn github_tells_about_the_secret_alone() {
    let github = connector(ConnectorKind::Github);
    let answer = |code: &str| {
        let text = json!({"error": code}).to_string();
        move |script: &mut Script| script.token = Some((200, text))
    };
    let right = [(RedirectUri, Unclear), (ClientSecret, Passed)];
    check(&github, answer("bad_verification_code"), &right).await;
    let wrong = [(RedirectUri, Unclear), (ClientSecret, Failed)];
    check(&github, answer("incorrect_client_credentials"), &wrong).await;
    let redirect = [(RedirectUri, Failed)];
    check(&github, answer("redirect_uri_mismatch"), &redirect).await;
}

#[tokio::test]
async fn facebook_and_microsoft_are_asked_for_a_token_of_our_own() {
    let facebook = connector(ConnectorKind::Facebook);
    let right = |script: &mut Script| {
        script.token = Some((200, json!({"access_token": "x"}).to_string()));
    };
    check(
        &facebook,
        right,
        &[(RedirectUri, Unclear), (ClientSecret, Passed)],
    )
    .await;
    let wrong = |script: &mut Script| {
        let error = json!({"error": {"message": "Error validating client secret.", "code": 1}});
        script.token = Some((400, error.to_string()));
    };
    check(
        &facebook,
        wrong,
        &[(RedirectUri, Unclear), (ClientSecret, Failed)],
    )
    .await;
    let mut microsoft = connector(ConnectorKind::Microsoft);
    microsoft.tenant = Some("72f988bf-86f1-41af-91ab-2d7cd011db47".to_owned());
    let expired = |script: &mut Script| {
        let error = json!({"error": "invalid_client", "error_codes": [7_000_222]});
        script.token = Some((401, error.to_string()));
    };
    let expected = [
        (Discovery, Passed),
        (Keys, Passed),
        (RedirectUri, Passed),
        (ClientId, Passed),
        (ClientSecret, Failed),
    ];
    check(&microsoft, expired, &expected).await;
}

#[tokio::test]
async fn a_secret_that_cannot_be_read() {
    let mut config = oidc();
    config.client_secret_env = Some("UNSET".to_owned());
    check(&config, |_| {}, &[(Configuration, Failed)]).await;
}

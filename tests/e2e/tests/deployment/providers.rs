//! Signing as somebody who logs in at a provider: the certificate names the provider, though the
//! authority was told of the broker alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use waxseal_crypto_aws_lc::{OsRandom, SystemClock};
use waxseal_identity::{AuthorizationRequest, Discovery, IdentityToken, LoginConfig};
use waxseal_instance::{Nowhere, RouterTransport};
use waxseal_tests_e2e::{Client, Deployment, verify_policy};
use waxseal_transport::{Credential, Request, Transport as _, Url};
use waxseal_verify::{IdentityRule, SubjectKind, VerificationPolicy};

use crate::common::{ARTIFACT, payload};

const FORGE: &str = "https://forge.example";
const FORM: &str = "application/x-www-form-urlencoded";
const REDIRECT: &str = "http://localhost:4567/auth/callback";

/// A provider by OAuth 2.0, without a secret: whoever comes is this person.
const CONFIG: &str = "[[connectors]]\n\
    type = 'oauth2'\n\
    name = 'forge'\n\
    connector_id = 'https://forge.example'\n\
    client_id = 'broker'\n\
    authorization_endpoint = 'https://forge.example/authorize'\n\
    token_endpoint = 'https://forge.example/token'\n\
    userinfo_endpoint = 'https://forge.example/me'\n\
    allow_domains = ['example.com']\n";

fn forge() -> Router {
    let token = async || Json(json!({"access_token": "t", "token_type": "bearer"}));
    let me =
        async || Json(json!({"sub": "17", "email": "you@example.com", "email_verified": true}));
    Router::new()
        .route("/token", post(token))
        .route("/me", get(me))
}

/// A browser that agrees to everything: from the client's URL to the one that is the client's.
async fn browse(deployment: &Deployment, mut url: Url) -> Url {
    let mut cookies: BTreeMap<String, String> = BTreeMap::new();
    let mut form: Option<Vec<u8>> = None;
    loop {
        if url.as_str().starts_with(REDIRECT) {
            return url;
        }
        if url.as_str().starts_with(FORGE) {
            let parameter = |name: &str| {
                let found = url.query_pairs().find(|(known, _)| known == name);
                found.unwrap().1.into_owned()
            };
            let mut back: Url = parameter("redirect_uri").parse().unwrap();
            back.query_pairs_mut()
                .append_pair("code", "c")
                .append_pair("state", &parameter("state"));
            url = back;
        }
        let pairs: Vec<_> = cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let request = match form.take() {
            Some(form) => Request::post(url.clone(), FORM, form),
            None => Request::get(url.clone()),
        };
        let mut request = request.returning_redirects();
        if !pairs.is_empty() {
            request = request.with_credential(Credential::cookie(&url, pairs.join("; ")));
        }
        let answer = deployment.transport.send(request).await.unwrap();
        for cookie in answer.headers.all("Set-Cookie") {
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if cookie.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let next = match answer.headers.only("Location") {
            Some(location) => location.to_owned(),
            None => {
                // A provider that asks nothing makes no log-in by itself (RFC 8252 §8.6).
                let page = String::from_utf8_lossy(&answer.body).into_owned();
                assert!(
                    page.contains("about to sign as <strong>you@example.com"),
                    "{page}"
                );
                let between = |before: &str| {
                    let (_, rest) = page.split_once(before).expect(&page);
                    rest.split('"').next().unwrap().to_owned()
                };
                let request = between("name=\"request\" value=\"");
                form = Some(format!("request={request}").into_bytes());
                between("<form method=\"post\" action=\"")
            }
        };
        url = url.join(&next).unwrap();
    }
}

async fn log_in(deployment: &Deployment) -> IdentityToken {
    let issuer = deployment.instance.issuer();
    let transport = &*deployment.transport;
    let discovery = Discovery::fetch(transport, &issuer).await.unwrap();
    let mut config = LoginConfig::new(&issuer);
    config.connector_id = Some(FORGE.to_owned());
    let login = AuthorizationRequest::new(&discovery, &config, REDIRECT, &OsRandom).unwrap();
    let callback = browse(deployment, login.url().clone()).await;
    let code = login.code_from_callback(callback.query().unwrap()).unwrap();
    login.exchange(transport, &code).await.unwrap()
}

#[test]
fn a_certificate_names_the_provider_without_extra_configuration() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let origin: Url = FORGE.parse().unwrap();
        let outside = RouterTransport::new(&origin, forge(), Arc::new(Nowhere));
        let clock = Arc::new(SystemClock);
        let deployment = Deployment::start_with(CONFIG, Arc::new(outside), clock).await;
        let token = log_in(&deployment).await;
        assert_eq!(token.email(), Some("you@example.com"));
        assert_eq!(token.connector(), Some(FORGE));
        let client = Client::of(&deployment);
        let session = client.context(&*deployment.transport).certify(token).await;
        let session = session.unwrap();
        let signed = session.sign(&payload(&session, ARTIFACT)).await.unwrap();
        let verify = |issuer: &str| {
            let rule = IdentityRule::new("you@example.com", issuer).of_kind(SubjectKind::Email);
            let policy = VerificationPolicy::identity(rule);
            let now = waxseal_crypto::Clock::now(&SystemClock);
            verify_policy(&deployment, ARTIFACT, &signed.bundle, &policy, now)
        };
        let verified = verify(FORGE).unwrap();
        assert_eq!(verified.identity().unwrap().issuer.as_deref(), Some(FORGE));
        // The same address, proven by a mailed code, is somebody else.
        assert!(verify(&deployment.instance.issuer()).is_err());
        deployment.stop().await;
    });
}

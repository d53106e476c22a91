//! The identity broker on its real store and outbox: a log-in, a restart in the middle of one, and
//! what lies on the disk.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{self, StatusCode, header};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use waxseal_crypto::{SignatureAlgorithm, Signer, sha256};
use waxseal_identity::SystemEnvironment;
use waxseal_identity_server::{
    CodeKey, Config, Context, IdentityServer, KeyRing, MailConfig, NoAuditLog,
};
use waxseal_serve::Meter;
use waxseal_store_embedded::{IdentityStore, Outbox};
use waxseal_transport::{BoxFuture, Origin, Request, Response, Transport, TransportError};

/// No provider is reached.
struct Nowhere;

impl Transport for Nowhere {
    fn send<'a>(&'a self, request: Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        let origin = Origin::of(&request.url);
        let source = "nowhere".into();
        Box::pin(async move { Err(TransportError::Connect { origin, source }) })
    }

    fn sleep<'a>(&'a self, _: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

type Codes = Arc<Mutex<Vec<(String, String)>>>;

async fn broker(data: &Path, codes: &Codes) -> Router {
    let provider = waxseal_crypto_aws_lc::provider();
    let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
    let key = provider.generate(algorithm).unwrap();
    let signer: Box<dyn Signer> = provider.signer(&key, algorithm).unwrap();
    let seen = Arc::clone(codes);
    let outbox = Outbox::new(&data.join("outbox"), move |mail| {
        assert!(mail.path.is_file());
        let code = mail.code.expose().to_owned();
        seen.lock().unwrap().push((mail.to.to_owned(), code));
    });
    let context = Context {
        clock: Arc::new(waxseal_crypto_aws_lc::SystemClock),
        random: Arc::new(waxseal_crypto_aws_lc::OsRandom),
        provider,
        keys: Arc::new(KeyRing::new(Arc::from(signer)).unwrap()),
        code_key: CodeKey::new([7; 32]),
        store: Arc::new(IdentityStore::open(&data.join("state.redb")).unwrap()),
        mailer: Arc::new(outbox.unwrap()),
        transport: Arc::new(Nowhere),
        environment: Arc::new(SystemEnvironment),
        audit: Arc::new(NoAuditLog),
        meter: Meter::new(),
    };
    let config = Config::new("http://localhost:8383/auth", MailConfig::Outbox);
    IdentityServer::new(config, context).await.unwrap().router()
}

async fn get(router: &Router, path: &str) -> http::Response<Body> {
    let request = http::Request::get(path).body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

async fn post(router: &Router, path: &str, cookie: &str, body: String) -> http::Response<Body> {
    let request = http::Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::COOKIE, cookie)
        .body(Body::from(body))
        .unwrap();
    router.clone().oneshot(request).await.unwrap()
}

fn location(response: &http::Response<Body>) -> String {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    response.headers()[header::LOCATION]
        .to_str()
        .unwrap()
        .to_owned()
}

fn challenge(verifier: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()))
}

/// Begins a log-in and asks for a code: the request's secret and the cookie.
async fn ask(router: &Router, verifier: &str) -> (String, String) {
    let query = format!(
        "response_type=code&client_id=sigstore&redirect_uri=http%3A%2F%2Flocalhost%3A1&scope=openid\
         &code_challenge_method=S256&code_challenge={}",
        challenge(verifier)
    );
    let begun = get(router, &format!("/auth/auth?{query}")).await;
    let cookie = begun.headers()[header::SET_COOKIE].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let request = location(&begun)
        .split_once("request=")
        .unwrap()
        .1
        .to_owned();
    let form = format!("request={request}&email=you%40example.com");
    location(&post(router, "/auth/auth/email", &cookie, form).await);
    (request, cookie)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_log_in_survives_a_restart_and_is_granted_once() {
    let data = tempfile::tempdir().unwrap();
    let codes = Codes::default();
    let verifier = "v".repeat(43);
    let router = broker(data.path(), &codes).await;
    let (request, cookie) = ask(&router, &verifier).await;
    drop(router);

    let router = broker(data.path(), &codes).await;
    let (to, code) = codes.lock().unwrap()[0].clone();
    assert_eq!(to, "you@example.com");
    let attempts: Vec<_> = (0..20)
        .map(|_| {
            let (router, cookie) = (router.clone(), cookie.clone());
            let form = format!("request={request}&code={code}");
            tokio::spawn(async move { post(&router, "/auth/auth/email/code", &cookie, form).await })
        })
        .collect();
    let mut grants = Vec::new();
    for attempt in attempts {
        let answer = attempt.await.unwrap();
        if answer.status() == StatusCode::SEE_OTHER {
            let location = location(&answer);
            let code = location.split_once("code=").unwrap().1;
            grants.push(code.split('&').next().unwrap().to_owned());
        }
    }
    assert_eq!(grants.len(), 1);
    drop(router);

    let router = broker(data.path(), &codes).await;
    let form = format!(
        "grant_type=authorization_code&client_id=sigstore&redirect_uri=http%3A%2F%2Flocalhost%3A1\
         &code_verifier={verifier}&code={}",
        grants[0]
    );
    let mut statuses = Vec::new();
    for _ in 0..2 {
        let answer = post(&router, "/auth/token", "", form.clone()).await;
        statuses.push(answer.status());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(
            body.windows(10).any(|part| part == b"\"id_token\""),
            statuses.len() == 1
        );
    }
    assert_eq!(statuses, [StatusCode::OK, StatusCode::BAD_REQUEST]);
}

#[tokio::test]
async fn messages_are_private_files_and_the_store_has_no_code() {
    let data = tempfile::tempdir().unwrap();
    let codes = Codes::default();
    let router = broker(data.path(), &codes).await;
    for _ in 0..3 {
        ask(&router, &"v".repeat(43)).await;
    }
    let mut messages = 0;
    for file in std::fs::read_dir(data.path().join("outbox")).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(file.path().extension().unwrap(), "eml");
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(text.contains("To: you@example.com\r\n"), "{text}");
        messages += 1;
    }
    assert_eq!(messages, 3);
    let state = std::fs::read(data.path().join("state.redb")).unwrap();
    let codes = codes.lock().unwrap();
    assert_eq!(codes.len(), 3);
    for (_, code) in codes.iter() {
        assert!(!state.windows(8).any(|part| part == code.as_bytes()));
    }
}

//! The rules of an instance: one test each.

use std::collections::HashMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use waxseal_crypto::{Clock as _, sha256};
use waxseal_crypto_aws_lc::{OsRandom, SystemClock, provider};
use waxseal_formats::{
    Bundle, BundleError, BundleVersion, ClientTrustConfig, KeyMaterial, SigningConfig, TrustedRoot,
};
use waxseal_identity::{Ambient, AmbientError, Audience, Environment, IdentityToken};
use waxseal_instance::{
    Birth, BirthError, Config, ConfigError, DataDir, DataError, Flags, SIGNING_CONFIG,
    TRUST_CONFIG, TRUSTED_ROOT, TRUSTED_ROOT_LINES, provision,
};
use waxseal_serve::{Listen, ListenError};
use waxseal_sign::{Endpoints, SignedBundle};
use waxseal_tests_e2e::{
    Client, Deployment, Liar, Lie, e2e, e2e_alone, text, verify_artifact, verify_policy,
};
use waxseal_tlog::EntryBundle;
use waxseal_transport::{BoxFuture, Method, Request, Response, Transport, TransportError};
use waxseal_verify::{IdentityRule, VerificationPolicy, Verifier};

use crate::assert_error;
use crate::common::{ARTIFACT, LOG, payload};

async fn ask(deployment: &Deployment, request: Request) -> Response {
    deployment.transport.send(request).await.unwrap()
}

fn url(deployment: &Deployment, path: &str) -> waxseal_transport::Url {
    format!("{}{path}", deployment.url()).parse().unwrap()
}

async fn signed(deployment: &Deployment) -> (String, SignedBundle) {
    let address = deployment.somebody();
    let token = deployment.log_in(&address).await;
    let client = Client::of(deployment);
    let session = client.context(&*deployment.transport).certify(token).await;
    let session = session.unwrap();
    let signed = session.sign(&payload(&session, ARTIFACT)).await.unwrap();
    (address, signed)
}

// ── one port ──

#[test]
fn every_role_answers_at_the_root_of_one_origin() {
    e2e(async |deployment| {
        let check = async |path: &str, content_type: &str| {
            let answer = ask(deployment, Request::get(url(deployment, path))).await;
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.media_type().as_deref(), Some(content_type), "{path}");
        };
        check("/", "text/html").await;
        check("/healthz", "application/json").await;
        check("/readyz", "application/json").await;
        check("/auth/.well-known/openid-configuration", "application/json").await;
        check("/auth/keys", "application/json").await;
        check("/api/v2/trustBundle", "application/json").await;
        check("/api/v2/configuration", "application/json").await;
        check("/checkpoint", "text/plain").await;
        check("/api/v2/checkpoint", "text/plain").await;
        check("/ct/checkpoint", "text/plain").await;
        check("/ct/ct/v1/get-roots", "application/json").await;
        check(
            "/api/v1/timestamp/certchain",
            "application/pem-certificate-chain",
        )
        .await;
    });
}

#[test]
fn a_port_that_somebody_holds_is_not_shared() {
    e2e(async |deployment| {
        let port = deployment.instance.url().url().port().unwrap();
        let taken = Listen::new(format!("localhost:{port}")).bind().await;
        assert_error!(taken.err().unwrap(), ListenError::PortTaken { .. });
        let public = Listen::new("0.0.0.0:0").bind().await;
        assert_error!(public.err().unwrap(), ListenError::NeedsTls { .. });
    });
}

#[test]
fn every_route_wants_its_content_type() {
    e2e(async |deployment| {
        for path in [
            "/api/v2/signingCert",
            LOG,
            "/api/v1/timestamp",
            "/auth/token",
        ] {
            for kind in ["text/plain", "multipart/form-data; boundary=x"] {
                let request = Request::post(url(deployment, path), kind, b"x".to_vec());
                let answer = ask(deployment, request).await;
                assert_eq!(answer.status, 415, "{path} took {kind}");
            }
        }
    });
}

// ── plain http ──

/// A log-in over a transport that keeps what it is told.
#[test]
fn credentials_stay_with_their_origin() {
    e2e(async |deployment| {
        let away = Lie::answer({
            let mut answer = text(307, "text/plain", "");
            answer
                .headers
                .append("Location", "http://localhost:1/api/v2/signingCert");
            answer
        });
        let token = deployment.log_in(&deployment.somebody()).await;
        let client = Client::of(deployment);
        let liar = Liar::before(&deployment.transport).about("/api/v2/signingCert", away);
        let refused = client.context(&liar).certify(token).await.err().unwrap();
        assert_error!(refused, waxseal_sign::SigningError::CertificateAuthority { source, .. }
            if matches!(**source, TransportError::RedirectRefused { .. }));
        let requests = liar.requests();
        assert_eq!(requests.len(), 1, "no redirect is followed");
        assert!(requests[0].credential.is_some());
    });
}

#[test]
fn plain_http_is_for_loopback_alone() {
    let check = |listen: &str, expected: fn(&ConfigError) -> bool| {
        let flags = Flags {
            listen: Some(listen.to_owned()),
            ..Flags::default()
        };
        let refused = Config::default().settle(flags).unwrap_err();
        assert!(expected(&refused), "{listen}: {refused:?}");
    };
    check("0.0.0.0:8383", |e| {
        matches!(e, ConfigError::NeedsTls { .. })
    });
    check("192.0.2.1:8383", |e| {
        matches!(e, ConfigError::NeedsTls { .. })
    });
    check("[::]:8383", |e| matches!(e, ConfigError::NeedsTls { .. }));
}

// ── audience ──

/// A machine with these variables, and nothing else.
struct Machine(HashMap<&'static str, String>);

impl Environment for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn read_file(&self, _: &Path, _: u64) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn run<'a>(
        &'a self,
        _: &'a str,
        _: &'a [&'a str],
        _: std::time::Duration,
    ) -> BoxFuture<'a, std::io::Result<String>> {
        Box::pin(async { Err(std::io::ErrorKind::NotFound.into()) })
    }
}

/// GitHub's token service: it makes a token for whom it is asked, and keeps for whom that was.
#[derive(Default)]
pub(crate) struct TokenService(pub(crate) Mutex<Vec<String>>);

impl Transport for TokenService {
    fn send<'a>(&'a self, request: Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        let mut pairs = request.url.query_pairs();
        let audience = pairs.find(|(name, _)| name == "audience").unwrap().1;
        self.0.lock().unwrap().push(audience.to_string());
        let token = ci_token(&audience);
        let body = json!({"value": token}).to_string();
        Box::pin(async move { Ok(text(200, "application/json", body)) })
    }

    fn sleep<'a>(&'a self, _: std::time::Duration) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

/// A token as GitHub's look; nobody checks its signature here.
fn ci_token(audience: &str) -> String {
    use base64::Engine as _;
    let part =
        |value: Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "iss": "https://token.actions.githubusercontent.com",
        "sub": "repo:o/r:ref:refs/heads/main",
        "aud": audience,
        "exp": SystemClock.now().unix_seconds() + 300,
        "iat": SystemClock.now().unix_seconds(),
    });
    format!("{}.{}.c2ln", part(json!({"alg": "RS256"})), part(claims))
}

/// As `waxseal sign --instance` makes it.
fn audience(config: &SigningConfig) -> Audience {
    Audience::of_instance(&config.ca_urls[0].url, Some(&config.oidc_urls[0].url))
}

#[test]
fn a_private_instance_gets_tokens_that_are_made_for_it() {
    e2e(async |deployment| {
        let own = audience(&deployment.config.signing_config);
        assert_eq!(
            own.as_str(),
            deployment.config.signing_config.ca_urls[0].url
        );
        let runner = "https://runner.example/token?api-version=2".to_owned();
        let machine = Machine(HashMap::from([
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", runner),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret".to_owned()),
        ]));
        let service = TokenService::default();
        let (_, token) = Ambient::new(&machine, own.clone())
            .token(&service)
            .await
            .unwrap();
        assert_eq!(token.audiences().collect::<Vec<_>>(), [own.as_str()]);
        assert_eq!(*service.0.lock().unwrap(), [own.as_str().to_owned()]);
    });
}

#[test]
fn a_token_for_sigstore_is_not_shown_to_a_private_instance() {
    e2e(async |deployment| {
        let own = audience(&deployment.config.signing_config);
        let ambient = |token: String| Machine(HashMap::from([("SIGSTORE_ID_TOKEN", token)]));
        let service = TokenService::default();
        let machine = ambient(ci_token("sigstore"));
        let refused = Ambient::new(&machine, own.clone()).token(&service).await;
        assert_error!(refused.unwrap_err(), AmbientError::WrongAudience { expected, .. }
            if expected == own.as_str());
        // To the public instance it may go, and the instance's own to itself.
        let public = Ambient::new(&machine, Audience::public());
        public.token(&service).await.unwrap();
        let machine = ambient(ci_token(own.as_str()));
        Ambient::new(&machine, own.clone())
            .token(&service)
            .await
            .unwrap();
        // The broker's tokens say `sigstore`, for the sake of foreign clients, and open no other
        // instance.
        let token = deployment.log_in(&deployment.somebody()).await;
        assert_eq!(token.audiences().collect::<Vec<_>>(), ["sigstore"]);
        let machine = ambient(token.expose().to_owned());
        Ambient::new(&machine, own).token(&service).await.unwrap();
        assert!(service.0.lock().unwrap().is_empty());
    });
}

#[test]
fn the_authority_refuses_tokens_of_issuers_that_it_does_not_know() {
    e2e(async |deployment| {
        let client = Client::of(deployment);
        let own = audience(&deployment.config.signing_config);
        for audience in ["sigstore", own.as_str()] {
            let token = IdentityToken::parse(&ci_token(audience)).unwrap();
            let refused = client.context(&*deployment.transport).certify(token).await;
            assert_error!(
                refused.err().unwrap(),
                waxseal_sign::SigningError::Certificate { source, .. }
                    if matches!(**source, waxseal_ca_client::CertificateError::Refused { .. })
            );
        }
    });
}

// ── the data directory ──

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_data_directory_is_ours_alone() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| DataDir::open(&folder.path().join(name));
    let make = |name: &str, bits: u32| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        mode(&path, bits);
        path
    };
    for bits in [0o750, 0o705, 0o770, 0o701] {
        let name = format!("open-{bits:o}");
        make(&name, bits);
        assert_error!(open(&name).unwrap_err(), DataError::OpenToOthers { mode, .. }
            if *mode == bits);
    }
    let real = make("real", 0o700);
    symlink(&real, folder.path().join("link")).unwrap();
    assert_error!(open("link").unwrap_err(), DataError::Symlink { .. });
    std::fs::write(folder.path().join("file"), "").unwrap();
    assert_error!(open("file").unwrap_err(), DataError::WrongKind { .. });
    let full = make("full", 0o700);
    std::fs::write(full.join("thesis.tex"), "").unwrap();
    assert_error!(open("full").unwrap_err(), DataError::NotAnInstance { .. });
    // A directory of somebody else's: of root's, or one that root gave away.
    let foreign = make("foreign", 0o700);
    let foreign = match std::os::unix::fs::chown(&foreign, Some(54_321), None) {
        Ok(()) => foreign,
        Err(_) => "/root".into(),
    };
    assert_error!(
        DataDir::open(&foreign).unwrap_err(),
        DataError::ForeignOwner { .. }
    );
    let held = open("real").unwrap();
    assert_error!(open("real").unwrap_err(), DataError::InUse { .. });
    drop(held);
    open("real").unwrap();
}

#[test]
fn keys_that_others_can_read_or_that_lie_elsewhere_are_refused() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        make_instance(&path).await;
        DataDir::open(&path).unwrap();
        let keys: Vec<_> = std::fs::read_dir(path.join("keys"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(keys.len() >= 8, "{keys:?}");
        for key in keys {
            let bits = std::fs::metadata(&key).unwrap().permissions().mode() & 0o7777;
            assert_eq!(bits, 0o600, "{}", key.display());
            mode(&key, 0o640);
            assert_error!(
                DataDir::open(&path).unwrap_err(),
                DataError::OpenToOthers { .. }
            );
            mode(&key, 0o600);
            let elsewhere = folder.path().join("elsewhere");
            std::fs::rename(&key, &elsewhere).unwrap();
            symlink(&elsewhere, &key).unwrap();
            assert_error!(DataDir::open(&path).unwrap_err(), DataError::Symlink { .. });
            std::fs::remove_file(&key).unwrap();
            std::fs::rename(&elsewhere, &key).unwrap();
        }
        DataDir::open(&path).unwrap();
    });
}

async fn make_instance(path: &Path) {
    let settings = Config::default().settle(Flags::default()).unwrap();
    let data = DataDir::open(path).unwrap();
    let mut birth = Birth::of(&data, &settings, SystemClock.now()).unwrap();
    provision(&data, &mut birth, provider(), &OsRandom)
        .await
        .unwrap();
}

// ── outbox mode ──

#[test]
fn born_in_outbox_mode_means_outbox_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::open(&folder.path().join("data")).unwrap();
    let now = SystemClock.now();
    let outbox = Config::default().settle(Flags::default()).unwrap();
    Birth::of(&data, &outbox, now).unwrap();
    let smtp = "[smtp]\nhost = 'mail.example'\nfrom = 'a@mail.example'\n\
                allow_domains = ['mail.example']";
    let smtp = Config::from_toml(smtp)
        .unwrap()
        .settle(Flags::default())
        .unwrap();
    let refused = Birth::of(&data, &smtp, now).unwrap_err();
    assert_error!(refused, BirthError::OutboxForGood);
    // The URL is for good, too.
    let elsewhere = Flags {
        listen: Some("localhost:9999".to_owned()),
        ..Flags::default()
    };
    let elsewhere = Config::default().settle(elsewhere).unwrap();
    let refused = Birth::of(&data, &elsewhere, now).unwrap_err();
    assert_error!(refused, BirthError::UrlChanged { .. });
    Birth::of(&data, &outbox, now).unwrap();
}

#[test]
fn outbox_mode_is_for_loopback_alone() {
    for toml in [
        "url = 'https://sig.example'\nbehind_tls_proxy = true",
        "listen = '0.0.0.0:443'\nurl = 'https://sig.example'\n[tls]\ncert = 'c'\nkey = 'k'",
        "url = 'https://sig.example'\n[tls]\ncert = 'c'\nkey = 'k'",
    ] {
        let refused = Config::from_toml(toml).unwrap().settle(Flags::default());
        assert_error!(refused.unwrap_err(), ConfigError::OutboxNotLoopback);
    }
    let open = "[smtp]\nhost = 'mail.example'\nfrom = 'a@mail.example'";
    let refused = Config::from_toml(open).unwrap().settle(Flags::default());
    assert_error!(refused.unwrap_err(), ConfigError::NoAllowedDomains);
}

#[test]
fn mail_in_the_outbox_is_its_owners_alone_and_the_issuer_is_the_connector() {
    e2e(async |deployment| {
        let token = deployment.log_in(&deployment.somebody()).await;
        assert_eq!(token.connector(), Some(&*deployment.instance.issuer()));
        let outbox = deployment.outbox();
        let bits = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(bits(&outbox), 0o700);
        let mut messages = 0;
        for entry in std::fs::read_dir(&outbox).unwrap() {
            assert_eq!(bits(&entry.unwrap().path()), 0o600);
            messages += 1;
        }
        assert!(messages > 0);
    });
}

// ── the log ──

#[test]
fn nobody_gets_index_0() {
    e2e_alone(Arc::new(SystemClock), async |deployment| {
        let answer = ask(deployment, Request::get(url(deployment, "/checkpoint"))).await;
        let checkpoint = String::from_utf8(answer.body).unwrap();
        assert!(checkpoint.starts_with("localhost\n1\n"), "{checkpoint}");
        let entries = url(deployment, "/tile/entries/000.p/1");
        let answer = ask(deployment, Request::get(entries)).await;
        let bundle = EntryBundle::parse(&answer.body, 1).unwrap();
        let entry: Value = serde_json::from_slice(&bundle.entries()[0]).unwrap();
        assert_eq!(entry["kind"], "hashedrekord");
        assert_eq!(entry["apiVersion"], "0.0.2");
        use base64::Engine as _;
        let digest = base64::engine::general_purpose::STANDARD.encode(sha256(b"localhost"));
        assert_eq!(entry["spec"]["hashedRekordV002"]["data"]["digest"], digest);
        let (_, signed) = signed(deployment).await;
        assert_eq!(signed.bundle.material.tlog_entries[0].log_index, 1);
    });
}

// ── promises ──

#[test]
fn a_promise_without_proof_counts_only_when_asked_for_whatever_the_media_type() {
    e2e(async |deployment| {
        let (address, signed) = signed(deployment).await;
        let now = SystemClock.now();
        let rule = IdentityRule::new(&*address, deployment.instance.issuer());
        let strict = VerificationPolicy::identity(rule.clone());
        let lenient = VerificationPolicy::identity(rule).accept_promise();
        let mut bundle = signed.bundle;
        let entry = &mut bundle.material.tlog_entries[0];
        entry.inclusion_proof = None;
        entry.inclusion_promise = Some(b"promised".to_vec());
        // The newer versions cannot even be written so.
        for version in [BundleVersion::V03, BundleVersion::V02] {
            let newer = Bundle::from_json(in_version(&bundle, version).to_json().as_bytes());
            assert_error!(newer.unwrap_err(), BundleError::ProofMissing { .. });
        }
        // And going back to the oldest gains nothing.
        let old = in_version(&bundle, BundleVersion::V01);
        let check = |policy: &VerificationPolicy, expected: &str| {
            let refused = verify_policy(deployment, ARTIFACT, &old, policy, now).unwrap_err();
            assert_eq!(refused.code(), expected);
        };
        check(&strict, "inclusion-proof-missing");
        // Such a promise this log never makes.
        check(&lenient, "promise-invalid");
    });
}

/// The same bundle in another version.
fn in_version(bundle: &Bundle, version: BundleVersion) -> Bundle {
    let mut bundle = bundle.clone();
    bundle.version = version;
    if version != BundleVersion::V03
        && let KeyMaterial::Certificate(leaf) = bundle.material.key
    {
        bundle.material.key = KeyMaterial::CertificateChain(vec![leaf]);
    }
    bundle
}

// ── files for clients ──

#[test]
fn files_for_clients_parse_and_are_accepted() {
    e2e(async |deployment| {
        let (address, signed) = signed(deployment).await;
        let read = |name| std::fs::read(deployment.client_file(name)).unwrap();
        let both = ClientTrustConfig::from_json(&read(TRUST_CONFIG)).unwrap();
        let root = TrustedRoot::from_json(&read(TRUSTED_ROOT)).unwrap();
        let services = SigningConfig::from_json(&read(SIGNING_CONFIG)).unwrap();
        assert_eq!(both.trusted_root, root);
        assert_eq!(both.signing_config, services);
        let lines = String::from_utf8(read(TRUSTED_ROOT_LINES)).unwrap();
        assert_eq!(lines.lines().count(), 1);
        assert_eq!(
            TrustedRoot::from_json(lines.trim().as_bytes()).unwrap(),
            root
        );
        let verifier = Verifier::new(provider(), &root).unwrap();
        assert!(verifier.skipped().is_empty(), "{:?}", verifier.skipped());
        let endpoints = Endpoints::select(&services, SystemClock.now()).unwrap();
        assert_eq!(endpoints.logs.len(), 1);
        for operator in [
            &root.tlogs[0].operator,
            &root.ctlogs[0].operator,
            &root.certificate_authorities[0].operator,
            &root.timestamp_authorities[0].operator,
            &services.ca_urls[0].operator,
        ] {
            assert_eq!(operator, "localhost");
        }
        let now = SystemClock.now();
        verify_artifact(deployment, ARTIFACT, &signed.bundle, &address, now)
            .map(drop)
            .unwrap();
    });
}

// ── unknown JSON fields ──

/// The same object with one more field.
fn with_field(json: &str, name: &str) -> String {
    let rest = json.trim_start().strip_prefix('{').unwrap();
    format!("{{\"{name}\": 1, {rest}")
}

#[test]
fn unknown_fields_are_ignored_in_what_is_read_and_refused_in_what_is_logged() {
    e2e(async |deployment| {
        let (_, signed) = signed(deployment).await;
        let bundle = signed.bundle.to_json();
        let root = deployment.config.trusted_root.to_json();
        let services = deployment.config.signing_config.to_json();
        Bundle::from_json(with_field(&bundle, "unheardOf").as_bytes()).unwrap();
        TrustedRoot::from_json(with_field(&root, "unheardOf").as_bytes()).unwrap();
        SigningConfig::from_json(with_field(&services, "unheardOf").as_bytes()).unwrap();
        // A field that is there twice is two documents in one: each reader sees another.
        let twice = |json: &str| with_field(json, "mediaType");
        Bundle::from_json(twice(&bundle).as_bytes()).unwrap_err();
        TrustedRoot::from_json(twice(&root).as_bytes()).unwrap_err();
        SigningConfig::from_json(twice(&services).as_bytes()).unwrap_err();

        let liar = Liar::before(&deployment.transport);
        crate::common::sign_with_key(deployment, &liar)
            .await
            .unwrap();
        let request = liar.requests().pop().unwrap();
        assert_eq!(request.url.path(), LOG);
        let request = String::from_utf8(request.body).unwrap();
        let send = async |body: String| {
            let kind = "application/json";
            let request = Request::post(url(deployment, LOG), kind, body.into_bytes());
            ask(deployment, request).await.status
        };
        assert_eq!(send(request.clone()).await, 409);
        assert_eq!(send(with_field(&request, "unheardOf")).await, 400);
        assert_eq!(
            send(with_field(&request, "hashedRekordRequestV002")).await,
            400
        );
        let inner = request.replace("\"digest\"", "\"unheardOf\": 1, \"digest\"");
        assert_ne!(inner, request);
        assert_eq!(send(inner).await, 400);
    });
}

#[test]
fn what_a_log_holds_is_not_taken_back() {
    e2e(async |deployment| {
        for method in [Method::Put, Method::Delete] {
            for path in [LOG, "/checkpoint", "/tile/entries/000.p/1"] {
                let answer = ask(deployment, Request::new(method, url(deployment, path))).await;
                assert_eq!(answer.status, 405, "{method:?} {path}");
            }
        }
    });
}

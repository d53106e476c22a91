//! The demonstration against a real instance, and why it fails; the files that clients get.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "an instance that cannot be set up ends the test"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use waxseal_crypto::Clock as _;
use waxseal_formats::{ClientTrustConfig, SigningConfig, TrustedRoot};
use waxseal_instance::{
    DEMO_IDENTITY, DemoError, DemoStep, Mailbox, OutboxReader, Part, World, demonstrate,
};
use waxseal_testkit::{Fault, MockClock, Role, Testkit};
use waxseal_transport::{BoxFuture, Request, Response, Transport, TransportError};
use waxseal_verify::Verified;

/// The kit's transport, owned.
struct Through(Arc<Testkit>);

impl Transport for Through {
    fn send<'a>(&'a self, request: Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        self.0.transport().send(request)
    }

    fn sleep<'a>(&'a self, duration: Duration) -> BoxFuture<'a, ()> {
        self.0.transport().sleep(duration)
    }
}

async fn run(
    kit: &Arc<Testkit>,
    config: &ClientTrustConfig,
) -> (Result<Verified, DemoError>, Vec<String>) {
    let clock = MockClock::new();
    clock.set(kit.clock().now());
    let world = World {
        provider: kit.provider(),
        clock: Arc::new(clock),
        random: Arc::new(waxseal_crypto_aws_lc::OsRandom),
        transport: Arc::new(Through(Arc::clone(kit))),
    };
    let mailbox = OutboxReader::new(kit.data().part(Part::Outbox));
    let steps = Mutex::new(Vec::new());
    let tell = |step: &DemoStep| steps.lock().unwrap().push(step.what.clone());
    let outcome = demonstrate(config, &kit.issuer(), &world, &mailbox, &tell).await;
    let steps = std::mem::take(&mut *steps.lock().unwrap());
    (outcome, steps)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_signed_and_verified_step_by_step() {
    let kit = Arc::new(Testkit::start().await);
    let (verified, steps) = run(&kit, kit.trust_config()).await;
    let verified = verified.unwrap();
    assert_eq!(verified.log_entries()[0].log_index, 1);
    let subjects: Vec<_> = verified
        .identity()
        .unwrap()
        .subjects
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(subjects, [DEMO_IDENTITY]);
    let begins = [
        "logged in",
        "certificate",
        "signature",
        "timestamp",
        "entry",
        "bundle",
        "verified",
    ];
    assert_eq!(steps.len(), begins.len());
    for (step, begin) in steps.iter().zip(begins) {
        assert!(step.starts_with(begin), "{step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn login() {
    let kit = Arc::new(Testkit::start().await);
    kit.faults().set(Role::Broker, Fault::Down);
    let (refused, steps) = run(&kit, kit.trust_config()).await;
    assert!(matches!(refused, Err(DemoError::Login(_))), "{refused:?}");
    assert!(steps.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints() {
    let kit = Arc::new(Testkit::start().await);
    let mut config = kit.trust_config().clone();
    config.signing_config.log_urls.clear();
    let (refused, _) = run(&kit, &config).await;
    assert!(
        matches!(refused, Err(DemoError::Endpoints(_))),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn trusted_root() {
    let kit = Arc::new(Testkit::start().await);
    let mut config = kit.trust_config().clone();
    // One log under two addresses.
    let mut twin = config.trusted_root.tlogs[0].clone();
    twin.base_url = "http://localhost:8384".to_owned();
    config.trusted_root.tlogs.push(twin);
    let (refused, _) = run(&kit, &config).await;
    assert!(
        matches!(refused, Err(DemoError::TrustedRoot(_))),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn signing() {
    let kit = Arc::new(Testkit::start().await);
    for role in [Role::Ca, Role::CtLog, Role::Tsa, Role::Log] {
        kit.faults().set(role, Fault::Down);
        let (refused, _) = run(&kit, kit.trust_config()).await;
        assert!(
            matches!(refused, Err(DemoError::Signing(_))),
            "{role:?}: {refused:?}"
        );
        kit.faults().clear(role);
        // Codes are limited per address and half minute where mail is sent; here it is not.
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_for_clients() {
    let kit = Testkit::start().await;
    let read = |name: &str| std::fs::read(kit.data().part(Part::Client).join(name)).unwrap();
    let root = TrustedRoot::from_json(&read("trusted_root.json")).unwrap();
    let services = SigningConfig::from_json(&read("signing_config.json")).unwrap();
    let both = ClientTrustConfig::from_json(&read("trust_config.json")).unwrap();
    assert_eq!(
        (&both.trusted_root, &both.signing_config),
        (&root, &services)
    );
    assert_eq!(&both, kit.trust_config());

    // `gh` reads one object per line.
    let lines = String::from_utf8(read("trusted_root.jsonl")).unwrap();
    assert_eq!(lines.matches('\n').count(), 1);
    assert!(lines.ends_with('\n'));
    assert_eq!(
        TrustedRoot::from_json(lines.trim_end().as_bytes()).unwrap(),
        root
    );

    // All of it is usable.
    assert!(kit.verifier().skipped().is_empty());
    let text = String::from_utf8(read("trusted_root.json")).unwrap();
    assert!(text.contains("application/vnd.dev.sigstore.trustedroot+json;version=0.1"));
    let (log, ct) = (&root.tlogs[0], &root.ctlogs[0]);
    assert_eq!(log.base_url, "http://localhost:8383");
    assert_eq!(log.log_id, kit.instance().log().log_id());
    assert_eq!(log.public_key.key_details.as_str(), "PKIX_ED25519");
    assert_eq!(ct.base_url, "http://localhost:8383/ct");
    assert_eq!(
        ct.public_key.key_details.as_str(),
        "PKIX_ECDSA_P256_SHA_256"
    );
    let spki = waxseal_crypto::sha256(&ct.public_key.raw_bytes);
    assert_eq!(ct.log_id, spki);
    for authority in [
        &root.certificate_authorities[0],
        &root.timestamp_authorities[0],
    ] {
        assert_eq!(authority.cert_chain.len(), 2);
        assert_eq!(authority.organization, "localhost");
        assert_eq!(authority.operator, "localhost");
    }
    let urls = |services: &[waxseal_formats::Service]| {
        let url = |s: &waxseal_formats::Service| format!("{} {}", s.url, s.major_api_version);
        services.iter().map(url).collect::<Vec<_>>()
    };
    assert_eq!(urls(&services.ca_urls), ["http://localhost:8383 1"]);
    assert_eq!(urls(&services.oidc_urls), ["http://localhost:8383/auth 1"]);
    assert_eq!(urls(&services.log_urls), ["http://localhost:8383 2"]);
    assert_eq!(
        urls(&services.tsa_urls),
        ["http://localhost:8383/api/v1/timestamp 1"]
    );
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_answers_at_the_root_of_one_origin() {
    let kit = Testkit::start().await;
    let check = async |path: &str, expected: u16, part: &str| {
        let url = format!("{}{path}", kit.instance().url()).parse().unwrap();
        let answer = kit.transport().send(Request::get(url)).await.unwrap();
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, expected, "{path}: {body}");
        assert!(body.contains(part), "{path}: {body}");
    };
    check("/", 200, "A private Sigstore").await;
    check("/healthz", 200, "alive").await;
    check("/readyz", 200, "\"ready\":true").await;
    check("/metrics", 200, "# HELP").await;
    check(
        "/auth/.well-known/openid-configuration",
        200,
        "http://localhost:8383/auth",
    )
    .await;
    check("/auth/keys", 200, "RS256").await;
    check("/api/v2/trustBundle", 200, "CERTIFICATE").await;
    check("/api/v2/configuration", 200, "http://localhost:8383/auth").await;
    check("/checkpoint", 200, "localhost\n1\n").await;
    check("/api/v2/checkpoint", 200, "localhost\n1\n").await;
    check("/ct/checkpoint", 200, "localhost:8383/ct\n0\n").await;
    check("/ct/ct/v1/get-roots", 200, "certificates").await;
    check("/api/v1/timestamp/certchain", 200, "CERTIFICATE").await;
    check("/nothing", 404, "NO_SUCH_PATH").await;
    check("/api/v2/signingCert", 405, "METHOD_NOT_ALLOWED").await;
    kit.stop().await;
}

/// A mailbox is a joint: anybody's will do.
struct Nothing;

impl Mailbox for Nothing {
    fn code(&self, _: &str) -> Option<String> {
        None
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_mail_nobody_logs_in() {
    let kit = Testkit::start().await;
    let (transport, random) = (kit.transport(), kit.random());
    let issuer = kit.issuer();
    let refused =
        waxseal_instance::email_login(transport, random, &issuer, DEMO_IDENTITY, &Nothing).await;
    let message = refused.unwrap_err().to_string();
    assert_eq!(message, "no code arrived for you@example.com");
    kit.stop().await;
}

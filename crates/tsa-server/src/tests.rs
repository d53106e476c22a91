//! The authority over its HTTP surface, and by OpenSSL's judgement.

use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use waxseal_crypto::{
    BoxFuture, Clock, Digest, HashAlgorithm, Input, LocalSigner, PublicKey, Random, RandomError,
    SignError, SignatureAlgorithm, Signer, Time,
};
use waxseal_issuing::{Subject, Validity, issue_intermediate, issue_root, issue_timestamp_signer};
use waxseal_pki::timestamp::{
    AuthorityError, BuildError, MAX_NONCE, PkiFailure, RequestError, TimestampAuthority,
    TimestampRequest, TimestampResponse, TimestampToken, TokenError,
};
use waxseal_pki::{Certificate, ObjectIdentifier, Purpose};
use waxseal_serve::{Chassis, Meter, NotReady, Shutdown};

use super::*;
use crate::problem::{failure_of, problem};
use crate::service::StampError;

const NOON: &str = "2026-06-01T12:00:00Z";

fn time(text: &str) -> Time {
    Time::parse_rfc3339(text).unwrap()
}

/// A clock that is set by hand.
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Time {
        Time::from_unix(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

/// A signer that can be told to fail.
struct Fickle {
    inner: Box<dyn LocalSigner>,
    mood: Mutex<Mood>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Good,
    Failing,
    Lying,
    Silent,
    Verbose,
}

impl Signer for Fickle {
    fn public_key(&self) -> &PublicKey {
        self.inner.public_key()
    }
    fn algorithm(&self) -> SignatureAlgorithm {
        self.inner.algorithm()
    }
    fn sign<'a>(&'a self, input: Input<'a>) -> BoxFuture<'a, Result<Vec<u8>, SignError>> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Good => self.inner.sign(input),
            Mood::Failing => Box::pin(async { Err(SignError::Failed("pulled".into())) }),
            Mood::Lying => self.inner.sign(Input::Message(b"something else")),
            Mood::Silent => Box::pin(std::future::pending()),
            // More than a token's lengths can say.
            Mood::Verbose => Box::pin(async { Ok(vec![0; 1 << 24]) }),
        }
    }
}

/// Randomness that can be told to fail.
struct Dice(AtomicBool);

impl Random for Dice {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        if self.0.load(Ordering::Relaxed) {
            waxseal_crypto_aws_lc::OsRandom.fill(buffer)
        } else {
            Err(RandomError)
        }
    }
}

struct World {
    clock: Arc<Hands>,
    dice: Arc<Dice>,
    signer: Arc<Fickle>,
    meter: Meter,
    chain: Vec<Vec<u8>>,
    config: Config,
}

fn fresh(algorithm: SignatureAlgorithm) -> Box<dyn LocalSigner> {
    let provider = waxseal_crypto_aws_lc::provider();
    provider
        .signer(&provider.generate(algorithm).unwrap(), algorithm)
        .unwrap()
}

fn years(count: u64) -> Validity {
    let lifetime = Duration::from_secs(count * 365 * 86_400);
    Validity::starting(time("2026-01-01T00:00:00Z"), lifetime).unwrap()
}

async fn world() -> World {
    world_with(SignatureAlgorithm::EcdsaP256Sha256).await
}

async fn world_with(algorithm: SignatureAlgorithm) -> World {
    let root_signer = fresh(SignatureAlgorithm::EcdsaP384Sha384);
    let random = waxseal_crypto_aws_lc::OsRandom;
    let subject = Subject::new("tsa root", "example.com");
    let root = issue_root(&*root_signer, &subject, years(10), &random)
        .await
        .unwrap();
    let inner = fresh(algorithm);
    let subject = Subject::new("tsa", "example.com");
    let key = inner.public_key();
    let leaf = issue_timestamp_signer(&root, &*root_signer, &subject, key, years(9), &random);
    let leaf = leaf.await.unwrap();
    let chain = vec![leaf.der().to_vec(), root.der().to_vec()];
    World {
        clock: Arc::new(Hands(AtomicI64::new(time(NOON).unix_seconds()))),
        dice: Arc::new(Dice(AtomicBool::new(true))),
        signer: Arc::new(Fickle {
            inner,
            mood: Mutex::new(Mood::Good),
        }),
        meter: Meter::new(),
        config: Config::new(chain.clone()),
        chain,
    }
}

impl World {
    fn start(&self) -> Result<TsaServer, StartError> {
        let context = Context::new(
            waxseal_crypto_aws_lc::provider(),
            Arc::<Hands>::clone(&self.clock),
            Arc::<Dice>::clone(&self.dice),
            Arc::<Fickle>::clone(&self.signer),
            self.meter.clone(),
        );
        TsaServer::new(self.config.clone(), context)
    }

    fn set(&self, text: &str) {
        self.clock
            .0
            .store(time(text).unix_seconds(), Ordering::Relaxed);
    }

    fn verify(&self, reply: &[u8]) -> TimestampToken {
        let token = TimestampToken::from_response(reply).unwrap();
        let provider = waxseal_crypto_aws_lc::provider();
        let authority = TimestampAuthority::new(provider, &self.chain).unwrap();
        authority.verify(&token, b"hello").unwrap();
        token
    }
}

struct Answer {
    status: StatusCode,
    content_type: String,
    cache_control: String,
    body: Vec<u8>,
}

impl Answer {
    fn message(&self) -> String {
        assert_eq!(self.content_type, "application/json");
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(body["code"], self.status.as_u16());
        body["message"].as_str().unwrap().to_owned()
    }
}

async fn ask(tsa: &TsaServer, request: Request<Body>) -> Answer {
    let response = tsa.router().oneshot(request).await.unwrap();
    let field = |name| {
        let value = response.headers().get(name);
        value
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    let (content_type, cache_control) = (field(header::CONTENT_TYPE), field(header::CACHE_CONTROL));
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes()
        .to_vec();
    Answer {
        status,
        content_type,
        cache_control,
        body,
    }
}

async fn send(tsa: &TsaServer, content_type: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post("/api/v1/timestamp")
        .header(header::CONTENT_TYPE, content_type)
        .body(body.into())
        .unwrap();
    ask(tsa, request).await
}

const QUERY: &str = "application/timestamp-query";

fn query() -> TimestampRequest {
    TimestampRequest::new(Digest::of(HashAlgorithm::Sha256, b"hello"))
}

async fn stamp(tsa: &TsaServer, request: &TimestampRequest) -> Answer {
    send(tsa, QUERY, request.encode()).await
}

fn json_body(hash: &str, digest: &[u8], more: &str) -> String {
    let digest = STANDARD.encode(digest);
    format!(r#"{{"artifactHash":"{digest}","hashAlgorithm":"{hash}"{more}}}"#)
}

fn hello() -> Vec<u8> {
    Digest::of(HashAlgorithm::Sha256, b"hello")
        .as_bytes()
        .to_vec()
}

#[tokio::test]
async fn tokens_verify_for_every_key_and_hash() {
    for algorithm in [
        SignatureAlgorithm::EcdsaP256Sha256,
        SignatureAlgorithm::EcdsaP384Sha384,
        SignatureAlgorithm::Ed25519,
        SignatureAlgorithm::RsaPkcs1Sha256,
    ] {
        let world = world_with(algorithm).await;
        let tsa = world.start().unwrap();
        for hash in [
            HashAlgorithm::Sha256,
            HashAlgorithm::Sha384,
            HashAlgorithm::Sha512,
        ] {
            let request = TimestampRequest::new(Digest::of(hash, b"hello")).with_nonce(&[0xff; 20]);
            let answer = stamp(&tsa, &request).await;
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(answer.content_type, "application/timestamp-reply");
            assert_eq!(answer.cache_control, "no-store");
            let token = world.verify(&answer.body);
            assert_eq!(token.info().time, time(NOON));
            assert_eq!(token.info().nonce, request.nonce);
            assert_eq!(token.info().policy, SIGSTORE_POLICY);
            assert_eq!(token.info().serial.len(), 20);
            assert_eq!(token.certificates().count(), 0);
        }
    }
}

#[tokio::test]
async fn json_requests() {
    let world = world().await;
    let tsa = world.start().unwrap();
    let more = r#","certificates":true,"nonce":1123343434,"tsaPolicyOID":"1.3.6.1.4.1.57264.2""#;
    let body = json_body("sha256", &hello(), more);
    let answer = send(&tsa, "application/json; charset=utf-8", body).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.content_type, "application/timestamp-reply");
    let token = world.verify(&answer.body);
    assert_eq!(
        token.info().nonce.as_deref(),
        Some(&1_123_343_434u32.to_be_bytes()[..])
    );
    assert_eq!(
        token.certificates().collect::<Vec<_>>(),
        [&world.chain[0][..]]
    );
}

#[tokio::test]
async fn configured_answers() {
    let mut world = world().await;
    let other: ObjectIdentifier = "1.2.3".parse().unwrap();
    world.config.include_chain = true;
    world.config.answer_created = true;
    world.config.accuracy_seconds = 3;
    world.config.accepted_policies = vec![other];
    let tsa = world.start().unwrap();
    let answer = stamp(&tsa, &query().with_certificates(true).with_policy(other)).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let token = world.verify(&answer.body);
    assert_eq!(token.certificates().count(), 2);
    assert_eq!(token.info().accuracy.unwrap().seconds, 3);
    assert_eq!(token.info().policy, other);
}

#[tokio::test]
async fn certificate_chain_and_ping() {
    let world = world().await;
    let tsa = world.start().unwrap();
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let answer = ask(&tsa, get("/api/v1/timestamp/certchain")).await;
    assert_eq!(answer.content_type, "application/pem-certificate-chain");
    assert_eq!(answer.cache_control, "max-age=86400, immutable");
    let text = String::from_utf8(answer.body).unwrap();
    let blocks = waxseal_crypto::Pem::parse_many(&text).unwrap();
    let ders: Vec<_> = blocks.into_iter().map(|block| block.der).collect();
    assert_eq!(ders, world.chain);
    assert_eq!(ask(&tsa, get("/ping")).await.status, StatusCode::OK);
    assert_eq!(
        ask(&tsa, get("/api/v1/timestamp")).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn refusals() {
    let world = world().await;
    let tsa = world.start().unwrap();
    let check = async |content_type: &str, body: Vec<u8>, status: u16, message: &str| {
        let answer = send(&tsa, content_type, body).await;
        assert_eq!(answer.status.as_u16(), status, "{message}");
        assert!(
            answer.message().contains(message),
            "{} / {message}",
            answer.message()
        );
    };
    let json_check = async |body: String, status: u16, message: &str| {
        check("application/json", body.into_bytes(), status, message).await;
    };
    let sha1 = "303102010130213009 06052b0e03021a05000414".replace(' ', "");
    let mut weak: Vec<u8> = (0..sha1.len() / 2)
        .map(|at| u8::from_str_radix(&sha1[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    weak.extend([7; 20]);
    weak[1] = u8::try_from(weak.len() - 2).unwrap();
    check(QUERY, weak, 400, "Weak hash algorithm in timestamp request").await;
    let length = "Message digest has incorrect length for specified algorithm";
    json_check(json_body("sha256", &[7; 31], ""), 400, length).await;
    json_check(json_body("sha1", &[7; 20], ""), 400, "Weak hash").await;
    json_check(json_body("md5", &[7; 16], ""), 400, "Weak hash").await;
    let other: ObjectIdentifier = "1.2.3".parse().unwrap();
    check(
        QUERY,
        query().with_policy(other).encode(),
        400,
        "unaccepted policy 1.2.3",
    )
    .await;
    let policy =
        |text: &str| json_body("sha256", &hello(), &format!(r#","tsaPolicyOID":"{text}""#));
    json_check(policy("1.2.3"), 400, "unaccepted policy 1.2.3").await;
    json_check(policy("a.b"), 400, "not an object identifier").await;
    let long = vec!["1"; 129].join(".");
    json_check(policy(&long), 400, "at most 128 components").await;
    json_check("{}".to_owned(), 400, "artifactHash").await;
    json_check("{".to_owned(), 400, "").await;
    let large = format!("{:1025}", json_body("sha256", &hello(), ""));
    json_check(large, 413, "timestamp request is too large").await;
    let exact = format!("{:1024}", json_body("sha256", &hello(), ""));
    assert_eq!(
        send(&tsa, "application/json", exact).await.status,
        StatusCode::OK
    );
    check(QUERY, Vec::new(), 400, "strict DER").await;
    check(
        QUERY,
        [query().encode(), vec![0]].concat(),
        400,
        "strict DER",
    )
    .await;
    check(QUERY, vec![0; 5000], 413, "timestamp request is too large").await;
    let nonce = query().with_nonce(&[1; MAX_NONCE + 1]).encode();
    check(QUERY, nonce, 400, "at most 64").await;
    assert_eq!(
        stamp(&tsa, &query().with_nonce(&[1; MAX_NONCE]))
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn extensions_are_refused() {
    let world = world().await;
    let tsa = world.start().unwrap();
    let mut der = query().encode();
    // [0] { SEQUENCE { 1.2.3, OCTET STRING } }
    der.extend([0xa0, 8, 0x30, 6, 6, 2, 0x2a, 3, 4, 0]);
    der[1] += 10;
    let answer = send(&tsa, QUERY, der).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.message(), "unaccepted extension 1.2.3");
}

/// The content type is parsed, and counted in no list of parts (V-67).
#[tokio::test]
async fn content_types() {
    let world = world().await;
    let tsa = world.start().unwrap();
    let long = format!("{QUERY}{}", ",application/".repeat(10_000));
    for wrong in [
        "application/jsonx",
        "application/timestamp-queryx",
        "text/plain",
        "",
        &long,
    ] {
        let answer = send(&tsa, wrong, query().encode()).await;
        assert_eq!(
            answer.status,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{:.40}",
            wrong
        );
    }
    let answer = send(&tsa, "Application/Timestamp-Query; x=y", query().encode()).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn v_67_a_million_dots_allocate_nothing() {
    let world = world().await;
    let tsa = world.start().unwrap();
    let dots = ".".repeat(1_000_000);
    let body = json_body("sha256", &hello(), &format!(r#","tsaPolicyOID":"{dots}""#));
    let answer = send(&tsa, "application/json", body).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let answer = send(&tsa, QUERY, vec![0x30; MAX_BODY]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let answer = send(&tsa, QUERY, vec![0x30; MAX_BODY + 1]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn v_68_foreign_paths_and_methods_make_no_time_series() {
    let world = world().await;
    let tsa = world.start().unwrap();
    let served = Chassis::new(&world.meter).wrap(tsa.router());
    let send = async |method: Method, path: String| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        served.clone().oneshot(request).await.unwrap()
    };
    send(Method::GET, "/ping".to_owned()).await;
    send(Method::GET, "/unknown".to_owned()).await;
    send(Method::from_bytes(b"ODD").unwrap(), "/ping".to_owned()).await;
    stamp(&tsa, &query()).await;
    let before = world.meter.text().lines().count();
    for index in 0..2000 {
        send(Method::GET, format!("/{index}/x")).await;
        send(
            Method::from_bytes(format!("M{index}").as_bytes()).unwrap(),
            "/ping".into(),
        )
        .await;
    }
    assert_eq!(world.meter.text().lines().count(), before);
}

#[tokio::test]
async fn outcomes_are_counted() {
    let world = world().await;
    let tsa = world.start().unwrap();
    stamp(&tsa, &query()).await;
    send(&tsa, QUERY, vec![0]).await;
    *world.signer.mood.lock().unwrap() = Mood::Failing;
    stamp(&tsa, &query()).await;
    let text = world.meter.text();
    for outcome in ["granted", "refused", "failed"] {
        let line = format!("tsa_timestamps_total{{outcome=\"{outcome}\"}} 1");
        assert!(text.contains(&line), "{text}");
    }
}

/// With `rfc3161_status`, a DER request is answered in RFC 3161's own way; JSON is not.
#[tokio::test]
async fn rfc3161_status() {
    let mut world = world().await;
    world.config.rfc3161_status = true;
    let tsa = world.start().unwrap();
    let check = async |body: Vec<u8>, bit: u32| {
        let answer = send(&tsa, QUERY, body).await;
        assert_eq!(answer.status, StatusCode::OK);
        let rejected = TimestampResponse::Rejected {
            status: 2,
            failure: 1 << bit,
        };
        assert_eq!(TimestampResponse::parse(&answer.body), Ok(rejected));
    };
    check(vec![0], 5).await;
    let other: ObjectIdentifier = "1.2.3".parse().unwrap();
    check(query().with_policy(other).encode(), 15).await;
    world.set("2025-01-01T00:00:00Z");
    check(query().encode(), 14).await;
    let answer = send(&tsa, "application/json", "{}").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_clock_never_runs_backwards() {
    let world = world().await;
    let tsa = world.start().unwrap();
    stamp(&tsa, &query()).await;
    world.set("2026-06-01T11:59:59Z");
    let token = world.verify(&stamp(&tsa, &query()).await.body);
    assert_eq!(token.info().time, time(NOON));
    assert_eq!(tsa.health().ready().await, Ok(()));
    world.set("2026-06-01T11:59:58Z");
    let answer = stamp(&tsa, &query()).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.message(), "Error generating timestamp response");
    let reason = NotReady("the clock is behind the last timestamp");
    assert_eq!(tsa.health().ready().await, Err(("timestamp-clock", reason)));
}

#[tokio::test]
async fn no_token_outside_the_certificates_validity() {
    let world = world().await;
    let check = async |at: &str, expected: StatusCode| {
        let tsa = world.start().unwrap();
        world.set(at);
        assert_eq!(stamp(&tsa, &query()).await.status, expected, "{at}");
        assert_eq!(
            tsa.health().ready().await.is_ok(),
            expected == StatusCode::OK
        );
    };
    let fault = StatusCode::INTERNAL_SERVER_ERROR;
    let end = Certificate::parse(world.chain[0].clone())
        .unwrap()
        .not_after();
    let last = end.checked_sub(Duration::from_secs(1)).unwrap().to_string();
    check("2026-01-01T00:00:00Z", fault).await;
    check("2026-01-01T00:00:01Z", StatusCode::OK).await;
    check(&last, StatusCode::OK).await;
    check(&end.to_string(), fault).await;
}

#[tokio::test(start_paused = true)]
async fn faults_are_told_as_nothing() {
    let world = world().await;
    let tsa = world.start().unwrap();
    let check = async |mood: Mood, expected: u16| {
        *world.signer.mood.lock().unwrap() = mood;
        let answer = stamp(&tsa, &query()).await;
        assert_eq!(answer.status.as_u16(), expected);
        if expected != 200 {
            assert_eq!(answer.message(), "Error generating timestamp response");
        }
    };
    check(Mood::Good, 200).await;
    check(Mood::Failing, 500).await;
    check(Mood::Lying, 500).await;
    check(Mood::Verbose, 500).await;
    check(Mood::Silent, 503).await;
    check(Mood::Good, 200).await;
    world.dice.0.store(false, Ordering::Relaxed);
    check(Mood::Good, 500).await;
}

#[tokio::test]
async fn too_many_requests_are_told_to_come_back() {
    let mut world = world().await;
    world.config.in_flight = 0;
    let tsa = world.start().unwrap();
    let answer = stamp(&tsa, &query()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.message(), "too many requests are under way");
}

#[tokio::test]
async fn serial_numbers_differ() {
    let world = world().await;
    let tsa = world.start().unwrap();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..200 {
        let token = world.verify(&stamp(&tsa, &query()).await.body);
        assert!(token.info().serial[0] < 0x80);
        assert!(seen.insert(token.info().serial.clone()));
    }
}

#[tokio::test(start_paused = true)]
async fn it_runs_until_shutdown() {
    let world = world().await;
    let tsa = world.start().unwrap();
    let shutdown = Shutdown::new();
    let run = tsa.run(shutdown.clone());
    tokio::pin!(run);
    assert!(
        tokio::time::timeout(Duration::from_secs(7200), &mut run)
            .await
            .is_err()
    );
    assert!(
        world
            .meter
            .text()
            .contains("tsa_certificate_valid_days_remaining")
    );
    shutdown.trigger();
    run.await.unwrap();
}

mod start_error {
    use super::*;

    async fn error(change: impl AsyncFnOnce(&mut World)) -> StartError {
        let mut world = world().await;
        change(&mut world).await;
        world.start().unwrap_err()
    }

    #[tokio::test]
    async fn authority() {
        let found = error(async |world| world.config.chain.truncate(1)).await;
        assert!(matches!(
            found,
            StartError::Authority(AuthorityError::Chain(_))
        ));
        let found = error(async |world| world.config.chain.clear()).await;
        assert!(matches!(
            found,
            StartError::Authority(AuthorityError::Chain(_))
        ));
    }

    #[tokio::test]
    async fn no_signer() {
        let found = error(async |world| drop(world.config.chain.remove(0))).await;
        assert!(matches!(found, StartError::NoSigner));
        let found = error(async |world| world.config.chain.reverse()).await;
        assert!(matches!(
            found,
            StartError::NoSigner | StartError::Authority(_)
        ));
    }

    #[tokio::test]
    async fn intermediate_purpose() {
        let root = fresh(SignatureAlgorithm::EcdsaP256Sha256);
        let middle = fresh(SignatureAlgorithm::EcdsaP256Sha256);
        let random = waxseal_crypto_aws_lc::OsRandom;
        let subject = Subject::new("root", "example.com");
        let top = issue_root(&*root, &subject, years(9), &random)
            .await
            .unwrap();
        let name = Subject::new("middle", "example.com");
        let tsa = Subject::new("tsa", "example.com");
        // An authority without extKeyUsage: the other world's root, as if it stood in between.
        let wide = issue_root(&*middle, &name, years(8), &random)
            .await
            .unwrap();
        let narrow = issue_intermediate(
            &top,
            &*root,
            &name,
            middle.public_key(),
            Purpose::TimeStamping,
            years(8),
            &random,
        )
        .await
        .unwrap();
        for (above, good) in [(vec![narrow, top], true), (vec![wide.clone(), wide], false)] {
            let mut world = world().await;
            let key = world.signer.public_key();
            let leaf = issue_timestamp_signer(&above[0], &*middle, &tsa, key, years(7), &random);
            let leaf = leaf.await.unwrap();
            world.config.chain = std::iter::once(&leaf)
                .chain(&above)
                .map(|certificate| certificate.der().to_vec())
                .collect();
            let started = world.start();
            assert_eq!(started.is_ok(), good);
            if let Err(error) = started {
                assert!(matches!(
                    error,
                    StartError::IntermediatePurpose { index: 1 }
                ));
            }
        }
    }

    #[tokio::test]
    async fn signer() {
        let found = error(async |world| {
            let inner = fresh(SignatureAlgorithm::EcdsaP256Sha256);
            world.signer = Arc::new(Fickle {
                inner,
                mood: Mutex::new(Mood::Good),
            });
        })
        .await;
        assert!(matches!(found, StartError::Signer(BuildError::WrongSigner)));
    }
}

mod stamp_error {
    use super::*;

    async fn error(change: impl FnOnce(&mut World), request: TimestampRequest) -> StampError {
        let mut world = world().await;
        change(&mut world);
        world
            .start()
            .unwrap()
            .0
            .stamp(Ok(request))
            .await
            .unwrap_err()
    }

    async fn fault(change: impl FnOnce(&mut World)) -> StampError {
        let found = error(change, query()).await;
        assert!(found.is_fault());
        found
    }

    async fn mood(mood: Mood) -> StampError {
        fault(|world| *world.signer.mood.lock().unwrap() = mood).await
    }

    async fn message(body: &str) -> String {
        let tsa = world().await.start().unwrap();
        send(&tsa, "application/json", body.to_owned())
            .await
            .message()
    }

    #[tokio::test]
    async fn request() {
        let body = json_body("sha224", &[7; 28], "");
        assert_eq!(message(&body).await, RequestError::WeakHash.to_string());
    }

    #[tokio::test]
    async fn json() {
        assert_eq!(message("{}").await, "field `artifactHash` is missing");
    }

    #[tokio::test]
    async fn malformed_policy() {
        let body = json_body("sha256", &hello(), r#","tsaPolicyOID":"1..2""#);
        assert_eq!(
            message(&body).await,
            "the policy is not an object identifier"
        );
    }

    #[tokio::test]
    async fn unaccepted_policy() {
        let other: ObjectIdentifier = "1.2.3".parse().unwrap();
        let found = error(|_| (), query().with_policy(other)).await;
        assert!(matches!(found, StampError::UnacceptedPolicy { policy } if policy == other));
    }

    #[tokio::test]
    async fn unaccepted_extension() {
        let mut request = query();
        request.extensions = vec!["1.2.3".parse().unwrap()];
        let found = error(|_| (), request).await;
        assert!(matches!(found, StampError::UnacceptedExtension { .. }));
    }

    #[tokio::test]
    async fn overloaded() {
        let found = fault(|world| world.config.in_flight = 0).await;
        assert!(matches!(found, StampError::Overloaded));
    }

    #[tokio::test]
    async fn clock_behind() {
        let world = world().await;
        let tsa = world.start().unwrap();
        tsa.0.stamp(Ok(query())).await.unwrap();
        world.set("2026-06-01T11:00:00Z");
        let found = tsa.0.stamp(Ok(query())).await.unwrap_err();
        assert!(found.is_fault() && matches!(found, StampError::ClockBehind(_)));
    }

    #[tokio::test]
    async fn outside_validity() {
        let found = fault(|world| world.set("2025-12-31T00:00:00Z")).await;
        assert!(matches!(found, StampError::OutsideValidity { .. }));
    }

    #[tokio::test]
    async fn random() {
        let found = fault(|world| world.dice.0.store(false, Ordering::Relaxed)).await;
        assert!(matches!(found, StampError::Random(RandomError)));
    }

    #[tokio::test]
    async fn sign() {
        assert!(matches!(mood(Mood::Failing).await, StampError::Sign(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn signer_timeout() {
        assert!(matches!(
            mood(Mood::Silent).await,
            StampError::SignerTimeout
        ));
    }

    #[tokio::test]
    async fn unreadable() {
        assert!(matches!(
            mood(Mood::Verbose).await,
            StampError::Unreadable(_)
        ));
    }

    #[tokio::test]
    async fn unverified() {
        assert!(matches!(mood(Mood::Lying).await, StampError::Unverified(_)));
    }
}

/// Every refusal has its bit, and faults say nothing about themselves.
#[test]
fn failures() {
    let oid = SIGSTORE_POLICY;
    let check = |error: StampError, failure: PkiFailure, fault: bool| {
        assert_eq!(failure_of(&error), failure, "{error}");
        assert_eq!(error.is_fault(), fault, "{error}");
        let _ = problem(&error);
    };
    check(
        RequestError::WeakHash.into(),
        PkiFailure::BadAlgorithm,
        false,
    );
    check(
        RequestError::Malformed.into(),
        PkiFailure::BadDataFormat,
        false,
    );
    check(
        RequestError::UnknownVersion.into(),
        PkiFailure::BadRequest,
        false,
    );
    check(StampError::MalformedPolicy, PkiFailure::BadRequest, false);
    check(
        StampError::UnacceptedPolicy { policy: oid },
        PkiFailure::UnacceptedPolicy,
        false,
    );
    let extension = StampError::UnacceptedExtension { extension: oid };
    check(extension, PkiFailure::UnacceptedExtension, false);
    check(StampError::Overloaded, PkiFailure::SystemFailure, true);
    let time = time(NOON);
    check(
        StampError::OutsideValidity { time },
        PkiFailure::TimeNotAvailable,
        true,
    );
    check(RandomError.into(), PkiFailure::SystemFailure, true);
    check(StampError::SignerTimeout, PkiFailure::SystemFailure, true);
    check(
        StampError::Unreadable(TokenError::Malformed),
        PkiFailure::SystemFailure,
        true,
    );
}

/// Runs OpenSSL; `None` where there is none.
fn openssl(folder: &std::path::Path, arguments: &[&str]) -> Option<bool> {
    let run = std::process::Command::new("openssl")
        .current_dir(folder)
        .args(arguments)
        .output();
    run.ok().map(|output| {
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        true
    })
}

/// OpenSSL asks, and is content with the answer.
#[tokio::test]
async fn openssl_accepts_the_tokens() {
    for algorithm in [
        SignatureAlgorithm::EcdsaP256Sha256,
        SignatureAlgorithm::EcdsaP384Sha384,
        SignatureAlgorithm::RsaPkcs1Sha256,
    ] {
        let world = world_with(algorithm).await;
        let tsa = world.start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("data"), "hello").unwrap();
        for (file, der) in ["leaf.pem", "root.pem"].iter().zip(&world.chain) {
            let pem = waxseal_crypto::Pem::new("CERTIFICATE", der).encode();
            std::fs::write(path(file), pem).unwrap();
        }
        for hash in ["-sha256", "-sha384", "-sha512"] {
            for certificates in [true, false] {
                let mut ask = vec!["ts", "-query", "-data", "data", hash, "-out", "query"];
                if certificates {
                    ask.push("-cert");
                }
                if openssl(folder.path(), &ask).is_none() {
                    skip("there is no openssl here");
                    return;
                }
                let query = std::fs::read(path("query")).unwrap();
                let answer = send(&tsa, QUERY, query).await;
                assert_eq!(answer.status, StatusCode::OK);
                std::fs::write(path("reply"), answer.body).unwrap();
                let at = world.clock.now().unix_seconds().to_string();
                let mut verify = vec!["ts", "-verify", "-queryfile", "query", "-in", "reply"];
                verify.extend(["-CAfile", "root.pem", "-attime", &at]);
                if !certificates {
                    verify.extend(["-untrusted", "leaf.pem"]);
                }
                assert_eq!(openssl(folder.path(), &verify), Some(true));
            }
        }
    }
}

/// Says why a test did not run; where `CI` is set it must.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment where they run"
)]
fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    println!("skipped: {reason}");
}

/// The futures are sendable: servers run them on any thread.
#[test]
fn futures_are_send() {
    fn is_send<F: Future + Send>(_: &F) {}
    async fn one(tsa: TsaServer) {
        let _ = tsa.run(Shutdown::new()).await;
    }
    let _ = |tsa: TsaServer| is_send(&one(tsa));
}

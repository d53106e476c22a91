//! What the tests share: an authority with its chain, issuers, a log that signs, and a clock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request as HttpRequest, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use waxseal_ca_server::{CaServer, Config, Context, CtLog};
use waxseal_crypto::{
    Clock, CryptoProvider, Input, LocalSigner, Pem, PublicKey, SignatureAlgorithm, Signer, Time,
};
use waxseal_formats::ct::{AddChainRequest, SctAnswer};
use waxseal_identity::{IssuerConfig, IssuerKind, Jwk, JwkSet, JwsAlgorithm, KeySource, sign_jws};
use waxseal_issuing::{Subject, Validity, issue_intermediate, issue_root};
use waxseal_pki::encoding::{
    BIT_STRING, SEQUENCE, context, element, signature_algorithm, unsigned,
};
use waxseal_pki::{Certificate, CtEntry, CtLogKey, Purpose, tbs_without_poison};
use waxseal_serve::{Chassis, Meter};
use waxseal_transport::{BoxFuture, Headers, Request, Response, Transport, TransportError};

/// 2026-01-01, when every test begins.
pub(crate) const NOW: i64 = 1_767_225_600;
/// The broker of the instance.
pub(crate) const ISSUER: &str = "http://localhost:8383/auth";
/// The instance's own audience.
pub(crate) const URL: &str = "http://localhost:8383";
/// The message of every refused token.
pub(crate) const TOKEN_MESSAGE: &str = "There was an error processing the identity token";

pub(crate) fn provider() -> CryptoProvider {
    waxseal_crypto_aws_lc::provider()
}

pub(crate) fn at(seconds: i64) -> Time {
    Time::from_unix(NOW + seconds).unwrap()
}

pub(crate) fn generate(algorithm: SignatureAlgorithm) -> Box<dyn LocalSigner> {
    let key = provider().generate(algorithm).unwrap();
    provider().signer(&key, algorithm).unwrap()
}

pub(crate) fn p256() -> Box<dyn LocalSigner> {
    generate(SignatureAlgorithm::EcdsaP256Sha256)
}

pub(crate) fn shared(signer: Box<dyn LocalSigner>) -> Arc<dyn Signer> {
    let signer: Box<dyn Signer> = signer;
    Arc::from(signer)
}

pub(crate) struct TestClock(pub(crate) Mutex<Time>);

impl Clock for TestClock {
    fn now(&self) -> Time {
        *self.0.lock().unwrap()
    }
}

/// A key that signs tokens.
pub(crate) struct TokenKey {
    pub(crate) signer: Box<dyn LocalSigner>,
    pub(crate) jwk: Jwk,
}

impl TokenKey {
    pub(crate) fn generate(algorithm: SignatureAlgorithm) -> Self {
        let signer = generate(algorithm);
        let name = JwsAlgorithm::of(algorithm).unwrap();
        let jwk = Jwk::new(signer.public_key().clone(), name).unwrap();
        Self { signer, jwk }
    }

    pub(crate) fn kid(&self) -> &str {
        self.jwk.key_id().unwrap()
    }

    pub(crate) fn set(&self) -> JwkSet {
        JwkSet::new(vec![self.jwk.clone()]).unwrap()
    }

    pub(crate) async fn sign(&self, claims: &Value) -> String {
        let payload = claims.to_string();
        sign_jws(&*self.signer, self.kid(), payload.as_bytes())
            .await
            .unwrap()
    }

    /// A token with any header and any payload, truly signed by this key.
    pub(crate) fn sign_raw(&self, header: &str, payload: &str) -> String {
        let input = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let signature = self
            .signer
            .sign_now(Input::Message(input.as_bytes()))
            .unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

pub(crate) static RSA: LazyLock<TokenKey> =
    LazyLock::new(|| TokenKey::generate(SignatureAlgorithm::RsaPkcs1Sha256));
pub(crate) static ES256: LazyLock<TokenKey> =
    LazyLock::new(|| TokenKey::generate(SignatureAlgorithm::EcdsaP256Sha256));

/// The claims of a good token of the broker.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "subject-1", "aud": "sigstore", "iat": NOW - 10, "exp": NOW + 60,
        "email": "alice@example.com", "email_verified": true,
    })
}

pub(crate) async fn token() -> String {
    RSA.sign(&claims()).await
}

/// How the log behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    Honest,
    WrongKey,
    WrongLogId,
    Future,
    Past,
    SlightlyAhead,
    Status(u16),
    NotJson,
    BadBase64,
    ShortId,
    OtherEntry,
    OtherIssuer,
    Version2,
    NoSignature,
    Huge,
    Down,
    Silent,
}

/// The network: the log, and one issuer that is found by discovery.
pub(crate) struct Net {
    pub(crate) log: Mutex<Log>,
    pub(crate) log_signer: Box<dyn LocalSigner>,
    pub(crate) submissions: Mutex<Vec<AddChainRequest>>,
    pub(crate) urls: Mutex<Vec<String>>,
    pub(crate) issuer_fetches: AtomicUsize,
    clock: Arc<TestClock>,
}

impl Net {
    fn answer(&self, request: &Request) -> Result<Response, TransportError> {
        request.check()?;
        self.urls.lock().unwrap().push(request.url.to_string());
        let path = request.url.path();
        if request.url.host_str() == Some("remote.example") {
            self.issuer_fetches.fetch_add(1, Ordering::Relaxed);
            let body = match path {
                "/.well-known/openid-configuration" => json!({
                    "issuer": "https://remote.example", "jwks_uri": "https://remote.example/keys",
                }),
                _ => RSA.set().to_json(),
            };
            return Ok(Response::new(
                200,
                Headers::new(),
                body.to_string().into_bytes(),
            ));
        }
        let respond = |status, body: Vec<u8>| Ok(Response::new(status, Headers::new(), body));
        match path {
            "/ct/ct/v1/get-roots" if *self.log.lock().unwrap() == Log::Down => respond(503, vec![]),
            "/ct/ct/v1/get-roots" => respond(200, br#"{"certificates":[]}"#.to_vec()),
            "/ct/ct/v1/add-pre-chain" => self.promise(&request.body),
            other => panic!("nobody serves {other}"),
        }
    }

    fn promise(&self, body: &[u8]) -> Result<Response, TransportError> {
        let submission = AddChainRequest::from_json(body).unwrap();
        let precertificate = Certificate::parse(submission.chain[0].clone()).unwrap();
        let issuer = Certificate::parse(submission.chain[1].clone()).unwrap();
        self.submissions.lock().unwrap().push(submission);
        let log = *self.log.lock().unwrap();
        let mut tbs = tbs_without_poison(precertificate.tbs()).unwrap();
        if log == Log::OtherEntry {
            *tbs.last_mut().unwrap() ^= 1;
        }
        let mut issuer_key_hash = issuer.public_key().unwrap().spki_sha256();
        if log == Log::OtherIssuer {
            issuer_key_hash = [7; 32];
        }
        let entry = CtEntry::Precertificate {
            issuer_key_hash,
            tbs: &tbs,
        };
        let now = self.clock.now().unix_millis();
        let timestamp = match log {
            Log::Future => now + 11_000,
            Log::SlightlyAhead => now + 9_000,
            Log::Past => now - 21_000,
            _ => now,
        };
        let extensions = waxseal_pki::leaf_index_extension(42).unwrap().to_vec();
        let input = entry.signed_input(timestamp, &extensions).unwrap();
        let stranger = p256();
        let signer = if log == Log::WrongKey {
            &stranger
        } else {
            &self.log_signer
        };
        let raw = signer.sign_now(Input::Message(&input)).unwrap();
        let length = u16::try_from(raw.len()).unwrap().to_be_bytes();
        let mut id = self.log_signer.public_key().spki_sha256().to_vec();
        if log == Log::WrongLogId {
            id = stranger.public_key().spki_sha256().to_vec();
        }
        if log == Log::ShortId {
            id.pop();
        }
        let signature = [&[4, 3][..], &length, &raw].concat();
        let mut text = SctAnswer {
            id,
            timestamp,
            extensions,
            signature,
        }
        .to_json();
        let mut status = 200;
        match log {
            Log::Status(code) => status = code,
            Log::NotJson => text.truncate(20),
            Log::BadBase64 => text = text.replace("\"id\":\"", "\"id\":\"?"),
            Log::Version2 => text = text.replace("\"sct_version\":0", "\"sct_version\":1"),
            Log::NoSignature => {
                text = format!(
                    "{}\"signature\":\"\"}}",
                    text.split("\"signature\"").next().unwrap()
                );
            }
            Log::Huge => return Err(TransportError::TooLarge { limit: 1 }),
            Log::Down => {
                let after = Duration::from_secs(10);
                return Err(TransportError::Deadline { after });
            }
            _ => {}
        }
        Ok(Response::new(status, Headers::new(), text.into_bytes()))
    }
}

impl Transport for Net {
    fn send<'a>(&'a self, request: Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        if *self.log.lock().unwrap() == Log::Silent {
            return Box::pin(std::future::pending());
        }
        let answer = self.answer(&request);
        Box::pin(async { answer })
    }

    fn sleep<'a>(&'a self, duration: Duration) -> BoxFuture<'a, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A chain and its signer.
pub(crate) struct Chain {
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) certificates: Vec<Certificate>,
}

pub(crate) fn validity(from: i64, to: i64) -> Validity {
    Validity::new(at(from), at(to)).unwrap()
}

const YEAR: i64 = 365 * 86_400;

pub(crate) fn subject(name: &str) -> Subject {
    Subject::new(name, "example.com")
}

/// A root of one algorithm and an intermediate of another, which ends so many seconds from now.
pub(crate) async fn chain(
    root: SignatureAlgorithm,
    intermediate: SignatureAlgorithm,
    ends: i64,
) -> Chain {
    let random = waxseal_crypto_aws_lc::OsRandom;
    let root_signer = generate(root);
    let whole = validity(-YEAR, 10 * YEAR);
    let root = issue_root(&*root_signer, &subject("root"), whole, &random)
        .await
        .unwrap();
    let signer = generate(intermediate);
    let certificate = issue_intermediate(
        &root,
        &*root_signer,
        &subject("intermediate"),
        signer.public_key(),
        Purpose::CodeSigning,
        validity(-YEAR, ends),
        &random,
    )
    .await
    .unwrap();
    Chain {
        signer: shared(signer),
        certificates: vec![certificate, root],
    }
}

pub(crate) async fn default_chain() -> Chain {
    let root = SignatureAlgorithm::EcdsaP384Sha384;
    chain(root, SignatureAlgorithm::EcdsaP256Sha256, YEAR).await
}

pub(crate) fn with_static_keys(mut issuer: IssuerConfig, key: &TokenKey) -> IssuerConfig {
    issuer.keys = KeySource::Static(key.set());
    issuer
}

/// The broker, Google, a CI, builds with URIs, and one found by discovery.
pub(crate) fn issuers() -> Vec<IssuerConfig> {
    let subject_domain = "https://builds.example".parse().unwrap();
    vec![
        with_static_keys(IssuerConfig::new(ISSUER, &[], IssuerKind::Email), &RSA),
        with_static_keys(IssuerConfig::google(&[]), &RSA),
        with_static_keys(IssuerConfig::github_actions(&[]), &RSA),
        with_static_keys(
            IssuerConfig::new(
                "https://builds.example",
                &[],
                IssuerKind::Uri { subject_domain },
            ),
            &ES256,
        ),
        IssuerConfig::new("https://remote.example", &["only-this"], IssuerKind::Email),
    ]
}

pub(crate) struct World {
    pub(crate) ca: Arc<CaServer>,
    pub(crate) router: Router,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) net: Arc<Net>,
    pub(crate) meter: Meter,
    pub(crate) chain: Vec<Certificate>,
    pub(crate) log_key: PublicKey,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(default_chain().await, |_| {})
    }

    pub(crate) fn with(chain: Chain, change: impl FnOnce(&mut Config)) -> Self {
        crate::journal::install();
        let clock = Arc::new(TestClock(Mutex::new(at(0))));
        let net = Arc::new(Net {
            log: Mutex::new(Log::Honest),
            log_signer: p256(),
            submissions: Mutex::default(),
            urls: Mutex::default(),
            issuer_fetches: AtomicUsize::new(0),
            clock: Arc::clone(&clock),
        });
        let meter = Meter::new();
        let log_key = net.log_signer.public_key().clone();
        let log = CtLog::new(format!("{URL}/ct").parse().unwrap(), log_key.clone());
        let mut config = Config::new(URL, issuers(), chain.certificates.clone(), log);
        change(&mut config);
        let context = Context::new(
            provider(),
            Arc::<TestClock>::clone(&clock),
            Arc::new(waxseal_crypto_aws_lc::OsRandom),
            chain.signer,
            Arc::<Net>::clone(&net),
            meter.clone(),
        );
        let ca = Arc::new(CaServer::new(config, context).unwrap());
        let router = Chassis::new(&meter).wrap(ca.router());
        Self {
            ca,
            router,
            clock,
            net,
            meter,
            chain: chain.certificates,
            log_key,
        }
    }

    pub(crate) fn set_log(&self, log: Log) {
        *self.net.log.lock().unwrap() = log;
    }

    pub(crate) fn set_time(&self, seconds: i64) {
        *self.clock.0.lock().unwrap() = at(seconds);
    }

    pub(crate) fn submissions(&self) -> usize {
        self.net.submissions.lock().unwrap().len()
    }

    pub(crate) async fn send(&self, request: HttpRequest<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(HttpRequest::get(path).body(Body::empty()).unwrap())
            .await
    }

    /// A request for a certificate, with the token in the header if there is one.
    pub(crate) async fn post(&self, token: Option<&str>, body: &Value) -> Answer {
        let mut request =
            HttpRequest::post("/api/v2/signingCert").header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.send(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    /// A request with a good token and a good key: the log, the clock or the chain decides.
    pub(crate) async fn ask(&self) -> Answer {
        let holder = p256();
        self.post(
            Some(&token().await),
            &key_body(&*holder, "alice@example.com"),
        )
        .await
    }

    /// A request with these claims, in the shape of sigstore-python.
    pub(crate) async fn ask_with_token(&self, token: &str) -> Answer {
        let holder = p256();
        self.post(Some(token), &csr_body(&csr(&*holder, &empty(), &[])))
            .await
    }

    /// The leaf of an answer, everything that verifiers check being checked.
    pub(crate) fn leaf(&self, answer: &Answer) -> Certificate {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.headers["content-type"], "application/json");
        let chain = answer.chain();
        assert_eq!(chain.len(), 1 + self.chain.len());
        assert_eq!(chain[1..], self.chain);
        let leaf = chain[0].clone();
        let issuer = self.chain[0].public_key().unwrap();
        leaf.verify_signature(provider(), issuer).unwrap();
        let scts = leaf.scts().unwrap().unwrap();
        assert_eq!(scts.as_slice().len(), 1);
        let key = CtLogKey::new(provider(), &self.log_key).unwrap();
        scts.as_slice()[0]
            .verify_embedded(&key, &leaf, issuer)
            .unwrap();
        leaf
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("a JSON body")
    }

    pub(crate) fn chain(&self) -> Vec<Certificate> {
        let json = self.json();
        let chain = &json["signedCertificateEmbeddedSct"]["chain"]["certificates"];
        let parse = |text: &Value| {
            let text = text.as_str().unwrap();
            assert!(text.ends_with("-----END CERTIFICATE-----"));
            Certificate::parse(Pem::parse_labelled(text, "CERTIFICATE").unwrap()).unwrap()
        };
        chain.as_array().unwrap().iter().map(parse).collect()
    }

    /// Checks a refusal: status, code, message, reason, and that nothing was issued.
    #[track_caller]
    pub(crate) fn check(&self, status: u16, code: u8, message: &str, reason: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        let json = self.json();
        assert_eq!(json["code"], code, "{}", self.text);
        assert_eq!(json["message"], message, "{}", self.text);
        assert_eq!(json["details"][0]["reason"], reason, "{}", self.text);
        let kind = "type.googleapis.com/google.rpc.ErrorInfo";
        assert_eq!(json["details"][0]["@type"], kind);
        assert!(!self.text.contains("CERTIFICATE---"), "{}", self.text);
    }
}

/// A proof of possession: a signature over a challenge.
pub(crate) fn proof(holder: &dyn LocalSigner, challenge: &str) -> String {
    let signature = holder
        .sign_now(Input::Message(challenge.as_bytes()))
        .unwrap();
    STANDARD.encode(signature)
}

pub(crate) fn key_body(holder: &dyn LocalSigner, challenge: &str) -> Value {
    key_body_of(&holder.public_key().to_pem(), &proof(holder, challenge))
}

pub(crate) fn key_body_of(pem: &str, proof: &str) -> Value {
    json!({"publicKeyRequest": {
        "publicKey": {"algorithm": "ECDSA", "content": pem}, "proofOfPossession": proof,
    }})
}

pub(crate) fn csr_body(pem: &str) -> Value {
    json!({"certificateSigningRequest": STANDARD.encode(pem)})
}

/// An empty name.
pub(crate) fn empty() -> Vec<u8> {
    element::<&[u8]>(SEQUENCE, &[])
}

/// A certificate request (RFC 2986), PEM.
pub(crate) fn csr(holder: &dyn LocalSigner, subject: &[u8], attributes: &[u8]) -> String {
    let identifier = signature_algorithm(holder.algorithm()).unwrap();
    csr_of(
        holder.public_key().spki_der(),
        subject,
        attributes,
        &identifier,
        |info| holder.sign_now(Input::Message(info)).unwrap(),
    )
}

pub(crate) fn csr_of(
    spki: &[u8],
    subject: &[u8],
    attributes: &[u8],
    identifier: &[u8],
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> String {
    let attributes = element(context(0), &[attributes]);
    let info = element(SEQUENCE, &[&unsigned(&[0])[..], subject, spki, &attributes]);
    let signature = element(BIT_STRING, &[&[0][..], &sign(&info)]);
    let der = element(SEQUENCE, &[&info[..], identifier, &signature]);
    Pem::new("CERTIFICATE REQUEST", &der).encode()
}

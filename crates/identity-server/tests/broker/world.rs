//! A broker in memory, browsers with cookies, and a client with PKCE.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;
use url::{Url, form_urlencoded};
use waxseal_crypto::{
    BoxFuture, Clock, PrivateKey, Random, RandomError, SignatureAlgorithm, Signer, Time, sha256,
};
use waxseal_identity::Environment;
use waxseal_identity_server::{
    AuditError, AuditLog, Change, CodeKey, CodeMail, Config, Context, Found, IdentityServer,
    KeyRing, MailConfig, MailError, Mailer, RecordKey, RecordKind, Slot, SmtpConfig, StartError,
    Store, StoreError,
};
use waxseal_serve::Meter;

use crate::internet::Internet;

pub(crate) const NOW: i64 = 1_767_225_600;
pub(crate) const ISSUER: &str = "http://localhost:8383/auth";
pub(crate) const REDIRECT: &str = "http://localhost:4567/auth/callback";

/// A clock that a test moves.
pub(crate) struct MockClock(AtomicI64);

impl Clock for MockClock {
    fn now(&self) -> Time {
        Time::from_unix(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// Unpredictable enough: the digest of a counter.
#[derive(Default)]
pub(crate) struct TestRandom(AtomicU64);

impl Random for TestRandom {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        let bytes = sha256(&number.to_be_bytes());
        let length = buffer.len();
        buffer.copy_from_slice(&bytes[..length]);
        Ok(())
    }
}

/// The store's contract in memory; it counts transactions, and fails on demand.
#[derive(Default)]
pub(crate) struct MemoryStore {
    records: Mutex<BTreeMap<RecordKey, (Vec<u8>, Time)>>,
    pub(crate) transactions: AtomicU64,
    pub(crate) broken: Mutex<bool>,
}

impl MemoryStore {
    /// Everything that the store holds, as one text.
    pub(crate) fn text(&self) -> String {
        let records = self.records.lock().unwrap();
        records
            .values()
            .map(|(bytes, _)| String::from_utf8_lossy(bytes).into_owned())
            .collect()
    }
}

impl Store for MemoryStore {
    fn transact(
        &self,
        keys: Vec<RecordKey>,
        now: Time,
        change: Change,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if *self.broken.lock().unwrap() {
                return Err(StoreError("broken".into()));
            }
            self.transactions.fetch_add(1, Ordering::SeqCst);
            let mut records = self.records.lock().unwrap();
            let read = |key| {
                records
                    .get(key)
                    .filter(|(_, expires)| *expires > now)
                    .cloned()
            };
            let mut slots: Vec<_> = keys.iter().map(|key| Slot::new(read(key))).collect();
            change(&mut slots);
            for (key, slot) in keys.into_iter().zip(slots) {
                match slot.record {
                    Some(record) => records.insert(key, record),
                    None => records.remove(&key),
                };
            }
            Ok(())
        })
    }

    fn scan(
        &self,
        kind: RecordKind,
        after: Option<RecordKey>,
        limit: usize,
        now: Time,
    ) -> BoxFuture<'_, Result<Vec<Found>, StoreError>> {
        Box::pin(async move {
            let records = self.records.lock().unwrap();
            let rows = records.iter().filter(|(key, (_, expires))| {
                key.kind() == kind && *expires > now && after.is_none_or(|after| **key > after)
            });
            let found =
                rows.map(|(key, (bytes, expires))| Found::new(*key, bytes.clone(), *expires));
            Ok(found.take(limit).collect())
        })
    }

    fn sweep(&self, now: Time) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            self.records
                .lock()
                .unwrap()
                .retain(|_, (_, expires)| *expires > now);
            Ok(0)
        })
    }
}

/// Keeps mails, or fails.
#[derive(Default)]
pub(crate) struct MemoryMailer {
    pub(crate) mails: Mutex<Vec<CodeMail>>,
    pub(crate) broken: Mutex<bool>,
}

impl Mailer for MemoryMailer {
    fn send(&self, mail: CodeMail) -> BoxFuture<'_, Result<(), MailError>> {
        Box::pin(async move {
            if *self.broken.lock().unwrap() {
                return Err(MailError("broken".into()));
            }
            self.mails.lock().unwrap().push(mail);
            Ok(())
        })
    }
}

/// Keeps audit lines, or fails.
#[derive(Default)]
pub(crate) struct MemoryAudit {
    pub(crate) lines: Mutex<Vec<String>>,
    pub(crate) broken: Mutex<bool>,
}

impl AuditLog for MemoryAudit {
    fn append(&self, line: &str) -> Result<(), AuditError> {
        if *self.broken.lock().unwrap() {
            return Err(AuditError("broken".into()));
        }
        self.lines.lock().unwrap().push(line.to_owned());
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) server: IdentityServer,
    pub(crate) clock: Arc<MockClock>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) mailer: Arc<MemoryMailer>,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) meter: Meter,
    /// Where the broker's own requests go.
    pub(crate) internet: Internet,
    pub(crate) audit: Arc<MemoryAudit>,
    pub(crate) public_log: bool,
}

/// The client secret of every connector.
pub(crate) const CLIENT_SECRET: &str = "CANARYSECRET-client+secret/=";

/// An environment with one secret in it.
pub(crate) struct Secrets;

impl Environment for Secrets {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "CLIENT_SECRET").then(|| CLIENT_SECRET.to_owned())
    }

    fn read_file(&self, _: &Path, _: u64) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn run<'a>(
        &'a self,
        _: &'a str,
        _: &'a [&'a str],
        _: Duration,
    ) -> BoxFuture<'a, io::Result<String>> {
        Box::pin(async { Err(io::ErrorKind::NotFound.into()) })
    }
}

static KEY: LazyLock<PrivateKey> = LazyLock::new(|| {
    let algorithm = SignatureAlgorithm::RsaPkcs1Sha256;
    waxseal_crypto_aws_lc::provider()
        .generate(algorithm)
        .unwrap()
});

pub(crate) fn signer() -> Arc<dyn Signer> {
    let algorithm = SignatureAlgorithm::RsaPkcs1Sha256;
    let signer: Box<dyn Signer> = waxseal_crypto_aws_lc::provider()
        .signer(&KEY, algorithm)
        .unwrap();
    Arc::from(signer)
}

pub(crate) fn outbox() -> Config {
    Config::new(ISSUER, MailConfig::Outbox)
}

pub(crate) fn smtp() -> Config {
    let smtp = SmtpConfig::new("mail.example", "id@example.com");
    let mut config = Config::new(ISSUER, MailConfig::Smtp(smtp));
    config.allow_domains.push("example.com".to_owned());
    config
}

pub(crate) async fn world(config: Config) -> World {
    on_store(config, Arc::default()).await.unwrap()
}

pub(crate) async fn on_store(config: Config, store: Arc<MemoryStore>) -> Result<World, StartError> {
    let clock = Arc::new(MockClock(AtomicI64::new(NOW)));
    let mailer = Arc::<MemoryMailer>::default();
    let keys = Arc::new(KeyRing::new(signer()).unwrap());
    let meter = Meter::new();
    let internet = Internet::default();
    let audit = Arc::<MemoryAudit>::default();
    let context = Context {
        clock: Arc::<MockClock>::clone(&clock),
        random: Arc::new(TestRandom::default()),
        provider: waxseal_crypto_aws_lc::provider(),
        keys: Arc::clone(&keys),
        code_key: CodeKey::new([7; 32]),
        store: Arc::<MemoryStore>::clone(&store),
        mailer: Arc::<MemoryMailer>::clone(&mailer),
        transport: Arc::new(internet.clone()),
        environment: Arc::new(Secrets),
        audit: Arc::<MemoryAudit>::clone(&audit),
        meter: meter.clone(),
    };
    let public_log = config.public_log;
    let server = IdentityServer::new(config, context).await?;
    Ok(World {
        router: server.router(),
        server,
        clock,
        store,
        mailer,
        keys,
        meter,
        internet,
        audit,
        public_log,
    })
}

impl World {
    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn server_now(&self) -> Time {
        self.clock.now()
    }

    /// The code of the last mail; waits for the task that hands it over.
    pub(crate) async fn last_code(&self) -> String {
        self.settle().await;
        let mails = self.mailer.mails.lock().unwrap();
        mails
            .last()
            .expect("a mail was sent")
            .code
            .expose()
            .to_owned()
    }

    pub(crate) async fn mail_count(&self) -> usize {
        self.settle().await;
        self.mailer.mails.lock().unwrap().len()
    }

    async fn settle(&self) {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    /// A whole log-in, to the code that the client gets.
    pub(crate) async fn log_in(&self, address: &str) -> String {
        let mut browser = Browser::default();
        let page = browser.begin(self, &Pkce::default().query()).await;
        browser.prove(self, &page, address).await
    }

    /// Posts a form to the token endpoint.
    pub(crate) async fn token(&self, form: &[(&str, &str)]) -> Answer {
        self.send(post("/auth/token", &encode(form))).await
    }

    /// A whole log-in, to the tokens.
    pub(crate) async fn tokens(&self, address: &str) -> Value {
        let code = self.log_in(address).await;
        let pkce = Pkce::default();
        let answer = self.token(&pkce.form(&code)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.json()
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn location(&self) -> Url {
        Url::parse(ISSUER)
            .unwrap()
            .join(self.header("location"))
            .unwrap()
    }

    /// A parameter of the URL that the answer sends the browser to.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let location = self.location();
        let found = location.query_pairs().find(|(known, _)| known == name);
        found.map(|(_, value)| value.into_owned())
    }

    /// The value of a page's input.
    pub(crate) fn input(&self, name: &str) -> String {
        let (_, rest) = self
            .body
            .split_once(&format!("name=\"{name}\""))
            .expect(name);
        let (_, rest) = rest.split_once("value=\"").expect(name);
        rest.split_once('"').unwrap().0.to_owned()
    }
}

pub(crate) fn encode(form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}

pub(crate) fn post(path: &str, body: &str) -> Request<Body> {
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

/// The client's half of PKCE.
pub(crate) struct Pkce {
    pub(crate) verifier: String,
}

impl Default for Pkce {
    fn default() -> Self {
        Self {
            verifier: "v".repeat(43),
        }
    }
}

impl Pkce {
    pub(crate) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(sha256(self.verifier.as_bytes()))
    }

    /// The parameters of a good authorization request.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        [
            ("response_type", "code"),
            ("client_id", "sigstore"),
            ("redirect_uri", REDIRECT),
            ("scope", "openid email"),
            ("state", "the-state"),
            ("nonce", "the-nonce"),
            ("code_challenge", &self.challenge()),
            ("code_challenge_method", "S256"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    pub(crate) fn query(&self) -> String {
        self.query_with(&[])
    }

    /// The same with some parameters changed, or removed where the value is `-`.
    pub(crate) fn query_with(&self, changes: &[(&str, &str)]) -> String {
        let mut parameters = self.parameters();
        for (name, value) in changes {
            parameters.retain(|(known, _)| known != name);
            if *value != "-" {
                parameters.push(((*name).to_owned(), (*value).to_owned()));
            }
        }
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish()
    }

    /// The form that exchanges a code.
    pub(crate) fn form<'a>(&'a self, code: &'a str) -> [(&'a str, &'a str); 5] {
        [
            ("grant_type", "authorization_code"),
            ("client_id", "sigstore"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", &self.verifier),
        ]
    }
}

/// A browser: its cookies and its address.
#[derive(Default)]
pub(crate) struct Browser {
    pub(crate) cookies: HashMap<String, String>,
    pub(crate) address: Option<IpAddr>,
}

impl Browser {
    pub(crate) async fn send(&mut self, world: &World, mut request: Request<Body>) -> Answer {
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request
                .headers_mut()
                .insert(header::COOKIE, pairs.join("; ").parse().unwrap());
        }
        if let Some(address) = self.address {
            request
                .extensions_mut()
                .insert(ConnectInfo(SocketAddr::new(address, 1)));
        }
        let answer = world.send(request).await;
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    pub(crate) async fn get(&mut self, world: &World, path: &str) -> Answer {
        self.send(world, Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn post(
        &mut self,
        world: &World,
        path: &str,
        form: &[(&str, &str)],
    ) -> Answer {
        self.send(world, post(path, &encode(form))).await
    }

    /// Goes to the log-in, and gives the request's secret from the page.
    pub(crate) async fn begin(&mut self, world: &World, query: &str) -> String {
        let answer = self.get(world, &format!("/auth/auth?{query}")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        let location = answer.header("location").to_owned();
        let page = self.get(world, &location).await;
        assert_eq!(page.status, StatusCode::OK);
        page.input("request")
    }

    pub(crate) async fn ask(&mut self, world: &World, request: &str, address: &str) -> Answer {
        let form = [("request", request), ("email", address)];
        self.post(world, "/auth/auth/email", &form).await
    }

    pub(crate) async fn type_code(&mut self, world: &World, request: &str, code: &str) -> Answer {
        let form = [("request", request), ("code", code)];
        self.post(world, "/auth/auth/email/code", &form).await
    }

    /// Asks for a code, types it, and gives the authorization code.
    pub(crate) async fn prove(&mut self, world: &World, request: &str, address: &str) -> String {
        let asked = self.ask(world, request, address).await;
        assert_eq!(asked.status, StatusCode::SEE_OTHER, "{}", asked.body);
        let code = world.last_code().await;
        let answer = self.type_code(world, request, &code).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        answer.parameter("code").unwrap()
    }
}

/// A code that is not the one.
pub(crate) fn wrong(code: &str) -> String {
    let number: u64 = code.parse().unwrap();
    let digits = code.len();
    format!(
        "{:0digits$}",
        (number + 1) % 10_u64.pow(u32::try_from(digits).unwrap())
    )
}

/// What a token says, whoever signed it.
pub(crate) fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

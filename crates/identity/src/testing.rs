//! What the tests of this crate share: a transport of closures, keys, and tokens.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::{Value, json};
use waxseal_crypto::{LocalSigner, Random, RandomError, SignatureAlgorithm, Time};
use waxseal_transport::{BoxFuture, Headers, Request, Response, Transport, TransportError};

use crate::{Environment, Jwk, JwkSet, JwsAlgorithm, sign_jws};

/// 2026-01-01, the time of every test.
pub(crate) const NOW: i64 = 1_767_225_600;

pub(crate) fn at(seconds: i64) -> Time {
    Time::from_unix(NOW + seconds).unwrap()
}

/// Drives a future that never really waits.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}

pub(crate) type Answer = Result<Response, TransportError>;
type Respond = dyn Fn(&Request) -> Answer + Send + Sync;

/// A transport that answers from a closure and remembers what was asked.
pub(crate) struct FakeTransport {
    respond: Box<Respond>,
    pub(crate) requests: Mutex<Vec<Request>>,
}

impl FakeTransport {
    pub(crate) fn new(respond: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            respond: Box::new(respond),
            requests: Mutex::default(),
        })
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .filter(|request| request.url.path() == path)
            .count()
    }
}

impl Transport for FakeTransport {
    fn send<'a>(&'a self, request: Request) -> BoxFuture<'a, Answer> {
        let answer = request.check().and_then(|()| (self.respond)(&request));
        self.requests.lock().unwrap().push(request);
        Box::pin(async { answer })
    }

    fn sleep<'a>(&'a self, _: Duration) -> BoxFuture<'a, ()> {
        Box::pin(std::future::pending())
    }
}

pub(crate) fn answer(status: u16, body: &Value) -> Answer {
    Ok(Response::new(
        status,
        Headers::new(),
        body.to_string().into_bytes(),
    ))
}

/// A key pair that signs tokens under its thumbprint.
pub(crate) struct Key {
    pub(crate) signer: Box<dyn LocalSigner>,
    pub(crate) jwk: Jwk,
}

impl Key {
    pub(crate) fn generate(algorithm: SignatureAlgorithm) -> Self {
        let provider = waxseal_crypto_aws_lc::provider();
        let key = provider.generate(algorithm).unwrap();
        let signer = provider.signer(&key, algorithm).unwrap();
        let name = JwsAlgorithm::of(algorithm).unwrap();
        let jwk = Jwk::new(signer.public_key().clone(), name).unwrap();
        Self { signer, jwk }
    }

    pub(crate) fn set(&self) -> JwkSet {
        JwkSet::new(vec![self.jwk.clone()]).unwrap()
    }

    pub(crate) fn sign(&self, payload: &[u8]) -> String {
        run(sign_jws(&*self.signer, self.jwk.key_id().unwrap(), payload)).unwrap()
    }
}

pub(crate) static RSA: LazyLock<Key> =
    LazyLock::new(|| Key::generate(SignatureAlgorithm::RsaPkcs1Sha256));
pub(crate) static P256: LazyLock<Key> =
    LazyLock::new(|| Key::generate(SignatureAlgorithm::EcdsaP256Sha256));

/// The claims of a good token of `https://issuer.example` for `sigstore`.
pub(crate) fn good_claims() -> Value {
    json!({
        "iss": "https://issuer.example",
        "sub": "subject-1",
        "aud": "sigstore",
        "iat": NOW - 10,
        "exp": NOW + 60,
        "email": "you@example.com",
        "email_verified": true,
    })
}

/// Bytes that differ each time, and are the same in every run.
#[derive(Default)]
pub(crate) struct CountingRandom(Mutex<u8>);

impl Random for CountingRandom {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        let mut next = self.0.lock().unwrap();
        *next += 1;
        buffer.fill(*next);
        Ok(())
    }
}

/// Variables, files, and what the program `circleci` prints.
pub(crate) struct FakeEnvironment {
    pub(crate) variables: Vec<(&'static str, String)>,
    pub(crate) files: Vec<(&'static str, String)>,
    pub(crate) circleci: Result<String, io::ErrorKind>,
}

impl Default for FakeEnvironment {
    fn default() -> Self {
        Self {
            variables: Vec::new(),
            files: Vec::new(),
            circleci: Err(io::ErrorKind::NotFound),
        }
    }
}

impl Environment for FakeEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        let found = self.variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone())
    }

    fn read_file(&self, path: &Path, _: u64) -> io::Result<String> {
        let found = self
            .files
            .iter()
            .find(|(known, _)| Path::new(known) == path);
        found
            .map(|(_, text)| text.clone())
            .ok_or(io::ErrorKind::NotFound.into())
    }

    fn run<'a>(
        &'a self,
        program: &'a str,
        arguments: &'a [&'a str],
        _: Duration,
    ) -> BoxFuture<'a, io::Result<String>> {
        assert_eq!(program, "circleci");
        assert_eq!(arguments[..4], ["run", "oidc", "get", "--claims"]);
        assert_eq!(arguments[5..], ["--root-issuer"]);
        let answer = self.circleci.clone().map_err(io::Error::from);
        Box::pin(async { answer })
    }
}

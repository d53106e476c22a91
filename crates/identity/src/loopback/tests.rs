//! The callback socket, the browser flow over it, and the pasted code.

use std::net::TcpStream;

use super::*;
use crate::testing::{self, CountingRandom, FakeTransport, RSA, answer};
use crate::{BrowserLogin, CodePrompt, LoginConfig, Opener, OutOfBandLogin};
use serde_json::json;
use url::Url;
use waxseal_transport::{BoxFuture, Request};

fn check(head: &str, expected: Result<&str, &str>) {
    let head = head.replace('\n', "\r\n");
    assert_eq!(callback_query(&head, "127.0.0.1:9"), expected, "{head}");
}

#[test]
fn only_the_callback_of_this_socket_is_answered() {
    check(
        "GET /auth/callback?a=b HTTP/1.1\nHost: 127.0.0.1:9\n\n",
        Ok("a=b"),
    );
    check("GET /auth/callback HTTP/1.1\nhost:127.0.0.1:9\n\n", Ok(""));
    check(
        "GET /favicon.ico HTTP/1.1\nHost: 127.0.0.1:9\n\n",
        Err("404 Not Found"),
    );
    check(
        "GET /auth/callback/?a=b HTTP/1.1\nHost: 127.0.0.1:9\n\n",
        Err("404 Not Found"),
    );
    check(
        "POST /auth/callback?a=b HTTP/1.1\nHost: 127.0.0.1:9\n\n",
        Err("405 Method Not Allowed"),
    );
    for host in [
        "Host: evil.example:9",
        "Host: 127.0.0.1",
        "Host: localhost:9",
        "X: y",
        "Host: 127.0.0.1:9\nHost: evil.example",
    ] {
        let head = format!("GET /auth/callback?a=b HTTP/1.1\n{host}\n\n");
        check(&head, Err("421 Misdirected Request"));
    }
    check("", Err("421 Misdirected Request"));
}

fn get(url: &Url) -> String {
    let address = (url.host_str().unwrap(), url.port().unwrap());
    let mut stream = TcpStream::connect(address).unwrap();
    let target = url
        .as_str()
        .split_once(&url.port().unwrap().to_string())
        .unwrap()
        .1;
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n",
        address.1
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn pair(url: &Url, name: &str) -> String {
    url.query_pairs()
        .find(|(known, _)| known == name)
        .unwrap()
        .1
        .into_owned()
}

/// A browser that opens a silent spare connection, asks for an icon, and comes back from the
/// issuer with whatever `answer` makes of the state.
struct Browser(fn(&str) -> String);

impl Opener for Browser {
    fn open(&self, url: &Url) {
        let answer = (self.0)(&pair(url, "state"));
        let redirect = Url::parse(&pair(url, "redirect_uri")).unwrap();
        std::thread::spawn(move || {
            let spare = TcpStream::connect(("127.0.0.1", redirect.port().unwrap())).unwrap();
            let icon = redirect.join("/favicon.ico").unwrap();
            assert!(get(&icon).starts_with("HTTP/1.1 404"));
            let mut back = redirect;
            back.set_query(Some(&answer));
            let page = get(&back);
            assert!(page.contains("frame-ancestors 'none'"));
            drop(spare);
        });
    }
}

/// A page of the web that has found the port, and then the browser.
struct Before(&'static [&'static str], Browser);

impl Opener for Before {
    fn open(&self, url: &Url) {
        let mut back = Url::parse(&pair(url, "redirect_uri")).unwrap();
        for query in self.0 {
            back.set_query(Some(query));
            assert!(get(&back).starts_with("HTTP/1.1 400"), "{query}");
        }
        self.1.open(url);
    }
}

fn issuer(nonce: &'static str) -> impl Fn(&Request) -> testing::Answer + Send + Sync {
    move |request| match request.url.path() {
        "/token" => {
            let claims = json!({"iss": "https://issuer.example", "sub": "s", "aud": "sigstore", "exp": 1, "nonce": nonce});
            answer(
                200,
                &json!({"id_token": RSA.sign(claims.to_string().as_bytes())}),
            )
        }
        _ => answer(
            200,
            &json!({
                "issuer": "https://issuer.example",
                "authorization_endpoint": "https://issuer.example/auth",
                "token_endpoint": "https://issuer.example/token",
                "code_challenge_methods_supported": ["S256"],
            }),
        ),
    }
}

/// The nonce is the second value that the counting generator gives.
const NONCE: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";

fn log_in(browser: &dyn Opener) -> Result<crate::IdentityToken, LoginError> {
    let login = BrowserLogin {
        config: LoginConfig::new("https://issuer.example"),
        random: &CountingRandom::default(),
        opener: browser,
    };
    let transport = FakeTransport::new(issuer(NONCE));
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(login.log_in(&*transport))
}

#[test]
fn the_browser_brings_the_code() {
    let token = log_in(&Browser(|state| format!("code=c&state={state}"))).unwrap();
    assert_eq!(token.subject(), "s");
}

#[test]
fn s_42_a_forged_answer_is_not_taken_and_ends_nothing() {
    const FORGED: &[&str] = &[
        "code=c&state=forged",
        "code=c",
        "",
        "state=a&state=b",
        "error=access_denied",
    ];
    let token = log_in(&Before(
        FORGED,
        Browser(|state| format!("code=c&state={state}")),
    ));
    assert_eq!(token.unwrap().subject(), "s");
    let found = log_in(&Browser(|state| {
        format!("error=access_denied&state={state}")
    }));
    assert!(matches!(found, Err(LoginError::Denied { .. })));
}

#[test]
fn timed_out() {
    struct Nobody;
    impl Opener for Nobody {
        fn open(&self, _: &Url) {}
    }
    struct Impatient(Arc<FakeTransport>);
    impl waxseal_transport::Transport for Impatient {
        fn send<'a>(&'a self, request: Request) -> BoxFuture<'a, testing::Answer> {
            self.0.send(request)
        }
        fn sleep<'a>(&'a self, duration: Duration) -> BoxFuture<'a, ()> {
            assert_eq!(duration, crate::LOGIN_TIMEOUT);
            Box::pin(async {})
        }
    }
    let login = BrowserLogin {
        config: LoginConfig::new("https://issuer.example"),
        random: &CountingRandom::default(),
        opener: &Nobody,
    };
    let transport = Impatient(FakeTransport::new(issuer(NONCE)));
    assert!(matches!(
        testing::run(login.log_in(&transport)),
        Err(LoginError::TimedOut)
    ));
}

#[test]
fn dropping_the_answer_closes_the_socket() {
    let loopback = Loopback::bind().unwrap();
    let address = loopback.address();
    drop(loopback.listen(|_| Err(LoginError::NoCode)).unwrap());
    let closed = || TcpStream::connect(address).is_err();
    assert!((0..500).any(|_| closed() || {
        std::thread::sleep(POLL);
        false
    }));
}

#[test]
fn a_pasted_code_is_exchanged() {
    struct Person;
    impl CodePrompt for Person {
        fn code<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<String, LoginError>> {
            assert_eq!(pair(url, "redirect_uri"), crate::OUT_OF_BAND);
            Box::pin(async { Ok(" code\n".to_owned()) })
        }
    }
    let login = OutOfBandLogin {
        config: LoginConfig::new("https://issuer.example"),
        random: &CountingRandom::default(),
        prompt: &Person,
    };
    let transport = FakeTransport::new(issuer(NONCE));
    let token = testing::run(login.log_in(&*transport)).unwrap();
    assert_eq!(token.subject(), "s");
    // A token with another nonce answers another log-in.
    let transport = FakeTransport::new(issuer("other"));
    let login = OutOfBandLogin {
        random: &CountingRandom::default(),
        ..login
    };
    let found = testing::run(login.log_in(&*transport));
    assert!(matches!(
        found,
        Err(LoginError::TokenMismatch { claim: "nonce" })
    ));
}

//! The device flow against an issuer that follows a script.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use serde_json::json;
use waxseal_transport::{Headers, TransportError};

use super::*;
use crate::login::at_hash;
use crate::testing::{Answer, CountingRandom, NOW, RSA, answer, run};

const ISSUER: &str = "https://issuer.example";

fn discovery(device: bool, pkce: bool) -> Value {
    let mut document = json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://issuer.example/auth",
        "token_endpoint": "https://issuer.example/token",
        "code_challenge_methods_supported": if pkce { vec!["S256"] } else { vec![] },
    });
    if device {
        document["device_authorization_endpoint"] = json!("https://issuer.example/device/code");
    }
    document
}

fn code() -> Value {
    json!({
        "device_code": "SECRETDEVICECODE",
        "user_code": "BCDF-GHJK",
        "verification_uri": "https://issuer.example/device",
        "verification_uri_complete": "https://issuer.example/device?user_code=BCDF-GHJK",
        "expires_in": 900,
        "interval": 3,
    })
}

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "s", "aud": "sigstore", "exp": NOW,
        "email": "you@example.com", "email_verified": true})
}

fn granted(claims: &Value) -> Answer {
    let token = RSA.sign(claims.to_string().as_bytes());
    answer(
        200,
        &json!({"id_token": token, "access_token": "a", "token_type": "bearer"}),
    )
}

fn says(error: &str) -> Answer {
    answer(400, &json!({ "error": error }))
}

fn cut() -> Answer {
    Err(TransportError::Deadline {
        after: Duration::from_secs(10),
    })
}

/// An issuer that gives these answers to the polls, and remembers what was asked and how long
/// was waited in between. Waits of log-in length never end, unless they are all there is.
struct Script {
    discovery: Value,
    code: Value,
    polls: Mutex<VecDeque<Answer>>,
    forms: Mutex<Vec<(String, HashMap<String, String>)>>,
    waits: Mutex<Vec<u64>>,
    ends: bool,
}

impl Script {
    fn new(polls: impl IntoIterator<Item = Answer>) -> Self {
        Self {
            discovery: discovery(true, true),
            code: code(),
            polls: Mutex::new(polls.into_iter().collect()),
            forms: Mutex::default(),
            waits: Mutex::default(),
            ends: false,
        }
    }

    fn log_in(&self) -> Result<IdentityToken, LoginError> {
        let shown = Shown::default();
        let mut config = LoginConfig::new(ISSUER);
        config.connector_id = Some("https://accounts.google.com".to_owned());
        let login = DeviceLogin {
            config,
            random: &CountingRandom::default(),
            prompt: &shown,
        };
        run(login.log_in(self))
    }
}

impl Transport for Script {
    fn send<'a>(&'a self, request: Request) -> BoxFuture<'a, Answer> {
        request.check().unwrap();
        let form = form_urlencoded::parse(&request.body).into_owned().collect();
        let path = request.url.path().to_owned();
        let found = match path.as_str() {
            "/.well-known/openid-configuration" => answer(200, &self.discovery),
            "/device/code" => answer(200, &self.code),
            _ => self
                .polls
                .lock()
                .unwrap()
                .pop_front()
                .unwrap_or_else(|| says("script_ended")),
        };
        self.forms.lock().unwrap().push((path, form));
        Box::pin(async { found })
    }

    fn sleep<'a>(&'a self, duration: Duration) -> BoxFuture<'a, ()> {
        self.waits.lock().unwrap().push(duration.as_secs());
        let is_limit = duration >= Duration::from_secs(100)
            || self.code["expires_in"] == json!(duration.as_secs());
        match is_limit == self.ends {
            true => Box::pin(async {}),
            false => Box::pin(std::future::pending()),
        }
    }
}

#[derive(Default)]
struct Shown(Mutex<Vec<DevicePage>>);

impl DevicePrompt for Shown {
    fn show(&self, page: &DevicePage) {
        self.0.lock().unwrap().push(page.clone());
    }
}

fn variant(error: &LoginError) -> String {
    let text = format!("{error:?}");
    text.split([' ', '(', '{'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn check(polls: Vec<Answer>, expected: &str) {
    let found = Script::new(polls).log_in();
    let found = found.map_or_else(
        |error| variant(&error),
        |token| token.challenge().to_owned(),
    );
    assert_eq!(found, expected);
}

#[test]
fn it_polls_until_somebody_confirms() {
    let script = Script::new([says("authorization_pending"), granted(&claims())]);
    assert_eq!(script.log_in().unwrap().challenge(), "you@example.com");
    let forms = script.forms.lock().unwrap();
    let paths: Vec<_> = forms.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths[1..], ["/device/code", "/token", "/token"]);
    let first = &forms[1].1;
    assert_eq!(first["client_id"], "sigstore");
    assert_eq!(first["scope"], "openid email");
    assert_eq!(first["connector_id"], "https://accounts.google.com");
    let poll = &forms[2].1;
    assert_eq!(poll["grant_type"], DEVICE_GRANT);
    assert_eq!(poll["device_code"], "SECRETDEVICECODE");
    assert_eq!(poll["client_id"], "sigstore");
    // RFC 7636: the verifier of the poll is the one of the challenge.
    let challenge = URL_SAFE_NO_PAD.encode(sha256(poll["code_verifier"].as_bytes()));
    assert_eq!(first["code_challenge"], challenge);
    assert_eq!(first["code_challenge_method"], "S256");
    assert!(!first.contains_key("code_verifier"));
    assert_eq!(forms[2].1, forms[3].1);
    assert_eq!(*script.waits.lock().unwrap(), [300, 3, 3]);
}

#[test]
fn slow_down_lengthens_every_wait_that_follows() {
    let script = Script::new([
        says("slow_down"),
        says("authorization_pending"),
        answer(429, &json!({"error": "slow_down"})),
        answer(401, &json!({"error": "authorization_pending"})),
        granted(&claims()),
    ]);
    script.log_in().unwrap();
    assert_eq!(*script.waits.lock().unwrap(), [300, 3, 8, 8, 13, 13]);
}

#[test]
fn a_poll_that_does_not_get_through_doubles_the_wait() {
    let script = Script::new([
        cut(),
        answer(503, &json!({})),
        says("authorization_pending"),
        granted(&claims()),
    ]);
    script.log_in().unwrap();
    assert_eq!(*script.waits.lock().unwrap(), [300, 3, 6, 12, 12]);
    check((0..MAX_FAILED_POLLS).map(|_| cut()).collect(), "Transport");
    let mut polls: Vec<_> = (1..MAX_FAILED_POLLS).map(|_| cut()).collect();
    polls.push(granted(&claims()));
    check(polls, "you@example.com");
}

#[test]
fn the_interval_has_limits() {
    for (said, expected) in [(json!(0), 1), (json!(1_000_000), 60), (json!(null), 5)] {
        let mut script = Script::new([granted(&claims())]);
        match said.is_null() {
            true => drop(script.code.as_object_mut().unwrap().remove("interval")),
            false => script.code["interval"] = said,
        }
        script.log_in().unwrap();
        assert_eq!(script.waits.lock().unwrap()[1], expected);
    }
}

#[test]
fn device_code_expired() {
    check(
        vec![says("authorization_pending"), says("expired_token")],
        "DeviceCodeExpired",
    );
    // Also where the issuer never says so.
    let mut script = Script::new([]);
    script.code["expires_in"] = json!(90);
    script.ends = true;
    assert_eq!(variant(&script.log_in().unwrap_err()), "DeviceCodeExpired");
}

#[test]
fn timed_out() {
    let mut script = Script::new([]);
    script.ends = true;
    let error = script.log_in().unwrap_err();
    assert_eq!(variant(&error), "TimedOut");
    assert_eq!(
        error.to_string(),
        "nobody finished logging in within 5 minutes"
    );
}

#[test]
fn denied() {
    check(vec![says("access_denied")], "Denied");
}

#[test]
fn refused() {
    check(vec![says("invalid_client")], "Refused");
    // Any other code ends it (RFC 8628 §3.5).
    check(vec![says("invalid_grant"), granted(&claims())], "Refused");
}

#[test]
fn transport() {
    check(vec![answer(404, &json!({}))], "Transport");
}

#[test]
fn no_device_endpoint() {
    let mut script = Script::new([]);
    script.discovery = discovery(false, true);
    assert_eq!(variant(&script.log_in().unwrap_err()), "NoDeviceEndpoint");
    assert_eq!(script.forms.lock().unwrap().len(), 1);
}

#[test]
fn no_pkce() {
    let mut script = Script::new([]);
    script.discovery = discovery(true, false);
    assert_eq!(variant(&script.log_in().unwrap_err()), "NoPkce");
}

#[test]
fn token_mismatch() {
    for (claim, value) in [("iss", "https://evil.example"), ("aud", "other")] {
        let mut claims = claims();
        claims[claim] = json!(value);
        check(vec![granted(&claims)], "TokenMismatch");
    }
    let mut with_hash = claims();
    with_hash["at_hash"] = json!(at_hash(crate::JwsAlgorithm::Rs256, "another"));
    check(vec![granted(&with_hash)], "TokenMismatch");
    with_hash["at_hash"] = json!(at_hash(crate::JwsAlgorithm::Rs256, "a"));
    check(vec![granted(&with_hash)], "you@example.com");
}

#[test]
fn malformed_device_code() {
    let check = |member: &'static str, value: Value| {
        let mut script = Script::new([granted(&claims())]);
        match value.is_null() {
            true => drop(script.code.as_object_mut().unwrap().remove(member)),
            false => script.code[member] = value.clone(),
        }
        let error = script.log_in().unwrap_err();
        assert_eq!(variant(&error), "MalformedDeviceCode", "{member} {value}");
        // Nothing was polled for.
        assert_eq!(script.forms.lock().unwrap().len(), 2);
    };
    for member in ["device_code", "user_code", "verification_uri", "expires_in"] {
        check(member, Value::Null);
        check(member, json!([]));
    }
    check("user_code", json!("A\u{1b}[2J"));
    check("user_code", json!("A".repeat(MAX_USER_CODE + 1)));
    check("user_code", json!(" "));
    check("interval", json!("5"));
    check("expires_in", json!(-1));
    for url in [
        "http://issuer.example/",
        "javascript:alert(1)",
        "file:///",
        "https://u:p@a.example/",
    ] {
        check("verification_uri", json!(url));
        check("verification_uri_complete", json!(url));
    }
}

#[test]
fn s_56_debug_is_redacted() {
    let config = LoginConfig::new(ISSUER);
    let text = discovery(true, true).to_string();
    let discovery = Discovery::parse(text.as_bytes(), ISSUER).unwrap();
    let request = DeviceRequest::new(&discovery, &config, &CountingRandom::default()).unwrap();
    let response = Response::new(200, Headers::new(), code().to_string().into_bytes());
    let code = request.code_from_answer(response).unwrap();
    assert_eq!(code.page().user_code, "BCDF-GHJK");
    let shown = format!("{request:?} {code:?} {:?}", request.poll_request(&code));
    assert!(!shown.contains("SECRETDEVICECODE"), "{shown}");
    assert!(!shown.contains(request.verifier.as_str()), "{shown}");
}

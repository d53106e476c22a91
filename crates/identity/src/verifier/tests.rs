//! Token verification against an issuer that is good, wrong, slow to rotate, or down.

use serde_json::{Value, json};
use waxseal_transport::{Headers, Request, Response};

use super::*;
use crate::testing::{Answer, FakeTransport, Key, NOW, P256, RSA, answer, at, good_claims, run};
use crate::{IssuerKind, KeySource};

const ISSUER: &str = "https://issuer.example";
const DISCOVERY: &str = "/.well-known/openid-configuration";

fn discovery() -> Value {
    json!({"issuer": ISSUER, "jwks_uri": "https://issuer.example/keys"})
}

/// An issuer that answers as it should.
fn good_issuer(request: &Request) -> Answer {
    match request.url.path() {
        DISCOVERY => answer(200, &discovery()),
        "/keys" => answer(200, &RSA.set().to_json()),
        _ => answer(404, &json!({})),
    }
}

fn verifier(transport: &Arc<FakeTransport>) -> TokenVerifier {
    let config = IssuerConfig::new(
        ISSUER,
        &["sigstore", "https://ca.example"],
        IssuerKind::Email,
    );
    let transport: Arc<dyn Transport> = Arc::<FakeTransport>::clone(transport);
    TokenVerifier::new(waxseal_crypto_aws_lc::provider(), transport, vec![config]).unwrap()
}

fn name(found: &Result<Principal, TokenError>) -> String {
    match found {
        Ok(_) => "ok".to_owned(),
        Err(error) => {
            let text = format!("{error:?}");
            let mut words = text.split([' ', '(', '{', ')']);
            let (first, second) = (words.next().unwrap(), words.next().unwrap_or_default());
            match first {
                "Jws" | "Claim" | "Identity" => format!("{first} {second}"),
                _ => first.to_owned(),
            }
        }
    }
}

fn check(change: impl FnOnce(&mut Value), expected: &str) {
    let mut claims = good_claims();
    change(&mut claims);
    check_payload(claims.to_string().as_bytes(), expected);
}

fn check_payload(payload: &[u8], expected: &str) {
    let found = run(verifier(&FakeTransport::new(good_issuer)).verify(&RSA.sign(payload), at(0)));
    assert_eq!(
        name(&found),
        expected,
        "{}",
        String::from_utf8_lossy(payload)
    );
}

fn remove(claims: &mut Value, name: &str) {
    claims.as_object_mut().unwrap().remove(name);
}

#[test]
fn a_good_token_gives_a_principal() {
    let verifier = verifier(&FakeTransport::new(good_issuer));
    let token = RSA.sign(good_claims().to_string().as_bytes());
    let principal = run(verifier.verify(&token, at(0))).unwrap();
    assert_eq!(principal.identity().as_str(), "you@example.com");
    assert_eq!(principal.expires(), at(60));
}

#[test]
fn jws() {
    let verifier = verifier(&FakeTransport::new(good_issuer));
    for token in ["", "a.b", "a.b.c", &"A".repeat(5 << 20)] {
        let found = run(verifier.verify(token, at(0)));
        assert!(matches!(found, Err(TokenError::Jws(_))));
    }
    // A key of another issuer under the same key id.
    let stranger = Key::generate(waxseal_crypto::SignatureAlgorithm::RsaPkcs1Sha256);
    let payload = good_claims().to_string();
    let kid = RSA.jwk.key_id().unwrap();
    let token = run(crate::sign_jws(&*stranger.signer, kid, payload.as_bytes())).unwrap();
    assert_eq!(name(&run(verifier.verify(&token, at(0)))), "Jws Signature");
    // An algorithm that the issuer does not announce, with a key of its own.
    let found = run(verifier.verify(&P256.sign(payload.as_bytes()), at(0)));
    assert_eq!(name(&found), "Jws AlgorithmNotAllowed");
}

#[test]
fn claim() {
    check_payload(b"[]", "Claim NotJson");
    check_payload(
        b"{\"iss\":\"https://issuer.example\",\"iss\":\"https://issuer.example\"}",
        "Claim NotJson",
    );
    check(|c| remove(c, "iss"), "Claim Missing");
    check(|c| c["iss"] = json!([ISSUER]), "Claim WrongType");
    check(|c| remove(c, "aud"), "Claim Missing");
    check(|c| c["aud"] = json!(7), "Claim WrongType");
    check(|c| c["aud"] = json!(["sigstore", 7]), "Claim WrongType");
    check(
        |c| c["aud"] = json!(vec!["sigstore"; 1000]),
        "Claim TooLong",
    );
    for name in ["exp", "iat"] {
        check(|c| remove(c, name), "Claim Missing");
    }
    for name in ["exp", "iat", "nbf"] {
        for value in [
            json!("never"),
            json!("9999"),
            json!(null),
            json!([]),
            json!({}),
            json!(-1),
            json!(1.5),
            json!(u64::MAX),
        ] {
            check(|c| c[name] = value, "Claim WrongType");
        }
    }
    check(
        |c| (c["aud"], c["azp"]) = (json!(["sigstore", "x"]), json!(7)),
        "Claim WrongType",
    );
}

#[test]
fn unknown_issuer() {
    for issuer in [
        "https://issuer.example/",
        "https://ISSUER.example",
        "https://good@issuer.example",
        "https://issuer.example:443",
        "https://issuer%2eexample",
        "https://issuer.example?",
        "https://issuer.example#",
        "http://issuer.example",
        "https://evil.example/?https://issuer.example",
        "issuer.example",
        "https://169.254.169.254",
    ] {
        let transport = FakeTransport::new(good_issuer);
        let mut claims = good_claims();
        claims["iss"] = json!(issuer);
        let token = RSA.sign(claims.to_string().as_bytes());
        let found = run(verifier(&transport).verify(&token, at(0)));
        assert_eq!(name(&found), "UnknownIssuer", "{issuer}");
        // S-30: a token never makes a request to a place of its own choosing.
        assert!(transport.requests.lock().unwrap().is_empty());
    }
    check(
        |c| c["iss"] = json!("https://issuer.example\n"),
        "Claim ControlCharacters",
    );
}

#[test]
fn wrong_audience() {
    check(|c| c["aud"] = json!("https://ca.example"), "ok");
    check(|c| c["aud"] = json!(["sigstore"]), "ok");
    for audience in [
        json!("other"),
        json!(""),
        json!([]),
        json!(["other"]),
        json!("sigstore "),
        json!("https://ca.example/"),
    ] {
        check(|c| c["aud"] = audience, "WrongAudience");
    }
}

#[test]
fn wrong_authorized_party() {
    let several = json!(["sigstore", "other"]);
    check(|c| c["aud"] = several.clone(), "WrongAuthorizedParty");
    check(
        |c| (c["aud"], c["azp"]) = (several.clone(), json!("other")),
        "WrongAuthorizedParty",
    );
    check(
        |c| (c["aud"], c["azp"]) = (several, json!("sigstore")),
        "ok",
    );
    // With one audience `azp` says only who asked: Google's service accounts put a number there.
    check(|c| c["azp"] = json!("1234567890"), "ok");
}

#[test]
fn expired() {
    check(|c| c["exp"] = json!(NOW), "Expired");
    check(|c| c["exp"] = json!(NOW - 1), "Expired");
    check(|c| c["exp"] = json!(NOW + 1), "ok");
    let mut config = IssuerConfig::new(ISSUER, &["sigstore"], IssuerKind::Email);
    config.leeway = Duration::from_secs(60);
    config.keys = KeySource::Static(RSA.set());
    let verifier = TokenVerifier::new(
        waxseal_crypto_aws_lc::provider(),
        FakeTransport::new(good_issuer),
        vec![config],
    )
    .unwrap();
    let token = RSA.sign(good_claims().to_string().as_bytes());
    assert_eq!(name(&run(verifier.verify(&token, at(119)))), "ok");
    assert_eq!(name(&run(verifier.verify(&token, at(120)))), "Expired");
    // Having been valid a moment ago counts for nothing.
    let fresh = self::verifier(&FakeTransport::new(good_issuer));
    assert_eq!(name(&run(fresh.verify(&token, at(59)))), "ok");
    assert_eq!(name(&run(fresh.verify(&token, at(60)))), "Expired");
}

#[test]
fn not_yet_valid() {
    check(|c| c["nbf"] = json!(NOW + 240), "ok");
    check(|c| c["nbf"] = json!(NOW + 300), "ok");
    check(|c| c["nbf"] = json!(NOW + 301), "NotYetValid");
    check(|c| c["nbf"] = json!(NOW + 360), "NotYetValid");
}

#[test]
fn issued_in_future() {
    check(|c| c["iat"] = json!(NOW + 60), "ok");
    check(|c| c["iat"] = json!(NOW + 61), "IssuedInFuture");
}

#[test]
fn lifetime_too_long() {
    let day = 24 * 3600;
    check(
        |c| (c["iat"], c["exp"]) = (json!(NOW), json!(NOW + day)),
        "ok",
    );
    check(
        |c| (c["iat"], c["exp"]) = (json!(NOW), json!(NOW + day + 1)),
        "LifetimeTooLong",
    );
    check(
        |c| (c["iat"], c["exp"]) = (json!(NOW - 2 * day), json!(NOW + 1)),
        "LifetimeTooLong",
    );
}

#[test]
fn identity() {
    check(
        |c| c["email_verified"] = json!(false),
        "Identity EmailNotVerified",
    );
    check(|c| remove(c, "email"), "Identity Claim");
    check(|c| c["sub"] = json!(""), "Identity Claim");
}

#[test]
fn unknown_key_ids_make_one_fetch() {
    let transport = FakeTransport::new(good_issuer);
    let verifier = verifier(&transport);
    let payload = good_claims().to_string();
    for number in 0..1000 {
        let token = run(crate::sign_jws(
            &*RSA.signer,
            &format!("kid-{number}"),
            payload.as_bytes(),
        ))
        .unwrap();
        assert_eq!(name(&run(verifier.verify(&token, at(0)))), "Jws UnknownKey");
    }
    assert_eq!(transport.count("/keys"), 1);
    // Half a minute later it is worth asking once more, and not twice.
    for second in [29, 30, 31, 59] {
        let token = run(crate::sign_jws(&*RSA.signer, "new", payload.as_bytes())).unwrap();
        assert_eq!(
            name(&run(verifier.verify(&token, at(second)))),
            "Jws UnknownKey"
        );
    }
    assert_eq!(transport.count("/keys"), 2);
}

#[test]
fn a_new_key_is_found_after_rotation() {
    let rotated = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = Arc::clone(&rotated);
    let new = Arc::new(Key::generate(
        waxseal_crypto::SignatureAlgorithm::RsaPkcs1Sha256,
    ));
    let served = Arc::clone(&new);
    let transport = FakeTransport::new(move |request| {
        if request.url.path() == "/keys" && seen.load(std::sync::atomic::Ordering::Relaxed) {
            return answer(200, &served.set().to_json());
        }
        good_issuer(request)
    });
    let verifier = verifier(&transport);
    let payload = good_claims().to_string();
    assert_eq!(
        name(&run(verifier.verify(&RSA.sign(payload.as_bytes()), at(0)))),
        "ok"
    );
    rotated.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(
        name(&run(verifier.verify(&new.sign(payload.as_bytes()), at(10)))),
        "Jws UnknownKey"
    );
    assert_eq!(
        name(&run(verifier.verify(&new.sign(payload.as_bytes()), at(30)))),
        "ok"
    );
}

#[test]
fn keys_outlive_an_outage_for_a_day() {
    let up = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let seen = Arc::clone(&up);
    let transport = FakeTransport::new(move |request| {
        if seen.load(std::sync::atomic::Ordering::Relaxed) {
            good_issuer(request)
        } else {
            answer(503, &json!({}))
        }
    });
    let verifier = verifier(&transport);
    let verify = |seconds: i64| {
        let mut claims = good_claims();
        (claims["iat"], claims["exp"]) = (json!(NOW + seconds), json!(NOW + seconds + 60));
        name(&run(verifier.verify(
            &RSA.sign(claims.to_string().as_bytes()),
            at(seconds),
        )))
    };
    assert_eq!(verify(0), "ok");
    assert_eq!(verify(299), "ok");
    assert_eq!(transport.count("/keys"), 1);
    up.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(verify(300), "ok");
    assert_eq!(verify(24 * 3600 - 1), "ok");
    assert_eq!(verify(24 * 3600), "IssuerUnavailable");
    up.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(verify(24 * 3600 + 30), "ok");
}

/// What an issuer may get wrong, and the error it gives.
fn check_issuer(respond: impl Fn(&Request) -> Answer + Send + Sync + 'static, expected: &str) {
    let transport = FakeTransport::new(respond);
    let token = RSA.sign(good_claims().to_string().as_bytes());
    let found = run(verifier(&transport).verify(&token, at(0)));
    let Err(TokenError::IssuerUnavailable(error)) = found else {
        panic!("{expected}: {found:?}");
    };
    let text = format!("{error:?}");
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn issuer_unavailable() {
    check_issuer(
        |_| answer(500, &json!({})),
        "Discovery(Transport(UnexpectedStatus",
    );
    check_issuer(
        |_| answer(200, &json!({"issuer": "https://issuer.example/"})),
        "Discovery(IssuerMismatch",
    );
    check_issuer(|_| answer(200, &json!({"issuer": ISSUER})), "NoJwksUri");
    check_issuer(
        |request| match request.url.path() {
            "/keys" => answer(404, &json!({})),
            _ => good_issuer(request),
        },
        "Transport(UnexpectedStatus",
    );
    check_issuer(
        |request| match request.url.path() {
            "/keys" => answer(200, &json!({"keys": 7})),
            _ => good_issuer(request),
        },
        "Jwks(Malformed",
    );
    check_issuer(
        |request| match request.url.path() {
            "/keys" => Ok(Response::new(
                200,
                Headers::new(),
                vec![b' '; crate::MAX_JWKS + 1],
            )),
            _ => good_issuer(request),
        },
        "Jwks(TooLong",
    );
}

#[test]
fn s_31_foreign_jwks_uri() {
    for url in [
        "https://evil.example/keys",
        "https://169.254.169.254/keys",
        "http://issuer.example/keys",
        "https://issuer.example:8443/keys",
    ] {
        check_issuer(
            move |_| answer(200, &json!({"issuer": ISSUER, "jwks_uri": url})),
            "ForeignJwksUri",
        );
    }
}

#[test]
fn s_31_requests_are_bounded_and_follow_nothing() {
    let transport = FakeTransport::new(good_issuer);
    let token = RSA.sign(good_claims().to_string().as_bytes());
    run(verifier(&transport).verify(&token, at(0))).unwrap();
    for request in transport.requests.lock().unwrap().iter() {
        assert!(request.max_response <= crate::MAX_JWKS);
        assert!(request.deadline <= Duration::from_secs(10));
        assert_eq!(request.redirects, waxseal_transport::Redirects::Refuse);
        assert!(request.credential.is_none());
    }
}

#[test]
fn tried_recently() {
    let transport = FakeTransport::new(|_| answer(500, &json!({})));
    let verifier = verifier(&transport);
    let token = RSA.sign(good_claims().to_string().as_bytes());
    for _ in 0..100 {
        assert_eq!(
            name(&run(verifier.verify(&token, at(0)))),
            "IssuerUnavailable"
        );
    }
    assert_eq!(transport.count(DISCOVERY), 1);
    let found = run(verifier.verify(&token, at(1)));
    assert!(matches!(
        found,
        Err(TokenError::IssuerUnavailable(KeysError::TriedRecently))
    ));
}

#[test]
fn who_hangs_up_does_not_keep_others_from_the_keys() {
    struct Hanging(Arc<FakeTransport>, std::sync::atomic::AtomicBool);
    impl Transport for Hanging {
        fn send<'a>(&'a self, request: Request) -> waxseal_transport::BoxFuture<'a, Answer> {
            let answer = self.0.send(request);
            if self.1.load(std::sync::atomic::Ordering::Relaxed) {
                return Box::pin(std::future::pending());
            }
            answer
        }
        fn sleep<'a>(&'a self, duration: Duration) -> waxseal_transport::BoxFuture<'a, ()> {
            self.0.sleep(duration)
        }
    }
    let requests = FakeTransport::new(good_issuer);
    let hanging = Arc::new(Hanging(Arc::clone(&requests), true.into()));
    let transport: Arc<dyn Transport> = Arc::<Hanging>::clone(&hanging);
    let config = IssuerConfig::new(ISSUER, &["sigstore"], IssuerKind::Email);
    let provider = waxseal_crypto_aws_lc::provider();
    let verifier = TokenVerifier::new(provider, transport, vec![config]).unwrap();
    let token = RSA.sign(good_claims().to_string().as_bytes());
    for _ in 0..100 {
        let mut abandoned = Box::pin(verifier.verify(&token, at(0)));
        let waker = std::task::Waker::noop();
        let _ = abandoned
            .as_mut()
            .poll(&mut std::task::Context::from_waker(waker));
    }
    assert_eq!(requests.count(DISCOVERY), 1);
    hanging.1.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(name(&run(verifier.verify(&token, at(1)))), "ok");
}

#[test]
fn r_id_18_static_keys_need_no_network() {
    let transport = FakeTransport::new(|_| panic!("no request may be made"));
    let mut config = IssuerConfig::new(ISSUER, &["sigstore"], IssuerKind::Email);
    config.keys = KeySource::Static(RSA.set());
    let provider = waxseal_crypto_aws_lc::provider();
    let verifier = TokenVerifier::new(provider, transport, vec![config]).unwrap();
    let payload = good_claims().to_string();
    assert_eq!(
        name(&run(verifier.verify(&RSA.sign(payload.as_bytes()), at(0)))),
        "ok"
    );
    assert_eq!(
        name(&run(verifier.verify(&P256.sign(payload.as_bytes()), at(0)))),
        "Jws AlgorithmNotAllowed"
    );
    assert!(verifier.replace_static_keys(ISSUER, P256.set()));
    assert_eq!(
        name(&run(verifier.verify(&P256.sign(payload.as_bytes()), at(0)))),
        "ok"
    );
    assert_eq!(
        name(&run(verifier.verify(&RSA.sign(payload.as_bytes()), at(0)))),
        "Jws AlgorithmNotAllowed"
    );
    assert!(!verifier.replace_static_keys("https://other.example", P256.set()));
}

#[test]
fn duplicate_issuer() {
    let config = || IssuerConfig::google(&["sigstore"]);
    let provider = waxseal_crypto_aws_lc::provider();
    let transport = FakeTransport::new(good_issuer);
    let found = TokenVerifier::new(provider, transport, vec![config(), config()]);
    let issuer = "https://accounts.google.com".to_owned();
    assert_eq!(
        found.unwrap_err(),
        IssuerConfigError::DuplicateIssuer { issuer }
    );
}

#[test]
fn an_alias_of_the_issuer_is_the_issuer() {
    let transport = FakeTransport::new(|request| match request.url.as_str() {
        "https://accounts.google.com/.well-known/openid-configuration" => answer(
            200,
            &json!({"issuer": "https://accounts.google.com", "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs"}),
        ),
        "https://www.googleapis.com/oauth2/v3/certs" => answer(200, &RSA.set().to_json()),
        other => panic!("{other}"),
    });
    let provider = waxseal_crypto_aws_lc::provider();
    let verifier = TokenVerifier::new(
        provider,
        transport,
        vec![IssuerConfig::google(&["sigstore"])],
    )
    .unwrap();
    let mut claims = good_claims();
    claims["iss"] = json!("accounts.google.com");
    let found = run(verifier.verify(&RSA.sign(claims.to_string().as_bytes()), at(0))).unwrap();
    assert_eq!(found.issuer(), "https://accounts.google.com");
}

#[test]
fn claims_are_verified_by_the_same_rules_as_principals() {
    let check = |change: fn(&mut Value), expected: &str| {
        let mut claims = good_claims();
        change(&mut claims);
        let token = RSA.sign(claims.to_string().as_bytes());
        let verifier = verifier(&FakeTransport::new(good_issuer));
        let found = run(verifier.verify_claims(&token, at(0)));
        let name = match &found {
            Ok(claims) => format!(
                "ok {:?} {}",
                claims.text("nonce").unwrap(),
                claims.email_verified()
            ),
            Err(error) => format!("{error:?}"),
        };
        assert!(name.starts_with(expected), "{name}");
    };
    check(|claims| claims["nonce"] = json!("n"), "ok Some(\"n\") true");
    // Whether the address counts is the caller's to say.
    check(
        |claims| claims["email_verified"] = json!(false),
        "ok None false",
    );
    check(|claims| claims["aud"] = json!("other"), "WrongAudience");
    check(
        |claims| claims["iss"] = json!("https://evil.example"),
        "UnknownIssuer",
    );
    check(|claims| claims["exp"] = json!(NOW), "Expired");
    check(|claims| remove(claims, "iat"), "Claim(Missing");
}

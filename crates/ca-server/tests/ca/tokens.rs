//! Tokens that get no certificate: always 400, code 3, one message, and nothing logged.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::world::*;

async fn refused(world: &World, token: &str, reason: &str) {
    let answer = world.ask_with_token(token).await;
    answer.check(400, 3, TOKEN_MESSAGE, reason);
    let shown = token.get(..200).unwrap_or(token);
    assert_eq!(world.submissions(), 0, "{shown}");
}

async fn check(world: &World, change: impl FnOnce(&mut Value), reason: &str) {
    let mut claims = claims();
    change(&mut claims);
    refused(world, &RSA.sign(&claims).await, reason).await;
}

fn header(kid: &str) -> String {
    format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#)
}

#[tokio::test]
async fn no_token() {
    let world = World::new().await;
    let body = key_body(&*p256(), "alice@example.com");
    world
        .post(None, &body)
        .await
        .check(400, 3, TOKEN_MESSAGE, "TOKEN_MISSING");
    let mut empty = body.clone();
    empty["credentials"] = json!({"oidcIdentityToken": ""});
    world
        .post(None, &empty)
        .await
        .check(400, 3, TOKEN_MESSAGE, "TOKEN_MISSING");
}

#[tokio::test]
async fn issuers_and_audiences() {
    let world = World::new().await;
    for issuer in [
        "https://evil.example",
        "http://localhost:8383/auth/",
        "http://LOCALHOST:8383/auth",
        "http://good@localhost:8383/auth",
        "http://localhost:8383/auth?x",
        "http://localhost:8383",
        "http://localhost:8383/auth#x",
        "http://localhost:8383/%61uth",
        "http://127.0.0.1:8383/auth",
    ] {
        check(
            &world,
            |c| c["iss"] = json!(issuer),
            "ISSUER_NOT_CONFIGURED",
        )
        .await;
    }
    check(
        &world,
        |c| c["iss"] = json!("http://localhost:8383/auth\n"),
        "TOKEN_REFUSED",
    )
    .await;
    check(
        &world,
        |c| c["iss"] = json!(["http://localhost:8383/auth"]),
        "TOKEN_REFUSED",
    )
    .await;
    for audience in [
        json!("other"),
        json!([]),
        json!(["other"]),
        json!("Sigstore"),
        json!(""),
    ] {
        check(&world, |c| c["aud"] = audience, "TOKEN_AUDIENCE").await;
    }
    let many: Vec<_> = (0..1000).map(|n| n.to_string()).collect();
    check(&world, |c| c["aud"] = json!(many), "TOKEN_REFUSED").await;
    check(
        &world,
        |c| c["aud"] = json!(["sigstore", "other"]),
        "TOKEN_REFUSED",
    )
    .await;
    check(
        &world,
        |c| drop(c.as_object_mut().unwrap().remove("aud")),
        "TOKEN_REFUSED",
    )
    .await;
    // Both of ours are good, alone and in an array.
    for audience in [json!("sigstore"), json!(URL), json!([URL])] {
        let mut claims = claims();
        claims["aud"] = audience;
        world.leaf(&world.ask_with_token(&RSA.sign(&claims).await).await);
    }
    // Nobody was asked anything: an unlisted issuer selects no URL (S-30).
    assert_eq!(world.net.issuer_fetches.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn s_30_an_unlisted_issuer_makes_no_request() {
    let world = World::new().await;
    for issuer in [
        "http://localhost?issuer=https://remote.example",
        "https://remote.example.evil.example",
        "https://remote.example/redirect/https://remote.example",
        "https://remote.example@evil",
        "http://169.254.169.254/latest",
    ] {
        check(
            &world,
            |c| c["iss"] = json!(issuer),
            "ISSUER_NOT_CONFIGURED",
        )
        .await;
    }
    assert!(world.net.urls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn s_31_keys_come_by_discovery_once() {
    let world = World::new().await;
    let mut claims = claims();
    claims["iss"] = json!("https://remote.example");
    check_ok(&world, &claims, "only-this").await;
    // Its own audience, not ours: it was configured so.
    claims["aud"] = json!("sigstore");
    let answer = world.ask_with_token(&RSA.sign(&claims).await).await;
    answer.check(400, 3, TOKEN_MESSAGE, "TOKEN_AUDIENCE");
    // A thousand made-up key ids make no further request within the interval.
    for number in 0..100 {
        let token = RSA.sign_raw(&header(&number.to_string()), &claims.to_string());
        let answer = world.ask_with_token(&token).await;
        answer.check(400, 3, TOKEN_MESSAGE, "TOKEN_REFUSED");
    }
    assert_eq!(world.net.issuer_fetches.load(Ordering::Relaxed), 2);
}

async fn check_ok(world: &World, claims: &Value, audience: &str) {
    let mut claims = claims.clone();
    claims["aud"] = json!(audience);
    world.leaf(&world.ask_with_token(&RSA.sign(&claims).await).await);
    world.net.submissions.lock().unwrap().clear();
}

#[tokio::test]
async fn s_32_dots_and_sizes_are_bounded() {
    let world = World::new().await;
    let good = token().await;
    let part = |length: usize| "A".repeat(length);
    for token in [
        ".".repeat(10_000),
        ".".repeat(50_000),
        "..".into(),
        "a.b".into(),
        "a.b.c.d".into(),
        part(40_000),
        format!("{}..", part(10_000)),
        good.replace('.', ""),
        format!("{good}."),
        format!("{good}="),
        format!(" .{good}"),
    ] {
        refused(&world, &token, "TOKEN_REFUSED").await;
    }
}

#[tokio::test]
async fn s_33_headers_that_choose_keys_or_hide_payloads() {
    let world = World::new().await;
    let kid = RSA.kid();
    for extra in [
        r#""jku":"https://evil.example""#,
        r#""x5u":"https://evil.example""#,
        r#""x5c":[]"#,
        r#""jwk":{}"#,
        r#""crit":["exp"]"#,
        r#""zip":"DEF""#,
        r#""b64":false"#,
        r#""alg":"RS256""#,
        r#""kid":7"#,
    ] {
        let header = format!(r#"{{"alg":"RS256","kid":"{kid}",{extra}}}"#);
        refused(
            &world,
            &RSA.sign_raw(&header, &claims().to_string()),
            "TOKEN_REFUSED",
        )
        .await;
    }
    // JWE has five parts; the JSON serialisation has none.
    refused(&world, "eyJhbGciOiJkaXIifQ..a.b.c", "TOKEN_REFUSED").await;
    refused(&world, r#"{"payload":"","signatures":[]}"#, "TOKEN_REFUSED").await;
}

#[tokio::test]
async fn s_34_a_date_of_the_wrong_type_is_refused() {
    let world = World::new().await;
    for claim in ["exp", "nbf", "iat"] {
        for value in [
            json!("never"),
            json!("9999999999"),
            json!(null),
            json!([]),
            json!({}),
            json!(-1),
            json!(9_223_372_036_854_775_808_u64),
            json!(1.5),
            json!(true),
        ] {
            check(&world, |c| c[claim] = value, "TOKEN_REFUSED").await;
        }
        let payload = claims()
            .to_string()
            .replacen('{', &format!("{{\"{claim}\":1e400,"), 1);
        refused(
            &world,
            &RSA.sign_raw(&header(RSA.kid()), &payload),
            "TOKEN_REFUSED",
        )
        .await;
    }
    for claim in ["exp", "iat"] {
        check(
            &world,
            |c| drop(c.as_object_mut().unwrap().remove(claim)),
            "TOKEN_REFUSED",
        )
        .await;
    }
}

#[tokio::test]
async fn dates() {
    let world = World::new().await;
    check(&world, |c| c["exp"] = json!(NOW), "TOKEN_EXPIRED").await;
    check(&world, |c| c["exp"] = json!(NOW - 1000), "TOKEN_EXPIRED").await;
    check(
        &world,
        |c| c["nbf"] = json!(NOW + 360),
        "TOKEN_NOT_YET_VALID",
    )
    .await;
    check(
        &world,
        |c| c["iat"] = json!(NOW + 61),
        "TOKEN_NOT_YET_VALID",
    )
    .await;
    check(&world, |c| c["exp"] = json!(NOW + 90_000), "TOKEN_REFUSED").await;
    for (claim, value) in [("exp", NOW + 1), ("nbf", NOW + 240), ("iat", NOW + 60)] {
        let mut claims = claims();
        claims["exp"] = json!(NOW + 300);
        claims[claim] = json!(value);
        world.leaf(&world.ask_with_token(&RSA.sign(&claims).await).await);
    }
    // A token that was good expires with the clock.
    let token = token().await;
    world.leaf(&world.ask_with_token(&token).await);
    world.set_time(60);
    world
        .ask_with_token(&token)
        .await
        .check(400, 3, TOKEN_MESSAGE, "TOKEN_EXPIRED");
}

#[tokio::test]
async fn s_35_the_token_does_not_choose_its_algorithm() {
    let world = World::new().await;
    let (kid, claims) = (RSA.kid(), claims().to_string());
    for alg in [
        "none", "None", "NONE", "nOnE", "", "HS256", "HS512", "PS256", "RS512", "ES256",
    ] {
        let header = format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#);
        refused(&world, &RSA.sign_raw(&header, &claims), "TOKEN_REFUSED").await;
        let unsigned = format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(&header),
            URL_SAFE_NO_PAD.encode(&claims)
        );
        refused(&world, &unsigned, "TOKEN_REFUSED").await;
    }
    refused(
        &world,
        &RSA.sign_raw(&format!(r#"{{"kid":"{kid}"}}"#), &claims),
        "TOKEN_REFUSED",
    )
    .await;
    // RS256 over the key of an ES256 issuer, and the other way round.
    let mut builds: Value = serde_json::from_str(&claims).unwrap();
    builds["iss"] = json!("https://builds.example");
    let token = RSA.sign_raw(&header(ES256.kid()), &builds.to_string());
    refused(&world, &token, "TOKEN_REFUSED").await;
    let header = format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#);
    refused(&world, &ES256.sign_raw(&header, &claims), "TOKEN_REFUSED").await;
    // Another issuer's key under the right key id.
    let stranger = TokenKey::generate(waxseal_crypto::SignatureAlgorithm::RsaPkcs1Sha256);
    let header = format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#);
    refused(
        &world,
        &stranger.sign_raw(&header, &claims),
        "TOKEN_REFUSED",
    )
    .await;
}

#[tokio::test]
async fn payloads() {
    let world = World::new().await;
    let claims = claims().to_string();
    for payload in [
        "",
        "[]",
        "null",
        "{",
        &format!("{claims}x"),
        &claims.replacen('{', "{\"sub\":\"x\",", 1),
        &format!("{}{}", "[".repeat(3000), "]".repeat(3000)),
        "\u{feff}{}",
    ] {
        refused(
            &world,
            &RSA.sign_raw(&header(RSA.kid()), payload),
            "TOKEN_REFUSED",
        )
        .await;
    }
    let good = token().await;
    let parts: Vec<&str> = good.split('.').collect();
    let standard = STANDARD.encode(claims.as_bytes());
    for token in [
        format!("{}.{standard}.{}", parts[0], parts[2]),
        format!("{}.{}.{}=", parts[0], parts[1], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!(
            "{}.{}.{}",
            parts[0],
            parts[1],
            URL_SAFE_NO_PAD.encode([0; 256])
        ),
        format!(
            "{}.{}.{}",
            parts[0],
            URL_SAFE_NO_PAD.encode([0xff; 40]),
            parts[2]
        ),
    ] {
        refused(&world, &token, "TOKEN_REFUSED").await;
    }
}

#[tokio::test]
async fn email_not_verified() {
    let world = World::new().await;
    for value in [
        json!(false),
        json!("false"),
        json!(1),
        json!("1"),
        json!(null),
        json!([true]),
    ] {
        check(
            &world,
            |c| c["email_verified"] = value,
            "EMAIL_NOT_VERIFIED",
        )
        .await;
    }
    let absent = |c: &mut Value| drop(c.as_object_mut().unwrap().remove("email_verified"));
    check(&world, absent, "EMAIL_NOT_VERIFIED").await;
    check(
        &world,
        |c| drop(c.as_object_mut().unwrap().remove("email")),
        "TOKEN_REFUSED",
    )
    .await;
    check(&world, |c| c["sub"] = json!(""), "TOKEN_REFUSED").await;
}

#[tokio::test]
async fn s_46_names_that_a_certificate_cannot_carry() {
    let world = World::new().await;
    let long = format!("{}@example.com", "a".repeat(5_000));
    for email in [
        "",
        "alice",
        "alice@",
        "@example.com",
        "a@b@example.com",
        "älice@example.com",
        "alice@exämple.com",
        "alice@example.com\u{0}.evil",
        "alice\r\nBcc: b@example.com",
        "alice@example.com,bob@example.com",
        "\"alice\"@example.com",
        "alice@example.com\n",
        &long,
    ] {
        check(&world, |c| c["email"] = json!(email), "TOKEN_REFUSED").await;
    }
    let long = format!("https://builds.example/{}", "a".repeat(3_000));
    for subject in [
        "",
        "builds.example",
        "https://evil.example/x",
        "http://builds.example/x",
        "https://builds.example/ä",
        "https://builds.example/a b",
        "https://builds.example/\u{0}",
        "https://builds.example/\n",
        "https://u@builds.example/",
        "https://BUILDS.example/x",
        "https://builds.example/a/../b",
        "alice@example.com",
        &long,
    ] {
        let mut claims = claims();
        claims["iss"] = json!("https://builds.example");
        claims["sub"] = json!(subject);
        refused(&world, &ES256.sign(&claims).await, "TOKEN_REFUSED").await;
    }
}

#[tokio::test]
async fn keys_are_rotated() {
    let world = World::new().await;
    let next = TokenKey::generate(waxseal_crypto::SignatureAlgorithm::EcdsaP256Sha256);
    refused(&world, &next.sign(&claims()).await, "TOKEN_REFUSED").await;
    assert!(world.ca.replace_static_keys(ISSUER, next.set()));
    world.leaf(&world.ask_with_token(&next.sign(&claims()).await).await);
    assert!(
        !world
            .ca
            .replace_static_keys("https://remote.example", next.set())
    );
}

//! The device flow (RFC 8628): as cosign speaks it, and as somebody would abuse it.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::world::{
    Answer, Browser, Pkce, World, claims_of, encode, outbox, post, smtp, world, wrong,
};

const YOU: &str = "you@example.com";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The form by which a device asks for its codes; `-` leaves a parameter out.
async fn ask_with(world: &World, changes: &[(&str, &str)]) -> Answer {
    let challenge = Pkce::default().challenge();
    let mut form = vec![
        ("client_id", "sigstore"),
        ("scope", "openid email"),
        ("code_challenge_method", "S256"),
        ("code_challenge", &challenge),
    ];
    for (name, value) in changes {
        form.retain(|(known, _)| known != name);
        if *value != "-" {
            form.push((name, value));
        }
    }
    world.send(post("/auth/device/code", &encode(&form))).await
}

/// A device's codes.
pub(crate) struct Codes {
    pub(crate) device: String,
    pub(crate) user: String,
}

pub(crate) async fn ask(world: &World) -> Codes {
    let answer = ask_with(world, &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
    let text = |name: &str| answer.json()[name].as_str().unwrap().to_owned();
    Codes {
        device: text("device_code"),
        user: text("user_code"),
    }
}

/// One poll, byte for byte as cosign makes it: no client, and the scope twice.
pub(crate) async fn poll(world: &World, codes: &Codes) -> Answer {
    poll_with(world, &codes.device, &Pkce::default().verifier, &[]).await
}

async fn poll_with(
    world: &World,
    device_code: &str,
    verifier: &str,
    more: &[(&str, &str)],
) -> Answer {
    let mut form = vec![
        ("grant_type", DEVICE_CODE),
        ("device_code", device_code),
        ("scope", "openid"),
        ("scope", "email"),
        ("code_verifier", verifier),
    ];
    form.extend(more);
    world.send(post("/auth/token", &encode(&form))).await
}

#[track_caller]
fn refused(answer: &Answer, error: &str) {
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
    assert_eq!(answer.json()["error"], json!(error));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.json().get("id_token").is_none());
}

/// Types the code; gives the request's secret from the page that asks to confirm.
async fn type_code(world: &World, browser: &mut Browser, user_code: &str) -> String {
    let form = [("user_code", user_code)];
    let answer = browser
        .post(world, "/auth/device/auth/verify_code", &form)
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let location = answer.header("location").to_owned();
    let page = browser.get(world, &location).await;
    assert_eq!(page.status, StatusCode::OK);
    page.input("request")
}

async fn answer_page(world: &World, browser: &mut Browser, request: &str, answer: &str) -> Answer {
    let form = [("request", request), ("answer", answer)];
    browser.post(world, "/auth/device/confirm", &form).await
}

/// Types the code, agrees, and asks for a code by mail.
pub(crate) async fn on_the_way(world: &World, user_code: &str) -> (Browser, String) {
    let mut browser = Browser::default();
    let request = type_code(world, &mut browser, user_code).await;
    let agreed = answer_page(world, &mut browser, &request, "continue").await;
    assert_eq!(
        agreed.header("location"),
        format!("/auth/auth/email?request={request}")
    );
    browser.ask(world, &request, YOU).await;
    (browser, request)
}

/// The whole of it; the page that the person sees at the end.
async fn finish(world: &World, user_code: &str) -> Answer {
    let (mut browser, request) = on_the_way(world, user_code).await;
    let code = world.last_code().await;
    browser.type_code(world, &request, &code).await
}

fn claims(answer: &Answer) -> Value {
    claims_of(answer.json()["id_token"].as_str().unwrap())
}

#[tokio::test]
async fn cosign_s_device_flow() {
    let world = world(outbox()).await;
    let discovery = world.get("/auth/.well-known/openid-configuration").await;
    let endpoint = "http://localhost:8383/auth/device/code";
    assert_eq!(
        discovery.json()["device_authorization_endpoint"],
        json!(endpoint)
    );
    let begun = ask_with(&world, &[]).await.json();
    assert_eq!(begun["expires_in"], json!(600));
    assert_eq!(begun["interval"], json!(5));
    let uri = "http://localhost:8383/auth/device";
    assert_eq!(begun["verification_uri"], json!(uri));
    let user_code = begun["user_code"].as_str().unwrap();
    assert_eq!(
        begun["verification_uri_complete"],
        json!(format!("{uri}?user_code={user_code}"))
    );
    let codes = Codes {
        device: begun["device_code"].as_str().unwrap().to_owned(),
        user: user_code.to_owned(),
    };
    // The first poll comes at once.
    refused(&poll(&world, &codes).await, "authorization_pending");
    let done = finish(&world, &codes.user).await;
    assert_eq!(done.status, StatusCode::OK);
    assert!(done.body.contains("You are logged in"), "{}", done.body);
    world.advance(5);
    let tokens = poll(&world, &codes).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
    assert_eq!(claims(&tokens)["email"], json!(YOU));
    assert_eq!(claims(&tokens)["aud"], json!("sigstore"));
    assert!(claims(&tokens).get("nonce").is_none());
    assert!(tokens.json()["access_token"].is_string());
    // The code is used up.
    refused(&poll(&world, &codes).await, "invalid_grant");
}

#[tokio::test]
async fn a_client_that_names_itself_logs_in_too() {
    let world = world(outbox()).await;
    let codes = ask(&world).await;
    finish(&world, &codes.user).await;
    let verifier = Pkce::default().verifier;
    let named = [("client_id", "sigstore")];
    let tokens = poll_with(&world, &codes.device, &verifier, &named).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
}

#[tokio::test]
async fn bad_requests_for_codes() {
    let world = world(outbox()).await;
    let check = async |changes: &[(&str, &str)], status: StatusCode, error: &str| {
        let answer = ask_with(&world, changes).await;
        assert_eq!(answer.status, status, "{changes:?}");
        assert_eq!(answer.json()["error"], json!(error), "{changes:?}");
    };
    let bad = StatusCode::BAD_REQUEST;
    for client in ["-", "other", ""] {
        let changes = [("client_id", client)];
        check(&changes, StatusCode::UNAUTHORIZED, "invalid_client").await;
    }
    let secret = [("client_secret", "x")];
    check(&secret, StatusCode::UNAUTHORIZED, "invalid_client").await;
    for scope in ["-", "email", "openidx"] {
        check(&[("scope", scope)], bad, "invalid_scope").await;
    }
    for method in ["-", "plain", "s256"] {
        check(&[("code_challenge_method", method)], bad, "invalid_request").await;
    }
    for challenge in ["-", "short", &"c".repeat(44), &"+".repeat(43)] {
        check(&[("code_challenge", challenge)], bad, "invalid_request").await;
    }
    let twice = "client_id=sigstore&client_id=sigstore&scope=openid";
    let answer = world.send(post("/auth/device/code", twice)).await;
    assert_eq!(answer.json()["error"], json!("invalid_request"));
    let get = world.get("/auth/device/code").await;
    assert_eq!(get.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn bad_polls() {
    let world = world(outbox()).await;
    let codes = ask(&world).await;
    finish(&world, &codes.user).await;
    let verifier = Pkce::default().verifier;
    let poll = async |device: &str, verifier: &str, more: &[(&str, &str)]| {
        poll_with(&world, device, verifier, more).await
    };
    refused(&poll("", &verifier, &[]).await, "invalid_request");
    refused(&poll("unknown", &verifier, &[]).await, "invalid_grant");
    refused(&poll(&codes.user, &verifier, &[]).await, "invalid_grant");
    refused(&poll(&codes.device, "", &[]).await, "invalid_request");
    let short = "v".repeat(42);
    refused(&poll(&codes.device, &short, &[]).await, "invalid_request");
    let other = "w".repeat(43);
    refused(&poll(&codes.device, &other, &[]).await, "invalid_grant");
    let twice = [("device_code", codes.device.as_str())];
    refused(
        &poll(&codes.device, &verifier, &twice).await,
        "invalid_request",
    );
    for more in [
        [("client_id", "other")],
        [("client_secret", "x")],
        [("client_id", "sigstore2")],
    ] {
        let answer = poll(&codes.device, &verifier, &more).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json()["error"], json!("invalid_client"));
    }
    // None of these used the code up.
    let answer = poll(&codes.device, &verifier, &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_repeated_scope_is_for_devices_only() {
    let world = world(outbox()).await;
    let code = world.log_in(YOU).await;
    let pkce = Pkce::default();
    let mut form = pkce.form(&code).to_vec();
    form.extend([("scope", "openid"), ("scope", "email")]);
    refused(&world.token(&form).await, "invalid_request");
}

#[tokio::test]
async fn poll_too_fast() {
    let world = world(outbox()).await;
    let codes = ask(&world).await;
    refused(&poll(&world, &codes).await, "authorization_pending");
    refused(&poll(&world, &codes).await, "slow_down");
    world.advance(9);
    refused(&poll(&world, &codes).await, "slow_down");
    world.advance(15);
    refused(&poll(&world, &codes).await, "authorization_pending");
    world.advance(5);
    refused(&poll(&world, &codes).await, "authorization_pending");
    // Who has been answered is not made to wait.
    finish(&world, &codes.user).await;
    assert_eq!(poll(&world, &codes).await.status, StatusCode::OK);
}

#[tokio::test]
async fn approve_twice() {
    let world = world(outbox()).await;
    let codes = ask(&world).await;
    // Two people are on their way with one code; the first to finish is the one.
    let (mut first, first_request) = on_the_way(&world, &codes.user).await;
    let first_code = world.last_code().await;
    let (mut second, second_request) = on_the_way(&world, &codes.user).await;
    let second_code = world.last_code().await;
    let done = first.type_code(&world, &first_request, &first_code).await;
    assert_eq!(done.status, StatusCode::OK);
    let late = second
        .type_code(&world, &second_request, &second_code)
        .await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST);
    assert!(late.body.contains("waits no longer"), "{}", late.body);
    assert_eq!(poll(&world, &codes).await.status, StatusCode::OK);
    refused(&poll(&world, &codes).await, "invalid_grant");
    // And the code brings nobody any further.
    let form = [("user_code", codes.user.as_str())];
    let again = Browser::default()
        .post(&world, "/auth/device/auth/verify_code", &form)
        .await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn deny() {
    let world = world(outbox()).await;
    let codes = ask(&world).await;
    let mut browser = Browser::default();
    let request = type_code(&world, &mut browser, &codes.user).await;
    let page = answer_page(&world, &mut browser, &request, "refuse").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("Refused"));
    assert!(browser.cookies.is_empty());
    refused(&poll(&world, &codes).await, "access_denied");
    refused(&poll(&world, &codes).await, "access_denied");
    let after = answer_page(&world, &mut browser, &request, "continue").await;
    assert_eq!(after.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn cancelling_the_log_in_denies() {
    let world = world(outbox()).await;
    let codes = ask(&world).await;
    let (mut browser, request) = on_the_way(&world, &codes.user).await;
    let form = [("request", request.as_str())];
    let page = browser.post(&world, "/auth/auth/email/cancel", &form).await;
    assert_eq!(page.status, StatusCode::OK);
    refused(&poll(&world, &codes).await, "access_denied");
}

#[tokio::test]
async fn no_answer_is_a_refusal() {
    let world = world(outbox()).await;
    for answer in ["", "yes", "Continue", "continue "] {
        let codes = ask(&world).await;
        let mut browser = Browser::default();
        let request = type_code(&world, &mut browser, &codes.user).await;
        answer_page(&world, &mut browser, &request, answer).await;
        refused(&poll(&world, &codes).await, "access_denied");
    }
}

#[tokio::test]
async fn expired() {
    let world = world(outbox()).await;
    let codes = ask(&world).await;
    let (mut browser, request) = on_the_way(&world, &codes.user).await;
    let code = world.last_code().await;
    world.advance(599);
    refused(&poll(&world, &codes).await, "authorization_pending");
    world.advance(1);
    refused(&poll(&world, &codes).await, "expired_token");
    // Who finishes too late is told so, and the device gets nothing.
    let asked = browser.ask(&world, &request, YOU).await;
    assert_eq!(asked.status, StatusCode::SEE_OTHER);
    let fresh = world.last_code().await;
    assert_ne!(code, fresh);
    let late = browser.type_code(&world, &request, &fresh).await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST);
    refused(&poll(&world, &codes).await, "expired_token");
    let form = [("user_code", codes.user.as_str())];
    let typed = Browser::default()
        .post(&world, "/auth/device/auth/verify_code", &form)
        .await;
    assert_eq!(typed.status, StatusCode::BAD_REQUEST);
    // An approval that nobody fetched ends with the code too.
    let codes = ask(&world).await;
    finish(&world, &codes.user).await;
    world.advance(600);
    refused(&poll(&world, &codes).await, "expired_token");
    world.advance(600);
    refused(&poll(&world, &codes).await, "invalid_grant");
}

#[tokio::test]
async fn user_code_brute_force() {
    let world = world(smtp()).await;
    let codes = ask(&world).await;
    let mut guesser = Browser {
        address: "192.0.2.1".parse().ok(),
        ..Browser::default()
    };
    let guess = [("user_code", "BBBB-BBBB")];
    for _ in 0..20 {
        let answer = guesser
            .post(&world, "/auth/device/auth/verify_code", &guess)
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.body.contains("No device waits with this code"));
    }
    // From now on not even the right one, from this address and for an hour.
    let right = [("user_code", codes.user.as_str())];
    for guess in [guess, right] {
        let answer = guesser
            .post(&world, "/auth/device/auth/verify_code", &guess)
            .await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 3000);
    }
    // Others go on; and what is no code costs nothing.
    let mut other = Browser {
        address: "192.0.2.2".parse().ok(),
        ..Browser::default()
    };
    for nonsense in ["", "AAAA-AAAA", "BCDF", "<script>"] {
        let form = [("user_code", nonsense)];
        for _ in 0..10 {
            let answer = other
                .post(&world, "/auth/device/auth/verify_code", &form)
                .await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST);
            assert!(answer.body.contains("eight letters"));
            assert!(!answer.body.contains("<script"));
        }
    }
    type_code(&world, &mut other, &codes.user).await;
}

#[tokio::test]
async fn devices_are_limited_per_client() {
    let limited = world(smtp()).await;
    for _ in 0..120 {
        ask(&limited).await;
    }
    let answer = ask_with(&limited, &[]).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.json()["error"], json!("slow_down"));
    assert_eq!(answer.header("retry-after"), "3600");
    // On one machine there is nobody to keep out.
    let free = world(outbox()).await;
    for _ in 0..121 {
        ask(&free).await;
    }
}

#[tokio::test]
async fn case_and_dash_variants() {
    let world = world(outbox()).await;
    let codes = ask(&world).await;
    assert_eq!(codes.user.len(), 9);
    for typed in [
        codes.user.clone(),
        codes.user.to_lowercase(),
        codes.user.replace('-', ""),
        format!(" {} ", codes.user.replace('-', " ")),
    ] {
        type_code(&world, &mut Browser::default(), &typed).await;
    }
}

#[tokio::test]
async fn a_link_that_is_followed_does_not_approve() {
    let world = world(outbox()).await;
    let codes = ask(&world).await;
    let mut browser = Browser::default();
    let link = format!("/auth/device?user_code={}", codes.user);
    for _ in 0..3 {
        let page = browser.get(&world, &link).await;
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(page.input("user_code"), codes.user);
        assert!(page.body.contains("Compare this code"));
    }
    assert!(browser.cookies.is_empty());
    let request = type_code(&world, &mut browser, &codes.user).await;
    for _ in 0..3 {
        let page = browser
            .get(&world, &format!("/auth/device/confirm?request={request}"))
            .await;
        assert_eq!(page.status, StatusCode::OK);
    }
    for path in [
        format!("/auth/device/confirm?request={request}&answer=continue"),
        format!("/auth/device/auth/verify_code?user_code={}", codes.user),
    ] {
        browser.get(&world, &path).await;
    }
    // Nothing was agreed to: the log-in does not go on, and the device waits.
    let page = browser
        .get(&world, &format!("/auth/auth/email?request={request}"))
        .await;
    assert_eq!(
        page.header("location"),
        format!("/auth/device/confirm?request={request}")
    );
    let asked = browser.ask(&world, &request, YOU).await;
    assert_eq!(asked.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.mail_count().await, 0);
    refused(&poll(&world, &codes).await, "authorization_pending");
}

#[tokio::test]
async fn callback_with_another_browser_s_state() {
    let world = world(outbox()).await;
    let codes = ask(&world).await;
    let mut owner = Browser::default();
    let request = type_code(&world, &mut owner, &codes.user).await;
    let mut thief = Browser::default();
    for answer in ["continue", "refuse"] {
        let page = answer_page(&world, &mut thief, &request, answer).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
    }
    let page = thief
        .get(&world, &format!("/auth/device/confirm?request={request}"))
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(!page.body.contains("Asked from"));
    refused(&poll(&world, &codes).await, "authorization_pending");
    // A log-in of another flow has nothing to confirm.
    let mut other = Browser::default();
    let log_in = other.begin(&world, &Pkce::default().query()).await;
    let page = answer_page(&world, &mut other, &log_in, "continue").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_page_says_who_asks_and_from_where() {
    let world = world(smtp()).await;
    let challenge = Pkce::default().challenge();
    let form = encode(&[
        ("client_id", "sigstore"),
        ("scope", "openid"),
        ("code_challenge_method", "S256"),
        ("code_challenge", &challenge),
    ]);
    let mut device = Browser {
        address: "203.0.113.9".parse().ok(),
        ..Browser::default()
    };
    let begun = device.send(&world, post("/auth/device/code", &form)).await;
    let user_code = begun.json()["user_code"].as_str().unwrap().to_owned();
    world.advance(130);
    let mut person = Browser {
        address: "198.51.100.7".parse().ok(),
        ..Browser::default()
    };
    let request = type_code(&world, &mut person, &user_code).await;
    let page = person
        .get(&world, &format!("/auth/device/confirm?request={request}"))
        .await;
    for part in [
        "<dd>sigstore</dd>",
        "203.0.113.9",
        "198.51.100.7",
        "2026-01-01T00:00:00Z, 2 minutes ago",
        "Go on only if you started this yourself",
    ] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let same_place = Browser {
        address: "203.0.113.9".parse().ok(),
        cookies: person.cookies.clone(),
    }
    .get(&world, &format!("/auth/device/confirm?request={request}"))
    .await;
    assert!(!same_place.body.contains("You are at"));
    // One machine has several addresses of its own.
    let form = encode(&[
        ("client_id", "sigstore"),
        ("scope", "openid"),
        ("code_challenge_method", "S256"),
        ("code_challenge", &challenge),
    ]);
    let mut here = Browser {
        address: "127.0.0.1".parse().ok(),
        ..Browser::default()
    };
    let begun = here.send(&world, post("/auth/device/code", &form)).await;
    here.address = "::1".parse().ok();
    let user_code = begun.json()["user_code"].as_str().unwrap().to_owned();
    let request = type_code(&world, &mut here, &user_code).await;
    let page = here
        .get(&world, &format!("/auth/device/confirm?request={request}"))
        .await;
    assert!(!page.body.contains("You are at"), "{}", page.body);
}

#[tokio::test]
async fn wrong_mail_codes_count_here_too() {
    let world = world(outbox()).await;
    let codes = ask(&world).await;
    let (mut browser, request) = on_the_way(&world, &codes.user).await;
    let code = world.last_code().await;
    for _ in 0..5 {
        let page = browser.type_code(&world, &request, &wrong(&code)).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
    }
    let page = browser.type_code(&world, &request, &code).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    refused(&poll(&world, &codes).await, "authorization_pending");
}

#[tokio::test]
async fn no_device_code_is_kept_and_none_leaves_the_broker() {
    let world = world(outbox()).await;
    let codes = ask(&world).await;
    let (mut browser, request) = on_the_way(&world, &codes.user).await;
    let letters = codes.user.replace('-', "");
    for secret in [&codes.device, &codes.user, &letters, &request] {
        assert!(!world.store.text().contains(secret.as_str()), "{secret}");
    }
    let code = world.last_code().await;
    let done = browser.type_code(&world, &request, &code).await;
    // The authorization code of the log-in is used up inside: no page, no address bar has it.
    assert!(done.parameter("code").is_none());
    assert!(!done.body.contains("value="), "{}", done.body);
}

#[tokio::test]
async fn concurrency_race_of_two_polls() {
    let world = world(outbox()).await;
    let codes = ask(&world).await;
    finish(&world, &codes.user).await;
    let (a, b) = tokio::join!(poll(&world, &codes), poll(&world, &codes));
    let won = [a, b]
        .iter()
        .filter(|answer| answer.status == StatusCode::OK)
        .count();
    assert_eq!(won, 1);
}

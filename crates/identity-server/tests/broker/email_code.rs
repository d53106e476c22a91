//! The e-mail code under attack (authority.md §2.6 and §7.6, OTP).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;

use crate::world::{Browser, Pkce, World, outbox, smtp, world, wrong};

const YOU: &str = "you@example.com";

/// A browser that has asked for a code, its request, and the code.
async fn asked(world: &World, address: &str) -> (Browser, String, String) {
    let mut browser = Browser::default();
    let page = browser.begin(world, &Pkce::default().query()).await;
    let answer = browser.ask(world, &page, address).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let code = world.last_code().await;
    (browser, page, code)
}

fn granted(answer: &crate::world::Answer) -> bool {
    answer.status == StatusCode::SEE_OTHER && answer.parameter("code").is_some()
}

#[tokio::test]
async fn the_right_code_logs_in() {
    let world = world(smtp()).await;
    let (mut browser, page, code) = asked(&world, YOU).await;
    let typed = format!(" {} {}", &code[..4], &code[4..]);
    assert!(granted(&browser.type_code(&world, &page, &typed).await));
    assert!(browser.cookies.is_empty(), "the log-in's cookie is gone");
}

#[tokio::test]
async fn sixth_attempt() {
    let world = world(smtp()).await;
    let (mut browser, page, code) = asked(&world, YOU).await;
    for left in (0..5).rev() {
        let answer = browser.type_code(&world, &page, &wrong(&code)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let expected = if left == 0 {
            "it was the last attempt".to_owned()
        } else {
            format!("Attempts left: {left}.")
        };
        assert!(answer.body.contains(&expected), "{}", answer.body);
    }
    let answer = browser.type_code(&world, &page, &code).await;
    assert_eq!(
        answer.status,
        StatusCode::BAD_REQUEST,
        "even the right code"
    );
    assert!(answer.body.contains("used up"));
}

#[tokio::test]
async fn something_that_is_no_code_costs_no_attempt() {
    let world = world(smtp()).await;
    let (mut browser, page, code) = asked(&world, YOU).await;
    for typed in ["", "1234567", "123456789", "abcdefgh", "' or 1=1"] {
        for _ in 0..3 {
            let answer = browser.type_code(&world, &page, typed).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        }
    }
    assert!(granted(&browser.type_code(&world, &page, &code).await));
}

#[tokio::test]
async fn code_from_another_browser() {
    let world = world(smtp()).await;
    let (mut browser, page, code) = asked(&world, YOU).await;
    // Without a cookie, with another log-in's cookie, and with a planted one.
    let mut stranger = Browser::default();
    let other = stranger.begin(&world, &Pkce::default().query()).await;
    let answer = stranger.type_code(&world, &page, &code).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let name = browser.cookies.keys().next().unwrap().clone();
    let value = stranger.cookies.values().next().unwrap().clone();
    stranger.cookies.insert(name, value);
    assert_eq!(
        stranger.type_code(&world, &page, &code).await.status,
        StatusCode::FORBIDDEN
    );
    // The right cookie with another request's secret.
    let answer = browser.type_code(&world, &other, &code).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    // Pages show nothing to strangers either.
    for path in ["/auth/auth/email", "/auth/auth/email/code"] {
        let answer = stranger
            .get(&world, &format!("{path}?request={page}"))
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(!answer.body.contains(YOU));
    }
    assert!(granted(&browser.type_code(&world, &page, &code).await));
}

#[tokio::test]
async fn a_planted_second_cookie_locks_out() {
    let world = world(smtp()).await;
    let (browser, page, code) = asked(&world, YOU).await;
    let (name, value) = browser.cookies.iter().next().unwrap();
    let mut request = crate::world::post(
        "/auth/auth/email/code",
        &crate::world::encode(&[("request", &page), ("code", &code)]),
    );
    let cookies = format!("{name}=planted; {name}={value}");
    request
        .headers_mut()
        .insert("cookie", cookies.parse().unwrap());
    assert_eq!(world.send(request).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn reuse() {
    let world = world(smtp()).await;
    let (mut browser, page, code) = asked(&world, YOU).await;
    let cookies = browser.cookies.clone();
    assert!(granted(&browser.type_code(&world, &page, &code).await));
    browser.cookies = cookies;
    let answer = browser.type_code(&world, &page, &code).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.body.contains("This log-in is finished"));
}

#[tokio::test]
async fn expired() {
    let world = world(smtp()).await;
    let (mut browser, page, code) = asked(&world, YOU).await;
    world.advance(599);
    let (mut other, other_page, other_code) = asked(&world, "two@example.com").await;
    world.advance(1);
    let answer = browser.type_code(&world, &page, &code).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.body.contains("too old"));
    world.advance(598);
    assert!(granted(
        &other.type_code(&world, &other_page, &other_code).await
    ));
    // The log-in itself ends too.
    world.advance(15 * 60);
    let answer = browser.ask(&world, &page, YOU).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.body.contains("15 minutes"));
}

#[tokio::test]
async fn second_code_voids_first() {
    let world = world(smtp()).await;
    let (mut browser, page, first) = asked(&world, YOU).await;
    world.advance(30);
    browser.ask(&world, &page, YOU).await;
    let second = world.last_code().await;
    assert_ne!(first, second);
    assert!(!granted(&browser.type_code(&world, &page, &first).await));
    assert!(granted(&browser.type_code(&world, &page, &second).await));
}

#[tokio::test]
async fn a_code_for_one_address_does_not_prove_another() {
    let world = world(smtp()).await;
    let (mut browser, page, mine) = asked(&world, "mine@example.com").await;
    browser.ask(&world, &page, "victim@example.com").await;
    assert_eq!(world.mail_count().await, 2);
    let answer = browser.type_code(&world, &page, &mine).await;
    assert!(!granted(&answer));
}

#[tokio::test]
async fn rate_limit_per_address() {
    let world = world(smtp()).await;
    let (mut browser, page, _) = asked(&world, YOU).await;
    // Too soon, whoever asks and however the address is spelled.
    let mut other = Browser::default();
    let other_page = other.begin(&world, &Pkce::default().query()).await;
    for (browser, page) in [(&mut browser, &page), (&mut other, &other_page)] {
        let answer = browser.ask(&world, page, "you@EXAMPLE.com").await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.header("retry-after"), "30");
    }
    // Five an hour.
    for _ in 1..5 {
        world.advance(30);
        assert_eq!(
            browser.ask(&world, &page, YOU).await.status,
            StatusCode::SEE_OTHER
        );
    }
    world.advance(30);
    assert_eq!(
        browser.ask(&world, &page, YOU).await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(
        browser.ask(&world, &page, "two@example.com").await.status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(world.mail_count().await, 6);
}

#[tokio::test]
async fn rate_limit_per_client() {
    let world = world(smtp()).await;
    let ask = async |number: u32, address: &str| {
        let mut browser = Browser {
            address: address.parse().ok(),
            ..Browser::default()
        };
        let page = browser.begin(&world, &Pkce::default().query()).await;
        browser
            .ask(&world, &page, &format!("a{number}@example.com"))
            .await
            .status
    };
    for number in 0..30 {
        assert_eq!(
            ask(number, &format!("2001:db8::{number:x}")).await,
            StatusCode::SEE_OTHER
        );
    }
    // Any address of the same /64 is the same client.
    assert_eq!(
        ask(30, "2001:db8::ffff:1").await,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(ask(31, "2001:db8:0:1::1").await, StatusCode::SEE_OTHER);
    world.advance(3600);
    assert_eq!(ask(32, "2001:db8::1").await, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn wrong_codes_are_limited_per_address() {
    let world = world(smtp()).await;
    let mut statuses = Vec::new();
    for round in 0..3 {
        let (mut browser, page, code) = asked(&world, YOU).await;
        browser.address = format!("192.0.2.{round}").parse().ok();
        for _ in 0..5 {
            statuses.push(browser.type_code(&world, &page, &wrong(&code)).await.status);
        }
        if round == 2 {
            let answer = browser.type_code(&world, &page, &code).await;
            assert_eq!(
                answer.status,
                StatusCode::TOO_MANY_REQUESTS,
                "the right one too"
            );
        }
        world.advance(30);
    }
    let limited = statuses
        .iter()
        .filter(|s| **s == StatusCode::TOO_MANY_REQUESTS)
        .count();
    assert_eq!((statuses.len(), limited), (15, 5));
}

#[tokio::test]
async fn wrong_codes_are_limited_per_client() {
    let world = world(smtp()).await;
    let mut statuses = Vec::new();
    for number in 0..5 {
        let (mut browser, page, code) = asked(&world, &format!("a{number}@example.com")).await;
        browser.address = "192.0.2.1".parse().ok();
        for _ in 0..5 {
            statuses.push(browser.type_code(&world, &page, &wrong(&code)).await.status);
        }
    }
    let limited = statuses
        .iter()
        .filter(|s| **s == StatusCode::TOO_MANY_REQUESTS)
        .count();
    assert_eq!((statuses.len(), limited), (25, 5));
}

#[tokio::test]
async fn right_codes_are_not_limited() {
    let world = world(outbox()).await;
    for _ in 0..40 {
        world.log_in(YOU).await;
    }
}

#[tokio::test]
async fn outbox_mode_limits_attempts_and_not_mails() {
    let world = world(outbox()).await;
    let (mut browser, page, _) = asked(&world, YOU).await;
    for _ in 0..10 {
        assert_eq!(
            browser.ask(&world, &page, YOU).await.status,
            StatusCode::SEE_OTHER
        );
    }
    let code = world.last_code().await;
    for _ in 0..5 {
        browser.type_code(&world, &page, &wrong(&code)).await;
    }
    assert!(!granted(&browser.type_code(&world, &page, &code).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrency_race_of_two_correct_posts() {
    // In outbox mode the mail is there when the request is answered.
    let world = Arc::new(world(outbox()).await);
    let (browser, page, code) = asked(&world, YOU).await;
    let mut attempts = Vec::new();
    for _ in 0..20 {
        let mut racer = Browser {
            cookies: browser.cookies.clone(),
            address: None,
        };
        let (world, page, code) = (Arc::clone(&world), page.clone(), code.clone());
        attempts.push(tokio::spawn(async move {
            granted(&racer.type_code(&world, &page, &code).await)
        }));
    }
    let mut won = 0;
    for attempt in attempts {
        won += u32::from(attempt.await.unwrap());
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn header_injection_and_address_variants() {
    let world = world(outbox()).await;
    let mut browser = Browser::default();
    let page = browser.begin(&world, &Pkce::default().query()).await;
    for address in [
        "",
        "you",
        "you@example.com\r\nBcc: x@evil.example",
        "you@example.com\nx",
        "you@example.com\0",
        "you@example.com,x@evil.example",
        "you@example.com;x@evil.example",
        "<you@example.com>",
        "\"you\"@example.com",
        "you(x)@example.com",
        "you%evil.example@example.com",
        "you@[127.0.0.1]",
        "you@127.0.0.1",
        ".you@example.com",
        "you@example.com.",
        "you@b\u{fc}cher.example",
        "y\u{43e}u@example.com",
        "you@@example.com",
        &format!("{}@example.com", "a".repeat(250)),
    ] {
        let answer = browser.ask(&world, &page, address).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{address:?}");
        assert!(answer.body.contains("not an e-mail address"), "{address:?}");
    }
    assert_eq!(world.mail_count().await, 0);
    browser
        .ask(&world, &page, "  You.Name+tag@Example.COM ")
        .await;
    let to = world.mailer.mails.lock().unwrap()[0].to.as_str().to_owned();
    assert_eq!(
        to, "You.Name+tag@example.com",
        "local part kept, domain in lower case"
    );
}

#[tokio::test]
async fn timing_equality() {
    // Whether an address may log in shows neither in the page nor in what is done for it.
    let world = world(smtp()).await;
    let mut seen = Vec::new();
    for address in [
        "you@example.com",
        "you@stranger.example",
        "you@evil.example",
    ] {
        let mut browser = Browser::default();
        let page = browser.begin(&world, &Pkce::default().query()).await;
        let before = world.store.transactions.load(Ordering::SeqCst);
        let answer = browser.ask(&world, &page, address).await;
        let work = world.store.transactions.load(Ordering::SeqCst) - before;
        let location = answer.header("location").to_owned();
        let next = browser.get(&world, &location).await;
        let text = next
            .body
            .replace(address, "ADDRESS")
            .replace(&page, "REQUEST");
        let tried = browser.type_code(&world, &page, "00000000").await;
        seen.push((answer.status, work, next.status, text, tried.status));
    }
    assert_eq!(world.mail_count().await, 1);
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    // And an address that is admitted nowhere has no right code.
    let store = world.store.text();
    assert!(!store.contains("00000000"));
}

#[tokio::test]
async fn link_prefetch_get() {
    let world = world(smtp()).await;
    let (mut browser, page, code) = asked(&world, YOU).await;
    for path in ["/auth/auth/email", "/auth/auth/email/code"] {
        for query in [
            format!("request={page}"),
            format!("request={page}&code={code}"),
        ] {
            let answer = browser.get(&world, &format!("{path}?{query}")).await;
            assert_eq!(
                answer.status,
                StatusCode::OK,
                "a page, and nothing else happens"
            );
        }
    }
    assert_eq!(world.mail_count().await, 1);
    assert!(granted(&browser.type_code(&world, &page, &code).await));
}

#[tokio::test]
async fn no_code_before_one_was_asked_for() {
    let world = world(smtp()).await;
    let mut browser = Browser::default();
    let page = browser.begin(&world, &Pkce::default().query()).await;
    let answer = browser.type_code(&world, &page, "12345678").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let answer = browser
        .get(&world, &format!("/auth/auth/email/code?request={page}"))
        .await;
    assert_eq!(
        answer.status,
        StatusCode::SEE_OTHER,
        "to the page that asks for the address"
    );
    let answer = browser.type_code(&world, "unknown", "12345678").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn s_56_nothing_secret_is_kept() {
    let world = world(smtp()).await;
    let (mut browser, page, code) = asked(&world, YOU).await;
    let cookie = browser.cookies.values().next().unwrap().clone();
    let kept = world.store.text();
    for secret in [&page, &code, &cookie] {
        assert!(!kept.contains(secret.as_str()));
    }
    let answer = browser.type_code(&world, &page, &code).await;
    let grant = answer.parameter("code").unwrap();
    assert!(!world.store.text().contains(&grant));
    let metrics = world.meter.text();
    for secret in [&page, &code, &cookie, &grant, &YOU.to_owned()] {
        assert!(!metrics.contains(secret.as_str()));
    }
    assert!(
        metrics.contains("waxseal_broker_logins_total{event=\"granted\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_mail_that_fails_is_a_fault_only_where_it_tells_nothing() {
    let silent = world(smtp()).await;
    *silent.mailer.broken.lock().unwrap() = true;
    let mut browser = Browser::default();
    let page = browser.begin(&silent, &Pkce::default().query()).await;
    assert_eq!(
        browser.ask(&silent, &page, YOU).await.status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(silent.mail_count().await, 0);
    let open = world(outbox()).await;
    *open.mailer.broken.lock().unwrap() = true;
    let mut browser = Browser::default();
    let page = browser.begin(&open, &Pkce::default().query()).await;
    assert_eq!(
        browser.ask(&open, &page, YOU).await.status,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

#[tokio::test]
async fn a_store_that_fails_is_a_fault() {
    let world = world(smtp()).await;
    let (mut browser, page, code) = asked(&world, YOU).await;
    *world.store.broken.lock().unwrap() = true;
    let answer = browser.type_code(&world, &page, &code).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!answer.body.contains("broken"));
    let answer = world
        .get(&format!("/auth/auth?{}", Pkce::default().query()))
        .await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn behind_a_proxy_the_last_forwarded_address_counts() {
    let mut config = smtp();
    config.behind_proxy = true;
    let world = world(config).await;
    let mut browser = Browser {
        address: "127.0.0.1".parse().ok(),
        ..Browser::default()
    };
    let page = browser.begin(&world, &Pkce::default().query()).await;
    let body = crate::world::encode(&[("request", &page), ("email", YOU)]);
    let mut request = crate::world::post("/auth/auth/email", &body);
    request
        .headers_mut()
        .insert("x-forwarded-for", "10.9.9.9, 192.0.2.7".parse().unwrap());
    browser.send(&world, request).await;
    world.last_code().await;
    let peer = world.mailer.mails.lock().unwrap()[0].peer;
    assert_eq!(peer, "192.0.2.7".parse().ok());
}

//! What an operator sees and does: bans, lists, and the audit log.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};
use waxseal_crypto::{BoxFuture, Clock, Time};
use waxseal_identity_server::{
    Administration, AnswerWay, BanTarget, Change, Found, MAX_ORDER, Order, OrderDone, OrderError,
    RecordKey, RecordKind, Store, StoreError, address_digest,
};

use crate::world::{Browser, ISSUER, NOW, Pkce, World, outbox, smtp, world, wrong};

const YOU: &str = "you@example.com";

fn administration(world: &World) -> Administration {
    let store: Arc<dyn Store> = world.store.clone();
    let clock: Arc<dyn Clock> = world.clock.clone();
    Administration::new(store, clock, world.audit.clone())
}

async fn ban(world: &World, target: &str) {
    let target = BanTarget::parse(target).unwrap();
    let operator = administration(world);
    operator.ban(&target, Some("phished"), None).await.unwrap();
}

/// The audit lines, each as an object.
fn lines(world: &World) -> Vec<Value> {
    let lines = world.audit.lines.lock().unwrap();
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn events(world: &World) -> Vec<String> {
    let lines = lines(world);
    lines
        .iter()
        .map(|line| line["event"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_banned_address_gets_no_mail_and_cannot_tell() {
    let world = world(smtp()).await;
    ban(&world, YOU).await;
    let mut banned = Browser::default();
    let request = banned.begin(&world, &Pkce::default().query()).await;
    let answer = banned.ask(&world, &request, YOU).await;
    let page = banned.get(&world, answer.header("location")).await;
    assert_eq!(world.mail_count().await, 0);
    // Another address of the same length sees the same, byte for byte.
    let mut other = Browser::default();
    let other_request = other.begin(&world, &Pkce::default().query()).await;
    let other_answer = other.ask(&world, &other_request, "two@example.com").await;
    assert_eq!(answer.status, other_answer.status);
    let other_page = other.get(&world, other_answer.header("location")).await;
    let plain = |text: &str, request: &str| text.replace(request, "").replace("two@", "you@");
    assert_eq!(
        plain(&page.body, &request),
        plain(&other_page.body, &other_request)
    );
    let typed = banned.type_code(&world, &request, "12345678").await;
    assert_eq!(typed.status, StatusCode::BAD_REQUEST);
    assert!(events(&world).contains(&"banned".to_owned()));
}

#[tokio::test]
async fn a_ban_counts_at_the_token_too() {
    let world = world(outbox()).await;
    let code = world.log_in(YOU).await;
    ban(&world, YOU).await;
    let answer = world.token(&Pkce::default().form(&code)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["error"], json!("invalid_grant"));
    assert_eq!(events(&world).last().unwrap(), "banned");
}

#[tokio::test]
async fn a_ban_ends_what_was_begun() {
    let world = world(outbox()).await;
    let mut browser = Browser::default();
    let request = browser.begin(&world, &Pkce::default().query()).await;
    browser.ask(&world, &request, YOU).await;
    let code = world.last_code().await;
    ban(&world, "two@EXAMPLE.com").await;
    let page = browser.type_code(&world, &request, &code).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    ban(&world, "you@EXAMPLE.com").await;
    let request = browser.begin(&world, &Pkce::default().query()).await;
    browser.ask(&world, &request, YOU).await;
    assert_eq!(world.last_code().await, code, "no second mail");
}

#[tokio::test]
async fn a_ban_of_an_account_counts_whatever_its_address() {
    let world = world(outbox()).await;
    world.tokens(YOU).await;
    let users = administration(&world).users().await.unwrap();
    assert_eq!(users.len(), 1);
    ban(&world, &users[0].id).await;
    let code = world.log_in(YOU).await;
    let answer = world.token(&Pkce::default().form(&code)).await;
    assert_eq!(answer.json()["error"], json!("invalid_grant"));
    assert!(administration(&world).users().await.unwrap()[0].banned);
    world.tokens("two@example.com").await;
}

#[tokio::test]
async fn bans_end_and_are_lifted() {
    let world = world(outbox()).await;
    let operator = administration(&world);
    let target = BanTarget::parse(YOU).unwrap();
    let until = Time::from_unix(NOW + 60).unwrap();
    operator.ban(&target, None, Some(until)).await.unwrap();
    let bans = operator.bans().await.unwrap();
    assert_eq!(bans.len(), 1);
    assert_eq!((bans[0].since, bans[0].until), (NOW, Some(NOW + 60)));
    world.advance(59);
    let code = world.log_in("two@example.com").await;
    assert!(!code.is_empty());
    assert_eq!(operator.bans().await.unwrap().len(), 1);
    world.advance(1);
    assert!(operator.bans().await.unwrap().is_empty());
    world.tokens(YOU).await;
    ban(&world, YOU).await;
    assert_eq!(operator.bans().await.unwrap()[0].until, None);
    assert!(operator.unban(&target).await.unwrap());
    assert!(!operator.unban(&target).await.unwrap());
    world.tokens(YOU).await;
    let done = events(&world);
    assert_eq!(done.iter().filter(|event| *event == "unban").count(), 1);
}

#[tokio::test]
async fn users_and_sessions_are_listed() {
    let world = world(outbox()).await;
    world.tokens(YOU).await;
    world.advance(60);
    world.tokens(YOU).await;
    world.advance(60);
    world.tokens("two@example.com").await;
    let operator = administration(&world);
    let users = operator.users().await.unwrap();
    let seen: Vec<_> = users
        .iter()
        .map(|user| (user.email.as_str(), user.tokens, user.first, user.last))
        .collect();
    assert_eq!(
        seen,
        [
            ("two@example.com", 1, NOW + 120, NOW + 120),
            (YOU, 2, NOW, NOW + 60),
        ]
    );
    assert!(users.iter().all(|user| user.connector_id == ISSUER));
    // Who has not been here for 400 days is forgotten.
    world.advance(400 * 24 * 3600 - 1);
    assert_eq!(operator.users().await.unwrap().len(), 1);
    world.advance(1);
    assert!(operator.users().await.unwrap().is_empty());

    let mut browser = Browser::default();
    let request = browser.begin(&world, &Pkce::default().query()).await;
    browser.ask(&world, &request, YOU).await;
    world.advance(1);
    let copied = Pkce::default().query_with(&[("redirect_uri", "urn:ietf:wg:oauth:2.0:oob")]);
    browser.begin(&world, &copied).await;
    let sessions = operator.sessions().await.unwrap();
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions[0].answer, AnswerWay::Copied);
    assert_eq!(sessions[0].email, None);
    assert_eq!(sessions[1].answer, AnswerWay::Loopback);
    assert_eq!(sessions[1].email.as_deref(), Some(YOU));
    assert_eq!(sessions[1].expires - sessions[1].begun, 900);
    assert_eq!(operator.end_sessions().await.unwrap(), 2);
    assert!(operator.sessions().await.unwrap().is_empty());
    let code = world.last_code().await;
    let page = browser.type_code(&world, &request, &code).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn ended_sessions_take_codes_with_them() {
    let world = world(outbox()).await;
    let code = world.log_in(YOU).await;
    assert_eq!(administration(&world).end_sessions().await.unwrap(), 1);
    let answer = world.token(&Pkce::default().form(&code)).await;
    assert_eq!(answer.json()["error"], json!("invalid_grant"));
}

#[tokio::test]
async fn the_audit_log_has_one_line_for_each_event() {
    let world = world(smtp()).await;
    let mut browser = Browser {
        address: "192.0.2.7".parse().ok(),
        ..Browser::default()
    };
    let request = browser.begin(&world, &Pkce::default().query()).await;
    browser.ask(&world, &request, YOU).await;
    let code = world.last_code().await;
    browser.type_code(&world, &request, &wrong(&code)).await;
    let done = browser.type_code(&world, &request, &code).await;
    let code = done.parameter("code").unwrap();
    world.token(&Pkce::default().form(&code)).await;
    world.token(&Pkce::default().form(&code)).await;
    assert_eq!(
        events(&world),
        [
            "begun",
            "code_sent",
            "wrong_code",
            "granted",
            "token_given",
            "code_replayed"
        ]
    );
    let digest = address_digest(YOU);
    for line in lines(&world).iter().skip(1) {
        assert_eq!(line["address"], json!(digest), "{line}");
        assert_eq!(line["time"], json!("2026-01-01T00:00:00Z"));
    }
    for line in lines(&world).iter().take(4) {
        assert_eq!(line["peer"], json!("192.0.2.7"), "{line}");
    }
    let given = &lines(&world)[4];
    assert_eq!(given["connector"], json!(ISSUER));
    assert_eq!(given["client"], json!("sigstore"));
    let users = administration(&world).users().await.unwrap();
    assert_eq!(given["account"], json!(users[0].id));
}

#[tokio::test]
async fn the_audit_log_tells_refusals() {
    let world = world(smtp()).await;
    let mut browser = Browser::default();
    let request = browser.begin(&world, &Pkce::default().query()).await;
    browser.ask(&world, &request, "a@elsewhere.example").await;
    browser.ask(&world, &request, YOU).await;
    browser.ask(&world, &request, YOU).await;
    let code = world.last_code().await;
    for _ in 0..5 {
        browser.type_code(&world, &request, &wrong(&code)).await;
    }
    let mut expected = vec!["begun", "not_admitted", "limited", "code_sent"];
    expected.extend(["wrong_code"; 4]);
    expected.push("locked");
    let mut seen = events(&world);
    // The mail goes out beside the answer.
    seen[2..4].sort_by_key(|event| event != "limited");
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn an_audit_log_that_fails_locks_nobody_out() {
    let world = world(outbox()).await;
    *world.audit.broken.lock().unwrap() = true;
    world.tokens(YOU).await;
    let mut text = String::new();
    let router = world.meter.router();
    let request = axum::http::Request::get("/metrics");
    let request = request.body(axum::body::Body::empty()).unwrap();
    let answer = tower::ServiceExt::oneshot(router, request).await.unwrap();
    let bytes = http_body_util::BodyExt::collect(answer.into_body()).await;
    text.push_str(std::str::from_utf8(&bytes.unwrap().to_bytes()).unwrap());
    let line = text
        .lines()
        .find(|line| line.starts_with("waxseal_broker_audit_failures_total"))
        .unwrap();
    assert_ne!(line.split(' ').next_back(), Some("0"), "{line}");
}

/// Sends an order as the socket of a running instance does.
async fn order(world: &World, order: &Order) -> Result<OrderDone, OrderError> {
    let answer = administration(world).answer(order.line().as_bytes()).await;
    assert!(answer.ends_with('\n') && answer.lines().count() == 1);
    OrderDone::parse(answer.as_bytes())
}

#[tokio::test]
async fn orders_by_the_line_do_what_the_operator_does() {
    let world = world(outbox()).await;
    let (who, until) = (BanTarget::parse(YOU).unwrap(), Some(NOW + 60));
    world.tokens(YOU).await;
    let ban = Order::Ban {
        who: who.clone(),
        reason: Some("phished\n\u{2028}".to_owned()),
        until,
    };
    assert!(matches!(order(&world, &ban).await, Ok(OrderDone::Banned)));
    let Ok(OrderDone::Bans(bans)) = order(&world, &Order::Bans).await else {
        panic!("no list");
    };
    assert_eq!(bans, administration(&world).bans().await.unwrap());
    assert_eq!(bans[0].until, until);
    let Ok(OrderDone::Users(users)) = order(&world, &Order::Users).await else {
        panic!("no list");
    };
    assert!(users[0].banned);
    for lifted in [true, false] {
        let unban = Order::Unban { who: who.clone() };
        let done = order(&world, &unban).await;
        assert!(matches!(done, Ok(OrderDone::Unbanned(was)) if was == lifted));
    }
    Browser::default()
        .begin(&world, &Pkce::default().query())
        .await;
    let Ok(OrderDone::Sessions(sessions)) = order(&world, &Order::Sessions).await else {
        panic!("no list");
    };
    assert_eq!(sessions.len(), 1);
    let ended = order(&world, &Order::EndSessions).await;
    // The log-in, and the used code of the one before.
    assert!(matches!(ended, Ok(OrderDone::Ended(2))), "{ended:?}");
    assert!(events(&world).ends_with(&["sessions_ended".to_owned()]));
}

#[tokio::test]
async fn not_an_order() {
    let world = world(outbox()).await;
    let check = async |line: &[u8]| {
        let answer = administration(&world).answer(line).await;
        let refused = OrderDone::parse(answer.as_bytes());
        assert!(
            matches!(refused, Err(OrderError::NotAnOrder)),
            "{refused:?}"
        );
    };
    check(b"").await;
    check(b"users").await;
    check(b"{}").await;
    check(br#"{"order":"everything"}"#).await;
    check(br#"{"order":"ban","who":"nobody","reason":null,"until":null}"#).await;
    check(br#"{"order":"unban","who":"you@example.com","days":3}"#).await;
    check(&vec![b' '; MAX_ORDER + 1]).await;
}

/// A store whose disk is gone.
struct Gone;

impl Store for Gone {
    fn transact(
        &self,
        _: Vec<RecordKey>,
        _: Time,
        _: Change,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Err(StoreError("gone".into())) })
    }

    fn scan(
        &self,
        _: RecordKind,
        _: Option<RecordKey>,
        _: usize,
        _: Time,
    ) -> BoxFuture<'_, Result<Vec<Found>, StoreError>> {
        Box::pin(async { Err(StoreError("gone".into())) })
    }

    fn sweep(&self, _: Time) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async { Err(StoreError("gone".into())) })
    }
}

#[tokio::test]
async fn store() {
    let world = world(outbox()).await;
    let clock: Arc<dyn Clock> = world.clock.clone();
    let operator = Administration::new(Arc::new(Gone), clock, world.audit.clone());
    let answer = operator.answer(Order::Users.line().as_bytes()).await;
    let refused = OrderDone::parse(answer.as_bytes());
    assert!(matches!(refused, Err(OrderError::Store)), "{refused:?}");
}

#[tokio::test]
async fn not_an_answer() {
    for line in ["", "{}", "[]", "{\"done\":{\"Everything\":1}}"] {
        let read = OrderDone::parse(line.as_bytes());
        assert!(matches!(read, Err(OrderError::NotAnAnswer)), "{read:?}");
    }
}

//! Attacks that went through once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::json;
use waxseal_crypto::{BoxFuture, Clock, Time};
use waxseal_identity_server::{
    Administration, BanTarget, Change, Config, ConfigError, ConnectorKind, ExchangeIssuer, Found,
    MailConfig, RecordKey, RecordKind, Store, StoreError, transact,
};

use crate::device::{ask, on_the_way, poll};
use crate::provider::{Provider, connector, of_kind, site, state_of, with};
use crate::world::{Answer, Browser, Pkce, World, encode, outbox, post, smtp, world, wrong};

const YOU: &str = "you@example.com";

fn operator_of(world: &World) -> Administration {
    let store: Arc<dyn Store> = world.store.clone();
    let clock: Arc<dyn Clock> = world.clock.clone();
    Administration::new(store, clock, world.audit.clone())
}

async fn ban(world: &World, target: &str) -> Administration {
    let operator = operator_of(world);
    let target = BanTarget::parse(target).unwrap();
    operator.ban(&target, None, None).await.unwrap();
    operator
}

/// The attacker asks for a device code, agrees to it in his own browser, and puts that browser's
/// cookie, from a host beside the broker's, into his victim's. A page of the log-in is all that
/// the victim would see.
#[tokio::test]
async fn another_host_of_the_domain_plants_a_device_log_in() {
    let mut config = smtp();
    config.issuer = "https://id.example/auth".to_owned();
    let world = world(config).await;
    let codes = ask(&world).await;
    let (attacker, request) = on_the_way(&world, &codes.user).await;
    let (name, value) = attacker.cookies.iter().next().unwrap();
    let page = format!("/auth/auth/email?request={request}");
    let with_cookie = |cookie: String| {
        let request = Request::get(&page).header(header::COOKIE, cookie);
        world.send(request.body(Body::empty()).unwrap())
    };
    let before = world.mail_count().await;
    let own = with_cookie(format!("{name}={value}")).await;
    assert_eq!(own.status, StatusCode::OK);
    // That host cannot set a cookie whose name has the prefix.
    let planted = name.strip_prefix("__Host-").unwrap();
    let answer = with_cookie(format!("{planted}={value}")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
    let form = encode(&[("request", request.as_str()), ("email", YOU)]);
    let mut ask = post("/auth/auth/email", &form);
    let cookie = format!("{planted}={value}").parse().unwrap();
    ask.headers_mut().insert(header::COOKIE, cookie);
    assert_eq!(world.send(ask).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.mail_count().await, before);
    assert_eq!(
        poll(&world, &codes).await.json()["error"],
        json!("authorization_pending")
    );
}

/// A page that posts the code of its own device would bring its visitor to the last question at
/// once, past the page that has him compare the code.
#[tokio::test]
async fn a_page_elsewhere_types_the_code_of_its_device() {
    let mut config = smtp();
    config.issuer = "https://id.example/auth".to_owned();
    let world = world(config).await;
    let codes = ask(&world).await;
    let form = encode(&[("user_code", codes.user.as_str())]);
    let typed = |origin: &str| {
        let mut request = post("/auth/device/auth/verify_code", &form);
        let origin = origin.parse().unwrap();
        request.headers_mut().insert(header::ORIGIN, origin);
        world.send(request)
    };
    for origin in [
        "https://evil.example",
        "null",
        "http://id.example",
        "https://id.example.evil.example",
    ] {
        let answer = typed(origin).await;
        assert_eq!(answer.status, StatusCode::OK, "{origin}");
        assert!(answer.body.contains("Compare this code"), "{origin}");
        assert_eq!(answer.header("set-cookie"), "", "{origin}");
    }
    let own = typed("https://id.example").await;
    assert!(own.header("location").contains("/device/confirm?request="));
    // The same for every other form, whatever cookies come along.
    let mut browser = Browser::default();
    let request = browser.begin(&world, &Pkce::default().query()).await;
    let form = encode(&[("request", request.as_str()), ("email", YOU)]);
    let mut asked = post("/auth/auth/email", &form);
    let origin = "https://evil.example".parse().unwrap();
    asked.headers_mut().insert(header::ORIGIN, origin);
    let answer = browser.send(&world, asked).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.mail_count().await, 0);
}

/// One /48 has 65,536 networks: enough wrong codes to reach the limit in all, after which nobody
/// could log in anywhere.
#[tokio::test]
async fn one_site_keeps_everybody_out() {
    let world = world(smtp()).await;
    let mut limited = 0;
    for network in 0..12 {
        let mut browser = Browser {
            address: format!("2001:db8:7:{network:x}::1").parse().ok(),
            ..Browser::default()
        };
        for _ in 0..10 {
            let form = [("user_code", "BCDF-GHJK")];
            let answer = browser
                .post(&world, "/auth/device/auth/verify_code", &form)
                .await;
            limited += u32::from(answer.status == StatusCode::TOO_MANY_REQUESTS);
        }
    }
    assert_eq!(limited, 20);
    let mut elsewhere = Browser {
        address: "2001:db8:8::1".parse().ok(),
        ..Browser::default()
    };
    let form = [("user_code", "BCDF-GHJK")];
    let answer = elsewhere
        .post(&world, "/auth/device/auth/verify_code", &form)
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    // The same for mailed codes.
    let mut limited = 0;
    for network in 0..12 {
        let mut browser = Browser {
            address: format!("2001:db8:7:{network:x}::1").parse().ok(),
            ..Browser::default()
        };
        for mailbox in 0..2 {
            let request = browser.begin(&world, &Pkce::default().query()).await;
            let address = format!("you{network}-{mailbox}@example.com");
            browser.ask(&world, &request, &address).await;
            for _ in 0..5 {
                let answer = browser.type_code(&world, &request, "12345678").await;
                limited += u32::from(answer.status == StatusCode::TOO_MANY_REQUESTS);
            }
        }
    }
    assert_eq!(limited, 20);
    // And for mails, which would go out in the broker's name.
    for network in 0x100..0x140 {
        let mut browser = Browser {
            address: format!("2001:db8:7:{network:x}::1").parse().ok(),
            ..Browser::default()
        };
        let request = browser.begin(&world, &Pkce::default().query()).await;
        for mailbox in 0..3 {
            let address = format!("they{network}-{mailbox}@example.com");
            browser.ask(&world, &request, &address).await;
        }
    }
    assert_eq!(world.mail_count().await, 150);
}

/// 250 clients at their own limits reach the limit in all, after which nobody logged in by mail for
/// the rest of the hour. From half of it on codes are longer, so that guesses at them need no limit
/// in all: people go on.
#[tokio::test]
async fn h6_wrong_codes_from_everywhere_keep_nobody_out() {
    let world = world(smtp()).await;
    let in_time = ask_once(&world, 1, YOU).await;
    crowd(&world, "failures in all", 2499).await;
    let short = ask_once(&world, 2, "two@example.com").await;
    assert_eq!(short.2.len(), 8);
    crowd(&world, "failures in all", 1).await;
    let (mut browser, request, code) = ask_once(&world, 3, "three@example.com").await;
    assert_eq!(code.len(), 12);
    let page = format!("/auth/auth/email/code?request={request}");
    let page = browser.get(&world, &page).await;
    assert!(page.body.contains("Code (twelve digits)"), "{}", page.body);
    crowd(&world, "failures in all", 2500).await;
    // A wrong long code is a wrong code as ever, and one of another length is none.
    let wrong = browser.type_code(&world, &request, &wrong(&code)).await;
    assert!(wrong.body.contains("Attempts left: 4"), "{}", wrong.body);
    let wrong = browser.type_code(&world, &request, "12345678").await;
    assert!(wrong.body.contains("has twelve digits"), "{}", wrong.body);
    let right = browser.type_code(&world, &request, &code).await;
    assert_ne!(right.parameter("code"), None, "{}", right.body);
    // Short ones that were sent before count no more, right or wrong; asked again, it is a long one.
    let (mut browser, request, code) = in_time;
    let refused = browser.type_code(&world, &request, &code).await;
    assert_eq!(refused.parameter("code"), None);
    assert!(refused.body.contains("Ask for another code"));
    world.advance(30);
    browser.ask(&world, &request, YOU).await;
    let code = world.last_code().await;
    let right = browser.type_code(&world, &request, &code).await;
    assert_ne!(right.parameter("code"), None, "{}", right.body);
    // An hour later nobody guesses any more.
    world.advance(3600);
    assert_eq!(ask_once(&world, 4, "four@example.com").await.2.len(), 8);
    let (mut browser, request, code) = short;
    let late = browser.type_code(&world, &request, &code).await;
    assert_eq!(late.parameter("code"), None);
}

/// The same with the codes of devices.
#[tokio::test]
async fn h6_wrong_device_codes_from_everywhere_keep_no_device_out() {
    let world = world(smtp()).await;
    let typed = async |code: &str, number: u8| {
        let mut browser = Browser {
            address: Some([198, 51, 100, number].into()),
            ..Browser::default()
        };
        let form = [("user_code", code)];
        browser
            .post(&world, "/auth/device/auth/verify_code", &form)
            .await
    };
    crowd(&world, "user codes in all", 2499).await;
    let short = ask(&world).await.user;
    assert_eq!(short.len(), 9);
    crowd(&world, "user codes in all", 1).await;
    let long = ask(&world).await.user;
    assert_eq!(long.len(), 14);
    crowd(&world, "user codes in all", 2500).await;
    let refused = typed(&short, 1).await;
    assert!(refused.body.contains("Begin again on the device"));
    let wrong = typed("BCDF-GHJK-LMNP", 2).await;
    assert!(wrong.body.contains("No device waits with this code"));
    let right = typed(&long, 3).await;
    assert!(
        right
            .header("location")
            .contains("/device/confirm?request=")
    );
}

/// Wrong codes of very many clients.
async fn crowd(world: &World, limit: &str, count: usize) {
    let key = RecordKey::new(RecordKind::Limit, &[limit.as_bytes(), b""]);
    let now = world.clock.now();
    transact(&*world.store, vec![key], now, move |slots| {
        let before = slots[0].record.take();
        let mut window = before.map_or_else(
            || json!({"times": []}),
            |(bytes, _)| serde_json::from_slice(&bytes).unwrap(),
        );
        let times = window["times"].as_array_mut().unwrap();
        times.extend((0..count).map(|_| json!(now.unix_seconds())));
        let expires = now.checked_add(Duration::from_secs(3600));
        slots[0].record = Some((serde_json::to_vec(&window).unwrap(), expires.unwrap()));
    })
    .await
    .unwrap();
}

/// A log-in from a client of its own, and the code that was mailed for it.
async fn ask_once(world: &World, client: u8, address: &str) -> (Browser, String, String) {
    let mut browser = Browser {
        address: Some([198, 51, 100, client].into()),
        ..Browser::default()
    };
    let request = browser.begin(world, &Pkce::default().query()).await;
    browser.ask(world, &request, address).await;
    let code = world.last_code().await;
    (browser, request, code)
}

/// And on http a cookie of the other name counts no more either.
#[tokio::test]
async fn a_log_in_has_one_cookie_name() {
    let world = world(outbox()).await;
    let mut browser = Browser::default();
    let request = browser.begin(&world, &Pkce::default().query()).await;
    let (name, value) = browser.cookies.drain().next().unwrap();
    browser.cookies.insert(format!("__Host-{name}"), value);
    let answer = browser.ask(&world, &request, YOU).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_banned_person_comes_back_by_another_spelling() {
    for spelling in [
        "YOU@example.com",
        "you+x@example.com",
        "You+X+y@EXAMPLE.com",
    ] {
        let mailed = world(smtp()).await;
        ban(&mailed, YOU).await;
        let mut browser = Browser::default();
        let request = browser.begin(&mailed, &Pkce::default().query()).await;
        browser.ask(&mailed, &request, spelling).await;
        assert_eq!(mailed.mail_count().await, 0, "{spelling}");

        let world = world(outbox()).await;
        let code = world.log_in(spelling).await;
        ban(&world, YOU).await;
        let answer = world.token(&Pkce::default().form(&code)).await;
        assert_eq!(answer.json()["error"], json!("invalid_grant"), "{spelling}");
    }
    // A ban of one tag is of that tag alone.
    let world = world(outbox()).await;
    world.tokens("you+robot@example.com").await;
    let code = world.log_in("you+robot@example.com").await;
    let operator = ban(&world, "You+Robot@example.com").await;
    assert!(operator.users().await.unwrap()[0].banned);
    world.tokens(YOU).await;
    world.tokens("you+else@example.com").await;
    let answer = world.token(&Pkce::default().form(&code)).await;
    assert_eq!(answer.json()["error"], json!("invalid_grant"));
}

#[tokio::test]
async fn a_mailbox_is_flooded_under_many_spellings() {
    let world = world(smtp()).await;
    let mut browser = Browser::default();
    let request = browser.begin(&world, &Pkce::default().query()).await;
    let first = browser.ask(&world, &request, YOU).await;
    assert_eq!(first.status, StatusCode::SEE_OTHER);
    for spelling in ["You@example.com", "you+1@example.com", "yOU+2@example.com"] {
        let answer = browser.ask(&world, &request, spelling).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{spelling}");
    }
    assert_eq!(world.mail_count().await, 1);
}

/// A mailbox gets a new owner. The ban that kept the old one out is lifted, and with it must not
/// come back the account that the old one had confirmed for it.
#[tokio::test]
async fn a_link_outlives_the_ban_of_its_address() {
    let (world, provider) = site(&connector(ConnectorKind::Facebook)).await;
    let visit = async || {
        let mut browser = Browser::default();
        let answer = browser.visit(&world, &provider, "facebook").await;
        (browser, answer)
    };
    let (mut browser, answer) = visit().await;
    let request = answer
        .parameter("request")
        .expect("an address is to be confirmed");
    browser.prove(&world, &request, YOU).await;
    // Whoever gets such a code by mail is told how far it goes.
    let account = world.mailer.mails.lock().unwrap()[0].account.clone();
    assert_eq!(account.as_deref(), Some("Facebook"));
    let (_, answer) = visit().await;
    assert!(
        answer.parameter("code").is_some(),
        "the account stands for the address"
    );
    let operator = ban(&world, "YOU@example.com").await;
    let target = BanTarget::parse(YOU).unwrap();
    assert!(operator.unban(&target).await.unwrap());
    let (_, answer) = visit().await;
    assert_eq!(
        answer.parameter("code"),
        None,
        "it has to be confirmed anew"
    );
    assert!(answer.header("location").contains("/auth/email"));
}

/// A site with an account at Facebook that has confirmed its address, and how it logs in next.
async fn confirmed() -> (World, Arc<Provider>) {
    let (world, provider) = site(&connector(ConnectorKind::Facebook)).await;
    let mut browser = Browser::default();
    let answer = browser.visit(&world, &provider, "facebook").await;
    let request = answer.parameter("request").expect("to be confirmed");
    let code = browser.prove(&world, &request, YOU).await;
    let tokens = world.token(&Pkce::default().form(&code)).await;
    assert_eq!(tokens.status, StatusCode::OK);
    (world, provider)
}

/// Whether the account is asked for its address.
async fn is_asked(world: &World, provider: &Arc<Provider>) -> bool {
    let answer = Browser::default().visit(world, provider, "facebook").await;
    let asked = answer.header("location").contains("/auth/email");
    assert!(asked || answer.parameter("code").is_some(), "{answer:?}");
    asked
}

const YEAR: i64 = 365 * 24 * 3600;

/// Who leaves keeps the account and loses the mailbox.
#[tokio::test]
async fn a_confirmed_address_is_confirmed_anew_after_a_year() {
    let (world, provider) = confirmed().await;
    world.advance(YEAR - 1);
    assert!(!is_asked(&world, &provider).await);
    world.advance(1);
    assert!(
        is_asked(&world, &provider).await,
        "using it prolongs nothing"
    );
}

/// Before, links were for good: the record lives on, and counts for a year from when it was made.
#[tokio::test]
async fn a_link_for_good_is_confirmed_anew_after_a_year() {
    let (world, provider) = confirmed().await;
    let found = world
        .store
        .scan(RecordKind::Link, None, 10, world.clock.now())
        .await
        .unwrap();
    let never = Time::from_unix(253_402_300_799).unwrap();
    let keys = vec![found[0].key];
    transact(&*world.store, keys, world.clock.now(), move |slots| {
        slots[0].record.as_mut().unwrap().1 = never;
    })
    .await
    .unwrap();
    world.advance(YEAR - 1);
    assert!(!is_asked(&world, &provider).await);
    world.advance(1);
    assert!(is_asked(&world, &provider).await);
    let operator = operator_of(&world);
    let users = operator.users().await.unwrap();
    assert_eq!(users[0].confirmed_until, None);
}

#[tokio::test]
async fn an_operator_unlinks_an_account_or_an_address() {
    let (world, provider) = confirmed().await;
    let operator = operator_of(&world);
    let users = operator.users().await.unwrap();
    let until = world.clock.now().unix_seconds() + YEAR;
    assert_eq!(users[0].confirmed_until, Some(until));
    let unlink = async |who: &str| {
        let who = BanTarget::parse(who).unwrap();
        operator.unlink(&who).await.unwrap()
    };
    assert_eq!(unlink("two@example.com").await, 0);
    assert_eq!(unlink(&"0".repeat(32)).await, 0);
    assert!(!is_asked(&world, &provider).await);
    assert_eq!(unlink("YOU@example.com").await, 1);
    assert_eq!(unlink("YOU@example.com").await, 0);
    assert!(is_asked(&world, &provider).await);

    let (world, provider) = confirmed().await;
    let operator = operator_of(&world);
    let users = operator.users().await.unwrap();
    let id = BanTarget::parse(&users[0].id).unwrap();
    assert_eq!(operator.unlink(&id).await.unwrap(), 1);
    assert!(is_asked(&world, &provider).await);
    let lines = world.audit.lines.lock().unwrap();
    assert!(
        lines
            .last()
            .is_some_and(|line| !line.contains("example.com"))
    );
    assert!(lines.iter().any(|line| line.contains("\"unlink\"")));
}

/// A store that counts the accounts and links that are read from it.
struct Counted {
    store: Arc<dyn Store>,
    read: AtomicUsize,
}

impl Store for Counted {
    fn transact(
        &self,
        keys: Vec<RecordKey>,
        now: Time,
        change: Change,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.transact(keys, now, change)
    }

    fn scan(
        &self,
        kind: RecordKind,
        after: Option<RecordKey>,
        limit: usize,
        now: Time,
    ) -> BoxFuture<'_, Result<Vec<Found>, StoreError>> {
        Box::pin(async move {
            let found = self.store.scan(kind, after, limit, now).await?;
            if matches!(kind, RecordKind::Account | RecordKind::Link) {
                self.read.fetch_add(found.len(), Ordering::SeqCst);
            }
            Ok(found)
        })
    }

    fn sweep(&self, now: Time) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.store.sweep(now)
    }
}

/// Of very many accounts, the one of an id is looked up.
#[tokio::test]
async fn to_unlink_one_account_the_others_are_not_read() {
    let (world, _provider) = confirmed().await;
    let now = world.clock.now();
    let all = world.store.scan(RecordKind::Account, None, 9, now).await;
    let bytes = all.unwrap().pop().unwrap().bytes;
    // Others, everywhere around it.
    for number in 0..=u8::MAX {
        let key = RecordKey::from_parts(RecordKind::Account, [number; 32]);
        let (bytes, expires) = (bytes.clone(), now.checked_add(Duration::from_secs(60)));
        let made = transact(&*world.store, vec![key], now, move |slots| {
            slots[0].record = Some((bytes, expires.unwrap()));
        });
        made.await.unwrap();
    }
    let counted = Arc::new(Counted {
        store: world.store.clone(),
        read: AtomicUsize::new(0),
    });
    let store: Arc<dyn Store> = counted.clone();
    let operator = Administration::new(store, world.clock.clone(), world.audit.clone());
    let users = operator.users().await.unwrap();
    assert_eq!(users.len(), 257);
    let unlink = async |id: &str| {
        counted.read.store(0, Ordering::SeqCst);
        let id = BanTarget::parse(id).unwrap();
        let unlinked = operator.unlink(&id).await.unwrap();
        assert!(counted.read.load(Ordering::SeqCst) <= 1, "{id:?}");
        unlinked
    };
    for none in ["00", "7f", "fe", "ff"] {
        assert_eq!(unlink(&none.repeat(16)).await, 0, "{none}");
    }
    assert_eq!(unlink(&users[0].id).await, 1);
    assert_eq!(unlink(&users[0].id).await, 0);
}

const GOOGLE: &str = "https://accounts.google.com";

async fn exchanged(world: &World, token: &str) -> Answer {
    let form = [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("client_id", "sigstore"),
        ("subject_token", token),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:id_token",
        ),
    ];
    world.token(&form).await
}

/// GHSA-7qjx-gp9h-65qj: what a connector forbids is not to be had by exchange.
#[tokio::test]
async fn s_39_an_exchange_goes_round_the_rules_of_a_connector() {
    let mut google = connector(ConnectorKind::Google);
    google.allow_domains = vec!["*".to_owned()];
    google.deny_domains = vec!["left.example".to_owned()];
    let configure = |allow: &[&str]| -> Config {
        let mut config = with(std::slice::from_ref(&google));
        config.mail = MailConfig::None;
        config.allow_domains = vec!["*".to_owned()];
        let mut issuer = ExchangeIssuer::new(GOOGLE);
        issuer.allow_domains = allow.iter().map(|name| (*name).to_owned()).collect();
        config.token_exchange.push(issuer);
        config
    };
    // The broker's own list is not the connector's: which domains is to be said.
    let error = configure(&[]).check().unwrap_err();
    assert!(matches!(error, ConfigError::ExchangeOpen { .. }), "{error}");
    let world = world(configure(&["left.example", "example.com"])).await;
    let provider = of_kind(&google, &world);
    provider.set(|script| script.issuer = GOOGLE.to_owned());
    for (email, status) in [
        ("robot@left.example", StatusCode::BAD_REQUEST),
        ("robot@example.com", StatusCode::OK),
    ] {
        let token = crate::token_exchange::sign(&json!({
            "iss": GOOGLE, "sub": "7", "aud": crate::world::ISSUER, "iat": crate::world::NOW,
            "exp": crate::world::NOW + 600, "email": email, "email_verified": true,
        }))
        .await;
        let answer = exchanged(&world, &token).await;
        assert_eq!(answer.status, status, "{email}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_log_in_stores_what_a_stranger_writes_only_so_far() {
    let world = world(outbox()).await;
    let hint = "x".repeat(6000);
    let query = Pkce::default().query_with(&[("login_hint", &hint)]);
    let answer = world.get(&format!("/auth/auth?{query}")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(
        world.store.text().len() < 4096,
        "{}",
        world.store.text().len()
    );
}

/// A code that was sent before a visit to a provider counts for nothing after it, and the page
/// does not pretend that it does.
#[tokio::test]
async fn a_code_from_before_a_visit_to_a_provider() {
    let google = connector(ConnectorKind::Google);
    let world = world(with(std::slice::from_ref(&google))).await;
    let _provider = of_kind(&google, &world);
    let mut browser = Browser::default();
    let request = browser.begin(&world, &Pkce::default().query()).await;
    browser.ask(&world, &request, YOU).await;
    let code = world.last_code().await;
    let url = browser.leave_from(&world, "google", &request).await;
    let state = state_of(&url);
    let query = [("error", "access_denied"), ("state", state.as_str())];
    let back = browser.come_back(&world, "google", &query).await;
    assert_eq!(back.status, StatusCode::FORBIDDEN);
    let (_, rest) = back.body.split_once("request=").unwrap();
    let after = rest.split(['"', '&']).next().unwrap();
    let page = browser.type_code(&world, after, &code).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(!page.body.contains("attempts"), "{}", page.body);
    let page = format!("/auth/auth/email/code?request={after}");
    let answer = browser.get(&world, &page).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "no code is waiting");
}

/// Everybody is in the tenant of personal accounts, with whatever address he wrote there.
#[tokio::test]
async fn the_tenant_of_personal_accounts_passes_for_an_organization() {
    let mut config = connector(ConnectorKind::Microsoft);
    config.tenant = Some("9188040d-6c67-4c5b-b112-36a304b66dad".to_owned());
    let (world, provider) = site(&config).await;
    let answer = Browser::default()
        .visit(&world, &provider, "microsoft")
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
    provider.set(|script| script.claims["xms_edov"] = json!(true));
    let answer = Browser::default()
        .visit(&world, &provider, "microsoft")
        .await;
    assert!(answer.parameter("code").is_some());
}

/// Each log-in that begins is a record for a quarter of an hour, and the disk is finite.
#[tokio::test]
async fn a_stranger_fills_the_disk_with_log_ins() {
    let (world, _) = site(&connector(ConnectorKind::Google)).await;
    let stranger = |network: u16| Browser {
        address: format!("2001:db8:7:{network:x}::1").parse().ok(),
        ..Browser::default()
    };
    let query = format!("/auth/auth?{}", Pkce::default().query());
    let mut browser = stranger(0);
    let begun = browser.get(&world, &query).await;
    let leave = begun.header("location").to_owned();
    let count = async |count: u32| {
        let parts: [&[u8]; 2] = [b"log-ins per site", b"2001:db8:7::/48"];
        let key = RecordKey::new(RecordKind::Limit, &parts);
        transact(&*world.store, vec![key], world.server_now(), move |slots| {
            let (bytes, expires) = slots[0].record.take().expect("they are counted");
            let mut tally: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(tally["count"], json!(1));
            tally["count"] = json!(count);
            slots[0].record = Some((serde_json::to_vec(&tally).unwrap(), expires));
        })
        .await
        .unwrap();
    };
    count(17_998).await;
    // Also by going to a provider again and again, from one network after another.
    assert_eq!(
        stranger(1).get(&world, &query).await.status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        browser.get(&world, &leave).await.status,
        StatusCode::SEE_OTHER
    );
    let answers = [
        stranger(2).get(&world, &query).await,
        browser.get(&world, &leave).await,
    ];
    for answer in answers {
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.header("retry-after"), "3600");
    }
    assert_eq!(
        world.get(&query).await.status,
        StatusCode::SEE_OTHER,
        "from elsewhere"
    );
    world.advance(3600);
    assert_eq!(
        stranger(2).get(&world, &query).await.status,
        StatusCode::SEE_OTHER
    );
}

/// What is refused costs a stranger nothing, and must not cost a line each.
#[tokio::test]
async fn refusals_fill_the_audit_log() {
    let world = world(smtp()).await;
    let mut browser = Browser::default();
    let request = browser.begin(&world, &Pkce::default().query()).await;
    browser.ask(&world, &request, YOU).await;
    let code = world.last_code().await;
    for _ in 0..5 {
        browser.type_code(&world, &request, &wrong(&code)).await;
    }
    let before = world.audit.lines.lock().unwrap().len();
    // Nothing waits for this code any more, so nothing was guessed.
    for _ in 0..10 {
        browser.type_code(&world, &request, &code).await;
    }
    assert_eq!(world.audit.lines.lock().unwrap().len(), before);
    for _ in 0..1500 {
        browser.ask(&world, &request, YOU).await;
    }
    assert_eq!(world.audit.lines.lock().unwrap().len(), before + 1000);
    let mut text = String::new();
    let scrape = Request::get("/metrics").body(Body::empty()).unwrap();
    let answer = tower::ServiceExt::oneshot(world.meter.router(), scrape)
        .await
        .unwrap();
    let bytes = http_body_util::BodyExt::collect(answer.into_body()).await;
    text.push_str(std::str::from_utf8(&bytes.unwrap().to_bytes()).unwrap());
    let counted = "waxseal_broker_logins_total{event=\"limited\"} 1500";
    assert!(text.contains(counted), "{text}");
}

/// A stolen code that comes too late says where it was brought from.
#[tokio::test]
async fn a_replayed_code_leaves_no_trace_of_who_brought_it() {
    let world = world(outbox()).await;
    let code = world.log_in(YOU).await;
    let pkce = Pkce::default();
    let form = encode(&pkce.form(&code));
    assert_eq!(world.token(&pkce.form(&code)).await.status, StatusCode::OK);
    let mut thief = Browser {
        address: "192.0.2.9".parse().ok(),
        ..Browser::default()
    };
    thief.send(&world, post("/auth/token", &form)).await;
    let lines = world.audit.lines.lock().unwrap();
    let last = lines.last().unwrap();
    assert!(
        last.contains("code_replayed") && last.contains("192.0.2.9"),
        "{last}"
    );
}

/// A provider that stops answering holds up one log-in, and not everybody who comes after.
#[tokio::test]
async fn a_provider_whose_discovery_hangs_holds_everybody() {
    let mut oidc = connector(ConnectorKind::Oidc);
    oidc.issuer = Some("https://id.example".to_owned());
    let (world, _) = site(&oidc).await;
    let query = Pkce::default().query();
    let go = async || {
        let mut browser = Browser::default();
        let begun = browser.get(&world, &format!("/auth/auth?{query}")).await;
        let page = begun.header("location").to_owned();
        browser.get(&world, &page).await
    };
    assert_eq!(go().await.status, StatusCode::SEE_OTHER);
    world.advance(3601);
    let hang = axum::Router::new().fallback(std::future::pending::<StatusCode>);
    world.internet.add("https://id.example", hang);
    let first = Box::pin(go());
    let second = async {
        tokio::task::yield_now().await;
        go().await
    };
    let limit = Duration::from_secs(2);
    let both = futures_util::future::select(first, Box::pin(second));
    let done = tokio::time::timeout(limit, both)
        .await
        .expect("one goes on");
    let futures_util::future::Either::Right((answer, _)) = done else {
        panic!("the first one waits");
    };
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
}

/// RFC 8252 §8.6: a page sends its visitor through a provider that asks nothing. The code would go
/// to whoever listens on that port of a machine that several people use.
#[tokio::test]
async fn a_link_gets_a_token_without_a_click() {
    let (world, provider) = site(&connector(ConnectorKind::Github)).await;
    let mut browser = Browser::default();
    let url = browser.leave(&world, "github").await;
    let code = provider.agree(&url);
    let query = encode(&[("code", code.as_str()), ("state", &state_of(&url))]);
    let back = browser
        .get(&world, &format!("/auth/callback/github?{query}"))
        .await;
    assert_eq!(back.parameter("code"), None);
    let page = browser.get(&world, back.header("location")).await;
    assert!(
        page.body.contains("You are about to sign as"),
        "{}",
        page.body
    );
    let answer = browser.go_on(&world, &back).await;
    assert!(answer.parameter("code").is_some());
}

/// Somebody who makes codes up has the broker ask the provider for him, until the provider has
/// enough of the broker.
#[tokio::test]
async fn forged_codes_become_requests_to_a_provider() {
    let (world, provider) = site(&connector(ConnectorKind::Google)).await;
    let mut attacker = Browser {
        address: "192.0.2.7".parse().ok(),
        ..Browser::default()
    };
    for _ in 0..302 {
        attacker.cookies.clear();
        let url = attacker.leave(&world, "google").await;
        let query = [("code", "made-up"), ("state", &state_of(&url))];
        attacker.come_back(&world, "google", &query).await;
    }
    assert_eq!(provider.forms.lock().unwrap().len(), 300);
    let answer = attacker.visit(&world, &provider, "google").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    let mut other = Browser::default();
    let answer = other.visit(&world, &provider, "google").await;
    assert!(answer.parameter("code").is_some());
    world.advance(3600);
    let url = attacker.leave(&world, "google").await;
    let query = [("code", "made-up"), ("state", &state_of(&url))];
    let answer = attacker.come_back(&world, "google", &query).await;
    assert_ne!(answer.status, StatusCode::TOO_MANY_REQUESTS);
}

/// A provider may not send the broker's own requests to what runs beside the broker.
#[tokio::test]
async fn s_31_a_provider_s_discovery_points_at_this_machine() {
    let mut oidc = connector(ConnectorKind::Oidc);
    oidc.issuer = Some("https://id.example".to_owned());
    let (world, provider) = site(&oidc).await;
    provider.set(|script| {
        script.discovery = json!({"token_endpoint": "http://127.0.0.1:2019/load"});
    });
    let query = Pkce::default().query();
    let mut browser = Browser::default();
    let begun = browser.get(&world, &format!("/auth/auth?{query}")).await;
    let page = begun.header("location").to_owned();
    let answer = browser.get(&world, &page).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{}", answer.body);
    let seen = world.internet.seen.lock().unwrap().join("\n");
    assert!(!seen.contains("127.0.0.1"), "{seen}");
}

//! What people see, and what their browsers are told about it.

use axum::http::StatusCode;

use crate::world::{Answer, Browser, ISSUER, Pkce, encode, outbox, post, smtp, world, wrong};

fn check_page(page: &Answer, form_action: &str) {
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("referrer-policy"), "same-origin");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(
        page.header("content-security-policy"),
        format!(
            "default-src 'none'; style-src 'self'; form-action {form_action}; base-uri 'none'; \
             frame-ancestors 'none'"
        )
    );
    for forbidden in [
        "<script",
        "javascript:",
        " onclick",
        " style=",
        "<style",
        "http-equiv",
    ] {
        assert!(!page.body.contains(forbidden), "{forbidden}");
    }
    for demanded in [
        "<html lang=\"en\">",
        "<title>",
        "<h1>",
        "<main>",
        "name=\"viewport\"",
    ] {
        assert!(page.body.contains(demanded), "{demanded}");
    }
    // Every visible input has a label of its own.
    for input in page.body.split("<input ").skip(1) {
        let input = input.split_once('>').unwrap().0;
        if !input.contains("type=\"hidden\"") {
            let id = input
                .split_once("id=\"")
                .unwrap()
                .1
                .split_once('"')
                .unwrap()
                .0;
            assert!(page.body.contains(&format!("<label for=\"{id}\">")), "{id}");
        }
    }
}

#[tokio::test]
async fn every_page_is_plain_and_closed() {
    let world = world(smtp()).await;
    let mut browser = Browser::default();
    let action = "'self' http://localhost:4567";
    let request = browser.begin(&world, &Pkce::default().query()).await;
    let address = browser
        .get(&world, &format!("/auth/auth/email?request={request}"))
        .await;
    check_page(&address, action);
    assert!(address.body.contains("autocomplete=\"email\""));
    let bad = browser.ask(&world, &request, "nonsense").await;
    check_page(&bad, action);
    assert!(
        bad.body
            .contains("aria-invalid=\"true\" aria-describedby=\"error\"")
    );
    let asked = browser.ask(&world, &request, "you@example.com").await;
    let location = asked.header("location").to_owned();
    let code = browser.get(&world, &location).await;
    check_page(&code, action);
    assert!(code.body.contains("autocomplete=\"one-time-code\""));
    assert!(code.body.contains("you@example.com"));
    check_page(
        &browser.type_code(&world, &request, "00000000").await,
        action,
    );
    check_page(
        &browser.ask(&world, &request, "you@example.com").await,
        action,
    );
    check_page(
        &Browser::default()
            .type_code(&world, &request, "00000000")
            .await,
        "'none'",
    );
    check_page(&world.get("/auth/auth?client_id=other").await, "'none'");
}

#[tokio::test]
async fn the_consent_sentence_is_on_a_public_log_only() {
    for (public_log, expected) in [(true, true), (false, false)] {
        let mut config = outbox();
        config.public_log = public_log;
        config.instance_name = Some("Example & Sons".to_owned());
        let world = world(config).await;
        let mut browser = Browser::default();
        let request = browser.begin(&world, &Pkce::default().query()).await;
        let page = browser
            .get(&world, &format!("/auth/auth/email?request={request}"))
            .await;
        assert_eq!(page.body.contains("Your address becomes public."), expected);
        assert!(page.body.contains("Example &amp; Sons"));
    }
}

#[tokio::test]
async fn nothing_from_a_request_becomes_markup() {
    let world = world(outbox()).await;
    let nasty = "\"><script>alert(1)</script>";
    let query = Pkce::default().query_with(&[("login_hint", nasty), ("state", nasty)]);
    let mut browser = Browser::default();
    let request = browser.begin(&world, &query).await;
    let page = browser
        .get(&world, &format!("/auth/auth/email?request={request}"))
        .await;
    assert!(page.body.contains("&quot;&gt;&lt;script&gt;"));
    check_page(&page, "'self' http://localhost:4567");
    let encoded = url::form_urlencoded::byte_serialize(nasty.as_bytes()).collect::<String>();
    let page = world
        .get(&format!("/auth/auth/email?request={encoded}"))
        .await;
    check_page(&page, "'none'");
}

#[tokio::test]
async fn oob_approval_without_post() {
    // CVE-2022-39222: no link shows a code; only the form of the browser that began does.
    let world = world(outbox()).await;
    let query = Pkce::default().query_with(&[("redirect_uri", "urn:ietf:wg:oauth:2.0:oob")]);
    let mut browser = Browser::default();
    let request = browser.begin(&world, &query).await;
    browser.ask(&world, &request, "you@example.com").await;
    let page = browser
        .get(&world, &format!("/auth/auth/email/code?request={request}"))
        .await;
    check_page(&page, "'self'");
    assert!(page.body.contains("Go on only if you started it yourself"));
    assert!(!page.body.contains("readonly"));
    let code = world.last_code().await;
    let get = format!("/auth/auth/email/code?request={request}&code={code}");
    assert!(!browser.get(&world, &get).await.body.contains("readonly"));
    let cookies = browser.cookies.clone();
    let shown = browser.type_code(&world, &request, &code).await;
    assert_eq!(shown.status, StatusCode::OK);
    check_page(&shown, "'none'");
    assert!(shown.body.contains("readonly"));
    // Loading the page again shows nothing.
    browser.cookies = cookies;
    let again = browser.type_code(&world, &request, &code).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert!(!again.body.contains("readonly"));
}

#[tokio::test]
async fn cookies_are_bound_to_one_log_in() {
    let world = world(outbox()).await;
    let answer = world
        .get(&format!("/auth/auth?{}", Pkce::default().query()))
        .await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("waxseal-login-"), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/auth; Max-Age=900; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    let mut browser = Browser::default();
    let one = browser.begin(&world, &Pkce::default().query()).await;
    let two = browser.begin(&world, &Pkce::default().query()).await;
    assert_ne!(one, two);
    assert_eq!(
        browser.cookies.len(),
        2,
        "two log-ins at once do not disturb each other"
    );
    assert_ne!(browser.prove(&world, &one, "you@example.com").await, "");
    assert_ne!(browser.prove(&world, &two, "you@example.com").await, "");
}

#[tokio::test]
async fn over_tls_cookies_belong_to_the_host() {
    let mut config = smtp();
    config.issuer = "https://id.example/auth".to_owned();
    let world = world(config).await;
    let answer = world
        .get(&format!("/auth/auth?{}", Pkce::default().query()))
        .await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-waxseal-login-"), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/; Secure; Max-Age=900; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
}

#[tokio::test]
async fn the_style_sheet_knows_the_dark() {
    let world = world(outbox()).await;
    let style = world.get("/auth/style.css").await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert!(style.body.contains("prefers-color-scheme: dark"));
    assert!(!style.body.contains("url("));
}

#[tokio::test]
async fn routes_hang_under_the_issuer_s_path() {
    let world_at = async |issuer: &str| {
        let mut config = outbox();
        config.issuer = issuer.to_owned();
        world(config).await
    };
    let root = world_at("http://localhost:8383").await;
    assert_eq!(
        root.get("/.well-known/openid-configuration").await.status,
        StatusCode::OK
    );
    assert_eq!(root.get("/auth/keys").await.status, StatusCode::NOT_FOUND);
    let answer = root
        .get(&format!("/auth?{}", Pkce::default().query()))
        .await;
    assert!(
        answer
            .header("location")
            .starts_with("/auth/email?request=")
    );
    assert!(answer.header("set-cookie").contains("; Path=/; "));
    let deep = world_at("http://localhost:8383/a/b").await;
    assert_eq!(deep.get("/a/b/keys").await.status, StatusCode::OK);
    assert_eq!(
        world_at(ISSUER).await.get("/keys").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn who_asks_for_another_code_too_soon_can_go_on_with_the_first() {
    let world = world(smtp()).await;
    let mut browser = Browser::default();
    let request = browser.begin(&world, &Pkce::default().query()).await;
    browser.ask(&world, &request, "you@example.com").await;
    let code = world.last_code().await;
    let page = browser.ask(&world, &request, "you@example.com").await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(page.header("retry-after"), "30");
    assert!(page.body.contains("still counts"), "{}", page.body);
    assert!(page.body.contains("autocomplete=\"one-time-code\""));
    let done = browser.type_code(&world, &request, &code).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    // Who has no code yet stays where the address is asked for.
    let mut other = Browser::default();
    let request = other.begin(&world, &Pkce::default().query()).await;
    let page = other.ask(&world, &request, "you@example.com").await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(
        page.body.contains("autocomplete=\"email\""),
        "{}",
        page.body
    );
    assert!(!page.body.contains("still counts"));
}

#[tokio::test]
async fn where_nothing_that_is_typed_can_count_nothing_can_be_typed() {
    let world = world(outbox()).await;
    let mut browser = Browser::default();
    let request = browser.begin(&world, &Pkce::default().query()).await;
    browser.ask(&world, &request, "you@example.com").await;
    let code = world.last_code().await;
    for left in (0..5).rev() {
        let page = browser.type_code(&world, &request, &wrong(&code)).await;
        let has_field = page.body.contains("one-time-code");
        assert_eq!(has_field, left > 0, "{left}: {}", page.body);
        assert!(page.body.contains("Make another code"));
    }
}

#[tokio::test]
async fn a_device_s_pages_are_plain_and_closed() {
    let world = world(smtp()).await;
    let challenge = Pkce::default().challenge();
    let form = encode(&[
        ("client_id", "sigstore"),
        ("scope", "openid"),
        ("code_challenge_method", "S256"),
        ("code_challenge", &challenge),
    ]);
    let begun = world.send(post("/auth/device/code", &form)).await.json();
    let user_code = begun["user_code"].as_str().unwrap().to_owned();
    let mut browser = Browser::default();
    let link = format!("/auth/device?user_code={user_code}");
    for page in ["/auth/device", "/auth/device?user_code=%3Cscript%3E", &link] {
        check_page(&browser.get(&world, page).await, "'self'");
    }
    let typed = async |browser: &mut Browser, code: &str| {
        let form = [("user_code", code)];
        browser
            .post(&world, "/auth/device/auth/verify_code", &form)
            .await
    };
    check_page(&typed(&mut browser, "nonsense").await, "'self'");
    check_page(&typed(&mut browser, "BBBB-BBBB").await, "'self'");
    let location = typed(&mut browser, &user_code).await;
    let location = location.header("location").to_owned();
    let asked = browser.get(&world, &location).await;
    check_page(&asked, "'self'");
    let request = asked.input("request");
    let form = [("request", request.as_str()), ("answer", "refuse")];
    let refused = browser.post(&world, "/auth/device/confirm", &form).await;
    check_page(&refused, "'none'");
    check_page(&typed(&mut browser, &user_code).await, "'none'");
}

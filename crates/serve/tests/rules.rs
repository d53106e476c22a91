//! The rules of routes and of the whole router, in process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame};
use serde_json::Value;
use tower::ServiceExt;
use waxseal_serve::{
    Accepts, Chassis, Code, Counter, Fatal, Gauge, Health, Histogram, HostCheck, Label, Meter,
    NotReady, Problem, RequestId, UNDECLARED_BODY, accepting,
};

const LIMIT: usize = 1000;

async fn length(body: Bytes) -> String {
    body.len().to_string()
}

async fn boom() -> String {
    panic!("CANARYSECRET")
}

fn routes() -> Router {
    Router::new()
        .route(
            "/json",
            accepting(post(length).get(length), Accepts::json(LIMIT)),
        )
        .route("/form", accepting(post(length), Accepts::form(LIMIT)))
        .route("/any", accepting(post(length), Accepts::untyped(LIMIT)))
        .route(
            "/large",
            accepting(post(length), Accepts::untyped(3 * 1024 * 1024)),
        )
        .route("/plain", post(length))
        .route("/item/{name}", get(async || "item"))
        .route("/boom", get(boom))
}

fn served() -> (Router, Meter) {
    let meter = Meter::new();
    (
        Chassis::new(&meter).wrap(routes().merge(meter.router())),
        meter,
    )
}

async fn ask(router: &Router, request: Request<Body>) -> (StatusCode, String, Response<()>) {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    (parts.status, text, Response::from_parts(parts, ()))
}

/// The stable reason in a problem body, whose shape is checked on the way.
fn reason(text: &str) -> String {
    let body: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"));
    assert!(
        body["code"].is_u64() && body["message"].is_string(),
        "{body}"
    );
    assert_eq!(
        body["details"][0]["@type"],
        "type.googleapis.com/google.rpc.ErrorInfo"
    );
    body["details"][0]["reason"].as_str().unwrap().to_owned()
}

async fn check(request: Request<Body>, status: u16, expected: &str) {
    let (found, text, _) = ask(&served().0, request).await;
    assert_eq!(found.as_u16(), status, "{text}");
    match status {
        200 => assert_eq!(text, expected),
        _ => assert_eq!(reason(&text), expected),
    }
}

fn json(path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path).header("content-type", "application/json");
    request.body(body.into()).unwrap()
}

/// A body that comes in pieces of one size and tells nobody how long it is.
struct Chunked {
    pieces: usize,
    size: usize,
}

impl HttpBody for Chunked {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.pieces == 0 {
            return Poll::Ready(None);
        }
        self.pieces -= 1;
        Poll::Ready(Some(Ok(Frame::data(vec![b'x'; self.size].into()))))
    }
}

/// A body that gives one byte now and then.
struct Dripping {
    every: Duration,
    wait: Pin<Box<tokio::time::Sleep>>,
}

impl Dripping {
    fn new(every: Duration) -> Self {
        Self {
            every,
            wait: Box::pin(tokio::time::sleep(every)),
        }
    }
}

impl HttpBody for Dripping {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        std::task::ready!(Future::poll(self.wait.as_mut(), context));
        self.wait = Box::pin(tokio::time::sleep(self.every));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }
}

#[tokio::test]
async fn s_50_body_limits_on_both_sides() {
    check(json("/json", vec![b'x'; LIMIT]), 200, "1000").await;
    check(json("/json", vec![b'x'; LIMIT + 1]), 413, "BODY_TOO_LARGE").await;
    check(json("/json", Body::empty()), 200, "0").await;
    let large = 3 * 1024 * 1024;
    check(json("/large", vec![b'x'; large]), 200, "3145728").await;
    check(json("/large", vec![b'x'; large + 1]), 413, "BODY_TOO_LARGE").await;
}

#[tokio::test]
async fn s_50_body_limits_without_a_length() {
    let chunked = |pieces, size| json("/json", Body::new(Chunked { pieces, size }));
    check(chunked(10, 100), 200, "1000").await;
    check(chunked(1000, 1), 200, "1000").await;
    check(chunked(1001, 1), 413, "BODY_TOO_LARGE").await;
    check(chunked(usize::MAX, 100), 413, "BODY_TOO_LARGE").await;
}

#[tokio::test]
async fn s_50_body_limits_with_a_lying_length() {
    let lying = |announced: &str, sent: usize| {
        let request = Request::post("/json").header("content-type", "application/json");
        request
            .header("content-length", announced)
            .body(vec![b'x'; sent].into())
            .unwrap()
    };
    check(lying("1", LIMIT + 1), 413, "BODY_TOO_LARGE").await;
    check(lying("1001", 1), 413, "BODY_TOO_LARGE").await;
    check(lying("18446744073709551615", 1), 413, "BODY_TOO_LARGE").await;
    check(lying("nonsense", LIMIT + 1), 413, "BODY_TOO_LARGE").await;
}

#[tokio::test]
async fn k_14_a_route_that_says_nothing_has_a_limit_too() {
    check(json("/plain", vec![b'x'; UNDECLARED_BODY]), 200, "65536").await;
    let (status, _, _) = ask(&served().0, json("/plain", vec![b'x'; UNDECLARED_BODY + 1])).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn s_51_slow_bodies_time_out() {
    let start = tokio::time::Instant::now();
    let slow = |every| json("/large", Body::new(Dripping::new(every)));
    check(slow(Duration::from_secs(1)), 408, "BODY_TOO_SLOW").await;
    // One byte a second does not earn a second more.
    assert_eq!(start.elapsed(), waxseal_serve::BODY_GRACE);

    let start = tokio::time::Instant::now();
    check(slow(Duration::from_micros(1)), 408, "BODY_TOO_SLOW").await;
    assert_eq!(start.elapsed(), waxseal_serve::BODY_TOTAL);
}

#[tokio::test]
async fn s_52_encoded_bodies_are_not_taken() {
    for encoding in ["gzip", "br", "zstd", "deflate", "identity, gzip", ""] {
        let mut request = json("/json", "{}");
        request
            .headers_mut()
            .insert("content-encoding", encoding.parse().unwrap());
        check(request, 415, "CONTENT_ENCODING").await;
    }
    let mut request = json("/json", "{}");
    request
        .headers_mut()
        .insert("content-encoding", "Identity".parse().unwrap());
    check(request, 200, "2").await;
}

#[tokio::test]
async fn content_type_is_required() {
    let typed = |path: &str, types: &[&str]| {
        let mut request = Request::post(path);
        for value in types {
            request = request.header("content-type", *value);
        }
        request.body(Body::from("{}")).unwrap()
    };
    const JSON: &str = "application/json";
    const FORM: &str = "application/x-www-form-urlencoded";
    for types in [
        &[][..],
        &["text/plain"],
        &[FORM],
        &["application/jsonx"],
        &[JSON, JSON],
        &[""],
    ] {
        check(typed("/json", types), 415, "CONTENT_TYPE").await;
    }
    for value in [
        JSON,
        "Application/JSON; charset=utf-8",
        "application/json ;x=y",
    ] {
        check(typed("/json", &[value]), 200, "2").await;
    }
    check(typed("/form", &[JSON]), 415, "CONTENT_TYPE").await;
    check(typed("/form", &[FORM]), 200, "2").await;
    check(typed("/any", &[]), 200, "2").await;
    // What only reads has no body, and needs no type.
    check(
        Request::get("/json").body("ignored".into()).unwrap(),
        200,
        "0",
    )
    .await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    check(
        Request::get("/nowhere").body(Body::empty()).unwrap(),
        404,
        "NO_SUCH_PATH",
    )
    .await;
    for method in ["GET", "DELETE", "BREW"] {
        let request = Request::builder()
            .method(method)
            .uri("/form")
            .body(Body::empty())
            .unwrap();
        let (status, text, parts) = ask(&served().0, request).await;
        assert_eq!(
            (status.as_u16(), reason(&text).as_str()),
            (405, "METHOD_NOT_ALLOWED")
        );
        assert_eq!(parts.headers()["allow"], "POST");
    }
}

#[tokio::test]
async fn s_57_a_panic_ends_one_request() {
    let (router, meter) = served();
    for _ in 0..3 {
        let request = Request::get("/boom").body(Body::empty()).unwrap();
        let (status, text, _) = ask(&router, request).await;
        assert_eq!((status.as_u16(), reason(&text).as_str()), (500, "PANIC"));
        assert!(!text.contains("CANARY"));
    }
    assert_eq!(ask(&router, json("/json", "{}")).await.0, StatusCode::OK);
    assert!(
        meter.text().contains("http_panics_total 3\n"),
        "{}",
        meter.text()
    );
}

#[tokio::test]
async fn v_68_random_paths_and_methods_make_no_series() {
    let (router, meter) = served();
    let warm = |router: Router| async move {
        for (method, path) in [
            ("GET", "/item/a"),
            ("GET", "/nowhere"),
            ("BREW", "/nowhere"),
        ] {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .body(Body::empty());
            ask(&router, request.unwrap()).await;
        }
    };
    warm(router.clone()).await;
    let lines = meter.text().lines().count();
    for n in 0..2000 {
        let method = format!("M{n}");
        for (method, path) in [
            ("GET", format!("/item/{n}")),
            ("GET", format!("/{n}/\u{2026}")),
            (method.as_str(), format!("/x{n}?CANARY={n}")),
        ] {
            let Ok(uri) = path.parse::<http::Uri>() else {
                continue;
            };
            let request = Request::builder()
                .method(method)
                .uri(uri)
                .body(Body::empty());
            ask(&router, request.unwrap()).await;
        }
    }
    let text = meter.text();
    assert_eq!(text.lines().count(), lines, "{text}");
    assert!(
        text.contains(r#"route="/item/{name}",method="GET",status="2xx"} 2001"#),
        "{text}"
    );
    assert!(!text.contains("CANARY"));
}

#[tokio::test]
async fn responses_say_how_a_browser_must_treat_them() {
    let request = Request::get("/item/a")
        .header("x-request-id", "CANARY")
        .body(Body::empty());
    let (_, _, parts) = ask(&served().0, request.unwrap()).await;
    assert_eq!(parts.headers()["x-content-type-options"], "nosniff");
    assert_eq!(parts.headers()["x-frame-options"], "DENY");
    assert_eq!(parts.headers()["referrer-policy"], "same-origin");
    assert!(
        parts.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("'none'")
    );
    let id = parts.headers()["x-request-id"].to_str().unwrap();
    assert!(
        id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{id}"
    );
}

#[tokio::test]
async fn a_route_may_say_otherwise_and_knows_its_request() {
    let page = async |id: axum::Extension<RequestId>| {
        (
            [("content-security-policy", "default-src 'self'")],
            id.0.as_str().to_owned(),
        )
    };
    let router = Chassis::new(&Meter::new()).wrap(Router::new().route("/", get(page)));
    let (_, text, parts) = ask(&router, Request::get("/").body(Body::empty()).unwrap()).await;
    assert_eq!(
        parts.headers()["content-security-policy"],
        "default-src 'self'"
    );
    assert_eq!(parts.headers()["x-request-id"], text.as_str());
}

async fn check_host(check: &HostCheck, headers: &[(&str, &str)], uri: &str, expected: &str) {
    let router = Router::new().route("/", get(async || "ok"));
    let router = Chassis::new(&Meter::new())
        .with_host_check(check.clone())
        .wrap(router);
    let mut request = Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (status, text, _) = ask(&router, request.body(Body::empty()).unwrap()).await;
    let found = if status == StatusCode::OK {
        text
    } else {
        format!("{} {}", status.as_u16(), reason(&text))
    };
    assert_eq!(found, expected, "{headers:?} {uri}");
}

#[tokio::test]
async fn host_and_origin_on_loopback() {
    let local = HostCheck::loopback(8383, false);
    const FOREIGN_HOST: &str = "421 HOST_FOREIGN";
    const FOREIGN_ORIGIN: &str = "403 ORIGIN_FOREIGN";
    for host in [
        "localhost:8383",
        "LOCALHOST:8383",
        "127.0.0.1:8383",
        "[::1]:8383",
    ] {
        check_host(&local, &[("host", host)], "/", "ok").await;
        check_host(&local, &[], &format!("http://{host}/"), "ok").await;
    }
    for host in [
        "evil.example:8383",
        "localhost",
        "localhost:8384",
        "localhost.:8383",
        "localhost:8383.evil.example",
        "127.0.0.2:8383",
        "0.0.0.0:8383",
        "user@localhost:8383",
        "",
    ] {
        check_host(&local, &[("host", host)], "/", FOREIGN_HOST).await;
    }
    let ours = ("host", "localhost:8383");
    check_host(&local, &[ours], "http://evil.example/", FOREIGN_HOST).await;
    check_host(&local, &[ours, ours], "/", "400 HOST_TWICE").await;
    check_host(&local, &[], "/", "400 HOST_MISSING").await;
    for origin in [
        "http://localhost:8383",
        "http://127.0.0.1:8383",
        "http://[::1]:8383",
    ] {
        check_host(&local, &[ours, ("origin", origin)], "/", "ok").await;
    }
    for origin in [
        "null",
        "",
        "http://evil.example",
        "https://localhost:8383",
        "http://localhost:8384",
        "http://localhost",
        "http://localhost:8383.evil.example",
    ] {
        check_host(&local, &[ours, ("origin", origin)], "/", FOREIGN_ORIGIN).await;
    }
}

#[tokio::test]
async fn host_elsewhere() {
    check_host(
        &HostCheck::loopback(80, false),
        &[("host", "localhost")],
        "/",
        "ok",
    )
    .await;
    let tls = HostCheck::loopback(443, true);
    check_host(
        &tls,
        &[("host", "[::1]"), ("origin", "https://[::1]")],
        "/",
        "ok",
    )
    .await;
    let named = HostCheck::named("ca.example");
    let anywhere = ("origin", "https://page.example");
    check_host(&named, &[("host", "CA.example"), anywhere], "/", "ok").await;
    check_host(
        &named,
        &[("host", "ca.example.evil")],
        "/",
        "421 HOST_FOREIGN",
    )
    .await;
    check_host(&HostCheck::off(), &[("host", "x"), anywhere], "/", "ok").await;
}

#[tokio::test]
async fn problems_say_what_they_must_and_nothing_more() {
    let check = |problem: Problem, status: u16, code: u8| async move {
        let response = problem.into_response();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let retry = response
            .headers()
            .get("retry-after")
            .map(|v| v.to_str().unwrap().to_owned());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(body["code"], code);
        assert_eq!(body["details"][0]["reason"], "R");
        assert_eq!(body["details"][0]["domain"], "waxseal");
        assert!(!body.to_string().contains("CANARY"), "{body}");
        retry
    };
    for (code, status, number) in [
        (Code::InvalidArgument, 400, 3),
        (Code::DeadlineExceeded, 504, 4),
        (Code::NotFound, 404, 5),
        (Code::AlreadyExists, 409, 6),
        (Code::PermissionDenied, 403, 7),
        (Code::ResourceExhausted, 429, 8),
        (Code::FailedPrecondition, 400, 9),
        (Code::Aborted, 409, 10),
        (Code::Unimplemented, 501, 12),
        (Code::Internal, 500, 13),
        (Code::Unavailable, 503, 14),
        (Code::Unauthenticated, 401, 16),
    ] {
        assert_eq!(
            check(Problem::refusal(code, "R", "m"), status, number).await,
            None
        );
    }
    assert_eq!(check(Problem::fault("R", "CANARY"), 500, 13).await, None);
    let late = Problem::unavailable("R", "later", "CANARY");
    let late = late.with_retry_after(Duration::from_millis(1500));
    assert_eq!(check(late, 503, 14).await.as_deref(), Some("2"));
    let teapot = Problem::refusal(Code::NotFound, "R", "m").with_status(StatusCode::GONE);
    assert_eq!((teapot.reason(), teapot.status()), ("R", StatusCode::GONE));
    check(teapot, 410, 5).await;
}

#[tokio::test(start_paused = true)]
async fn health_is_told_by_named_probes() {
    let check = |health: Health, path: &'static str| async move {
        let router = health.router();
        let (status, text, _) = ask(&router, Request::get(path).body(Body::empty()).unwrap()).await;
        (status.as_u16(), text)
    };
    let good = || Health::new().probe("ledger", async || Ok(()));
    let bad = || Health::new().probe("key", async || Err(NotReady("locked")));
    let hung = || Health::new().probe("hsm", std::future::pending::<Result<(), NotReady>>);
    assert_eq!(
        check(bad(), "/healthz").await,
        (200, r#"{"alive":true}"#.to_owned())
    );
    let ready = r#"{"probes":{"ledger":"ok"},"ready":true}"#;
    assert_eq!(check(good(), "/readyz").await, (200, ready.to_owned()));
    let (status, text) = check(good().and(bad()).and(hung()), "/readyz").await;
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &body["ready"]), (503, &Value::from(false)));
    assert_eq!(body["probes"]["ledger"], "ok");
    assert_eq!(body["probes"]["key"], "locked");
    assert_eq!(body["probes"]["hsm"], "the probe does not answer");
    assert_eq!(good().ready().await, Ok(()));
    assert_eq!(
        good().and(bad()).ready().await,
        Err(("key", NotReady("locked")))
    );
}

#[derive(Clone, Copy)]
enum Outcome {
    Issued,
    Refused,
}

impl Label for Outcome {
    const NAME: &'static str = "outcome";
    fn value(&self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Refused => "refused",
        }
    }
}

#[tokio::test]
async fn metrics_are_counted_and_served() {
    let meter = Meter::new();
    let counter: Counter<Outcome> = meter.counter("certificates", "Certificates");
    let pair: Counter<(Outcome, Outcome)> = meter.counter("pairs", "Pairs");
    let gauge: Gauge<()> = meter.gauge("tree_size", "Size");
    let histogram: Histogram<()> = meter.histogram("sign_seconds", "Time", &[0.1, 1.0]);
    counter.add(Outcome::Issued, 2);
    counter.clone().add(Outcome::Refused, 1);
    pair.add((Outcome::Issued, Outcome::Refused), 1);
    gauge.set((), 7.0);
    histogram.observe((), 0.5);
    assert_eq!(counter.count(Outcome::Issued), 2);
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let (_, text, parts) = ask(&meter.router(), request).await;
    assert!(
        parts.headers()["content-type"]
            .to_str()
            .unwrap()
            .contains("openmetrics")
    );
    for line in [
        "certificates_total{outcome=\"issued\"} 2\n",
        "certificates_total{outcome=\"refused\"} 1\n",
        "tree_size 7.0\n",
        "sign_seconds_bucket{le=\"0.1\"} 0\n",
        "sign_seconds_bucket{le=\"1.0\"} 1\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn fatal_faults_keep_their_cause() {
    use std::error::Error;
    let fatal = Fatal::new("the ledger does not answer", "disk full");
    assert_eq!(fatal.to_string(), fatal.reason());
    assert_eq!(fatal.source().unwrap().to_string(), "disk full");
    assert!(Fatal::because("x").source().is_none());
}

#[tokio::test]
async fn several_servers_share_one_origin() {
    let meter = Meter::new();
    let ca = Router::new().route(
        "/api/v2/signingCert",
        accepting(post(length), Accepts::json(9)),
    );
    let log = Router::new().route("/checkpoint", get(async || "log"));
    let broker = Router::new().nest("/auth", Router::new().route("/keys", get(async || "keys")));
    let all = ca.merge(log).merge(broker).merge(Health::new().router());
    let router = Chassis::new(&meter).wrap(all);
    for (path, expected) in [("/checkpoint", "log"), ("/auth/keys", "keys")] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(ask(&router, request).await.1, expected);
    }
    let request = Request::post("/auth/keys").body(Body::empty()).unwrap();
    assert_eq!(reason(&ask(&router, request).await.1), "METHOD_NOT_ALLOWED");
    let request = Request::get("/auth/nowhere").body(Body::empty()).unwrap();
    assert_eq!(reason(&ask(&router, request).await.1), "NO_SUCH_PATH");
    assert!(
        meter.text().contains(r#"route="/auth/keys""#),
        "{}",
        meter.text()
    );
}

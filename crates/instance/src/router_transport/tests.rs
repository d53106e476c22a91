//! The rules of a transport hold inside the process, too.

use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{get, post};
use waxseal_transport::{Credential, Method};

use super::*;

const BASE: &str = "http://localhost:8383";

fn url(path: &str) -> Url {
    format!("{BASE}{path}").parse().unwrap()
}

async fn echo(uri: Uri, headers: HeaderMap, body: String) -> String {
    let header = |name: &str| {
        headers
            .get(name)
            .map_or("none", |value| value.to_str().unwrap())
            .to_owned()
    };
    let credential = (header("authorization"), header("cookie"));
    format!(
        "{uri} {} {} {} {body}",
        header("host"),
        credential.0,
        credential.1
    )
}

fn transport() -> RouterTransport {
    let router = Router::new()
        .route("/echo", post(echo))
        .route("/long", get(async || "x".repeat(100)))
        .route(
            "/away",
            get(async || Redirect::to("https://evil.example/?code=1")),
        )
        .route(
            "/none",
            get(async || StatusCode::NO_CONTENT.into_response()),
        )
        .route(
            "/encoded",
            get(async || ([("content-encoding", "gzip")], "x")),
        )
        .route("/slow", get(async || std::future::pending::<()>().await));
    RouterTransport::new(&url("/"), router, Arc::new(Nowhere))
}

async fn check(request: Request, expected: Result<&str, &str>) {
    let answer = transport().send(request).await;
    let found = answer
        .map(|answer| String::from_utf8(answer.body).unwrap())
        .map_err(|error| {
            let text = format!("{error:?}");
            text.split([' ', '{', '('])
                .next()
                .unwrap_or_default()
                .to_owned()
        });
    assert_eq!(
        found.as_ref().map(String::as_str).map_err(String::as_str),
        expected
    );
}

#[tokio::test]
async fn the_router_sees_what_the_wire_would_bring() {
    let request = Request::post(url("/echo?a=b"), "text/plain", b"body".to_vec());
    check(
        request.clone(),
        Ok("/echo?a=b localhost:8383 none none body"),
    )
    .await;
    let bearer = request
        .clone()
        .with_credential(Credential::bearer(&url("/"), "t"));
    check(bearer, Ok("/echo?a=b localhost:8383 Bearer t none body")).await;
    let cookie = Credential::cookie(&url("/"), "a=b; c=d".to_owned());
    check(
        request.with_credential(cookie),
        Ok("/echo?a=b localhost:8383 none a=b; c=d body"),
    )
    .await;
    check(Request::get(url("/none")), Ok("")).await;
    check(
        Request::new(Method::Head, url("/long")).with_max_response(10),
        Ok(""),
    )
    .await;
}

#[tokio::test]
async fn checked_before_and_after() {
    let secret = Request::get(url("/none")).with_header("Cookie", "a=b");
    check(secret, Err("SecretHeader")).await;
    let stolen = Credential::bearer(&"https://a.example".parse().unwrap(), "t");
    check(
        Request::get(url("/none")).with_credential(stolen),
        Err("OtherOrigin"),
    )
    .await;
    check(
        Request::get(url("/long")).with_max_response(99),
        Err("TooLarge"),
    )
    .await;
    check(Request::get(url("/away")), Err("RedirectRefused")).await;
    check(Request::get(url("/away")).returning_redirects(), Ok("")).await;
    check(Request::get(url("/encoded")), Err("Encoded")).await;
}

#[tokio::test]
async fn deadline() {
    let short = Duration::from_millis(5);
    check(
        Request::get(url("/slow")).with_deadline(short),
        Err("Deadline"),
    )
    .await;
}

#[tokio::test]
async fn other_origins_are_elsewhere() {
    for other in [
        "http://localhost:8384/none",
        "https://localhost:8383/none",
        "http://127.0.0.1:8383/none",
    ] {
        check(Request::get(other.parse().unwrap()), Err("Connect")).await;
    }
    let plain = Request::get("http://a.example/".parse().unwrap());
    check(plain, Err("PlainHttp")).await;
}

//! The surface: methods, paths, types, sizes, other origins.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::Request;
use axum::http::request::Builder;

use crate::world::*;

fn post() -> Builder {
    Request::post("/api/v2/signingCert").header("content-type", "application/json")
}

async fn body() -> String {
    let mut body = key_body(&*p256(), "alice@example.com");
    body["credentials"] = serde_json::json!({"oidcIdentityToken": token().await});
    body.to_string()
}

#[tokio::test]
async fn methods_and_paths() {
    let world = World::new().await;
    for (method, path) in [
        ("GET", "/api/v2/signingCert"),
        ("PUT", "/api/v2/signingCert"),
        ("POST", "/api/v2/trustBundle"),
        ("DELETE", "/api/v2/configuration"),
    ] {
        let request = Request::builder().method(method).uri(path);
        let request = request
            .header("content-type", "application/json")
            .body(Body::empty());
        let answer = world.send(request.unwrap()).await;
        let message = "this path does not take this method";
        answer.check(405, 12, message, "METHOD_NOT_ALLOWED");
    }
    for path in [
        "/",
        "/api/v2/signingcert",
        "/api/v1/signingCert",
        "/api/v2/signingCert/",
    ] {
        let answer = world.get(path).await;
        answer.check(404, 5, "there is nothing at this path", "NO_SUCH_PATH");
    }
}

#[tokio::test]
async fn content_types() {
    let world = World::new().await;
    for content_type in [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
    ] {
        let request = Request::post("/api/v2/signingCert").header("content-type", content_type);
        world.leaf(
            &world
                .send(request.body(Body::from(body().await)).unwrap())
                .await,
        );
    }
    for content_type in [
        "",
        "text/plain",
        "application/jsonx",
        "application/x-www-form-urlencoded",
    ] {
        let request = Request::post("/api/v2/signingCert").header("content-type", content_type);
        let answer = world
            .send(request.body(Body::from(body().await)).unwrap())
            .await;
        let message = "the content type must be application/json";
        answer.check(415, 3, message, "CONTENT_TYPE");
    }
}

#[tokio::test]
async fn s_50_bodies_are_bounded() {
    let world = World::new().await;
    let padded = |length: usize, body: &str| format!("{body}{}", " ".repeat(length - body.len()));
    let fits = padded(64 << 10, &body().await);
    world.leaf(&world.send(post().body(Body::from(fits)).unwrap()).await);
    let large = padded((64 << 10) + 1, &body().await);
    let whole = post().body(Body::from(large.clone())).unwrap();
    // Without an announced length, as of a chunked body.
    let stream = Body::from_stream(futures_util::stream::iter([Ok::<_, Infallible>(large)]));
    for request in [whole, post().body(stream).unwrap()] {
        let answer = world.send(request).await;
        answer.check(
            413,
            3,
            "the body is larger than 65536 bytes",
            "BODY_TOO_LARGE",
        );
    }
}

#[tokio::test]
async fn s_52_encoded_bodies_are_refused() {
    let world = World::new().await;
    let request = post()
        .header("content-encoding", "gzip")
        .body(Body::from(body().await));
    let answer = world.send(request.unwrap()).await;
    assert_eq!(answer.status.as_u16(), 415, "{}", answer.text);
}

#[tokio::test]
async fn authorization() {
    let world = World::new().await;
    let token = token().await;
    let body = key_body(&*p256(), "alice@example.com").to_string();
    for value in [
        format!("bearer {token}"),
        format!("BEARER {token}"),
        format!("Bearer  {token}"),
    ] {
        let request = post()
            .header("authorization", value)
            .body(Body::from(body.clone()));
        world.leaf(&world.send(request.unwrap()).await);
    }
    for value in [
        token.clone(),
        format!("Basic {token}"),
        "Bearer".into(),
        "Bearer ".into(),
    ] {
        let request = post()
            .header("authorization", value)
            .body(Body::from(body.clone()));
        let answer = world.send(request.unwrap()).await;
        answer.check(400, 3, TOKEN_MESSAGE, "TOKEN_MISSING");
    }
    let twice = post()
        .header("authorization", format!("Bearer {token}"))
        .header("authorization", format!("Bearer {token}"))
        .body(Body::from(body));
    world
        .send(twice.unwrap())
        .await
        .check(400, 3, TOKEN_MESSAGE, "TOKEN_MISSING");
}

#[tokio::test]
async fn other_origins_may_call() {
    let world = World::new().await;
    for path in [
        "/api/v2/signingCert",
        "/api/v2/trustBundle",
        "/api/v2/configuration",
    ] {
        let request = Request::options(path)
            .header("origin", "https://page.example")
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization, content-type",
            );
        let answer = world.send(request.body(Body::empty()).unwrap()).await;
        assert!(answer.status.is_success());
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        assert_eq!(
            answer.headers["access-control-allow-methods"],
            "GET,HEAD,POST"
        );
        assert_eq!(
            answer.headers["access-control-allow-headers"],
            "authorization,content-type"
        );
        assert!(
            !answer
                .headers
                .contains_key("access-control-allow-credentials")
        );
    }
    let request = post()
        .header("origin", "https://page.example")
        .body(Body::from(body().await));
    let answer = world.send(request.unwrap()).await;
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    world.leaf(&answer);
    let refused = post()
        .header("origin", "https://page.example")
        .body(Body::from("{}"));
    let answer = world.send(refused.unwrap()).await;
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
}

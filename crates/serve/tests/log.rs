//! What the request log holds, and what it never does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use http::Request;
use tower::ServiceExt;
use waxseal_serve::{Accepts, Chassis, Meter, Problem, accepting};

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn logged(json: bool) -> String {
    let sink = Sink::default();
    let writer = sink.clone();
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone());
    let dispatch = match json {
        true => tracing::Dispatch::new(log.json().flatten_event(true).finish()),
        false => tracing::Dispatch::new(log.finish()),
    };
    let _guard = tracing::dispatcher::set_default(&dispatch);

    let fault = async || {
        Problem::fault(
            "STORE",
            "disk\r\n{\"level\":\"INFO\",\"forged\":1}\u{1b}[31m",
        )
    };
    let router = Router::new()
        .route("/item/{name}", get(async || "ok"))
        .route(
            "/echo",
            accepting(post(async |body: String| body), Accepts::untyped(64)),
        )
        .route("/fault", get(fault));
    let router = Chassis::new(&Meter::new()).wrap(router);
    for request in [
        Request::get("/item/CANARYSECRET?code=CANARYSECRET"),
        Request::get("/CANARYSECRET"),
        Request::get("/fault?CANARYSECRET"),
        Request::post("/echo"),
        Request::builder().method("CANARYSECRET").uri("/echo"),
    ] {
        let request = request
            .header("authorization", "Bearer CANARYSECRET")
            .header("cookie", "CANARYSECRET")
            .header("x-request-id", "CANARYSECRET")
            .header("user-agent", "CANARYSECRET\tforged")
            .body(Body::from("CANARYSECRET"));
        router.clone().oneshot(request.unwrap()).await.unwrap();
    }
    let bytes = sink.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn s_55_every_line_is_one_record() {
    let log = logged(true).await;
    let records: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect();
    assert_eq!(records.len(), 6, "{log}");
    assert!(records.iter().all(|record| record.get("forged").is_none()));
    let served: Vec<_> = records
        .iter()
        .filter(|r| r["message"] == "served")
        .collect();
    let routes: Vec<_> = served
        .iter()
        .map(|r| r["span"]["route"].as_str().unwrap())
        .collect();
    assert_eq!(
        routes,
        ["/item/{name}", "unmatched", "/fault", "/echo", "/echo"]
    );
    let statuses: Vec<_> = served
        .iter()
        .map(|r| r["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 404, 500, 200, 405]);
    // A fault is told with its cause, under the id that the client was given.
    let fault = records.iter().find(|r| r["message"] == "fault").unwrap();
    assert!(
        fault["cause"].as_str().unwrap().starts_with("disk"),
        "{fault}"
    );
    assert_eq!(fault["span"]["id"].as_str().unwrap().len(), 16);
}

#[tokio::test]
async fn s_55_text_lines_are_not_forged() {
    let log = logged(false).await;
    assert_eq!(log.lines().count(), 6, "{log}");
    assert!(!log.contains('\u{1b}') && !log.contains('\r'), "{log}");
}

#[tokio::test]
async fn s_56_no_secret_is_logged() {
    for json in [true, false] {
        let log = logged(json).await;
        assert!(log.contains("served") && !log.contains("CANARY"), "{log}");
    }
}

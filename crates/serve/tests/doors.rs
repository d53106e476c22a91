//! Requests that are turned away at the door, on real connections.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use waxseal_serve::{
    Code, Door, Front, Limits, Listen, MAX_DISCARDED, PreparedProblem, Problem, Shutdown, serve,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Is shut before `POST /work`, and counts who comes.
#[derive(Debug)]
struct Shut {
    busy: PreparedProblem,
    turned_away: AtomicUsize,
}

impl Door for Shut {
    fn turns_away(&self, method: &Method, path: &str) -> Option<Response> {
        (method == Method::POST && path == "/work").then(|| {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            self.busy.response(Duration::from_millis(2100))
        })
    }
}

struct Visit {
    stream: TcpStream,
    door: Arc<Shut>,
    shutdown: Shutdown,
}

impl Visit {
    async fn begin() -> Self {
        let busy = Problem::refusal(Code::Unavailable, "BUSY", "come again");
        let door = Arc::new(Shut {
            busy: PreparedProblem::new(busy),
            turned_away: AtomicUsize::new(0),
        });
        let route = post(async || "got in");
        let router = Router::new()
            .route("/work", route.get(async || "in"))
            .route("/", get(async || "hello"));
        let before: Arc<dyn Door> = Arc::<Shut>::clone(&door);
        let front = Front::new(router, [before]);
        let listener = Listen::new("127.0.0.1:0").bind().await.unwrap();
        let stream = TcpStream::connect(("127.0.0.1", listener.port())).await;
        let shutdown = Shutdown::new();
        tokio::spawn(serve(front, listener, shutdown.clone(), Limits::default()));
        Self {
            stream: stream.unwrap(),
            door,
            shutdown,
        }
    }

    async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// What comes until it ends so, or the connection ends.
    async fn hear(&mut self, end: &str) -> String {
        let mut heard = Vec::new();
        let mut piece = [0; 4096];
        while !heard.ends_with(end.as_bytes()) {
            let read = timeout(PATIENCE, self.stream.read(&mut piece)).await;
            match read.expect("the server speaks in time") {
                Ok(0) | Err(_) => break,
                Ok(count) => heard.extend_from_slice(&piece[..count]),
            }
        }
        String::from_utf8(heard).unwrap()
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

fn head(method: &str, path: &str, length: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{length}\r\n")
}

#[tokio::test]
async fn a_connection_outlives_a_request_that_is_turned_away() {
    let mut visit = Visit::begin().await;
    let head = head("POST", "/work", "content-length: 3000\r\n");
    for _ in 0..3 {
        visit.say(&head).await;
        visit.say(&"a".repeat(1000)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        visit.say(&"b".repeat(2000)).await;
        let answer = visit.hear("}]}").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        for line in [
            "retry-after: 3\r\n",
            "content-type: application/json\r\n",
            "x-content-type-options: nosniff\r\n",
            r#""reason":"BUSY""#,
        ] {
            assert!(answer.contains(line), "{line} in {answer}");
        }
    }
    assert_eq!(visit.door.turned_away.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn requests_that_come_together_are_answered_in_their_order() {
    let mut visit = Visit::begin().await;
    let turned = head("POST", "/work", "content-length: 4\r\n") + "away";
    let all = [turned.clone(), head("GET", "/work", ""), turned].concat();
    visit.say(&all).await;
    let mut heard = String::new();
    while heard.matches("HTTP/1.1 ").count() < 3 {
        heard += &visit.hear("}").await;
    }
    let statuses = heard
        .split("HTTP/1.1 ")
        .filter_map(|answer| answer.get(..3));
    assert_eq!(
        statuses.collect::<Vec<_>>(),
        ["503", "200", "503"],
        "{heard}"
    );
}

/// A client cannot keep a refused request's connection busy with bytes that nobody wants.
#[tokio::test]
async fn long_bodies_are_not_taken_in() {
    let too_long = format!("content-length: {}\r\n", MAX_DISCARDED + 1);
    for length in [&too_long, "transfer-encoding: chunked\r\n"] {
        let mut visit = Visit::begin().await;
        visit.say(&head("POST", "/work", length)).await;
        let answer = visit.hear("no such end").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{length}: {answer}");
    }
}

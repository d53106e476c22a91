//! Frozen shards, served from their directories: the bytes that their log served.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, Method, StatusCode, header};
use waxseal_tlog::TilePath;

use super::Shard;

/// What upstream's servers say of a log that takes no more entries.
const FROZEN: &str = "This log has been frozen, please switch to the latest log.\n";

/// Below these every resource of a log is served, by upstream's paths too.
const PREFIXES: [&str; 2] = ["/api/v2/", "/"];

/// Where writes go.
const ENTRIES: &str = "/api/v2/log/entries";

/// Answers for frozen shards where they are called by their names, and leaves all else to `routes`.
pub(crate) fn by_host(routes: Router, shards: &[Shard]) -> Router {
    if shards.is_empty() {
        return routes;
    }
    let shards: Arc<[_]> = shards
        .iter()
        .map(|shard| Archive {
            authority: shard.url.authority().to_owned(),
            tiles: shard.folder.join("tiles"),
        })
        .collect();
    routes.layer(from_fn(move |request: Request, next: Next| {
        let called = called(&request);
        let shard = shards.iter().find(|shard| shard.authority == called);
        let answer = shard.and_then(|shard| shard.answer(&request));
        async move {
            match answer {
                Some(answer) => answer.send().await,
                None => next.run(request).await,
            }
        }
    }))
}

/// The name that the server is called by.
fn called(request: &Request) -> String {
    let field = request.headers().get(header::HOST);
    let field = field.and_then(|value| value.to_str().ok());
    let authority = request.uri().authority().map(|name| name.as_str());
    field.or(authority).unwrap_or_default().to_ascii_lowercase()
}

struct Archive {
    authority: String,
    tiles: PathBuf,
}

/// What a frozen shard answers.
enum Answer {
    Frozen,
    File {
        path: PathBuf,
        kind: &'static str,
        cache: &'static str,
    },
}

impl Archive {
    /// `None`: it is no resource of a log.
    fn answer(&self, request: &Request) -> Option<Answer> {
        let path = request.uri().path();
        if path == ENTRIES || path.starts_with("/api/v2/log/entries:") {
            return Some(Answer::Frozen);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let name = PREFIXES
            .iter()
            .find_map(|prefix| path.strip_prefix(prefix))?;
        if name == "checkpoint" {
            return Some(Answer::File {
                path: self.tiles.join(name),
                kind: "text/plain; charset=utf-8",
                cache: "no-cache",
            });
        }
        // The path is written anew: nothing of the request reaches the file system.
        let path = TilePath::parse(name).ok()?.to_string();
        Some(Answer::File {
            path: self.tiles.join(path),
            kind: "application/octet-stream",
            cache: "max-age=604800, immutable",
        })
    }
}

impl Answer {
    async fn send(self) -> Response {
        let Self::File { path, kind, cache } = self else {
            return (StatusCode::METHOD_NOT_ALLOWED, FROZEN).into_response();
        };
        let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
        match read.map_err(io::Error::other).flatten() {
            Ok(bytes) => {
                let mut response = Response::new(Body::from(bytes));
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
                response
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                StatusCode::NOT_FOUND.into_response()
            }
            Err(error) => {
                tracing::error!(%error, "a frozen shard cannot be read");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

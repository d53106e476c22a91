//! The read routes: checkpoints, tiles, bundles, issuers. The same bytes as the objects'.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use waxseal_crypto::sha256;
use waxseal_tlog::TilePath;

use super::Web;
use super::compress::Encoding;
use super::lookup::{decimal, parse_digest};
use super::serve_bytes::Content;
use crate::problem;

/// As Tessera sets it on objects.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("max-age=604800, immutable");

const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

const TEXT: &str = "text/plain; charset=utf-8";

pub(super) async fn checkpoint(State(web): State<Arc<Web>>, request: HeaderMap) -> Response {
    let published = web.service.shown();
    if published.checkpoint.is_empty() {
        return problem::not_found();
    }
    note(&published.checkpoint, &request)
}

/// A checkpoint that was published at that size, if it is kept. One with more cosignatures may
/// take its place.
pub(super) async fn checkpoint_of(
    State(web): State<Arc<Web>>,
    Path(size): Path<String>,
    request: HeaderMap,
) -> Response {
    let Some(size) = decimal(&size) else {
        return problem::bad_query("size", "a tree size is a decimal number");
    };
    match web.service.checkpoint_of(size).await {
        Ok(Some(checkpoint)) => note(&checkpoint, &request),
        Ok(None) => problem::not_kept(),
        Err(error) => problem::read(error),
    }
}

fn note(text: &str, request: &HeaderMap) -> Response {
    let [a, b, c, d, e, f, g, h, ..] = sha256(text.as_bytes());
    let tag = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let content = Content {
        bytes: Bytes::from(text.to_owned()),
        content_type: TEXT,
        cache_control: REVALIDATE,
        tag: format!("{tag:016x}"),
        varies: false,
    };
    content.respond(request)
}

pub(super) async fn tile(
    State(web): State<Arc<Web>>,
    Path(path): Path<String>,
    request: HeaderMap,
) -> Response {
    let Ok(path) = TilePath::parse(&format!("tile/{path}")) else {
        return problem::not_found();
    };
    let bytes = match web.service.read(path).await {
        Ok(Some(bytes)) => Bytes::from(bytes),
        Ok(None) => return problem::not_found(),
        Err(error) => return problem::read(error),
    };
    // Hashes do not compress; partial bundles are soon replaced.
    let is_full_bundle = matches!(
        path,
        TilePath::Entries { width: 256, .. } | TilePath::Data { width: 256, .. }
    );
    let content = Content {
        bytes,
        content_type: "application/octet-stream",
        cache_control: IMMUTABLE,
        // What is at a path of the log never changes.
        tag: path.to_string(),
        varies: is_full_bundle,
    };
    let wanted = Encoding::preferred(&request).filter(|_| {
        // A range is one of the bytes as they are.
        is_full_bundle && !request.contains_key(header::RANGE)
    });
    if let Some(encoding) = wanted {
        let bytes = &content.bytes;
        if let Some(encoded) = web.compressor.compressed(path, encoding, bytes).await {
            return content.respond_encoded(&request, encoding, encoded);
        }
    }
    content.respond(&request)
}

pub(super) async fn issuer(
    State(web): State<Arc<Web>>,
    Path(digest): Path<String>,
    request: HeaderMap,
) -> Response {
    let Some(hash) = parse_digest(&digest) else {
        return problem::not_found();
    };
    match web.service.issuer(hash).await {
        Ok(Some(bytes)) => {
            let content = Content {
                bytes: bytes.into(),
                content_type: "application/pkix-cert",
                cache_control: IMMUTABLE,
                tag: digest,
                varies: false,
            };
            content.respond(&request)
        }
        Ok(None) => problem::not_found(),
        Err(error) => problem::read(error),
    }
}

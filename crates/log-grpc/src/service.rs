//! The service: each call is a request to the log's own routes.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{self, HeaderMap, HeaderValue, StatusCode, header};
use tonic::{Request, Response, Status};
use tower::ServiceExt as _;
use waxseal_formats::TransparencyLogEntry;

use crate::dev::sigstore::rekor::v1;
use crate::dev::sigstore::rekor::v2::rekor_server;
use crate::dev::sigstore::rekor::v2::{CreateEntryRequest, EntryBundleRequest, TileRequest};
use crate::google::api::HttpBody;
use crate::{MAX_ANSWER, message, status};

const ENTRIES: &str = "/api/v2/log/entries";

/// The log's routes, called in-process.
pub(crate) struct Rekor(Router);

/// An answer of the log that is a success.
struct Answer {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Rekor {
    pub(crate) const fn new(log: Router) -> Self {
        Self(log)
    }

    async fn call(&self, request: http::Request<Body>) -> Result<Answer, Status> {
        let Ok(response) = self.0.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, MAX_ANSWER).await;
        let body = body.map_err(|_| Status::internal("the log broke its answer off"))?;
        if !matches!(parts.status, StatusCode::OK | StatusCode::CREATED) {
            return Err(status::refused(parts.status, &parts.headers, &body));
        }
        Ok(Answer {
            headers: parts.headers,
            body: body.to_vec(),
        })
    }

    async fn read(&self, path: String) -> Result<Response<HttpBody>, Status> {
        let malformed = |_| status::malformed("N", "the name of a tile is malformed");
        let request = http::Request::get(path).body(Body::empty());
        let answer = self.call(request.map_err(malformed)?).await?;
        let kind = answer.headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok());
        Ok(Response::new(HttpBody {
            content_type: kind.unwrap_or_default().to_owned(),
            data: answer.body,
            extensions: Vec::new(),
        }))
    }
}

#[tonic::async_trait]
impl rekor_server::Rekor for Rekor {
    async fn create_entry(
        &self,
        request: Request<CreateEntryRequest>,
    ) -> Result<Response<v1::TransparencyLogEntry>, Status> {
        let body = message::request_json(request.get_ref());
        let mut call = http::Request::post(ENTRIES)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, body.len());
        let prefer = request.metadata().get("prefer");
        if let Some(prefer) = prefer.and_then(|p| HeaderValue::from_bytes(p.as_bytes()).ok()) {
            call = call.header("prefer", prefer);
        }
        if let Some(client) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
            call = call.extension(*client);
        }
        let call = call.body(Body::from(body));
        let call = call.map_err(|_| Status::internal("a call of the log is malformed"))?;
        let answer = self.call(call).await?;
        let entry = TransparencyLogEntry::from_json(&answer.body);
        let entry = entry.map_err(|_| Status::internal("the log's answer is malformed"))?;
        let mut response = Response::new(message::entry(entry));
        status::pass_on(&answer.headers, response.metadata_mut());
        Ok(response)
    }

    async fn get_tile(&self, request: Request<TileRequest>) -> Result<Response<HttpBody>, Status> {
        let TileRequest { l, n } = request.into_inner();
        self.read(format!("/api/v2/tile/{l}/{}", name(&n)?)).await
    }

    async fn get_entry_bundle(
        &self,
        request: Request<EntryBundleRequest>,
    ) -> Result<Response<HttpBody>, Status> {
        let EntryBundleRequest { n } = request.into_inner();
        self.read(format!("/api/v2/tile/entries/{}", name(&n)?))
            .await
    }

    async fn get_checkpoint(&self, _: Request<()>) -> Result<Response<HttpBody>, Status> {
        self.read("/api/v2/checkpoint".to_owned()).await
    }
}

/// What the names of tiles are made of, and nothing that means more in a path (S-53).
fn name(n: &str) -> Result<&str, Status> {
    let plain = |byte| matches!(byte, b'0'..=b'9' | b'x' | b'/' | b'.' | b'p');
    if n.is_empty() || n.len() > 64 || !n.bytes().all(plain) {
        return Err(status::malformed("N", "the name of a tile is malformed"));
    }
    Ok(n)
}

//! `waxseal` on platforms that give tokens to what runs there: over real sockets, spoken to by real
//! servers, which say what the platforms' documentation has them say.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, Version};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::net::{TcpListener, UnixListener};
use waxseal_crypto::Clock as _;
use waxseal_crypto_aws_lc::SystemClock;
use waxseal_tests_e2e::{Outcome, waxseal};

/// A token for an audience. Nobody checks its signature here.
fn token(subject: &str, audience: &str) -> String {
    let expires = SystemClock.now().unix_seconds() + 300;
    let claims =
        json!({"iss": "https://a.example", "sub": subject, "aud": audience, "exp": expires});
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
    format!(
        "{header}.{}.c2ln",
        URL_SAFE_NO_PAD.encode(claims.to_string())
    )
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(test);
}

async fn whoami(variables: &[(&str, &str)]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    waxseal(folder.path(), &["identity", "whoami", "--json"], variables).await
}

/// A field of Protocol Buffers that holds bytes, of at most two bytes' length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    let low = u8::try_from(length & 0x7f).unwrap();
    let mut text = vec![(number << 3) | 2];
    match u8::try_from(length >> 7).unwrap() {
        0 => text.push(low),
        high => text.extend([low | 0x80, high]),
    }
    text.extend(bytes);
    text
}

#[test]
fn a_spiffe_agent_gives_its_svid() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let call = async |version: Version, headers: HeaderMap, body: Bytes| {
            assert_eq!(version, Version::HTTP_2);
            // The Workload API refuses whoever does not send it.
            if headers
                .get("workload.spiffe.io")
                .is_none_or(|value| value != "true")
            {
                return [("grpc-status", "3")].into_response();
            }
            assert_eq!(
                body[..],
                [&[0, 0, 0, 0, 10][..], &field(1, b"sigstore")].concat()
            );
            let id = "spiffe://a.example/builder";
            let token = token(id, "sigstore");
            let svid = [field(1, id.as_bytes()), field(2, token.as_bytes())].concat();
            let message = field(1, &svid);
            let mut frame = vec![0];
            frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
            frame.extend(message);
            ([("content-type", "application/grpc")], frame).into_response()
        };
        let router = Router::new().route("/SpiffeWorkloadAPI/FetchJWTSVID", post(call));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let socket = format!("unix://{}", path.display());
        let outcome = whoami(&[("SPIFFE_ENDPOINT_SOCKET", &socket)]).await;
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let said = &outcome.json()[0];
        assert_eq!(said["identity"], "spiffe://a.example/builder");
        assert_eq!(said["source"], "SPIFFE");
    });
}

/// A metadata server on loopback, as emulators are, that says who it is, or not.
async fn metadata(flavor: Option<&'static str>, status: StatusCode) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = async move |headers: HeaderMap, Query(query): Query<Vec<(String, String)>>| {
        assert_eq!(headers["metadata-flavor"], "Google");
        let (name, audience) = &query[0];
        assert_eq!((name.as_str(), query[1].1.as_str()), ("audience", "full"));
        let mut response = (status, token("1234", audience)).into_response();
        if let Some(flavor) = flavor {
            let headers = response.headers_mut();
            headers.insert("metadata-flavor", flavor.parse().unwrap());
        }
        response
    };
    let path = waxseal_transport::METADATA_PATH;
    let router = Router::new().route(path, get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[test]
fn a_metadata_server_says_that_it_is_one() {
    run(async {
        let check = async |flavor, status, expected: &str| {
            let address = metadata(flavor, status).await.to_string();
            // No proxy is asked, whatever the environment says.
            let proxy = "http://127.0.0.1:1";
            let variables = [
                ("GCE_METADATA_HOST", address.as_str()),
                ("http_proxy", proxy),
                ("HTTPS_PROXY", proxy),
                ("ALL_PROXY", proxy),
            ];
            let outcome = whoami(&variables).await;
            let said = &outcome.json()[0];
            let found = match outcome.code {
                0 => said["source"].as_str().unwrap(),
                _ => said["error"]["message"].as_str().unwrap(),
            };
            assert!(found.contains(expected), "{outcome:?}");
        };
        let google = Some("Google");
        check(google, StatusCode::OK, "Google Cloud").await;
        check(google, StatusCode::NOT_FOUND, "no service account").await;
        check(google, StatusCode::FORBIDDEN, "gave no identity token").await;
        check(None, StatusCode::OK, "no Metadata-Flavor").await;
        check(Some("Other"), StatusCode::OK, "no Metadata-Flavor").await;
    });
}

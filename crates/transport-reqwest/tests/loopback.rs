//! Requests over loopback sockets: limits, time, redirects, proxies, TLS.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail by panicking"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the proxy test hands its child an address"
)]

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{any, get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use waxseal_transport::{Credential, Request, Transport, TransportError, Url};
use waxseal_transport_reqwest::{BuildError, ReqwestTransport};

fn transport() -> ReqwestTransport {
    ReqwestTransport::builder()
        .without_system_roots()
        .build()
        .unwrap()
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A server that reads a request's head, says what it is given, piece by piece, and closes.
async fn raw(pieces: &'static [(&'static str, u64)]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                for (piece, wait) in pieces {
                    if stream.write_all(piece.as_bytes()).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(*wait)).await;
                }
            });
        }
    });
    address
}

fn url(address: SocketAddr, path: &str) -> Url {
    format!("http://{address}{path}").parse().unwrap()
}

#[tokio::test]
async fn a_request_arrives_whole_and_its_answer_too() {
    let echo = async |headers: HeaderMap, body: String| {
        let field = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
        let text = format!(
            "{} {} {body}",
            field("authorization"),
            field("content-type")
        );
        (StatusCode::CREATED, [("x-a", "1")], text)
    };
    let target = url(serve(Router::new().route("/e", any(echo))).await, "/e");
    let request = Request::post(target.clone(), "a/b", b"body".to_vec())
        .with_credential(Credential::bearer(&target, "token"));
    let response = transport().send(request).await.unwrap();
    assert_eq!(
        (response.status, response.body.as_slice()),
        (201, &b"Bearer token a/b body"[..])
    );
    assert_eq!(response.headers.only("X-A"), Some("1"));
}

#[tokio::test]
async fn too_large() {
    let router = Router::new().route("/", get(async || vec![0_u8; 1000]));
    let target = url(serve(router).await, "/");
    let sized = |limit| Request::get(target.clone()).with_max_response(limit);
    assert_eq!(
        transport().send(sized(1000)).await.unwrap().body.len(),
        1000
    );
    let refused = transport().send(sized(999)).await;
    assert!(
        matches!(refused, Err(TransportError::TooLarge { limit: 999 })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn too_large_without_an_announced_length() {
    const CHUNK: &str = "8\r\n12345678\r\n";
    let chunked = raw(&[
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 0),
        (CHUNK, 0),
        (CHUNK, 0),
        ("0\r\n\r\n", 0),
    ])
    .await;
    let endless = raw(&[
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 0),
        (CHUNK, 0),
        (CHUNK, 0),
        (CHUNK, 60_000),
    ])
    .await;
    let until_closed = raw(&[(
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n1234567890123456",
        0,
    )])
    .await;
    for address in [chunked, until_closed] {
        let request = Request::get(url(address, "/")).with_max_response(16);
        assert_eq!(transport().send(request).await.unwrap().body.len(), 16);
        let request = Request::get(url(address, "/")).with_max_response(15);
        let refused = transport().send(request).await;
        assert!(
            matches!(refused, Err(TransportError::TooLarge { limit: 15 })),
            "{refused:?}"
        );
    }
    let request = Request::get(url(endless, "/")).with_max_response(16);
    let refused = transport().send(request).await;
    assert!(
        matches!(refused, Err(TransportError::TooLarge { limit: 16 })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn interrupted() {
    let lying = raw(&[("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nshort", 0)]).await;
    let refused = transport().send(Request::get(url(lying, "/"))).await;
    assert!(
        matches!(refused, Err(TransportError::Interrupted { .. })),
        "{refused:?}"
    );
    let no_http = raw(&[("SSH-2.0-x\r\n", 0)]).await;
    let refused = transport()
        .send(Request::get(url(no_http, "/?q=CANARY")))
        .await;
    assert!(
        matches!(refused, Err(TransportError::Interrupted { .. })),
        "{refused:?}"
    );
    assert!(!format!("{refused:?}").contains("CANARY"), "{refused:?}");
}

#[tokio::test]
async fn deadline() {
    const DRIP: (&str, u64) = ("1\r\nx\r\n", 50);
    let silent = raw(&[("", 60_000)]).await;
    let drip = raw(&[
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 0),
        DRIP,
        DRIP,
        DRIP,
        DRIP,
        DRIP,
        DRIP,
        DRIP,
        DRIP,
        ("", 60_000),
    ])
    .await;
    for address in [silent, drip] {
        let allowed = Duration::from_millis(300);
        let start = Instant::now();
        let late = transport()
            .send(Request::get(url(address, "/")).with_deadline(allowed))
            .await;
        assert!(
            matches!(late, Err(TransportError::Deadline { after }) if after == allowed),
            "{late:?}"
        );
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}

#[tokio::test]
async fn connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let refused = transport().send(Request::get(url(address, "/"))).await;
    assert!(
        matches!(refused, Err(TransportError::Connect { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn v_41_no_redirect_carries_a_credential() {
    let (seen, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let capture = any(async move |headers: HeaderMap| {
        let _ = seen.send(headers.contains_key("authorization"));
    });
    let elsewhere = serve(Router::new().route("/", capture)).await;
    for status in [301_u16, 302, 303, 307, 308] {
        let location = format!("http://{elsewhere}/");
        let redirect = async move || {
            (
                StatusCode::from_u16(status).unwrap(),
                [("location", location)],
            )
        };
        let target = url(serve(Router::new().route("/", get(redirect))).await, "/");
        let request = Request::get(target.clone())
            .with_credential(Credential::bearer(&target, "CANARYSECRET"));
        let refused = transport().send(request.clone()).await;
        assert!(
            matches!(refused, Err(TransportError::RedirectRefused { .. })),
            "{refused:?}"
        );
        assert!(!format!("{refused:?}").contains("CANARY"));
        let shown = transport()
            .send(request.returning_redirects())
            .await
            .unwrap();
        assert_eq!(shown.status, status);
    }
    assert!(
        arrivals.try_recv().is_err(),
        "the other server saw a request"
    );
    // The capture works: a request that goes there on purpose is seen.
    transport()
        .send(Request::get(url(elsewhere, "/")))
        .await
        .unwrap();
    assert_eq!(arrivals.recv().await, Some(false));
}

#[tokio::test]
async fn encoded() {
    let router = Router::new().route("/", get(async || ([("content-encoding", "gzip")], "x")));
    let refused = transport()
        .send(Request::get(url(serve(router).await, "/")))
        .await;
    assert!(
        matches!(refused, Err(TransportError::Encoded { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn the_rules_come_before_the_wire() {
    let target: Url = "http://ca.example/".parse().unwrap();
    let refused = transport().send(Request::get(target)).await;
    assert!(
        matches!(refused, Err(TransportError::PlainHttp { .. })),
        "{refused:?}"
    );
}

const CHILD_TARGET: &str = "WAXSEAL_TEST_TARGET";

/// Runs in a child process whose environment names a proxy for everything.
#[tokio::test]
#[ignore = "the child of loopback_bypasses_proxies_and_the_world_does_not"]
async fn child_with_a_proxy() {
    let target: Url = std::env::var(CHILD_TARGET).unwrap().parse().unwrap();
    let by_name = format!("http://localhost:{}/", target.port().unwrap())
        .parse()
        .unwrap();
    for target in [target, by_name] {
        let response = transport().send(Request::get(target)).await.unwrap();
        assert_eq!(response.body, b"direct");
    }
    let world = Request::get("https://ca.example/".parse().unwrap());
    assert!(transport().send(world).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_bypasses_proxies_and_the_world_does_not() {
    let (seen, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let n = stream.read(&mut head).await.unwrap();
            head.truncate(n);
            let _ = seen.send(String::from_utf8_lossy(&head).into_owned());
            let _ = stream
                .write_all(b"HTTP/1.1 502 no\r\ncontent-length: 0\r\n\r\n")
                .await;
        }
    });
    let target = serve(Router::new().route("/", get(async || "direct"))).await;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "child_with_a_proxy", "--include-ignored"]);
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
    ] {
        child.env(name, &proxy);
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    child.env(CHILD_TARGET, url(target, "/").as_str());
    let output = tokio::task::spawn_blocking(move || child.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    let mut heads = Vec::new();
    while let Ok(head) = arrivals.try_recv() {
        heads.push(head);
    }
    assert!(!heads.is_empty(), "the proxy saw nothing");
    assert!(
        heads
            .iter()
            .all(|head| head.starts_with("CONNECT ca.example:443 ")),
        "{heads:?}"
    );
}

#[tokio::test]
async fn tls() {
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let chain = vec![issued.cert.der().clone()];
    let key = rustls::pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key.unwrap())
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
                .await;
            let _ = stream.shutdown().await;
        }
    });
    let request = || Request::get(format!("https://localhost:{port}/").parse().unwrap());

    let refused = transport().send(request()).await;
    assert!(
        matches!(refused, Err(TransportError::Tls { .. })),
        "{refused:?}"
    );

    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, issued.cert.pem()).unwrap();
    let trusting = ReqwestTransport::builder()
        .without_system_roots()
        .ca_file(&ca_file);
    let trusting = trusting.build().unwrap();
    assert_eq!(trusting.send(request()).await.unwrap().body, b"hi");
    let other_name = format!("https://127.0.0.1:{port}/").parse().unwrap();
    let refused = trusting.send(Request::get(other_name)).await;
    assert!(
        matches!(refused, Err(TransportError::Tls { .. })),
        "{refused:?}"
    );
}

fn build_with(ca_file: &[u8]) -> Result<ReqwestTransport, BuildError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, ca_file).unwrap();
    ReqwestTransport::builder()
        .without_system_roots()
        .ca_file(&path)
        .build()
}

#[test]
fn ca_file() {
    let missing = ReqwestTransport::builder()
        .ca_file("/nowhere/ca.pem")
        .build();
    assert!(matches!(missing, Err(BuildError::CaFile { .. })));
    let too_large = build_with(&vec![b'\n'; 4 * 1024 * 1024 + 1]);
    assert!(matches!(too_large, Err(BuildError::CaFile { .. })));
    let broken = build_with(b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n");
    assert!(matches!(broken, Err(BuildError::CaFile { .. })));
}

#[test]
fn no_certificate() {
    let largest = vec![b'\n'; 4 * 1024 * 1024];
    for text in [&b""[..], b"nothing here", &largest] {
        assert!(matches!(
            build_with(text),
            Err(BuildError::NoCertificate { .. })
        ));
    }
}

#[test]
fn client() {
    let refused = ReqwestTransport::builder().user_agent("a\nb").build();
    assert!(matches!(refused, Err(BuildError::Client { .. })));
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_spoken_to_in_http_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let answer = |version: axum::http::Version, headers: HeaderMap, body: String| async move {
        format!("{version:?} {:?} {body}", headers.get("te"))
    };
    let router = Router::new().route("/a", any(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let url: Url = "http://localhost/a".parse().unwrap();
    let request =
        Request::post(url, "application/grpc", b"body".to_vec()).with_header("TE", "trailers");
    let response = transport()
        .send(request.clone().through_socket(&path))
        .await
        .unwrap();
    let text = String::from_utf8(response.body).unwrap();
    assert_eq!(text, "HTTP/2.0 Some(\"trailers\") body");
    let missing = request.through_socket(folder.path().join("none"));
    let error = transport().send(missing).await.unwrap_err();
    assert!(matches!(error, TransportError::Connect { .. }), "{error:?}");
}

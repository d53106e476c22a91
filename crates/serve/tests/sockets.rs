//! Servers on loopback sockets: binding, time, TLS, shutdown, hostile bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use waxseal_serve::{
    Accepts, Chassis, Fatal, Limits, Listen, ListenError, Meter, Shutdown, accepting, serve,
};

/// Long against every limit that is tested, short against patience.
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    port: u16,
    shutdown: Shutdown,
    task: JoinHandle<Result<(), Fatal>>,
}

impl Server {
    async fn start(listen: Listen, limits: Limits) -> Self {
        let router = Router::new()
            .route("/", get(async || "hello"))
            .route(
                "/peer",
                get(async |peer: ConnectInfo<SocketAddr>| peer.ip().to_string()),
            )
            .route(
                "/slow",
                get(async || sleep(Duration::from_millis(600)).await),
            )
            .route("/hang", get(std::future::pending::<()>))
            .route(
                "/echo",
                accepting(post(async |body: String| body), Accepts::untyped(16)),
            );
        let listener = listen.bind().await.unwrap();
        let router = Chassis::new(&Meter::new())
            .with_host_check(listener.host_check())
            .wrap(router);
        let (port, shutdown) = (listener.port(), Shutdown::new());
        let task = tokio::spawn(serve(router, listener, shutdown.clone(), limits));
        Self {
            port,
            shutdown,
            task,
        }
    }

    async fn plain(limits: Limits) -> Self {
        Self::start(Listen::new("127.0.0.1:0"), limits).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    /// Sends bytes on a new connection and reads until its end.
    async fn say(&self, text: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await
    }

    async fn get(&self, path: &str) -> String {
        self.say(&self.head(path)).await
    }

    fn head(&self, path: &str) -> String {
        let port = self.port;
        format!("GET {path} HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\n\r\n")
    }
}

/// Everything until the peer closes or resets.
async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0; 1024];
    loop {
        match timeout(PATIENCE, stream.read(&mut piece))
            .await
            .expect("the peer closes in time")
        {
            Ok(0) | Err(_) => return String::from_utf8_lossy(&bytes).into_owned(),
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
        }
    }
}

fn short() -> Limits {
    Limits {
        head: Duration::from_millis(400),
        handshake: Duration::from_millis(400),
        idle: Duration::from_millis(1200),
        exchange: Duration::from_secs(10),
        drain: Duration::from_secs(2),
        ..Limits::default()
    }
}

#[tokio::test]
async fn localhost_is_both_loopback_addresses() {
    let server = Server::start(Listen::new("localhost:0"), Limits::default()).await;
    assert!(server.get("/peer").await.ends_with("127.0.0.1"));
    match TcpStream::connect(("::1", server.port)).await {
        Ok(mut stream) => {
            stream
                .write_all(server.head("/peer").as_bytes())
                .await
                .unwrap();
            assert!(read_to_end(&mut stream).await.ends_with("::1"));
        }
        Err(error) => assert_ne!(
            error.kind(),
            ErrorKind::ConnectionRefused,
            "::1 is not served"
        ),
    }
}

#[tokio::test]
async fn port_taken() {
    for held in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"] {
        // A host without IPv6 has nobody to hold an address of it.
        let Ok(holder) = TcpListener::bind(held).await else {
            continue;
        };
        let port = holder.local_addr().unwrap().port();
        let refused = Listen::new(format!("localhost:{port}")).bind().await;
        assert!(
            matches!(refused, Err(ListenError::PortTaken { .. })),
            "{held}: {refused:?}"
        );
        drop(holder);
        let listener = Listen::new(format!("localhost:{port}"))
            .bind()
            .await
            .unwrap();
        assert!(
            listener
                .addresses()
                .iter()
                .all(|address| address.port() == port)
        );
    }
}

#[tokio::test]
async fn bad_address() {
    for given in [
        "",
        "localhost",
        "localhost:",
        "localhost:65536",
        "ca.example:80",
        "127.0.0.1",
    ] {
        let refused = Listen::new(given).bind().await;
        assert!(
            matches!(refused, Err(ListenError::BadAddress { .. })),
            "{given}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn needs_tls() {
    for given in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:127.0.0.1]:0"] {
        let refused = Listen::new(given).bind().await;
        assert!(
            matches!(refused, Err(ListenError::NeedsTls { .. })),
            "{given}: {refused:?}"
        );
    }
    let listener = Listen::new("0.0.0.0:0")
        .behind_tls_proxy()
        .bind()
        .await
        .unwrap();
    assert!(!listener.is_loopback() && !listener.is_tls());
    assert_eq!(listener.host_check(), waxseal_serve::HostCheck::off());
    for given in ["127.0.0.1:0", "127.0.0.2:0"] {
        assert!(Listen::new(given).bind().await.unwrap().is_loopback());
    }
}

#[tokio::test]
async fn tls_twice() {
    let refused = Listen::new("localhost:0")
        .with_tls("a", "b")
        .behind_tls_proxy()
        .bind()
        .await;
    assert!(matches!(refused, Err(ListenError::TlsTwice)), "{refused:?}");
}

#[tokio::test]
async fn bind() {
    // TEST-NET-1 belongs to no host.
    let refused = Listen::new("192.0.2.1:0").behind_tls_proxy().bind().await;
    assert!(
        matches!(refused, Err(ListenError::Bind { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn denied() {
    // Only where this user may not take low ports does the rule show.
    if let Err(error) = TcpListener::bind("127.0.0.1:1").await
        && error.kind() == ErrorKind::PermissionDenied
    {
        let refused = Listen::new("127.0.0.1:1").bind().await;
        assert!(
            matches!(refused, Err(ListenError::Denied { .. })),
            "{refused:?}"
        );
    }
}

struct Files {
    _folder: tempfile::TempDir,
    cert: PathBuf,
    key: PathBuf,
    der: rustls::pki_types::CertificateDer<'static>,
}

fn certificate() -> Files {
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&cert, issued.cert.pem()).unwrap();
    std::fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
    Files {
        _folder: folder,
        cert,
        key,
        der: issued.cert.der().clone(),
    }
}

async fn bind_tls(cert: &PathBuf, key: &PathBuf) -> Result<(), ListenError> {
    Listen::new("localhost:0")
        .with_tls(cert, key)
        .bind()
        .await
        .map(drop)
}

#[tokio::test]
async fn key_mismatch() {
    let (ours, other) = (certificate(), certificate());
    assert!(bind_tls(&ours.cert, &ours.key).await.is_ok());
    let refused = bind_tls(&ours.cert, &other.key).await;
    assert!(
        matches!(refused, Err(ListenError::KeyMismatch { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn no_certificate() {
    let ours = certificate();
    let refused = bind_tls(&ours.key, &ours.key).await;
    assert!(
        matches!(refused, Err(ListenError::NoCertificate { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn no_key() {
    let ours = certificate();
    let refused = bind_tls(&ours.cert, &ours.cert).await;
    assert!(
        matches!(refused, Err(ListenError::NoKey { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn tls_file() {
    let ours = certificate();
    let nowhere = PathBuf::from("/nowhere/x.pem");
    for (cert, key) in [(&nowhere, &ours.key), (&ours.cert, &nowhere)] {
        let refused = bind_tls(cert, key).await;
        assert!(
            matches!(refused, Err(ListenError::TlsFile { .. })),
            "{refused:?}"
        );
    }
    std::fs::write(
        &ours.cert,
        "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let refused = bind_tls(&ours.cert, &ours.key).await;
    assert!(
        matches!(refused, Err(ListenError::TlsFile { .. })),
        "{refused:?}"
    );
}

async fn tls_client(
    files: &Files,
    port: u16,
    protocol: &[u8],
) -> impl AsyncRead + AsyncWrite + Unpin {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(files.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector
        .connect("localhost".try_into().unwrap(), stream)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
    stream
}

const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

#[tokio::test]
async fn tls_serves_both_protocols() {
    let files = certificate();
    let listen = Listen::new("localhost:0").with_tls(&files.cert, &files.key);
    let server = Server::start(listen, Limits::default()).await;
    let mut stream = tls_client(&files, server.port, b"http/1.1").await;
    stream.write_all(server.head("/").as_bytes()).await.unwrap();
    assert!(read_to_end(&mut stream).await.ends_with("\r\n\r\nhello"));
    let mut stream = tls_client(&files, server.port, b"h2").await;
    stream.write_all(H2_PREFACE).await.unwrap();
    assert_eq!(h2_settings(&mut stream).await.get(&3), Some(&128));
}

/// The server's SETTINGS (RFC 9113 §6.5), which are its first frame.
async fn h2_settings(
    stream: &mut (impl AsyncRead + Unpin),
) -> std::collections::BTreeMap<u16, u32> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "the first frame is SETTINGS");
    let mut payload = vec![0; usize::from(head[1]) * 256 + usize::from(head[2])];
    stream.read_exact(&mut payload).await.unwrap();
    let setting = |s: &[u8]| {
        (
            u16::from_be_bytes([s[0], s[1]]),
            u32::from_be_bytes([s[2], s[3], s[4], s[5]]),
        )
    };
    payload.chunks(6).map(setting).collect()
}

#[tokio::test]
async fn s_12_h2_has_limits() {
    let server = Server::plain(Limits {
        h2_streams: 7,
        head_size: 9000,
        ..short()
    })
    .await;
    let mut stream = server.connect().await;
    stream.write_all(H2_PREFACE).await.unwrap();
    let settings = h2_settings(&mut stream).await;
    assert_eq!(
        (settings.get(&3), settings.get(&6)),
        (Some(&7), Some(&9000))
    );
    // Nothing is asked, and so it is closed.
    read_to_end(&mut stream).await;
}

#[tokio::test]
async fn s_51_slow_heads_time_out() {
    let server = Server::plain(short()).await;
    let start = Instant::now();
    for beginning in ["", "G", "GET / HTTP/1.1\r\nhost: localhost", "PRI * HTT"] {
        server.say(beginning).await;
    }
    assert!(start.elapsed() >= Duration::from_millis(400 * 4));
    assert!(start.elapsed() < PATIENCE);
    // One byte at a time does not buy time.
    let mut stream = server.connect().await;
    let mut sent = 0;
    let start = Instant::now();
    while stream.write_all(b"G").await.is_ok() && start.elapsed() < PATIENCE {
        sent += 1;
        sleep(Duration::from_millis(20)).await;
    }
    assert!(
        sent >= 2 && start.elapsed() < PATIENCE / 2,
        "{sent} in {:?}",
        start.elapsed()
    );
    // In time, it is answered.
    assert!(server.get("/").await.ends_with("hello"));
}

#[tokio::test]
async fn s_51_idle_connections_time_out_and_busy_ones_do_not() {
    let server = Server::plain(short()).await;
    let mut stream = server.connect().await;
    let request = format!(
        "GET /slow HTTP/1.1\r\nhost: localhost:{}\r\n\r\n",
        server.port
    );
    let start = Instant::now();
    // Longer than the limit for a first head, twice on one connection.
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut piece = [0; 1024];
    assert!(stream.read(&mut piece).await.unwrap() > 0);
    sleep(Duration::from_millis(450)).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert!(start.elapsed() >= Duration::from_millis(600 + 450 + 600 + 1200));
}

#[tokio::test]
async fn s_51_endless_exchanges_time_out() {
    let limits = Limits {
        exchange: Duration::from_millis(300),
        drain: Duration::from_millis(200),
        ..short()
    };
    let server = Server::plain(limits).await;
    let start = Instant::now();
    assert_eq!(server.get("/hang").await, "");
    assert!((Duration::from_millis(500)..PATIENCE).contains(&start.elapsed()));
}

#[tokio::test]
async fn s_51_connections_are_limited_and_wait() {
    let limits = Limits {
        connections: 2,
        head: Duration::from_secs(60),
        ..short()
    };
    let server = Server::plain(limits).await;
    let first = server.connect().await;
    let second = server.connect().await;
    sleep(Duration::from_millis(100)).await;
    let mut third = server.connect().await;
    third.write_all(server.head("/").as_bytes()).await.unwrap();
    let mut piece = [0; 16];
    assert!(
        timeout(Duration::from_millis(300), third.read(&mut piece))
            .await
            .is_err()
    );
    drop(first);
    assert!(read_to_end(&mut third).await.ends_with("hello"));
    drop(second);
}

#[tokio::test]
async fn k_16_garbage_and_resets_leave_the_server_up() {
    let files = certificate();
    let listen = Listen::new("127.0.0.1:0").with_tls(&files.cert, &files.key);
    let server = Server::start(listen, short()).await;
    for n in 0..300_u32 {
        let mut stream = server.connect().await;
        let garbage: Vec<u8> = (0..n)
            .map(|i| (i.wrapping_mul(n) >> 3).to_le_bytes()[0])
            .collect();
        let _ = stream.write_all(&garbage).await;
        if n % 3 == 0 {
            let _ = stream.set_zero_linger();
        }
    }
    // A handshake that never comes is cut.
    let start = Instant::now();
    let mut silent = server.connect().await;
    read_to_end(&mut silent).await;
    assert!(start.elapsed() < PATIENCE);
    let mut stream = tls_client(&files, server.port, b"http/1.1").await;
    stream.write_all(server.head("/").as_bytes()).await.unwrap();
    assert!(read_to_end(&mut stream).await.ends_with("hello"));
}

#[tokio::test]
async fn k_23_smuggled_requests_are_not_seen() {
    let server = Server::plain(short()).await;
    let host = format!("host: localhost:{}", server.port);
    // What comes after the first request's body, as one reader or another sees it.
    let inner = format!("GET / HTTP/1.1\r\n{host}\r\n\r\n");
    let inner_length = inner.len();
    for fields in [
        format!("content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}"),
        format!(
            "transfer-encoding: chunked\r\ncontent-length: {inner_length}\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!("content-length: 0\r\ncontent-length: {inner_length}\r\n\r\n{inner}"),
        format!("content-length: 0, {inner_length}\r\n\r\n{inner}"),
        format!("content-length: +{inner_length}\r\n\r\n{inner}"),
        format!("content-length : {inner_length}\r\n\r\n{inner}"),
        format!("transfer-encoding: xchunked\r\n\r\n{inner}"),
        format!("transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}"),
        format!("x: y\r\n content-length: {inner_length}\r\n\r\n{inner}"),
    ] {
        let text = server
            .say(&format!("POST /echo HTTP/1.1\r\n{host}\r\n{fields}"))
            .await;
        assert!(!text.contains("hello"), "{fields}\n{text}");
        // RFC 9112 §6.3 lets a server answer the outer request by its chunks, if it then closes.
        assert!(text.matches("HTTP/1.1 ").count() <= 1, "{fields}\n{text}");
        let closes = text.contains("connection: close") && fields.contains("chunked");
        let refused = text.is_empty() || text.starts_with("HTTP/1.1 4");
        assert!(refused || closes, "{fields}\n{text}");
    }
}

#[tokio::test]
async fn s_50_limits_over_the_wire() {
    let server = Server::plain(short()).await;
    let host = format!("host: localhost:{}\r\nconnection: close", server.port);
    let post = |fields: &str| format!("POST /echo HTTP/1.1\r\n{host}\r\n{fields}");
    let fits = server
        .say(&post("content-length: 16\r\n\r\n0123456789abcdef"))
        .await;
    assert!(fits.ends_with("\r\n\r\n0123456789abcdef"), "{fits}");
    let chunks = "transfer-encoding: chunked\r\n\r\n8\r\n01234567\r\n8\r\n89abcdef\r\n";
    let fits = server.say(&post(&format!("{chunks}0\r\n\r\n"))).await;
    assert!(fits.ends_with("\r\n\r\n0123456789abcdef"), "{fits}");
    for fields in [
        "content-length: 17\r\n\r\n0123456789abcdefg".to_owned(),
        "content-length: 99999999999\r\n\r\n".to_owned(),
        format!("{chunks}1\r\ng\r\n0\r\n\r\n"),
    ] {
        let refused = server.say(&post(&fields)).await;
        assert!(refused.starts_with("HTTP/1.1 413"), "{fields}: {refused}");
    }
    let padding = "x".repeat(40 * 1024);
    let refused = server.say(&post(&format!("x: {padding}\r\n\r\n"))).await;
    assert!(
        refused.starts_with("HTTP/1.1 431") || refused.is_empty(),
        "{refused}"
    );
    let foreign = server.say("GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
    assert!(foreign.await.starts_with("HTTP/1.1 421"));
}

#[tokio::test]
async fn shutdown_lets_busy_connections_finish() {
    let server = Server::plain(short()).await;
    let mut busy = server.connect().await;
    busy.write_all(server.head("/slow").as_bytes())
        .await
        .unwrap();
    let mut idle = server.connect().await;
    sleep(Duration::from_millis(100)).await;
    assert!(!server.shutdown.is_triggered());
    server.shutdown.trigger();
    assert!(server.shutdown.is_triggered());
    assert!(read_to_end(&mut busy).await.starts_with("HTTP/1.1 200"));
    read_to_end(&mut idle).await;
    timeout(PATIENCE, server.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let late = TcpStream::connect(("127.0.0.1", server.port)).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn shutdown_cuts_what_does_not_finish() {
    let server = Server::plain(Limits {
        drain: Duration::from_millis(300),
        ..short()
    })
    .await;
    let mut hung = server.connect().await;
    hung.write_all(server.head("/hang").as_bytes())
        .await
        .unwrap();
    sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    server.shutdown.trigger();
    timeout(PATIENCE, server.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!((Duration::from_millis(300)..PATIENCE).contains(&start.elapsed()));
    assert_eq!(read_to_end(&mut hung).await, "");
}

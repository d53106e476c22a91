//! An issuer on loopback that gives device codes, and whoever is asked confirms at the second poll.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// What the issuer says to polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// Yes, at the second.
    Yes,
    /// Nothing, for ever.
    Nothing,
    /// No, with this code.
    No(&'static str),
}

/// The issuer. It serves until the tests end.
pub(crate) struct Issuer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    says: Says,
    connector: Option<&'static str>,
    polls: AtomicUsize,
    forms: Mutex<Vec<String>>,
}

impl Issuer {
    pub(crate) fn start(says: Says) -> Self {
        Self::of(says, None)
    }

    /// An issuer whose log-ins went through this connector.
    pub(crate) fn of(says: Says, connector: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            says,
            connector,
            polls: AtomicUsize::new(0),
            forms: Mutex::default(),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // Whoever goes away in between is what some of the tests are about.
                let _ = serve(stream.unwrap(), address, &served);
            }
        });
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The forms that were posted.
    pub(crate) fn forms(&self) -> Vec<String> {
        self.shared.forms.lock().unwrap().clone()
    }

    /// Writes a signing config that names it, and a certificate authority.
    pub(crate) fn write_config(&self, path: &Path, authority: &str) {
        let service = |url: &str, operator: &str| {
            json!([{"url": url, "majorApiVersion": 1, "operator": operator,
                "validFor": {"start": "2022-01-01T00:00:00Z"}}])
        };
        let config = json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": service(authority, "a"),
            "oidcUrls": service(&self.url(), "a"),
            "rekorTlogUrls": service("https://log.example", "a"),
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaUrls": service("https://tsa.example", "a"),
            "tsaConfig": {"selector": "ANY"},
        });
        std::fs::write(path, config.to_string()).unwrap();
    }
}

/// A token that nobody checks: it is the certificate authority's to judge.
pub(crate) fn token(claims: &Value) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
    format!(
        "{header}.{}.c2ln",
        URL_SAFE_NO_PAD.encode(claims.to_string())
    )
}

/// Seconds from now, as a token has them.
pub(crate) fn in_seconds(seconds: u64) -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the program under test reads the clock"
    )]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + seconds
}

fn serve(mut stream: TcpStream, address: SocketAddr, shared: &Shared) -> std::io::Result<()> {
    loop {
        let Some((path, body)) = read(&mut stream)? else {
            return Ok(());
        };
        let url = format!("http://{address}");
        let (status, answer) = match path.as_str() {
            "/.well-known/openid-configuration" => (
                200,
                json!({
                    "issuer": url,
                    "authorization_endpoint": format!("{url}/auth"),
                    "token_endpoint": format!("{url}/token"),
                    "device_authorization_endpoint": format!("{url}/device/code"),
                    "code_challenge_methods_supported": ["S256"],
                }),
            ),
            "/device/code" => (
                200,
                json!({"device_code": "CANARYDEVICE", "user_code": "BCDF-GHJK",
                    "verification_uri": format!("{url}/device"), "expires_in": 300,
                    "verification_uri_complete": format!("{url}/device?user_code=BCDF-GHJK"),
                    "interval": 1}),
            ),
            _ => poll(&url, shared),
        };
        shared.forms.lock().unwrap().push(body);
        let answer = answer.to_string();
        write!(
            stream,
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        )?;
    }
}

fn poll(issuer: &str, shared: &Shared) -> (u16, Value) {
    let polls = shared.polls.fetch_add(1, Ordering::SeqCst);
    match shared.says {
        Says::No(code) => (400, json!({ "error": code })),
        Says::Yes if polls > 0 => {
            let mut claims = json!({"iss": issuer, "sub": "s", "aud": "sigstore",
                "exp": in_seconds(600), "email": "you@example.com", "email_verified": true});
            if let Some(connector) = shared.connector {
                claims["federated_claims"] = json!({"connector_id": connector, "user_id": "1"});
            }
            (
                200,
                json!({"id_token": token(&claims), "access_token": "CANARYACCESS"}),
            )
        }
        _ => (400, json!({"error": "authorization_pending"})),
    }
}

/// One request: its path, and its body.
fn read(stream: &mut TcpStream) -> std::io::Result<Option<(String, String)>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                let target = head.split(' ').nth(1).unwrap();
                let path = target.split('?').next().unwrap();
                return Ok(Some((path.to_owned(), body.to_owned())));
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            length => bytes.extend_from_slice(&buffer[..length]),
        }
    }
}

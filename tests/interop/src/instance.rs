//! A private Sigstore, started as anybody starts it: `waxseald up` on an empty directory.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use waxseal_instance::{OutboxReader, email_login};
use waxseal_transport_reqwest::ReqwestTransport;

use crate::program::{Server, our};

/// Who signs.
pub const IDENTITY: &str = "you@example.com";

/// How long a start may take here: the machine may be busy.
const START: Duration = Duration::from_secs(60);

/// A running instance; it ends with this value.
#[derive(Debug)]
pub struct Instance {
    folder: tempfile::TempDir,
    port: u16,
    log_in: Mutex<()>,
    _server: Server,
}

impl Instance {
    /// Starts an instance on a directory and a port of its own, and waits until it is ready.
    ///
    /// # Errors
    /// What it printed, if it does not become ready.
    pub fn start() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let port = free_port()?;
        let data = folder.path().join("data");
        let log = folder.path().join("log");
        let mut command = Command::new(our("waxseald"));
        command
            .arg("up")
            .arg("--data")
            .arg(&data)
            .args(["--listen", &format!("localhost:{port}")]);
        let server = Server::start(&mut command, &log)?;
        let instance = Self {
            folder,
            port,
            log_in: Mutex::new(()),
            _server: server,
        };
        let started = Instant::now();
        while started.elapsed() < START {
            if instance.is_ready() {
                return Ok(instance);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let printed = std::fs::read_to_string(log).unwrap_or_default();
        Err(format!("waxseald did not become ready:\n{printed}"))
    }

    fn is_ready(&self) -> bool {
        let url = format!("{}/readyz", self.url());
        let get = async {
            let transport = ReqwestTransport::builder().build().ok()?;
            let request = waxseal_transport::Request::get(url.parse().ok()?);
            let answer = waxseal_transport::Transport::send(&transport, request)
                .await
                .ok()?;
            (answer.status == 200).then_some(())
        };
        block_on(get).is_some() && self.file("trust_config.json").exists()
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Its broker's issuer.
    pub fn issuer(&self) -> String {
        format!("{}/auth", self.url())
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// One of the files for clients.
    pub fn file(&self, name: &str) -> PathBuf {
        self.data().join("client").join(name)
    }

    /// Logs in by e-mail code, through the broker's pages.
    ///
    /// # Errors
    /// What the broker says.
    pub fn token(&self) -> Result<String, String> {
        self.token_of(IDENTITY)
    }

    /// Logs in as the holder of an address.
    ///
    /// # Errors
    /// What the broker says.
    pub fn token_of(&self, address: &str) -> Result<String, String> {
        // One after the other: two log-ins of one person would read each other's mail.
        let _turn = self.log_in.lock().unwrap_or_else(PoisonError::into_inner);
        log_in(&self.issuer(), address, &self.data().join("outbox"))
    }
}

/// Logs in at a broker whose mail arrives in a folder.
///
/// # Errors
/// What the broker says.
pub fn log_in(issuer: &str, address: &str, outbox: &Path) -> Result<String, String> {
    let mailbox = OutboxReader::new(outbox);
    block_on(async {
        let transport = ReqwestTransport::builder()
            .build()
            .map_err(|error| error.to_string())?;
        let random = waxseal_crypto_aws_lc::OsRandom;
        email_login(&transport, &random, issuer, address, &mailbox)
            .await
            .map(|token| token.expose().to_owned())
            .map_err(|error| format!("{error}: {error:?}"))
    })
}

#[expect(clippy::expect_used, reason = "a test without a runtime has failed")]
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// A port that is free on both loopback addresses. Somebody may take it before it is used; then
/// the start is refused, and the test says so.
///
/// # Errors
/// What the system says.
pub fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = listener
        .local_addr()
        .map_err(|error| error.to_string())?
        .port();
    Ok(port)
}

//! A private Sigstore, started as anybody starts it: `waxseald up` on an empty directory.

use std::error::Error;
use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use waxseal_crypto::PublicKey;
use waxseal_crypto_aws_lc::provider;
use waxseal_formats::TrustedRoot;
use waxseal_instance::{OutboxReader, email_login};
use waxseal_tlog::{KeyName, NoteKey, SignatureKind};
use waxseal_transport_reqwest::ReqwestTransport;

use crate::program::{Server, our};

/// Who signs.
pub const IDENTITY: &str = "you@example.com";

/// How long a start may take here: the machine may be busy.
const START: Duration = Duration::from_secs(60);

/// What an instance is started with beside its address.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Setup {
    /// Lines for its configuration file.
    pub config: String,
    /// Variables of its environment.
    pub environment: Vec<(String, OsString)>,
    /// The folder in which its mail arrives; its own outbox if absent.
    pub mailbox: Option<PathBuf>,
}

/// A running instance; it ends with this value.
#[derive(Debug)]
pub struct Instance {
    folder: tempfile::TempDir,
    port: u16,
    setup: Setup,
    log_in: Mutex<()>,
    server: Option<Server>,
}

impl Instance {
    /// Starts an instance on a directory and a port of its own, and waits until it is ready.
    ///
    /// # Errors
    /// What it printed, if it does not become ready.
    pub fn start() -> Result<Self, String> {
        Self::start_with(Setup::default())
    }

    /// The same, configured.
    ///
    /// # Errors
    /// What it printed, if it does not become ready.
    pub fn start_with(setup: Setup) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut instance = Self {
            folder,
            port: free_port()?,
            setup,
            log_in: Mutex::new(()),
            server: None,
        };
        instance.restart()?;
        Ok(instance)
    }

    /// Starts it again on its directory, after [`Instance::kill`].
    ///
    /// # Errors
    /// What it printed, if it does not become ready.
    pub fn restart(&mut self) -> Result<(), String> {
        let config = self.folder.path().join("waxseald.toml");
        std::fs::write(&config, &self.setup.config).map_err(|error| error.to_string())?;
        let mut command = Command::new(our("waxseald"));
        command
            .arg("up")
            .arg("--data")
            .arg(self.data())
            .arg("--config")
            .arg(config)
            .args(["--listen", &format!("localhost:{}", self.port)])
            .envs(self.setup.environment.iter().cloned());
        self.server = Some(Server::start(&mut command, &self.log_file())?);
        let started = Instant::now();
        while started.elapsed() < START {
            if self.is_ready() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!(
            "waxseald did not become ready:\n{}",
            self.printed()
        ))
    }

    /// Ends it at once, as a loss of power would, by its id.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Ends it as an operator does, who waits until it has written everything out.
    ///
    /// # Errors
    /// If it does not end, or not well.
    pub fn stop(&mut self) -> Result<(), String> {
        self.server.take().map_or(Ok(()), Server::stop)
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.server.as_ref().map(Server::id)
    }

    /// What it has printed, over all of its starts.
    pub fn printed(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
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

    /// Its port, on both loopback addresses.
    pub fn port(&self) -> u16 {
        self.port
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

    /// The folder in which its mail arrives.
    pub fn mailbox(&self) -> PathBuf {
        let other = self.setup.mailbox.clone();
        other.unwrap_or_else(|| self.data().join("outbox"))
    }

    /// One of the files for clients.
    pub fn file(&self, name: &str) -> PathBuf {
        self.data().join("client").join(name)
    }

    /// The key of its log, from the trusted root.
    ///
    /// # Errors
    /// If that does not say.
    pub fn log_key(&self) -> Result<NoteKey, Box<dyn Error>> {
        let json = std::fs::read(self.file("trusted_root.json"))?;
        let root = TrustedRoot::from_json(&json)?;
        let log = root.tlogs.first().ok_or("no log")?;
        let key = PublicKey::from_spki_der(&log.public_key.raw_bytes)?;
        let name = KeyName::new("localhost")?;
        Ok(NoteKey::new(
            provider(),
            name,
            SignatureKind::Ed25519,
            &key,
        )?)
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
        log_in(&self.issuer(), address, &self.mailbox())
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

/// Runs a future to its end, on this thread.
///
/// # Panics
/// If the system gives no runtime.
#[expect(clippy::expect_used, reason = "a test without a runtime has failed")]
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
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

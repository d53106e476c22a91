//! rekor-tiles, as a process: the log that ours is measured beside.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use waxseal_crypto::{PrivateKey, SignatureAlgorithm};
use waxseal_crypto_aws_lc::provider;
use waxseal_tests_interop::{Server, Tool};
use waxseal_tests_simulation::{Chance, Connection, free_port};
use waxseal_tlog::{KeyName, LogKey, NoteKey, SignatureKind};

use crate::load::Served;

/// Its origin.
const HOST: &str = "log.local";

/// How long it may take to start.
const START: Duration = Duration::from_secs(30);

/// How it is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settings {
    /// As it comes: a checkpoint every 10 s, duplicates among the last 256 entries.
    Defaults,
    /// The most entries a second that were found.
    Fastest,
    /// The same, with duplicates found for ever: what ours always does.
    FastestExact,
}

/// The flags of its fastest settings; the last one makes it exact.
const FASTEST_EXACT: &[&str] = &[
    "--checkpoint-interval",
    "100ms",
    "--batch-max-age",
    "50ms",
    "--batch-max-size",
    "1024",
    "--pushback-max-outstanding",
    "20000",
    "--persistent-antispam",
];

impl Settings {
    /// Its flags, but for ports and paths.
    pub const fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Defaults => &[],
            Self::Fastest => FASTEST_EXACT.split_at(FASTEST_EXACT.len() - 1).0,
            Self::FastestExact => FASTEST_EXACT,
        }
    }
}

/// A running rekor-tiles; it ends with this value.
#[derive(Debug)]
pub struct RekorTiles {
    server: Server,
    port: u16,
    key: Arc<LogKey>,
}

impl RekorTiles {
    /// The program: `given`, or as the interoperability tests install it.
    ///
    /// # Errors
    /// If there is none; it says what to do.
    pub fn program(given: Option<PathBuf>) -> Result<PathBuf> {
        match given {
            Some(path) => {
                ensure!(path.is_file(), "{} is not there", path.display());
                Ok(path)
            }
            None => Tool::RekorTiles.path().map_err(|error| anyhow!(error.0)),
        }
    }

    /// Starts it on an empty folder, and waits until it answers.
    ///
    /// # Errors
    /// If it does not.
    pub async fn start(program: &Path, folder: &Path, settings: Settings) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let algorithm = SignatureAlgorithm::Ed25519;
        let private = provider().generate(algorithm)?;
        let file = folder.join("key.pem");
        std::fs::write(&file, private.to_pem().as_str())?;
        let mut chance = Chance::new(u64::from(std::process::id()) << 8);
        let mut port = || free_port(&mut chance).map_err(|error| anyhow!(error));
        let (http, grpc, metrics) = (port()?, port()?, port()?);
        let mut command = Command::new(program);
        command
            .args(["serve", "--hostname", HOST, "--storage-dir"])
            .arg(folder.join("log"))
            .arg("--signer-filepath")
            .arg(&file);
        for (flag, port) in [
            ("--http-port", http),
            ("--grpc-port", grpc),
            ("--http-metrics-port", metrics),
        ] {
            command.arg(flag).arg(port.to_string());
        }
        command.args(settings.flags());
        let server = Server::start(&mut command, &folder.join("printed"));
        let server = server.map_err(|error| anyhow!(error))?;
        let peer = Self {
            server,
            port: http,
            key: Arc::new(log_key(&private, algorithm)?),
        };
        peer.wait().await?;
        Ok(peer)
    }

    async fn wait(&self) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < START {
            if let Ok(mut connection) = Connection::open(self.port).await
                && let Ok(answer) = connection.get("/healthz").await
                && answer.status == 200
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(anyhow!("rekor-tiles did not become ready"))
    }

    /// What its clients know of it.
    pub const fn key(&self) -> &Arc<LogKey> {
        &self.key
    }

    /// Its port and process.
    pub fn served(&self) -> Served {
        Served {
            port: self.port,
            id: Some(self.server.id()),
        }
    }
}

fn log_key(private: &PrivateKey, algorithm: SignatureAlgorithm) -> Result<LogKey> {
    let signer = provider().signer(private, algorithm)?;
    let public = signer.public_key();
    let kind = SignatureKind::of_log(public)?;
    Ok(LogKey::new(NoteKey::new(
        provider(),
        KeyName::new(HOST)?,
        kind,
        public,
    )?))
}

//! A log server that somebody else wrote: rekor-tiles, on a directory.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use waxseal_crypto::SignatureAlgorithm;

use crate::wire::Asked;
use crate::{Server, Tool, free_port};

/// How long a start may take here: the machine may be busy.
const START: Duration = Duration::from_secs(30);

/// rekor-tiles with its fastest settings; it ends with this value.
#[derive(Debug)]
pub struct RekorTiles {
    server: Server,
    folder: tempfile::TempDir,
    /// Its port for HTTP.
    pub http: u16,
    /// Its port for gRPC.
    pub grpc: u16,
}

impl RekorTiles {
    /// Starts one on a directory of its own: `rekor`, and `log.pem` and `log.pub` beside it.
    ///
    /// # Errors
    /// What the system says, or that it does not become ready.
    pub fn start(name: &str) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let folder = tempfile::tempdir().map_err(text)?;
        let file = |name: &str| folder.path().join(name);
        let provider = waxseal_crypto_aws_lc::provider();
        let algorithm = SignatureAlgorithm::Ed25519;
        let key = provider.generate(algorithm).map_err(|e| e.to_string())?;
        let signer = provider
            .signer(&key, algorithm)
            .map_err(|error| error.to_string())?;
        std::fs::write(file("log.pem"), key.to_pem().as_bytes()).map_err(text)?;
        std::fs::write(file("log.pub"), signer.public_key().to_pem()).map_err(text)?;
        let (http, grpc, metrics) = (free_port()?, free_port()?, free_port()?);
        let program = Tool::RekorTiles.path().map_err(|missing| missing.0)?;
        let mut command = Command::new(program);
        command
            .args(["serve", "--hostname", name])
            .args(["--checkpoint-interval", "100ms", "--batch-max-age", "50ms"])
            .args(["--http-port", &http.to_string()])
            .args(["--grpc-port", &grpc.to_string()])
            .args(["--http-metrics-port", &metrics.to_string()])
            .arg("--storage-dir")
            .arg(file("rekor"))
            .arg("--signer-filepath")
            .arg(file("log.pem"));
        let server = Server::start(&mut command, &file("rekor.log"))?;
        let started = Instant::now();
        while started.elapsed() < START {
            let health = Asked::of("GET", "/healthz").send("127.0.0.1", http);
            if health.is_ok_and(|answer| answer.status == 200) {
                return Ok(Self {
                    server,
                    folder,
                    http,
                    grpc,
                });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("rekor-tiles did not become ready".to_owned())
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// A file of its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ends the server; its directory stays.
    pub fn stop(self) -> tempfile::TempDir {
        drop(self.server);
        self.folder
    }
}

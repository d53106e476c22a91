//! Load on an instance: how it is made, what it is made of, and what becomes of the answers.

mod authority;
mod entries;
mod overload;
mod pace;
mod stamps;
mod workflow;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, ensure};
use waxseal_formats::TrustedRoot;
use waxseal_tlog::LogKey;

pub use authority::Certificates;
pub use entries::Entries;
pub use overload::{Overload, Overloaded, overload};
pub use pace::{Pace, Paced, Served, pace};
pub use stamps::Timestamps;
pub use workflow::workflow_certificate;

/// One kind of work that a server is given: requests before the clock starts, answers verified
/// after it has stopped, so that neither counts.
pub trait Work {
    /// What was asked, as far as the answer must be compared with it.
    type Asked: Send + Sync + 'static;

    /// Where it is posted, and how it is called.
    fn endpoint(&self) -> Endpoint;

    /// One more request.
    ///
    /// # Errors
    /// If it cannot be made.
    fn request(&mut self) -> Result<Asking<Self::Asked>>;

    /// Verifies an answer.
    ///
    /// # Errors
    /// What is wrong with it.
    fn verify(&self, asked: &Self::Asked, answer: &[u8]) -> Result<()>;
}

/// One request, before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by every kind of work")]
pub struct Asking<A> {
    /// The body.
    pub body: Vec<u8>,
    /// Further header lines, each ended.
    pub lines: Arc<str>,
    /// What the answer is compared with.
    pub asked: A,
}

/// Where work is posted.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Endpoint {
    /// The path.
    pub path: &'static str,
    /// The content type.
    pub content_type: &'static str,
    /// The status of success.
    pub status: u16,
}

/// A running instance, as its clients know it.
#[derive(Debug, Clone)]
pub struct Target {
    data: PathBuf,
    port: u16,
    root: TrustedRoot,
}

impl Target {
    /// The instance that runs on a data directory, at localhost.
    ///
    /// # Errors
    /// If its files for clients cannot be read.
    pub fn of(data: &Path) -> Result<Self> {
        let path = data.join("client").join(waxseal_instance::TRUSTED_ROOT);
        let file = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let root = TrustedRoot::from_json(&file)?;
        let log = root.tlogs.first().context("there is no log")?;
        let port = log
            .base_url
            .strip_prefix("http://localhost:")
            .and_then(|port| port.parse().ok());
        let port = port.with_context(|| format!("{} is not on loopback", log.base_url))?;
        let data = data.to_owned();
        Ok(Self { data, port, root })
    }

    /// Its port on loopback.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What its clients know of its log.
    ///
    /// # Errors
    /// If its files for clients do not say.
    pub fn log_key(&self) -> Result<LogKey> {
        told(waxseal_tests_simulation::log_key(&self.data))
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Logs in by e-mail code as the holder of an address; the token lives for some minutes and
    /// serves for many certificates.
    ///
    /// # Errors
    /// What the broker says.
    pub async fn token(&self, address: &str) -> Result<String> {
        let transport = waxseal_transport_reqwest::ReqwestTransport::builder().build()?;
        let random = waxseal_crypto_aws_lc::OsRandom;
        let mailbox = waxseal_instance::OutboxReader::new(self.data.join("outbox"));
        let issuer = format!("http://localhost:{}/auth", self.port);
        let token =
            waxseal_instance::email_login(&transport, &random, &issuer, address, &mailbox).await?;
        Ok(token.expose().to_owned())
    }
}

/// An error in words becomes one with a cause.
fn told<T>(outcome: Result<T, String>) -> Result<T> {
    outcome.map_err(|error| anyhow!(error))
}

/// The one element of a list.
fn only<'a, T>(list: &'a [T], what: &str) -> Result<&'a T> {
    ensure!(list.len() == 1, "an instance has one {what}");
    list.first().context("there is none")
}

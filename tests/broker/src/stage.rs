//! A broker in this process, on a socket: its clock is moved, and its mail is caught.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use waxseal_crypto::{BoxFuture, Clock, PrivateKey, SignatureAlgorithm, Signer, Time};
use waxseal_crypto_aws_lc::{OsRandom, SystemClock, provider};
use waxseal_identity::SystemEnvironment;
use waxseal_identity_server::{
    CodeKey, CodeMail, Config, ConnectorConfig, ConnectorKind, Context, IdentityServer, KeyRing,
    MailConfig, MailError, Mailer, SmtpConfig,
};
use waxseal_serve::{Chassis, HostCheck, Limits, Listen, Meter, Shutdown, serve};
use waxseal_store_embedded::{AuditFile, IdentityStore};
use waxseal_transport_reqwest::ReqwestTransport;

/// What a broker is set up as.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Play {
    /// With a mail server, whose mail is caught: addresses at `example.com` may log in.
    pub mails: bool,
    /// Whether what is signed goes to a public log.
    pub public_log: bool,
    /// Under which `https` URL a proxy in front is reached; `http` on loopback if absent.
    pub proxied: Option<String>,
    /// With a provider on this port of loopback ([`crate::Upstream`]) beside the mailed code.
    pub upstream: Option<u16>,
    /// With the stand-ins on this port of loopback ([`crate::Upstream::platforms`]).
    pub platforms: Option<u16>,
}

/// A running broker.
pub struct Stage {
    /// Its issuer.
    pub issuer: String,
    /// Where it listens: the same without a proxy.
    pub address: String,
    /// The mail that it sent.
    pub mails: Arc<Mails>,
    /// What it counts.
    pub meter: Meter,
    /// Its store.
    pub store: Arc<IdentityStore>,
    clock: Arc<Moved>,
    shutdown: Shutdown,
    serving: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

/// The system's clock, moved.
#[derive(Default)]
struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Time {
        let seconds = self.0.load(Ordering::SeqCst);
        let by = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let now = SystemClock.now();
        now.checked_add(by).unwrap_or(now)
    }
}

/// The newest code of each address.
#[derive(Default)]
pub struct Mails(Mutex<BTreeMap<String, String>>);

impl Mailer for Mails {
    fn send(&self, mail: CodeMail) -> BoxFuture<'_, Result<(), MailError>> {
        Box::pin(async move {
            let mut mails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            mails.insert(mail.to.as_str().to_owned(), mail.code.expose().to_owned());
            Ok(())
        })
    }
}

impl Mails {
    /// Takes the code of an address out of its mailbox, once it is there.
    ///
    /// # Errors
    /// If no mail comes.
    pub async fn take(&self, address: &str) -> Result<String, String> {
        for _ in 0..2000 {
            let found = self
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(address);
            if let Some(code) = found {
                return Ok(code);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(format!("no mail for {address}"))
    }
}

static KEY: LazyLock<Option<PrivateKey>> = LazyLock::new(|| {
    let algorithm = SignatureAlgorithm::RsaPkcs1Sha256;
    provider().generate(algorithm).ok()
});

fn signer() -> Result<Arc<dyn Signer>, String> {
    let key = KEY.as_ref().ok_or("no key")?;
    let signer = provider().signer(key, SignatureAlgorithm::RsaPkcs1Sha256);
    let signer: Box<dyn Signer> = signer.map_err(|error| error.to_string())?;
    Ok(Arc::from(signer))
}

fn private_file(folder: &Path, content: &str) -> Result<PathBuf, String> {
    let path = folder.join("client-secret");
    let written = std::fs::write(&path, content)
        .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)));
    written.map_err(|error| error.to_string())?;
    Ok(path)
}

impl Stage {
    /// Starts a broker on a port and a store of its own, with its background work.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub async fn start(play: &Play) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let folder = tempfile::tempdir().map_err(|e| text(&e))?;
        let mut listen = Listen::new("localhost:0");
        if play.proxied.is_some() {
            listen = listen.behind_tls_proxy();
        }
        let listener = listen.bind().await.map_err(|e| text(&e))?;
        let address = format!("http://localhost:{}/auth", listener.port());
        let issuer = play.proxied.clone().unwrap_or_else(|| address.clone());
        let mail = if play.mails {
            MailConfig::Smtp(SmtpConfig::new("mail.example", "id@example.com"))
        } else {
            MailConfig::Outbox
        };
        let mut config = Config::new(&issuer, mail);
        config.public_log = play.public_log;
        config.behind_proxy = play.proxied.is_some();
        config.instance_name = Some("Example signing".to_owned());
        if play.mails {
            config.allow_domains.push("example.com".to_owned());
        }
        if let Some(port) = play.upstream {
            let secret = private_file(folder.path(), crate::CLIENT_SECRET)?;
            let mut connector = ConnectorConfig::new(ConnectorKind::Oidc, "waxseal");
            connector.label = Some("Example ID".to_owned());
            connector.issuer = Some(format!("http://localhost:{port}"));
            connector.client_secret_file = Some(secret);
            config.connectors.push(connector);
        }
        if let Some(port) = play.platforms {
            let secret = private_file(folder.path(), crate::CLIENT_SECRET)?;
            let table: toml::Table =
                toml::from_str(&crate::platforms(port, &secret)).map_err(|e| text(&e))?;
            let connectors = table.get("connectors").cloned().ok_or("no connectors")?;
            config.connectors = connectors.try_into().map_err(|e| text(&e))?;
        }
        let store = IdentityStore::open(&folder.path().join("state.redb"));
        let store = Arc::new(store.map_err(|e| text(&e))?);
        let audit = AuditFile::open(&folder.path().join("audit.jsonl")).map_err(|e| text(&e))?;
        let mails = Arc::<Mails>::default();
        let clock = Arc::<Moved>::default();
        let meter = Meter::new();
        let context = Context {
            clock: Arc::<Moved>::clone(&clock),
            random: Arc::new(OsRandom),
            provider: provider(),
            keys: Arc::new(KeyRing::new(signer()?).map_err(|e| text(&e))?),
            code_key: CodeKey::new([7; 32]),
            store: Arc::<IdentityStore>::clone(&store),
            mailer: Arc::<Mails>::clone(&mails),
            transport: Arc::new(ReqwestTransport::builder().build().map_err(|e| text(&e))?),
            environment: Arc::new(SystemEnvironment),
            audit: Arc::new(audit),
            meter: meter.clone(),
        };
        let server = IdentityServer::new(config, context)
            .await
            .map_err(|e| text(&e))?;
        let check = if play.proxied.is_some() {
            HostCheck::off()
        } else {
            listener.host_check()
        };
        let router = Chassis::new(&meter)
            .with_host_check(check)
            .wrap(server.router());
        let shutdown = Shutdown::new();
        let until = shutdown.clone();
        let serving = tokio::spawn(async move {
            let served = serve(router, listener, until.clone(), Limits::default());
            drop(tokio::join!(served, server.run(until)));
        });
        Ok(Self {
            issuer,
            address,
            mails,
            meter,
            store,
            clock,
            shutdown,
            serving,
            _folder: folder,
        })
    }

    /// Moves its clock forward.
    pub fn advance(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// What time it is there.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Stops it.
    pub async fn stop(self) {
        self.shutdown.trigger();
        drop(self.serving.await);
    }
}

/// Runs a test against a broker of its own, on as many threads as the machine has.
///
/// # Errors
/// What the test says.
pub fn on_stage<F: Future<Output = Result<(), String>>>(
    play: &Play,
    test: impl FnOnce(Arc<Stage>) -> F,
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let stage = Arc::new(Stage::start(play).await?);
        let outcome = test(Arc::clone(&stage)).await;
        stage.shutdown.trigger();
        outcome
    })
}

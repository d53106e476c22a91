//! An instance in one process, with a mock clock, fixed keys and liars. Not shipped.
//!
//! **What it is.** What `waxseald up` runs, on a temporary directory, with a clock that tests turn
//! and keys that are always the same; clients reach it through its own router, or over loopback.
//!
//! **In scope.** [`Testkit`]; [`MockClock`]; [`Faults`], which make any role fail, dawdle or lie.
//!
//! **Out of scope.** The tests: they are in `tests/`.
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! use waxseal_testkit::Testkit;
//!
//! let kit = Testkit::start().await;
//! let token = kit.login("you@example.com").await;
//! assert_eq!(token.issuer(), kit.issuer());
//! kit.stop().await;
//! # });
//! # Ok::<_, std::io::Error>(())
//! ```
//!
//! **Trust.** None is due: the private keys are public. It panics where a product would answer.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "testkit is for tests only: what cannot be set up ends the test"
)]

mod clock;
mod faults;
mod keys;

use std::sync::Arc;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use waxseal_crypto::{Clock, CryptoProvider, Random};
use waxseal_crypto_aws_lc::{OsRandom, provider};
use waxseal_formats::ClientTrustConfig;
use waxseal_identity::IdentityToken;
use waxseal_instance::{
    BROKER_AUDIT, BROKER_KEYS, Birth, BrokerStores, Config, DataDir, Flags, Instance, LogStores,
    Nowhere, OutboxReader, Part, RouterTransport, Stores, World, email_login, provision,
    write_client_files,
};
use waxseal_serve::{Fatal, HostCheck, Limits, Listen, Listener, Shutdown};
use waxseal_sign::{Endpoints, Session, SigningContext, SigningError, Silent};
use waxseal_store_embedded::{
    AuditFile, IdentityKeys, IdentityStore, LogLedger, LogObjects, Outbox,
};
use waxseal_transport::Transport;
use waxseal_transport_reqwest::ReqwestTransport;
use waxseal_verify::Verifier;

pub use clock::{MockClock, START};
pub use faults::{Fault, Faults, Role};

/// Where an instance without sockets is.
const URL: &str = "http://localhost:8383";

/// A running instance.
pub struct Testkit {
    instance: Arc<Instance>,
    clock: Arc<MockClock>,
    faults: Arc<Faults>,
    transport: Arc<dyn Transport>,
    verifier: Verifier,
    endpoints: Endpoints,
    random: OsRandom,
    data: DataDir,
    shutdown: Shutdown,
    running: JoinHandle<Result<(), Fatal>>,
    folder: TempDir,
}

impl Testkit {
    /// An instance that is reached through its router: no socket is opened.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(folder, None, Arc::new(MockClock::new())).await
    }

    /// An instance that is reached over loopback, at a free port.
    pub async fn start_on_loopback() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = Listen::new("localhost:0").bind().await.unwrap();
        Self::start_in(folder, Some(listener), Arc::new(MockClock::new())).await
    }

    /// The same instance after a stop: same directory, same clock.
    pub async fn restart(self) -> Self {
        let clock = Arc::clone(&self.clock);
        let folder = self.stop().await;
        Self::start_in(folder, None, clock).await
    }

    async fn start_in(folder: TempDir, listener: Option<Listener>, clock: Arc<MockClock>) -> Self {
        let url = listener.as_ref().map_or_else(
            || URL.to_owned(),
            |listener| format!("http://localhost:{}", listener.port()),
        );
        let flags = Flags {
            url: Some(url),
            ..Flags::default()
        };
        let settings = Config::default().settle(flags).unwrap();
        let data = DataDir::open(&folder.path().join("data")).unwrap();
        let mut birth = Birth::of(&data, &settings, clock.now()).unwrap();
        if !birth.is_complete() {
            keys::put(&data);
            keys::put_ring(&data, clock.now());
        }
        let random = OsRandom;
        let keys = provision(&data, &mut birth, provider(), &random)
            .await
            .unwrap();
        let faults = Arc::new(Faults::default());
        let world = World {
            provider: provider(),
            clock: clock.clone(),
            random: Arc::new(random),
            transport: Arc::new(Nowhere),
        };
        let between = Arc::clone(&faults);
        let instance =
            Instance::with_ct_transport(&settings, &keys, stores(&data), world, |inside| {
                between.around(inside)
            });
        let instance = Arc::new(instance.await.unwrap());
        write_client_files(&data, instance.trust_config()).unwrap();
        let shutdown = Shutdown::new();
        let (inner, running) = serve(&instance, listener, &shutdown);
        instance.ready().await.unwrap();
        let trust = instance.trust_config();
        Self {
            verifier: Verifier::new(provider(), &trust.trusted_root).unwrap(),
            endpoints: Endpoints::select(&trust.signing_config, clock.now()).unwrap(),
            transport: faults.around(inner),
            instance,
            clock,
            faults,
            random,
            data,
            shutdown,
            running,
            folder,
        }
    }

    /// The instance itself.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The issuer of the broker's tokens.
    pub fn issuer(&self) -> String {
        self.instance.issuer()
    }

    /// What clients know.
    pub fn trust_config(&self) -> &ClientTrustConfig {
        self.instance.trust_config()
    }

    /// A verifier that trusts this instance.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The one clock of servers and clients.
    pub fn clock(&self) -> &MockClock {
        &self.clock
    }

    /// What goes wrong; nothing, unless a test says so.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// How clients reach the instance: through its router or over loopback, and past the faults.
    pub fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    /// The provider.
    pub fn provider(&self) -> CryptoProvider {
        provider()
    }

    /// Randomness.
    pub fn random(&self) -> &dyn Random {
        &self.random
    }

    /// The data directory.
    pub fn data(&self) -> &DataDir {
        &self.data
    }

    /// Logs in by e-mail code, through the broker's pages and the outbox.
    pub async fn login(&self, address: &str) -> IdentityToken {
        let mailbox = OutboxReader::new(self.data.part(Part::Outbox));
        let issuer = self.issuer();
        email_login(self.transport(), &self.random, &issuer, address, &mailbox)
            .await
            .unwrap()
    }

    /// What a client needs for signing here.
    pub fn signing(&self) -> SigningContext<'_> {
        SigningContext {
            provider: provider(),
            transport: self.transport(),
            clock: &*self.clock,
            random: &self.random,
            trusted_root: &self.trust_config().trusted_root,
            verifier: &self.verifier,
            endpoints: &self.endpoints,
            progress: &Silent,
            min_scts: 1,
        }
    }

    /// Logs in, and asks for a certificate.
    ///
    /// # Errors
    /// [`SigningError`]: what a test is after when it has set a fault.
    pub async fn session(&self, address: &str) -> Result<Session<'_>, SigningError> {
        let token = self.login(address).await;
        self.signing().certify(token).await
    }

    /// Stops in good order. The directory lives as long as the value that is given back.
    pub async fn stop(self) -> TempDir {
        self.shutdown.trigger();
        self.running.await.unwrap().unwrap();
        self.folder
    }
}

/// The inner transport, and the task that runs the instance.
fn serve(
    instance: &Arc<Instance>,
    listener: Option<Listener>,
    shutdown: &Shutdown,
) -> (Arc<dyn Transport>, JoinHandle<Result<(), Fatal>>) {
    let (served, shutdown) = (Arc::clone(instance), shutdown.clone());
    match listener {
        Some(listener) => {
            let transport = ReqwestTransport::builder().build().unwrap();
            let limits = Limits::default();
            let task = async move { served.serve(listener, shutdown, limits).await };
            (Arc::new(transport), tokio::spawn(task))
        }
        None => {
            let router = instance.router(HostCheck::loopback(8383, false));
            let origin = instance.url().url();
            let transport = RouterTransport::new(origin, router, Arc::new(Nowhere));
            let task = async move { served.run(shutdown).await };
            (Arc::new(transport), tokio::spawn(task))
        }
    }
}

/// The embedded stores of every role, in a data directory. Mail goes to its outbox.
///
/// # Panics
/// One of them cannot be opened.
pub fn stores(data: &DataDir) -> Stores {
    let log = |part| {
        let folder = data.make(part).unwrap();
        LogStores {
            ledger: Arc::new(LogLedger::open(&folder.join("state.redb")).unwrap()),
            objects: Arc::new(LogObjects::open(&folder.join("tiles")).unwrap()),
        }
    };
    let broker = data.make(Part::Broker).unwrap();
    let keys = data.make(Part::Keys).unwrap();
    let outbox = data.make(Part::Outbox).unwrap();
    Stores {
        broker: BrokerStores {
            records: Arc::new(IdentityStore::open(&broker.join("state.redb")).unwrap()),
            keys: Arc::new(IdentityKeys::open(&keys.join(BROKER_KEYS)).unwrap()),
            audit: Arc::new(AuditFile::open(&broker.join(BROKER_AUDIT)).unwrap()),
            mailer: Arc::new(Outbox::new(&outbox, |_| {}).unwrap()),
        },
        log: log(Part::Log),
        ct: log(Part::CtLog),
    }
}

#[cfg(test)]
mod tests;

//! A private Sigstore in this process: every role, on real stores, in a directory of its own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use waxseal_crypto::Clock;
use waxseal_crypto_aws_lc::{OsRandom, SystemClock, provider};
use waxseal_formats::ClientTrustConfig;
use waxseal_identity::IdentityToken;
use waxseal_instance::{
    Birth, Config, DataDir, Flags, Instance, Keys, Nowhere, OutboxReader, Part, RouterTransport,
    World, email_login, provision, write_client_files,
};
use waxseal_serve::{Fatal, HostCheck, Limits, Listen, Listener, Shutdown};
use waxseal_testkit::stores;
use waxseal_transport::Transport;

/// A private Sigstore.
pub struct Deployment {
    /// The roles.
    pub instance: Arc<Instance>,
    /// Their keys: who has them can forge.
    pub keys: Arc<Keys>,
    /// What clients have to know.
    pub config: ClientTrustConfig,
    /// Carries requests to the roles without a socket.
    pub transport: Arc<RouterTransport>,
    /// The servers' clock.
    pub clock: Arc<dyn Clock>,
    data: DataDir,
    people: AtomicUsize,
    shutdown: Shutdown,
    running: JoinHandle<Result<(), Fatal>>,
    folder: TempDir,
}

impl Deployment {
    /// Starts one on a free port of loopback; its tasks are those of the current runtime.
    pub async fn start(clock: Arc<dyn Clock>) -> Self {
        Self::start_with("", Arc::new(Nowhere), clock).await
    }

    /// The same with a configuration file, and what is outside the process.
    pub async fn start_with(
        file: &str,
        outside: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = Listen::new("localhost:0").bind().await.unwrap();
        let flags = Flags {
            listen: Some(format!("localhost:{}", listener.port())),
            ..Flags::default()
        };
        let settings = Config::from_toml(file).unwrap().settle(flags).unwrap();
        let data = DataDir::open(&folder.path().join("data")).unwrap();
        let mut birth = Birth::of(&data, &settings, clock.now()).unwrap();
        let keys = provision(&data, &mut birth, provider(), &OsRandom).await;
        let mut keys = keys.unwrap();
        keys.open_log_cosigner(&data, &settings, provider())
            .unwrap();
        let world = World {
            provider: provider(),
            clock: Arc::clone(&clock),
            random: Arc::new(OsRandom),
            transport: outside,
        };
        let stores = stores(&data);
        let instance = Instance::new(&settings, &keys, stores, world).await;
        let instance = Arc::new(instance.unwrap());
        let config = instance.trust_config().clone();
        write_client_files(&data, &config).unwrap();
        let router = instance.router(HostCheck::loopback(listener.port(), false));
        let transport = RouterTransport::new(instance.url().url(), router, Arc::new(Nowhere));
        let shutdown = Shutdown::new();
        let running = serve(Arc::clone(&instance), listener, shutdown.clone());
        instance.ready().await.unwrap();
        Self {
            instance,
            keys: Arc::new(keys),
            config,
            transport: Arc::new(transport),
            clock,
            data,
            people: AtomicUsize::new(0),
            shutdown,
            running,
            folder,
        }
    }

    /// The URL, without a slash at its end.
    pub fn url(&self) -> &str {
        self.instance.url().as_str()
    }

    /// The data directory: what `--instance` takes.
    pub fn folder(&self) -> &Path {
        self.data.path()
    }

    /// A file for clients.
    pub fn client_file(&self, name: &str) -> PathBuf {
        self.data.part(Part::Client).join(name)
    }

    /// Where mail lies.
    pub fn outbox(&self) -> PathBuf {
        self.data.part(Part::Outbox)
    }

    /// The address of a person who has not logged in yet.
    pub fn somebody(&self) -> String {
        let number = self.people.fetch_add(1, Ordering::Relaxed);
        format!("person-{number}@example.com")
    }

    /// Stops in good order, and asserts that no role had ended before. The directory goes.
    pub async fn stop(self) {
        self.shutdown.trigger();
        self.running.await.unwrap().unwrap();
        self.folder.close().unwrap();
    }

    /// Logs in by e-mail code, through the pages that a browser sees.
    pub async fn log_in(&self, address: &str) -> IdentityToken {
        let mail = OutboxReader::new(self.outbox());
        let issuer = self.instance.issuer();
        email_login(&*self.transport, &OsRandom, &issuer, address, &mail)
            .await
            .unwrap()
    }
}

fn serve(
    instance: Arc<Instance>,
    listener: Listener,
    shutdown: Shutdown,
) -> JoinHandle<Result<(), Fatal>> {
    tokio::spawn(async move { instance.serve(listener, shutdown, Limits::default()).await })
}

/// A deployment with the runtime that it lives on. Tests share it for as long as one of them runs:
/// the last one stops it, and its directory goes.
struct Hosted {
    deployment: Option<Deployment>,
    runtime: Runtime,
}

impl Hosted {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let deployment = Deployment::start(Arc::new(SystemClock));
        let deployment = Some(runtime.block_on(deployment));
        Self {
            deployment,
            runtime,
        }
    }

    fn deployment(&self) -> &Deployment {
        self.deployment.as_ref().unwrap()
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        if let Some(deployment) = self.deployment.take() {
            self.runtime.block_on(deployment.stop());
        }
    }
}

type Slot = Mutex<Weak<Hosted>>;
static SHARED: Slot = Mutex::new(Weak::new());
static OTHER: Slot = Mutex::new(Weak::new());

fn shared(slot: &Slot) -> Arc<Hosted> {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(hosted) = slot.upgrade() {
        return hosted;
    }
    let hosted = Arc::new(Hosted::start());
    *slot = Arc::downgrade(&hosted);
    hosted
}

/// Runs a test with a deployment.
pub fn e2e(test: impl AsyncFnOnce(&Deployment)) {
    let hosted = shared(&SHARED);
    hosted.runtime.block_on(test(hosted.deployment()));
}

/// Runs a test with a deployment of its own, which nobody else writes to, under that clock.
pub fn e2e_alone(clock: Arc<dyn Clock>, test: impl AsyncFnOnce(&Deployment)) {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let deployment = Deployment::start(clock).await;
        test(&deployment).await;
        deployment.stop().await;
    });
}

/// Runs a test with a deployment and another one, which nobody of the first trusts.
pub fn e2e_with_other(test: impl AsyncFnOnce(&Deployment, &Deployment)) {
    let (hosted, other) = (shared(&SHARED), shared(&OTHER));
    let test = test(hosted.deployment(), other.deployment());
    hosted.runtime.block_on(test);
}

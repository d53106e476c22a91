//! Every role in one process, at the root of one origin.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use waxseal_ca_server::{self as ca, CaServer};
use waxseal_crypto::{Clock, CryptoProvider, Random, Signer};
use waxseal_formats::ClientTrustConfig;
use waxseal_identity::{ClaimPath, IssuerConfig, IssuerKind, KeySource};
use waxseal_identity_server::{self as broker, CodeKey, IdentityServer, KeyKeepingError, KeyRing};
use waxseal_log_grpc::with_grpc;
use waxseal_log_server::{
    self as log, ArtifactLog, CtConfigError, CtLog, Ledger, LogServer, Objects,
};
use waxseal_pki::Certificate;
use waxseal_serve::{
    Chassis, Fatal, Front, Health, HostCheck, Limits, Listener, Meter, Shutdown, serve,
};
use waxseal_tlog::{KeyName, NameError, NoteKeyError, NoteSigner, Origin, SignatureKind};
use waxseal_transport::Transport;
use waxseal_tsa_server::{self as tsa, TsaServer};

use crate::config::ISSUER_PATH;
use crate::log_keys::LogKeys;
use crate::shards::by_host;
use crate::{
    BrokerStores, InstanceUrl, Keys, LogWitnessError, RouterTransport, Settings, Shard, page,
    trust_config,
};

/// The world, as an instance sees it.
#[derive(Clone)]
#[expect(clippy::exhaustive_structs, reason = "a list of what a process brings")]
pub struct World {
    /// Makes and checks signatures.
    pub provider: CryptoProvider,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where secrets and serial numbers come from.
    pub random: Arc<dyn Random>,
    /// How what is not in this process is reached.
    pub transport: Arc<dyn Transport>,
}

/// Where the roles keep their records.
#[expect(clippy::exhaustive_structs, reason = "a list of what a process brings")]
pub struct Stores {
    /// The broker's.
    pub broker: BrokerStores,
    /// The transparency log's.
    pub log: LogStores,
    /// The certificate transparency log's.
    pub ct: LogStores,
}

/// The two stores of a log.
#[expect(clippy::exhaustive_structs, reason = "a log has these two")]
pub struct LogStores {
    /// What is in the log.
    pub ledger: Arc<dyn Ledger>,
    /// Tiles and bundles.
    pub objects: Arc<dyn Objects>,
}

/// A private Sigstore, ready to be served.
pub struct Instance {
    url: InstanceUrl,
    meter: Meter,
    broker: IdentityServer,
    ca: Arc<CaServer>,
    ct: LogServer,
    log: LogServer,
    tsa: TsaServer,
    /// Frozen shards of the log, which are read only.
    shards: Vec<Shard>,
    /// Under which name the log takes entries.
    log_url: InstanceUrl,
    trust_config: ClientTrustConfig,
    page: String,
}

/// Why an instance does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// The host does not make a name for the log.
    #[error("the log's name")]
    Name(#[from] NameError),
    /// A log's key does not sign checkpoints.
    #[error("a log's key")]
    NoteKey(#[from] NoteKeyError),
    /// The configuration wants a second line on checkpoints, and nobody has opened its key.
    #[error("the log's ML-DSA-44 key was not opened")]
    NoLogCosigner,
    /// The broker's keys do not sign tokens.
    #[error("the broker's keys")]
    BrokerKeys(#[from] KeyKeepingError),
    /// The broker.
    #[error("the identity broker does not start")]
    Broker(#[from] broker::StartError),
    /// The log's witnesses.
    #[error("the transparency log does not start")]
    LogWitnesses(#[from] LogWitnessError),
    /// The log.
    #[error("the transparency log does not start")]
    Log(#[source] log::StartError),
    /// The CT log's key or roots.
    #[error("the certificate transparency log does not start")]
    CtConfig(#[from] CtConfigError),
    /// The CT log.
    #[error("the certificate transparency log does not start")]
    CtLog(#[source] log::StartError),
    /// The authority.
    #[error("the certificate authority does not start")]
    Ca(#[from] ca::StartError),
    /// The timestamp authority.
    #[error("the timestamp authority does not start")]
    Tsa(#[from] tsa::StartError),
}

impl Instance {
    /// Opens the stores and wires every role; nothing is served and nothing runs yet.
    ///
    /// # Errors
    /// [`ComposeError`].
    pub async fn new(
        settings: &Settings,
        keys: &Keys,
        stores: Stores,
        world: World,
    ) -> Result<Self, ComposeError> {
        Self::with_ct_transport(settings, keys, stores, world, |inside| inside).await
    }

    /// The same, where `around` says how the authority reaches the CT log: it is given the way
    /// inside the process. For whoever stands between the two, such as a test.
    ///
    /// # Errors
    /// [`ComposeError`].
    pub async fn with_ct_transport(
        settings: &Settings,
        keys: &Keys,
        stores: Stores,
        world: World,
        around: impl FnOnce(Arc<dyn Transport>) -> Arc<dyn Transport> + Send,
    ) -> Result<Self, ComposeError> {
        let url = settings.url.clone();
        let meter = Meter::new();
        let (now, config) = (world.clock.now(), settings.broker_config());
        let ring = stores.broker.open_ring(&config, &world, now).await?;
        let tsa = timestamp_authority(keys, &world, &meter)?;
        let ct = ct_log(&url, keys, stores.ct, &world, &meter).await?;
        let (config_of_log, context) =
            log_parts(settings, &keys.of_log(), stores.log, &world, &meter)?;
        let log = LogServer::new(config_of_log, context).await;
        let log = log.map_err(ComposeError::Log)?;
        // The authority reaches the CT log without a socket; in another process it would be the
        // same requests.
        let mounted = Router::new().nest("/ct", ct.router());
        let transport = RouterTransport::new(url.url(), mounted, Arc::clone(&world.transport));
        let ca = Arc::new(authority(
            &url,
            keys,
            &ring,
            around(Arc::new(transport)),
            &world,
            &meter,
        )?);
        // In one process the authority learns of a key when it is announced, not by asking for it.
        let (verifier, issuer) = (Arc::downgrade(&ca), url.join(ISSUER_PATH));
        ring.watch(now, move |keys| {
            if let Some(verifier) = verifier.upgrade() {
                verifier.replace_static_keys(&issuer, keys);
            }
        });
        let code_key = CodeKey::new(*keys.code_key);
        let context = stores.broker.context(ring, code_key, world, &meter);
        let broker = IdentityServer::new(config, context).await?;
        let trust_config = trust_config(&url, keys, log.log_id());
        Ok(Self {
            page: page::text(settings),
            url,
            meter,
            broker,
            ca,
            ct,
            log,
            tsa,
            shards: keys.shards.archived.clone(),
            log_url: keys.log_url(settings).clone(),
            trust_config,
        })
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &InstanceUrl {
        &self.url
    }

    /// The issuer of the broker's tokens.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.url.join(ISSUER_PATH)
    }

    /// What clients have to know.
    #[must_use]
    pub fn trust_config(&self) -> &ClientTrustConfig {
        &self.trust_config
    }

    /// The identity broker.
    #[must_use]
    pub fn broker(&self) -> &IdentityServer {
        &self.broker
    }

    /// The transparency log.
    #[must_use]
    pub fn log(&self) -> &LogServer {
        &self.log
    }

    /// The certificate transparency log.
    #[must_use]
    pub fn ct_log(&self) -> &LogServer {
        &self.ct
    }

    /// Every route at the root, with health and a page, and the rules of the chassis around it.
    /// Upstream's paths do not collide, so neither do these.
    pub fn router(&self, host_check: HostCheck) -> Router {
        let routes = Router::new()
            .merge(self.broker.router())
            .merge(self.ca.router())
            .merge(with_grpc(self.log.router(), self.log.health("log")))
            .merge(self.tsa.router())
            .nest("/ct", self.ct.router())
            .merge(self.health().router())
            .merge(self.meter.router())
            .merge(page::router(&self.page));
        let routes = by_host(routes, &self.shards);
        Chassis::new(&self.meter)
            .with_host_check(host_check)
            .wrap(routes)
    }

    /// Whether every role can do its job now.
    pub fn health(&self) -> Health {
        self.broker
            .health()
            .and(self.ca.health())
            .and(self.ct.health("ct"))
            .and(self.log.health("log"))
            .and(self.tsa.health())
    }

    /// Waits until every role can do its job.
    ///
    /// # Errors
    /// [`Fatal`]: a role is not ready after [`READY_WAIT`].
    pub async fn ready(&self) -> Result<(), Fatal> {
        let health = self.health();
        let begun = Instant::now();
        loop {
            let Err((role, reason)) = health.ready().await else {
                return Ok(());
            };
            if begun.elapsed() > READY_WAIT {
                tracing::error!(role, %reason, "not ready");
                return Err(Fatal::new("a role does not become ready", reason));
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }

    /// The background work of every role. When `shutdown` fires, those that write to logs stop
    /// first, then the logs, which answer and seal what they have.
    ///
    /// # Errors
    /// [`Fatal`]: going on is unsafe, and the process must stop.
    pub async fn run(&self, shutdown: Shutdown) -> Result<(), Fatal> {
        let stop_logs = Shutdown::new();
        let authorities = async {
            let ended = tokio::try_join!(
                self.broker.run(shutdown.clone()),
                self.ca.run(shutdown.clone()),
                self.tsa.run(shutdown.clone()),
            );
            // The CA writes to the CT log, so its end comes first; the log has no such writer.
            stop_logs.trigger();
            ended.map(|_| ())
        };
        let logs = async {
            tokio::try_join!(
                self.ct.run(stop_logs.clone()),
                self.log.run(stop_logs.clone()),
            )
            .map(|_| ())
        };
        tokio::try_join!(authorities, logs).map(|_| ())
    }

    /// Serves until `shutdown` fires: first no more connections are taken and the open ones end,
    /// then the roles stop.
    ///
    /// # Errors
    /// [`Fatal`]: a role or an accept loop ended by itself.
    pub async fn serve(
        &self,
        listener: Listener,
        shutdown: Shutdown,
        limits: Limits,
    ) -> Result<(), Fatal> {
        let shards = self.shards.iter().map(|shard| &shard.url);
        let logs = shards.chain([&self.log_url]);
        let host_check = self.url.host_check(&listener, logs);
        let stop_roles = Shutdown::new();
        let http = async {
            let doors = [self.log.door(""), self.ct.door("/ct")];
            let front = Front::new(self.router(host_check), doors);
            let served = serve(front, listener, shutdown.clone(), limits).await;
            stop_roles.trigger();
            served
        };
        let roles = async {
            self.run(stop_roles.clone()).await?;
            if shutdown.is_triggered() {
                Ok(())
            } else {
                Err(Fatal::because("the roles ended by themselves"))
            }
        };
        tokio::try_join!(http, roles).map(|_| ())
    }
}

/// How long roles may take to become ready once they run.
pub const READY_WAIT: Duration = Duration::from_secs(10);

const READY_POLL: Duration = Duration::from_millis(5);

fn authority(
    url: &InstanceUrl,
    keys: &Keys,
    ring: &KeyRing,
    transport: Arc<dyn Transport>,
    world: &World,
    meter: &Meter,
) -> Result<CaServer, ComposeError> {
    let mut issuer = IssuerConfig::new(&url.join(ISSUER_PATH), &[], IssuerKind::Email);
    issuer.keys = KeySource::Static(ring.published(world.clock.now()));
    // The provider where the person logged in stands for the issuer, as on the public instance.
    issuer.issuer_claim = Some(connector_claim());
    let mut ct_url = url.url().clone();
    ct_url.set_path("/ct");
    let ct_log = ca::CtLog::new(ct_url, keys.ct.public_key().clone());
    let config = ca::Config::new(url.as_str(), vec![issuer], keys.ca_chain.clone(), ct_log);
    let context = ca::Context::new(
        world.provider,
        Arc::clone(&world.clock),
        Arc::clone(&world.random),
        Arc::clone(&keys.ca),
        transport,
        meter.clone(),
    );
    Ok(CaServer::new(config, context)?)
}

#[expect(clippy::expect_used, reason = "a literal, which every test parses")]
fn connector_claim() -> ClaimPath {
    ClaimPath::parse("$.federated_claims.connector_id").expect("a claim's path")
}

fn timestamp_authority(
    keys: &Keys,
    world: &World,
    meter: &Meter,
) -> Result<TsaServer, ComposeError> {
    let chain = keys.tsa_chain.iter().map(|c| c.der().to_vec()).collect();
    let context = tsa::Context::new(
        world.provider,
        Arc::clone(&world.clock),
        Arc::clone(&world.random),
        Arc::clone(&keys.tsa),
        meter.clone(),
    );
    Ok(TsaServer::new(tsa::Config::new(chain), context)?)
}

/// The log's configuration, and its world, as far as those are the instance's.
pub(crate) fn log_parts(
    settings: &Settings,
    keys: &LogKeys,
    stores: LogStores,
    world: &World,
    meter: &Meter,
) -> Result<(log::Config, log::Context), ComposeError> {
    // Clients know a log by the bare host of its URL (clients.md §0.4).
    let name = keys.url(settings).host();
    let signers = keys.signers(settings)?;
    let origin = Origin::new(name)?;
    let witnesses = &settings.transparency_log;
    let mut personality = ArtifactLog::new(world.provider);
    if witnesses.refuse_dsse {
        personality = personality.without_dsse();
    }
    let context = log::Context {
        provider: world.provider,
        clock: Arc::clone(&world.clock),
        cosigners: witnesses.cosigners(&origin, &signers, world, meter)?,
        signers,
        ledger: stores.ledger,
        objects: stores.objects,
        personality: Arc::new(personality),
        meter: meter.clone(),
    };
    Ok((log::Config::new(origin), context))
}

async fn ct_log(
    url: &InstanceUrl,
    keys: &Keys,
    stores: LogStores,
    world: &World,
    meter: &Meter,
) -> Result<LogServer, ComposeError> {
    let name = format!("{}/ct", url.authority());
    let signer = note_signer(&name, SignatureKind::Rfc6962, &keys.ct)?;
    let root: Vec<_> = keys
        .ca_chain
        .last()
        .map(Certificate::der)
        .into_iter()
        .collect();
    let roots: Vec<_> = root.into_iter().map(<[u8]>::to_vec).collect();
    let objects = Arc::clone(&stores.objects);
    let personality = CtLog::new(world.provider, Arc::clone(&keys.ct), objects, &roots)?;
    let context = log::Context {
        provider: world.provider,
        clock: Arc::clone(&world.clock),
        signers: vec![signer],
        cosigners: None,
        ledger: stores.ledger,
        objects: stores.objects,
        personality: Arc::new(personality),
        meter: meter.clone(),
    };
    LogServer::new(log::Config::new(Origin::new(&name)?), context)
        .await
        .map_err(ComposeError::CtLog)
}

pub(crate) fn note_signer(
    name: &str,
    kind: SignatureKind,
    signer: &Arc<dyn Signer>,
) -> Result<NoteSigner, ComposeError> {
    Ok(NoteSigner::new(
        KeyName::new(name)?,
        kind,
        Arc::clone(signer),
    )?)
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! The identity broker without the other roles, on the same configuration and data directory.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use waxseal_crypto::{RandomError, Time};
use waxseal_identity::SystemEnvironment;
use waxseal_identity_server::{
    self as broker, AuditLog, CodeKey, IdentityServer, KeyKeepingError, KeyRing, KeyStore, Mailer,
};
use waxseal_serve::{Chassis, Fatal, HostCheck, Limits, Listener, Meter, Shutdown, serve};
use zeroize::Zeroizing;

use crate::config::ISSUER_PATH;
use crate::provision::CODE_KEY;
use crate::{Birth, BirthError, DataDir, DataError, InstanceUrl, Part, Settings, World};

/// Where a broker keeps its records.
#[expect(clippy::exhaustive_structs, reason = "a list of what a process brings")]
pub struct BrokerStores {
    /// Log-ins, accounts, limits.
    pub records: Arc<dyn broker::Store>,
    /// The keys that sign identity tokens. They change, so they are not among [`Keys`](crate::Keys).
    pub keys: Arc<dyn KeyStore>,
    /// What matters to security.
    pub audit: Arc<dyn AuditLog>,
    /// How codes reach people.
    pub mailer: Arc<dyn Mailer>,
}

impl BrokerStores {
    /// The keys that sign now and next; made if there are none.
    pub(crate) async fn open_ring(
        &self,
        config: &broker::Config,
        world: &World,
        now: Time,
    ) -> Result<Arc<KeyRing>, KeyKeepingError> {
        let keys = Arc::clone(&self.keys);
        let ring = KeyRing::open(keys, world.provider, &config.keys, now).await?;
        Ok(Arc::new(ring))
    }

    /// All that a broker has to do with.
    pub(crate) fn context(
        self,
        keys: Arc<KeyRing>,
        code_key: CodeKey,
        world: World,
        meter: &Meter,
    ) -> broker::Context {
        broker::Context {
            clock: world.clock,
            random: world.random,
            provider: world.provider,
            keys,
            code_key,
            store: self.records,
            mailer: self.mailer,
            audit: self.audit,
            transport: world.transport,
            environment: Arc::new(SystemEnvironment),
            meter: meter.clone(),
        }
    }
}

/// A broker, ready to be served.
pub struct BrokerAlone {
    url: InstanceUrl,
    meter: Meter,
    broker: IdentityServer,
}

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerAloneError {
    /// The directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Its URL or its kind of mail would change.
    #[error(transparent)]
    Birth(#[from] BirthError),
    /// The code key is not as long as it was written.
    #[error("keys/{CODE_KEY} is damaged: restore it from a backup")]
    Damaged,
    /// Randomness failed.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The keys do not sign tokens.
    #[error("the broker's keys")]
    Keys(#[from] KeyKeepingError),
    /// The broker.
    #[error("the identity broker does not start")]
    Broker(#[from] broker::StartError),
}

impl BrokerAlone {
    /// Opens keys and wires the broker; nothing is served and nothing runs yet.
    ///
    /// # Errors
    /// [`BrokerAloneError`].
    pub async fn new(
        data: &DataDir,
        settings: &Settings,
        stores: BrokerStores,
        world: World,
    ) -> Result<Self, BrokerAloneError> {
        let config = settings.broker_config();
        Birth::of(data, settings, world.clock.now())?;
        let code_key = code_key(data, &world)?;
        let now = world.clock.now();
        let ring = stores.open_ring(&config, &world, now).await?;
        let meter = Meter::new();
        let context = stores.context(ring, code_key, world, &meter);
        Ok(Self {
            broker: IdentityServer::new(config, context).await?,
            url: settings.url.clone(),
            meter,
        })
    }

    /// The issuer of its tokens.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.url.join(ISSUER_PATH)
    }

    /// The broker itself.
    #[must_use]
    pub fn broker(&self) -> &IdentityServer {
        &self.broker
    }

    /// Its routes, with health and metrics, and the rules of the chassis around them.
    pub fn router(&self, host_check: HostCheck) -> Router {
        let routes = self.broker.router();
        let routes = routes.merge(self.broker.health().router());
        Chassis::new(&self.meter)
            .with_host_check(host_check)
            .wrap(routes.merge(self.meter.router()))
    }

    /// Serves until `shutdown` fires, and does the background work beside it.
    ///
    /// # Errors
    /// [`Fatal`]: the accept loop, or the broker, ended by itself.
    pub async fn serve(
        &self,
        listener: Listener,
        shutdown: Shutdown,
        limits: Limits,
    ) -> Result<(), Fatal> {
        let host_check = self.url.host_check(&listener, []);
        let router = self.router(host_check);
        let http = serve(router, listener, shutdown.clone(), limits);
        tokio::try_join!(http, self.broker.run(shutdown)).map(|_| ())
    }
}

impl fmt::Debug for BrokerAlone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerAlone({})", self.url)
    }
}

/// Reads the code key; makes it if it is not there. Without the old one, codes that are on their
/// way are void, and nothing else is lost.
fn code_key(data: &DataDir, world: &World) -> Result<CodeKey, BrokerAloneError> {
    let mut key = Zeroizing::new([0; 32]);
    match data.read(Part::Keys, CODE_KEY)? {
        Some(bytes) if bytes.len() == key.len() => key.copy_from_slice(&bytes),
        Some(_) => return Err(BrokerAloneError::Damaged),
        None => {
            world.random.fill(key.as_mut())?;
            data.make(Part::Keys)?;
            data.create(Part::Keys, CODE_KEY, key.as_ref())?;
        }
    }
    Ok(CodeKey::new(*key))
}

#[cfg(test)]
#[cfg(unix)]
mod tests;

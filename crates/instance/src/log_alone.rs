//! The transparency log without the other roles, on the same configuration and data directory.

use std::fmt;

use axum::Router;
use waxseal_log_grpc::with_grpc;
use waxseal_log_server::{LogServer, StartError};
use waxseal_serve::{Chassis, Fatal, Front, HostCheck, Limits, Listener, Meter, Shutdown, serve};

use crate::compose::log_parts;
use crate::provision::provision_log;
use crate::shards::by_host;
use crate::{
    Birth, BirthError, ComposeError, DataDir, InstanceUrl, LogStores, ProvisionError, Settings,
    Shard, World,
};

/// A log, ready to be served.
pub struct LogAlone {
    url: InstanceUrl,
    meter: Meter,
    log: LogServer,
    shards: Vec<Shard>,
}

/// Why a log alone does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogAloneError {
    /// Its URL would change.
    #[error(transparent)]
    Birth(#[from] BirthError),
    /// Its keys.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// Its name, its keys, or its witnesses.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The log.
    #[error("the transparency log does not start")]
    Start(#[from] StartError),
}

impl LogAlone {
    /// Opens keys and stores, and compares what they say; nothing is served and nothing runs yet.
    ///
    /// # Errors
    /// [`LogAloneError`].
    pub async fn new(
        data: &DataDir,
        settings: &Settings,
        stores: LogStores,
        world: World,
    ) -> Result<Self, LogAloneError> {
        let birth = Birth::of(data, settings, world.clock.now())?;
        let keys = provision_log(data, &birth, world.provider, settings)?;
        let meter = Meter::new();
        let (config, context) = log_parts(settings, &keys, stores, &world, &meter)?;
        Ok(Self {
            url: keys.url(settings).clone(),
            log: LogServer::new(config, context).await?,
            shards: keys.shards.archived,
            meter,
        })
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> &LogServer {
        &self.log
    }

    /// Its routes, over HTTP and gRPC, with health and metrics, and the rules of the chassis around
    /// them.
    pub fn router(&self, host_check: HostCheck) -> Router {
        let health = self.log.health("log");
        let routes = with_grpc(self.log.router(), self.log.health("log"))
            .merge(health.router())
            .merge(self.meter.router());
        Chassis::new(&self.meter)
            .with_host_check(host_check)
            .wrap(by_host(routes, &self.shards))
    }

    /// Serves until `shutdown` fires: first no more connections are taken and the open ones end,
    /// then the log answers and seals what it has.
    ///
    /// # Errors
    /// [`Fatal`]: the accept loop, or the log, ended by itself.
    pub async fn serve(
        &self,
        listener: Listener,
        shutdown: Shutdown,
        limits: Limits,
    ) -> Result<(), Fatal> {
        let shards = self.shards.iter().map(|shard| &shard.url);
        let host_check = self.url.host_check(&listener, shards);
        let stop_log = Shutdown::new();
        let front = Front::new(self.router(host_check), [self.log.door("")]);
        let http = async {
            let served = serve(front, listener, shutdown.clone(), limits).await;
            stop_log.trigger();
            served
        };
        tokio::try_join!(http, self.log.run(stop_log.clone())).map(|_| ())
    }
}

impl fmt::Debug for LogAlone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogAlone({})", self.url)
    }
}

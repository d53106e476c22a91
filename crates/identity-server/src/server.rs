//! The front door: wiring, routes, background work.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use waxseal_crypto::{Clock, CryptoProvider, Random, Time};
use waxseal_identity::{Environment, IssuerConfigError};
use waxseal_serve::{Fatal, Health, Meter, NotReady, Shutdown};
use waxseal_transport::Transport;

use crate::audit::AuditLog;
use crate::config::ConfigError;
use crate::records::NEVER;
use crate::service::Service;
use crate::{
    Administration, CodeKey, Config, KeyRing, MailConfig, Mailer, RecordKey, RecordKind, Store,
    StoreError, http, transact,
};

/// How often expired records are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// The world, as the broker sees it.
pub struct Context {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Source of codes and secrets.
    pub random: Arc<dyn Random>,
    /// Checks the tokens that come back to the userinfo endpoint.
    pub provider: CryptoProvider,
    /// The keys that sign tokens.
    pub keys: Arc<KeyRing>,
    /// The key under which mailed codes are kept. Kept apart from the store, and across restarts.
    pub code_key: CodeKey,
    /// Where log-ins and codes are kept.
    pub store: Arc<dyn Store>,
    /// How codes reach people.
    pub mailer: Arc<dyn Mailer>,
    /// How the connectors' providers are reached.
    pub transport: Arc<dyn Transport>,
    /// Where the connectors' secrets are.
    pub environment: Arc<dyn Environment>,
    /// Where events that matter to security are written.
    pub audit: Arc<dyn AuditLog>,
    /// Where metrics are counted.
    pub meter: Meter,
}

/// Why the broker does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A rule of the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An issuer whose tokens would be exchanged.
    #[error("token_exchange")]
    Exchange(#[from] IssuerConfigError),
    /// The instance was born with the other kind of mail. Identities of an outbox were proven to
    /// nobody; with SMTP the same names would pass for proven ones.
    #[error("this instance was made with mail by {born}, and keeps it; make a new instance")]
    MailModeChanged {
        /// `outbox` or `smtp`.
        born: &'static str,
    },
}

/// The identity broker.
#[derive(Clone)]
pub struct IdentityServer {
    service: Arc<Service>,
}

impl IdentityServer {
    /// Wires the broker; fails on a bad configuration, before any socket is bound.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn new(config: Config, context: Context) -> Result<Self, StartError> {
        config.check()?;
        remember_mail_mode(&config, &context).await?;
        Ok(Self {
            service: Service::new(config, context)?,
        })
    }

    /// The HTTP surface: every route under the issuer's own path. Merge it with other servers'
    /// routers at the root, or call it in process.
    pub fn router(&self) -> Router {
        http::router(Arc::clone(&self.service))
    }

    /// Whether the broker can do its job now: its store answers.
    pub fn health(&self) -> Health {
        let service = Arc::clone(&self.service);
        Health::new().probe("broker", move || {
            let service = Arc::clone(&service);
            async move {
                let keys = vec![mail_mode_key()];
                let asked = transact(&*service.context.store, keys, service.now(), |_| ());
                asked
                    .await
                    .map_err(|_| NotReady("the broker's store does not answer"))
            }
        })
    }

    /// The keys that sign tokens, for the CA in the same process (R-ID-18).
    pub fn keys(&self) -> Arc<KeyRing> {
        Arc::clone(&self.service.context.keys)
    }

    /// The broker's records in an operator's hands, while it runs.
    pub fn administration(&self) -> Administration {
        let context = &self.service.context;
        Administration::new(
            Arc::clone(&context.store),
            Arc::clone(&context.clock),
            Arc::clone(&context.audit),
        )
    }

    /// Changes signing keys when that is due and removes expired records, until the shutdown.
    ///
    /// # Errors
    /// None yet: a store that fails is seen by readiness, and a key that is not changed by the log.
    pub async fn run(&self, shutdown: Shutdown) -> Result<(), Fatal> {
        loop {
            tokio::select! {
                () = shutdown.triggered() => return Ok(()),
                () = tokio::time::sleep(SWEEP_INTERVAL) => {}
            }
            let context = &self.service.context;
            self.service.turn_keys().await;
            match context.store.sweep(context.clock.now()).await {
                Ok(0) => {}
                Ok(removed) => tracing::debug!(removed, "swept expired log-ins"),
                Err(error) => {
                    let cause = error.0.to_string();
                    tracing::error!(cause = cause.escape_debug().to_string(), "no sweep");
                }
            }
        }
    }
}

impl fmt::Debug for IdentityServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityServer")
            .field("issuer", &self.service.config.issuer)
            .finish_non_exhaustive()
    }
}

fn mail_mode_key() -> RecordKey {
    RecordKey::new(RecordKind::Instance, &[b"mail mode"])
}

async fn remember_mail_mode(config: &Config, context: &Context) -> Result<(), StartError> {
    let mode: &'static [u8] = match config.mail {
        MailConfig::Outbox => b"outbox",
        MailConfig::Smtp(_) => b"smtp",
        // Without mail no address is proven by mail, and nothing is to be remembered.
        MailConfig::None => return Ok(()),
    };
    let never = Time::from_unix(NEVER).unwrap_or(Time::UNIX_EPOCH);
    let keys = vec![mail_mode_key()];
    let born = transact(&*context.store, keys, context.clock.now(), move |slots| {
        let slot = slots.first_mut()?;
        let (bytes, _) = slot.record.get_or_insert_with(|| (mode.to_vec(), never));
        Some(bytes.clone())
    });
    match born.await? {
        Some(bytes) if bytes == mode => Ok(()),
        Some(bytes) if bytes == b"outbox" => Err(StartError::MailModeChanged { born: "outbox" }),
        _ => Err(StartError::MailModeChanged { born: "smtp" }),
    }
}

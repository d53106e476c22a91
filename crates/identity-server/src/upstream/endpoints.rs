//! Where a provider's endpoints are: known beforehand, configured, or discovered and kept.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use url::Url;
use waxseal_crypto::Time;
use waxseal_identity::Discovery;
use waxseal_transport::{Transport, is_loopback};

use super::{UpstreamError, one_issuer};
use crate::connector::{ConnectorConfig, ConnectorKind};

/// How long a discovery document is used without asking again.
const FRESH: Duration = Duration::from_secs(3600);

/// How long it is used when the provider cannot be reached.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// How long a failure stands: a stream of log-ins must not become a stream of requests.
const FAILURE: Duration = Duration::from_secs(5);

/// Where to send browsers and requests, and what the provider has.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    pub(crate) authorization: Url,
    pub(crate) token: Url,
    pub(crate) userinfo: Option<Url>,
    /// The provider's issuer, if its redirects may carry one (RFC 9207).
    pub(crate) issuer: Option<String>,
    /// Whether it has announced that they do.
    pub(crate) announces_iss: bool,
    pub(crate) pkce: bool,
    /// Whether the secret goes into `Authorization: Basic`, not into the form.
    pub(crate) basic: bool,
    /// What may be asked for; empty if the provider does not say.
    pub(crate) scopes: Vec<String>,
    openid: bool,
}

impl Endpoints {
    /// Whether an ID token is to be had.
    pub(crate) const fn is_openid(&self) -> bool {
        self.openid
    }

    fn fixed(authorization: Url, token: Url, userinfo: Option<Url>) -> Self {
        Self {
            authorization,
            token,
            userinfo,
            issuer: None,
            announces_iss: false,
            pkce: true,
            basic: false,
            scopes: Vec::new(),
            openid: false,
        }
    }

    /// Those of a provider without discovery.
    fn known(config: &ConnectorConfig) -> Option<Self> {
        let home = config.home();
        let url = |text: String| Url::parse(&text).ok();
        let configured = |url: &Option<String>| Url::parse(url.as_deref()?).ok();
        match config.kind {
            ConnectorKind::Github => {
                let api = match &config.url {
                    None => "https://api.github.com".to_owned(),
                    Some(_) => format!("{home}/api/v3"),
                };
                Some(Self::fixed(
                    url(format!("{home}/login/oauth/authorize"))?,
                    url(format!("{home}/login/oauth/access_token"))?,
                    url(format!("{api}/user")),
                ))
            }
            ConnectorKind::Facebook => {
                // Without a version: the platform takes the oldest that the app may use.
                let graph = match &config.url {
                    None => "https://graph.facebook.com",
                    Some(_) => home,
                };
                Some(Self::fixed(
                    url(format!("{home}/dialog/oauth"))?,
                    url(format!("{graph}/oauth/access_token"))?,
                    url(format!("{graph}/me?fields=id,email")),
                ))
            }
            ConnectorKind::Microsoft if config.tenant.is_none() => {
                let common = format!("{home}/common/oauth2/v2.0");
                let endpoints = Self::fixed(
                    url(format!("{common}/authorize"))?,
                    url(format!("{common}/token"))?,
                    None,
                );
                Some(Self {
                    openid: true,
                    ..endpoints
                })
            }
            ConnectorKind::Oauth2 => {
                let endpoints = Self::fixed(
                    configured(&config.authorization_endpoint)?,
                    configured(&config.token_endpoint)?,
                    configured(&config.userinfo_endpoint),
                );
                Some(Self {
                    pkce: config.pkce.unwrap_or(true),
                    announces_iss: config.issuer.is_some(),
                    issuer: config.issuer.clone(),
                    ..endpoints
                })
            }
            _ => None,
        }
    }

    /// Those of a discovery document.
    pub(super) fn discovered(
        config: &ConnectorConfig,
        document: Discovery,
    ) -> Result<Self, UpstreamError> {
        let usable = |url: Option<Url>, name| {
            let secure =
                |url: &Url| url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url));
            url.filter(secure).ok_or(UpstreamError::NoEndpoint(name))
        };
        // Google and Microsoft document PKCE; only the former announces it.
        let documented = matches!(
            config.kind,
            ConnectorKind::Google | ConnectorKind::Microsoft
        );
        let methods = &document.token_auth_methods;
        let takes_basic =
            methods.is_empty() || methods.iter().any(|name| name == "client_secret_basic");
        Ok(Self {
            authorization: usable(document.authorization_endpoint, "authorization_endpoint")?,
            token: usable(document.token_endpoint, "token_endpoint")?,
            userinfo: usable(document.userinfo_endpoint, "userinfo_endpoint").ok(),
            issuer: Some(document.issuer),
            announces_iss: document.response_iss,
            pkce: documented || document.pkce_s256,
            basic: takes_basic && !documented,
            scopes: document.scopes,
            openid: true,
        })
    }
}

/// The endpoints of one provider, asked for when needed.
#[derive(Debug, Default)]
pub(super) struct Directory {
    state: std::sync::Mutex<State>,
    /// Held while fetching, so that many waiting log-ins make one request.
    fetching: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    found: Option<(Time, Endpoints)>,
    failed_at: Option<Time>,
}

impl Directory {
    pub(super) async fn current(
        &self,
        config: &ConnectorConfig,
        transport: &dyn Transport,
        now: Time,
    ) -> Result<Endpoints, UpstreamError> {
        if let Some(known) = Endpoints::known(config) {
            return Ok(known);
        }
        if let Some(fresh) = self.younger_than(FRESH, now) {
            return Ok(fresh);
        }
        if let Some(stale) = self.younger_than(STALE, now) {
            // One log-in pays for the refresh, and the others go on with what there is: a provider
            // that hangs holds nobody else.
            let refreshed = match self.fetching.try_lock() {
                Ok(_guard) => self.fetch(config, transport, now).await.ok(),
                Err(_) => None,
            };
            return Ok(refreshed.unwrap_or(stale));
        }
        let _guard = self.fetching.lock().await;
        match self.younger_than(FRESH, now) {
            Some(fresh) => Ok(fresh),
            None => self.fetch(config, transport, now).await,
        }
    }

    /// The caller holds `fetching`.
    async fn fetch(
        &self,
        config: &ConnectorConfig,
        transport: &dyn Transport,
        now: Time,
    ) -> Result<Endpoints, UpstreamError> {
        let recently = |at: Time| now.saturating_since(at) < FAILURE;
        if self.state().failed_at.is_some_and(recently) {
            return Err(UpstreamError::TriedRecently);
        }
        let outcome = discover(config, transport).await;
        let mut state = self.state();
        match &outcome {
            Ok(endpoints) => {
                state.failed_at = None;
                state.found = Some((now, endpoints.clone()));
            }
            Err(_) => state.failed_at = Some(now),
        }
        outcome
    }

    fn younger_than(&self, age: Duration, now: Time) -> Option<Endpoints> {
        let state = self.state();
        let found = state.found.as_ref();
        let found = found.filter(|(at, _)| now.saturating_since(*at) < age);
        found.map(|(_, endpoints)| endpoints.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every write is whole, so a panic elsewhere leaves nothing half-written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fetches the endpoints anew; those that are known need no request.
pub(super) async fn discover(
    config: &ConnectorConfig,
    transport: &dyn Transport,
) -> Result<Endpoints, UpstreamError> {
    if let Some(known) = Endpoints::known(config) {
        return Ok(known);
    }
    let issuer = one_issuer(config).ok_or(UpstreamError::NoEndpoint("issuer"))?;
    let document = Discovery::fetch(transport, &issuer).await?;
    Endpoints::discovered(config, document)
}

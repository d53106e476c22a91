//! The keys of one issuer: fetched when needed, kept, and never fetched on an attacker's beat.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use waxseal_crypto::Time;
use waxseal_transport::{Request, Transport, TransportError};

use crate::discovery::{Discovery, DiscoveryError};
use crate::{IssuerConfig, JwkError, JwkSet, JwsAlgorithm, KeySource, MAX_JWKS};

/// How long keys are used without asking again.
pub const KEYS_FRESH: Duration = Duration::from_secs(300);

/// How long keys are used when the issuer cannot be reached.
pub const KEYS_STALE: Duration = Duration::from_secs(24 * 3600);

/// At most one fetch per issuer in this time, whatever tokens arrive (authority.md §1.9): a
/// stream of made-up key ids must not become a stream of requests.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(30);

/// The same after a fetch that was abandoned, because the request that wanted it went away: long
/// enough not to be driven by an attacker who hangs up, short enough for him not to keep everybody
/// from the keys.
const ABANDONED_INTERVAL: Duration = Duration::from_secs(1);

/// Why an issuer's keys are not at hand. None of it is the token's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// No discovery document.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The document has no `jwks_uri`.
    #[error("the issuer's discovery document has no \"jwks_uri\"")]
    NoJwksUri,
    /// The keys are at an origin that nobody vouches for (S-31).
    #[error("the issuer's keys are at {origin}, which is neither its own origin nor configured")]
    ForeignJwksUri {
        /// Scheme, host and port.
        origin: String,
    },
    /// The key set could not be fetched.
    #[error("the issuer's keys could not be fetched")]
    Transport(#[from] TransportError),
    /// The key set is refused.
    #[error(transparent)]
    Jwks(#[from] JwkError),
    /// The last attempt failed less than [`REFRESH_INTERVAL`] ago.
    #[error("the issuer's keys could not be fetched a moment ago, and are not asked for again yet")]
    TriedRecently,
}

/// Keys, and the algorithms they may be used with.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) keys: JwkSet,
    pub(crate) algorithms: Vec<JwsAlgorithm>,
}

#[derive(Default)]
struct State {
    loaded: Option<Arc<Loaded>>,
    loaded_at: Option<Time>,
    attempted_at: Option<Time>,
    /// Whether the last attempt came to an end.
    finished: bool,
}

/// The keys of one issuer.
pub(crate) struct IssuerKeys {
    state: Mutex<State>,
    /// Held while fetching, so that many waiting requests make one fetch.
    fetching: futures_util::lock::Mutex<()>,
}

impl IssuerKeys {
    pub(crate) fn new(config: &IssuerConfig) -> Self {
        let state = match &config.keys {
            KeySource::Static(keys) => State {
                loaded: Some(Arc::new(Loaded::given(keys.clone(), config))),
                ..State::default()
            },
            KeySource::Discovery { .. } => State::default(),
        };
        Self {
            state: Mutex::new(state),
            fetching: futures_util::lock::Mutex::new(()),
        }
    }

    /// Puts another static set in place.
    pub(crate) fn replace(&self, keys: JwkSet, config: &IssuerConfig) {
        self.state().loaded = Some(Arc::new(Loaded::given(keys, config)));
    }

    /// The keys as they are, fetched first if there are none or they are old.
    pub(crate) async fn current(
        &self,
        config: &IssuerConfig,
        transport: &dyn Transport,
        now: Time,
    ) -> Result<Arc<Loaded>, KeysError> {
        if let Some(loaded) = self.younger_than(KEYS_FRESH, config, now) {
            return Ok(loaded);
        }
        if let Some(stale) = self.younger_than(KEYS_STALE, config, now) {
            // One request pays for the refresh, and the others go on with what there is. A
            // failure is not theirs: the old keys stand until they are stale.
            let refreshed = match self.fetching.try_lock() {
                Some(_guard) => self.fetch(config, transport, now).await.ok(),
                None => None,
            };
            return Ok(refreshed.unwrap_or(stale));
        }
        let _guard = self.fetching.lock().await;
        match self.younger_than(KEYS_FRESH, config, now) {
            Some(loaded) => Ok(loaded),
            None => self.fetch(config, transport, now).await,
        }
    }

    /// The keys fetched anew, because a token names one that is not among them; `None` if they
    /// were asked for a moment ago.
    pub(crate) async fn renewed(
        &self,
        config: &IssuerConfig,
        transport: &dyn Transport,
        now: Time,
    ) -> Option<Arc<Loaded>> {
        let _guard = self.fetching.lock().await;
        self.fetch(config, transport, now).await.ok()
    }

    /// Fetches at most once per [`REFRESH_INTERVAL`]. The caller holds `fetching`.
    async fn fetch(
        &self,
        config: &IssuerConfig,
        transport: &dyn Transport,
        now: Time,
    ) -> Result<Arc<Loaded>, KeysError> {
        {
            let mut state = self.state();
            let interval = if state.finished {
                REFRESH_INTERVAL
            } else {
                ABANDONED_INTERVAL
            };
            let recently = |at: Time| now.saturating_since(at) < interval;
            if matches!(config.keys, KeySource::Static(_))
                || state.attempted_at.is_some_and(recently)
            {
                return Err(KeysError::TriedRecently);
            }
            state.attempted_at = Some(now);
            state.finished = false;
        }
        let fetched = Loaded::fetch(config, transport).await;
        let mut state = self.state();
        state.finished = true;
        let loaded = Arc::new(fetched?);
        state.loaded = Some(Arc::clone(&loaded));
        state.loaded_at = Some(now);
        Ok(loaded)
    }

    fn younger_than(&self, age: Duration, config: &IssuerConfig, now: Time) -> Option<Arc<Loaded>> {
        let state = self.state();
        let young = matches!(config.keys, KeySource::Static(_))
            || state
                .loaded_at
                .is_some_and(|at| now.saturating_since(at) < age);
        young.then(|| state.loaded.clone()).flatten()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Every write is one assignment, so a panic elsewhere leaves nothing half-written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    fn given(keys: JwkSet, config: &IssuerConfig) -> Self {
        let of_keys = || {
            let mut named: Vec<_> = keys
                .keys()
                .iter()
                .filter_map(crate::Jwk::algorithm)
                .collect();
            named.dedup();
            named
        };
        let algorithms = config.algorithms.clone().unwrap_or_else(of_keys);
        Self {
            algorithms: or_rs256(algorithms),
            keys,
        }
    }

    async fn fetch(config: &IssuerConfig, transport: &dyn Transport) -> Result<Self, KeysError> {
        let discovery = Discovery::fetch(transport, &config.issuer).await?;
        let url = discovery.jwks_uri.ok_or(KeysError::NoJwksUri)?;
        if !config.may_serve_keys(&url) {
            return Err(KeysError::ForeignJwksUri {
                origin: url.origin().ascii_serialization(),
            });
        }
        let request = Request::get(url)
            .with_header("Accept", "application/json")
            .with_max_response(MAX_JWKS);
        let response = transport.send(request).await?.expect_status(&[200])?;
        Ok(Self {
            keys: JwkSet::parse(&response.body)?,
            algorithms: or_rs256(config.algorithms.clone().unwrap_or(discovery.algorithms)),
        })
    }
}

/// RS256 is what an issuer uses that says nothing (OpenID Connect Core §3.1.3.7).
fn or_rs256(algorithms: Vec<JwsAlgorithm>) -> Vec<JwsAlgorithm> {
    if algorithms.is_empty() {
        vec![JwsAlgorithm::Rs256]
    } else {
        algorithms
    }
}

//! A workload brings the token of an issuer that is trusted here, and gets one of ours (RFC 8693).
//!
//! The identity stays the issuer's: its URL is the connector, its subject the user, and its address
//! counts only if the issuer has verified it. So nobody is somebody here whom no issuer vouches for.

use serde::Deserialize;
use url::Url;
use waxseal_identity::{IssuerConfig, IssuerKind, KeySource, Principal, TokenError};
use waxseal_transport::is_loopback;

use crate::client::{Caller, PublicClient};
use crate::config::{Config, ConfigError, is_domain};
use crate::connector::ConnectorConfig;
use crate::grant::TokenRefusal;
use crate::limits::EXCHANGES_PER_ACCOUNT;
use crate::parameters::Parameters;
use crate::records::Proven;
use crate::service::{Fault, Service};
use crate::token::About;
use crate::transact;

/// The grant, as discovery lists it where an issuer is configured.
pub(crate) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Kinds of tokens (RFC 8693 §3); ours are all JWTs, and so are those that we take.
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// An issuer whose tokens may be exchanged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ExchangeIssuer {
    /// Its identifier, byte for byte as in its tokens; the connector of what is exchanged.
    pub issuer: String,
    /// Audiences that its tokens must be for; the broker's own issuer if there is none. A token
    /// that is for somebody else too can be brought here by whoever it was sent to.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Domains whose addresses it may speak for; those of the broker if there is none.
    #[serde(default)]
    pub allow_domains: Vec<String>,
    /// Other origins that serve its keys.
    #[serde(default)]
    pub key_origins: Vec<String>,
}

/// A token for a workload.
pub(crate) struct Exchanged {
    pub(crate) token: String,
    pub(crate) kind: &'static str,
    pub(crate) life: u64,
}

impl ExchangeIssuer {
    /// An issuer with its tokens for this broker, and no other wishes.
    pub fn new(issuer: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            audiences: Vec::new(),
            allow_domains: Vec::new(),
            key_origins: Vec::new(),
        }
    }

    pub(crate) fn check(&self, config: &Config) -> Result<(), ConfigError> {
        let issuer = || self.issuer.clone();
        let secure = |text: &String| {
            let url = Url::parse(text).ok();
            url.is_some_and(|url| url.scheme() == "https" || is_loopback(&url))
        };
        let mut urls = self.key_origins.iter().chain([&self.issuer]);
        // Its subjects would be people who have typed a code of ours.
        if !urls.all(secure) || self.issuer == config.issuer {
            return Err(ConfigError::ExchangeIssuer { issuer: issuer() });
        }
        // A connector of this name has rules of its own, which nobody wants to lift by the way.
        let is_connector = |id: &ConnectorConfig| id.connector_id() == self.issuer;
        let ruled = config.allow_domains.is_empty() || config.connectors.iter().any(is_connector);
        if self.allow_domains.is_empty() && ruled {
            return Err(ConfigError::ExchangeOpen { issuer: issuer() });
        }
        match self.allow_domains.iter().find(|name| !is_domain(name)) {
            Some(domain) => Err(ConfigError::BadDomain {
                domain: domain.clone(),
            }),
            None => Ok(()),
        }
    }

    /// As the verifier wants it.
    pub(crate) fn issuer_config(&self, own: &str) -> IssuerConfig {
        let audiences = [own];
        let given: Vec<_> = self.audiences.iter().map(String::as_str).collect();
        let audiences = if given.is_empty() {
            &audiences
        } else {
            &given[..]
        };
        let google = IssuerConfig::google(audiences);
        let mut config = if self.issuer == google.issuer {
            google
        } else {
            IssuerConfig::new(&self.issuer, audiences, IssuerKind::Email)
        };
        if let KeySource::Discovery { key_origins } = &mut config.keys {
            let urls = self.key_origins.iter().map(|text| Url::parse(text));
            key_origins.extend(urls.flatten());
        }
        config
    }
}

impl Service {
    /// Exchanges a token. What comes out lives no longer than what came in.
    pub(crate) async fn exchange_token(
        &self,
        form: &Parameters,
        caller: &Caller<'_>,
    ) -> Result<Exchanged, TokenRefusal> {
        let invalid = TokenRefusal::InvalidRequest;
        let client = PublicClient::authenticate(form, caller)?;
        let kind = match form.value("requested_token_type") {
            None | Some(ACCESS_TOKEN) => ACCESS_TOKEN,
            Some(ID_TOKEN) => ID_TOKEN,
            Some(_) => return Err(invalid("requested_token_type is not supported")),
        };
        match form.value("subject_token_type") {
            Some(ID_TOKEN | ACCESS_TOKEN | JWT) => {}
            Some(_) => return Err(invalid("subject_token_type is not supported")),
            None => return Err(invalid("subject_token_type is missing")),
        }
        if form.has("actor_token") || form.has("actor_token_type") {
            return Err(invalid("an actor is not supported"));
        }
        // Every token here is for the one client; asking for another target must not look granted.
        let elsewhere = form.value("audience").is_some_and(|name| name != client.id);
        if elsewhere || form.has("resource") {
            return Err(TokenRefusal::InvalidTarget);
        }
        let token = form
            .value("subject_token")
            .ok_or(invalid("subject_token is missing"))?;
        let principal = self.verify_foreign(token).await?;
        let issuer = principal.token_issuer().to_owned();
        let connector = form.value("connector_id");
        if connector.is_some_and(|connector| connector != issuer) {
            return Err(TokenRefusal::ForeignToken);
        }
        let identity = self.foreign_identity(&principal)?;
        self.count_exchange(&identity).await?;
        if !self.admit(&identity, &client.id, caller.peer).await? {
            return Err(TokenRefusal::ForeignToken);
        }
        let now = self.now();
        let about = About {
            client_id: &client.id,
            nonce: None,
            identity: &identity,
            auth_time: None,
            ends: Some(principal.expires()),
        };
        let tokens = self.mint(&about).await?;
        Ok(Exchanged {
            life: tokens.expires.saturating_since(now).as_secs(),
            token: match kind {
                ID_TOKEN => tokens.id_token,
                _ => tokens.access_token,
            },
            kind,
        })
    }

    async fn verify_foreign(&self, token: &str) -> Result<Principal, TokenRefusal> {
        match self.issuers.verify(token, self.now()).await {
            Ok(principal) => Ok(principal),
            Err(TokenError::IssuerUnavailable(cause)) => {
                crate::service::log_cause("the keys of an issuer are not available", &cause);
                Err(TokenRefusal::IssuerUnavailable)
            }
            Err(error) => {
                // The kind of error alone: its text may quote the token.
                tracing::debug!(?error, "a token was not exchanged");
                Err(TokenRefusal::ForeignToken)
            }
        }
    }

    /// Who the token speaks for, if that is somebody with an address that may log in.
    fn foreign_identity(&self, principal: &Principal) -> Result<Proven, TokenRefusal> {
        let email = principal.email().ok_or(TokenRefusal::ForeignToken)?;
        let email = email.normalized();
        let issuer = principal.token_issuer();
        let configured = self.config.token_exchange.iter();
        let configured = configured.clone().find(|row| row.issuer == issuer);
        let allowed = configured.map_or(&[][..], |row| &row.allow_domains);
        // Who is denied at a connector does not come in by its tokens (GHSA-7qjx-gp9h-65qj).
        let denied = |config: &ConnectorConfig| {
            config.connector_id() == issuer && config.denies(email.domain())
        };
        if self.config.connectors.iter().any(denied)
            || !self.config.admits_for(email.domain(), allowed)
        {
            return Err(TokenRefusal::ForeignToken);
        }
        Ok(Proven {
            connector_id: issuer.to_owned(),
            user_id: principal.subject().to_owned(),
            email: email.as_str().to_owned(),
        })
    }

    async fn count_exchange(&self, identity: &Proven) -> Result<(), TokenRefusal> {
        let now = self.now();
        let account = format!("{}\0{}", identity.connector_id, identity.user_id);
        let keys = vec![EXCHANGES_PER_ACCOUNT.key(&account)];
        let counted = transact(&*self.context.store, keys, now, move |slots| {
            EXCHANGES_PER_ACCOUNT.admit(slots.first(), now)?;
            EXCHANGES_PER_ACCOUNT.note(slots.first_mut(), now);
            Ok(())
        });
        counted
            .await
            .map_err(Fault::from)?
            .map_err(|retry| TokenRefusal::TooMany { retry })
    }
}

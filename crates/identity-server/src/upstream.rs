//! The broker as a relying party: one provider, spoken to as it documents itself.
//!
//! Steps are pure where they can be: a URL for the browser, a request for the provider, the
//! meaning of its answer. What a provider says is foreign: every answer has a size limit, a
//! deadline and the strict JSON rules, and of its words only error codes are repeated.

mod account;
mod check;
mod endpoints;
mod error;
mod exchange;

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;
use url::Url;
use waxseal_crypto::{CryptoProvider, Time};
use waxseal_identity::{
    Environment, IssuerConfig, IssuerKind, KeySource, TokenVerifier, VerifiedClaims,
};
use waxseal_transport::Transport;
use zeroize::Zeroizing;

pub(crate) use account::{Account, Claimed};
pub use check::{CheckResult, CheckSubject, ConnectorCheck, Finding, check_connector};
pub(crate) use endpoints::Endpoints;
pub(crate) use error::UpstreamError;

use crate::code::CodeKey;
use crate::config::ConfigError;
use crate::connector::{ConnectorConfig, ConnectorKind};
use crate::mail::read_password;
use endpoints::Directory;

/// Most log-ins at one provider whose code is being exchanged at once: a provider that hangs must
/// not hold every connection of ours.
const MAX_CONCURRENT: usize = 64;

/// Longest `error` that is repeated to people and in the log, in bytes.
const MAX_CODE: usize = 64;

/// One provider.
pub(crate) struct Upstream {
    pub(crate) config: ConnectorConfig,
    pub(crate) redirect_uri: String,
    pub(crate) slots: Semaphore,
    secret: Option<Zeroizing<String>>,
    directory: Directory,
    /// For providers of OpenID Connect with one issuer.
    verifier: Option<TokenVerifier>,
    transport: Arc<dyn Transport>,
    provider: CryptoProvider,
}

/// The secrets of one visit to a provider. All follow from `state`, under a key of ours, so that
/// the store keeps none of them and the provider cannot make one of the other.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) state: String,
    pub(crate) nonce: Zeroizing<String>,
    /// PKCE verifier.
    pub(crate) verifier: Zeroizing<String>,
}

impl Visit {
    pub(crate) fn new(key: &CodeKey, state: &str) -> Self {
        Self {
            state: state.to_owned(),
            nonce: key.derive("upstream nonce", state),
            verifier: key.derive("upstream verifier", state),
        }
    }
}

impl Upstream {
    /// Reads the secret and prepares the verifier; nothing is fetched yet, so that a provider that
    /// is down keeps nobody else from logging in.
    pub(crate) fn new(
        config: ConnectorConfig,
        issuer: &str,
        environment: &dyn Environment,
        transport: Arc<dyn Transport>,
        provider: CryptoProvider,
    ) -> Result<Self, ConfigError> {
        let secret = load_secret(&config, environment)?;
        let verifier = match one_issuer(&config) {
            Some(issuer) => {
                let verifier = verifier(&config, &issuer, provider, Arc::clone(&transport));
                Some(verifier.ok_or_else(|| ConfigError::ConnectorUrl {
                    connector: config.name().to_owned(),
                    field: "issuer",
                })?)
            }
            None => None,
        };
        if config.trust_unverified_email {
            tracing::warn!(
                connector = config.name(),
                "trust_unverified_email: whoever can write an address at this provider signs as \
                 its owner"
            );
        }
        Ok(Self {
            redirect_uri: config.redirect_uri(issuer),
            config,
            slots: Semaphore::new(MAX_CONCURRENT),
            secret,
            directory: Directory::default(),
            verifier,
            transport,
            provider,
        })
    }

    pub(crate) async fn endpoints(&self, now: Time) -> Result<Endpoints, UpstreamError> {
        self.directory
            .current(&self.config, &*self.transport, now)
            .await
    }

    /// Where to send the browser (RFC 6749 §4.1.1).
    pub(crate) fn authorization_url(
        &self,
        endpoints: &Endpoints,
        visit: &Visit,
        login_hint: Option<&str>,
    ) -> Url {
        use ConnectorKind::{Google, Microsoft, Oidc};
        let kind = self.config.kind;
        let mut url = endpoints.authorization.clone();
        {
            let mut pairs = url.query_pairs_mut();
            pairs
                .append_pair("response_type", "code")
                .append_pair("client_id", &self.config.client_id)
                .append_pair("redirect_uri", &self.redirect_uri)
                .append_pair("state", &visit.state);
            let scope = self.scope();
            if !scope.is_empty() {
                pairs.append_pair("scope", &scope);
            }
            if endpoints.is_openid() {
                pairs.append_pair("nonce", &visit.nonce);
            }
            if endpoints.pkce {
                pairs
                    .append_pair("code_challenge", &exchange::code_challenge(&visit.verifier))
                    .append_pair("code_challenge_method", "S256");
            }
            match kind {
                // Whoever has several accounts says each time which one signs.
                Google | Microsoft => {
                    pairs.append_pair("prompt", "select_account");
                }
                _ => {}
            }
            if let ([domain], Google) = (self.config.hosted_domains.as_slice(), kind) {
                pairs.append_pair("hd", domain);
            }
            if let (Some(hint), Google | Microsoft | Oidc) = (login_hint, kind) {
                pairs.append_pair("login_hint", hint);
            }
        }
        url
    }

    fn scope(&self) -> String {
        match self.config.kind {
            ConnectorKind::Google | ConnectorKind::Microsoft => "openid email".to_owned(),
            ConnectorKind::Github => "user:email".to_owned(),
            ConnectorKind::Facebook => "email".to_owned(),
            ConnectorKind::Oidc if self.config.scopes.is_empty() => "openid email".to_owned(),
            ConnectorKind::Oidc | ConnectorKind::Oauth2 => self.config.scopes.join(" "),
        }
    }

    /// Verifies an ID token as one of this provider's, for us.
    async fn verify(&self, token: &str, now: Time) -> Result<VerifiedClaims, UpstreamError> {
        if let Some(verifier) = &self.verifier {
            return Ok(verifier.verify_claims(token, now).await?);
        }
        // Every tenant is an issuer of its own. Which one it is only the token says; it came from
        // the provider itself, and the host stays the configured one.
        let unverified = waxseal_identity::IdentityToken::parse(token)
            .map_err(|_| UpstreamError::Malformed("ID token"))?;
        let issuer = unverified.issuer();
        let tenant = issuer
            .strip_prefix(self.config.home())
            .and_then(|rest| rest.strip_prefix('/')?.strip_suffix("/v2.0"));
        if !tenant.is_some_and(crate::connector::is_tenant) {
            return Err(UpstreamError::WrongTenant);
        }
        let transport = Arc::clone(&self.transport);
        let verifier = verifier(&self.config, issuer, self.provider, transport)
            .ok_or(UpstreamError::WrongTenant)?;
        Ok(verifier.verify_claims(token, now).await?)
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("name", &self.config.name())
            .finish_non_exhaustive()
    }
}

/// The issuer of a provider that has exactly one.
fn one_issuer(config: &ConnectorConfig) -> Option<String> {
    match config.kind {
        ConnectorKind::Google => Some(config.home().to_owned()),
        ConnectorKind::Microsoft => {
            let tenant = config.tenant.as_ref()?;
            Some(format!("{}/{tenant}/v2.0", config.home()))
        }
        ConnectorKind::Oidc => config.issuer.clone(),
        _ => None,
    }
}

fn verifier(
    config: &ConnectorConfig,
    issuer: &str,
    provider: CryptoProvider,
    transport: Arc<dyn Transport>,
) -> Option<TokenVerifier> {
    let audiences = [config.client_id.as_str()];
    let public_google = config.kind == ConnectorKind::Google && config.url.is_none();
    let mut trusted = if public_google {
        IssuerConfig::google(&audiences)
    } else {
        IssuerConfig::new(issuer, &audiences, IssuerKind::Email)
    };
    if !config.key_origins.is_empty() {
        let urls = config.key_origins.iter().map(|url| Url::parse(url));
        trusted.keys = KeySource::Discovery {
            key_origins: urls.collect::<Result<_, _>>().ok()?,
        };
    }
    TokenVerifier::new(provider, transport, vec![trusted]).ok()
}

fn load_secret(
    config: &ConnectorConfig,
    environment: &dyn Environment,
) -> Result<Option<Zeroizing<String>>, ConfigError> {
    let unreadable = || ConfigError::ConnectorSecretUnreadable {
        connector: config.name().to_owned(),
    };
    let secret = match (&config.client_secret_file, &config.client_secret_env) {
        (Some(path), _) => read_password(path).map_err(|_| unreadable())?,
        (None, Some(variable)) => {
            Zeroizing::new(environment.variable(variable).ok_or_else(unreadable)?)
        }
        (None, None) => return Ok(None),
    };
    let secret = Zeroizing::new(secret.trim().to_owned());
    if secret.is_empty() {
        return Err(unreadable());
    }
    Ok(Some(secret))
}

/// A code of a provider as it may be repeated: what looks like one of RFC 6749, small letters and
/// underscores. Descriptions are not repeated, nor is anything else that stands in a code's place:
/// a provider that copies what it was sent there would put our secrets on a page and into the log.
pub(crate) fn repeatable(code: &str) -> String {
    let fits = (1..=MAX_CODE).contains(&code.len());
    if fits && code.bytes().all(|c| c.is_ascii_lowercase() || c == b'_') {
        code.to_owned()
    } else {
        "something that is no error code".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_foreign_words_only_codes_are_repeated() {
        let check = |code: &str, expected: &str| assert_eq!(repeatable(code), expected);
        check("access_denied", "access_denied");
        let none = "something that is no error code";
        check("", none);
        check("<script>\r\n\u{202e}x", none);
        check("SplxlOBeZQQYbYS6WxSbIA", none);
        check("40a77b5a1ea7f0d05b6e5c1d7e9e2d3c", none);
        check(&"a".repeat(MAX_CODE + 1), none);
    }

    #[test]
    fn a_visit_has_secrets_that_do_not_follow_from_one_another() {
        let key = CodeKey::new([1; 32]);
        let visit = Visit::new(&key, "state");
        assert_eq!(visit.verifier.len(), 43);
        assert_ne!(visit.verifier, visit.nonce);
        assert_ne!(visit.verifier, Visit::new(&key, "other").verifier);
        let other = CodeKey::new([2; 32]);
        assert_ne!(visit.verifier, Visit::new(&other, "state").verifier);
    }
}

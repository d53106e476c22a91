//! What an operator configures about a provider: `[[connectors]]`.

use std::path::PathBuf;

use serde::Deserialize;
use url::Url;
use waxseal_transport::is_loopback;

use crate::config::{ConfigError, is_domain};

/// The entry of `allow_domains` that lets every domain in.
pub(crate) const EVERYBODY: &str = "*";

/// Longest name, and so longest last part of a redirect URI.
const MAX_NAME: usize = 32;

/// Names that are pages of the broker itself.
const RESERVED: [&str; 5] = ["email", "choose", "confirm", "cancel", "device"];

/// One provider where people log in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ConnectorConfig {
    /// What it speaks, and when it is believed.
    #[serde(rename = "type")]
    pub kind: ConnectorKind,
    /// Its name in URLs: the redirect URI to register is `<issuer>/callback/<name>`. The type if
    /// absent. Lower-case letters, digits and hyphens.
    #[serde(default)]
    pub name: Option<String>,
    /// Its name for people, on the button that leads there.
    #[serde(default)]
    pub label: Option<String>,
    /// How certificates name it: the issuer of the identities that it proves. Google, GitHub,
    /// Microsoft and Facebook have the names that the public instance gives them, a provider by
    /// OpenID Connect its issuer; an `oauth2` provider has none of its own and needs one.
    #[serde(default)]
    pub connector_id: Option<String>,
    /// As what the provider knows us.
    pub client_id: String,
    /// A file with the client secret, readable by its owner alone.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// The environment variable with the client secret.
    #[serde(default)]
    pub client_secret_env: Option<String>,
    /// Domains whose addresses may log in here; the broker's list if empty. `*` lets all in.
    #[serde(default)]
    pub allow_domains: Vec<String>,
    /// Domains whose addresses may not, beside those of the broker's list.
    #[serde(default)]
    pub deny_domains: Vec<String>,
    /// `google`: the Workspace domains (claim `hd`) whose accounts may log in; all if empty.
    #[serde(default)]
    pub hosted_domains: Vec<String>,
    /// `microsoft`: the one tenant, by its id, whose accounts may log in. Without it every
    /// Microsoft account may that has the claim `xms_edov`.
    #[serde(default)]
    pub tenant: Option<String>,
    /// `github`: the URL of a GitHub Enterprise server. `microsoft`: the log-in host of a
    /// sovereign cloud, `https://login.microsoftonline.us`. `google`, `facebook`: a stand-in on
    /// loopback, for tests.
    #[serde(default)]
    pub url: Option<String>,
    /// `oidc`: the issuer, which has a discovery document. `oauth2`: the issuer that it names in
    /// its redirects (RFC 9207), if it does.
    #[serde(default)]
    pub issuer: Option<String>,
    /// `oidc`: origins other than the issuer's that may serve its keys.
    #[serde(default)]
    pub key_origins: Vec<String>,
    /// `oidc`, `oauth2`: what to ask for; `openid email` and nothing if empty.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// `oauth2`: where to send the browser.
    #[serde(default)]
    pub authorization_endpoint: Option<String>,
    /// `oauth2`: where a code becomes a token.
    #[serde(default)]
    pub token_endpoint: Option<String>,
    /// `oauth2`: where a token says whose it is.
    #[serde(default)]
    pub userinfo_endpoint: Option<String>,
    /// `oauth2`: whether the provider takes PKCE (RFC 7636); true if absent, since servers ignore
    /// parameters that they do not know.
    #[serde(default)]
    pub pkce: Option<bool>,
    /// `oauth2`: how the userinfo answer names things.
    #[serde(default)]
    pub userinfo: Option<UserinfoNames>,
    /// `oidc`, `oauth2`: believes addresses that the provider does not call verified. Whoever may
    /// write an address there then signs as its owner.
    #[serde(default)]
    pub trust_unverified_email: bool,
}

/// What a provider speaks, and when its addresses are believed (authority.md §2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ConnectorKind {
    /// Google: `email_verified`, and `hd` where configured.
    Google,
    /// GitHub: the primary address of `/user/emails`, if it is verified.
    Github,
    /// Microsoft: one tenant, or `xms_edov`.
    Microsoft,
    /// Facebook: an account whose address our own code confirms, once.
    Facebook,
    /// Any provider by OpenID Connect Discovery: `email_verified`.
    Oidc,
    /// Any provider by OAuth 2.0 with a userinfo endpoint.
    Oauth2,
}

/// The members of a userinfo answer, by the provider's names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct UserinfoNames {
    /// The account's own name, which never changes and is never given to another.
    pub user_id: String,
    /// The address.
    pub email: String,
    /// Whether the provider has verified it.
    pub email_verified: String,
}

impl Default for UserinfoNames {
    fn default() -> Self {
        Self {
            user_id: "sub".to_owned(),
            email: "email".to_owned(),
            email_verified: "email_verified".to_owned(),
        }
    }
}

impl ConnectorKind {
    /// As the configuration writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Github => "github",
            Self::Microsoft => "microsoft",
            Self::Facebook => "facebook",
            Self::Oidc => "oidc",
            Self::Oauth2 => "oauth2",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Google => "Google",
            Self::Github => "GitHub",
            Self::Microsoft => "Microsoft",
            Self::Facebook => "Facebook",
            Self::Oidc | Self::Oauth2 => "your organization",
        }
    }

    /// Where the public provider is, which `url` replaces.
    const fn home(self) -> Option<&'static str> {
        match self {
            Self::Google => Some("https://accounts.google.com"),
            Self::Github => Some("https://github.com"),
            Self::Microsoft => Some("https://login.microsoftonline.com"),
            Self::Facebook => Some("https://www.facebook.com"),
            Self::Oidc | Self::Oauth2 => None,
        }
    }

    /// Whether the provider's word for an address counts for nothing, so that ours is needed.
    pub(crate) const fn needs_mail(self) -> bool {
        matches!(self, Self::Facebook)
    }
}

impl ConnectorConfig {
    /// A provider with the defaults of its type.
    #[must_use]
    pub fn new(kind: ConnectorKind, client_id: &str) -> Self {
        Self {
            kind,
            name: None,
            label: None,
            connector_id: None,
            client_id: client_id.to_owned(),
            client_secret_file: None,
            client_secret_env: None,
            allow_domains: Vec::new(),
            deny_domains: Vec::new(),
            hosted_domains: Vec::new(),
            tenant: None,
            url: None,
            issuer: None,
            key_origins: Vec::new(),
            scopes: Vec::new(),
            authorization_endpoint: None,
            token_endpoint: None,
            userinfo_endpoint: None,
            pkce: None,
            userinfo: None,
            trust_unverified_email: false,
        }
    }

    /// Its name in URLs.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.kind.as_str())
    }

    /// Its name for people.
    #[must_use]
    pub fn label(&self) -> &str {
        self.label.as_deref().unwrap_or(self.kind.label())
    }

    /// How certificates name it, and tokens in `federated_claims.connector_id`. Empty where the
    /// configuration lacks what it needs.
    #[must_use]
    pub fn connector_id(&self) -> String {
        match (&self.connector_id, self.kind) {
            (Some(id), _) => id.clone(),
            (None, ConnectorKind::Github) => format!("{}/login/oauth", self.home()),
            (None, ConnectorKind::Oidc) => self.issuer.clone().unwrap_or_default(),
            (None, ConnectorKind::Oauth2) => String::new(),
            (None, _) => self.home().to_owned(),
        }
    }

    /// The redirect URI to register at the provider, which knows the broker by its issuer. Each
    /// connector has its own, so that no provider gets a code that is meant for another (RFC 9700
    /// §4.4.2.2).
    #[must_use]
    pub fn redirect_uri(&self, issuer: &str) -> String {
        format!("{issuer}/callback/{}", self.name())
    }

    /// Where the provider is, without a closing slash; empty for those without a home.
    pub(crate) fn home(&self) -> &str {
        let home = self.url.as_deref().or(self.kind.home());
        home.unwrap_or_default().trim_end_matches('/')
    }

    /// Whether an address of this domain may log in, by this connector's list or the broker's.
    pub(crate) fn admits(&self, domain: &str, of_broker: &[String], denied: &[String]) -> bool {
        let lists = |list: &[String]| {
            list.iter()
                .any(|listed| listed == domain || listed == EVERYBODY)
        };
        let allowed = if self.allow_domains.is_empty() {
            of_broker
        } else {
            &self.allow_domains
        };
        lists(allowed) && !lists(denied) && !self.denies(domain)
    }

    /// Whether this connector's own list keeps addresses of this domain out.
    pub(crate) fn denies(&self, domain: &str) -> bool {
        self.deny_domains.iter().any(|listed| listed == domain)
    }

    /// Checks the rules that hold for one connector alone.
    ///
    /// # Errors
    /// [`ConfigError`], the variants about connectors.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let connector = || self.name().to_owned();
        if !is_name(self.name()) || RESERVED.contains(&self.name()) {
            return Err(ConfigError::ConnectorName { name: connector() });
        }
        for domain in &self.allow_domains {
            if domain != EVERYBODY && !is_domain(domain) {
                let domain = domain.clone();
                return Err(ConfigError::BadDomain { domain });
            }
        }
        let exact = self.deny_domains.iter().chain(&self.hosted_domains);
        if let Some(domain) = exact.into_iter().find(|domain| !is_domain(domain)) {
            let domain = domain.clone();
            return Err(ConfigError::BadDomain { domain });
        }
        self.check_fields()?;
        self.check_urls()?;
        if self.tenant.as_deref().is_some_and(|id| !is_tenant(id)) {
            return Err(ConfigError::ConnectorTenant {
                connector: connector(),
            });
        }
        let secrets = [
            self.client_secret_file.is_some(),
            self.client_secret_env.is_some(),
        ];
        let optional = matches!(self.kind, ConnectorKind::Oidc | ConnectorKind::Oauth2);
        match secrets {
            [true, true] => Err(ConfigError::ConnectorSecret {
                connector: connector(),
            }),
            [false, false] if !optional => Err(ConfigError::ConnectorSecret {
                connector: connector(),
            }),
            _ => Ok(()),
        }
    }

    /// Which fields a type may have, and which it must have.
    fn check_fields(&self) -> Result<(), ConfigError> {
        use ConnectorKind::{Github, Google, Microsoft, Oauth2, Oidc};
        let has_home = self.kind.home().is_some();
        let (oidc, oauth2) = (self.kind == Oidc, self.kind == Oauth2);
        let fields = [
            (
                "hosted_domains",
                !self.hosted_domains.is_empty(),
                self.kind == Google,
            ),
            ("tenant", self.tenant.is_some(), self.kind == Microsoft),
            ("url", self.url.is_some(), has_home),
            ("issuer", self.issuer.is_some(), oidc || oauth2),
            ("key_origins", !self.key_origins.is_empty(), oidc),
            ("scopes", !self.scopes.is_empty(), oidc || oauth2),
            (
                "authorization_endpoint",
                self.authorization_endpoint.is_some(),
                oauth2,
            ),
            ("token_endpoint", self.token_endpoint.is_some(), oauth2),
            (
                "userinfo_endpoint",
                self.userinfo_endpoint.is_some(),
                oauth2,
            ),
            ("pkce", self.pkce.is_some(), oauth2),
            ("userinfo", self.userinfo.is_some(), oauth2),
            (
                "trust_unverified_email",
                self.trust_unverified_email,
                oidc || oauth2,
            ),
        ];
        let connector = || self.name().to_owned();
        if let Some((field, ..)) = fields.iter().find(|(_, set, fits)| *set && !*fits) {
            return Err(ConfigError::ConnectorField {
                connector: connector(),
                kind: self.kind,
                field,
            });
        }
        // `url` of the public providers is for their own other deployments; what has none is for
        // tests, and those are on this machine.
        let elsewhere = self.url.as_deref().and_then(|url| Url::parse(url).ok());
        let deployed = matches!(self.kind, Github | Microsoft);
        if elsewhere.is_some_and(|url| !deployed && !is_loopback(&url)) {
            return Err(ConfigError::ConnectorUrl {
                connector: connector(),
                field: "url",
            });
        }
        let needed = [
            ("client_id", self.client_id.is_empty()),
            ("issuer", oidc && self.issuer.is_none()),
            (
                "authorization_endpoint",
                oauth2 && self.authorization_endpoint.is_none(),
            ),
            ("token_endpoint", oauth2 && self.token_endpoint.is_none()),
            (
                "userinfo_endpoint",
                oauth2 && self.userinfo_endpoint.is_none(),
            ),
            ("connector_id", self.connector_id().is_empty()),
        ];
        match needed.iter().find(|(_, missing)| *missing) {
            Some((field, _)) => Err(ConfigError::ConnectorNeeds {
                connector: connector(),
                kind: self.kind,
                field,
            }),
            None => Ok(()),
        }
    }

    fn check_urls(&self) -> Result<(), ConfigError> {
        let id = Some(self.connector_id());
        let urls = [
            ("connector_id", &id),
            ("url", &self.url),
            ("issuer", &self.issuer),
            ("authorization_endpoint", &self.authorization_endpoint),
            ("token_endpoint", &self.token_endpoint),
            ("userinfo_endpoint", &self.userinfo_endpoint),
        ];
        let given = urls
            .into_iter()
            .filter_map(|(field, url)| Some((field, url.as_deref()?)));
        let origins = self
            .key_origins
            .iter()
            .map(|url| ("key_origins", url.as_str()));
        match given.chain(origins).find(|(_, url)| !is_endpoint(url)) {
            Some((field, _)) => Err(ConfigError::ConnectorUrl {
                connector: self.name().to_owned(),
                field,
            }),
            None => Ok(()),
        }
    }
}

/// A part of a path that needs no escaping.
fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
}

/// A GUID, as Microsoft writes tenants in its issuers.
pub(crate) fn is_tenant(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12])
        && text
            .bytes()
            .all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c) || c == b'-')
}

/// `https`, or `http` to this machine; without user and fragment.
fn is_endpoint(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let secure = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
        let plain = url.username().is_empty() && url.password().is_none();
        secure && plain && url.fragment().is_none() && url.has_host()
    })
}

#[cfg(test)]
mod tests;

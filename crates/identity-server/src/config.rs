//! What an operator configures.

use std::path::PathBuf;

use serde::Deserialize;
use url::Url;
use waxseal_transport::is_loopback;

use crate::{ExchangeIssuer, KeyPolicy};

use crate::connector::{ConnectorConfig, ConnectorKind, EVERYBODY};

/// The broker's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The issuer: the URL under which the broker is reached, its path included. Tokens and
    /// certificates carry it, so it never changes.
    pub issuer: String,
    /// The instance's name for people; the issuer's host if absent.
    #[serde(default)]
    pub instance_name: Option<String>,
    /// Whether signatures made here go to a log that everybody reads. The pages then say that
    /// the address becomes public for ever.
    #[serde(default)]
    pub public_log: bool,
    /// Whether a proxy in front adds `X-Forwarded-For`; its last entry is then the client.
    #[serde(default)]
    pub behind_proxy: bool,
    /// How codes reach people.
    pub mail: MailConfig,
    /// Whether people may log in with nothing but the code of a mail. Without it the mail serves
    /// connectors whose addresses it confirms.
    #[serde(default = "yes")]
    pub email_login: bool,
    /// Providers where people log in.
    #[serde(default)]
    pub connectors: Vec<ConnectorConfig>,
    /// Domains whose addresses may log in. With SMTP there must be one: a private instance is
    /// closed unless it says for whom it is open, and `*` says for everybody. Subdomains are not
    /// included.
    #[serde(default)]
    pub allow_domains: Vec<String>,
    /// Domains whose addresses may not log in, whatever else is allowed.
    #[serde(default)]
    pub deny_domains: Vec<String>,
    /// Issuers whose tokens workloads may exchange for ours.
    #[serde(default)]
    pub token_exchange: Vec<ExchangeIssuer>,
    /// What signs tokens, and for how long.
    #[serde(default)]
    pub keys: KeyPolicy,
}

/// How codes reach people.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MailConfig {
    /// Each message is a file on this machine. Whoever reads the machine's files logs in as
    /// anybody, so only for loopback.
    Outbox,
    /// A mail server.
    Smtp(SmtpConfig),
    /// Not at all: people log in at the connectors alone.
    None,
}

const fn yes() -> bool {
    true
}

/// A mail server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SmtpConfig {
    /// Its host name, which its certificate must carry.
    pub host: String,
    /// Its port; 465 for `tls`, 587 for `starttls`, 25 for `none` if absent.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: SmtpTls,
    /// The sender's address.
    pub from: String,
    /// The user name, if the server wants one.
    #[serde(default)]
    pub username: Option<String>,
    /// A file with the password, readable by its owner alone.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SmtpTls {
    /// TLS from the first byte (RFC 8314 §3).
    #[default]
    Tls,
    /// STARTTLS, required.
    Starttls,
    /// None: only to a mail server on loopback.
    None,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not an `https` URL (or `http` to loopback) without user, query, fragment and closing slash.
    #[error("the issuer must be an https URL (http for loopback) without query and closing slash")]
    BadIssuer,
    /// Outbox mode proves nothing to anybody elsewhere.
    #[error("mail in the outbox is for loopback only; configure smtp to be reached from elsewhere")]
    OutboxNotLoopback,
    /// SMTP without `allow_domains` would let everybody in.
    #[error("with smtp, allow_domains must name the domains whose addresses may log in")]
    NoAllowedDomains,
    /// Not a domain name in lower case.
    #[error("{domain:?} is not a domain name in lower case")]
    BadDomain {
        /// As configured.
        domain: String,
    },
    /// An unprotected connection to a mail server elsewhere would show every code.
    #[error("smtp without TLS is for a mail server on loopback only")]
    PlainSmtpNotLoopback,
    /// `from` is not an address.
    #[error("smtp's \"from\" is not a plain e-mail address")]
    BadFrom,
    /// A user name without a password file, or the other way round.
    #[error("smtp wants both username and password_file, or neither")]
    HalfCredentials,
    /// Neither mail nor a connector.
    #[error("nobody can log in: configure smtp, or a connector")]
    NoWayIn,
    /// A connector for which nobody said who may log in.
    #[error(
        "connector {connector}: allow_domains must name the domains whose addresses may log in, \
         or \"*\" for all"
    )]
    ConnectorOpen {
        /// Its name.
        connector: String,
    },
    /// Not a name, or one that the broker uses itself.
    #[error("{name:?} cannot be a connector's name: lower-case letters, digits and hyphens")]
    ConnectorName {
        /// As configured.
        name: String,
    },
    /// Two connectors, or one and the broker itself, would be one in URLs or in certificates:
    /// their accounts would merge.
    #[error("connector {connector}: {field} is that of another connector, or the broker's own")]
    ConnectorTwice {
        /// Its name.
        connector: String,
        /// `name` or `connector_id`.
        field: &'static str,
    },
    /// A field that means nothing for this type.
    #[error("connector {connector}: {field} is no field of type {}", kind.as_str())]
    ConnectorField {
        /// Its name.
        connector: String,
        /// Its type.
        kind: ConnectorKind,
        /// The field.
        field: &'static str,
    },
    /// A field that this type must have.
    #[error("connector {connector}: type {} needs {field}", kind.as_str())]
    ConnectorNeeds {
        /// Its name.
        connector: String,
        /// Its type.
        kind: ConnectorKind,
        /// The field.
        field: &'static str,
    },
    /// Not an `https` URL (or `http` to loopback) without user and fragment.
    #[error("connector {connector}: {field} is not an https URL that may stand there")]
    ConnectorUrl {
        /// Its name.
        connector: String,
        /// The field.
        field: &'static str,
    },
    /// Not the id of one tenant.
    #[error("connector {connector}: tenant must be the id of one tenant, a GUID in lower case")]
    ConnectorTenant {
        /// Its name.
        connector: String,
    },
    /// Two places for one secret, or none.
    #[error("connector {connector}: give client_secret_file or client_secret_env, one of them")]
    ConnectorSecret {
        /// Its name.
        connector: String,
    },
    /// The secret's file cannot be read, or others can read it; or the variable is not set.
    #[error(
        "connector {connector}: the client secret cannot be read, is empty, or its file is \
         readable by group or others"
    )]
    ConnectorSecretUnreadable {
        /// Its name.
        connector: String,
    },
    /// The addresses of this type are confirmed by mail.
    #[error("connector {connector}: its addresses are confirmed by mail; configure smtp")]
    ConnectorNeedsMail {
        /// Its name.
        connector: String,
    },
    /// Not an `https` URL (or `http` to loopback), or the broker itself.
    #[error("token_exchange: {issuer:?} is not an https URL of another issuer")]
    ExchangeIssuer {
        /// As configured.
        issuer: String,
    },
    /// An issuer for which nobody said whom it may speak for.
    #[error(
        "token_exchange of {issuer}: allow_domains must name the domains whose addresses may log in"
    )]
    ExchangeOpen {
        /// As configured.
        issuer: String,
    },
    /// The password file cannot be read, or others can read it.
    #[error("smtp's password_file cannot be read, or is readable by group or others")]
    BadPasswordFile,
}

impl Config {
    /// A configuration with the defaults: nothing public, no proxy, no domain lists.
    pub fn new(issuer: &str, mail: MailConfig) -> Self {
        Self {
            issuer: issuer.to_owned(),
            instance_name: None,
            public_log: false,
            behind_proxy: false,
            mail,
            email_login: true,
            connectors: Vec::new(),
            allow_domains: Vec::new(),
            deny_domains: Vec::new(),
            token_exchange: Vec::new(),
            keys: KeyPolicy::default(),
        }
    }

    /// Checks the rules that one field imposes on another.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let url = self.parsed_issuer().ok_or(ConfigError::BadIssuer)?;
        for domain in self.allow_domains.iter().chain(&self.deny_domains) {
            let everybody = domain == EVERYBODY && self.allow_domains.contains(domain);
            if !everybody && !is_domain(domain) {
                let domain = domain.clone();
                return Err(ConfigError::BadDomain { domain });
            }
        }
        self.check_connectors()?;
        for issuer in &self.token_exchange {
            issuer.check(self)?;
        }
        match &self.mail {
            MailConfig::Outbox if !is_loopback(&url) => Err(ConfigError::OutboxNotLoopback),
            MailConfig::Outbox => Ok(()),
            MailConfig::Smtp(_) if self.allow_domains.is_empty() => {
                Err(ConfigError::NoAllowedDomains)
            }
            MailConfig::Smtp(smtp) => smtp.check(),
            MailConfig::None => Ok(()),
        }
    }

    fn check_connectors(&self) -> Result<(), ConfigError> {
        if !self.has_email_login() && self.connectors.is_empty() {
            return Err(ConfigError::NoWayIn);
        }
        let mut names = Vec::new();
        let mut ids = vec![self.issuer.clone()];
        for config in &self.connectors {
            config.check()?;
            let connector = config.name().to_owned();
            let id = config.connector_id();
            if names.contains(&connector) {
                let field = "name";
                return Err(ConfigError::ConnectorTwice { connector, field });
            }
            if ids.contains(&id) {
                let field = "connector_id";
                return Err(ConfigError::ConnectorTwice { connector, field });
            }
            if config.allow_domains.is_empty() && self.allow_domains.is_empty() {
                return Err(ConfigError::ConnectorOpen { connector });
            }
            if config.kind.needs_mail() && matches!(self.mail, MailConfig::None) {
                return Err(ConfigError::ConnectorNeedsMail { connector });
            }
            names.push(connector);
            ids.push(id);
        }
        Ok(())
    }

    fn parsed_issuer(&self) -> Option<Url> {
        let url = Url::parse(&self.issuer).ok()?;
        let secure = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let unchanged =
            url.as_str() == self.issuer || url.as_str().strip_suffix('/') == Some(&self.issuer);
        (secure && plain && unchanged && !self.issuer.ends_with('/')).then_some(url)
    }

    /// The issuer's path, under which every route hangs; empty for the root.
    pub(crate) fn path(&self) -> String {
        let url = self.parsed_issuer();
        url.map_or_else(String::new, |url| {
            url.path().trim_end_matches('/').to_owned()
        })
    }

    /// Whether browsers reach us over TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.issuer.starts_with("https:")
    }

    /// The issuer's origin, as browsers write it.
    pub(crate) fn origin(&self) -> String {
        let url = self.parsed_issuer();
        url.map_or_else(String::new, |url| url.origin().ascii_serialization())
    }

    pub(crate) fn host(&self) -> String {
        let url = self.parsed_issuer();
        let host = url
            .as_ref()
            .and_then(|url| url.host_str().map(str::to_owned));
        let port = url.and_then(|url| url.port());
        match (host, port) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default(),
        }
    }

    pub(crate) fn name(&self) -> String {
        self.instance_name.clone().unwrap_or_else(|| self.host())
    }

    pub(crate) const fn is_outbox(&self) -> bool {
        matches!(self.mail, MailConfig::Outbox)
    }

    /// Whether people may log in with nothing but the code of a mail.
    pub(crate) const fn has_email_login(&self) -> bool {
        self.email_login && !matches!(self.mail, MailConfig::None)
    }

    /// The same where something else than the broker's own list may say who is allowed. Who is
    /// denied stays denied.
    pub(crate) fn admits_for(&self, domain: &str, allowed: &[String]) -> bool {
        if allowed.is_empty() {
            return self.admits(domain);
        }
        let listed = |list: &[String]| list.iter().any(|name| name == domain);
        listed(allowed) && !listed(&self.deny_domains)
    }

    /// Whether addresses of a domain (lower case) may log in.
    pub(crate) fn admits(&self, domain: &str) -> bool {
        let listed = |list: &[String]| list.iter().any(|name| name == domain);
        let everybody = self.allow_domains.iter().any(|name| name == EVERYBODY)
            || (self.is_outbox() && self.allow_domains.is_empty());
        !listed(&self.deny_domains) && (everybody || listed(&self.allow_domains))
    }
}

/// A domain name in lower case.
pub(crate) fn is_domain(domain: &str) -> bool {
    let address = waxseal_identity::EmailAddress::parse(&format!("a@{domain}"));
    address.is_ok() && *domain == domain.to_ascii_lowercase()
}

impl SmtpConfig {
    /// A mail server that is reached by TLS without a password.
    pub fn new(host: &str, from: &str) -> Self {
        Self {
            host: host.to_owned(),
            port: None,
            tls: SmtpTls::Tls,
            from: from.to_owned(),
            username: None,
            password_file: None,
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        if waxseal_identity::EmailAddress::parse(&self.from).is_err() {
            return Err(ConfigError::BadFrom);
        }
        if self.username.is_some() != self.password_file.is_some() {
            return Err(ConfigError::HalfCredentials);
        }
        let host = Url::parse(&format!("http://{}", self.host));
        if self.tls == SmtpTls::None && !host.is_ok_and(|url| is_loopback(&url)) {
            return Err(ConfigError::PlainSmtpNotLoopback);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smtp() -> MailConfig {
        MailConfig::Smtp(SmtpConfig::new("mail.example", "id@example.com"))
    }

    fn check(change: impl FnOnce(&mut Config), expected: Result<(), &ConfigError>) {
        let mut config = Config::new("https://id.example/auth", smtp());
        config.allow_domains.push("example.com".to_owned());
        change(&mut config);
        assert_eq!(config.check().as_ref().copied(), expected);
    }

    #[test]
    fn bad_issuer() {
        check(|_| {}, Ok(()));
        for issuer in [
            "",
            "id.example",
            "http://id.example/auth",
            "https://id.example/auth/",
            "https://id.example/",
            "https://u@id.example/auth",
            "https://id.example/auth?x",
            "https://ID.example/auth",
        ] {
            check(
                |config| config.issuer = issuer.to_owned(),
                Err(&ConfigError::BadIssuer),
            );
        }
        check(
            |config| config.issuer = "https://id.example".to_owned(),
            Ok(()),
        );
    }

    #[test]
    fn outbox_not_loopback() {
        check(
            |config| config.mail = MailConfig::Outbox,
            Err(&ConfigError::OutboxNotLoopback),
        );
        for issuer in [
            "http://localhost:8383/auth",
            "http://127.0.0.1:1/auth",
            "https://localhost/auth",
        ] {
            check(
                |config| (config.issuer, config.mail) = (issuer.to_owned(), MailConfig::Outbox),
                Ok(()),
            );
        }
    }

    #[test]
    fn no_allowed_domains() {
        check(
            |config| config.allow_domains.clear(),
            Err(&ConfigError::NoAllowedDomains),
        );
    }

    #[test]
    fn bad_domain() {
        for domain in [
            "",
            "Example.com",
            "*.example.com",
            "example.com.",
            "a b",
            "@example.com",
        ] {
            let error = ConfigError::BadDomain {
                domain: domain.to_owned(),
            };
            check(
                |config| config.deny_domains.push(domain.to_owned()),
                Err(&error),
            );
        }
    }

    #[test]
    fn everybody_may_be_let_in_and_some_kept_out() {
        let mut config = Config::new("https://id.example/auth", smtp());
        config.allow_domains.push("*".to_owned());
        config.deny_domains.push("evil.example".to_owned());
        assert!(config.check().is_ok() && config.admits("a.example"));
        assert!(!config.admits("evil.example"));
        config.deny_domains.push("*".to_owned());
        config.allow_domains = vec!["a.example".to_owned()];
        assert!(config.check().is_err());
    }

    fn google() -> ConnectorConfig {
        let mut config = ConnectorConfig::new(ConnectorKind::Google, "client");
        config.client_secret_env = Some("SECRET".to_owned());
        config
    }

    #[test]
    fn no_way_in() {
        let none = |config: &mut Config| config.mail = MailConfig::None;
        check(none, Err(&ConfigError::NoWayIn));
        check(
            |config| config.email_login = false,
            Err(&ConfigError::NoWayIn),
        );
        check(
            |config| {
                config.mail = MailConfig::None;
                config.connectors.push(google());
            },
            Ok(()),
        );
    }

    #[test]
    fn connector_open() {
        let error = ConfigError::ConnectorOpen {
            connector: "google".to_owned(),
        };
        let closed = |config: &mut Config| {
            config.mail = MailConfig::None;
            config.allow_domains.clear();
            config.connectors.push(google());
        };
        check(closed, Err(&error));
        check(
            |config| {
                closed(config);
                config.connectors[0].allow_domains.push("*".to_owned());
            },
            Ok(()),
        );
    }

    #[test]
    fn connector_twice() {
        let twice = |field| ConfigError::ConnectorTwice {
            connector: "google".to_owned(),
            field,
        };
        let two = |config: &mut Config| config.connectors = vec![google(), google()];
        check(two, Err(&twice("name")));
        check(
            |config| {
                two(config);
                config.connectors[0].name = Some("other".to_owned());
            },
            Err(&twice("connector_id")),
        );
        // The broker's own issuer stands for addresses that a code has proven.
        check(
            |config| {
                config.connectors.push(google());
                config.connectors[0].connector_id = Some("https://id.example/auth".to_owned());
            },
            Err(&twice("connector_id")),
        );
    }

    #[test]
    fn connector_needs_mail() {
        let error = ConfigError::ConnectorNeedsMail {
            connector: "facebook".to_owned(),
        };
        let facebook = |config: &mut Config| {
            config.connectors.push(google());
            config.connectors[0].kind = ConnectorKind::Facebook;
        };
        check(facebook, Ok(()));
        check(
            |config| {
                facebook(config);
                config.mail = MailConfig::None;
            },
            Err(&error),
        );
    }

    #[test]
    fn smtp_rules() {
        let with = |change: fn(&mut SmtpConfig)| {
            move |config: &mut Config| {
                let mut smtp = SmtpConfig::new("mail.example", "id@example.com");
                change(&mut smtp);
                config.mail = MailConfig::Smtp(smtp);
            }
        };
        check(
            with(|smtp| smtp.tls = SmtpTls::None),
            Err(&ConfigError::PlainSmtpNotLoopback),
        );
        check(
            with(|smtp| (smtp.tls, smtp.host) = (SmtpTls::None, "localhost".to_owned())),
            Ok(()),
        );
        check(
            with(|smtp| smtp.from = "Waxseal <id@example.com>".to_owned()),
            Err(&ConfigError::BadFrom),
        );
        check(
            with(|smtp| smtp.username = Some("u".to_owned())),
            Err(&ConfigError::HalfCredentials),
        );
    }

    #[test]
    fn domains_are_matched_whole() {
        let mut config = Config::new("https://id.example/auth", smtp());
        config.allow_domains.push("example.com".to_owned());
        assert!(config.admits("example.com"));
        assert!(!config.admits("sub.example.com"));
        assert!(!config.admits("notexample.com"));
        config.deny_domains.push("example.com".to_owned());
        assert!(!config.admits("example.com"));
        let outbox = Config::new("http://localhost:1/auth", MailConfig::Outbox);
        assert!(outbox.admits("anything.example"));
    }
}

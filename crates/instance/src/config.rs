//! What an operator configures: one TOML file, overridden by flags, settled into one plan.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use waxseal_identity_server::{
    self as broker, ConnectorConfig, ExchangeIssuer, KeyPolicy, MailConfig, SmtpConfig, SmtpTls,
};

use crate::{InstanceUrl, InstanceUrlError, TransparencyLog};

/// Where the broker is under the instance's URL, as in Dex's layout.
pub(crate) const ISSUER_PATH: &str = "/auth";

/// Where an instance listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "localhost:8383";

/// The configuration file, `DATA/waxseald.toml`. Everything is optional; what is not known is
/// refused. Secrets are in files of their own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// `localhost:PORT` or `IP:PORT`.
    pub listen: Option<String>,
    /// Under which URL clients know the instance; follows from `listen` if absent.
    pub url: Option<String>,
    /// Certificate and key, if this process speaks TLS.
    pub tls: Option<TlsFiles>,
    /// Whether clients reach this process only through a proxy that speaks TLS.
    pub behind_tls_proxy: Option<bool>,
    /// The instance's name on its pages; its host if absent.
    pub name: Option<String>,
    /// The mail server that carries log-in codes. Without it mail stays in the outbox, and the
    /// instance on loopback.
    pub smtp: Option<Smtp>,
    /// Whether people may log in with nothing but the code of a mail; true if absent.
    pub email_login: Option<bool>,
    /// Providers where people log in. With one, an instance may do without a mail server.
    #[serde(default)]
    pub connectors: Vec<ConnectorConfig>,
    /// What signs identity tokens, and for how long.
    pub tokens: Option<KeyPolicy>,
    /// Issuers whose tokens workloads may exchange for identity tokens.
    #[serde(default)]
    pub token_exchange: Vec<ExchangeIssuer>,
    /// How the log is written.
    pub log: Option<LogOutput>,
    /// The transparency log's witnesses.
    pub transparency_log: Option<TransparencyLog>,
}

/// PEM files for TLS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a certificate has one key")]
pub struct TlsFiles {
    /// The chain, the server's certificate first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// A mail server, and who may receive its mail.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Smtp {
    /// Host name, which its certificate must carry.
    pub host: String,
    /// Port; 465 for `tls`, 587 for `starttls`, 25 for `none` if absent.
    pub port: Option<u16>,
    /// `tls`, `starttls`, or `none` (loopback only).
    #[serde(default)]
    pub tls: SmtpTls,
    /// The sender's address.
    pub from: String,
    /// The user name, if the server wants one.
    pub username: Option<String>,
    /// A file with the password, readable by its owner alone.
    pub password_file: Option<PathBuf>,
    /// Domains whose addresses may log in.
    #[serde(default)]
    pub allow_domains: Vec<String>,
    /// Domains whose addresses may not, whatever else is allowed.
    #[serde(default)]
    pub deny_domains: Vec<String>,
}

/// How the log is written; it goes to stderr.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LogOutput {
    /// `text` or `json`.
    #[serde(default)]
    pub format: Format,
    /// `warn`, or `target=level,…`.
    #[serde(default = "quiet")]
    pub filter: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for LogOutput {
    fn default() -> Self {
        Self {
            format: Format::Text,
            filter: quiet(),
        }
    }
}

fn quiet() -> String {
    "warn".to_owned()
}

/// What the command line says; each wins over the file.
#[derive(Debug, Clone, Default)]
#[expect(clippy::exhaustive_structs, reason = "one field for each flag")]
pub struct Flags {
    /// `--listen`
    pub listen: Option<String>,
    /// `--url`
    pub url: Option<String>,
    /// `--tls-cert`
    pub tls_cert: Option<PathBuf>,
    /// `--tls-key`
    pub tls_key: Option<PathBuf>,
    /// `--behind-tls-proxy`
    pub behind_tls_proxy: bool,
}

/// A plan that keeps all rules.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Where to listen.
    pub listen: String,
    /// Under which URL.
    pub url: InstanceUrl,
    /// TLS, if this process speaks it.
    pub tls: Option<TlsFiles>,
    /// Whether a proxy speaks TLS.
    pub behind_tls_proxy: bool,
    /// The instance's name.
    pub name: String,
    /// The mail server; `None` for the outbox.
    pub smtp: Option<Smtp>,
    /// Whether the outbox stands in for a mail server.
    pub outbox: bool,
    /// Whether people may log in with nothing but the code of a mail.
    pub email_login: bool,
    /// Providers where people log in.
    pub connectors: Vec<ConnectorConfig>,
    /// What signs identity tokens, and for how long.
    pub tokens: KeyPolicy,
    /// Issuers whose tokens are exchanged.
    pub token_exchange: Vec<ExchangeIssuer>,
    /// How the log is written.
    pub log: LogOutput,
    /// The transparency log's witnesses.
    pub transparency_log: TransparencyLog,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is not TOML, or has a field that is not known.
    #[error("the configuration is malformed")]
    Malformed(#[from] toml::de::Error),
    /// The URL is refused.
    #[error(transparent)]
    Url(#[from] InstanceUrlError),
    /// Not `localhost:PORT` or `IP:PORT`.
    #[error("{given:?} is not an address to listen on: localhost:PORT or IP:PORT")]
    BadListen {
        /// As given.
        given: String,
    },
    /// Port 0 is another port at each start, and the URL is fixed at birth.
    #[error("{given:?} takes another port each time, and an instance keeps its URL: choose a port")]
    PortZero {
        /// As given.
        given: String,
    },
    /// A certificate without a key, or the other way round.
    #[error("TLS needs both a certificate and a key: --tls-cert and --tls-key")]
    HalfTls,
    /// TLS here and at a proxy exclude each other.
    #[error("either this process speaks TLS or a proxy does: not both")]
    TlsTwice,
    /// Anybody on the network could read and rewrite what is said.
    #[error(
        "{listen} can be reached from elsewhere, and plain http is for localhost alone: give \
         --tls-cert and --tls-key, or --behind-tls-proxy with --url https://HOST"
    )]
    NeedsTls {
        /// Where it would listen.
        listen: String,
    },
    /// The URL cannot be told from the address.
    #[error("which name do clients use? give --url https://HOST")]
    NeedsUrl,
    /// `https` without anybody who speaks TLS, or `http` with somebody who does.
    #[error(
        "{url} does not fit: it must begin with {expected}:// {}",
        if *expected == "https" { "because TLS is configured" } else {
            "unless --tls-cert and --tls-key, or --behind-tls-proxy, are given" }
    )]
    WrongScheme {
        /// The URL.
        url: InstanceUrl,
        /// The scheme that fits.
        expected: &'static str,
    },
    /// Whoever reads the outbox logs in as anybody, so nobody else may rely on such identities.
    #[error(
        "without [smtp] and [[connectors]] an instance is for this machine alone: configure a mail \
         server or a provider, or listen on localhost without a proxy"
    )]
    OutboxNotLoopback,
    /// An instance with a mail server is closed unless it says for whom it is open.
    #[error("[smtp] needs allow_domains: the domains whose addresses may log in")]
    NoAllowedDomains,
    /// A rule of the broker: about connectors, most of the time.
    #[error(transparent)]
    Broker(#[from] waxseal_identity_server::ConfigError),
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`].
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Ok(toml::from_str(text)?)
    }

    /// Joins file and flags, and checks every rule that one value imposes on another.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn settle(self, flags: Flags) -> Result<Settings, ConfigError> {
        let settings = self.settle_without_people(flags)?;
        match &settings.smtp {
            None if !settings.outbox && settings.connectors.is_empty() => {
                return Err(ConfigError::OutboxNotLoopback);
            }
            Some(smtp) if smtp.allow_domains.is_empty() => {
                return Err(ConfigError::NoAllowedDomains);
            }
            _ => {}
        }
        settings.broker_config().check()?;
        Ok(settings)
    }

    /// The same for a process where nobody logs in: a log alone needs no mail server.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn settle_without_people(self, flags: Flags) -> Result<Settings, ConfigError> {
        let listen = flags.listen.or(self.listen);
        let listen = listen.unwrap_or_else(|| DEFAULT_LISTEN.to_owned());
        let (address, port) = parse_listen(&listen)?;
        if port == 0 {
            return Err(ConfigError::PortZero { given: listen });
        }
        let listens_here = address.is_none_or(|address| address.ip().is_loopback());
        let tls = match (flags.tls_cert, flags.tls_key) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
            (None, None) => self.tls,
            _ => return Err(ConfigError::HalfTls),
        };
        let behind_tls_proxy = flags.behind_tls_proxy || self.behind_tls_proxy.unwrap_or(false);
        if tls.is_some() && behind_tls_proxy {
            return Err(ConfigError::TlsTwice);
        }
        let secured = tls.is_some() || behind_tls_proxy;
        if !listens_here && !secured {
            return Err(ConfigError::NeedsTls { listen });
        }
        let expected = if secured { "https" } else { "http" };
        let url = match flags.url.or(self.url) {
            Some(url) => InstanceUrl::parse(&url)?,
            None if behind_tls_proxy => return Err(ConfigError::NeedsUrl),
            None => match address {
                Some(address) if address.ip().is_unspecified() => {
                    return Err(ConfigError::NeedsUrl);
                }
                Some(address) => InstanceUrl::parse(&format!("{expected}://{address}"))?,
                None => InstanceUrl::parse(&format!("{expected}://localhost:{port}"))?,
            },
        };
        if url.is_https() != secured {
            return Err(ConfigError::WrongScheme { url, expected });
        }
        let stays_here = listens_here && !behind_tls_proxy && url.is_loopback();
        Ok(Settings {
            name: self.name.unwrap_or_else(|| url.authority().to_owned()),
            listen,
            url,
            tls,
            behind_tls_proxy,
            outbox: self.smtp.is_none() && stays_here,
            smtp: self.smtp,
            email_login: self.email_login.unwrap_or(true),
            connectors: self.connectors,
            tokens: self.tokens.unwrap_or_default(),
            token_exchange: self.token_exchange,
            log: self.log.unwrap_or_default(),
            transparency_log: self.transparency_log.unwrap_or_default(),
        })
    }
}

/// The address, `None` for `localhost`, and the port.
fn parse_listen(given: &str) -> Result<(Option<SocketAddr>, u16), ConfigError> {
    let bad = || ConfigError::BadListen {
        given: given.to_owned(),
    };
    if let Some(port) = given.strip_prefix("localhost:") {
        return port.parse().map(|port| (None, port)).map_err(|_| bad());
    }
    let address: SocketAddr = given.parse().map_err(|_| bad())?;
    Ok((Some(address), address.port()))
}

impl Smtp {
    /// As the broker wants it.
    pub(crate) fn config(&self) -> SmtpConfig {
        let mut smtp = SmtpConfig::new(&self.host, &self.from);
        smtp.port = self.port;
        smtp.tls = self.tls;
        smtp.username.clone_from(&self.username);
        smtp.password_file.clone_from(&self.password_file);
        smtp
    }
}

impl Settings {
    /// The mail server as the broker wants it; `None` for the outbox.
    #[must_use]
    pub fn smtp_config(&self) -> Option<SmtpConfig> {
        self.smtp.as_ref().map(Smtp::config)
    }

    /// The broker, as these settings want it.
    #[must_use]
    pub fn broker_config(&self) -> broker::Config {
        let mail = match self.smtp_config() {
            Some(smtp) => MailConfig::Smtp(smtp),
            None if self.outbox => MailConfig::Outbox,
            None => MailConfig::None,
        };
        let mut config = broker::Config::new(&self.issuer(), mail);
        config.instance_name = Some(self.name.clone());
        // Whoever reaches an instance reads its log: on loopback that is this machine alone.
        config.public_log = !self.url.is_loopback();
        config.behind_proxy = self.behind_tls_proxy;
        config.email_login = self.email_login;
        config.connectors.clone_from(&self.connectors);
        config.keys = self.tokens.clone();
        config.token_exchange.clone_from(&self.token_exchange);
        if let Some(smtp) = &self.smtp {
            config.allow_domains.clone_from(&smtp.allow_domains);
            config.deny_domains.clone_from(&smtp.deny_domains);
        }
        config
    }

    /// The issuer of the broker's tokens.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.url.join(ISSUER_PATH)
    }

    /// The file that a first start leaves in the data directory, so that the next one needs no
    /// flags.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let mut text = format!(
            "# A private Sigstore. Flags win over this file.\n\
             listen = {}\n\
             # The instance was born under this URL, and keeps it.\n\
             url = {}\n",
            quoted(&self.listen),
            quoted(self.url.as_str()),
        );
        if self.behind_tls_proxy {
            text.push_str("behind_tls_proxy = true\n");
        }
        if let Some(tls) = &self.tls {
            let path = |path: &PathBuf| quoted(&path.to_string_lossy());
            text.push_str("\n[tls]\n");
            text.push_str(&format!("cert = {}\n", path(&tls.cert)));
            text.push_str(&format!("key = {}\n", path(&tls.key)));
        }
        text
    }
}

#[cfg(test)]
mod tests;

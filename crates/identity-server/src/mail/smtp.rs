//! Mail by SMTP, over TLS that checks the server's name (RFC 8314).

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use waxseal_crypto::BoxFuture;
use zeroize::Zeroizing;

use super::{CodeMail, MailError, Mailer};
use crate::config::{ConfigError, SmtpConfig, SmtpTls};

/// How long one exchange with the mail server may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Hands mails to a mail server.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: String,
}

impl SmtpMailer {
    /// Prepares connections to the configured server; none is opened yet.
    ///
    /// # Errors
    /// [`ConfigError::BadPasswordFile`], or what the TLS library says of the host's name.
    pub fn new(config: &SmtpConfig) -> Result<Self, SmtpError> {
        let builder = match config.tls {
            SmtpTls::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(&config.host)?,
            SmtpTls::Starttls => {
                AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&config.host)?
            }
            // `Config::check` lets this pass for loopback alone.
            SmtpTls::None => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host),
        };
        let mut builder = builder.timeout(Some(TIMEOUT));
        if let Some(port) = config.port {
            builder = builder.port(port);
        }
        if let (Some(user), Some(path)) = (&config.username, &config.password_file) {
            let password = read_password(path).map_err(|_| ConfigError::BadPasswordFile)?;
            builder = builder.credentials(Credentials::new(user.clone(), password.to_string()));
        }
        Ok(Self {
            transport: builder.build(),
            from: config.from.clone(),
        })
    }
}

/// Why no connection to a mail server can be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SmtpError {
    /// A rule of the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The TLS library refuses the host's name.
    #[error("the mail server's name cannot be used with TLS")]
    Tls(#[from] lettre::transport::smtp::Error),
}

impl Mailer for SmtpMailer {
    fn send(&self, mail: CodeMail) -> BoxFuture<'_, Result<(), MailError>> {
        Box::pin(async move {
            let message = mail.message(&self.from)?;
            self.transport
                .send(message)
                .await
                .map(drop)
                .map_err(|error| MailError(Box::new(error)))
        })
    }
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpMailer")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// The first line of a file that nobody else can read.
fn read_password(path: &Path) -> io::Result<Zeroizing<String>> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if std::fs::metadata(path)?.mode() & 0o077 != 0 {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
    }
    let text = Zeroizing::new(std::fs::read_to_string(path)?);
    let line = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_password_file() {
        let mut config = SmtpConfig::new("mail.example", "id@example.com");
        config.username = Some("id".to_owned());
        config.password_file = Some("/nonexistent/password".into());
        let error = SmtpMailer::new(&config).unwrap_err();
        assert!(matches!(
            error,
            SmtpError::Config(ConfigError::BadPasswordFile)
        ));
    }
}

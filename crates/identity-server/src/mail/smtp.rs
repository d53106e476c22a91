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

/// How long the mail server may take for one mail.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Pauses before a mail is offered again to a server that says "not now" (a code of 4xx, RFC 5321
/// §4.2.1): greylisting wants that. Within the minute that [`Mailer::send`] has.
const AGAIN: [Duration; 3] = [
    Duration::from_secs(3),
    Duration::from_secs(12),
    Duration::from_secs(30),
];

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
            let mut pauses = AGAIN.iter();
            loop {
                // The library's own limit covers the connection alone: a server that then says
                // nothing would hold this mail, and every later one, for ever.
                let attempt = self.transport.send(message.clone());
                let error = match tokio::time::timeout(TIMEOUT, attempt).await {
                    Ok(Ok(_)) => return Ok(()),
                    Ok(Err(error)) => error,
                    Err(elapsed) => return Err(MailError(Box::new(elapsed))),
                };
                match pauses.next().filter(|_| error.is_transient()) {
                    Some(pause) => tokio::time::sleep(*pause).await,
                    None => return Err(MailError(Box::new(error))),
                }
            }
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
pub(crate) fn read_password(path: &Path) -> io::Result<Zeroizing<String>> {
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

    /// Speaks just enough of RFC 5321 to take one mail, and gives the lines it was told.
    fn take_one_mail(listener: std::net::TcpListener) -> std::thread::JoinHandle<Vec<String>> {
        use std::io::{BufRead as _, Write as _};
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut lines = Vec::new();
            let mut reader = io::BufReader::new(stream.try_clone().unwrap());
            let say = |text: &str| (&stream).write_all(text.as_bytes()).unwrap();
            say("220 test\r\n");
            let mut in_data = false;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap() == 0 {
                    return lines;
                }
                let line = line.trim_end().to_owned();
                match line.split(' ').next() {
                    _ if in_data && line == "." => {
                        in_data = false;
                        say("250 taken\r\n");
                    }
                    _ if in_data => {}
                    Some("EHLO") => say("250 test\r\n"),
                    Some("DATA") => {
                        in_data = true;
                        say("354 go on\r\n");
                    }
                    Some("QUIT") => return lines,
                    _ => say("250 ok\r\n"),
                }
                lines.push(line);
            }
        })
    }

    #[tokio::test]
    async fn a_mail_reaches_a_server_on_loopback() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = SmtpConfig::new("127.0.0.1", "id@example.com");
        config.tls = SmtpTls::None;
        config.port = Some(listener.local_addr().unwrap().port());
        let server = take_one_mail(listener);
        let mailer = SmtpMailer::new(&config).unwrap();
        mailer
            .send(crate::mail::tests::mail("you@example.com"))
            .await
            .unwrap();
        drop(mailer);
        let lines = server.join().unwrap();
        let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
        assert!(has("MAIL FROM:<id@example.com>"), "{lines:?}");
        assert!(has("RCPT TO:<you@example.com>"));
        assert!(has("Your code: 1234 5678"));
        assert_eq!(
            lines.iter().filter(|line| line.starts_with("RCPT")).count(),
            1
        );
    }

    #[tokio::test]
    async fn a_server_without_tls_gets_no_mail() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = SmtpConfig::new("127.0.0.1", "id@example.com");
        config.tls = SmtpTls::Starttls;
        config.port = Some(listener.local_addr().unwrap().port());
        let server = take_one_mail(listener);
        let mailer = SmtpMailer::new(&config).unwrap();
        let mail = crate::mail::tests::mail("you@example.com");
        assert!(
            mailer.send(mail).await.is_err(),
            "STARTTLS is required, and not offered"
        );
        drop(mailer);
        let lines = server.join().unwrap();
        assert!(
            !lines.iter().any(|line| line.starts_with("MAIL")),
            "{lines:?}"
        );
    }
}

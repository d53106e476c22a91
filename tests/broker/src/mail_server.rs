//! A real mail server, aiosmtpd, that writes what it takes into a folder.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use waxseal_tests_interop::{Setup, Tool};

use crate::script;

/// A running mail server; it ends with this value.
#[derive(Debug)]
pub struct MailServer {
    folder: tempfile::TempDir,
    child: Child,
    port: u64,
}

impl MailServer {
    /// Starts one. `setup` is what `py/smtp.py` is told: `tls` (`none`, `tls`, `starttls`), `names`
    /// for its certificate, `user` and `password`, and how it misbehaves.
    ///
    /// # Errors
    /// If it does not listen.
    pub fn start(setup: &Value) -> Result<Self, String> {
        let python = Tool::PythonParts.path().map_err(|missing| missing.0)?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let complaints = std::fs::File::create(folder.path().join("stderr"))
            .map_err(|error| error.to_string())?;
        let mut child = Command::new(python)
            .arg(script("py/smtp.py"))
            .arg(folder.path())
            .arg(setup.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(complaints)
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            drop(BufReader::new(output).read_line(&mut line));
        }
        let told: Value = serde_json::from_str(&line).unwrap_or_default();
        let mut server = Self {
            folder,
            child,
            port: 0,
        };
        match told.get("port").and_then(Value::as_u64) {
            Some(port) => {
                server.port = port;
                Ok(server)
            }
            None => Err(format!(
                "the mail server does not listen:\n{}",
                server.complaints()
            )),
        }
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u64 {
        self.port
    }

    /// Where the mails lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The authority that its certificate comes from.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Each command that it was sent: `tls` or `plain`, and the verb.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("smtp.log"));
        log.unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// How many mails it has taken.
    #[must_use]
    pub fn mails(&self) -> usize {
        let entries = std::fs::read_dir(self.folder.path());
        let names = entries.into_iter().flatten().flatten();
        names
            .filter(|entry| entry.path().extension().is_some_and(|end| end == "eml"))
            .count()
    }

    /// What it complained about.
    #[must_use]
    pub fn complaints(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }
}

impl MailServer {
    /// Ends it; what it took stays.
    pub fn stop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An instance whose mail goes to this server: `more` are lines for the table `[smtp]`. With an
/// authority it trusts the server's certificate.
#[must_use]
pub fn mail_setup(server: &MailServer, host: &str, more: &str, trusts: bool) -> Setup {
    let mut setup = Setup::default();
    setup.config = format!(
        "[smtp]\nhost = \"{host}\"\nport = {}\nfrom = \"sigstore@example.com\"\n\
         allow_domains = [\"example.com\"]\n{more}\n[log]\nfilter = \"warn,audit=info\"\n",
        server.port()
    );
    if trusts {
        setup
            .environment
            .push(("SSL_CERT_FILE".to_owned(), server.authority().into()));
    }
    setup.mailbox = Some(server.folder().to_owned());
    setup
}

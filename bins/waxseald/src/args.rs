//! The command line as plain data.

mod broker;
mod log;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use waxseal_instance::Flags;

pub(crate) use broker::{BrokerArgs, BrokerCommand};
pub(crate) use log::{BackupArgs, ImportArgs, LogArgs, LogCommand, RotateArgs};

/// A private Sigstore in one process
#[derive(Debug, Parser)]
#[command(name = "waxseald", version, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(UpArgs),
    Broker(BrokerArgs),
    Log(LogArgs),
}

impl Command {
    /// Whether programs read what it says.
    pub(crate) const fn json(&self) -> bool {
        match self {
            Self::Up(_) => false,
            Self::Broker(args) => args.json,
            Self::Log(args) => args.json,
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  # see it sign and verify
  waxseald up --demo
  # for this machine alone, at http://localhost:8383
  waxseald up
  # for others: a mail server and TLS, as docs/operate/instance.md shows
  waxseald up --config waxseald.toml

Exit codes: 0 stopped by a signal · 1 cannot start, or cannot go on safely ·
  2 usage";

/// Runs every role on one directory, which is made on the first start
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpArgs {
    /// Data directory
    #[arg(long, value_name = "DIR", default_value = "waxseal-data")]
    pub(crate) data: PathBuf,

    /// Where to listen: localhost:PORT or IP:PORT [default: localhost:8383]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,

    /// URL by which clients reach the instance; it keeps it for good [default: from --listen]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,

    /// Certificate chain for TLS (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Private key for TLS (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Clients come through a proxy that speaks TLS; needs --url
    #[arg(long, conflicts_with = "tls_cert")]
    pub(crate) behind_tls_proxy: bool,

    /// Configuration [default: DIR/waxseald.toml]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Write the root keys of a new instance here, encrypted, before they are
    /// forgotten
    #[arg(long, value_name = "FILE")]
    pub(crate) export_root: Option<PathBuf>,

    /// The passphrase for them, on the first line of a file; - for stdin
    /// [default: asked for on the terminal]
    #[arg(long, value_name = "FILE", requires = "export_root")]
    pub(crate) root_passphrase: Option<PathBuf>,

    /// Log in, sign a sample and verify it, show each step, and keep serving
    #[arg(long)]
    pub(crate) demo: bool,
}

impl UpArgs {
    /// What wins over the configuration file.
    pub(crate) fn flags(&self) -> Flags {
        Flags {
            listen: self.listen.clone(),
            url: self.url.clone(),
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
            behind_tls_proxy: self.behind_tls_proxy,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<UpArgs, clap::Error> {
        let words = std::iter::once("waxseald").chain(line.split_whitespace());
        Args::try_parse_from(words).map(|args| match args.command {
            Command::Up(up) => up,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn examples_fit_a_terminal() {
        assert!(EXAMPLES.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn defaults() {
        let up = parse("up").unwrap();
        assert_eq!(up.data, PathBuf::from("waxseal-data"));
        assert!(up.listen.is_none() && !up.demo && up.config.is_none());
    }

    #[test]
    fn usage() {
        for line in [
            "",
            "down",
            "up --tls-cert c",
            "up --tls-key k",
            "up --tls-cert c --tls-key k --behind-tls-proxy",
            "up extra",
            "broker",
            "broker ban",
            "broker ban nobody",
            "broker ban a@example.com --days 0",
            "broker unban you",
            "log",
            "log rotate",
            "log freeze extra",
            "log import dir --url https://a.example --since 2025-01-01T00:00:00Z",
            "log import dir --key k --private-key k --url u --since s",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}

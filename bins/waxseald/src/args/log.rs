//! `waxseald log`.

use std::path::PathBuf;

use clap::Subcommand;

const EXAMPLES: &str = "\
Examples:
  waxseald log stats --json
  waxseald log backup /backup/log
  waxseald log freeze
  # a new shard under a host name of its own, which reaches this instance
  waxseald log rotate --url https://log2.sig.example.com --write
  # a log that another server kept until now
  waxseald log import /srv/rekor --key rekor.pub \\
      --url https://rekor.example.com --since 2025-01-01T00:00:00Z

Exit codes: 0 done · 1 not done · 2 usage";

/// Looks at the transparency log, ends it, or begins its next shard
///
/// The instance must not run, but for a backup.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LogArgs {
    /// Data directory
    #[arg(
        long,
        value_name = "DIR",
        default_value = "waxseal-data",
        global = true
    )]
    pub(crate) data: PathBuf,

    /// Configuration [default: DIR/waxseald.toml]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,

    /// One JSON object on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: LogCommand,
}

/// What to do with the log.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum LogCommand {
    /// Shows its size, age and place on the disk
    Stats,
    /// Ends it: a last checkpoint, cosigned, and no entry after it, ever
    Freeze,
    /// Ends it, and begins a new shard with a key and a host name of its own
    Rotate(RotateArgs),
    /// Copies it, entry by entry and checked; the instance may run
    ///
    /// The backup is a log that any web server serves, and that nobody goes on from. A second one
    /// into the same directory reads only what is new.
    Backup(BackupArgs),
    /// Takes a log from elsewhere in, checked entry by entry
    ///
    /// With its public key it is kept, frozen, for verifiers. With its private key it goes on here,
    /// and nowhere else: it becomes the shard that takes entries.
    Import(ImportArgs),
}

/// `waxseald log rotate`
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RotateArgs {
    /// URL of the new shard: scheme, and a host that no shard had before
    #[arg(long, value_name = "URL")]
    pub(crate) url: String,

    /// Write the clients' files too; else the next start does
    #[arg(long)]
    pub(crate) write: bool,
}

/// `waxseald log backup`
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BackupArgs {
    /// Where it goes: a new directory, or that of an earlier backup
    #[arg(value_name = "DIR")]
    pub(crate) target: PathBuf,
}

/// `waxseald log import`
#[derive(Debug, Clone, clap::Args)]
#[command(group = clap::ArgGroup::new("keys").required(true))]
pub(crate) struct ImportArgs {
    /// The log: a directory in the layout of tlog-tiles, or its URL
    #[arg(value_name = "DIR|URL")]
    pub(crate) log: String,

    /// Its public key (PEM)
    #[arg(long, value_name = "FILE", group = "keys")]
    pub(crate) key: Option<PathBuf>,

    /// Its private key (PEM, Ed25519): no other server may write it any more
    #[arg(long, value_name = "FILE", group = "keys")]
    pub(crate) private_key: Option<PathBuf>,

    /// By which URL clients know it; its host is the log's name
    #[arg(long, value_name = "URL")]
    pub(crate) url: String,

    /// Since when its entries count, as its trusted root says (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: String,

    /// Write the clients' files too; else the next start does
    #[arg(long)]
    pub(crate) write: bool,
}

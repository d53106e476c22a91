//! `waxseald log`.

use std::path::PathBuf;

use clap::Subcommand;

const EXAMPLES: &str = "\
Examples:
  waxseald log stats --json
  waxseald log freeze
  # a new shard under a host name of its own, which reaches this instance
  waxseald log rotate --url https://log2.sig.example.com --write

Exit codes: 0 done · 1 not done · 2 usage";

/// Looks at the transparency log, ends it, or begins its next shard
///
/// The instance must not run.
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

//! `waxseal log`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{OutputArgs, TrustArgs};

const EXAMPLES: &str = "\
Examples:
  waxseal log fsck waxseal-data/log/tiles --instance waxseal-data
  waxseal log fsck https://sig.example.com --key log.pub
  waxseal log fsck ./mirror --key log.vkey --witness-policy witnesses.policy

Exit codes: 0 whole and signed · 1 internal · 2 usage · 3 altered, or not
  signed · 4 too few witnesses · 5 no log there · 6 malformed ·
  7 key not known · 9 not reached, or failed";

/// Looks at transparency logs
#[derive(Debug, Args)]
pub(crate) struct LogCommandArgs {
    #[command(subcommand)]
    pub(crate) command: LogCommand,
}

/// The commands about logs.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    Fsck(Box<FsckArgs>),
}

/// Reads a whole log and checks every entry and tile against its signed root
///
/// Takes any log in the layout of C2SP tlog-tiles or static-ct-api: a directory, or its URL. What is
/// read is bounded by the log's size, what is held in memory is not more for a larger log.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FsckArgs {
    /// Directory with the file `checkpoint`, or the URL above it
    #[arg(value_name = "DIR|URL")]
    pub(crate) log: String,

    /// The log's key: PEM, DER, or a verifier key `NAME+ID+KEY`
    #[arg(long, value_name = "FILE", help_heading = "Trust", conflicts_with_all = ["trusted_root", "instance", "staging"])]
    pub(crate) key: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    /// Demand the quorum of this policy (C2SP tlog-policy)
    #[arg(long, value_name = "FILE", help_heading = "Trust")]
    pub(crate) witness_policy: Option<PathBuf>,

    /// Certificates (PEM) to trust for TLS beside the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

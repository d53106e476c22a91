//! `waxseal inspect`.

use std::path::PathBuf;

use clap::Args;

use super::OutputArgs;

/// Shows what is in a bundle, certificate, trusted root, signing config, key or checkpoint
///
/// Nothing is verified but, with --key, the signature lines of checkpoints.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Files to show, `-` for stdin
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// A verifier key (NAME+ID+KEY) whose signatures must hold; repeatable
    ///
    /// As a witness policy has it, and as `waxseald log stats` prints it: of Ed25519, ECDSA or
    /// ML-DSA-44. Each signature line of a checkpoint or signed note, also of that in a bundle, is
    /// said to be `verified`, of an `unknown key`, or `INVALID`. A line that is INVALID fails (3),
    /// and so do a bundle whose checkpoint is malformed (3) and a file that none of the keys has
    /// signed (7).
    #[arg(long = "key", value_name = "VKEY")]
    pub(crate) keys: Vec<String>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

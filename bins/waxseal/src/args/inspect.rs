//! `waxseal inspect`.

use std::path::PathBuf;

use clap::Args;

use super::OutputArgs;

/// Shows what is in a bundle, certificate, trusted root, signing config, key or checkpoint
///
/// Nothing is verified.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Files to show, `-` for stdin
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

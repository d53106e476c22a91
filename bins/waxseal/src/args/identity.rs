//! `waxseal identity`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::sign::LoginArgs;
use super::{OutputArgs, TrustArgs};

/// Obtains identity tokens, for programs that take one
#[derive(Debug, Args)]
pub(crate) struct IdentityCommandArgs {
    #[command(subcommand)]
    pub(crate) command: IdentityCommand,
}

/// The commands about identities.
#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    Token(TokenArgs),
}

/// Obtains an identity token, and writes it to stdout
///
/// It is a secret that speaks for you until it expires, a few minutes later.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(flatten)]
    pub(crate) login: LoginArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    /// Signing config to use instead of the instance's
    #[arg(long, value_name = "FILE", help_heading = "Services")]
    pub(crate) signing_config: Option<PathBuf>,

    /// Certificates (PEM) to trust for TLS beside the system's
    #[arg(long, value_name = "FILE", help_heading = "Services")]
    pub(crate) ca_cert: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

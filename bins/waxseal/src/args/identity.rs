//! `waxseal identity`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::login::{FlowArgs, LoginArgs};
use super::{OutputArgs, TrustArgs};

const EXAMPLES: &str = "\
Examples:
  # log in once, and sign as long as the token holds
  waxseal identity login --provider google
  waxseal sign app.tar.gz
  # who a signature would be of, here and now
  waxseal identity whoami

Exit codes: 0 done · 1 internal · 2 usage · 7 trust root · 8 no identity ·
  9 a service is unavailable · 10 others can read the kept tokens ·
  130 interrupted";

/// Logs in, shows who you are, and obtains identity tokens
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct IdentityCommandArgs {
    #[command(subcommand)]
    pub(crate) command: IdentityCommand,
}

/// The commands about identities.
#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    Login(IdentityLoginArgs),
    Token(TokenArgs),
    Whoami(WhoamiArgs),
    Logout(LogoutArgs),
}

impl IdentityCommand {
    /// How the outcome is told.
    pub(crate) const fn output(&self) -> &OutputArgs {
        match self {
            Self::Login(args) => &args.output,
            Self::Token(args) => &args.output,
            Self::Whoami(args) => &args.output,
            Self::Logout(args) => &args.output,
        }
    }
}

/// Logs in, and keeps the token for the next commands until it expires
///
/// It is kept in a file that only you can read, below XDG_CACHE_HOME or ~/.cache.
#[derive(Debug, Args)]
pub(crate) struct IdentityLoginArgs {
    #[command(flatten)]
    pub(crate) flow: FlowArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    #[command(flatten)]
    pub(crate) issuer: IssuerArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
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

    #[command(flatten)]
    pub(crate) issuer: IssuerArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Says as whom you would sign here and now
///
/// By a token that is given, the CI job's, or a kept one. It asks nobody, shows no token, and
/// believes what the token says.
#[derive(Debug, Args)]
pub(crate) struct WhoamiArgs {
    /// Identity token: itself, in a file, or on stdin
    #[arg(long, value_name = "TOKEN|@FILE|-", help_heading = "Identity")]
    pub(crate) identity_token: Option<String>,

    /// Look for a kept token only, not for a CI job's
    #[arg(long, conflicts_with = "identity_token", help_heading = "Identity")]
    pub(crate) no_ambient: bool,

    /// Look for the kept token of a log-in at this provider
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "identity_token",
        help_heading = "Identity"
    )]
    pub(crate) provider: Option<String>,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    #[command(flatten)]
    pub(crate) issuer: IssuerArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Deletes every token that is kept
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Where to log in.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Services")]
pub(crate) struct IssuerArgs {
    /// Signing config to use instead of the instance's
    #[arg(long, value_name = "FILE")]
    pub(crate) signing_config: Option<PathBuf>,

    /// Certificates (PEM) to trust for TLS beside the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,
}

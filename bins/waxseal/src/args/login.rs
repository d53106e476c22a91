//! Where an identity token comes from.

use clap::Args;

/// Where the identity token comes from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Identity")]
pub(crate) struct LoginArgs {
    /// Identity token: itself, in a file, or on stdin [default: the CI job's, or a log-in]
    #[arg(
        long,
        value_name = "TOKEN|@FILE|-",
        conflicts_with_all = ["no_ambient", "cache", "provider", "device", "no_browser"]
    )]
    pub(crate) identity_token: Option<String>,

    /// Log in, whatever identity the CI job or machine has
    #[arg(long)]
    pub(crate) no_ambient: bool,

    /// Keep the token of a log-in for the next commands, until it expires
    #[arg(long)]
    pub(crate) cache: bool,

    #[command(flatten)]
    pub(crate) flow: FlowArgs,
}

/// How a person logs in.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Identity")]
pub(crate) struct FlowArgs {
    /// Log in at google, github, microsoft, facebook, email, or another provider of the broker's
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,

    /// Log in by a code to enter in any browser [default over SSH, and without a display]
    #[arg(long, conflicts_with = "no_browser")]
    pub(crate) device: bool,

    /// Log in by a code to copy from any browser
    #[arg(long)]
    pub(crate) no_browser: bool,
}

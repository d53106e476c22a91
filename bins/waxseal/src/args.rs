//! The command line as plain data: what was typed, and nothing of what it means.

mod identities;
mod identity;
mod inspect;
mod log;
mod login;
mod sign;
mod verify;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use identities::{IdentityArgs, Subject, SubjectArg};
pub(crate) use identity::{
    IdentityCommand, IdentityCommandArgs, IdentityLoginArgs, IssuerArgs, LogoutArgs, TokenArgs,
    WhoamiArgs,
};
pub(crate) use inspect::InspectArgs;
pub(crate) use log::{FsckArgs, LogCommand, LogCommandArgs};
pub(crate) use login::{FlowArgs, LoginArgs};
pub(crate) use sign::{AttestArgs, BundleArgs, ServiceArgs, SignArgs, SignerArgs};
pub(crate) use verify::VerifyArgs;

/// Signs and verifies with identities instead of keys.
#[derive(Debug, Parser)]
#[command(name = "waxseal", version, max_term_width = 80)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Sign(Box<SignArgs>),
    Attest(Box<AttestArgs>),
    Verify(Box<VerifyArgs>),
    Inspect(InspectArgs),
    Identity(IdentityCommandArgs),
    Log(LogCommandArgs),
}

impl Command {
    /// How the outcome is told.
    pub(crate) const fn output(&self) -> &OutputArgs {
        match self {
            Self::Sign(args) => &args.output,
            Self::Attest(args) => &args.output,
            Self::Verify(args) => &args.output,
            Self::Inspect(args) => &args.output,
            Self::Identity(args) => args.command.output(),
            Self::Log(LogCommandArgs {
                command: LogCommand::Fsck(args),
            }) => &args.output,
        }
    }
}

/// How the outcome is told.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// One JSON object a line on stdout, on failure too
    #[arg(long)]
    pub(crate) json: bool,

    /// Say nothing on success
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,
}

/// Whom to trust. With none of these it is the public instance, as it ships in this program.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct TrustArgs {
    /// Trusted root to use instead of the instance's
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,

    /// Private instance: its data directory, or its client trust config
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) instance: Option<PathBuf>,

    /// The public staging instance
    #[arg(long, conflicts_with_all = ["instance", "trusted_root"])]
    pub(crate) staging: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn check(command: &mut clap::Command, lines: &mut usize) {
        for help in [command.render_help(), command.render_long_help()] {
            for line in help.to_string().lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
                *lines += 1;
            }
        }
        for command in command.get_subcommands_mut() {
            check(command, lines);
        }
    }

    #[test]
    fn helps_fit_a_terminal() {
        let mut lines = 0;
        let mut cli = Cli::command();
        cli.build();
        check(&mut cli, &mut lines);
        assert!(lines > 200, "{lines}");
    }
}

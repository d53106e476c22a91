//! `waxseald broker`, as plain data.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Subcommand;
use waxseal_identity_server::BanTarget;

const EXAMPLES: &str = "\
Examples:
  waxseald broker users --json
  waxseald broker ban mallory@example.com --reason 'phished' --days 30
  waxseald broker sessions --end
  waxseald broker check --config waxseald.toml

The instance may run meanwhile, and what is ordered counts at once.

Exit codes: 0 done · 1 not possible, nothing there to undo, or a provider on
  which log-ins will fail · 2 usage";

/// Who has logged in to an instance, who may not, and whether its providers work
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BrokerArgs {
    #[command(subcommand)]
    pub(crate) command: BrokerCommand,

    /// Data directory
    #[arg(
        long,
        value_name = "DIR",
        default_value = "waxseal-data",
        global = true
    )]
    pub(crate) data: PathBuf,

    /// Print JSON, also of a failure
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum BrokerCommand {
    /// List who was given identity tokens in the last 400 days
    Users,
    /// List log-ins that are under way
    Sessions {
        /// End them all, and void codes that were given and not used
        #[arg(long)]
        end: bool,
    },
    /// List bans
    Bans,
    /// Keep somebody from logging in
    Ban {
        /// An e-mail address, or an account's id as "users" lists it
        #[arg(value_name = "WHO", value_parser = BanTarget::parse)]
        who: BanTarget,
        /// Why, for those who read the list
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// For how long [default: for good]
        #[arg(long, value_name = "DAYS")]
        days: Option<NonZeroU32>,
    },
    /// Try the configured providers, and say what is wrong with each
    Check {
        /// Configuration [default: DIR/waxseald.toml]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Have an account confirm its address anew, by a code
    Unlink {
        /// An account's id as "users" lists it, or an address: all that stand for it
        #[arg(value_name = "WHO", value_parser = BanTarget::parse)]
        who: BanTarget,
    },
    /// Lift a ban
    Unban {
        /// An e-mail address, or an account's id as "bans" lists it
        #[arg(value_name = "WHO", value_parser = BanTarget::parse)]
        who: BanTarget,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_fit_a_terminal() {
        assert!(EXAMPLES.lines().all(|line| line.chars().count() <= 80));
    }
}

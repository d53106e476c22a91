//! `waxseal log`: logs as anybody can look at them.

mod fsck;
mod source;
mod trusted;

use crate::args::{LogCommand, LogCommandArgs};
use crate::outcome::Failed;

/// Runs a command about logs.
///
/// # Errors
/// As the command's.
pub(crate) fn run(args: &LogCommandArgs) -> Result<(), Failed> {
    match &args.command {
        LogCommand::Fsck(args) => fsck::run(args),
    }
}

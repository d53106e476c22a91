//! The adapter that speaks the command-line protocol of the public conformance suite
//! (`cli_protocol.md` of sigstore-conformance), so that the suite runs against this workspace.
//!
//! Exit code 0 is success, 1 a refusal, 2 a command line that is not of the protocol. It opens no
//! socket to verify.

mod args;
mod sign_bundle;
mod verify_bundle;

use std::io::Write as _;
use std::process::ExitCode;

use crate::args::Command;

fn main() -> ExitCode {
    let outcome = match args::parse(std::env::args_os().skip(1)) {
        Ok(Command::SignBundle(args)) => sign_bundle::run(&args).map_err(|error| (1, error)),
        Ok(Command::VerifyBundle(args)) => verify_bundle::run(&args).map_err(|error| (1, error)),
        Err(error) => Err((2, error.into())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, error)) => {
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::from(code)
        }
    }
}

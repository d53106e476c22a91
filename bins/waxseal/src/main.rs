//! The `waxseal` command line: it reads arguments, calls the libraries, says what came of it, and ends
//! with a code that means one thing.
//!
//! `args` is what was typed, `*/plan` turns it into library calls, `*/report` says what they answered,
//! and this file is the one place where an outcome becomes an exit code. Data goes to stdout, talk to
//! stderr. Nothing is read from the folder the command happens to run in.

mod args;
mod artifact;
mod attest;
mod discover;
mod identity;
mod inspect;
mod keys;
mod log;
mod login;
mod outcome;
mod panics;
mod predicate;
mod services;
mod shown;
mod sign;
mod terminal;
mod trust;
mod verify;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::args::{Cli, Command};
use crate::outcome::{Class, Failed, Failure};
use crate::terminal::visible;

fn main() -> ExitCode {
    panics::install();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let outcome = match Cli::try_parse_from(&arguments) {
        Ok(cli) => run(&cli.command),
        Err(error) => refuse(&arguments, &error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(class) => ExitCode::from(class.exit_code()),
    }
}

/// Runs a command; failures have been told when this returns.
fn run(command: &Command) -> Result<(), Class> {
    match command {
        Command::Sign(args) => sign::run(args),
        Command::Attest(args) => attest::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Identity(args) => identity::run(args),
        Command::Log(args) => log::run(args),
    }
    .map_err(|failed| {
        if let Failed::With(failure) = &failed {
            tell(failure, command.output().json);
        }
        failed.class()
    })
}

/// A command line that cannot be followed, or a question about the program itself.
fn refuse(arguments: &[OsString], error: &clap::Error) -> Result<(), Class> {
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    // Whatever reads this may be gone; the exit code says it all.
    drop(error.print());
    if asked {
        return Ok(());
    }
    if arguments.iter().any(|argument| argument == "--json") {
        let text = error.to_string();
        let message = text.trim().trim_start_matches("error: ").to_owned();
        tell(&Failure::usage(message), true);
    }
    Err(Class::Usage)
}

/// Says a failure that is about no artifact.
fn tell(failure: &Failure, json: bool) {
    if json {
        let object = serde_json::json!({ "ok": false, "error": verify::report::error(failure) });
        // The exit code stands, whoever listens.
        drop(writeln!(std::io::stdout(), "{object}"));
    } else {
        let mut text = format!(
            "waxseal: {}  [{}]\n",
            visible(&failure.message),
            failure.code
        );
        verify::report::details(failure, &mut text);
        drop(std::io::stderr().write_all(text.as_bytes()));
    }
}

//! A private Sigstore in one process.

mod args;
mod broker;
mod log;
mod passphrase;
mod refusal;
mod say;
mod stores;
mod up;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};

/// Half of what the system's allocator costs an entry, and memory that comes back after a crowd.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = match Args::try_parse() {
        Ok(args) => args.command,
        Err(error) => say::usage(&error),
    };
    let json = command.json();
    if let Err(error) = waxseal_serve::forbid_core_dumps() {
        let error = anyhow::Error::new(error).context("core dumps cannot be forbidden");
        return say::failure(&error, json);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return say::failure(&error.into(), json),
    };
    let done = match command {
        Command::Up(up) => runtime.block_on(up::up(up)),
        Command::Broker(args) => runtime.block_on(broker::broker(args)),
        Command::Log(args) => runtime.block_on(log::log(args)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => say::failure(&error, json),
    }
}

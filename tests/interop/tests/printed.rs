//! Every command that `waxseald up --demo` prints runs as it is printed, log-in included.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed};
use waxseal_tests_interop::{Server, Tool, free_port, our, output, root, trial};

fn main() -> ExitCode {
    let name = "every command that the demonstration prints";
    let tools = [Tool::Python, Tool::Js, Tool::Cosign];
    let trial = trial(name, &tools, run_them_all);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn run_them_all() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let here = folder.path();
    let log = here.join("printed");
    let mut command = Command::new(our("waxseald"));
    command.args([
        "up",
        "--demo",
        "--listen",
        &format!("localhost:{}", free_port()?),
    ]);
    let _server = Server::start(command.current_dir(here), &log)?;
    let printed = wait_for(&log, "Ctrl-C stops it.")?;
    let commands: Vec<&str> = printed.lines().filter_map(command_of).collect();
    if commands.len() < 10 {
        return Err(Failed::from(format!(
            "only {} commands in:\n{printed}",
            commands.len()
        )));
    }
    let browser = browser(here)?;
    for command in commands {
        let mut shell = on_a_terminal(command);
        shell
            .current_dir(here)
            .env_remove("CI")
            .env("BROWSER", &browser)
            .env("PATH", path());
        shell
            .env("NODE_PATH", root().join("npm/node_modules"))
            .env("TUF_ROOT", here.join("tuf"));
        output(&mut shell)?;
    }
    for bundle in [
        "hello.txt.sigstore.json",
        "hello.cosign.json",
        "hello.python.json",
        "hello.js.json",
    ] {
        if !here.join(bundle).exists() {
            return Err(Failed::from(format!("{bundle} was not written")));
        }
    }
    Ok(())
}

/// A line that is indented by two and is not talk about the sample: those have other indents.
fn command_of(line: &str) -> Option<&str> {
    let command = line
        .strip_prefix("  ")
        .filter(|rest| !rest.starts_with(' '))?;
    let programs = ["echo ", "cosign ", "sigstore ", "node "];
    let ours = command.contains("waxseal ") && command.starts_with('/')
        || command.starts_with("waxseal ")
        || command.starts_with("cargo run ");
    (ours || programs.iter().any(|program| command.starts_with(program))).then_some(command)
}

/// A person's terminal: the log-in is offered on one only. A command that writes into a file keeps
/// its standard output.
fn on_a_terminal(command: &str) -> Command {
    let mut script = Command::new("script");
    script.args([
        "--quiet",
        "--return",
        "--flush",
        "--command",
        command,
        "/dev/null",
    ]);
    script
}

/// A browser that logs in by itself.
fn browser(here: &Path) -> Result<std::path::PathBuf, Failed> {
    let path = here.join("browser");
    let program = env!("CARGO_BIN_EXE_browser");
    let outbox = here.join("waxseal-data/outbox");
    let text = format!(
        "#!/bin/sh\nexec '{program}' '{}' \"$1\"\n",
        outbox.display()
    );
    std::fs::write(&path, text)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))?;
    Ok(path)
}

fn path() -> OsString {
    let tools = ["go", "python/bin", "npm/node_modules/node/bin"].map(|folder| root().join(folder));
    #[expect(
        clippy::disallowed_methods,
        reason = "the shell finds its own programs by it"
    )]
    let old = std::env::var_os("PATH").unwrap_or_default();
    let folders = tools.into_iter().chain(std::env::split_paths(&old));
    std::env::join_paths(folders).expect("folders without a colon")
}

fn wait_for(log: &Path, end: &str) -> Result<String, Failed> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60) {
        let printed = std::fs::read_to_string(log).unwrap_or_default();
        if printed.contains(end) {
            return Ok(printed);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let printed = std::fs::read_to_string(log).unwrap_or_default();
    Err(Failed::from(format!(
        "the demonstration did not end:\n{printed}"
    )))
}

//! The tasks of this repository: `ci`, `soak`, `help`. Plain Rust; no other tool is needed, and the
//! one that `ci` uses (`cargo-deny`) it installs by itself under `target/tools`.

mod fuzz;
mod steps;
mod tools;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask ci [STEP…]    everything that must hold before a change lands
cargo xtask soak [CRATE…] the long tests at their full counts
cargo xtask help          this text

Steps of ci, in order:";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let outcome = match task.as_deref() {
        Some("ci") => steps::ci(&rest),
        Some("soak") => steps::soak(&rest),
        Some("help" | "--help" | "-h") => {
            help();
            return ExitCode::SUCCESS;
        }
        _ => {
            help();
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn help() {
    say(HELP);
    for step in steps::STEPS {
        say(&format!("  {:<10} {}", step.name, step.about));
    }
}

/// All that the tasks say goes to stderr; stdout is the programs'.
#[expect(
    clippy::print_stderr,
    reason = "a task talks to the person who runs it"
)]
fn say(text: &str) {
    eprintln!("{text}");
}

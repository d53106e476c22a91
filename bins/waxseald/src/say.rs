//! What is said on the terminal. Nothing else in this program prints.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to whoever started it"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use waxseal_instance::{Commands, DemoStep, Group, Settings};
use waxseal_verify::Verified;

/// An error with its causes, and the exit code for it.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
    ExitCode::FAILURE
}

/// The instance answers.
pub(crate) fn ready(settings: &Settings, folder: &Path, is_new: bool, took: Duration) {
    let made = if is_new { "made now" } else { "as before" };
    println!("waxseal {}: a private Sigstore", env!("CARGO_PKG_VERSION"));
    println!();
    println!("  address   {}", settings.url);
    println!("  data      {} ({made})", folder.display());
    println!("  clients   {}", folder.join("client").display());
    match &settings.smtp {
        Some(smtp) => println!("  mail      by {}", smtp.host),
        None => println!(
            "  mail      none is sent: log-in codes are shown here, and lie in {}",
            folder.join("outbox").display()
        ),
    }
    println!("  ready     after {}", millis(took));
    println!();
    flush();
}

/// A step of the demonstration is done.
pub(crate) fn step(step: &DemoStep) {
    println!("  {:>7}   {}", millis(step.took), step.what);
    flush();
}

/// The demonstration begins.
pub(crate) fn demo_begins() {
    println!("Signing a sample, over the wire:");
    println!();
    flush();
}

/// What the demonstration has proven.
pub(crate) fn demo_ends(verified: &Verified) {
    println!();
    for subject in verified.identity().into_iter().flat_map(|i| &i.subjects) {
        println!("  signed by  {subject}");
    }
    for time in verified.times() {
        println!("  at         {}", time.time.truncated_to_second());
    }
    for entry in verified.log_entries() {
        println!("  log entry  number {}", entry.log_index);
    }
    println!();
    flush();
}

/// What to type next: our own commands, or all.
pub(crate) fn commands(commands: &Commands<'_>, all: bool) {
    if all {
        for group in commands.groups() {
            print_group(&group);
        }
    } else {
        print_group(&commands.own());
        println!(
            "For cosign, sigstore-python and sigstore-js: {}/",
            commands.url
        );
    }
    println!("Ctrl-C stops it.");
    flush();
}

/// A code that mail would have carried.
pub(crate) fn code(address: &str, code: &str) {
    println!("  code for {address}: {code}");
    flush();
}

/// The end, in good order.
pub(crate) fn stopped() {
    println!("Stopped.");
    flush();
}

fn print_group(group: &Group) {
    println!("{}:", group.title);
    println!();
    for line in &group.lines {
        println!("  {line}");
    }
    println!();
}

fn millis(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

/// A pipe gets each part as soon as it is there; one that is closed is no reason to stop serving.
fn flush() {
    let _ = std::io::stdout().flush();
}

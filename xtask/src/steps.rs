//! The steps: what each runs, and how long it took.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::{fuzz, say, tools};

/// One step of `ci`.
pub(crate) struct Step {
    /// The name on the command line.
    pub(crate) name: &'static str,
    /// What it checks, for the help text.
    pub(crate) about: &'static str,
    run: fn() -> Result<()>,
}

/// The steps in their order: the cheap ones first.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "formatting",
        run: fmt,
    },
    Step {
        name: "clippy",
        about: "lints, warnings denied",
        run: clippy,
    },
    Step {
        name: "deny",
        about: "licences, owners and sources of dependencies",
        run: deny,
    },
    Step {
        name: "test",
        about: "the README's test command",
        run: test,
    },
    Step {
        name: "interop",
        about: "foreign clients and parts, installed if missing",
        run: interop,
    },
    Step {
        name: "fuzz",
        about: "every parser of foreign bytes, 30 seconds each",
        run: fuzz::run_all,
    },
    Step {
        name: "examples",
        about: "every example, run",
        run: examples,
    },
    Step {
        name: "docs",
        about: "the documentation, warnings denied",
        run: docs,
    },
];

/// Runs the named steps, or all; stops at the first that fails.
pub(crate) fn ci(names: &[String]) -> Result<()> {
    let unknown = names
        .iter()
        .find(|name| !STEPS.iter().any(|step| step.name == name.as_str()));
    if let Some(name) = unknown {
        bail!("no step is called {name}: `cargo xtask help` lists them");
    }
    let chosen = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.name);
    let mut times = Vec::new();
    for step in STEPS.iter().filter(chosen) {
        say(&format!("── {}: {}", step.name, step.about));
        let started = Instant::now();
        let outcome = (step.run)();
        times.push((step.name, started.elapsed()));
        if let Err(error) = outcome {
            report(&times, true);
            return Err(error.context(format!("{} failed", step.name)));
        }
    }
    report(&times, false);
    Ok(())
}

/// Runs the tests with `WAXSEAL_SOAK` set: those that are long by nature use their full counts then,
/// and print them.
pub(crate) fn soak(crates: &[String]) -> Result<()> {
    let mut command = cargo();
    command.arg("test").env("WAXSEAL_SOAK", "1");
    if crates.is_empty() {
        command.arg("--workspace");
    }
    for krate in crates {
        command.args(["--package", krate]);
    }
    let started = Instant::now();
    let outcome = run(command.args(["--", "--nocapture"]));
    report(&[("soak", started.elapsed())], outcome.is_err());
    outcome
}

fn fmt() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    run(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn deny() -> Result<()> {
    let path = tools::cargo_deny()?;
    run(Command::new(path).current_dir(root()).args([
        "--log-level",
        "error",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}

/// Word for word what the README says, with the environment as it is: where `CI` is set, a missing
/// corpus of vectors is a failure.
fn test() -> Result<()> {
    run(cargo().args(["test", "--workspace"]))
}

/// Where `CI` is set the tests have run them already.
fn interop() -> Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the tests ask the same variable whether they must run"
    )]
    if std::env::var_os("CI").is_some() {
        say("   part of the tests, where CI is set");
        return Ok(());
    }
    run(cargo()
        .args(["test", "--package", "waxseal-tests-interop"])
        .args(["--package", "waxseal-tests-broker"])
        .env("WAXSEAL_INTEROP", "1"))
}

fn docs() -> Result<()> {
    run(cargo()
        .args(["doc", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings"))
}

fn examples() -> Result<()> {
    let folder = root().join("examples/examples");
    let mut names = Vec::new();
    if folder.exists() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            if let (Some(stem), Some("rs")) = (stem, path.extension().and_then(|e| e.to_str())) {
                names.push(stem.to_owned());
            }
        }
    }
    names.sort_unstable();
    for name in names {
        say(&format!("   example {name}"));
        run(cargo().args([
            "run",
            "--quiet",
            "--package",
            "waxseal-examples",
            "--example",
            &name,
        ]))?;
    }
    Ok(())
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// The cargo that runs this task, in the root of the repository.
pub(crate) fn cargo() -> Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "cargo says in CARGO which cargo it is"
    )]
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root());
    command
}

/// Runs a command with our own stdout and stderr, and fails if it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command
        .status()
        .with_context(|| format!("cannot start {shown}"))?;
    ensure!(status.success(), "{shown}: {status}");
    Ok(())
}

fn report(times: &[(&str, Duration)], failed: bool) {
    say("── times");
    let last = times.len().saturating_sub(1);
    for (index, (name, time)) in times.iter().enumerate() {
        let mark = if failed && index == last {
            "failed"
        } else {
            "ok"
        };
        say(&format!(
            "   {name:<10} {:>8.1} s  {mark}",
            time.as_secs_f64()
        ));
    }
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    say(&format!(
        "   {:<10} {:>8.1} s",
        "total",
        total.as_secs_f64()
    ));
}

//! Coverage-guided fuzzing of every target under `fuzz/`, with libFuzzer on the stable toolchain.
//!
//! The layout is that of cargo-fuzz, which works too; here the same flags are given by hand, so
//! that a fresh machine needs neither it nor a nightly compiler.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};

use crate::say;
use crate::steps::{cargo, root, run};

/// How long each target runs in `ci`.
const SECONDS: u32 = 30;
/// Targets at the same time.
const AT_ONCE: usize = 2;
/// What a target may use. None of our limits lets a parser near it.
const MEMORY_MIB: u32 = 1024;
/// The longest that one input may take, in seconds: the machine may be busy with other work.
const SLOWEST: u32 = 10;

/// LLVM's instrumentation, as cargo-fuzz asks for it; sanitizers need a nightly compiler, and there
/// is no unsafe code of ours for them to find.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                     -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// Builds all targets and runs each for [`SECONDS`], [`AT_ONCE`] beside each other. What they learn
/// stays under `target/fuzz/corpus` for the next time.
pub(crate) fn run_all() -> Result<()> {
    let folder = root().join("target/fuzz");
    let corpus = folder.join("corpus");
    run(cargo()
        .args(["run", "--quiet", "--package", "waxseal-tests-conformance"])
        .args(["--bin", "seeds", "--"])
        .arg(&corpus))?;
    let triple = host()?;
    let manifest = root().join("fuzz/Cargo.toml");
    run(cargo()
        .args(["fmt", "--check", "--manifest-path"])
        .arg(&manifest))?;
    // A target triple keeps the flags away from build scripts, which have no fuzzer to report to.
    run(cargo()
        .args(["build", "--quiet", "--locked", "--release", "--bins"])
        .args(["--target", &triple, "--target-dir"])
        .arg(&folder)
        .arg("--manifest-path")
        .arg(&manifest)
        .env("RUSTFLAGS", FLAGS))?;
    let programs = folder.join(triple).join("release");
    let waiting = Mutex::new(targets()?);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(name) = next(&waiting) {
                    match one(&name, &programs.join(&name), &corpus.join(&name), &folder) {
                        Ok(found) => say(&format!("   {name:<18} {found}")),
                        Err(error) => {
                            say(&format!("   {name:<18} {error:#}"));
                            failed.lock().map(|mut all| all.push(name)).ok();
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_default();
    ensure!(
        failed.is_empty(),
        "a fault was found by: {}",
        failed.join(", ")
    );
    Ok(())
}

fn next(waiting: &Mutex<VecDeque<String>>) -> Option<String> {
    waiting.lock().ok()?.pop_front()
}

/// The names of the files under `fuzz/targets`.
fn targets() -> Result<VecDeque<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("fuzz/targets")).context("fuzz/targets")? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        names.extend(stem.map(str::to_owned));
    }
    names.sort_unstable();
    ensure!(!names.is_empty(), "there is no target under fuzz/targets");
    Ok(names.into())
}

/// Runs one target; says what it covered.
fn one(name: &str, program: &Path, corpus: &Path, folder: &Path) -> Result<String> {
    let artifacts = folder.join("artifacts").join(name);
    fs::create_dir_all(&artifacts)?;
    let log = folder.join(format!("{name}.log"));
    let output = fs::File::create(&log).with_context(|| log.display().to_string())?;
    let status = Command::new(program)
        .arg(corpus)
        .arg(format!("-max_total_time={SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
        .arg(format!("-timeout={SLOWEST}"))
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .status()
        .with_context(|| program.display().to_string())?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    if !status.success() {
        bail!(
            "{status}; the input is under {}, what it says in {}; run it again with `{} INPUT`",
            artifacts.display(),
            log.display(),
            program.display()
        );
    }
    let runs = after(&text, "stat::number_of_executed_units:").unwrap_or("?");
    let covered = text
        .lines()
        .rev()
        .find_map(|line| after(line, " cov:"))
        .unwrap_or("?");
    Ok(format!("{runs} inputs, {covered} edges"))
}

/// The word after a mark.
fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark)?.1.split_whitespace().next()
}

/// The triple of this machine, as its compiler says it.
fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .current_dir(root())
        .output()
        .context("cannot start rustc")?;
    let text = String::from_utf8(output.stdout)?;
    after(&text, "host:")
        .map(str::to_owned)
        .context("rustc does not say its host")
}

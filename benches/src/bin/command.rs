//! `cargo run --release -p waxseal-benches --bin command`: `waxseal verify` as a process, offline,
//! beside `cosign verify-blob`: wall time, peak memory, size of the program.
//!
//! `waxseal` is the one that was built beside this program (`cargo build --release -p waxseal`);
//! `cosign` is the interop tests' own (`target/interop/go/cosign`), or that of the PATH. Both verify
//! the same bundle with the same trusted root, and take turns. A peer that is not there is told.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use waxseal_benches::{Case, Program, Samples, Table, corpus};

/// Runs of each program for the wall time, and for the memory.
const RUNS: usize = 100;
const MEMORY_RUNS: usize = 10;
const CASE: &str = "rekor2-happy-path";

#[expect(clippy::print_stdout, reason = "a bench prints its table")]
fn main() -> Result<()> {
    let folder = corpus()?.join(CASE);
    let artifact = text_of(&corpus()?.join("a.txt"))?;
    let bundle = text_of(&folder.join("bundle.sigstore.json"))?;
    let root = text_of(&folder.join("trusted_root.json"))?;

    let ours = beside("waxseal").context(
        "there is no `waxseal` beside this program: build it with `cargo build --release -p waxseal`",
    )?;
    let verify = Program::new(
        &ours,
        [
            "verify",
            &artifact,
            "--bundle",
            &bundle,
            "--trusted-root",
            &root,
            "--identity",
            Case::IDENTITY,
            "--issuer",
            Case::ISSUER,
        ],
    );
    let mut contestants = vec![("waxseal verify", ours, verify)];
    match cosign() {
        Some(theirs) => {
            let verify = Program::new(
                &theirs,
                [
                    "verify-blob",
                    &artifact,
                    "--bundle",
                    &bundle,
                    "--trusted-root",
                    &root,
                    "--certificate-identity",
                    Case::IDENTITY,
                    "--certificate-oidc-issuer",
                    Case::ISSUER,
                ],
            );
            contestants.push(("cosign verify-blob", theirs, verify));
        }
        None => println!("cosign is neither under target/interop/go nor on the PATH\n"),
    }

    let mut walls = vec![Samples::default(); contestants.len()];
    for _ in 0..RUNS {
        for ((_, _, process), samples) in contestants.iter().zip(&mut walls) {
            process.time(samples)?;
        }
    }
    let mut table = Table::new(&[
        "one bundle, offline",
        "best ms",
        "median ms",
        "p99 ms",
        "RSS MB",
        "program MB",
    ]);
    for ((label, program, process), samples) in contestants.iter().zip(&walls) {
        let mut peak = None;
        for _ in 0..MEMORY_RUNS {
            peak = peak.max(process.peak_memory()?);
        }
        table.row([
            (*label).to_owned(),
            millis(samples, 0.0),
            millis(samples, 0.5),
            millis(samples, 0.99),
            peak.map_or_else(|| "?".to_owned(), megabytes),
            megabytes(std::fs::metadata(program)?.len()),
        ]);
    }
    println!("{RUNS} runs of each program, in turns\n\n{table}");
    println!("targets: ≤ 10 ms, ≤ 16 MB resident, program ≤ 12 MB");
    Ok(())
}

fn text_of(path: &Path) -> Result<String> {
    let path = path
        .canonicalize()
        .with_context(|| path.display().to_string())?;
    let text = path.to_str().context("the path is not Unicode")?;
    Ok(text.to_owned())
}

/// A program in the folder of this one.
fn beside(name: &str) -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.parent()?.join(name);
    path.is_file().then_some(path)
}

fn cosign() -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a bench looks for foreign programs where a shell would"
    )]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop/go");
    std::iter::once(ours)
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join("cosign"))
        .find(|path| path.is_file())
}

fn millis(samples: &Samples, share: f64) -> String {
    format!("{:.1}", samples.quantile(share).as_secs_f64() * 1e3)
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a size to be looked at, with one decimal"
)]
fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

//! `cargo run --release -p waxseal-benches --bin build-time`: what it costs to depend on us. A
//! program that links `waxseal-verify` with aws-lc, and one that links `sigstore-verify`, each built
//! from nothing in release, one after the other, with two jobs; and how many packages each has.
//!
//! The figures mean something on a machine that does nothing else.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use waxseal_benches::Table;

/// What the program verifies with: `waxseal-verify` and its friends.
const OURS: &str = "\
    let root = waxseal_formats::TrustedRoot::public_good();
    let provider = waxseal_crypto_aws_lc::provider();
    println!(\"{}\", waxseal_verify::Verifier::new(provider, &root).is_ok());
";
/// The same with the peer.
const THEIRS: &str = "\
    let json = sigstore_verify::trust_root::SIGSTORE_PRODUCTION_TRUSTED_ROOT;
    let root = sigstore_verify::trust_root::TrustedRoot::from_json(json).unwrap();
    println!(\"{}\", sigstore_verify::Verifier::new(&root).is_ok());
";

#[expect(clippy::print_stdout, reason = "a bench prints its table")]
fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()?;
    let ours: String = ["crypto-aws-lc", "formats", "verify"]
        .iter()
        .map(|name| {
            let path = root.join("crates").join(name);
            format!(
                "waxseal-{name} = {{ path = {:?} }}\n",
                path.display().to_string()
            )
        })
        .collect();
    let mut table = Table::new(&["a program that links", "packages", "clean build s"]);
    for (label, dependencies, body) in [
        ("waxseal-verify", ours.as_str(), OURS),
        (
            "sigstore-verify 0.15",
            "sigstore-verify = \"0.15\"\n",
            THEIRS,
        ),
    ] {
        let folder = tempfile::tempdir()?;
        write_package(folder.path(), &root, dependencies, body)?;
        let packages = count_packages(folder.path())?;
        let time = build(folder.path())?;
        table.row([
            label.to_owned(),
            packages.to_string(),
            format!("{:.0}", time.as_secs_f64()),
        ]);
    }
    println!("{table}");
    println!("targets: at most 62 packages under waxseal-verify; no slower than the peer");
    Ok(())
}

/// A package of its own, with the versions of our lock file.
fn write_package(folder: &Path, root: &Path, dependencies: &str, body: &str) -> Result<()> {
    let manifest = format!(
        "[package]\nname = \"linked\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [workspace]\n[dependencies]\n{dependencies}"
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    fs::create_dir(folder.join("src"))?;
    fs::write(
        folder.join("src/main.rs"),
        format!("fn main() {{\n{body}}}\n"),
    )?;
    Ok(())
}

fn count_packages(folder: &Path) -> Result<usize> {
    let output = cargo(folder)
        .args([
            "tree", "--edges", "normal", "--prefix", "none", "--format", "{p}",
        ])
        .output()?;
    ensure!(output.status.success(), "cargo tree: {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    let names = text.lines().map(|line| line.trim_end_matches(" (*)"));
    let mut packages: Vec<&str> = names.filter(|line| !line.is_empty()).collect();
    packages.sort_unstable();
    packages.dedup();
    // the program itself is none
    Ok(packages.len().saturating_sub(1))
}

/// Fetches first, so that the network is not measured.
fn build(folder: &Path) -> Result<Duration> {
    let fetched = cargo(folder).arg("fetch").status()?;
    ensure!(fetched.success(), "cargo fetch: {fetched}");
    let started = Instant::now();
    let built = cargo(folder)
        .args(["build", "--release", "--offline", "--jobs", "2"])
        .status()
        .context("cargo build")?;
    ensure!(built.success(), "cargo build: {built}");
    Ok(started.elapsed())
}

fn cargo(folder: &Path) -> Command {
    let mut command = Command::new("cargo");
    command
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .stdin(Stdio::null());
    command
}

//! The one foreign tool: `cargo-deny`, at one version, installed under `target/tools`.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::say;
use crate::steps::{cargo, root, run};

const CARGO_DENY: &str = "0.20.2";

/// The path of `cargo-deny`, built first if it is missing: two minutes on two cores, once.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let folder = root()
        .join("target/tools")
        .join(format!("cargo-deny-{CARGO_DENY}"));
    let path = folder
        .join("bin")
        .join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    if !path.exists() {
        say(&format!(
            "   installing cargo-deny {CARGO_DENY} into {}",
            folder.display()
        ));
        // Unoptimised: it reads one lock file, and compiles in a third of the time.
        run(cargo()
            .args([
                "install",
                "--quiet",
                "--locked",
                "--debug",
                "--no-default-features",
            ])
            .args(["cargo-deny", "--version", CARGO_DENY, "--root"])
            .arg(&folder))?;
    }
    ensure!(
        path.exists(),
        "{} is not there after its installation",
        path.display()
    );
    Ok(path)
}

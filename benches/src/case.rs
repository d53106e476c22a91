//! Cases of the public conformance suite.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// The corpus that the cases are from.
const CORPUS: &str = "sigstore-conformance/bundle-verify";

/// One bundle that verifies, with its artifact and its trusted root.
#[derive(Debug, Clone)]
pub struct Case {
    /// The folder's name.
    pub name: &'static str,
    /// The bundle, JSON.
    pub bundle: String,
    /// The artifact.
    pub artifact: Vec<u8>,
    /// The trusted root, JSON.
    pub trusted_root: String,
}

impl Case {
    /// Who signed every case of the suite that has a certificate.
    pub const IDENTITY: &'static str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
    /// The provider that vouches for it.
    pub const ISSUER: &'static str = "https://token.actions.githubusercontent.com";

    /// Reads a case.
    ///
    /// # Errors
    /// If the vectors are not there.
    pub fn read(name: &'static str) -> Result<Self> {
        let corpus = corpus()?;
        let folder = corpus.join(name);
        let text = |path: PathBuf| {
            std::fs::read_to_string(&path).with_context(|| path.display().to_string())
        };
        let own_root = folder.join("trusted_root.json");
        Ok(Self {
            name,
            bundle: text(folder.join("bundle.sigstore.json"))?,
            artifact: text(corpus.join("a.txt"))?.into_bytes(),
            trusted_root: if own_root.exists() {
                text(own_root)?
            } else {
                text(public_good())?
            },
        })
    }
}

/// The folder of the conformance suite.
///
/// # Errors
/// If it is not there.
pub fn corpus() -> Result<PathBuf> {
    let path = waxseal_tests_conformance::corpus(CORPUS);
    ensure!(
        path.is_dir(),
        "the vectors are not here: this bench reads the public conformance suite from {}",
        path.display()
    );
    Ok(path)
}

/// The trusted root of the public instance that is shipped.
pub fn public_good() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../crates/formats/data/trust/public-good.trusted_root.json")
}

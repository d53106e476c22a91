//! The clients: each signs and verifies by its own command line or library.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::instance::Instance;
use crate::program::run;
use crate::{Tool, root, workspace};

/// A client of a Sigstore instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Client {
    /// Ours.
    Waxseal,
    /// sigstore-python.
    Python,
    /// sigstore-js, the library.
    Js,
    /// cosign.
    Cosign,
}

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A file.
    Blob,
    /// An in-toto statement about it.
    Attestation,
}

/// The type of the predicate that is attested: the one that every client knows.
const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

impl Client {
    /// Every client.
    pub const ALL: [Self; 4] = [Self::Waxseal, Self::Python, Self::Js, Self::Cosign];

    /// The foreign program it is, if it is foreign.
    pub fn tool(self) -> Option<Tool> {
        match self {
            Self::Waxseal => None,
            Self::Python => Some(Tool::Python),
            Self::Js => Some(Tool::Js),
            Self::Cosign => Some(Tool::Cosign),
        }
    }

    /// Signs a file into a bundle, as whoever the token names.
    ///
    /// # Errors
    /// What the client says.
    pub fn sign(
        self,
        kind: Kind,
        instance: &Instance,
        work: &Work,
        bundle: &Path,
    ) -> Result<(), String> {
        let token = instance.token()?;
        let token_file = work.write("token", &token);
        let mut command = self.program()?;
        match (self, kind) {
            (Self::Waxseal, Kind::Blob) => command.arg("sign").arg(&work.artifact),
            (Self::Waxseal, Kind::Attestation) => command
                .arg("attest")
                .arg(&work.artifact)
                .args(["--type", "slsa1", "--predicate"])
                .arg(&work.predicate),
            (Self::Python, _) => {
                command
                    .arg("--trust-config")
                    .arg(instance.file("trust_config.json"));
                command.arg(if kind == Kind::Blob { "sign" } else { "attest" });
                command.args(["--identity-token", &token, "--overwrite"]);
                if kind == Kind::Attestation {
                    command.arg("--predicate").arg(&work.predicate);
                    command.args(["--predicate-type", PREDICATE_TYPE]);
                }
                command.arg("--bundle").arg(bundle).arg(&work.artifact)
            }
            (Self::Js, _) => {
                let (name, input) = match kind {
                    Kind::Blob => ("message", &work.artifact),
                    Kind::Attestation => ("attest", &work.statement),
                };
                command
                    .arg(script("sign.cjs"))
                    .arg(name)
                    .arg(instance.file("signing_config.json"))
                    .args([token_file.as_path(), input, bundle])
            }
            (Self::Cosign, _) => {
                command.arg(if kind == Kind::Blob {
                    "sign-blob"
                } else {
                    "attest-blob"
                });
                command
                    .arg("--yes")
                    .arg("--signing-config")
                    .arg(instance.file("signing_config.json"));
                command
                    .arg("--trusted-root")
                    .arg(instance.file("trusted_root.json"));
                if kind == Kind::Attestation {
                    command.arg("--predicate").arg(&work.predicate);
                    command.args(["--type", "slsaprovenance1"]);
                }
                command
                    .arg("--identity-token")
                    .arg(&token)
                    .arg("--bundle")
                    .arg(bundle)
                    .arg(&work.artifact)
            }
        };
        if self == Self::Waxseal {
            command.arg("--instance").arg(instance.data());
            command
                .arg("--identity-token")
                .arg(at(&token_file))
                .arg("--bundle")
                .arg(bundle);
        }
        run(&mut command)
    }

    /// Verifies a bundle about a file.
    ///
    /// # Errors
    /// What the client says.
    pub fn verify(
        self,
        kind: Kind,
        instance: &Instance,
        work: &Work,
        bundle: &Path,
        identity: &str,
    ) -> Result<(), String> {
        let issuer = instance.issuer();
        let mut command = self.program()?;
        match self {
            Self::Waxseal => command
                .arg("verify")
                .arg(&work.artifact)
                .arg("--instance")
                .arg(instance.data())
                .args(["--identity", identity, "--issuer", &issuer, "--bundle"])
                .arg(bundle),
            Self::Python => command
                .arg("--trust-config")
                .arg(instance.file("trust_config.json"))
                .args(["verify", "identity", "--cert-identity", identity])
                .args(["--cert-oidc-issuer", &issuer, "--bundle"])
                .arg(bundle)
                .arg(&work.artifact),
            Self::Js => {
                command
                    .arg(script("verify.cjs"))
                    .arg(instance.file("trusted_root.json"))
                    .arg(bundle)
                    .args([identity, &issuer]);
                // The library compares a statement with no artifact: that is its caller's part.
                match kind {
                    Kind::Blob => command.arg(&work.artifact),
                    Kind::Attestation => &mut command,
                }
            }
            Self::Cosign => {
                match kind {
                    Kind::Blob => command.arg("verify-blob"),
                    Kind::Attestation => {
                        command.args(["verify-blob-attestation", "--type", "slsaprovenance1"])
                    }
                };
                command
                    .arg("--trusted-root")
                    .arg(instance.file("trusted_root.json"))
                    .args(["--certificate-identity", identity])
                    .args(["--certificate-oidc-issuer", &issuer, "--bundle"])
                    .arg(bundle)
                    .arg(&work.artifact)
            }
        };
        run(&mut command)
    }

    fn program(self) -> Result<Command, String> {
        let path = match self.tool() {
            Some(tool) => tool.path().map_err(|unavailable| unavailable.0)?,
            None => crate::program::our("waxseal"),
        };
        let mut command = Command::new(path);
        command.env("NODE_PATH", root().join("npm/node_modules"));
        command.env("TUF_ROOT", std::env::temp_dir().join("waxseal-no-tuf"));
        Ok(command)
    }
}

fn script(name: &str) -> PathBuf {
    workspace().join("tests/interop/js").join(name)
}

fn at(path: &Path) -> OsString {
    let mut text = OsString::from("@");
    text.push(path);
    text
}

/// Files to work on, in a folder that goes away.
#[derive(Debug)]
pub struct Work {
    folder: tempfile::TempDir,
    /// What is signed.
    pub artifact: PathBuf,
    /// What is attested about it.
    pub predicate: PathBuf,
    /// Both in one statement.
    pub statement: PathBuf,
}

impl Work {
    /// Makes the files.
    ///
    /// # Panics
    /// If the system gives no temporary folder.
    #[expect(clippy::expect_used, reason = "a test without a folder has failed")]
    pub fn new(sha256: impl FnOnce(&[u8]) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let content = b"signed by many hands\n";
        let predicate = r#"{"buildDefinition":{"buildType":"https://example.com/build",
            "externalParameters":{}},"runDetails":{"builder":{"id":"https://example.com/builder"}}}"#;
        let statement = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"artifact",
            "digest":{{"sha256":"{}"}}}}],"predicateType":"{PREDICATE_TYPE}","predicate":{predicate}}}"#,
            sha256(content)
        );
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("a file in a temporary folder");
            path
        };
        Self {
            artifact: write("artifact", content),
            predicate: write("predicate.json", predicate.as_bytes()),
            statement: write("statement.json", statement.as_bytes()),
            folder,
        }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        drop(std::fs::write(&path, text));
        path
    }
}

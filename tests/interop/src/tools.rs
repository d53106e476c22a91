//! The foreign programs: where they are, and how they get there.
//!
//! They are installed from their registries into `target/interop`, once, at the versions of
//! `versions.toml`; where `CI` is not set they are used only if somebody installed them before
//! (`WAXSEAL_INTEROP=1` says: install them now).

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Failed, Trial};

/// One foreign program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tool {
    /// sigstore-python's command line.
    Python,
    /// sigstore-js, a library: the path is that of a Node.js that can load it.
    Js,
    /// cosign.
    Cosign,
    /// The log server rekor-tiles, on a directory.
    RekorTiles,
    /// The CA server Fulcio.
    Fulcio,
    /// The timestamp server.
    TimestampAuthority,
    /// How people log in with sigstore-js: its command line, a package of its own. The path is that
    /// of its `node_modules`; the library's Node.js runs it.
    JsLogin,
    /// What stands around the broker, from npm: the path is that of a Node.js that can load
    /// playwright-core, axe-core, oidc-provider and openid-client.
    NodeParts,
    /// What stands around the broker, from PyPI: the path is that of a Python that can import
    /// aiosmtpd and authlib.
    PythonParts,
    /// The checker of whole logs of Tessera, the library under rekor-tiles.
    TesseraFsck,
    /// The checker of whole CT logs of TesseraCT (static-ct-api).
    CtFsck,
    /// The client of CT logs of certificate-transparency-go (RFC 6962).
    CtClient,
    /// A client of gRPC, from PyPI: the path is that of a Python that can import grpcio and its
    /// health and reflection packages.
    PythonGrpc,
    /// A browser: the system's, or one that is installed from the system's own packages.
    Chromium,
}

/// Why a program cannot be used: the text says what to do.
#[derive(Debug, Clone)]
pub struct Unavailable(pub String);

impl Tool {
    /// Every program.
    pub const ALL: [Self; 14] = [
        Self::Python,
        Self::Js,
        Self::Cosign,
        Self::RekorTiles,
        Self::Fulcio,
        Self::TimestampAuthority,
        Self::JsLogin,
        Self::NodeParts,
        Self::PythonParts,
        Self::TesseraFsck,
        Self::CtFsck,
        Self::CtClient,
        Self::PythonGrpc,
        Self::Chromium,
    ];

    /// The program's path, installed first where that is wanted.
    ///
    /// # Errors
    /// [`Unavailable`] if it is not installed and must not be, or its installation failed.
    pub fn path(self) -> Result<PathBuf, Unavailable> {
        let path = self.location();
        if path.exists() {
            return Ok(path);
        }
        if !crate::wanted() {
            return Err(Unavailable(format!(
                "{self:?} is not installed; WAXSEAL_INTEROP=1 installs it into target/interop"
            )));
        }
        self.install()?;
        if path.exists() {
            Ok(path)
        } else {
            Err(Unavailable(format!(
                "{self:?}: installed, but {} is not there",
                path.display()
            )))
        }
    }

    fn location(self) -> PathBuf {
        let root = root();
        match self {
            Self::Python => root.join("python/bin/sigstore"),
            Self::Js => root.join("npm/node_modules/node/bin/node"),
            Self::Cosign => root.join("go/cosign"),
            Self::RekorTiles => root.join("go/posix"),
            Self::Fulcio => root.join("go/fulcio"),
            Self::TesseraFsck => root.join("go/fsck"),
            // Another program of the same name.
            Self::CtFsck => root.join("go/ct/fsck"),
            Self::CtClient => root.join("go/ctclient"),
            Self::TimestampAuthority => root.join("go/timestamp-server"),
            Self::JsLogin => root.join("js-login/node_modules"),
            Self::NodeParts => root.join("web/node_modules/node/bin/node"),
            Self::PythonParts => root.join("web-python/bin/python"),
            Self::PythonGrpc => root.join("grpc-python/bin/python"),
            Self::Chromium => on_path(&CHROMIUM).unwrap_or_else(|| PathBuf::from(CHROMIUM[0])),
        }
    }

    fn install(self) -> Result<(), Unavailable> {
        let root = root();
        std::fs::create_dir_all(&root)
            .map_err(|e| Unavailable(format!("{}: {e}", root.display())))?;
        let programs = root.join("go");
        match self {
            Self::Python => python(&root.join("python"), &["sigstore"]),
            Self::Js => npm(&root.join("npm"), &["node", "sigstore"]),
            Self::JsLogin => npm(&root.join("js-login"), &["@sigstore/cli"]),
            Self::NodeParts => npm(&root.join("web"), &NODE_PARTS),
            Self::PythonParts => python(&root.join("web-python"), &PYTHON_PARTS),
            Self::PythonGrpc => python(&root.join("grpc-python"), &PYTHON_GRPC),
            Self::Chromium => {
                run(Command::new("apt-get").args(["update", "--quiet"]))?;
                let install = ["install", "--quiet", "--yes", "chromium"];
                run(Command::new("apt-get").args(install))
            }
            Self::Cosign => go(&programs, "cosign", None),
            Self::RekorTiles => go(&programs, "rekor-tiles", Some(NEWER_GO)),
            Self::Fulcio => go(&programs, "fulcio", Some(NEWER_GO)),
            Self::TesseraFsck => go(&programs, "tessera-fsck", Some(NEWER_GO)),
            Self::CtFsck => go(&root.join("go/ct"), "ct-fsck", Some(NEWER_GO)),
            Self::CtClient => go(&programs, "ctclient", Some(NEWER_GO)),
            Self::TimestampAuthority => go(&programs, "timestamp-authority", Some(NEWER_GO)),
        }
    }
}

/// A test that needs foreign programs: where one is missing it is shown as ignored, with the reason,
/// or fails where they are wanted.
pub fn trial(
    name: &str,
    tools: &[Tool],
    test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let missing = tools.iter().filter_map(|tool| tool.path().err()).next();
    match missing {
        None => Trial::test(name, test),
        Some(Unavailable(reason)) => {
            let name = format!("{name} ({})", reason.lines().next().unwrap_or_default());
            Trial::test(name, move || Err(Failed::from(reason))).with_ignored_flag(!crate::wanted())
        }
    }
}

const NODE_PARTS: [&str; 5] = [
    "node",
    "playwright-core",
    "axe-core",
    "oidc-provider",
    "openid-client",
];

const PYTHON_PARTS: [&str; 3] = ["aiosmtpd", "authlib", "requests"];

const PYTHON_GRPC: [&str; 3] = ["grpcio", "grpcio-health-checking", "grpcio-reflection"];

/// What distributions call it.
const CHROMIUM: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
];

#[expect(
    clippy::disallowed_methods,
    reason = "a program of the system is where the system looks for it"
)]
fn on_path(names: &[&str]) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&folders).collect();
    let mut paths = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    paths.find(|path| path.is_file())
}

fn python(venv: &Path, packages: &[&str]) -> Result<(), Unavailable> {
    run(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
    let wanted = packages
        .iter()
        .map(|name| format!("{name}=={}", version("python", name)));
    run(Command::new(venv.join("bin/pip"))
        .args(["install", "--quiet"])
        .args(wanted))
}

fn npm(folder: &Path, packages: &[&str]) -> Result<(), Unavailable> {
    std::fs::create_dir_all(folder)
        .map_err(|e| Unavailable(format!("{}: {e}", folder.display())))?;
    let wanted = packages
        .iter()
        .map(|name| format!("{name}@{}", version("npm", name)));
    run(Command::new("npm")
        .args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"])
        .arg(folder)
        .args(wanted))
}

/// The toolchain that the servers ask for; Go fetches it by itself.
const NEWER_GO: &str = "go1.27.0";

fn go(folder: &Path, name: &str, toolchain: Option<&str>) -> Result<(), Unavailable> {
    let mut command = Command::new("go");
    command
        .arg("install")
        .arg(version("go", name))
        .env("GOBIN", folder);
    if let Some(toolchain) = toolchain {
        command.env("GOTOOLCHAIN", toolchain);
    }
    run(&mut command)
}

fn run(command: &mut Command) -> Result<(), Unavailable> {
    let shown = format!("{command:?}");
    let output = command
        .output()
        .map_err(|e| Unavailable(format!("{shown}: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = text.lines().rev().take(8).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    Err(Unavailable(format!(
        "{shown}: {}\n{}",
        output.status,
        tail.join("\n")
    )))
}

fn version(table: &str, name: &str) -> String {
    let versions: toml::Table = include_str!("../versions.toml").parse().unwrap_or_default();
    let found = versions
        .get(table)
        .and_then(|t| t.get(name))
        .and_then(toml::Value::as_str);
    found.unwrap_or_default().to_owned()
}

/// The folder of the programs.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/interop")
}

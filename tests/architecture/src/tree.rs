//! The files of a repository, read once: from a folder, or made by a test.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Source;

/// Folders that are not ours: build output, the instance's data, version control.
const SKIPPED: &[&str] = &["target", ".git", "waxseal-data", "node_modules"];

/// What the rules read besides Rust.
const TEXT: &[&str] = &[
    "toml", "md", "sh", "yml", "yaml", "py", "cjs", "mjs", "js", "json",
];

/// The files of a repository.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    sources: Vec<Source>,
    texts: BTreeMap<String, String>,
}

/// Why a tree could not be read.
#[derive(Debug)]
pub struct TreeError {
    /// The file or folder.
    pub path: String,
    /// What the system said.
    pub source: std::io::Error,
}

impl std::fmt::Display for TreeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.source)
    }
}

impl std::error::Error for TreeError {}

impl Tree {
    /// Reads the tree under `root`.
    ///
    /// # Errors
    /// [`TreeError`] if a folder or a file cannot be read.
    pub fn read(root: &Path) -> Result<Self, TreeError> {
        let mut tree = Self::default();
        tree.walk(root, "")?;
        Ok(tree)
    }

    /// Makes a tree of `(path, text)` pairs.
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.add(path, text.to_owned());
        }
        tree
    }

    /// The Rust files.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// All other text files by path, and the files at the root without an ending.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// One file that is not Rust.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// The packages of the workspace: folder, and manifest as a table (empty if it is not TOML). One
    /// that is a workspace of its own (the fuzz targets) inherits nothing.
    pub fn packages(&self) -> impl Iterator<Item = (&str, toml::Table)> {
        self.texts().filter_map(|(path, text)| {
            let folder = path.strip_suffix("/Cargo.toml")?;
            let manifest: toml::Table = text.parse().unwrap_or_default();
            let outside = manifest.contains_key("workspace");
            (!outside).then_some((folder, manifest))
        })
    }

    fn add(&mut self, path: &str, text: String) {
        if path.ends_with(".rs") {
            self.sources.push(Source::new(path, &text));
        } else {
            self.texts.insert(path.to_owned(), text);
        }
    }

    fn walk(&mut self, root: &Path, folder: &str) -> Result<(), TreeError> {
        let here = root.join(folder);
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |source| TreeError { path, source }
        };
        for entry in std::fs::read_dir(&here).map_err(failed(&here))? {
            let entry = entry.map_err(failed(&here))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() {
                name.clone()
            } else {
                format!("{folder}/{name}")
            };
            let kind = entry.file_type().map_err(failed(&entry.path()))?;
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                self.walk(root, &path)?;
            }
            let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
            let read = ending == "rs" || TEXT.contains(&ending) || !name.contains('.');
            if kind.is_file() && read {
                let bytes = std::fs::read(entry.path()).map_err(failed(&entry.path()))?;
                self.add(&path, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        Ok(())
    }
}

//! Where an artifact's bundles are: said, or found beside it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::artifact::ArtifactArg;
use crate::outcome::{Class, Failure};

/// The largest file of bundles that is read.
const MAX_FILE: u64 = 32 << 20;

/// How many bundles of one file are tried.
const MAX_BUNDLES: usize = 64;

/// The names that are looked for, in this order (client specification §4.1.1, and JSON Lines).
const ENDINGS: [&str; 3] = [".sigstore.json", ".sigstore", ".sigstore.jsonl"];

/// The bundles of one file, not parsed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BundleFile {
    /// Where they come from.
    pub(crate) path: PathBuf,
    /// Each bundle's JSON; at least one.
    pub(crate) bundles: Vec<Vec<u8>>,
}

/// Reads the bundles that were said, or those beside the artifact.
///
/// # Errors
/// [`Class::NotFound`] if there are none, [`Class::Usage`] if the file that was said cannot be read,
/// [`Class::Malformed`] if it is too large or empty.
pub(crate) fn bundles(artifact: &ArtifactArg, said: Option<&Path>) -> Result<BundleFile, Failure> {
    if let Some(path) = said {
        return read(path);
    }
    let ArtifactArg::File(file) = artifact else {
        let message = "nothing is beside it to find a bundle by";
        return Err(Failure::new(Class::NotFound, "bundle-missing", message).hint("--bundle FILE"));
    };
    let candidates = ENDINGS.map(|ending| {
        let mut name = file.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    });
    match candidates.iter().find(|path| path.exists()) {
        Some(path) => read(path),
        None => {
            let looked: Vec<String> = candidates
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            Err(
                Failure::new(Class::NotFound, "bundle-missing", "no bundle is beside it")
                    .expected(looked.join(", "), "none of them")
                    .hint("--bundle FILE, if it is elsewhere"),
            )
        }
    }
}

fn read(path: &Path) -> Result<BundleFile, Failure> {
    let unreadable = |error: std::io::Error| {
        let message = format!("the bundle {} cannot be read", path.display());
        let class = match error.kind() {
            std::io::ErrorKind::NotFound => Class::NotFound,
            _ => Class::Usage,
        };
        Failure::new(class, "bundle-unreadable", message).because(&error)
    };
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin()
            .take(MAX_FILE + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MAX_FILE + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    }
    let too_large = !u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_FILE);
    if too_large {
        let message = format!("the bundle {} is larger than 32 MiB", path.display());
        return Err(Failure::new(Class::Malformed, "bundle-too-large", message));
    }
    let bundles = if path.extension().is_some_and(|ending| ending == "jsonl") {
        lines(path, &bytes)?
    } else {
        vec![bytes]
    };
    Ok(BundleFile {
        path: path.to_owned(),
        bundles,
    })
}

/// The bundles of a JSON Lines file; blank lines are none.
fn lines(path: &Path, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let lines: Vec<Vec<u8>> = bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .take(MAX_BUNDLES + 1)
        .map(<[u8]>::to_vec)
        .collect();
    match lines.len() {
        0 => {
            let message = format!("{} holds no bundle", path.display());
            Err(Failure::new(Class::NotFound, "bundle-missing", message))
        }
        1..=MAX_BUNDLES => Ok(lines),
        _ => {
            let message = format!("{} holds more than {MAX_BUNDLES} bundles", path.display());
            Err(Failure::new(Class::Malformed, "too-many-bundles", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], said: Option<&str>, expected: Result<&str, Class>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let artifact = ArtifactArg::File(folder.path().join("a"));
        let said = said.map(|name| folder.path().join(name));
        let found = bundles(&artifact, said.as_deref());
        let name = found
            .as_ref()
            .map(|f| f.path.file_name().unwrap().to_str().unwrap());
        assert_eq!(name.map_err(|failure| failure.class), expected, "{files:?}");
    }

    #[test]
    fn v2_the_order_of_discovery() {
        check(
            &[("a.sigstore.json", "{}"), ("a.sigstore", "{}")],
            None,
            Ok("a.sigstore.json"),
        );
        check(
            &[("a.sigstore", "{}"), ("a.sigstore.jsonl", "{}")],
            None,
            Ok("a.sigstore"),
        );
        check(&[("a.sigstore.jsonl", "{}")], None, Ok("a.sigstore.jsonl"));
        check(
            &[("a.sigstore.json", "{}"), ("b", "{}")],
            Some("b"),
            Ok("b"),
        );
        check(
            &[("a", ""), ("b.sigstore.json", "{}")],
            None,
            Err(Class::NotFound),
        );
        // What was said and is not there is not looked for elsewhere.
        check(
            &[("a.sigstore.json", "{}")],
            Some("b"),
            Err(Class::NotFound),
        );
    }

    #[test]
    fn a_file_of_lines_holds_at_least_one_bundle() {
        let name = "a.sigstore.jsonl";
        check(&[(name, "\n \n")], None, Err(Class::NotFound));
        check(&[(name, &"{}\n".repeat(MAX_BUNDLES))], None, Ok(name));
        check(
            &[(name, &"{}\n".repeat(MAX_BUNDLES + 1))],
            None,
            Err(Class::Malformed),
        );
    }

    #[test]
    fn a_digest_has_nothing_beside_it() {
        let digest = waxseal_crypto::Digest::of(waxseal_crypto::HashAlgorithm::Sha256, b"");
        let found = bundles(&ArtifactArg::Digest(digest), None);
        assert_eq!(found.unwrap_err().class, Class::NotFound);
    }
}

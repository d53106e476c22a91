//! What is to be verified: a file, stdin, or a digest.

use std::fs::File;
use std::io::{Read, Seek as _};
use std::path::PathBuf;

use waxseal_crypto::{Digest, HashAlgorithm};

use crate::outcome::{Class, Failure};

/// The largest artifact that is read into memory, for keys that sign whole messages.
const MAX_IN_MEMORY: u64 = 1 << 30;

/// One artifact of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ArtifactArg {
    /// A file.
    File(PathBuf),
    /// What comes in on stdin.
    Stdin,
    /// A digest: the artifact itself is elsewhere.
    Digest(Digest),
}

impl ArtifactArg {
    /// Reads `-`, `sha256:HEX` (and 384, 512), or a path. Text that has the form of a digest but is
    /// the name of a file is the file.
    ///
    /// # Errors
    /// [`Class::Usage`] for a digest that is cut short or not hexadecimal.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        let path = PathBuf::from(text);
        let Some((name, hex)) = text.split_once(':').filter(|_| !path.exists()) else {
            return Ok(Self::File(path));
        };
        let algorithm = match name {
            "sha256" => HashAlgorithm::Sha256,
            "sha384" => HashAlgorithm::Sha384,
            "sha512" => HashAlgorithm::Sha512,
            _ => return Ok(Self::File(path)),
        };
        let bytes = from_hex(hex).ok_or_else(|| {
            Failure::usage(format!(
                "{text}: not a digest: expected hexadecimal digits after {name}:"
            ))
        })?;
        let digest = Digest::new(algorithm, &bytes).map_err(|error| {
            Failure::usage(format!("{text}: not a digest"))
                .because(&error)
                .hint(format!(
                    "{name} has {} hexadecimal digits",
                    2 * algorithm.len()
                ))
        })?;
        Ok(Self::Digest(digest))
    }

    /// Opens a file; `None` for digests and stdin.
    ///
    /// # Errors
    /// [`Class::Usage`] if there is no such file, or it is a directory.
    pub(crate) fn open(&self) -> Result<Option<File>, Failure> {
        let Self::File(path) = self else {
            return Ok(None);
        };
        let failed = |error: &std::io::Error| {
            Failure::new(
                Class::Usage,
                "artifact-unreadable",
                "the file cannot be read",
            )
            .because(error)
        };
        let file = File::open(path).map_err(|error| failed(&error))?;
        let metadata = file.metadata().map_err(|error| failed(&error))?;
        if metadata.is_dir() {
            return Err(Failure::new(
                Class::Usage,
                "artifact-unreadable",
                "this is a directory",
            ));
        }
        Ok(Some(file))
    }
}

/// The bytes of a file from its start, for keys that sign whole messages.
///
/// # Errors
/// [`Class::Malformed`] if it is larger than what is held in memory.
pub(crate) fn read_whole(file: &mut File) -> Result<Vec<u8>, Failure> {
    let failed = |error: &std::io::Error| {
        Failure::new(
            Class::Internal,
            "artifact-unreadable",
            "the file cannot be read",
        )
        .because(error)
    };
    file.rewind().map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(MAX_IN_MEMORY + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_IN_MEMORY) {
        Ok(bytes)
    } else {
        Err(Failure::new(
            Class::Malformed,
            "artifact-too-large",
            "this kind of key signs whole messages, and the file is larger than 1 GiB",
        ))
    }
}

impl std::fmt::Display for ArtifactArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Stdin => f.write_str("stdin"),
            Self::Digest(digest) => write!(f, "{digest}"),
        }
    }
}

/// Bytes of hexadecimal digits of either case; `None` if they are not.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits?;
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| u8::try_from(pair.iter().fold(0, |byte, digit| byte * 16 + digit)).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifacts_of_the_command_line() {
        let empty = Digest::of(HashAlgorithm::Sha256, b"");
        let hex = empty.to_hex();
        let check = |text: &str, expected: Option<ArtifactArg>| {
            assert_eq!(ArtifactArg::parse(text).ok(), expected, "{text}");
        };
        check("-", Some(ArtifactArg::Stdin));
        check("a.txt", Some(ArtifactArg::File("a.txt".into())));
        check("C:a.txt", Some(ArtifactArg::File("C:a.txt".into())));
        check(&format!("sha256:{hex}"), Some(ArtifactArg::Digest(empty)));
        check(
            &format!("sha256:{}", hex.to_uppercase()),
            Some(ArtifactArg::Digest(empty)),
        );
        check("sha256:", None);
        check("sha256:00", None);
        check(&format!("sha256:{hex}0"), None);
        check(&format!("sha256:{hex}00"), None);
        check(&format!("sha256:{}", hex.replace('e', "g")), None);
        check(&format!("sha512:{hex}"), None);
    }

    #[test]
    fn a_file_that_is_named_like_a_digest_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sha256:00");
        std::fs::write(&path, "x").unwrap();
        let text = path.to_str().unwrap();
        assert_eq!(
            ArtifactArg::parse(text).unwrap(),
            ArtifactArg::File(path.clone())
        );
    }
}

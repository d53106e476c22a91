//! `waxseal sign`: one certificate, one bundle for each file.

pub(crate) mod explain;
pub(crate) mod progress;
pub(crate) mod run;
pub(crate) mod write;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use waxseal_crypto::{Digest, HashAlgorithm, Hasher};
use waxseal_sign::Payload;

use crate::args::SignArgs;
use crate::outcome::{Class, Failed, Failure};
use run::{Job, Run};
use write::Target;

/// Signs every file; a failure of one does not stop the others.
///
/// # Errors
/// The class of the first failure.
pub(crate) fn run(args: &SignArgs) -> Result<(), Failed> {
    let targets = Target::of_files(&args.files, &args.bundle)?;
    let run = Run::new(&args.signer, &args.trust, &args.services, args.output)?;
    let hash = run.hash_algorithm();
    let jobs = args
        .files
        .iter()
        .zip(targets)
        .map(|(file, target)| {
            let payload = Payload::artifact(digest(file, hash)?);
            Ok(Job {
                name: file.display().to_string(),
                payload,
                target,
            })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    run.sign(&jobs)
}

/// How the encoding of an envelope begins (DSSE v1, PAE).
const ENVELOPE: &[u8] = b"DSSEv1 ";

/// The digest of a file, in constant memory.
///
/// # Errors
/// [`Class::Usage`] if it cannot be read; [`Class::Refused`] if it is what is signed in place of a
/// statement: whoever made the file could turn the signature over it into an attestation.
pub(crate) fn digest(path: &Path, algorithm: HashAlgorithm) -> Result<Digest, Failure> {
    let unreadable = |error: std::io::Error| {
        let message = format!("{} cannot be read", path.display());
        Failure::new(Class::Usage, "artifact-unreadable", message).because(&error)
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; 64 * 1024];
    let mut start: Vec<u8> = Vec::with_capacity(ENVELOPE.len());
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(length) => {
                let read = buffer.get(..length).unwrap_or_default();
                start.extend(read.iter().take(ENVELOPE.len() - start.len()));
                if start == ENVELOPE {
                    return Err(envelope_refused(path));
                }
                hasher.update(read);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
}

fn envelope_refused(path: &Path) -> Failure {
    let message = format!(
        "{} is the encoding of a DSSE envelope: a signature over it would be an attestation",
        path.display()
    );
    Failure::new(Class::Refused, "envelope-as-artifact", message).hint(
        "waxseal attest --statement FILE signs a statement; an archive of the file can be signed",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_of_an_envelope_is_no_artifact() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let check = |content: &[u8], expected: Option<Class>| {
            std::fs::write(file.path(), content).unwrap();
            let found = digest(file.path(), HashAlgorithm::Sha256);
            assert_eq!(found.err().map(|failure| failure.class), expected);
        };
        check(b"", None);
        check(b"DSSEv1", None);
        check(b"a DSSEv1 4 text", None);
        check(
            b"DSSEv1 28 application/vnd.in-toto+json 2 {}",
            Some(Class::Refused),
        );
    }
}

//! `waxseal sign`: one certificate, one bundle for each file.

pub(crate) mod explain;
pub(crate) mod login;
mod progress;
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

/// The digest of a file, in constant memory.
pub(crate) fn digest(path: &Path, algorithm: HashAlgorithm) -> Result<Digest, Failure> {
    let unreadable = |error: std::io::Error| {
        let message = format!("{} cannot be read", path.display());
        Failure::new(Class::Usage, "artifact-unreadable", message).because(&error)
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(length) => hasher.update(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
}

//! `waxseal attest`: a statement about each file, signed.

use std::io::Read as _;
use std::path::Path;

use serde::Serialize;
use serde_json::value::RawValue;
use waxseal_crypto::HashAlgorithm;
use waxseal_formats::MAX_STATEMENT_BYTES;
use waxseal_sign::Payload;

use crate::args::AttestArgs;
use crate::outcome::{Class, Failed, Failure};
use crate::predicate::{predicate_type, short_names};
use crate::sign::digest;
use crate::sign::run::{Job, Run};
use crate::sign::write::Target;

/// An in-toto statement, version 1.
#[derive(Serialize)]
struct Statement<'a> {
    #[serde(rename = "_type")]
    statement_type: &'static str,
    subject: [Subject<'a>; 1],
    #[serde(rename = "predicateType")]
    predicate_type: &'a str,
    predicate: &'a RawValue,
}

#[derive(Serialize)]
struct Subject<'a> {
    name: &'a str,
    digest: Digests,
}

#[derive(Serialize)]
struct Digests {
    sha256: String,
}

/// Signs a statement about every file, or the one that was said.
///
/// # Errors
/// The class of the first failure.
pub(crate) fn run(args: &AttestArgs) -> Result<(), Failed> {
    let jobs = match &args.statement {
        Some(path) => vec![said(path, args)?],
        None => about_files(args)?,
    };
    let run = Run::new(&args.signer, &args.trust, &args.services, args.output)?;
    run.sign(&jobs)
}

fn said(path: &Path, args: &AttestArgs) -> Result<Job, Failure> {
    let mut targets = Target::of_files(&[path.to_owned()], &args.bundle)?;
    let target = targets
        .pop()
        .ok_or_else(|| Failure::usage("no statement"))?;
    let json = read(path)?;
    Ok(Job {
        name: path.display().to_string(),
        payload: payload(path, json)?,
        target,
    })
}

fn about_files(args: &AttestArgs) -> Result<Vec<Job>, Failure> {
    let targets = Target::of_files(&args.files, &args.bundle)?;
    let word = args.predicate_type.as_deref().unwrap_or_default();
    let predicate_type = predicate_type(word).ok_or_else(|| {
        Failure::usage(format!("--type {word}: neither a URI nor a short name"))
            .hint(format!("short names: {}", short_names()))
    })?;
    let predicate_path = args.predicate.as_deref().unwrap_or(Path::new(""));
    let text = read(predicate_path)?;
    let malformed = |error: &dyn std::error::Error| {
        let message = format!("the predicate {} is not JSON", predicate_path.display());
        Failure::new(Class::Malformed, "predicate-malformed", message).because(error)
    };
    let text = String::from_utf8(text).map_err(|error| malformed(&error))?;
    let predicate = RawValue::from_string(text).map_err(|error| malformed(&error))?;
    let jobs = args.files.iter().zip(targets).map(|(file, target)| {
        let name = file
            .file_name()
            .unwrap_or(file.as_os_str())
            .to_string_lossy();
        let statement = Statement {
            statement_type: "https://in-toto.io/Statement/v1",
            subject: [Subject {
                name: &name,
                digest: Digests {
                    sha256: digest(file, HashAlgorithm::Sha256)?.to_hex(),
                },
            }],
            predicate_type,
            predicate: &predicate,
        };
        let json = serde_json::to_vec(&statement).map_err(|error| malformed(&error))?;
        Ok(Job {
            name: file.display().to_string(),
            payload: payload(file, json)?,
            target,
        })
    });
    jobs.collect()
}

fn payload(path: &Path, json: Vec<u8>) -> Result<Payload, Failure> {
    Payload::statement(json).map_err(|error| {
        let message = format!("the statement of {} cannot be signed", path.display());
        Failure::new(Class::Malformed, "statement-malformed", message).because(&error)
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: std::io::Error| {
        let message = format!("{} cannot be read", path.display());
        Failure::new(Class::Usage, "artifact-unreadable", message).because(&error)
    };
    let limit = u64::try_from(MAX_STATEMENT_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}

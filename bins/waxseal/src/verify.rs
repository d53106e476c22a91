//! `waxseal verify`: one verdict for each artifact, said where it is made.

mod checks;
pub(crate) mod explain;
mod plan;
pub(crate) mod report;

use std::fs::File;
use std::io::Seek as _;

use waxseal_formats::Bundle;
use waxseal_verify::{Artifact, Verified, VerifyError, VerifyReaderError};

use crate::args::VerifyArgs;
use crate::artifact::{ArtifactArg, read_whole};
use crate::discover;
use crate::outcome::{Class, Failed, Failure};
use plan::Plan;
use report::Report;

/// Verifies every artifact; a failure does not stop the next.
///
/// # Errors
/// The class of the first failure.
pub(crate) fn run(args: &VerifyArgs) -> Result<(), Failed> {
    let plan = Plan::of(args)?;
    let report = Report::new(args.output, &plan.trust);
    report.warn(&plan.warnings);
    let mut first = None;
    for text in &args.artifacts {
        let verdict = verify(text, args, &plan);
        if let Err(failure) = &verdict {
            first.get_or_insert(failure.class);
        }
        report
            .say(text, verdict.as_ref())
            .map_err(|error| report::unwritable(&error))?;
    }
    first.map_or(Ok(()), |class| Err(Failed::Said(class)))
}

/// One artifact: any of its bundles suffices; where none does, the failure of the one that came
/// furthest is told.
fn verify(text: &str, args: &VerifyArgs, plan: &Plan) -> Result<Verified, Failure> {
    let artifact = ArtifactArg::parse(text)?;
    let mut file = artifact.open()?;
    let found = discover::bundles(&artifact, args.bundle.as_deref())?;
    if artifact == ArtifactArg::Stdin && found.bundles.len() > 1 {
        return Err(Failure::usage(
            "stdin can be read once, and there are several bundles",
        ));
    }
    let mut furthest: Option<(usize, Failure)> = None;
    for json in &found.bundles {
        match with_bundle(&artifact, file.as_mut(), json, plan) {
            Ok(verified) => return Ok(verified),
            Err((rank, failure)) => {
                if furthest
                    .as_ref()
                    .is_none_or(|(reached, _)| *reached <= rank)
                {
                    furthest = Some((rank, failure));
                }
            }
        }
    }
    // There is at least one bundle, or discovery had failed.
    let missing = || Failure::new(Class::NotFound, "bundle-missing", "there is no bundle");
    Err(furthest.map_or_else(missing, |(_, failure)| failure))
}

/// How far a bundle came (nowhere, if it is not even one), and why not further.
type Reached = (usize, Failure);

fn with_bundle(
    artifact: &ArtifactArg,
    file: Option<&mut File>,
    json: &[u8],
    plan: &Plan,
) -> Result<Verified, Reached> {
    let bundle = Bundle::from_json(json).map_err(|error| (0, explain::bundle(&error)))?;
    let refused = |error: VerifyError| {
        let failure = explain::refusal(&error, &bundle);
        let failure = explain::with_skipped(failure, &error, plan.verifier.skipped());
        (error.rank() + 1, failure)
    };
    let broken = |error: VerifyReaderError| match error {
        VerifyReaderError::Verify(error) => refused(error),
        other => (0, explain::unreadable(&other)),
    };
    let verifier = &plan.verifier;
    match (artifact, file) {
        (ArtifactArg::Digest(digest), _) => verifier
            .verify(Artifact::digest(*digest), &bundle, &plan.policy, plan.now)
            .map_err(refused),
        (_, Some(file)) => {
            file.rewind().map_err(|error| broken(error.into()))?;
            match verifier.verify_reader(&mut *file, &bundle, &plan.policy, plan.now) {
                // Keys that sign whole messages need the artifact in memory.
                Err(VerifyReaderError::Verify(VerifyError::ArtifactNeeded)) => {
                    let bytes = read_whole(file).map_err(|failure| (0, failure))?;
                    verifier
                        .verify(Artifact::bytes(&bytes), &bundle, &plan.policy, plan.now)
                        .map_err(refused)
                }
                verdict => verdict.map_err(broken),
            }
        }
        _ => verifier
            .verify_reader(std::io::stdin().lock(), &bundle, &plan.policy, plan.now)
            .map_err(broken),
    }
}

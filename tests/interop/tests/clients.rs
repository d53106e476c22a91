//! The matrix of clients: each signs against `waxseald up`, and each verifies what each signed.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use waxseal_crypto::{Digest, HashAlgorithm};
use waxseal_tests_interop::{Client, IDENTITY, Instance, Kind, Work, wanted};

/// One instance for all of them, and every bundle that was made.
struct Matrix {
    instance: Instance,
    work: Work,
    bundles: [[OnceLock<Result<PathBuf, String>>; 2]; 4],
}

impl Matrix {
    fn new() -> Result<Self, String> {
        Ok(Self {
            instance: Instance::start()?,
            work: Work::new(|bytes| Digest::of(HashAlgorithm::Sha256, bytes).to_hex()),
            bundles: Default::default(),
        })
    }

    /// The bundle of a signer, made when it is first asked for.
    fn bundle(&self, signer: Client, kind: Kind) -> Result<PathBuf, String> {
        let row = Client::ALL
            .iter()
            .position(|client| *client == signer)
            .unwrap();
        let column = usize::from(kind == Kind::Attestation);
        let made = self.bundles[row][column].get_or_init(|| {
            let path = self
                .work
                .path(&format!("{signer:?}-{kind:?}.sigstore.json"));
            signer
                .sign(kind, &self.instance, &self.work, &path)
                .map(|()| path)
        });
        made.clone()
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let matrix: Arc<OnceLock<Result<Matrix, String>>> = Arc::default();
    let mut trials = Vec::new();
    for kind in [Kind::Blob, Kind::Attestation] {
        for signer in Client::ALL {
            for verifier in Client::ALL {
                let matrix = Arc::clone(&matrix);
                trials.push(cell(&matrix, signer, verifier, kind));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What two foreign clients do not agree on among themselves, by what the verifier says.
fn known_gap(signer: Client, verifier: Client, kind: Kind) -> Option<&'static str> {
    match (kind, signer, verifier) {
        // sigstore-js logs envelopes as entries of kind dsse 0.0.2, which these two do not know;
        // cosign then takes the bundle for one of its older format.
        (Kind::Attestation, Client::Js, Client::Python) => Some("dsse/0.0.2"),
        (Kind::Attestation, Client::Js, Client::Cosign) => Some("--new-bundle-format"),
        // cosign attests with statements of version 0.1, sigstore-python reads version 1.
        (Kind::Attestation, Client::Cosign, Client::Python) => Some("Statement/v0.1"),
        _ => None,
    }
}

fn cell(
    matrix: &Arc<OnceLock<Result<Matrix, String>>>,
    signer: Client,
    verifier: Client,
    kind: Kind,
) -> Trial {
    let name = format!("{kind:?}: {signer:?} signs, {verifier:?} verifies");
    let tools = [signer, verifier].into_iter().filter_map(Client::tool);
    let missing = tools.filter_map(|tool| tool.path().err()).next();
    if let Some(missing) = missing {
        let reason = missing.0;
        let name = format!("{name} ({})", reason.lines().next().unwrap_or_default());
        return Trial::test(name, move || Err(Failed::from(reason))).with_ignored_flag(!wanted());
    }
    let matrix = Arc::clone(matrix);
    Trial::test(name, move || {
        let matrix = matrix.get_or_init(Matrix::new).as_ref()?;
        let bundle = matrix.bundle(signer, kind)?;
        let (instance, work) = (&matrix.instance, &matrix.work);
        let verdict = verifier.verify(kind, instance, work, &bundle, IDENTITY);
        if let Some(gap) = known_gap(signer, verifier, kind) {
            return match verdict {
                Err(said) if said.contains(gap) => Ok(()),
                Err(said) => Err(Failed::from(format!("expected {gap:?} in:\n{said}"))),
                Ok(()) => Err(Failed::from(format!(
                    "the gap {gap:?} has healed: remove its row"
                ))),
            };
        }
        verdict?;
        let mallory = verifier.verify(kind, instance, work, &bundle, "mallory@example.com");
        match mallory {
            Err(_) => Ok(()),
            Ok(()) => Err(Failed::from("a bundle was accepted as somebody else's")),
        }
    })
}

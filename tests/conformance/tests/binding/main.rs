//! Nothing in a bundle can be changed: every byte flipped, every component of one bundle put into
//! every other one, and none of it accepted but what `unbound.toml` lists with its reason.
//!
//! With `WAXSEAL_SOAK` set every mutation is tried; otherwise every n-th one, always the same ones.
//! Both counts are pinned, and so is what was accepted: a row of the table that nothing needs any
//! more fails the full run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may panic, and prints what it counted"
)]

mod case;
mod difference;
mod flips;
mod grafts;
mod trace;
mod unbound;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use waxseal_formats::TrustedRoot;
use waxseal_tests_conformance::run;

use case::Case;
use trace::{Trace, Verdict, is_soak};

/// The bundles: v0.1 to v0.3, logs of version 1 and 2, `hashedrekord`, `dsse` and `intoto`, chains
/// and single certificates, a managed key, timestamps with and without certificates, cosignatures.
const BUNDLES: [&str; 12] = [
    "bundle-with-sct-with-extensions",
    "happy-path-intoto-in-dsse-v3",
    "happy-path-v0.1",
    "happy-path-v0.2",
    "happy-path-v0.3",
    "intoto-with-custom-trust-root",
    "managed-key-and-trusted-root",
    "rekor2-checkpoint-multiple-cosigs",
    "rekor2-checkpoint-two-sigs-from-origin",
    "rekor2-dsse-happy-path",
    "rekor2-happy-path",
    "rekor2-timestamp-without-embedded-cert",
];

/// How many mutations there are: in the full run, and in the sample.
#[derive(Debug, PartialEq, Eq)]
struct Count {
    fields: usize,
    text: usize,
    grafts: usize,
}

const FULL: Count = Count {
    fields: 660_706,
    text: 933_296,
    grafts: 5_613,
};
const SAMPLE: Count = Count {
    fields: 10_836,
    text: 15_307,
    grafts: 1_117,
};

/// The sample takes one of so many mutations. Prime, so that it does not keep step with bits.
const FLIP_STRIDE: usize = 61;
const GRAFT_STRIDE: usize = 5;

fn main() -> ExitCode {
    let traces = Arc::new(Traces {
        fields: Trace::new(FLIP_STRIDE),
        text: Trace::new(FLIP_STRIDE),
        grafts: Trace::new(GRAFT_STRIDE),
    });
    let mut is_here = false;
    let outcome = run(
        "sigstore-conformance/bundle-verify",
        3 * BUNDLES.len(),
        |suite| {
            is_here = true;
            trials(suite, &traces)
        },
    );
    let arguments = Arguments::from_args();
    let is_whole = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.list;
    if !is_here || !is_whole || outcome != ExitCode::SUCCESS {
        return outcome;
    }
    match traces.judge() {
        Ok(()) => outcome,
        Err(reason) => {
            println!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// The mutations of all bundles, by their kind.
struct Traces {
    fields: Trace,
    text: Trace,
    grafts: Trace,
}

impl Traces {
    /// Holds the counts against what they must be, and the table against what it was needed for.
    fn judge(&self) -> Result<(), String> {
        let all = [&self.fields, &self.text, &self.grafts];
        let found = Count {
            fields: self.fields.tried(),
            text: self.text.tried(),
            grafts: self.grafts.tried(),
        };
        println!(
            "tried {found:?}; accepted with no difference {}, in unbound fields {}",
            all.iter().map(|trace| trace.same()).sum::<usize>(),
            all.iter().map(|trace| trace.unbound()).sum::<usize>(),
        );
        let expected = if is_soak() { FULL } else { SAMPLE };
        if found != expected {
            return Err(format!("expected {expected:?}"));
        }
        let stale = unbound::unused(all);
        if is_soak() && !stale.is_empty() {
            return Err(format!(
                "rows of unbound.toml that nothing needs: {stale:#?}"
            ));
        }
        Ok(())
    }
}

fn trials(suite: &Path, traces: &Arc<Traces>) -> Vec<Trial> {
    let cases: Vec<Case> = BUNDLES.iter().map(|name| Case::read(suite, name)).collect();
    let everybody = union(&cases);
    let cases: Arc<[Case]> = cases
        .into_iter()
        .map(|case| case.trusting(&everybody))
        .collect();
    let trial = |what: &str, number: usize, work: fn(&Traces, &[Case], &Case) -> Verdict| {
        let (traces, cases) = (Arc::clone(traces), Arc::clone(&cases));
        let name = format!("{what} {}", BUNDLES.get(number).unwrap());
        Trial::test(name, move || {
            let case = cases.get(number).unwrap();
            work(&traces, &cases, case).map_err(Failed::from)
        })
    };
    (0..BUNDLES.len())
        .flat_map(|number| {
            [
                trial("flip fields of", number, |traces, _, case| {
                    flips::fields(case, &traces.fields);
                    traces.fields.verdict(case)
                }),
                trial("flip text of", number, |traces, _, case| {
                    flips::text(case, &traces.text);
                    traces.text.verdict(case)
                }),
                trial("graft into", number, |traces, cases, case| {
                    grafts::into(case, cases, &traces.grafts);
                    traces.grafts.verdict(case)
                }),
            ]
        })
        .collect()
}

/// Everybody whom any of the cases trusts: a graft must not be refused only because its donor's
/// authorities are strangers. Of one log in several roots, the first one's window stays.
fn union(cases: &[Case]) -> TrustedRoot {
    let mut all = TrustedRoot::public_good();
    for case in cases {
        let root = &case.root;
        for log in &root.tlogs {
            if !all.tlogs.iter().any(|known| known.log_id == log.log_id) {
                all.tlogs.push(log.clone());
            }
        }
        for log in &root.ctlogs {
            let known = |other: &waxseal_formats::TransparencyLogInstance| {
                other.public_key.raw_bytes == log.public_key.raw_bytes
            };
            if !all.ctlogs.iter().any(known) {
                all.ctlogs.push(log.clone());
            }
        }
        for authority in &root.certificate_authorities {
            if !all.certificate_authorities.contains(authority) {
                all.certificate_authorities.push(authority.clone());
            }
        }
        for authority in &root.timestamp_authorities {
            if !all.timestamp_authorities.contains(authority) {
                all.timestamp_authorities.push(authority.clone());
            }
        }
    }
    all
}

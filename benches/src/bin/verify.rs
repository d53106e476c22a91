//! `cargo run --release -p waxseal-benches --bin verify`: one bundle verified by our `Verifier` and
//! by `sigstore-verify`, beside each other, and where our time goes.
//!
//! One thread, aws-lc on both sides, each verifier made once, no verdict kept. The two take turns,
//! so that a machine that gets slower slows both.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sigstore_verify as peer;
use waxseal_benches::{Calls, Case, Samples, Table, Tally, counting_provider, take_tally};
use waxseal_crypto::{Clock as _, CryptoProvider, SignatureAlgorithm, Time};
use waxseal_crypto_aws_lc::{SystemClock, provider};
use waxseal_formats::{Bundle, TrustedRoot};
use waxseal_verify::{Artifact, IdentityRule, VerificationPolicy, Verifier};

/// What is measured: the name in the table, and the folder of the case.
const CASES: [(&str, &str); 3] = [
    ("v1 hashedrekord", "happy-path-v0.3"),
    ("v1 DSSE", "happy-path-intoto-in-dsse-v3"),
    ("v2 with timestamp", "rekor2-happy-path"),
];
/// Turns, each of a few bundles by either side.
const TURNS: usize = 200;
const BUNDLES_A_TURN: usize = 10;

#[expect(clippy::print_stdout, reason = "a bench prints its tables")]
fn main() -> Result<()> {
    let mut verify = Table::new(&[
        "verify, µs",
        "ours best",
        "median",
        "peer best",
        "median",
        "ratio best",
        "median",
    ]);
    let mut parse = Table::new(&[
        "parse JSON, µs",
        "ours best",
        "median",
        "peer best",
        "median",
    ]);
    let mut whole = Table::new(&[
        "from JSON to verdict, µs",
        "ours best",
        "median",
        "peer best",
        "median",
        "ratio best",
        "median",
    ]);
    let mut inside = Table::new(&[
        "where our time goes, µs",
        "all, median",
        "provider, median",
        "outside it, best",
        "median",
        "keys parsed",
        "signatures checked",
    ]);
    for (label, folder) in CASES {
        let case = Case::read(folder)?;
        let measured = measure(&case).with_context(|| case.name)?;
        verify.row(beside(label, &measured.verify));
        whole.row(beside(label, &measured.whole));
        let [ours, theirs] = &measured.parse;
        parse.row([
            label.to_owned(),
            micros(ours.best()),
            micros(ours.quantile(0.5)),
            micros(theirs.best()),
            micros(theirs.quantile(0.5)),
        ]);
        inside.row([
            label.to_owned(),
            micros(measured.all.quantile(0.5)),
            micros(measured.provider.quantile(0.5)),
            micros(measured.outside.best()),
            micros(measured.outside.quantile(0.5)),
            counts(&measured.tally.prepared),
            counts(&measured.tally.verified),
        ]);
    }
    println!(
        "waxseal-verify beside sigstore-verify 0.15, one thread, {TURNS} turns of {BUNDLES_A_TURN} \
         bundles each\n\n{verify}\n{parse}\n{whole}\n{inside}"
    );
    println!("targets: ratio ≥ 1.3 on v1, ≥ 1.45 on v2; outside the provider ≤ 20 µs");
    Ok(())
}

/// All that is measured of one case; pairs are ours, then the peer's.
struct Measured {
    verify: [Samples; 2],
    parse: [Samples; 2],
    /// Both together: what one library does when it reads, the other may leave for later.
    whole: [Samples; 2],
    all: Samples,
    provider: Samples,
    outside: Samples,
    /// Of the fastest run.
    tally: Tally,
}

fn measure(case: &Case) -> Result<Measured> {
    let ours = Ours::new(case, provider())?;
    let counted = Ours::new(case, counting_provider())?;
    let theirs = Theirs::new(case)?;
    let mut measured = Measured {
        verify: Default::default(),
        parse: Default::default(),
        whole: Default::default(),
        all: Samples::default(),
        provider: Samples::default(),
        outside: Samples::default(),
        tally: Tally::default(),
    };
    for _ in 0..TURNS {
        for _ in 0..BUNDLES_A_TURN {
            let [samples, _] = &mut measured.verify;
            samples.time(|| ours.verify());
            let [samples, _] = &mut measured.parse;
            samples.time(|| Bundle::from_json(case.bundle.as_bytes()));
            let [samples, _] = &mut measured.whole;
            samples.time(|| ours.verify_json(&case.bundle));
        }
        for _ in 0..BUNDLES_A_TURN {
            let [_, samples] = &mut measured.verify;
            samples.time(|| theirs.verify());
            let [_, samples] = &mut measured.parse;
            samples.time(|| peer::types::Bundle::from_json(&case.bundle));
            let [_, samples] = &mut measured.whole;
            samples.time(|| theirs.verify_json(&case.bundle));
        }
        for _ in 0..BUNDLES_A_TURN {
            take_tally();
            let mut one = Samples::default();
            one.time(|| counted.verify());
            let (all, tally) = (one.best(), take_tally());
            measured.all.add(all);
            measured.provider.add(tally.time());
            measured.outside.add(all.saturating_sub(tally.time()));
            if measured.tally.time().is_zero() || tally.time() < measured.tally.time() {
                measured.tally = tally;
            }
        }
    }
    Ok(measured)
}

struct Ours<'a> {
    verifier: Verifier,
    bundle: Bundle,
    policy: VerificationPolicy,
    artifact: &'a [u8],
    now: Time,
}

impl<'a> Ours<'a> {
    fn new(case: &'a Case, provider: CryptoProvider) -> Result<Self> {
        let root = TrustedRoot::from_json(case.trusted_root.as_bytes())?;
        let ours = Self {
            verifier: Verifier::new(provider, &root)?,
            bundle: Bundle::from_json(case.bundle.as_bytes())?,
            policy: VerificationPolicy::identity(IdentityRule::new(Case::IDENTITY, Case::ISSUER)),
            artifact: &case.artifact,
            now: SystemClock.now(),
        };
        let _verified = ours.try_verify(&ours.bundle)?;
        Ok(ours)
    }

    fn try_verify(
        &self,
        bundle: &Bundle,
    ) -> Result<waxseal_verify::Verified, waxseal_verify::VerifyError> {
        let artifact = Artifact::bytes(self.artifact);
        self.verifier
            .verify(artifact, bundle, &self.policy, self.now)
    }

    fn verify_json(&self, json: &str) -> bool {
        Bundle::from_json(json.as_bytes()).is_ok_and(|bundle| self.verify_one(&bundle))
    }

    fn verify(&self) -> bool {
        self.verify_one(&self.bundle)
    }

    fn verify_one(&self, bundle: &Bundle) -> bool {
        let verified = std::hint::black_box(self.try_verify(bundle));
        assert!(verified.is_ok(), "a verdict changed");
        true
    }
}

struct Theirs<'a> {
    verifier: peer::Verifier,
    bundle: peer::types::Bundle,
    policy: peer::VerificationPolicy,
    artifact: &'a [u8],
}

impl<'a> Theirs<'a> {
    fn new(case: &'a Case) -> Result<Self> {
        let root = peer::trust_root::TrustedRoot::from_json(&case.trusted_root)?;
        let theirs = Self {
            verifier: peer::Verifier::new(&root)?,
            bundle: peer::types::Bundle::from_json(&case.bundle)?,
            policy: peer::VerificationPolicy::new(Case::IDENTITY, Case::ISSUER),
            artifact: &case.artifact,
        };
        theirs
            .verifier
            .verify(theirs.artifact, &theirs.bundle, &theirs.policy)?;
        Ok(theirs)
    }

    fn verify_json(&self, json: &str) -> bool {
        peer::types::Bundle::from_json(json).is_ok_and(|bundle| self.verify_one(&bundle))
    }

    fn verify(&self) -> bool {
        self.verify_one(&self.bundle)
    }

    fn verify_one(&self, bundle: &peer::types::Bundle) -> bool {
        let verified =
            std::hint::black_box(self.verifier.verify(self.artifact, bundle, &self.policy));
        assert!(verified.is_ok(), "a verdict changed");
        true
    }
}

/// Ours, theirs, and the ratio.
fn beside(label: &str, [ours, theirs]: &[Samples; 2]) -> [String; 7] {
    [
        label.to_owned(),
        micros(ours.best()),
        micros(ours.quantile(0.5)),
        micros(theirs.best()),
        micros(theirs.quantile(0.5)),
        ratio(theirs.best(), ours.best()),
        ratio(theirs.quantile(0.5), ours.quantile(0.5)),
    ]
}

fn micros(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1e6)
}

fn ratio(theirs: Duration, ours: Duration) -> String {
    format!("{:.2}×", theirs.as_secs_f64() / ours.as_secs_f64())
}

/// Calls by algorithm, each with the time of one.
fn counts(calls: &BTreeMap<SignatureAlgorithm, Calls>) -> String {
    let each = calls.iter().map(|(name, calls)| {
        let one = calls.time / calls.count.max(1);
        format!("{} {name:?} of {}", calls.count, micros(one))
    });
    each.collect::<Vec<_>>().join(", ")
}

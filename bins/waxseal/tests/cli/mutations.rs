//! V-37: the exit code is zero if the library says so, and only then, for a corpus of broken bundles.
//!
//! Oracle: `waxseal-verify` in this process, on the same bytes. A failure is any difference between its
//! verdict and the exit code, a code that no table knows, or an end by signal. The mutations are drawn
//! from a fixed seed: 200 of them, and 10 000 where `WAXSEAL_SOAK` is set.

use waxseal_crypto::{Clock as _, PublicKey};
use waxseal_crypto_aws_lc::{SystemClock, provider};
use waxseal_formats::{Bundle, TrustedRoot};
use waxseal_verify::{Artifact, ValidFor, VerificationPolicy, Verifier};

use crate::made::Made;
use crate::run::waxseal;

const FEW: usize = 200;
const MANY: usize = 10_000;

/// A generator of numbers that are the same each time (splitmix64).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = u64::try_from(bound.max(1)).unwrap();
        usize::try_from((z ^ (z >> 31)) % bound).unwrap()
    }
}

/// One of: a flipped bit, a cut, a run of bytes taken out, doubled, or put elsewhere.
fn mutate(good: &[u8], seeded: &mut Seeded) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let at = seeded.below(bytes.len());
    let length = 1 + seeded.below(40.min(bytes.len() - at));
    let run = bytes[at..at + length].to_vec();
    match seeded.below(5) {
        0 => bytes[at] ^= 1 << seeded.below(8),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(at..at + length)),
        3 => drop(bytes.splice(at..at, run)),
        _ => {
            let to = seeded.below(bytes.len() - length + 1);
            bytes[to..to + length].copy_from_slice(&run);
        }
    }
    bytes
}

#[test]
fn v_37_zero_only_if_the_library_says_so() {
    let made = Made::new();
    let good = made.read("a.sigstore.json").into_bytes();
    let root = TrustedRoot::from_json(made.trusted_root().as_bytes()).unwrap();
    let verifier = Verifier::new(provider(), &root).unwrap();
    let key = PublicKey::from_pem(&made.read("key.pub")).unwrap();
    let policy = VerificationPolicy::key(key, ValidFor::always());
    let is_good = |bytes: &[u8]| {
        Bundle::from_json(bytes).is_ok_and(|bundle| {
            let artifact = Artifact::bytes(b"hello");
            verifier
                .verify(artifact, &bundle, &policy, SystemClock.now())
                .is_ok()
        })
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the length of the test is told by the environment"
    )]
    let count = if std::env::var_os("WAXSEAL_SOAK").is_some() {
        MANY
    } else {
        FEW
    };
    let mut seeded = Seeded(37);
    let mut accepted = 0;
    let arguments = [
        "verify",
        "a",
        "--key",
        "key.pub",
        "--trusted-root",
        "root.json",
        "-q",
    ];
    for round in 0..count {
        let bytes = mutate(&good, &mut seeded);
        made.write("a.sigstore.json", &bytes);
        let ran = waxseal(made.path(), arguments);
        let expected = is_good(&bytes);
        assert_eq!(ran.code == 0, expected, "round {round}: {ran:?}");
        assert!(
            matches!(ran.code, 0 | 3 | 4 | 6 | 7),
            "round {round}: {ran:?}"
        );
        accepted += usize::from(expected);
    }
    // Runs that fall into the key's hint or a doubled blank change nothing; most must.
    assert!(
        accepted * 4 < count,
        "{accepted} of {count} mutations were accepted"
    );
    println!("{count} mutations, {accepted} of them without effect");
}

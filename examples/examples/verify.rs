//! Verifying in ten lines: an artifact, its bundle and a trusted root, offline.
//!
//! `cargo run -p waxseal-examples --example verify`. Where the three files come from is said in
//! `data/README.md`. With `TrustedRoot::public_good()` the same lines verify what was signed with
//! the public instance.

#![expect(clippy::print_stdout, reason = "an example tells what it did")]

use waxseal_crypto::Clock as _;
use waxseal_crypto_aws_lc::{SystemClock, provider};
use waxseal_formats::{Bundle, TrustedRoot};
use waxseal_verify::{Artifact, IdentityRule, VerificationPolicy, Verifier};

const ARTIFACT: &[u8] = include_bytes!("../data/hello.txt");
const BUNDLE: &[u8] = include_bytes!("../data/hello.txt.sigstore.json");
const TRUSTED_ROOT: &[u8] = include_bytes!("../data/trusted_root.json");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let verifier = Verifier::new(provider(), &TrustedRoot::from_json(TRUSTED_ROOT)?)?;
    let rule = IdentityRule::new("you@example.com", "http://localhost:8383/auth");
    let policy = VerificationPolicy::identity(rule);
    let bundle = Bundle::from_json(BUNDLE)?;
    let verified = verifier.verify(
        Artifact::bytes(ARTIFACT),
        &bundle,
        &policy,
        SystemClock.now(),
    )?;
    println!("{}", serde_json::to_string_pretty(&verified)?);
    // One byte more is another artifact, and the error names the rule that is broken.
    let changed = [ARTIFACT, b"!"].concat();
    match verifier.verify(
        Artifact::bytes(&changed),
        &bundle,
        &policy,
        SystemClock.now(),
    ) {
        Ok(_) => Err("a changed artifact must not verify".into()),
        Err(error) => {
            println!("with one byte more: {} ({error})", error.code());
            Ok(())
        }
    }
}

//! `verify-bundle`: a bundle about a file or a digest.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, Result};
use waxseal_crypto::{Clock as _, Digest, HashAlgorithm, PublicKey};
use waxseal_crypto_aws_lc::SystemClock;
use waxseal_formats::{Bundle, TrustedRoot};
use waxseal_verify::{
    Artifact, IdentityRule, ValidFor, VerificationPolicy, Verifier, VerifyReaderError,
};

use crate::args::{Signer, VerifyBundle};

pub(crate) fn run(args: &VerifyBundle) -> Result<()> {
    let root = trusted_root(args.trusted_root.as_deref(), args.staging)?;
    let policy = policy(&args.signer)?;
    let bundle = Bundle::from_json(&read(&args.bundle)?)?;
    let verifier = Verifier::new(waxseal_crypto_aws_lc::provider(), &root)?;
    let now = SystemClock.now();
    if let Some(digest) = digest(&args.artifact) {
        let _ = verifier.verify(Artifact::digest(digest), &bundle, &policy, now)?;
        return Ok(());
    }
    let path = Path::new(&args.artifact);
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let verdict = verifier.verify_reader(file, &bundle, &policy, now);
    if let Err(VerifyReaderError::Verify(error)) = &verdict
        && error.code() == "artifact-needed"
    {
        // the key signs whole messages: they must be held in memory
        let _ = verifier.verify(Artifact::bytes(&read(path)?), &bundle, &policy, now)?;
        return Ok(());
    }
    let _ = verdict?;
    Ok(())
}

pub(crate) fn trusted_root(path: Option<&Path>, staging: bool) -> Result<TrustedRoot> {
    match path {
        Some(path) => TrustedRoot::from_json(&read(path)?).context("the trusted root"),
        None if staging => Ok(TrustedRoot::staging()),
        None => Ok(TrustedRoot::public_good()),
    }
}

fn policy(signer: &Signer) -> Result<VerificationPolicy> {
    match signer {
        Signer::Identity { identity, issuer } => Ok(VerificationPolicy::identity(
            IdentityRule::new(identity.as_str(), issuer.as_str()),
        )),
        Signer::Key(path) => {
            let text = String::from_utf8(read(path)?).context("the key")?;
            let key = PublicKey::from_pem(&text).context("the key")?;
            Ok(VerificationPolicy::key(key, ValidFor::always()))
        }
    }
}

/// `sha256:` and 64 hexadecimal digits, unless there is a file of that name.
fn digest(artifact: &OsStr) -> Option<Digest> {
    let hex = artifact.to_str()?.strip_prefix("sha256:")?;
    if hex.len() != 64 || Path::new(artifact).exists() {
        return None;
    }
    // `from_str_radix` would take a sign
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = hex.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    Digest::new(HashAlgorithm::Sha256, &bytes?).ok()
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_told_from_paths() {
        let check = |text: &str, expected: bool| {
            assert_eq!(digest(OsStr::new(text)).is_some(), expected, "{text}");
        };
        check(&format!("sha256:{}", "ab".repeat(32)), true);
        check(&format!("sha256:{}", "AB".repeat(32)), true);
        check(&format!("sha256:{}", "ab".repeat(31)), false);
        check(&format!("sha256:{}", "xy".repeat(32)), false);
        check(&format!("sha256:+{}", "a".repeat(63)), false);
        check(&format!("sha512:{}", "ab".repeat(32)), false);
        check("a.txt", false);
    }
}

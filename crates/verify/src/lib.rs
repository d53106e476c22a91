//! Bundle, trusted root and policy make [`Verified`], or the one reason why not.
//!
//! **What it is.** Verification of Sigstore bundles (client specification §4, Rekor v2
//! specification, DSSE, in-toto), versions 0.1 to 0.3, offline: who signed an artifact, and when.
//!
//! **In scope.** Every binding between artifact, signature, certificate, timestamp and log entry;
//! the certificate's path at every verified time; certificate transparency; inclusion proofs and
//! checkpoints; policies for identities, claims, thresholds and witnesses.
//!
//! **Out of scope.** Reading JSON (`waxseal-formats`), DER (`waxseal-pki`), signatures (a
//! `CryptoProvider` is passed in), fetching anything: there is no I/O here but the reader that the
//! caller passes, and no clock.
//!
//! ```
//! use waxseal_crypto::Time;
//! use waxseal_formats::{Bundle, TrustedRoot};
//! use waxseal_verify::{
//!     Artifact, IdentityRule, VerificationPolicy, Verified, Verifier, VerifyError,
//! };
//!
//! // once: a provider, a trusted root, a policy
//! let verifier = Verifier::new(waxseal_crypto_aws_lc::provider(), &TrustedRoot::public_good())?;
//! assert!(verifier.skipped().is_empty());
//! let policy = VerificationPolicy::identity(IdentityRule::new(
//!     "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1",
//!     "https://token.actions.githubusercontent.com",
//! ));
//!
//! // for every artifact and its bundle
//! let check = |artifact: &[u8], bundle: &Bundle, now: Time| -> Result<Verified, VerifyError> {
//!     verifier.verify(Artifact::bytes(artifact), bundle, &policy, now)
//! };
//! # let _ = check;
//! # Ok::<(), waxseal_verify::TrustedRootError>(())
//! ```
//!
//! **Trust.** Assumes that the trusted root is the right one and the provider correct; nothing of
//! the bundle. A [`Verified`] proves that the policy's signer signed this artifact, that the times
//! in it are vouched for by trusted authorities, and that each log entry in it is of this very
//! signature.

mod algorithm;
mod artifact;
mod authorities;
mod binding;
mod certificate;
mod error;
mod identity;
mod inclusion;
mod limits;
mod operators;
mod parts;
mod pattern;
mod policy;
mod sct;
mod statement;
mod structure;
mod time;
mod validity;
mod verified;
mod verifier;

pub use artifact::Artifact;
pub use authorities::{Role, SkipReason, Skipped, TrustedRootError};
pub use error::{ErrorClass, Rule, VerifyError};
pub use identity::{Identity, IdentityRule, Subject, SubjectKind};
pub use pattern::{BadRegex, Pattern, PatternError};
pub use policy::VerificationPolicy;
pub use validity::ValidFor;
pub use verified::{Signer, TimeSource, Verified, VerifiedEntry, VerifiedTime};
pub use verifier::{Verifier, VerifyReaderError};

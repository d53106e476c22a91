//! Writes X.509 certificates: authorities, leaves with their precertificates, timestamp authorities.
//!
//! **What it is.** The certificate profiles of a Sigstore instance (RFC 5280, RFC 6962 §3.1, and
//! Fulcio's certificate specification), byte for byte.
//!
//! **In scope.** Roots, intermediates, leaves and their precertificates, signers of timestamps;
//! signed by any [`Signer`](waxseal_crypto::Signer), wherever its key lives.
//!
//! **Out of scope.** Who gets a certificate (`waxseal-ca-server`), reading certificates
//! (`waxseal-pki`), making keys (`waxseal-crypto` and its providers).
//!
//! ```
//! use std::time::Duration;
//! use waxseal_crypto::{SignatureAlgorithm, Time};
//! use waxseal_issuing::{Subject, Validity, issue_root};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let crypto = waxseal_crypto_aws_lc::provider();
//! let algorithm = SignatureAlgorithm::EcdsaP384Sha384;
//! let signer = crypto.signer(&crypto.generate(algorithm)?, algorithm)?;
//! let subject = Subject::new("example root", "example.com");
//! let from = Time::parse_rfc3339("2026-01-01T00:00:00Z")?;
//! let validity = Validity::starting(from, Duration::from_secs(10 * 365 * 86_400))?;
//! let random = waxseal_crypto_aws_lc::OsRandom;
//! let root = issue_root(&*signer, &subject, validity, &random).await?;
//! assert!(root.is_ca());
//! # Ok(())
//! # }
//! # use std::task::{Context, Poll, Waker};
//! # let poll = std::pin::pin!(example()).poll(&mut Context::from_waker(Waker::noop()));
//! # assert!(matches!(poll, Poll::Ready(Ok(()))));
//! ```
//!
//! **Trust.** Assumes that its caller has checked whose key and names these are, and that `Random`
//! is unpredictable: serial numbers are 158 random bits. Every certificate that it returns was
//! parsed again, and carries exactly the key that it was asked to certify.

mod authority;
mod error;
mod leaf;
mod profile;
mod tbs;

pub use authority::{issue_intermediate, issue_root, issue_timestamp_signer};
pub use error::IssueError;
pub use leaf::{LeafIssuer, LeafRequest, PreparedLeaf};
pub use profile::{Subject, Validity};

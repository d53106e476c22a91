//! The client of a certificate authority: identity token and key become a leaf certificate.
//!
//! **What it is.** One exchange of `dev.sigstore.fulcio.v2.CA/CreateSigningCertificate` over HTTP
//! (client spec §2.1.3): [`CertificateRequest`] is the request, [`LeafCertificate`] is what an
//! answer becomes once it is checked against that request.
//!
//! **In scope.** Proof of possession over the token's challenge; the request's form; that the
//! answer's leaf holds our key, names the token's identity and the token's issuer.
//!
//! **Out of scope.** Whether the certificate comes from an authority that is trusted, and whether
//! its SCT is genuine: `waxseal-verify` decides, with a trusted root, before anything is signed
//! (`waxseal-sign` asks it). Obtaining the token: `waxseal-identity`.
//!
//! ```
//! use waxseal_ca_client::signing_cert_url;
//!
//! let base = "https://ca.example.com/prefix/".parse()?;
//! assert_eq!(
//!     signing_cert_url(&base)?.as_str(),
//!     "https://ca.example.com/prefix/api/v2/signingCert"
//! );
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! **Trust.** Assumes that the token is ours to send to this authority, and nothing about the
//! answer, which is capped before it is read. A [`LeafCertificate`] proves that the leaf is about
//! our key and our token's identity; not who issued it.

mod certificate;
mod request;

pub use certificate::{CertificateError, LeafCertificate, MAX_ANSWER};
pub use request::{CertificateRequest, RequestError, signing_cert_url};

#[cfg(test)]
mod tests;

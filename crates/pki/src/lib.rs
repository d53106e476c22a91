//! Reads X.509, certificate requests and SCTs; reads and writes RFC 3161.
//!
//! **What it is.** All DER but keys: X.509 certificates and fixed chains of authorities (RFC 5280),
//! Sigstore's certificate extensions, signed certificate timestamps (RFC 6962), certificate
//! requests (RFC 2986), and timestamps (RFC 3161 on CMS, RFC 5652).
//!
//! **In scope.** Parsing, verification, the exact bytes that logs sign, and timestamp tokens in
//! the making.
//!
//! **Out of scope.** Keys and signatures (`waxseal-crypto` and its providers), issuing certificates
//! (`waxseal-issuing`), and whom to trust: authorities come in as arguments, as does the time.
//!
//! ```
//! use waxseal_pki::{Certificate, CertificateError};
//!
//! assert_eq!(Certificate::parse(b"not DER".as_slice()), Err(CertificateError::Malformed));
//! ```
//!
//! **Trust.** Assumes nothing about its input and never panics on it. A [`Certificate`] proves
//! only its shape. A [`VerifiedPath`] proves that the leaf was signed by the chain it was verified
//! against, and that all of them were valid at the time given; a
//! [`timestamp::VerifiedTimestamp`] proves the same of a token's signer at the token's own time.

mod algorithm;
mod certificate;
mod chain;
mod csr;
mod ct_entry;
mod element;
pub mod encoding;
mod extension;
mod name;
mod path;
mod profile;
mod sct;
mod search;
mod splice;
#[cfg(test)]
mod testing;
pub mod timestamp;
mod webpki_adaptor;

pub use certificate::{Certificate, CertificateError, MAX_CERTIFICATE};
pub use chain::{CaChain, ChainError, MAX_CHAIN, VerifiedPath};
pub use csr::{Csr, CsrError, MAX_CSR};
pub use ct_entry::{CtEntry, MAX_LEAF_INDEX, leaf_index_extension, parse_leaf_index};
/// The type of object identifiers, as in the `der` package.
pub use der::asn1::ObjectIdentifier;
pub use extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, MAX_EXTENSIONS, SubjectAltName};
pub use name::Name;
pub use path::{PathError, Purpose};
pub use profile::Rule;
pub use sct::{CtLogKey, MAX_SCTS, Sct, SctError, SctList, SctScheme};
pub use search::PathSearch;
pub use splice::{SpliceError, tbs_without_poison, tbs_without_scts};

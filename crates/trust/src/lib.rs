//! Which services of an instance to sign with.
//!
//! **What it is.** The selection rules of the signing config, version 0.2
//! (`sigstore/protobuf-specs`, `sigstore_trustroot.proto`, on `SigningConfig`): services that are
//! not valid now or speak another version are dropped; each operator counts once; of one
//! operator, the highest version wins, then the newest.
//!
//! **In scope.** [`Services`]: config, versions and time in; services out. Pure.
//!
//! **Out of scope.** Reading the config: `waxseal-formats`. Fetching it: the caller. Speaking to
//! the services: `waxseal-ca-client` and `waxseal-sign`.
//!
//! ```
//! use waxseal_crypto::Time;
//! use waxseal_formats::SigningConfig;
//! use waxseal_trust::{Services, Versions};
//!
//! let config = SigningConfig::staging();
//! let now = Time::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
//! let services = Services::new(&config, Versions::CURRENT, now);
//! assert_eq!(services.certificate_authority().unwrap().url, "https://fulcio.sigstage.dev");
//! let evidence = services.evidence().unwrap();
//! assert_eq!(evidence.logs[0].url, "https://log2025-alpha3.rekor.sigstage.dev");
//! assert_eq!(evidence.timestamp_authorities.len(), 1);
//! ```
//!
//! **Trust.** Assumes that the signing config comes from whom the caller trusts: it decides where
//! identity tokens are sent. Proves only that the selection follows the config's own rules.

mod selection;

pub use selection::{Evidence, SelectError, ServiceKind, Services, Versions};

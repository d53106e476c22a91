//! The identity broker: a person proves an address, and gets an identity token for it.
//!
//! **What it is.** An OpenID provider (OpenID Connect Core and Discovery, RFC 6749 with the
//! authorization code flow alone, RFC 7636, RFC 8252, RFC 8628, RFC 9207, the advice of RFC 9700)
//! with the path layout and the claims that Sigstore clients expect of Dex.
//!
//! **In scope.** Discovery, key set, authorization, token and userinfo endpoints for the public
//! client `sigstore`; the log-in by e-mail code, with its pages; the [`Mailer`] joint and SMTP.
//!
//! **Out of scope.** Keeping state (`waxseal-store-embedded` implements [`Store`]), the outbox for
//! instances without SMTP (the same crate implements [`Mailer`]), sockets and limits of
//! connections (`waxseal-serve`), verifying identity tokens for others (`waxseal-identity`).
//!
//! ```
//! use waxseal_identity_server::{Config, MailConfig};
//!
//! let config = Config::new("http://localhost:8383/auth", MailConfig::Outbox);
//! assert!(config.check().is_ok());
//! // Mail that nobody proved to receive must not name people outside this machine.
//! assert!(Config::new("https://id.example/auth", MailConfig::Outbox).check().is_err());
//! ```
//!
//! **Trust.** Assumes its clock, its randomness, its signer and its store; whoever controls one of
//! them can log in as anybody. Every request is hostile. A token proves that somebody who reads
//! the mail of an address typed a code into the browser that asked for it, within ten minutes.

mod account;
mod administration;
mod audit;
mod client;
mod code;
mod config;
mod connector;
mod device;
mod grant;
mod http;
mod key_store;
mod keys;
mod limits;
mod login;
pub mod mail;
mod parameters;
mod records;
mod secret;
mod server;
mod service;
mod store;
mod token;
mod token_exchange;
mod upstream;

pub use account::{AccountId, BanTarget, BanTargetError};
pub use administration::{
    Account, Administration, AnswerWay, Ban, LoginSession, MAX_ORDER, Order, OrderDone, OrderError,
};
pub use audit::{AuditError, AuditLog, NoAuditLog, address_digest};
pub use code::{CodeKey, LoginCode};
pub use config::{Config, ConfigError, MailConfig, SmtpConfig, SmtpTls};
pub use connector::{ConnectorConfig, ConnectorKind, UserinfoNames};
pub use key_store::KeyStore;
pub use keys::{
    KeptKey, KeptRing, KeptRingError, KeyKeepingError, KeyPolicy, KeyRing, KeyRingError,
    RetiredKey, Rotation, TokenAlgorithm,
};
pub use mail::{CodeMail, MailError, Mailer};
pub use server::{Context, IdentityServer, StartError};
pub use store::{Change, Found, RecordKey, RecordKind, Slot, Store, StoreError, transact};
pub use token_exchange::ExchangeIssuer;
pub use upstream::{CheckResult, CheckSubject, ConnectorCheck, Finding, check_connector};

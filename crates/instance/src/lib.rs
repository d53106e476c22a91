//! A private Sigstore: provisioning and composition of every role.
//!
//! **What it is.** What `waxseald up` runs: identity broker, certificate authority, certificate
//! transparency log, transparency log and timestamp authority, on one directory, at the root of
//! one origin, with the files that Sigstore's clients need to use them.
//!
//! **In scope.** The data directory and who may touch it ([`DataDir`]); the configuration
//! ([`Config`]); keys and certificates, made once ([`provision`]); files for clients; the roles in
//! one process, their order at the end ([`Instance`]); a router as a `Transport`; the demonstration
//! and the commands for every client.
//!
//! **Out of scope.** What each role does (its own crate), how records are kept
//! (`waxseal-store-embedded`), how requests leave the machine (`waxseal-transport-reqwest`),
//! algorithms (a provider): all three come in as values. Terminals and exit codes (`waxseald`).
//!
//! ```
//! use waxseal_instance::{Config, ConfigError, Flags};
//!
//! let settings = Config::default().settle(Flags::default())?;
//! assert_eq!(settings.url.as_str(), "http://localhost:8383");
//! // Whoever reads the outbox logs in as anybody: without [smtp] nobody else is let in.
//! let public = "url = 'https://sig.example.com'\nbehind_tls_proxy = true";
//! let refused = Config::from_toml(public)?.settle(Flags::default());
//! assert!(matches!(refused, Err(ConfigError::OutboxNotLoopback)));
//! # Ok::<_, ConfigError>(())
//! ```
//!
//! **Trust.** Assumes the user it runs as, the file system, its clock, randomness and stores. A
//! data directory that others can enter is refused. What an instance is (its URL, its keys, whether
//! its identities were proven by mail) is fixed at birth, and a change is an error.

mod birth;
mod broker_alone;
mod client_files;
mod commands;
mod compose;
mod config;
mod control;
mod data;
mod demo;
mod listening;
mod log_alone;
mod log_keys;
mod log_witnesses;
mod login;
mod page;
mod provision;
mod root_export;
mod router_transport;
mod shards;
mod url;

pub use birth::{Birth, BirthError, Mail};
pub use broker_alone::{BrokerAlone, BrokerAloneError, BrokerStores};
pub use client_files::{
    SIGNING_CONFIG, TRUST_CONFIG, TRUSTED_ROOT, TRUSTED_ROOT_LINES, trust_config,
    write_client_files,
};
pub use commands::{Commands, Group, Program};
pub use compose::{ComposeError, Instance, LogStores, READY_WAIT, Stores, World};
pub use config::{
    Config, ConfigError, DEFAULT_LISTEN, Flags, Format, LogOutput, Settings, Smtp, TlsFiles,
};
pub use control::{Control, ControlError, order_running, serve_control};
pub use data::{BROKER_AUDIT, BROKER_KEYS, CONFIG_FILE, DataDir, DataError, Part};
pub use demo::{DEMO_IDENTITY, DemoError, DemoStep, demonstrate};
pub use log_alone::{LogAlone, LogAloneError};
pub use log_witnesses::{LogWitnessError, TransparencyLog, WitnessMode};
pub use login::{EmailLoginError, Mailbox, OutboxReader, browse_login, email_login};
pub use provision::{
    AUTHORITY_LIFETIME, BACKDATE, Keys, ProvisionError, provision, provision_exporting_roots,
};
pub use root_export::{MIN_PASSPHRASE, RootExport, RootExportError};
pub use router_transport::{Nowhere, RouterTransport};
pub use shards::{
    BACKUP, BackedUp, FreezeError, Import, ImportError, ImportFrom, ImportKey, Imported,
    OpenStores, ReadFile, RotateError, Rotated, Shard, ShardError, Shards, backup_log, freeze_log,
    import_log, log_statistics, log_trust_config, rotate_log,
};
pub use url::{InstanceUrl, InstanceUrlError, MAX_HOST};

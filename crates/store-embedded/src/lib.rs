//! The servers' stores for one machine: redb files and a directory.
//!
//! **What it is.** Implementations of the store joints that the servers define: the identity
//! broker's [`IdentityStore`], its [`IdentityKeys`] and [`AuditFile`], and its [`Outbox`] for instances without a mail server; a log's
//! [`LogLedger`] and [`LogObjects`].
//!
//! **In scope.** Durability, atomicity and file modes, as each trait's prose contract demands.
//!
//! **Out of scope.** What the records mean (the servers), the data directory's layout and who owns
//! it (`waxseal-instance`), stores for several machines.
//!
//! ```
//! use waxseal_store_embedded::IdentityStore;
//!
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join("state.redb");
//! let store = IdentityStore::open(&path)?;
//! assert!(store.is_empty()?);
//! // One process holds it.
//! assert!(IdentityStore::open(&path).is_err());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! **Trust.** Assumes a local file system that keeps what was synced, and that nobody else writes
//! the files; they are made with mode 0600, and refused if group or others may read them.

mod audit_file;
mod file;
mod file_tree;
mod folder;
mod identity_keys;
mod identity_store;
mod log_ledger;
mod log_objects;
mod outbox;

pub use audit_file::AuditFile;
/// What a database file is to redb: for a ledger over another storage than a file.
pub use redb::StorageBackend;

pub use file::OpenError;
pub use file_tree::FileTree;
pub use folder::{Directory, Folder, NewFile, StoredFile};
pub use identity_keys::IdentityKeys;
pub use identity_store::IdentityStore;
pub use log_ledger::{KeyIndexError, KeyShape, LedgerOpenError, LogLedger};
pub use log_objects::LogObjects;
pub use outbox::{Delivered, Outbox};

//! The broker's state: small records that expire, changed together or not at all.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use waxseal_crypto::{BoxFuture, Time, sha256};

/// Where the broker keeps its state.
///
/// **Records.** A record is bytes under a [`RecordKey`], with the time at which it expires. A
/// record whose time is not after `now` is absent, whether or not it has been swept.
///
/// **Atomicity.** [`Store::transact`] reads the named records, runs `change` once on them, and
/// writes all of the outcome or none of it. Transactions that name a common key run one after the
/// other, each seeing the whole of those before: this is what makes a code single-use when two
/// requests bring it at once.
///
/// **Durability.** When `transact` has answered `Ok`, the change survives the loss of power. If it
/// answers an error the change may or may not have been made; the caller tells its client nothing
/// that depends on either.
///
/// **Trust.** Records hold no code and no secret in clear, only digests and keyed digests. Who
/// reads the store learns addresses, redirect URLs and when people logged in. Who writes it logs
/// in as anybody: it is trusted with integrity.
pub trait Store: Send + Sync {
    /// Changes some records in one transaction. `keys` has no key twice; `change` sees one slot
    /// for each, in that order.
    fn transact(
        &self,
        keys: Vec<RecordKey>,
        now: Time,
        change: Change,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Removes records that have expired; how many there were.
    fn sweep(&self, now: Time) -> BoxFuture<'_, Result<u64, StoreError>>;
}

/// What a transaction does to its records.
pub type Change = Box<dyn FnOnce(&mut [Slot]) + Send>;

/// What a record is about; part of its key, so that two kinds never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordKind {
    /// A log-in that is under way.
    Login,
    /// An authorization code.
    Grant,
    /// Events that are limited per hour.
    Limit,
    /// What the instance was born as.
    Instance,
    /// A device that waits for its person.
    Device,
    /// The code that a device shows.
    UserCode,
}

/// The name of a record: a digest, so that no secret is a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey([u8; 32]);

impl RecordKey {
    /// The key of a kind and the parts that tell one record from another.
    pub fn new(kind: RecordKind, parts: &[&[u8]]) -> Self {
        let kind: &[u8] = match kind {
            RecordKind::Login => b"login",
            RecordKind::Grant => b"grant",
            RecordKind::Limit => b"limit",
            RecordKind::Instance => b"instance",
            RecordKind::Device => b"device",
            RecordKind::UserCode => b"user code",
        };
        // The digest of each part has one length, so no two lists of parts run into one another.
        let mut input = sha256(kind).to_vec();
        for part in parts {
            input.extend(sha256(part));
        }
        Self(sha256(&input))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// One record within a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Slot {
    /// The record and when it expires; `None` if it is absent, or is to be removed.
    pub record: Option<(Vec<u8>, Time)>,
}

impl Slot {
    /// A slot as a store found it.
    pub const fn new(record: Option<(Vec<u8>, Time)>) -> Self {
        Self { record }
    }
}

/// The store failed: a fault, never the client's doing.
#[derive(Debug, thiserror::Error)]
#[error("the broker's store failed")]
pub struct StoreError(#[source] pub Box<dyn Error + Send + Sync>);

/// Runs a transaction that yields a value.
///
/// # Errors
/// [`StoreError`].
pub async fn transact<T: Send + 'static>(
    store: &dyn Store,
    keys: Vec<RecordKey>,
    now: Time,
    change: impl FnOnce(&mut [Slot]) -> T + Send + 'static,
) -> Result<T, StoreError> {
    let outcome = Arc::new(Mutex::new(None));
    let written = Arc::clone(&outcome);
    let change: Change = Box::new(move |slots: &mut [Slot]| {
        let value = change(slots);
        *written.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    });
    store.transact(keys, now, change).await?;
    let value = outcome
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    value.ok_or_else(|| StoreError("the store did not run the change".into()))
}

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

    /// Reads at most `limit` records of one kind that have not expired, in the order of their keys,
    /// from the one after `after` on. Each is as some transaction left it; two need not be of one
    /// moment. For an operator's lists, which no request of a client needs.
    fn scan(
        &self,
        kind: RecordKind,
        after: Option<RecordKey>,
        limit: usize,
        now: Time,
    ) -> BoxFuture<'_, Result<Vec<Found>, StoreError>>;

    /// Removes records that have expired; how many there were.
    fn sweep(&self, now: Time) -> BoxFuture<'_, Result<u64, StoreError>>;
}

/// What a transaction does to its records.
pub type Change = Box<dyn FnOnce(&mut [Slot]) + Send>;

/// What a record is about; part of its key, so that two kinds never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// A browser that is at a provider.
    Visit,
    /// The address that the holder of a provider's account has confirmed.
    Link,
    /// The code that a device shows.
    UserCode,
    /// Somebody who has logged in.
    Account,
    /// Somebody who may not.
    Ban,
}

impl RecordKind {
    /// The first byte of the keys of this kind, for good.
    pub const fn code(self) -> u8 {
        match self {
            Self::Login => 1,
            Self::Grant => 2,
            Self::Limit => 3,
            Self::Instance => 4,
            Self::Device => 5,
            Self::UserCode => 6,
            Self::Account => 7,
            Self::Ban => 8,
            Self::Visit => 9,
            Self::Link => 10,
        }
    }
}

/// The name of a record: its kind, and a digest, so that no secret is a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    kind: RecordKind,
    digest: [u8; 32],
}

impl RecordKey {
    /// The key of a kind and the parts that tell one record from another.
    pub fn new(kind: RecordKind, parts: &[&[u8]]) -> Self {
        // The digest of each part has one length, so no two lists of parts run into one another.
        let mut input = vec![kind.code()];
        for part in parts {
            input.extend(sha256(part));
        }
        let digest = sha256(&input);
        Self { kind, digest }
    }

    /// A key as a scan gave it.
    pub const fn from_parts(kind: RecordKind, digest: [u8; 32]) -> Self {
        Self { kind, digest }
    }

    /// The kind.
    pub const fn kind(&self) -> RecordKind {
        self.kind
    }

    /// The digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Kind and digest in one: keys of one kind are together, in the order of [`Ord`].
    pub fn encoded(&self) -> [u8; 33] {
        let mut bytes = [self.kind.code(); 33];
        if let Some(rest) = bytes.last_chunk_mut::<32>() {
            *rest = self.digest;
        }
        bytes
    }
}

/// A record that a scan has found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// Its name.
    pub key: RecordKey,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// When it expires.
    pub expires: Time,
}

impl Found {
    /// A record as a store found it.
    pub const fn new(key: RecordKey, bytes: Vec<u8>, expires: Time) -> Self {
        Self {
            key,
            bytes,
            expires,
        }
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

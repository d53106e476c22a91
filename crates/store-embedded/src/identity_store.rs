//! The identity broker's store on redb.

use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadableDatabase as _, ReadableTableMetadata as _, TableDefinition};
use tokio::sync::Semaphore;
use waxseal_crypto::{BoxFuture, Time};
use waxseal_identity_server::{Change, Found, RecordKey, RecordKind, Store, StoreError};

use crate::file::{OpenError, open_database};

mod commits;

use commits::{Commits, SWEEP_BATCH, Work};

/// A record's kind and digest.
type Key = [u8; 33];

/// Records: key → expiry (seconds, nanoseconds; big-endian) and bytes.
const RECORDS: TableDefinition<'_, &Key, &[u8]> = TableDefinition::new("records by kind");

/// The same keys in the order in which they expire, so that a sweep reads only what it removes.
const EXPIRY: TableDefinition<'_, (i64, &Key), ()> = TableDefinition::new("expiry by kind");

/// Most threads that list, or wait for their turn: the threads are those of the whole process.
const MAX_THREADS: usize = 8;

/// The broker's records in one file that one process holds.
///
/// Transactions run one after the other, and each is on disk before it is answered; those that wait
/// share a commit. One thread makes them all, and ends with the store.
#[derive(Debug)]
pub struct IdentityStore {
    database: Arc<Database>,
    commits: Commits,
    threads: Arc<Semaphore>,
}

impl IdentityStore {
    /// Opens the file, and makes it with mode 0600 if it is not there.
    ///
    /// # Errors
    /// [`OpenError`]: another process holds it, it is not ours alone, or it is damaged.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::over(open_database(path)?).map_err(|source| OpenError::Io {
            path: path.to_owned(),
            source,
        })
    }

    fn over(database: Database) -> io::Result<Self> {
        let database = Arc::new(database);
        Ok(Self {
            commits: Commits::start(Arc::clone(&database))?,
            database,
            threads: Arc::new(Semaphore::new(MAX_THREADS)),
        })
    }

    /// How many records there are, expired ones included.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn len(&self) -> Result<u64, StoreError> {
        let count = || {
            let reading = self.database.begin_read()?;
            match reading.open_table(RECORDS) {
                Ok(table) => Ok(table.len()?),
                Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
                Err(error) => Err(redb::Error::from(error)),
            }
        };
        count().map_err(failed)
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// Runs work on a thread that may wait for the disk.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        let (database, threads) = (Arc::clone(&self.database), Arc::clone(&self.threads));
        Box::pin(async move {
            let turn = threads.acquire_owned().await;
            let turn = turn.map_err(|error| StoreError(Box::new(error)))?;
            let work = move || {
                // Kept to the end of the work, also if nobody waits for it any more.
                let _turn = turn;
                work(&database)
            };
            let done = tokio::task::spawn_blocking(work).await;
            done.map_err(|error| StoreError(Box::new(error)))?
                .map_err(failed)
        })
    }
}

impl Store for IdentityStore {
    fn transact(
        &self,
        keys: Vec<RecordKey>,
        now: Time,
        change: Change,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.commits.run(Work::Change(keys, now, change)).await?;
            Ok(())
        })
    }

    fn scan(
        &self,
        kind: RecordKind,
        after: Option<RecordKey>,
        limit: usize,
        now: Time,
    ) -> BoxFuture<'_, Result<Vec<Found>, StoreError>> {
        self.blocking(move |database| scan(database, kind, after, limit, now))
    }

    fn sweep(&self, now: Time) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let mut removed = 0;
            loop {
                let batch = self.commits.run(Work::Sweep(now)).await?;
                removed += u64::try_from(batch).unwrap_or(u64::MAX);
                if batch < SWEEP_BATCH {
                    return Ok(removed);
                }
            }
        })
    }
}

fn scan(
    database: &Database,
    kind: RecordKind,
    after: Option<RecordKey>,
    limit: usize,
    now: Time,
) -> Result<Vec<Found>, redb::Error> {
    let reading = database.begin_read()?;
    let records = match reading.open_table(RECORDS) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        opened => opened?,
    };
    let first = after.map_or(
        Bound::Included(RecordKey::from_parts(kind, [0; 32]).encoded()),
        |after| Bound::Excluded(after.encoded()),
    );
    let last = RecordKey::from_parts(kind, [u8::MAX; 32]).encoded();
    let range = (first.as_ref(), Bound::Included(&last));
    let mut found = Vec::new();
    for row in records.range::<&Key>(range)? {
        let (key, value) = row?;
        let digest = key.value().last_chunk::<32>().copied();
        let record = decode(value.value()).filter(|(_, expires)| *expires > now);
        if let (Some(digest), Some((bytes, expires))) = (digest, record) {
            let key = RecordKey::from_parts(kind, digest);
            found.push(Found::new(key, bytes, expires));
        }
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

fn encode(bytes: &[u8], expires: Time) -> Vec<u8> {
    let mut value = expires.unix_seconds().to_be_bytes().to_vec();
    value.extend(expires.subsec_nanos().to_be_bytes());
    value.extend(bytes);
    value
}

/// A record that does not decode counts as absent: it refuses, and never admits.
fn decode(value: &[u8]) -> Option<(Vec<u8>, Time)> {
    let (seconds, rest) = value.split_first_chunk::<8>()?;
    let (nanos, bytes) = rest.split_first_chunk::<4>()?;
    let expires = Time::new(i64::from_be_bytes(*seconds), u32::from_be_bytes(*nanos)).ok()?;
    Some((bytes.to_vec(), expires))
}

fn failed(error: redb::Error) -> StoreError {
    StoreError(Box::new(error))
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;

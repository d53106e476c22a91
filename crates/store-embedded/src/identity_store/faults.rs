//! What becomes of those who wait when the disk fails, when a commit panics, and when the store is
//! dropped.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use redb::backends::InMemoryBackend;
use waxseal_identity_server::transact;

use super::*;
use crate::file::open_backend;

const WORKS: u8 = 0;
const FAILS: u8 = 1;
const PANICS: u8 = 2;

/// Memory that fails its syncs, or panics in them.
#[derive(Debug)]
struct Faulty {
    memory: InMemoryBackend,
    state: Arc<AtomicU8>,
}

impl redb::StorageBackend for Faulty {
    fn len(&self) -> Result<u64, io::Error> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        match self.state.load(Ordering::SeqCst) {
            WORKS => self.memory.sync_data(),
            FAILS => Err(io::Error::other("no disk")),
            _ => panic!("on purpose"),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.memory.write(offset, data)
    }
}

fn store() -> (Arc<AtomicU8>, IdentityStore) {
    let state = Arc::new(AtomicU8::new(WORKS));
    let backend = Faulty {
        memory: InMemoryBackend::new(),
        state: Arc::clone(&state),
    };
    let store = IdentityStore::over(open_backend(backend).unwrap()).unwrap();
    (state, store)
}

fn key(name: &str) -> RecordKey {
    RecordKey::new(RecordKind::Login, &[name.as_bytes()])
}

fn at(seconds: i64) -> Time {
    Time::from_unix(1_767_225_600 + seconds).unwrap()
}

async fn put(store: &IdentityStore, name: &str) -> Result<(), StoreError> {
    transact(store, vec![key(name)], at(0), |slots| {
        slots[0].record = Some((b"1".to_vec(), at(10)));
    })
    .await
}

/// Everybody who waits is refused, and so is who comes later; nobody waits for ever.
async fn all_are_refused(fault: u8) {
    let (state, store) = store();
    put(&store, "before").await.unwrap();
    state.store(fault, Ordering::SeqCst);
    let names: Vec<_> = (0..600).map(|number| number.to_string()).collect();
    let waiting = join_all(names.iter().map(|name| put(&store, name)));
    let outcomes = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert!(outcomes.unwrap().iter().all(Result::is_err));
    let late = async { (put(&store, "late").await, store.sweep(at(100)).await) };
    let (put, swept) = tokio::time::timeout(Duration::from_secs(60), late)
        .await
        .unwrap();
    assert!(put.is_err() && swept.is_err());
}

#[tokio::test]
async fn a_commit_that_fails_refuses_all_who_wait() {
    all_are_refused(FAILS).await;
}

#[tokio::test]
async fn a_commit_that_panics_refuses_all_who_wait() {
    all_are_refused(PANICS).await;
}

/// Whoever gave up is gone; what he asked for is made, and the file is free when the store is gone.
#[tokio::test]
async fn what_waits_is_committed_before_the_store_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let store = IdentityStore::open(&path).unwrap();
    for number in 0..600 {
        let name = number.to_string();
        // Asked once, so that it waits; then given up.
        let asked = std::pin::pin!(put(&store, &name));
        assert!(futures_util::FutureExt::now_or_never(asked).is_none_or(|put| put.is_ok()));
    }
    drop(store);
    let store = IdentityStore::open(&path).unwrap();
    assert_eq!(store.len().unwrap(), 600);
}

/// A change may hold the last of the store: its thread then ends by itself.
#[tokio::test]
async fn a_store_may_be_dropped_by_its_own_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let store = Arc::new(IdentityStore::open(&path).unwrap());
    let (held, (dropped, was_dropped)) = (Arc::clone(&store), std::sync::mpsc::channel());
    {
        let asked = std::pin::pin!(transact(&*store, vec![key("a")], at(0), move |_| {
            // Until the other one is gone, and this is the last.
            while Arc::strong_count(&held) > 1 {
                std::thread::yield_now();
            }
            drop(held);
            dropped.send(()).unwrap();
        }));
        assert!(futures_util::FutureExt::now_or_never(asked).is_none());
    }
    drop(store);
    was_dropped.recv_timeout(Duration::from_secs(60)).unwrap();
}

//! The contract of the broker's store: expiry, atomicity, durability, sweeping.

use std::sync::atomic::{AtomicU32, Ordering};

use waxseal_identity_server::{RecordKind, transact};

use super::*;

fn at(seconds: i64) -> Time {
    Time::from_unix(1_767_225_600 + seconds).unwrap()
}

fn key(name: &str) -> RecordKey {
    RecordKey::new(RecordKind::Login, &[name.as_bytes()])
}

fn store() -> (tempfile::TempDir, IdentityStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = IdentityStore::open(&folder.path().join("state.redb")).unwrap();
    (folder, store)
}

async fn put(store: &IdentityStore, name: &str, bytes: &[u8], expires: Time) {
    let bytes = bytes.to_vec();
    transact(store, vec![key(name)], at(0), move |slots| {
        slots[0].record = Some((bytes, expires));
    })
    .await
    .unwrap();
}

async fn get(store: &IdentityStore, name: &str, now: Time) -> Option<Vec<u8>> {
    transact(store, vec![key(name)], now, |slots| {
        slots[0].record.as_ref().map(|(bytes, _)| bytes.clone())
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_record_expires_on_time_swept_or_not() {
    let (_folder, store) = store();
    put(&store, "a", b"1", at(10)).await;
    let fraction = Time::new(at(10).unix_seconds(), 500).unwrap();
    put(&store, "b", b"2", fraction).await;
    assert_eq!(get(&store, "a", at(9)).await.as_deref(), Some(&b"1"[..]));
    assert_eq!(get(&store, "a", at(10)).await, None);
    assert_eq!(get(&store, "b", at(10)).await.as_deref(), Some(&b"2"[..]));
    assert_eq!(get(&store, "b", fraction).await, None);
    assert_eq!(get(&store, "c", at(0)).await, None);
}

#[tokio::test]
async fn who_asks_for_what_is_not_there_makes_the_disk_do_nothing() {
    let (folder, store) = store();
    put(&store, "a", b"1", at(10)).await;
    let path = folder.path().join("state.redb");
    let before = std::fs::read(&path).unwrap();
    for name in ["a", "b", "c"] {
        get(&store, name, at(0)).await;
    }
    assert_eq!(store.sweep(at(0)).await.unwrap(), 0);
    assert_eq!(std::fs::read(&path).unwrap(), before, "nothing was written");
    put(&store, "b", b"2", at(10)).await;
    assert_ne!(std::fs::read(&path).unwrap(), before);
    assert_eq!(get(&store, "b", at(0)).await.as_deref(), Some(&b"2"[..]));
}

#[tokio::test]
async fn records_change_together() {
    let (_folder, store) = store();
    put(&store, "a", b"1", at(10)).await;
    let seen = transact(&store, vec![key("b"), key("a")], at(0), |slots| {
        let taken = slots[1].record.take();
        slots[0].record = taken;
        slots[0].record.is_some()
    });
    assert!(seen.await.unwrap());
    assert_eq!(get(&store, "a", at(0)).await, None);
    assert_eq!(get(&store, "b", at(0)).await.as_deref(), Some(&b"1"[..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_take_one_record_one_gets_it() {
    let (_folder, store) = store();
    let store = Arc::new(store);
    put(&store, "a", b"1", at(10)).await;
    let won = Arc::new(AtomicU32::new(0));
    let mut tasks = Vec::new();
    for _ in 0..50 {
        let (store, won) = (Arc::clone(&store), Arc::clone(&won));
        tasks.push(tokio::spawn(async move {
            let taken = transact(&*store, vec![key("a")], at(0), |slots| {
                slots[0].record.take()
            });
            if taken.await.unwrap().is_some() {
                won.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(won.load(Ordering::Relaxed), 1);
}

#[test]
fn a_crowd_of_log_ins_takes_no_thread_from_the_rest_of_the_server() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let (_folder, store) = store();
    let store = Arc::new(store);
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let slow = Arc::clone(&store);
    let slow = runtime.spawn(async move {
        let waited = transact(&*slow, vec![key("a")], at(0), move |_| held.recv().is_ok());
        waited.await.unwrap()
    });
    let mut crowd = Vec::new();
    for _ in 0..100 {
        let store = Arc::clone(&store);
        crowd.push(runtime.spawn(async move { get(&store, "a", at(0)).await }));
    }
    let other = runtime.block_on(async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let limit = std::time::Duration::from_secs(5);
        tokio::time::timeout(limit, tokio::task::spawn_blocking(|| 7)).await
    });
    // Before the verdict, or a refusal would hang.
    hold.send(()).unwrap();
    assert_eq!(other.unwrap().unwrap(), 7);
    assert!(runtime.block_on(slow).unwrap());
    for one in crowd {
        assert_eq!(runtime.block_on(one).unwrap(), None);
    }
}

#[tokio::test]
async fn records_survive_a_restart() {
    let (folder, store) = store();
    put(&store, "a", b"1", at(10)).await;
    drop(store);
    let store = IdentityStore::open(&folder.path().join("state.redb")).unwrap();
    assert_eq!(get(&store, "a", at(0)).await.as_deref(), Some(&b"1"[..]));
}

#[tokio::test]
async fn a_change_that_panics_changes_nothing() {
    let (_folder, store) = store();
    put(&store, "a", b"1", at(10)).await;
    let failed = transact(&store, vec![key("a")], at(0), |slots| {
        slots[0].record = None;
        panic!("on purpose");
    });
    let failed: Result<(), _> = failed.await;
    assert!(failed.is_err());
    assert_eq!(get(&store, "a", at(0)).await.as_deref(), Some(&b"1"[..]));
}

#[tokio::test]
async fn a_sweep_removes_what_has_expired_and_nothing_else() {
    let (_folder, store) = store();
    for number in 0..50 {
        put(&store, &format!("old {number}"), b"x", at(number)).await;
    }
    put(&store, "moved", b"x", at(1)).await;
    put(&store, "moved", b"x", at(1000)).await;
    put(&store, "kept", b"x", at(1000)).await;
    assert_eq!(store.len().unwrap(), 52);
    assert_eq!(store.sweep(at(25)).await.unwrap(), 25);
    assert_eq!(store.sweep(at(25)).await.unwrap(), 0);
    assert_eq!(store.sweep(at(100)).await.unwrap(), 25);
    assert_eq!(store.len().unwrap(), 2);
    assert!(get(&store, "moved", at(0)).await.is_some());
    assert_eq!(store.sweep(at(1001)).await.unwrap(), 2);
    assert!(store.is_empty().unwrap());
}

#[tokio::test]
async fn records_of_one_kind_are_listed_page_by_page() {
    let (_folder, store) = store();
    for number in 0..10 {
        put(
            &store,
            &number.to_string(),
            &[number],
            at(i64::from(number)),
        )
        .await;
    }
    let other = RecordKey::new(RecordKind::Account, &[b"other"]);
    transact(&store, vec![other], at(0), |slots| {
        slots[0].record = Some((vec![99], at(99)));
    })
    .await
    .unwrap();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store
            .scan(RecordKind::Login, after, 3, at(2))
            .await
            .unwrap();
        assert!(page.len() <= 3 && page.is_sorted_by_key(|found| found.key));
        seen.extend(page.iter().map(|found| found.bytes[0]));
        after = page.last().map(|found| found.key);
        if page.len() < 3 {
            break;
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, [3, 4, 5, 6, 7, 8, 9]);
    let accounts = store
        .scan(RecordKind::Account, None, 3, at(2))
        .await
        .unwrap();
    assert_eq!(accounts, [Found::new(other, vec![99], at(99))]);
    let bans = store.scan(RecordKind::Ban, None, 3, at(2)).await.unwrap();
    assert!(bans.is_empty());
}

#[tokio::test]
async fn an_empty_store_lists_nothing() {
    let (_folder, store) = store();
    let found = store.scan(RecordKind::Login, None, 3, at(0)).await.unwrap();
    assert!(found.is_empty());
}

/// What waits shares a commit, in the order of arrival, and each sees what those before it left.
#[tokio::test]
async fn those_that_wait_share_a_commit_one_after_the_other() {
    let (_folder, store) = store();
    let (order, taken) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    put(&store, "code", b"1", at(10)).await;
    let one = |_| {
        let (order, taken) = (Arc::clone(&order), Arc::clone(&taken));
        transact(
            &store,
            vec![key("code"), key("count")],
            at(0),
            move |slots| {
                let number = order.fetch_add(1, Ordering::SeqCst);
                let seen = slots[1].record.as_ref().map_or(0, |(bytes, _)| {
                    u32::from_be_bytes(bytes.as_slice().try_into().unwrap())
                });
                assert_eq!(seen, number, "each sees all before it");
                slots[1].record = Some(((number + 1).to_be_bytes().to_vec(), at(10)));
                if slots[0].record.take().is_some() {
                    taken.fetch_add(1, Ordering::SeqCst);
                }
            },
        )
    };
    let all = futures_util::future::join_all((0..600).map(one)).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(taken.load(Ordering::SeqCst), 1, "the code counts once");
    let count = get(&store, "count", at(0)).await.unwrap();
    assert_eq!(count, 600_u32.to_be_bytes());
}

/// A defect in one change is its own: who shares its commit is not kept from anything.
#[tokio::test]
async fn a_panic_in_a_change_is_not_its_neighbours() {
    let (_folder, store) = store();
    put(&store, "a", b"1", at(10)).await;
    let put = |name: &str, bytes: &'static [u8]| {
        transact(&store, vec![key(name)], at(0), |slots| {
            slots[0].record = Some((bytes.to_vec(), at(10)));
        })
    };
    let faulty = transact(&store, vec![key("a")], at(0), |slots| {
        slots[0].record = None;
        panic!("on purpose");
    });
    let all = tokio::join!(put("b", b"2"), faulty, put("c", b"3"));
    let faulty: Result<(), _> = all.1;
    assert!(all.0.is_ok() && faulty.is_err() && all.2.is_ok());
    for (name, expected) in [("a", b"1"), ("b", b"2"), ("c", b"3")] {
        let kept = get(&store, name, at(0)).await;
        assert_eq!(kept.as_deref(), Some(&expected[..]), "{name}");
    }
}

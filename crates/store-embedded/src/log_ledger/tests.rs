//! The contract of a ledger, and that of its file.

mod disk;
mod index;

use super::*;

fn entry(n: u64) -> NewEntry {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&n.to_le_bytes());
    NewEntry {
        key: Some(key),
        stored: format!("entry {n}").into_bytes(),
        beside: if n.is_multiple_of(3) {
            format!("beside {n}").into_bytes()
        } else {
            Vec::new()
        },
    }
}

/// The futures do their work when they are polled first.
fn now<T>(future: BoxFuture<'_, T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(future)
}

fn commit(ledger: &LogLedger, epoch: u64, range: Range<u64>, forget_before: u64) -> CommitOutcome {
    let entries: Vec<_> = range.clone().map(entry).collect();
    let state = format!("state {}", range.end).into_bytes();
    now(ledger.commit(Commit {
        epoch,
        first_index: range.start,
        entries: &entries,
        state: &state,
        forget_before,
    }))
}

fn stored(range: Range<u64>) -> Vec<Vec<u8>> {
    range.map(|n| entry(n).stored).collect()
}

#[test]
fn keeps_what_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let ledger = LogLedger::open(&path).unwrap();
    assert_eq!(
        now(Ledger::open(&ledger)).unwrap(),
        Opened {
            epoch: 1,
            state: None
        }
    );
    for range in [0..1, 1..40, 40..255, 255..256, 256..700] {
        assert!(matches!(
            commit(&ledger, 1, range, 0),
            CommitOutcome::Committed
        ));
    }
    drop(ledger);
    let ledger = LogLedger::open(&path).unwrap();
    let state = Some(b"state 700".to_vec());
    assert_eq!(
        now(Ledger::open(&ledger)).unwrap(),
        Opened { epoch: 2, state }
    );
    for range in [0..700, 0..1, 39..41, 254..258, 699..700, 300..300] {
        assert_eq!(now(ledger.read(range.clone())).unwrap(), stored(range));
    }
    let keys = [entry(0), entry(699), entry(700)].map(|entry| entry.key.unwrap());
    assert_eq!(now(ledger.find(&keys)).unwrap(), [Some(0), Some(699), None]);
    assert_eq!(now(ledger.read_beside(300)).unwrap(), b"beside 300");
    assert_eq!(now(ledger.read_beside(301)).unwrap(), b"");
}

#[test]
fn forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = LogLedger::open(&folder.path().join("state.redb")).unwrap();
    now(Ledger::open(&ledger)).unwrap();
    commit(&ledger, 1, 0..600, 0);
    commit(&ledger, 1, 600..601, 512);
    for range in [0..1, 511..512, 511..513, 600..602, 601..602, 1000..1001] {
        let read = now(ledger.read(range.clone()));
        assert!(
            matches!(read, Err(LedgerError::Forgotten { .. })),
            "{range:?}"
        );
    }
    assert_eq!(now(ledger.read(512..601)).unwrap(), stored(512..601));
    // Keys and what is beside the leaf are kept.
    assert_eq!(
        now(ledger.find(&[entry(3).key.unwrap()])).unwrap(),
        [Some(3)]
    );
    assert_eq!(now(ledger.read_beside(3)).unwrap(), b"beside 3");
}

#[test]
fn fenced() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = LogLedger::open(&folder.path().join("state.redb")).unwrap();
    now(Ledger::open(&ledger)).unwrap();
    assert_eq!(now(Ledger::open(&ledger)).unwrap().epoch, 2);
    assert!(matches!(commit(&ledger, 1, 0..5, 0), CommitOutcome::Fenced));
    assert!(matches!(commit(&ledger, 3, 0..5, 0), CommitOutcome::Fenced));
    assert!(matches!(
        now(ledger.read(0..5)),
        Err(LedgerError::Forgotten { .. })
    ));
    assert!(matches!(
        commit(&ledger, 2, 0..5, 0),
        CommitOutcome::Committed
    ));
}

#[test]
fn a_key_keeps_its_first_index() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = LogLedger::open(&folder.path().join("state.redb")).unwrap();
    now(Ledger::open(&ledger)).unwrap();
    commit(&ledger, 1, 0..5, 0);
    let again = [entry(3)];
    let commit = Commit {
        epoch: 1,
        first_index: 5,
        entries: &again,
        state: b"",
        forget_before: 0,
    };
    now(ledger.commit(commit));
    assert_eq!(
        now(ledger.find(&[entry(3).key.unwrap()])).unwrap(),
        [Some(3)]
    );
}

#[test]
fn rows_do_not_cross_bundles() {
    let check = |length: usize, longest: usize| {
        let mut entries: Vec<_> = (200..600).map(entry).collect();
        entries
            .iter_mut()
            .for_each(|one| one.stored.resize(length, 7));
        let mut next = 200;
        for (first, row) in rows(200, &entries) {
            assert_eq!(first, next);
            assert!(row.len() <= longest);
            let mut rest = row.as_slice();
            while let Some((_, after)) = split_entry(rest) {
                next += 1;
                rest = after;
            }
            assert!(next > first && next - first <= 32 && (next - 1) / 256 == first / 256);
        }
        assert_eq!(next, 600);
    };
    check(10, 32 * 14);
    check(2200, ROW_BYTES);
    check(ROW_BYTES - 4, ROW_BYTES);
    check(100_000, 100_004);
}

#[test]
fn works_over_any_backend() {
    let outer = tempfile::tempdir().unwrap();
    let folder: Arc<dyn Folder> = Arc::new(Directory::open(&outer.path().join("keys")).unwrap());
    drop(folder.create("left-behind").unwrap());
    let backend = redb::backends::InMemoryBackend::new();
    let ledger = LogLedger::with_backend(backend, &folder, KeyShape::default()).unwrap();
    assert_eq!(folder.names().unwrap(), [""; 0]);
    now(Ledger::open(&ledger)).unwrap();
    commit(&ledger, 1, 0..600, 0);
    assert_eq!(now(ledger.read(0..600)).unwrap(), stored(0..600));
}

#[test]
fn database() {
    let outer = tempfile::tempdir().unwrap();
    let folder: Arc<dyn Folder> = Arc::new(Directory::open(&outer.path().join("keys")).unwrap());
    let backend = redb::backends::InMemoryBackend::new();
    backend.set_len(4096).unwrap();
    backend.write(0, &[7; 4096]).unwrap();
    let opened = LogLedger::with_backend(backend, &folder, KeyShape::default());
    assert!(matches!(opened, Err(LedgerOpenError::Database(_))));
}

#[test]
fn folder() {
    let outer = tempfile::tempdir().unwrap();
    let folder: Arc<dyn Folder> = Arc::new(Directory::open(&outer.path().join("keys")).unwrap());
    std::fs::remove_dir(outer.path().join("keys")).unwrap();
    let backend = redb::backends::InMemoryBackend::new();
    let opened = LogLedger::with_backend(backend, &folder, KeyShape::default());
    assert!(matches!(opened, Err(LedgerOpenError::Folder(_))));
}

#[test]
fn ledger() {
    let outer = tempfile::tempdir().unwrap();
    let path = outer.path().join("state.redb");
    drop(LogLedger::open(&path).unwrap());
    std::fs::create_dir(path.with_extension(KEYS_FOLDER).join("left-behind")).unwrap();
    assert!(matches!(
        LogLedger::open(&path),
        Err(OpenError::Ledger { .. })
    ));
}

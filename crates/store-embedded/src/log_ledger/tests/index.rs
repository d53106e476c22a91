//! The index of keys beside an oracle: a map of every key to its first index.
//!
//! A failure is: a key of a commit that was answered that is not found at its first index; a key
//! that no commit has that is found; a commit of unknown outcome that is there in part; a ledger
//! that does not open after a crash; damage that is taken for "not there". What a commit of unknown
//! outcome came to is not determined: the ledger's state says it.

use std::collections::BTreeMap;

use super::disk::{Backend, Chance, Disk, Fault};
use super::*;

/// Small enough that every commit or two writes or merges something.
const SMALL: KeyShape = KeyShape {
    run_keys: 8,
    fan_in: 3,
    in_background: false,
};

fn key(n: u64) -> DedupKey {
    waxseal_crypto::sha256(&n.to_be_bytes())
}

/// A ledger, and what must be in it.
struct Model {
    disk: Disk,
    ledger: LogLedger,
    epoch: u64,
    keys: BTreeMap<DedupKey, u64>,
    /// The size of the log.
    next: u64,
    /// The next key that was never used.
    fresh: u64,
}

impl Model {
    fn new(shape: KeyShape) -> Self {
        let disk = Disk::new();
        let (ledger, opened) = open(&disk, shape);
        Self {
            disk,
            ledger,
            epoch: opened.epoch,
            keys: BTreeMap::new(),
            next: 0,
            fresh: 0,
        }
    }

    /// A commit of a few entries: some without a key, some with one that is there.
    fn commit(&mut self, chance: &mut Chance) -> CommitOutcome {
        let entries: Vec<_> = (0..=chance.below(6))
            .map(|_| {
                let key = match chance.below(12) {
                    0 => None,
                    1 => Some(key(chance.below(self.fresh + 1))),
                    _ => {
                        self.fresh += 1;
                        Some(key(self.fresh))
                    }
                };
                NewEntry {
                    key,
                    stored: vec![7],
                    beside: Vec::new(),
                }
            })
            .collect();
        let end = self.next + u64::try_from(entries.len()).unwrap();
        let outcome = now(self.ledger.commit(Commit {
            epoch: self.epoch,
            first_index: self.next,
            entries: &entries,
            state: &end.to_be_bytes(),
            forget_before: self.next / 256 * 256,
        }));
        let is_there = match outcome {
            CommitOutcome::Committed => true,
            CommitOutcome::NotCommitted(_) => false,
            CommitOutcome::Fenced => panic!("fenced"),
            CommitOutcome::Unknown(_) => self.reopen(chance, SMALL) == end,
        };
        if is_there {
            for (entry, index) in entries.iter().zip(self.next..) {
                if let Some(key) = entry.key {
                    self.keys.entry(key).or_insert(index);
                }
            }
            self.next = end;
        }
        outcome
    }

    /// The size of the log, as the ledger has it after a crash.
    fn reopen(&mut self, chance: &mut Chance, shape: KeyShape) -> u64 {
        self.disk = self.disk.crashed(chance);
        let (ledger, opened) = open(&self.disk, shape);
        assert!(opened.epoch > self.epoch);
        self.ledger = ledger;
        self.epoch = opened.epoch;
        let state = opened.state.unwrap_or_else(|| vec![0; 8]);
        u64::from_be_bytes(state.try_into().unwrap())
    }

    fn check(&self) {
        let others = (0..50).map(|n| key(1 << 40 | n));
        let keys: Vec<_> = self.keys.keys().copied().chain(others).collect();
        let expected: Vec<_> = keys.iter().map(|key| self.keys.get(key).copied()).collect();
        assert_eq!(now(self.ledger.find(&keys)).unwrap(), expected);
    }
}

fn open(disk: &Disk, shape: KeyShape) -> (LogLedger, Opened) {
    let folder: Arc<dyn Folder> = Arc::new(disk.clone());
    let ledger = LogLedger::with_backend(Backend::new(disk), &folder, shape).unwrap();
    let opened = now(Ledger::open(&ledger)).unwrap();
    (ledger, opened)
}

#[test]
fn finds_what_was_committed_and_nothing_else() {
    for seed in 0..20 {
        let mut chance = Chance::new(seed);
        let mut model = Model::new(SMALL);
        for step in 0..120 {
            let outcome = model.commit(&mut chance);
            assert!(matches!(outcome, CommitOutcome::Committed), "{outcome:?}");
            if chance.below(20) == 0 {
                assert_eq!(model.reopen(&mut chance, SMALL), model.next);
            }
            if step % 8 == 0 {
                model.check();
            }
        }
        model.check();
        // 300 keys or more: three levels, of which none is full.
        assert!(model.disk.names().unwrap().len() < 3 * 4);
    }
}

#[test]
fn d9_a_crash_at_any_operation_loses_no_key() {
    for seed in 0..60 {
        let mut chance = Chance::new(1000 + seed);
        let mut model = Model::new(SMALL);
        for _ in 0..12 {
            let at = model.disk.operations() + chance.below(250);
            model.disk.set_fault(Some(Fault::Stop(at)));
            for _ in 0..40 {
                let outcome = model.commit(&mut chance);
                if matches!(outcome, CommitOutcome::Unknown(_)) {
                    break;
                }
                if matches!(outcome, CommitOutcome::NotCommitted(_)) {
                    assert_eq!(model.reopen(&mut chance, SMALL), model.next);
                    break;
                }
            }
            model.disk.set_fault(None);
            model.check();
        }
    }
}

#[test]
fn a_full_disk_holds_up_keys_and_loses_none() {
    for seed in 0..60 {
        let mut chance = Chance::new(2000 + seed);
        let mut model = Model::new(SMALL);
        for _ in 0..100 {
            let at = model.disk.operations() + chance.below(80);
            model.disk.set_fault(Some(Fault::Once(at)));
            model.commit(&mut chance);
        }
        model.disk.set_fault(None);
        let outcome = model.commit(&mut chance);
        assert!(matches!(outcome, CommitOutcome::Committed), "{outcome:?}");
        model.check();
        assert_eq!(model.reopen(&mut chance, SMALL), model.next);
        model.check();
        let left: Vec<_> = model.disk.names().unwrap();
        assert!(left.iter().all(|name| name.ends_with(".run")), "{left:?}");
    }
}

/// What is tried again under another number does not stay under the first one.
#[test]
fn names_that_are_not_durable_fill_up_no_disk() {
    let mut chance = Chance::new(7);
    let mut model = Model::new(SMALL);
    while model.disk.names().unwrap().len() < 3 {
        model.commit(&mut chance);
    }
    let before = model.disk.names().unwrap();
    model.disk.set_fault(Some(Fault::Names));
    for _ in 0..100 {
        model.commit(&mut chance);
    }
    assert_eq!(model.disk.names().unwrap(), before);
    model.disk.set_fault(None);
    let outcome = model.commit(&mut chance);
    assert!(matches!(outcome, CommitOutcome::Committed), "{outcome:?}");
    model.check();
    assert_eq!(model.reopen(&mut chance, SMALL), model.next);
    model.check();
}

#[test]
fn s_18_damage_is_never_not_there() {
    let mut damaged = 0;
    for seed in 0..100 {
        let mut chance = Chance::new(3000 + seed);
        let mut model = Model::new(KeyShape {
            run_keys: 150,
            ..SMALL
        });
        while model.keys.len() < 500 {
            model.commit(&mut chance);
        }
        let names = model.disk.names().unwrap();
        let name = &names[place_of(&mut chance, names.len())];
        let disk = model.disk.crashed(&mut Chance::new(0));
        disk.damage(name, &mut chance);
        let folder: Arc<dyn Folder> = Arc::new(disk.clone());
        let opened = LogLedger::with_backend(Backend::new(&disk), &folder, SMALL);
        let Ok(ledger) = opened else {
            damaged += 1;
            continue;
        };
        for (key, index) in &model.keys {
            match now(ledger.find(&[*key])) {
                Ok(found) => assert_eq!(found, [Some(*index)]),
                Err(LedgerError::Failed(_)) => damaged += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(damaged > 100, "{damaged}");
}

#[test]
fn background() {
    for in_background in [false, true] {
        let mut chance = Chance::new(9);
        let mut model = Model::new(KeyShape {
            in_background,
            ..SMALL
        });
        model.disk.set_fault(Some(Fault::Full));
        let cause = loop {
            match model.commit(&mut chance) {
                CommitOutcome::Committed => assert!(model.keys.len() < 100, "it is bounded"),
                CommitOutcome::NotCommitted(cause) => break cause,
                other => panic!("{other:?}"),
            }
        };
        let cause = cause.downcast::<KeyIndexError>().unwrap();
        assert!(matches!(*cause, KeyIndexError::Background(_)), "{cause}");
        assert!(model.keys.len() >= SMALL.run_keys * 4, "a while is bridged");
        model.check();
        assert_eq!(model.disk.names().unwrap(), [""; 0], "no remains");
        model.disk.set_fault(None);
        // The thread tries again after a second.
        let began = std::time::Instant::now();
        while !matches!(model.commit(&mut chance), CommitOutcome::Committed) {
            assert!(began.elapsed().as_secs() < 60, "it goes on");
            std::thread::yield_now();
        }
        model.check();
    }
}

#[test]
fn file() {
    let (model, _) = with_runs();
    let mut is_found = false;
    for at in 1..40 {
        let disk = model.disk.crashed(&mut Chance::new(0));
        disk.set_fault(Some(Fault::Once(disk.operations() + at)));
        let folder: Arc<dyn Folder> = Arc::new(disk.clone());
        if let Err(error) = LogLedger::with_backend(Backend::new(&disk), &folder, SMALL) {
            is_found |= matches!(&error, LedgerOpenError::Keys(KeyIndexError::File { .. }));
        }
    }
    assert!(is_found);
}

fn place_of(chance: &mut Chance, length: usize) -> usize {
    usize::try_from(chance.below(u64::try_from(length).unwrap())).unwrap()
}

#[test]
fn a_thread_merges_behind_the_commits() {
    let shape = KeyShape {
        run_keys: 50,
        fan_in: 2,
        in_background: true,
    };
    let mut chance = Chance::new(1);
    let mut model = Model::new(shape);
    for step in 0..400 {
        model.commit(&mut chance);
        if step % 50 == 0 {
            model.check();
        }
    }
    model.check();
    assert!(
        model
            .disk
            .names()
            .unwrap()
            .iter()
            .any(|name| name.ends_with(".run"))
    );
    assert_eq!(model.reopen(&mut chance, shape), model.next);
    model.check();
}

/// Opens what is on a disk, which must fail.
fn refused(disk: &Disk) -> LedgerOpenError {
    let folder: Arc<dyn Folder> = Arc::new(disk.clone());
    LogLedger::with_backend(Backend::new(disk), &folder, SMALL).unwrap_err()
}

/// A disk with runs, and the name of one of them.
fn with_runs() -> (Model, String) {
    let mut chance = Chance::new(5);
    let mut model = Model::new(SMALL);
    while model.keys.len() < 100 {
        model.commit(&mut chance);
    }
    model.disk = model.disk.crashed(&mut Chance::new(0));
    let name = model.disk.names().unwrap().pop().unwrap();
    (model, name)
}

/// An operator moves the database away, or it is lost with its disk, and the log is started: the
/// keys that belong to it must be there when it comes back.
#[test]
fn lost_database() {
    let (model, _) = with_runs();
    let names = model.disk.names().unwrap();
    let folder: Arc<dyn Folder> = Arc::new(model.disk.clone());
    let other = Backend::new(&Disk::new());
    let error = LogLedger::with_backend(other, &folder, SMALL).unwrap_err();
    assert!(matches!(error, LedgerOpenError::LostDatabase), "{error}");
    assert_eq!(model.disk.names().unwrap(), names);
    let opened = open(&model.disk, SMALL).0;
    let known = *model.keys.keys().next().unwrap();
    assert_eq!(
        now(opened.find(&[known])).unwrap(),
        [model.keys.get(&known).copied()]
    );
}

#[test]
fn missing_run() {
    let (model, name) = with_runs();
    model.disk.remove(&name).unwrap();
    let error = refused(&model.disk);
    let is_it = matches!(
        &error,
        LedgerOpenError::Keys(KeyIndexError::MissingRun { .. })
    );
    assert!(is_it, "{error}");
}

#[test]
fn damaged_run() {
    let (model, name) = with_runs();
    let mut file = model.disk.create("another").unwrap();
    file.append(&[0; 5000]).unwrap();
    file.sync().unwrap();
    model.disk.rename("another", &name).unwrap();
    let error = refused(&model.disk);
    let is_it = matches!(
        &error,
        LedgerOpenError::Keys(KeyIndexError::DamagedRun { .. })
    );
    assert!(is_it, "{error}");
}

/// Changes a table of a ledger's database, behind its back.
fn tamper(model: Model, change: impl FnOnce(&redb::WriteTransaction)) -> LedgerOpenError {
    let Model { disk, ledger, .. } = model;
    drop(ledger);
    let database = open_backend(Backend::new(&disk)).unwrap();
    let writing = database.begin_write().unwrap();
    change(&writing);
    writing.commit().unwrap();
    drop(database);
    refused(&disk)
}

#[test]
fn damaged_entry() {
    let error = tamper(with_runs().0, |writing| {
        let mut runs = writing.open_table(RUNS).unwrap();
        let (id, mut entry) = {
            let (id, entry) = runs.first().unwrap().unwrap();
            (id.value(), entry.value().to_vec())
        };
        entry.pop();
        runs.insert(id, entry.as_slice()).unwrap();
    });
    let is_it = matches!(
        &error,
        LedgerOpenError::Keys(KeyIndexError::DamagedEntry { .. })
    );
    assert!(is_it, "{error}");
}

#[test]
fn gap() {
    let error = tamper(with_runs().0, |writing| {
        let mut runs = writing.open_table(RUNS).unwrap();
        runs.pop_first().unwrap();
    });
    let is_it = matches!(&error, LedgerOpenError::Keys(KeyIndexError::Gap { .. }));
    assert!(is_it, "{error}");
}

#[test]
fn damaged_row() {
    let error = tamper(with_runs().0, |writing| {
        let mut rows = writing.open_table(KEYS).unwrap();
        let (first, mut row) = {
            let (first, row) = rows.last().unwrap().unwrap();
            (first.value(), row.value().to_vec())
        };
        row[3] ^= 1;
        rows.insert(first, row.as_slice()).unwrap();
    });
    let is_it = matches!(
        &error,
        LedgerOpenError::Keys(KeyIndexError::DamagedRow { .. })
    );
    assert!(is_it, "{error}");
}

#[test]
fn records() {
    let other: TableDefinition<'_, u64, u64> = TableDefinition::new("runs");
    let model = Model::new(SMALL);
    let error = tamper(model, |writing| {
        writing.delete_table(RUNS).unwrap();
        writing.open_table(other).unwrap();
    });
    assert!(matches!(error, LedgerOpenError::Records(_)), "{error}");
}

#[test]
fn a_ledger_of_the_first_layout_is_migrated() {
    let first: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("keys");
    for (seed, count) in [(0, 0), (1, 1), (2, 300), (3, 300), (4, 300)] {
        let disk = Disk::new();
        let database = open_backend(Backend::new(&disk)).unwrap();
        let writing = database.begin_write().unwrap();
        {
            let mut keys = writing.open_table(first).unwrap();
            for n in 0..count {
                keys.insert(&key(n), n + 1).unwrap();
            }
        }
        writing.commit().unwrap();
        drop(database);
        let mut chance = Chance::new(seed);
        // A crash in between changes nothing.
        let mut disk = disk;
        for _ in 0..seed {
            let at = disk.operations() + chance.below(40);
            disk.set_fault(Some(Fault::Stop(at)));
            let folder: Arc<dyn Folder> = Arc::new(disk.clone());
            drop(LogLedger::with_backend(Backend::new(&disk), &folder, SMALL));
            disk = disk.crashed(&mut chance);
        }
        let (ledger, opened) = open(&disk, SMALL);
        let mut model = Model {
            disk,
            ledger,
            epoch: opened.epoch,
            keys: (0..count).map(|n| (key(n), n + 1)).collect(),
            next: count + 1,
            fresh: count,
        };
        model.check();
        for _ in 0..30 {
            model.commit(&mut chance);
        }
        model.reopen(&mut chance, SMALL);
        model.check();
        // A program that knows the first layout only does not take it for empty.
        let database = open_backend(Backend::new(&model.disk.crashed(&mut chance))).unwrap();
        let reading = database.begin_read().unwrap();
        assert!(matches!(
            reading.open_table(first),
            Err(redb::TableError::TableTypeMismatch { .. })
        ));
    }
}

#[test]
fn two_commits_at_one_index_stop_the_log() {
    let mut chance = Chance::new(1);
    let mut model = Model::new(SMALL);
    model.commit(&mut chance);
    let entries = [entry(1)];
    let again = model.ledger.commit(Commit {
        epoch: model.epoch,
        first_index: 0,
        entries: &entries,
        state: b"",
        forget_before: 0,
    });
    assert!(matches!(now(again), CommitOutcome::Unknown(_)));
}

//! Many clients, one entry: one index.
//!
//! **Oracle.** A failure is: more than one client that is told "new"; an index that differs; an
//! entry that is in the log more often than once (I6). A client that is turned away by 503 comes
//! again. Which client is first is not deterministic.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::JoinSet;
use waxseal_tests_simulation::{
    Acknowledgement, Audit, Author, Chance, Connection, ENTRIES, Entry, Outcome, Running, Server,
    free_port, log_key, our,
};
use waxseal_tlog::{LogKey, leaf_hash};

const CLIENTS: usize = 1000;
const ENTRIES_IN_TURN: usize = 3;

#[tokio::test]
async fn a_duplicate_storm_has_one_index() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let port = free_port(&mut Chance::new(u64::from(std::process::id()))).unwrap();
    let (process, _) = Running::start(&our("waxseald"), &data, port).await.unwrap();
    let key = Arc::new(log_key(&data).unwrap());
    let author = Author::new().unwrap();
    let mut audit = Audit::new(log_key(&data).unwrap());
    let mut server = Server(Connection::open(port).await.unwrap());
    for turn in 0..ENTRIES_IN_TURN {
        let entry = Arc::new(author.entry(&format!("storm {turn}")).unwrap());
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(submit(port, Arc::clone(&entry), Arc::clone(&key)));
        }
        let told: Outcome<Vec<(bool, u64)>> = clients.join_all().await.into_iter().collect();
        let told = told.unwrap();
        assert_eq!(told.iter().filter(|(is_new, _)| *is_new).count(), 1);
        let indexes: BTreeSet<u64> = told.iter().map(|(_, index)| *index).collect();
        assert_eq!(indexes.len(), 1, "{indexes:?}");
        // The audit refuses an entry that is there twice.
        audit.read(&mut server, false).await.unwrap();
        let index = indexes.first().copied().unwrap();
        audit.check_index(index, &leaf_hash(&entry.stored)).unwrap();
    }
    // The genesis entry, and one for each storm.
    let expected = u64::try_from(ENTRIES_IN_TURN + 1).unwrap();
    assert_eq!(audit.tree_size(), expected);
    drop(process);
}

/// Whether the entry was new, and its index.
async fn submit(port: u16, entry: Arc<Entry>, key: Arc<LogKey>) -> Outcome<(bool, u64)> {
    let mut connection = Connection::open(port).await.map_err(|e| e.to_string())?;
    loop {
        let answer = connection.post(ENTRIES, &entry.request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        match answer.status {
            201 => {
                let promise = Acknowledgement::verify(&answer.body, &entry, &key)?;
                return Ok((true, promise.index));
            }
            409 => {
                let index = answer.header("x-log-index").and_then(|i| i.parse().ok());
                return Ok((false, index.ok_or("a duplicate without an index")?));
            }
            503 => tokio::task::yield_now().await,
            status => return Err(format!("{status}: {}", answer.text())),
        }
    }
}

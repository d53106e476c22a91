//! The second line on checkpoints: it comes, stays the same, and goes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use waxseal_crypto::Time;
use waxseal_crypto_aws_lc::{OsRandom, SystemClock, provider};
use waxseal_log_server::LogServer;
use waxseal_serve::Meter;
use waxseal_store_embedded::{LogLedger, LogObjects};
use waxseal_tlog::{Checkpoint, LogKey, NoteKey, SignedNote};

use super::*;
use crate::compose::log_parts;
use crate::{Birth, Config, Flags, LogStores, Nowhere, World, provision};

/// The tasks of the log before may take a moment to end.
async fn ledger(folder: &Path) -> LogLedger {
    for _ in 0..500 {
        match LogLedger::open(&folder.join("state.redb")) {
            Ok(ledger) => return ledger,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    panic!("the ledger stays in use")
}

/// Starts the log of that directory, and gives its checkpoint and its keys as verifiers write them.
async fn start(root: &Path, ml_dsa_44: bool) -> (String, Vec<String>) {
    let text = format!("[transparency_log]\nml_dsa_44 = {ml_dsa_44}\n");
    let settings = Config::from_toml(&text).unwrap();
    let settings = settings.settle(Flags::default()).unwrap();
    let data = DataDir::open(root).unwrap();
    let born = Time::from_unix(1_767_225_600).unwrap();
    let mut birth = Birth::of(&data, &settings, born).unwrap();
    let keys = provision(&data, &mut birth, provider(), &OsRandom).await;
    let mut keys = keys.unwrap();
    keys.open_log_cosigner(&data, &settings, provider())
        .unwrap();
    let folder = data.make(Part::Log).unwrap();
    let stores = LogStores {
        ledger: Arc::new(ledger(&folder).await),
        objects: Arc::new(LogObjects::open(&folder.join("tiles")).unwrap()),
    };
    let world = World {
        provider: provider(),
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
        transport: Arc::new(Nowhere),
    };
    let (config, context) =
        log_parts(&settings, &keys.of_log(), stores, &world, &Meter::new()).unwrap();
    let log = LogServer::new(config, context).await.unwrap();
    let shutdown = waxseal_serve::Shutdown::new();
    shutdown.trigger();
    log.run(shutdown).await.unwrap();
    let signers = keys.log_signers(&settings).unwrap();
    let vkeys = signers
        .iter()
        .map(|one| one.note_key(provider()).unwrap().to_vkey());
    let vkeys = vkeys.collect();
    let written = std::fs::read_to_string(folder.join("tiles/checkpoint")).unwrap();
    assert_eq!(written, log.published().checkpoint);
    (written, vkeys)
}

/// How many cosignatures of these keys are on the checkpoint, opened as clients open it.
fn opened(checkpoint: &str, vkeys: &[String]) -> (usize, usize) {
    let key = |vkey: &String| NoteKey::from_vkey(provider(), vkey).unwrap();
    let keys: Vec<NoteKey> = vkeys.iter().map(key).collect();
    let [own, others @ ..] = vkeys else {
        panic!("a log has a key")
    };
    assert_eq!(keys.len(), others.len() + 1);
    let note = SignedNote::parse(checkpoint).unwrap();
    let others: Vec<&NoteKey> = keys[1..].iter().collect();
    let opened = Checkpoint::open(&note, &LogKey::new(key(own)), &others).unwrap();
    (note.signatures().len(), opened.cosignatures().len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_line_comes_stays_and_goes() {
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("data");
    let (plain, one) = start(&root, false).await;
    assert_eq!(opened(&plain, &one), (1, 0));
    assert!(!root.join("keys/log.ml-dsa-44.key.pem").exists());
    // It is added to a log that is there, of the same tree.
    let (both, two) = start(&root, true).await;
    assert_eq!((two.len(), &two[0]), (2, &one[0]));
    assert_eq!(opened(&both, &two), (2, 1));
    // Who knows the log's key alone sees what it saw before.
    assert_eq!(opened(&both, &one), (2, 0));
    assert!(both.starts_with(&plain));
    // The key is kept.
    let (_, again) = start(&root, true).await;
    assert_eq!(again, two);
    // And goes: the log starts from a checkpoint that has the line, and signs without it.
    let (gone, one_again) = start(&root, false).await;
    assert_eq!(one_again, one);
    assert_eq!(opened(&gone, &one), (1, 0));
    let (_, back) = start(&root, true).await;
    assert_eq!(back, two);
    // What is not a key of that kind is refused, not replaced.
    let pem = std::fs::read(root.join("keys/log.key.pem")).unwrap();
    std::fs::write(root.join("keys/log.ml-dsa-44.key.pem"), pem).unwrap();
    let data = DataDir::open(&root).unwrap();
    let settings = Config::from_toml("[transparency_log]\nml_dsa_44 = true\n").unwrap();
    let settings = settings.settle(Flags::default()).unwrap();
    let mut birth = Birth::find(&data, &settings).unwrap().unwrap();
    let keys = provision(&data, &mut birth, provider(), &OsRandom).await;
    let mut keys = keys.unwrap();
    let refused = keys.open_log_cosigner(&data, &settings, provider());
    assert!(matches!(refused, Err(ShardError::Key { file }) if file == "log.ml-dsa-44.key.pem"));
}

#[tokio::test]
async fn no_log_cosigner() {
    let outside = tempfile::tempdir().unwrap();
    let data = DataDir::open(&outside.path().join("data")).unwrap();
    let settings = Config::from_toml("[transparency_log]\nml_dsa_44 = true\n").unwrap();
    let settings = settings.settle(Flags::default()).unwrap();
    let born = Time::from_unix(1_767_225_600).unwrap();
    let mut birth = Birth::of(&data, &settings, born).unwrap();
    let keys = provision(&data, &mut birth, provider(), &OsRandom).await;
    let refused = keys.unwrap().log_signers(&settings);
    assert!(matches!(refused, Err(ComposeError::NoLogCosigner)));
}

//! Oracle: after a failure or a crash at any operation that changes a store, the log starts again
//! by itself, and then: every acknowledged entry is at its index with its bytes (I1); all
//! checkpoints ever seen are of one history (I2); whatever the checkpoint object implies is among
//! the objects (I3); an entry that was not acknowledged is there whole or not at all (I5). Not a
//! failure: an entry that is there although nobody was told. Nothing is random here.

use waxseal_tlog::{
    Checkpoint, ConsistencyProof, EntryBundle, Frontier, Hash, LogKey, SignedNote, Tile, TilePath,
    TileReader, leaf_hash, prove_consistency,
};

use super::sequencing::sequenced;
use crate::append::Pending;
use crate::server::Parts;
use crate::testing::{Fault, ORIGIN, Rig, Word, provider};
use crate::{LogServer, ObjectName};

/// Batches whose ends lie before, at and after the ends of bundles (the first entry is the log's
/// own); `0` seals.
const SCRIPT: [usize; 16] = [1, 0, 100, 153, 0, 1, 0, 1, 1, 0, 254, 1, 0, 1, 300, 0];

/// What runs after the restart: across the end of one more bundle.
const AFTER: [usize; 5] = [1, 0, 256, 1, 0];

#[derive(Default)]
struct History {
    acknowledged: Vec<(u64, String)>,
    checkpoints: Vec<(u64, Hash)>,
}

fn take(log: &LogServer) -> Parts {
    log.parts.lock().unwrap().take().unwrap()
}

/// Runs the script until its end or a crash.
async fn run(log: &LogServer, history: &mut History, name: &str, script: &[usize]) {
    let Parts {
        mut pipeline,
        mut sealer,
        ..
    } = take(log);
    for (step, count) in script.iter().copied().enumerate() {
        if count == 0 {
            // Failures are tried again later; contradictions end the test.
            if let Err(error) = sealer.seal().await {
                assert!(
                    matches!(error, crate::seal::SealError::Store(_)),
                    "{error:?}"
                );
            }
            continue;
        }
        let mut answers = Vec::new();
        let waiting = (0..count).map(|n| {
            let text = format!("{name} {step} {n}");
            let (pending, answer) = Pending::new(Word::boxed(&text));
            answers.push((text, answer));
            pending
        });
        let stopped = pipeline.append(waiting.collect()).await.is_err();
        for (text, answer) in answers {
            if let Ok(Ok(told)) = answer.await {
                let sequenced = sequenced(told);
                history.acknowledged.push((sequenced.index, text));
                let published = &sequenced.published;
                history
                    .checkpoints
                    .push((published.tree_size, published.root_hash));
            }
        }
        if stopped {
            return;
        }
    }
}

/// I3 at this instant: whoever reads the objects finds everything that their checkpoint implies.
/// Gives the checkpoint and all entries.
fn read_objects(rig: &Rig) -> Option<(Checkpoint, Vec<Vec<u8>>, Vec<Hash>)> {
    let objects = rig.objects.inner.lock().unwrap().clone();
    let note = String::from_utf8(objects.get(&ObjectName::Checkpoint)?.clone()).unwrap();
    let key = LogKey::new(rig.signer.note_key(provider()).unwrap());
    let opened = Checkpoint::open(&SignedNote::parse(&note).unwrap(), &key, &[]).unwrap();
    let size = opened.tree_size();
    let object = |path| objects.get(&ObjectName::Tile(path)).expect("I3").clone();
    let mut reader = TileReader::new(size, *opened.root_hash());
    let tiles = reader.needed_for_leaves(0, size).unwrap();
    let tiles: Vec<_> = tiles
        .into_iter()
        .map(|tile| (tile, object(TilePath::Tile(tile))))
        .collect();
    reader.supply(&tiles).unwrap();
    let leaves = reader.leaves(0, size).unwrap();
    let mut entries = Vec::new();
    for index in 0..size.div_ceil(256) {
        let width = Tile::in_tree(0, index, size).unwrap().width();
        let bytes = object(TilePath::Entries { index, width });
        let bundle = EntryBundle::parse(&bytes, width).unwrap();
        entries.extend(bundle.entries().to_vec());
    }
    let hashes: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    assert_eq!(hashes, leaves, "I3");
    Some((opened, entries, leaves))
}

/// Checks what is stored, sharing nothing with the log but the hashing.
async fn audit(rig: &Rig, log: &LogServer, history: &History) {
    let Parts { mut sealer, .. } = take(log);
    sealer.seal().await.unwrap();
    let (opened, entries, leaves) = read_objects(rig).unwrap();
    let size = opened.tree_size();
    assert_eq!(entries[0], ORIGIN.as_bytes());

    for (index, text) in &history.acknowledged {
        assert_eq!(entries[*index as usize], text.as_bytes(), "I1");
    }
    let mut nodes = std::collections::BTreeMap::new();
    let mut roots = vec![Frontier::new().root_hash()];
    let mut frontier = Frontier::new();
    for leaf in &leaves {
        frontier
            .append_visiting(leaf, |node, hash| {
                nodes.insert(node, *hash);
            })
            .unwrap();
        roots.push(frontier.root_hash());
    }
    for (old, root) in &history.checkpoints {
        assert_eq!(roots[*old as usize], *root, "I2");
        let read = |node| nodes.get(&node).copied().ok_or(node);
        let proof: ConsistencyProof = prove_consistency(*old, size, read).unwrap();
        assert_eq!(proof.check(root, opened.root_hash()), Ok(()), "I2");
    }
    let mut unique = entries.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), entries.len(), "I5: nothing is in twice");
}

async fn crash_everywhere(fault: Fault) -> usize {
    for point in 0.. {
        let rig = Rig::new();
        let mut history = History::default();
        rig.plan.strike(point, fault);
        if let Ok(log) = rig.start().await {
            run(&log, &mut history, "one", &SCRIPT).await;
        }
        read_objects(&rig);
        let fired = rig.plan.has_fired();
        rig.plan.restart();
        // Twice, so that what recovery itself did is recovered from, too.
        let log = rig.start().await.unwrap();
        run(&log, &mut history, "two", &AFTER).await;
        let log = rig.start().await.unwrap();
        audit(&rig, &log, &history).await;
        if !fired {
            return point;
        }
    }
    0
}

#[tokio::test]
async fn s_19_a_crash_before_any_operation() {
    assert!(crash_everywhere(Fault::CrashBefore).await > 20);
}

#[tokio::test]
async fn s_19_a_crash_in_any_operation() {
    assert!(crash_everywhere(Fault::CrashAfter).await > 20);
}

#[tokio::test]
async fn s_19_a_failure_of_any_operation() {
    assert!(crash_everywhere(Fault::Fail).await > 20);
}

/// Every size of tree up to past the second bundle, each sealed and started again.
#[tokio::test]
async fn s_19_every_size_can_be_started_again() {
    let rig = Rig::new();
    let mut history = History::default();
    for size in 1..600 {
        let log = rig.start().await.unwrap();
        assert_eq!(log.published().tree_size, size);
        let Parts {
            mut pipeline,
            mut sealer,
            ..
        } = take(&log);
        if !(250..=262).contains(&size) && size % 3 == 0 {
            sealer.seal().await.unwrap();
        }
        let text = format!("entry {size}");
        let (pending, answer) = Pending::new(Word::boxed(&text));
        pipeline.append(vec![pending]).await.unwrap();
        let sequenced = sequenced(answer.await.unwrap().unwrap());
        let published = &sequenced.published;
        history
            .checkpoints
            .push((published.tree_size, published.root_hash));
        history.acknowledged.push((sequenced.index, text));
    }
    let log = rig.start().await.unwrap();
    audit(&rig, &log, &history).await;
    assert!(
        rig.ledger.inner.lock().unwrap().tail.len() < 256 * 2,
        "sealed entries are forgotten"
    );
}

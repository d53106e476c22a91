//! The transparency logs: promises, proofs, checkpoints.

use std::collections::BTreeMap;

use waxseal_crypto::{Input, Time};
use waxseal_formats::{InclusionProof, TransparencyLogEntry};
use waxseal_tlog::{
    CheckpointText, Frontier, Node, NoteSigner, Origin, SignedNote, leaf_hash, prove_inclusion,
    sign_note,
};

use super::{Instance, ready};

/// Which generation of log an entry is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there are two, and tests match on them"
)]
pub enum Generation {
    /// Promises, integrated times, `NAME - TREE-ID` as origin, shards before the current one.
    V1,
    /// Proofs only.
    V2,
}

/// How an entry is logged.
#[derive(Debug, Clone)]
pub struct LogRecipe {
    /// Which log.
    pub generation: Generation,
    /// When: v1 logs sign it.
    pub time: Time,
    /// Index in the tree; there are entries of others around it.
    pub index: u64,
    /// Size of the tree.
    pub tree_size: u64,
    /// The checkpoint's origin, if it is not that of the log.
    pub origin: Option<String>,
    /// Whether a v1 log signs a promise.
    pub promise: bool,
}

impl LogRecipe {
    /// An entry among others, at a time.
    pub const fn new(generation: Generation, time: Time) -> Self {
        Self {
            generation,
            time,
            index: 5,
            tree_size: 11,
            origin: None,
            promise: true,
        }
    }
}

/// How many entries the shards before a v1 log's current tree hold.
const EARLIER_SHARDS: i64 = 4_163_431;

impl Instance {
    /// Logs a body, whatever it says.
    pub fn log_body(
        &self,
        kind: &str,
        version: &str,
        body: Vec<u8>,
        recipe: &LogRecipe,
    ) -> TransparencyLogEntry {
        let v1 = recipe.generation == Generation::V1;
        let signer = if v1 { &self.v1 } else { &self.v2 };
        let proof = self.prove(&body, signer, recipe);
        let mut entry = TransparencyLogEntry {
            log_index: proof.log_index + if v1 { EARLIER_SHARDS } else { 0 },
            log_id: if v1 {
                self.v1_id()
            } else {
                self.v2.log_id().to_vec()
            },
            kind: kind.to_owned(),
            version: version.to_owned(),
            integrated_time: if v1 { recipe.time.unix_seconds() } else { 0 },
            inclusion_promise: None,
            inclusion_proof: Some(proof),
            canonicalized_body: body,
        };
        if v1 && recipe.promise {
            self.promise(&mut entry);
        }
        entry
    }

    /// Signs the promise of an entry as it is now, by the key of the log that it names.
    pub fn promise(&self, entry: &mut TransparencyLogEntry) {
        let payload = entry.promise_payload();
        let key = if entry.log_id == self.v2.log_id() {
            &self.v2_key
        } else {
            &self.v1_key
        };
        let promise = key.sign_now(Input::Message(&payload)).unwrap();
        entry.inclusion_promise = Some(promise);
    }

    /// Signs a checkpoint of this text by one of the logs, in place of an entry's own.
    pub fn replace_checkpoint(
        &self,
        entry: &mut TransparencyLogEntry,
        generation: Generation,
        text: &str,
    ) {
        let signer = if generation == Generation::V1 {
            &self.v1
        } else {
            &self.v2
        };
        let note = ready(sign_note(text, Time::UNIX_EPOCH, &[signer])).unwrap();
        if let Some(proof) = &mut entry.inclusion_proof {
            proof.checkpoint = Some(note.to_string());
        }
    }

    /// Adds a witness's cosignature to an entry's checkpoint.
    pub fn cosign(entry: &mut TransparencyLogEntry, witness: &NoteSigner, time: Time) {
        let proof = entry.inclusion_proof.as_mut().unwrap();
        let mut note = SignedNote::parse(proof.checkpoint.as_deref().unwrap()).unwrap();
        let line = ready(witness.sign(note.unverified_text(), time)).unwrap();
        note.extend(vec![line]).unwrap();
        proof.checkpoint = Some(note.to_string());
    }

    fn prove(&self, body: &[u8], signer: &NoteSigner, recipe: &LogRecipe) -> InclusionProof {
        let mut frontier = Frontier::new();
        let mut nodes: BTreeMap<Node, _> = BTreeMap::new();
        for index in 0..recipe.tree_size {
            let leaf = if index == recipe.index {
                leaf_hash(body)
            } else {
                leaf_hash(format!("somebody else's entry {index}").as_bytes())
            };
            frontier
                .append_visiting(&leaf, |node, hash| {
                    nodes.insert(node, *hash);
                })
                .unwrap();
        }
        let read = |node: Node| nodes.get(&node).copied().ok_or(node);
        let proof = prove_inclusion(recipe.index, recipe.tree_size, read).unwrap();
        let origin = recipe
            .origin
            .clone()
            .unwrap_or_else(|| match recipe.generation {
                Generation::V1 => format!("{} - 1193050959916656506", signer.name()),
                Generation::V2 => signer.name().to_string(),
            });
        let root_hash = frontier.root_hash();
        let text = CheckpointText::new(Origin::new(&origin).unwrap(), recipe.tree_size, root_hash);
        let note = ready(sign_note(&text.to_string(), recipe.time, &[signer])).unwrap();
        InclusionProof {
            log_index: i64::try_from(recipe.index).unwrap(),
            root_hash: root_hash.to_vec(),
            tree_size: i64::try_from(recipe.tree_size).unwrap(),
            hashes: proof.hashes.iter().map(|hash| hash.to_vec()).collect(),
            checkpoint: Some(note.to_string()),
        }
    }
}

//! An answer to a new entry, and everything that it promises, verified.

use waxseal_formats::TransparencyLogEntry;
use waxseal_tlog::{Hash, InclusionProof, LogKey, leaf_hash};

use crate::{Entry, Outcome, open, text};

/// What the log promised: this entry is at this index, in this tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Where the entry is.
    pub index: u64,
    /// Hash of its bytes.
    pub leaf: Hash,
    /// Size of the tree that was signed.
    pub tree_size: u64,
    /// Root of it.
    pub root_hash: Hash,
}

impl Acknowledgement {
    /// Verifies an answer: its bytes are those that the entry must become, the checkpoint is
    /// signed by the log, and the proof leads from the bytes to the checkpoint's root.
    ///
    /// # Errors
    /// The first promise that is broken.
    pub fn verify(answer: &[u8], entry: &Entry, key: &LogKey) -> Outcome<Self> {
        let answer = TransparencyLogEntry::from_json(answer).map_err(text)?;
        if answer.canonicalized_body != entry.stored {
            return Err("other bytes were acknowledged than were posted".to_owned());
        }
        let proof = answer.inclusion_proof.ok_or("there is no proof")?;
        let note = proof.checkpoint.ok_or("there is no checkpoint")?;
        let checkpoint = open(&note, key)?;
        let number = |number: i64| u64::try_from(number).map_err(text);
        let index = number(answer.log_index)?;
        if index != number(proof.log_index)? || proof.root_hash != checkpoint.root_hash() {
            return Err("the proof is about another index or root than the answer".to_owned());
        }
        let hashes: Result<Vec<Hash>, _> = proof.hashes.into_iter().map(Hash::try_from).collect();
        let inclusion = InclusionProof {
            leaf_index: index,
            tree_size: checkpoint.tree_size(),
            hashes: hashes.map_err(|_| "a hash of the proof is not 32 bytes long")?,
        };
        let leaf = leaf_hash(&entry.stored);
        let root_hash = *checkpoint.root_hash();
        inclusion.check(&leaf, &root_hash).map_err(text)?;
        if number(proof.tree_size)? != checkpoint.tree_size() {
            return Err("the proof is about another tree than the checkpoint".to_owned());
        }
        Ok(Self {
            index,
            leaf,
            tree_size: checkpoint.tree_size(),
            root_hash,
        })
    }
}

//! Self-contained proofs of logging (c2sp.org/tlog-proof).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{parse_decimal, parse_hash};
use crate::{Checkpoint, Hash, InclusionProof, MAX_NOTE_BYTES, NoteError, ProofError, SignedNote};

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Most hashes of an inclusion proof: the height of the tallest tree.
const MAX_HASHES: usize = 64;

/// Most bytes of extra data; the specification sets no limit.
const MAX_EXTRA_BYTES: usize = 64 * 1024;

/// The index of an entry, its inclusion proof, a checkpoint, and extra data: nothing of it checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Opaque data with an application's meaning. **Not authenticated.**
    pub extra: Option<Vec<u8>>,
    /// Index of the entry.
    pub leaf_index: u64,
    /// Sibling hashes, from the leaf up.
    pub hashes: Vec<Hash>,
    /// The checkpoint, unopened.
    pub checkpoint: SignedNote,
}

/// Why a text is not a tlog-proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlogProofError {
    /// The first line is not `c2sp.org/tlog-proof@v1`.
    #[error("the proof does not start with {HEADER}")]
    WrongHeader,
    /// The `extra` line is not base64, or longer than 64 KiB.
    #[error("the proof has a malformed line of extra data")]
    BadExtra,
    /// There is no `index N` line, or N is not decimal without leading zeros.
    #[error("the proof has no index line")]
    BadIndex,
    /// A line is not the base64 of 32 bytes.
    #[error("the proof has a malformed hash")]
    BadHash,
    /// More hashes than the tallest tree is high.
    #[error("an inclusion proof has at most {MAX_HASHES} hashes")]
    TooManyHashes,
    /// There is no empty line before the checkpoint.
    #[error("the proof has no checkpoint")]
    NoCheckpoint,
    /// The checkpoint is not a signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is longer than any proof.
    #[error("the proof is too long")]
    TooLong,
}

impl TlogProof {
    /// Parses the text.
    ///
    /// # Errors
    /// [`TlogProofError`].
    pub fn parse(text: &str) -> Result<Self, TlogProofError> {
        if text.len() > MAX_NOTE_BYTES + 2 * MAX_EXTRA_BYTES {
            return Err(TlogProofError::TooLong);
        }
        let (head, note) = text
            .split_once("\n\n")
            .ok_or(TlogProofError::NoCheckpoint)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(TlogProofError::WrongHeader);
        }
        let extra = lines
            .next_if(|line| line.starts_with("extra "))
            .map(parse_extra)
            .transpose()?;
        let leaf_index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(parse_decimal)
            .ok_or(TlogProofError::BadIndex)?;
        let mut hashes = Vec::new();
        for line in lines {
            if hashes.len() == MAX_HASHES {
                return Err(TlogProofError::TooManyHashes);
            }
            hashes.push(parse_hash(line).ok_or(TlogProofError::BadHash)?);
        }
        Ok(Self {
            extra,
            leaf_index,
            hashes,
            checkpoint: SignedNote::parse(note)?,
        })
    }

    /// Checks that the leaf is in the tree of a checkpoint, which must be the proof's own, opened.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn check(&self, leaf: &Hash, opened: &Checkpoint) -> Result<(), ProofError> {
        let proof = InclusionProof {
            leaf_index: self.leaf_index,
            tree_size: opened.tree_size(),
            hashes: self.hashes.clone(),
        };
        proof.check(leaf, opened.root_hash())
    }
}

fn parse_extra(line: &str) -> Result<Vec<u8>, TlogProofError> {
    line.strip_prefix("extra ")
        .filter(|text| text.len() <= MAX_EXTRA_BYTES.div_ceil(3) * 4)
        .and_then(|text| STANDARD.decode(text).ok())
        .ok_or(TlogProofError::BadExtra)
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.leaf_index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests;

//! The texts of a witness (c2sp.org/tlog-witness): its `add-checkpoint` request and answer.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{parse_decimal, parse_hash};
use crate::{Hash, MAX_NOTE_BYTES, NoteError, SignatureLine, SignedNote};

/// Most lines of a consistency proof (tlog-witness).
const MAX_PROOF_LINES: usize = 63;

/// Longest request: a note, 63 hashes and a size.
const MAX_REQUEST_BYTES: usize = MAX_NOTE_BYTES + 4096;

/// A request to cosign a checkpoint; nothing of it is checked but its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpointRequest {
    /// The size of the checkpoint that the witness cosigned last, as the client believes.
    pub old_size: u64,
    /// The consistency proof from that size.
    pub hashes: Vec<Hash>,
    /// The new checkpoint, unopened.
    pub checkpoint: SignedNote,
}

/// Why a text is not such a request (a witness answers 400).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddCheckpointError {
    /// The text is longer than any request.
    #[error("the request is too long")]
    TooLong,
    /// The first line is not `old N` with N decimal without leading zeros.
    #[error("the request does not start with an old size")]
    BadOldSize,
    /// A line is not the base64 of 32 bytes.
    #[error("the request has a malformed hash")]
    BadHash,
    /// More than 63 lines of proof.
    #[error("a consistency proof has at most {MAX_PROOF_LINES} hashes")]
    TooManyHashes,
    /// There is no empty line before the checkpoint.
    #[error("the request has no checkpoint")]
    NoCheckpoint,
    /// The checkpoint is not a signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl AddCheckpointRequest {
    /// Parses the body of a request.
    ///
    /// # Errors
    /// [`AddCheckpointError`].
    pub fn parse(body: &str) -> Result<Self, AddCheckpointError> {
        if body.len() > MAX_REQUEST_BYTES {
            return Err(AddCheckpointError::TooLong);
        }
        let (head, note) = body
            .split_once("\n\n")
            .ok_or(AddCheckpointError::NoCheckpoint)?;
        let mut lines = head.split('\n');
        let old_size = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .and_then(parse_decimal)
            .ok_or(AddCheckpointError::BadOldSize)?;
        let mut hashes = Vec::new();
        for line in lines {
            if hashes.len() == MAX_PROOF_LINES {
                return Err(AddCheckpointError::TooManyHashes);
            }
            hashes.push(parse_hash(line).ok_or(AddCheckpointError::BadHash)?);
        }
        Ok(Self {
            old_size,
            hashes,
            checkpoint: SignedNote::parse(note)?,
        })
    }
}

impl fmt::Display for AddCheckpointRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        for hash in &self.hashes {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Parses a witness's answer: one or more signature lines, none of them verified. Extend the note
/// with them and open it.
///
/// # Errors
/// [`NoteError`].
pub fn parse_signature_lines(body: &str) -> Result<Vec<SignatureLine>, NoteError> {
    if body.len() > MAX_NOTE_BYTES {
        return Err(NoteError::TooLong { length: body.len() });
    }
    if body.is_empty() {
        return Err(NoteError::NoSignature);
    }
    SignatureLine::parse_all(body)
}

/// Writes a witness's answer.
pub fn encode_signature_lines(lines: &[SignatureLine]) -> String {
    lines.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests;

//! Inclusion in the log: the proof, the checkpoint that it leads to, and whose log that is.

use waxseal_crypto::Time;
use waxseal_formats::{InclusionProof, TransparencyLogEntry};
use waxseal_tlog::{
    Checkpoint, CheckpointError, Hash, NoteKey, OpenError, SignedNote, check_inclusion, leaf_hash,
};

use crate::authorities::Log;
use crate::{VerificationPolicy, VerifyError};

/// Whether the entry's promise was verified, and what its kind says of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence {
    /// The signed entry timestamp verified: it covers the index and the time.
    pub(crate) promise: bool,
    /// The entry is of a kind that only version 2 logs write.
    pub(crate) v2: bool,
}

impl Evidence {
    pub(crate) fn of(entry: &TransparencyLogEntry, promise: bool) -> Self {
        let kind = (entry.kind.as_str(), entry.version.as_str());
        Self {
            promise,
            v2: matches!(kind, ("hashedrekord" | "dsse", "0.0.2")),
        }
    }
}

/// Verifies the inclusion of an entry. Gives the size of the tree that it is in, or `None` if the
/// promise stands in for the proof.
pub(crate) fn verify(
    log: &Log,
    entry: &TransparencyLogEntry,
    evidence: Evidence,
    policy: &VerificationPolicy,
) -> Result<Option<u64>, VerifyError> {
    let index = entry.log_index;
    let Some(proof) = &entry.inclusion_proof else {
        // only reached with a verified promise that the policy accepts
        return check_unwitnessed(index, policy);
    };
    // The index of a v1 log counts over all its shards, that of a proof in its own tree; only the
    // promise binds the first one.
    if (evidence.v2 || !evidence.promise) && proof.log_index != index {
        return Err(VerifyError::LogIndexMismatch {
            entry: index,
            proof: proof.log_index,
        });
    }
    let (tree_size, root_hash) = check_proof(proof, &entry.canonicalized_body)
        .ok_or(VerifyError::InclusionProofInvalid { index })?;
    let Some(checkpoint) = &proof.checkpoint else {
        return if policy.accept_promise && evidence.promise {
            check_unwitnessed(index, policy)
        } else {
            Err(VerifyError::CheckpointMissing { index })
        };
    };
    let checkpoint = open_checkpoint(log, checkpoint, index, evidence, policy)?;
    if checkpoint.tree_size() != tree_size || *checkpoint.root_hash() != root_hash {
        return Err(VerifyError::CheckpointMismatch { index });
    }
    check_witnesses(index, policy, |witness| {
        checkpoint
            .cosignatures()
            .iter()
            .any(|cosignature| cosignature.cosigner == witness)
    })?;
    Ok(Some(tree_size))
}

/// A promise that stands in for the proof is the log's word alone: no witness saw it.
fn check_unwitnessed(index: i64, policy: &VerificationPolicy) -> Result<Option<u64>, VerifyError> {
    check_witnesses(index, policy, |_| false).map(|()| None)
}

fn check_witnesses(
    index: i64,
    policy: &VerificationPolicy,
    cosigned: impl Fn(usize) -> bool,
) -> Result<(), VerifyError> {
    match policy.witnesses.as_deref() {
        Some(quorum) if !quorum.is_met_by(cosigned) => Err(VerifyError::WitnessQuorum { index }),
        _ => Ok(()),
    }
}

/// The tree size and root hash that the proof leads to, if it holds. The leaf is the body as it was
/// logged; that the body says what the bundle says is checked apart (`binding`).
fn check_proof(proof: &InclusionProof, body: &[u8]) -> Option<(u64, Hash)> {
    let index = u64::try_from(proof.log_index).ok()?;
    let tree_size = u64::try_from(proof.tree_size).ok()?;
    let root_hash: Hash = proof.root_hash.as_slice().try_into().ok()?;
    let mut hashes: Vec<Hash> = Vec::with_capacity(proof.hashes.len());
    for hash in &proof.hashes {
        hashes.push(hash.as_slice().try_into().ok()?);
    }
    check_inclusion(&leaf_hash(body), index, tree_size, &hashes, &root_hash).ok()?;
    Some((tree_size, root_hash))
}

/// Opens the checkpoint with the key of the entry's own log and no other: any trusted log could
/// otherwise vouch for entries of all of them.
fn open_checkpoint(
    log: &Log,
    text: &str,
    index: i64,
    evidence: Evidence,
    policy: &VerificationPolicy,
) -> Result<Checkpoint, VerifyError> {
    let note = SignedNote::parse(text).map_err(|_| VerifyError::CheckpointMalformed { index })?;
    // A note that is no checkpoint is told as such, whatever its signatures are.
    let or_malformed = |error: VerifyError| match note.unverified_checkpoint() {
        Ok(_) => error,
        Err(_) => VerifyError::CheckpointMalformed { index },
    };
    let key = log
        .checkpoint_keys(evidence.v2)
        .find(|key| note.signatures().iter().any(|line| line.is_by(&key.key)))
        .ok_or_else(|| or_malformed(VerifyError::CheckpointSignatureMissing { index }))?;
    let cosigners: Vec<&NoteKey> = policy
        .witnesses
        .as_deref()
        .map(|quorum| {
            quorum
                .witnesses()
                .iter()
                .map(|witness| &witness.key)
                .collect()
        })
        .unwrap_or_default();
    Checkpoint::open(&note, key, &cosigners).map_err(|error| {
        or_malformed(match error {
            CheckpointError::Open(OpenError::NoKnownSignature)
            | CheckpointError::NotSignedByLog => VerifyError::CheckpointSignatureMissing { index },
            CheckpointError::WrongOrigin => VerifyError::CheckpointOriginMismatch {
                index,
                found: note
                    .unverified_checkpoint()
                    .map(|text| text.origin().to_string())
                    .unwrap_or_default(),
            },
            _ => VerifyError::CheckpointInvalid { index },
        })
    })
}

/// Every time that vouches for the entry must be one at which the trusted root trusted the log.
pub(crate) fn check_window(
    log: &Log,
    mut times: impl Iterator<Item = Time>,
) -> Result<(), VerifyError> {
    match times.find(|time| !log.valid_for.contains(*time)) {
        None => Ok(()),
        Some(time) => Err(VerifyError::LogExpired {
            log: log.origin.clone(),
            time,
        }),
    }
}

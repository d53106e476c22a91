//! Attestations: the in-toto statement in the envelope, and what it is about.

use waxseal_crypto::{Digest, HashAlgorithm};
use waxseal_formats::{DsseEnvelope, MAX_SUBJECT_DIGESTS, MAX_SUBJECTS, Statement, StatementError};

use crate::artifact::Message;
use crate::{VerificationPolicy, VerifyError};

/// Reads the statement. Any other payload is refused: nothing would tie it to the artifact.
pub(crate) fn parse(envelope: &DsseEnvelope) -> Result<Statement, VerifyError> {
    if envelope.payload_type != DsseEnvelope::IN_TOTO {
        return Err(VerifyError::PayloadTypeUnsupported {
            found: envelope.payload_type.clone(),
        });
    }
    Statement::from_json(&envelope.payload).map_err(|error| match error {
        StatementError::TooManySubjects { count } => VerifyError::TooManySubjects {
            found: count,
            limit: MAX_SUBJECTS,
        },
        StatementError::TooManyDigests { count, .. } => VerifyError::TooManyDigests {
            found: count,
            limit: MAX_SUBJECT_DIGESTS,
        },
        source => VerifyError::StatementMalformed { source },
    })
}

/// The hashes that the statement's subjects use, as far as they are supported.
pub(crate) fn hashes(statement: &Statement) -> Vec<HashAlgorithm> {
    let mut all = Vec::new();
    for subject in &statement.subjects {
        for (name, _) in &subject.digests {
            match HashAlgorithm::from_name(name) {
                Some(hash) if !all.contains(&hash) => all.push(hash),
                _ => {}
            }
        }
    }
    all
}

/// The digest by which the artifact is one of the statement's subjects. Of one subject, every
/// digest that can be compared must be the artifact's; at least one must be comparable.
pub(crate) fn find_subject(
    statement: &Statement,
    artifact: &mut Message<'_>,
) -> Result<Digest, VerifyError> {
    let mut unavailable: Option<HashAlgorithm> = None;
    for subject in &statement.subjects {
        let mut matched: Option<Digest> = None;
        let mut unknown: Option<HashAlgorithm> = None;
        let mut differs = false;
        for (name, value) in &subject.digests {
            let Some(hash) = HashAlgorithm::from_name(name) else {
                continue;
            };
            match artifact.known_digest(hash) {
                None => unknown = Some(hash),
                Some(digest) if is_hex_of(value, digest.as_bytes()) => matched = Some(digest),
                Some(_) => differs = true,
            }
        }
        match matched {
            _ if differs => {}
            Some(digest) => return Ok(digest),
            None => unavailable = unavailable.or(unknown),
        }
    }
    Err(match unavailable {
        Some(wanted) => VerifyError::ArtifactDigestUnavailable { wanted },
        None => VerifyError::SubjectMismatch,
    })
}

/// Digests of subjects are lower-case hexadecimal (in-toto `DigestSet`).
fn is_hex_of(text: &str, bytes: &[u8]) -> bool {
    let digit = |nibble: u8| {
        if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        }
    };
    text.len() == 2 * bytes.len()
        && text
            .as_bytes()
            .chunks_exact(2)
            .zip(bytes)
            .all(|(pair, byte)| pair == [digit(byte >> 4), digit(byte & 15)])
}

/// The predicate's type, if the policy asks for one. A bundle that is no attestation has none.
pub(crate) fn check_predicate_type(
    statement: Option<&Statement>,
    policy: &VerificationPolicy,
) -> Result<(), VerifyError> {
    let Some(expected) = &policy.predicate_type else {
        return Ok(());
    };
    let found = statement.map(|statement| &statement.predicate_type);
    if found == Some(expected) {
        return Ok(());
    }
    Err(VerifyError::PredicateTypeMismatch {
        expected: expected.clone(),
        found: found.cloned().unwrap_or_default(),
    })
}

//! What must hold before anything is computed: limits, shapes, duplicates.
//!
//! The reader of bundles checks much of this as well; a `Bundle` can be made without it.

use waxseal_crypto::{Digest, HashAlgorithm};
use waxseal_formats::{Bundle, Content, KeyMaterial, MessageDigest, TransparencyLogEntry};
use waxseal_pki::Certificate;

use crate::policy::SignerRule;
use crate::{VerificationPolicy, VerifyError, limits};

/// Checks the structure; gives the leaf certificate, if the bundle has one, and the signature.
pub(crate) fn check<'a>(
    bundle: &'a Bundle,
    policy: &VerificationPolicy,
) -> Result<(Option<Certificate>, &'a [u8]), VerifyError> {
    let entries = &bundle.material.tlog_entries;
    let timestamps = &bundle.material.timestamps;
    if entries.len() > limits::ENTRIES {
        return Err(VerifyError::TooManyEntries {
            found: entries.len(),
            limit: limits::ENTRIES,
        });
    }
    if timestamps.len() > limits::TIMESTAMPS {
        return Err(VerifyError::TooManyTimestamps {
            found: timestamps.len(),
            limit: limits::TIMESTAMPS,
        });
    }
    let leaf = leaf_certificate(&bundle.material.key, policy)?;
    let signature = match &bundle.content {
        Content::MessageSignature { signature, .. } => signature.as_slice(),
        Content::Dsse(envelope) => match envelope.signatures.as_slice() {
            [signature] => &signature.sig,
            other => return Err(VerifyError::SignatureCount { found: other.len() }),
        },
        _ => return Err(VerifyError::SignatureCount { found: 0 }),
    };
    if let Some(entry) = entries.iter().find(|entry| entry.log_index < 0) {
        return Err(VerifyError::LogIndexNegative {
            found: entry.log_index,
        });
    }
    check_duplicates(entries, timestamps)?;
    check_evidence(entries, policy)?;
    Ok((leaf, signature))
}

fn leaf_certificate(
    key: &KeyMaterial,
    policy: &VerificationPolicy,
) -> Result<Option<Certificate>, VerifyError> {
    let (leaf, others) = match key {
        KeyMaterial::Certificate(leaf) => (Some(leaf), [].as_slice()),
        KeyMaterial::CertificateChain(chain) => {
            if chain.len() > limits::CERTIFICATES {
                return Err(VerifyError::TooManyCertificates {
                    found: chain.len(),
                    limit: limits::CERTIFICATES,
                });
            }
            let (leaf, others) = chain.split_first().ok_or(VerifyError::CertificateMissing)?;
            (Some(leaf), others)
        }
        _ => (None, [].as_slice()),
    };
    let Some(leaf) = leaf else {
        return match policy.signer {
            SignerRule::Key { .. } => Ok(None),
            _ => Err(VerifyError::CertificateRequired),
        };
    };
    if matches!(policy.signer, SignerRule::Key { .. }) {
        return Err(VerifyError::KeyRequired);
    }
    let parse = |der: &Vec<u8>| {
        Certificate::parse(der.as_slice())
            .map_err(|source| VerifyError::CertificateMalformed { source })
    };
    let leaf = parse(leaf)?;
    // Certificates beside the leaf take no part in its path: intermediates come from the trusted
    // root. A root among them says that whoever made the bundle expects it to be believed.
    for other in others {
        let other = parse(other)?;
        if other.issuer() == other.subject() {
            return Err(VerifyError::RootCertificateInBundle);
        }
    }
    Ok(Some(leaf))
}

fn check_duplicates(
    entries: &[TransparencyLogEntry],
    timestamps: &[Vec<u8>],
) -> Result<(), VerifyError> {
    for (position, entry) in entries.iter().enumerate() {
        let same = |other: &TransparencyLogEntry| {
            other.log_id == entry.log_id && other.log_index == entry.log_index
        };
        if entries.iter().take(position).any(same) {
            return Err(VerifyError::EntryDuplicate {
                index: entry.log_index,
            });
        }
    }
    for (position, token) in timestamps.iter().enumerate() {
        if timestamps.iter().take(position).any(|other| other == token) {
            return Err(VerifyError::TimestampDuplicate);
        }
    }
    Ok(())
}

fn check_evidence(
    entries: &[TransparencyLogEntry],
    policy: &VerificationPolicy,
) -> Result<(), VerifyError> {
    for entry in entries {
        if entry.inclusion_proof.is_some() {
            continue;
        }
        let index = entry.log_index;
        if entry.inclusion_promise.is_none() {
            return Err(VerifyError::EntryWithoutEvidence { index });
        }
        if !policy.accept_promise {
            return Err(VerifyError::InclusionProofMissing { index });
        }
    }
    Ok(())
}

/// The digest that a bundle or a log entry names; `None` if its algorithm is not supported or its
/// length is not that of the algorithm.
pub(crate) fn digest_of(named: &MessageDigest) -> Option<Digest> {
    Digest::new(hash_of(named.algorithm.as_str())?, &named.digest).ok()
}

fn hash_of(name: &str) -> Option<HashAlgorithm> {
    match name {
        "SHA2_256" => Some(HashAlgorithm::Sha256),
        "SHA2_384" => Some(HashAlgorithm::Sha384),
        "SHA2_512" => Some(HashAlgorithm::Sha512),
        _ => None,
    }
}

//! A bundle, unverified: who would have signed what, where it would be logged and when.

use waxseal_formats::{
    Bundle, Content, DsseEnvelope, KeyMaterial, Statement, TransparencyLogEntry,
};
use waxseal_pki::timestamp::TimestampToken;

use super::signatures::Signatures;
use super::{certificate, note};
use crate::shown::Shown;

/// How many subjects of a statement are shown.
const MAX_SUBJECTS: usize = 64;

/// Shows a bundle.
pub(crate) fn shown(bundle: &Bundle, signatures: &mut Signatures<'_>) -> Shown {
    let entries = bundle.material.tlog_entries.iter();
    let entries = entries.map(|one| entry(one, signatures)).collect();
    let timestamps = bundle
        .material
        .timestamps
        .iter()
        .map(|token| timestamp(token).unwrap_or_else(|| Shown::text("malformed")));
    let shown = Shown::fields([
        ("kind", Shown::text("bundle")),
        ("mediaType", Shown::text(bundle.media_type())),
    ]);
    let shown = match &bundle.content {
        Content::MessageSignature { digest, signature } => {
            let digest = digest.as_ref().map(|digest| {
                Shown::fields([
                    ("algorithm", Shown::text(&digest.algorithm)),
                    ("value", Shown::hex(&digest.digest)),
                ])
            });
            shown
                .with("content", Shown::text("message signature"))
                .with_some("digest", digest)
                .with("signature", Shown::hex(signature))
        }
        Content::Dsse(envelope) => shown
            .with("content", Shown::text("envelope"))
            .with("envelope", dsse(envelope)),
        _ => shown.with("content", Shown::text("of a kind that is not read")),
    };
    shown
        .with("signer", signer(&bundle.material.key))
        .with("logEntries", Shown::List(entries))
        .with("timestamps", Shown::List(timestamps.collect()))
}

fn signer(key: &KeyMaterial) -> Shown {
    match key {
        KeyMaterial::PublicKey { hint } => {
            Shown::fields([("kind", Shown::text("public key"))]).with_text("hint", hint)
        }
        other => match other.leaf_certificate().map(certificate::shown) {
            Some(Ok(shown)) => shown,
            Some(Err(error)) => Shown::text(format!("malformed: {error}")),
            None => Shown::text("none"),
        },
    }
}

fn dsse(envelope: &DsseEnvelope) -> Shown {
    let shown = Shown::fields([
        ("payloadType", Shown::text(&envelope.payload_type)),
        ("payloadBytes", length(envelope.payload.len())),
    ]);
    if envelope.payload_type != DsseEnvelope::IN_TOTO {
        return shown;
    }
    let statement = match Statement::from_json(&envelope.payload) {
        Ok(statement) => statement,
        Err(error) => return shown.with("statement", Shown::text(format!("malformed: {error}"))),
    };
    let subjects = statement.subjects.iter().take(MAX_SUBJECTS).map(|subject| {
        let digests = subject.digests.iter();
        Shown::fields([("name", Shown::text(&subject.name))]).with(
            "digests",
            Shown::Fields(
                digests
                    .map(|(name, hex)| (name.clone(), Shown::text(hex)))
                    .collect(),
            ),
        )
    });
    shown.with(
        "statement",
        Shown::fields([
            ("predicateType", Shown::text(&statement.predicate_type)),
            ("subjectCount", length(statement.subjects.len())),
            ("subjects", Shown::List(subjects.collect())),
        ]),
    )
}

fn entry(entry: &TransparencyLogEntry, signatures: &mut Signatures<'_>) -> Shown {
    let proof = entry.inclusion_proof.as_ref().map(|proof| {
        let checkpoint = proof.checkpoint.as_deref().map(|text| {
            let shown = note::shown(text, signatures);
            shown.unwrap_or_else(|failure| {
                signatures.reject();
                Shown::text(failure.message)
            })
        });
        Shown::fields([
            ("index", Shown::Number(proof.log_index)),
            ("treeSize", Shown::Number(proof.tree_size)),
            ("rootHash", Shown::hex(&proof.root_hash)),
            ("hashCount", length(proof.hashes.len())),
        ])
        .with_some("checkpoint", checkpoint)
    });
    let time = (entry.integrated_time != 0).then(|| {
        waxseal_crypto::Time::from_unix(entry.integrated_time)
            .map_or_else(|_| Shown::Number(entry.integrated_time), Shown::text)
    });
    Shown::fields([
        (
            "kind",
            Shown::text(format!("{} {}", entry.kind, entry.version)),
        ),
        ("log", Shown::hex(&entry.log_id)),
        ("index", Shown::Number(entry.log_index)),
    ])
    .with_some("integratedTime", time)
    .with("promise", Shown::Flag(entry.inclusion_promise.is_some()))
    .with_some("proof", proof)
}

/// An RFC 3161 response or token; `None` if it is neither.
pub(crate) fn timestamp(der: &[u8]) -> Option<Shown> {
    let token = match TimestampToken::from_response(der) {
        Ok(token) => token,
        Err(_) => TimestampToken::parse(der).ok()?,
    };
    let info = token.info();
    let certificates = token.certificates().map(|der| {
        certificate::shown(der).unwrap_or_else(|error| Shown::text(format!("malformed: {error}")))
    });
    Some(Shown::fields([
        ("time", Shown::text(info.time)),
        ("policy", Shown::text(info.policy)),
        ("serial", Shown::hex(&info.serial)),
        ("imprint", Shown::text(info.imprint)),
        ("certificates", Shown::List(certificates.collect())),
    ]))
}

fn length(length: usize) -> Shown {
    i64::try_from(length).map_or_else(|_| Shown::text(length), Shown::Number)
}

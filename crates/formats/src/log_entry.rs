//! `dev.sigstore.rekor.v1.TransparencyLogEntry`: an entry and the evidence that a log holds it.

use std::fmt::Write as _;

use base64::Engine as _;

use crate::alphabet::STANDARD;
use crate::json::{Limits, Writer, object, parse};
use crate::protojson::{FieldError, Message};

/// The most hashes that an inclusion proof may have: the height of a tree of 2⁶³ entries.
pub const MAX_PROOF_HASHES: usize = 63;

/// The longest log entry that is read as a document of its own: Rekor v2 caps bodies at 64 KiB,
/// v1 entries with attached attestations at 100 KiB.
pub const MAX_LOG_ENTRY_BYTES: usize = 1 << 20;

/// A log entry with its promise and proof.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransparencyLogEntry {
    /// Index in the log over all its shards; unsigned if there is no promise.
    pub log_index: i64,
    /// The log's id: the SHA-256 of its key (v1) or of the note key id's input (v2).
    pub log_id: Vec<u8>,
    /// The kind of the body, such as `hashedrekord`.
    pub kind: String,
    /// The version of that kind, such as `0.0.2`.
    pub version: String,
    /// When the log took it in, in seconds since the epoch: untrusted without the promise; zero
    /// in v2.
    pub integrated_time: i64,
    /// The signed entry timestamp over [`TransparencyLogEntry::promise_payload`].
    pub inclusion_promise: Option<Vec<u8>>,
    /// The proof of inclusion.
    pub inclusion_proof: Option<InclusionProof>,
    /// The bytes in the log.
    pub canonicalized_body: Vec<u8>,
}

/// An inclusion proof as it is on the wire; `tlog` checks it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InclusionProof {
    /// Index in the tree of `tree_size`.
    pub log_index: i64,
    /// The root that the proof leads to; it counts only if the checkpoint holds the same.
    pub root_hash: Vec<u8>,
    /// Size of the tree.
    pub tree_size: i64,
    /// Sibling hashes from the leaf up.
    pub hashes: Vec<Vec<u8>>,
    /// The text of a signed checkpoint of that tree.
    pub checkpoint: Option<String>,
}

impl TransparencyLogEntry {
    /// The bytes a promise (SET) signs: RFC 8785 JSON of body, integrated time, log id and index.
    pub fn promise_payload(&self) -> Vec<u8> {
        let digit = |nibble: u8| char::from(if nibble < 10 { b'0' } else { b'a' - 10 } + nibble);
        let body = &self.canonicalized_body;
        let mut json = String::with_capacity(body.len() / 3 * 4 + 256);
        json.push_str("{\"body\":\"");
        STANDARD.encode_string(body, &mut json);
        // Writing to a `String` cannot fail.
        let _ = write!(
            json,
            "\",\"integratedTime\":{},\"logID\":\"",
            self.integrated_time
        );
        for byte in &self.log_id {
            json.extend([digit(byte >> 4), digit(byte & 15)]);
        }
        let _ = write!(json, "\",\"logIndex\":{}}}", self.log_index);
        json.into_bytes()
    }

    /// Reads a log's answer to a new entry. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`FieldError`], if it is not an entry.
    pub fn from_json(text: &[u8]) -> Result<Self, FieldError> {
        let limits = Limits {
            bytes: MAX_LOG_ENTRY_BYTES,
            values: 1000,
        };
        let value = parse(text, limits)?;
        Self::read(Message::of(&value, "entry")?)
    }

    /// The entry as a log answers it: every field is there, `null` for what is absent.
    pub fn to_json(&self) -> String {
        object(|o| self.write(o, true))
    }

    pub(crate) fn read(message: Message<'_, '_>) -> Result<Self, FieldError> {
        let kind_version = message.required("kindVersion")?;
        let promise = message.message("inclusionPromise")?;
        let proof = message.message("inclusionProof")?;
        Ok(Self {
            log_index: message.int64("logIndex")?,
            log_id: key_id(message, "logId")?.ok_or(FieldError::Missing { field: "logId" })?,
            kind: kind_version.string("kind")?,
            version: kind_version.string("version")?,
            integrated_time: message.int64("integratedTime")?,
            // A promise without bytes promises nothing.
            inclusion_promise: promise
                .map(|promise| promise.bytes("signedEntryTimestamp"))
                .transpose()?
                .filter(|promise| !promise.is_empty()),
            inclusion_proof: proof.map(InclusionProof::read).transpose()?,
            canonicalized_body: message.required_bytes("canonicalizedBody")?,
        })
    }

    /// `unpopulated`: write `null` for an absent promise or proof, as a log's answer does.
    pub(crate) fn write(&self, writer: &mut Writer, unpopulated: bool) {
        writer.int64("logIndex", self.log_index);
        writer.object("logId", |o| o.bytes("keyId", &self.log_id));
        writer.object("kindVersion", |o| {
            o.text("kind", &self.kind);
            o.text("version", &self.version);
        });
        writer.int64("integratedTime", self.integrated_time);
        match &self.inclusion_promise {
            Some(promise) => writer.object("inclusionPromise", |o| {
                o.bytes("signedEntryTimestamp", promise);
            }),
            None if unpopulated => writer.raw("inclusionPromise", "null"),
            None => {}
        }
        match &self.inclusion_proof {
            Some(proof) => writer.object("inclusionProof", |o| proof.write(o, unpopulated)),
            None if unpopulated => writer.raw("inclusionProof", "null"),
            None => {}
        }
        writer.bytes("canonicalizedBody", &self.canonicalized_body);
    }
}

impl InclusionProof {
    fn read(message: Message<'_, '_>) -> Result<Self, FieldError> {
        Ok(Self {
            log_index: message.int64("logIndex")?,
            root_hash: message.bytes("rootHash")?,
            tree_size: message.int64("treeSize")?,
            hashes: message.byte_strings("hashes", MAX_PROOF_HASHES)?,
            checkpoint: message
                .message("checkpoint")?
                .map(|checkpoint| checkpoint.string("envelope"))
                .transpose()?,
        })
    }

    fn write(&self, writer: &mut Writer, unpopulated: bool) {
        writer.int64("logIndex", self.log_index);
        writer.bytes("rootHash", &self.root_hash);
        writer.int64("treeSize", self.tree_size);
        writer.byte_strings("hashes", self.hashes.iter().map(Vec::as_slice));
        match &self.checkpoint {
            Some(checkpoint) => writer.object("checkpoint", |o| o.text("envelope", checkpoint)),
            None if unpopulated => writer.raw("checkpoint", "null"),
            None => {}
        }
    }
}

/// The `keyId` of a `LogId`.
pub(crate) fn key_id(
    message: Message<'_, '_>,
    field: &'static str,
) -> Result<Option<Vec<u8>>, FieldError> {
    message
        .message(field)?
        .map(|id| id.required_bytes("keyId"))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> TransparencyLogEntry {
        TransparencyLogEntry {
            log_index: 7,
            log_id: vec![0x0a, 0xff],
            kind: "hashedrekord".into(),
            version: "0.0.1".into(),
            integrated_time: 1_700_000_000,
            canonicalized_body: b"{}".to_vec(),
            ..TransparencyLogEntry::default()
        }
    }

    #[test]
    fn promise_payload_is_canonical_json() {
        assert_eq!(
            String::from_utf8(entry().promise_payload()).unwrap(),
            r#"{"body":"e30=","integratedTime":1700000000,"logID":"0aff","logIndex":7}"#
        );
    }

    #[test]
    fn an_answer_writes_every_field() {
        let mut entry = entry();
        entry.log_index = 0;
        assert_eq!(
            entry.to_json(),
            r#"{"logIndex":"0","logId":{"keyId":"Cv8="},"kindVersion":{"kind":"hashedrekord","version":"0.0.1"},"integratedTime":"1700000000","inclusionPromise":null,"inclusionProof":null,"canonicalizedBody":"e30="}"#
        );
        assert_eq!(
            TransparencyLogEntry::from_json(entry.to_json().as_bytes()),
            Ok(entry.clone())
        );
        entry.inclusion_promise = Some(vec![1]);
        entry.inclusion_proof = Some(InclusionProof::default());
        assert_eq!(
            TransparencyLogEntry::from_json(entry.to_json().as_bytes()),
            Ok(entry)
        );
    }

    #[test]
    fn a_proof_has_at_most_63_hashes() {
        let mut entry = entry();
        let proof = |count| {
            Some(InclusionProof {
                hashes: vec![vec![0; 32]; count],
                ..InclusionProof::default()
            })
        };
        entry.inclusion_proof = proof(MAX_PROOF_HASHES);
        assert!(TransparencyLogEntry::from_json(entry.to_json().as_bytes()).is_ok());
        entry.inclusion_proof = proof(MAX_PROOF_HASHES + 1);
        assert_eq!(
            TransparencyLogEntry::from_json(entry.to_json().as_bytes()),
            Err(FieldError::TooMany {
                field: "hashes",
                count: 64,
                limit: 63
            })
        );
    }
}

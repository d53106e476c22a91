//! Messages to the log's JSON and back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use waxseal_formats::TransparencyLogEntry;

use crate::dev::sigstore::common::v1::LogId;
use crate::dev::sigstore::rekor::v1 as rekor;
use crate::dev::sigstore::rekor::v2::create_entry_request::Spec;
use crate::dev::sigstore::rekor::v2::verifier::Verifier as Key;
use crate::dev::sigstore::rekor::v2::{
    CreateEntryRequest, DsseRequestV002, HashedRekordRequestV002, Signature, Verifier,
};

/// A request as protojson: what is not set is not there, so that it is refused in the same words.
pub(crate) fn request_json(request: &CreateEntryRequest) -> String {
    let request = match &request.spec {
        Some(Spec::HashedRekordRequestV002(inner)) => {
            json!({ "hashedRekordRequestV002": hashed_rekord(inner) })
        }
        Some(Spec::DsseRequestV002(inner)) => json!({ "dsseRequestV002": dsse(inner) }),
        None => json!({}),
    };
    request.to_string()
}

fn hashed_rekord(request: &HashedRekordRequestV002) -> Value {
    let mut message = Map::new();
    message.insert("digest".into(), bytes(&request.digest));
    if let Some(one) = &request.signature {
        message.insert("signature".into(), signature(one));
    }
    message.into()
}

fn dsse(request: &DsseRequestV002) -> Value {
    let mut message = Map::new();
    if let Some(envelope) = &request.envelope {
        let signatures = envelope.signatures.iter();
        let signatures = signatures.map(|one| json!({"sig": bytes(&one.sig), "keyid": one.keyid}));
        let envelope = json!({
            "payload": bytes(&envelope.payload),
            "payloadType": envelope.payload_type,
            "signatures": signatures.collect::<Vec<_>>(),
        });
        message.insert("envelope".into(), envelope);
    }
    let verifiers = request.verifiers.iter().map(verifier);
    message.insert("verifiers".into(), verifiers.collect());
    message.into()
}

fn signature(signature: &Signature) -> Value {
    let mut message = Map::new();
    message.insert("content".into(), bytes(&signature.content));
    if let Some(one) = &signature.verifier {
        message.insert("verifier".into(), verifier(one));
    }
    message.into()
}

fn verifier(verifier: &Verifier) -> Value {
    let mut message = Map::new();
    message.insert("keyDetails".into(), verifier.key_details.into());
    let key = match &verifier.verifier {
        Some(Key::PublicKey(key)) => Some(("publicKey", &key.raw_bytes)),
        Some(Key::X509Certificate(certificate)) => {
            Some(("x509Certificate", &certificate.raw_bytes))
        }
        None => None,
    };
    if let Some((name, raw)) = key {
        message.insert(name.into(), json!({ "rawBytes": bytes(raw) }));
    }
    message.into()
}

fn bytes(bytes: &[u8]) -> Value {
    STANDARD.encode(bytes).into()
}

/// The log's answer as a message.
pub(crate) fn entry(entry: TransparencyLogEntry) -> rekor::TransparencyLogEntry {
    let inclusion_proof = entry.inclusion_proof.map(|proof| rekor::InclusionProof {
        log_index: proof.log_index,
        root_hash: proof.root_hash,
        tree_size: proof.tree_size,
        hashes: proof.hashes,
        checkpoint: proof
            .checkpoint
            .map(|envelope| rekor::Checkpoint { envelope }),
    });
    let promise = entry.inclusion_promise;
    rekor::TransparencyLogEntry {
        log_index: entry.log_index,
        log_id: Some(LogId {
            key_id: entry.log_id,
        }),
        kind_version: Some(rekor::KindVersion {
            kind: entry.kind,
            version: entry.version,
        }),
        integrated_time: entry.integrated_time,
        inclusion_promise: promise.map(|signed_entry_timestamp| rekor::InclusionPromise {
            signed_entry_timestamp,
        }),
        inclusion_proof,
        canonicalized_body: entry.canonicalized_body,
    }
}

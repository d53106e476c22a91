//! Log entries: their bodies, the entries around them, the statements that they are about.

use waxseal_formats::entry::Body;
use waxseal_formats::json::Limits;
use waxseal_formats::{DsseEnvelope, Statement, TransparencyLogEntry};

use crate::virtual_sigstore::{Case, Instance, Order, PREDICATE, body, statement};

const KINDS: [(&str, &str); 6] = [
    ("hashedrekord", "0.0.1"),
    ("hashedrekord", "0.0.2"),
    ("dsse", "0.0.1"),
    ("dsse", "0.0.2"),
    ("intoto", "0.0.1"),
    ("intoto", "0.0.2"),
];

pub(super) fn body_seeds() -> Vec<Vec<u8>> {
    let own = Instance::new("operator a", "a.example");
    let order = Order::default();
    let payload = Some(statement(&order.artifact, PREDICATE));
    let envelope = own.sign(Order { payload, ..order });
    let artifact = own.sign(Order::default());
    KINDS
        .iter()
        .map(|(kind, version)| {
            let signed = if *kind == "hashedrekord" {
                &artifact
            } else {
                &envelope
            };
            body(signed, kind, version)
        })
        .collect()
}

pub(super) fn read_body(bytes: &[u8]) {
    for (kind, version) in KINDS {
        if let Ok(body) = Body::parse(kind, version, bytes) {
            drop(body.encode_canonical());
        }
    }
}

pub(super) fn statement_seeds() -> Vec<Vec<u8>> {
    let own = Instance::new("operator a", "a.example");
    let entry = Case::v1(&own).entry().to_json().into_bytes();
    let envelope = r#"{"payload":"AAAA","payloadType":"t","signatures":[{"sig":"AAAA"}]}"#;
    vec![
        statement(b"x", PREDICATE).1,
        entry,
        envelope.as_bytes().to_vec(),
    ]
}

pub(super) fn read_statement(bytes: &[u8]) {
    if let Ok(statement) = Statement::from_json(bytes) {
        let again = Statement::from_json(statement.to_json().as_bytes());
        assert_eq!(again, Ok(statement), "a statement changed");
    }
    let limits = Limits {
        bytes: 1 << 20,
        values: 1000,
    };
    if let Ok(envelope) = DsseEnvelope::from_json(bytes, limits) {
        let again = DsseEnvelope::from_json(envelope.to_json().as_bytes(), limits);
        assert_eq!(again, Ok(envelope), "an envelope changed");
    }
    if let Ok(entry) = TransparencyLogEntry::from_json(bytes) {
        let again = TransparencyLogEntry::from_json(entry.to_json().as_bytes());
        assert_eq!(again, Ok(entry), "an entry changed");
    }
}

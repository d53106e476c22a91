//! DSSE envelopes (secure-systems-lab/dsse, v1.0.2).

use crate::json::{Limits, Writer, object, parse};
use crate::protojson::{FieldError, Message};

/// The most signatures that an envelope outside a bundle may carry (Rekor v2's limit); inside a
/// bundle it is exactly one.
pub const MAX_DSSE_SIGNATURES: usize = 10;

/// A signed payload and its type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DsseEnvelope {
    /// What is signed, together with its type.
    pub payload: Vec<u8>,
    /// The media type of the payload, such as `application/vnd.in-toto+json`.
    pub payload_type: String,
    /// The signatures over [`DsseEnvelope::pae`].
    pub signatures: Vec<DsseSignature>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DsseSignature {
    /// The raw signature.
    pub sig: Vec<u8>,
    /// An unauthenticated hint at the key; often empty.
    pub keyid: String,
}

impl DsseEnvelope {
    /// The payload type of in-toto statements.
    pub const IN_TOTO: &'static str = "application/vnd.in-toto+json";

    /// The bytes that are signed: the pre-authentication encoding of type and payload.
    pub fn pae(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }

    /// Reads an envelope that is a document of its own.
    ///
    /// # Errors
    /// [`FieldError`], if it is not an envelope of at most [`MAX_DSSE_SIGNATURES`] signatures.
    pub fn from_json(text: &[u8], limits: Limits) -> Result<Self, FieldError> {
        let value = parse(text, limits)?;
        Self::read(Message::of(&value, "envelope")?)
    }

    /// The envelope as JSON.
    pub fn to_json(&self) -> String {
        object(|o| self.write(o))
    }

    pub(crate) fn read(message: Message<'_, '_>) -> Result<Self, FieldError> {
        Ok(Self {
            payload: message.bytes("payload")?,
            payload_type: message.string("payloadType")?,
            signatures: message.messages(
                "signatures",
                MAX_DSSE_SIGNATURES,
                |signature| -> Result<_, FieldError> {
                    Ok(DsseSignature {
                        sig: signature.bytes("sig")?,
                        keyid: signature.string("keyid")?,
                    })
                },
            )?,
        })
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.bytes("payload", &self.payload);
        writer.text("payloadType", &self.payload_type);
        writer.objects("signatures", &self.signatures, |o, signature| {
            o.bytes("sig", &signature.sig);
            o.text("keyid", &signature.keyid);
        });
    }
}

/// The pre-authentication encoding (DSSE protocol.md, "Signature Definition"): lengths are in
/// bytes, so that no two pairs of type and payload have one encoding.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    let mut encoded = Vec::with_capacity(head.len() + payload.len());
    encoded.extend_from_slice(head.as_bytes());
    encoded.extend_from_slice(payload);
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payload_type: &str, payload: &str, expected: &str) {
        assert_eq!(pae(payload_type, payload.as_bytes()), expected.as_bytes());
    }

    #[test]
    fn the_example_of_the_protocol() {
        check(
            "http://example.com/HelloWorld",
            "hello world",
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world",
        );
        check("", "", "DSSEv1 0  0 ");
    }

    #[test]
    fn v_46_pae_counts_bytes_not_characters() {
        check("é", "😀", "DSSEv1 2 é 4 😀");
    }

    #[test]
    fn round_trip() {
        let envelope = DsseEnvelope {
            payload: b"{}".to_vec(),
            payload_type: DsseEnvelope::IN_TOTO.into(),
            signatures: vec![DsseSignature {
                sig: vec![1],
                keyid: String::new(),
            }],
        };
        let limits = Limits {
            bytes: 1000,
            values: 100,
        };
        assert_eq!(
            DsseEnvelope::from_json(envelope.to_json().as_bytes(), limits),
            Ok(envelope)
        );
    }
}

//! The requests of the transparency log's API, version 2
//! (`dev.sigstore.rekor.v2.CreateEntryRequest`, in sigstore/rekor-tiles `api/proto`).
//!
//! Unknown fields are refused: what a log does not understand it must not acknowledge.

use crate::DsseEnvelope;
use crate::entry::{Signature, Verifier};
use crate::json::{Limits, object, parse};
use crate::protojson::{FieldError, Message};

/// The longest request that is read (rekor-tiles' default).
pub const MAX_CREATE_ENTRY_REQUEST_BYTES: usize = 4 << 20;
/// The most verifiers in a request (rekor-tiles' limit).
pub const MAX_VERIFIERS: usize = 10;

/// The body of `POST /api/v2/log/entries`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CreateEntryRequest {
    /// `hashedRekordRequestV002`: a signature over a digest.
    HashedRekord(HashedRekordRequest),
    /// `dsseRequestV002`: an envelope, as older clients send it.
    Dsse(DsseRequest),
}

/// `HashedRekordRequestV002`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedRekordRequest {
    /// Digest of what was signed; the key's kind tells the algorithm.
    pub digest: Vec<u8>,
    /// The signature and its verifier.
    pub signature: Signature,
}

/// `DSSERequestV002`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DsseRequest {
    /// The envelope.
    pub envelope: DsseEnvelope,
    /// What verifies its signatures.
    pub verifiers: Vec<Verifier>,
}

impl CreateEntryRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// [`FieldError`], if it is not a request of one of the two kinds.
    pub fn from_json(text: &[u8]) -> Result<Self, FieldError> {
        let limits = Limits {
            bytes: MAX_CREATE_ENTRY_REQUEST_BYTES,
            values: 1000,
        };
        let value = parse(text, limits)?;
        let message = Message::of(&value, "request")?;
        let (hashed_rekord, dsse) = ("hashedRekordRequestV002", "dsseRequestV002");
        message.only(&[hashed_rekord, dsse])?;
        let (field, value) = message
            .oneof(&[hashed_rekord, dsse])?
            .ok_or(FieldError::Missing {
                field: hashed_rekord,
            })?;
        let inner = Message::of(value, field)?;
        if field == dsse {
            return DsseRequest::read(inner).map(Self::Dsse);
        }
        inner.only(&["digest", "signature"])?;
        Ok(Self::HashedRekord(HashedRekordRequest {
            digest: inner.required_bytes("digest")?,
            signature: Signature::read(inner.required("signature")?)?,
        }))
    }

    /// The request as JSON.
    pub fn to_json(&self) -> String {
        object(|o| match self {
            Self::HashedRekord(request) => o.object("hashedRekordRequestV002", |o| {
                o.bytes("digest", &request.digest);
                o.object("signature", |o| request.signature.write(o));
            }),
            Self::Dsse(request) => o.object("dsseRequestV002", |o| {
                o.object("envelope", |o| request.envelope.write(o));
                o.objects("verifiers", &request.verifiers, |o, verifier| {
                    verifier.write(o)
                });
            }),
        })
    }
}

impl DsseRequest {
    fn read(message: Message<'_, '_>) -> Result<Self, FieldError> {
        message.only(&["envelope", "verifiers"])?;
        let envelope = message.required("envelope")?;
        envelope.only(&["payload", "payloadType", "signatures"])?;
        let read = DsseEnvelope::read(envelope)?;
        // Their number is within its limit now.
        envelope.messages("signatures", usize::MAX, |signature| {
            signature.only(&["sig", "keyid"])
        })?;
        Ok(Self {
            envelope: read,
            verifiers: message.messages("verifiers", MAX_VERIFIERS, Verifier::read)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::VerifierKey;
    use crate::{DsseSignature, KeyDetails};

    fn check(text: &str, expected: Result<&CreateEntryRequest, FieldError>) {
        let read = CreateEntryRequest::from_json(text.as_bytes());
        assert_eq!(read.as_ref().map_err(Clone::clone), expected, "{text}");
    }

    fn verifier() -> Verifier {
        Verifier {
            key: VerifierKey::PublicKey(vec![4, 5, 6]),
            key_details: KeyDetails::new("PKIX_ECDSA_P256_SHA_256"),
        }
    }

    fn hashed_rekord() -> CreateEntryRequest {
        CreateEntryRequest::HashedRekord(HashedRekordRequest {
            digest: vec![0xfb, 0xff, 0xfe],
            signature: Signature {
                content: vec![1, 2, 3],
                verifier: verifier(),
            },
        })
    }

    fn dsse() -> CreateEntryRequest {
        CreateEntryRequest::Dsse(DsseRequest {
            envelope: DsseEnvelope {
                payload: b"{}".to_vec(),
                payload_type: DsseEnvelope::IN_TOTO.into(),
                signatures: vec![DsseSignature {
                    sig: vec![1, 2, 3],
                    keyid: String::new(),
                }],
            },
            verifiers: vec![verifier()],
        })
    }

    #[test]
    fn what_clients_send_is_read() {
        let text = r#"{"hashedRekordRequestV002":{"digest":"+//+","signature":{"content":"AQID","verifier":{"publicKey":{"rawBytes":"BAUG"},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}}}}"#;
        check(text, Ok(&hashed_rekord()));
        let text = r#"{"hashed_rekord_request_v002":{"digest":"-__-","signature":{"content":"AQID","verifier":{"x509Certificate":null,"public_key":{"raw_bytes":"BAUG"},"key_details":5}}}}"#;
        check(text, Ok(&hashed_rekord()));
        let text = r#"{"dsseRequestV002":{"envelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AQID","keyid":""}]},"verifiers":[{"publicKey":{"rawBytes":"BAUG"},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}]}}"#;
        check(text, Ok(&dsse()));
    }

    #[test]
    fn round_trip() {
        for request in [hashed_rekord(), dsse()] {
            check(&request.to_json(), Ok(&request));
        }
    }

    #[test]
    fn unknown_fields_are_refused_at_every_level() {
        for request in [hashed_rekord(), dsse()] {
            let text = request.to_json();
            let unknown = FieldError::UnknownField { name: "new".into() };
            for (at, _) in text.match_indices('{') {
                let (before, after) = text.split_at(at + 1);
                check(&format!("{before}\"new\":1,{after}"), Err(unknown.clone()));
            }
        }
    }

    #[test]
    fn one_kind_only() {
        let field = "hashedRekordRequestV002";
        check("{}", Err(FieldError::Missing { field }));
        check(
            r#"{"hashedRekordRequestV002":{},"dsseRequestV002":{}}"#,
            Err(FieldError::Oneof {
                first: field,
                second: "dsseRequestV002",
            }),
        );
    }

    #[test]
    fn what_must_be_there() {
        let text = hashed_rekord().to_json();
        for (part, field) in [
            (r#""digest":"+//+","#, "digest"),
            (r#""content":"AQID","#, "content"),
            (r#","publicKey":{"rawBytes":"BAUG"}"#, "verifier"),
            (r#""rawBytes":"BAUG""#, "rawBytes"),
        ] {
            assert!(text.contains(part));
            check(&text.replace(part, ""), Err(FieldError::Missing { field }));
        }
    }

    #[test]
    fn at_most_ten_verifiers_and_signatures() {
        let CreateEntryRequest::Dsse(request) = dsse() else {
            unreachable!()
        };
        let many = |verifiers: usize, signatures: usize| {
            let mut request = request.clone();
            request.verifiers = vec![verifier(); verifiers];
            request.envelope.signatures = vec![DsseSignature::default(); signatures];
            CreateEntryRequest::Dsse(request)
        };
        check(&many(10, 10).to_json(), Ok(&many(10, 10)));
        let error = |field| FieldError::TooMany {
            field,
            count: 11,
            limit: 10,
        };
        check(&many(11, 10).to_json(), Err(error("verifiers")));
        check(&many(10, 11).to_json(), Err(error("signatures")));
    }
}

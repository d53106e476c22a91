//! The requests of the transparency log's API, version 2
//! (`dev.sigstore.rekor.v2.CreateEntryRequest`, in sigstore/rekor-tiles `api/proto`).
//!
//! Unknown fields are refused: what a log does not understand it must not acknowledge.

use crate::DsseEnvelope;
use crate::entry::{Signature, Verifier};
use crate::json::{Limits, object, parse};
use crate::protojson::{FieldError, Message, within};

/// The longest request that is read (rekor-tiles' default).
pub const MAX_CREATE_ENTRY_REQUEST_BYTES: usize = 4 << 20;
/// The most verifiers in a request (rekor-tiles' limit).
pub const MAX_VERIFIERS: usize = 10;

/// The most requests in one batch: as many as a client can have use of in one commit.
pub const MAX_BATCH_REQUESTS: usize = 64;

/// Splits the body of `POST /api/v2/log/entries:batch`, `{"requests": […]}`, into the texts of its
/// requests. They are strict JSON, and nothing else is known of them: each is refused or taken by
/// itself.
///
/// # Errors
/// [`FieldError`], if it is not a batch of 1 to [`MAX_BATCH_REQUESTS`] requests.
pub fn split_batch(text: &[u8]) -> Result<Vec<&[u8]>, FieldError> {
    let field = "requests";
    let limits = Limits {
        bytes: MAX_CREATE_ENTRY_REQUEST_BYTES,
        values: 50 * MAX_BATCH_REQUESTS,
    };
    let value = parse(text, limits)?;
    let message = Message::of(&value, "batch")?;
    message.only(&[field])?;
    let count = message.list(field)?.len();
    within(field, count, MAX_BATCH_REQUESTS)?;
    if count == 0 {
        return Err(FieldError::Missing { field });
    }
    Ok(elements(text))
}

/// The texts of the elements of the first array in a document that is known to be JSON.
fn elements(text: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let (mut depth, mut in_string, mut is_escaped) = (0usize, false, false);
    let mut start = None;
    for (at, byte) in text.iter().enumerate() {
        if in_string {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' if start.is_none() => start = Some(at + 1),
            b'[' | b'{' if start.is_some() => depth += 1,
            b']' | b',' if depth == 0 => {
                let Some(from) = start else { continue };
                found.extend(text.get(from..at).map(<[u8]>::trim_ascii));
                if *byte == b']' {
                    break;
                }
                start = Some(at + 1);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    found
}

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
    fn batches_are_split_without_reading_their_requests() {
        let split = |text: &str| -> Result<Vec<String>, FieldError> {
            let parts = split_batch(text.as_bytes())?;
            let text = |part: &&[u8]| String::from_utf8(part.to_vec()).unwrap();
            Ok(parts.iter().map(text).collect())
        };
        let check = |text: &str, parts: &[&str]| {
            let parts = parts.iter().map(|part| (*part).to_owned()).collect();
            assert_eq!(split(text), Ok(parts), "{text}");
        };
        check(r#"{"requests":[{}]}"#, &["{}"]);
        check(
            r#" { "requests" : [ {"a":[1,{"b":"]},\"["}]} , null,7 ,"x,y"] } "#,
            &[r#"{"a":[1,{"b":"]},\"["}]}"#, "null", "7", r#""x,y""#],
        );
        check(r#"{"requ\u0065sts":[[],[[]]]}"#, &["[]", "[[]]"]);
        let field = "requests";
        let missing = || Err(FieldError::Missing { field });
        assert_eq!(split("{}"), missing());
        assert_eq!(split(r#"{"requests":[]}"#), missing());
        assert_eq!(split(r#"{"requests":null}"#), missing());
        let name = "more".to_owned();
        let text = r#"{"requests":[1],"more":[2]}"#;
        assert_eq!(split(text), Err(FieldError::UnknownField { name }));
        for bad in ["", "[1]", r#"{"requests":[1}"#, r#"{"requests":{}}"#] {
            assert!(split(bad).is_err(), "{bad}");
        }
        let many = |count| format!(r#"{{"requests":[{}]}}"#, vec!["{}"; count].join(","));
        assert_eq!(split(&many(MAX_BATCH_REQUESTS)).unwrap().len(), 64);
        let (count, limit) = (65, 64);
        let too_many = FieldError::TooMany {
            field,
            count,
            limit,
        };
        assert_eq!(split(&many(65)), Err(too_many));
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

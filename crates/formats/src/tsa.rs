//! The JSON request of the timestamp authority's API (sigstore/timestamp-authority
//! `openapi.yaml`), which sigstore-js sends; the answer is DER.

use crate::HashAlgorithm;
use crate::json::{Limits, object, parse};
use crate::protojson::{FieldError, Message};

/// The longest request that is read (timestamp-authority's limit).
pub const MAX_TIMESTAMP_REQUEST_BYTES: usize = 1024;

/// The body of `POST /api/v1/timestamp` with content type `application/json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampJsonRequest {
    /// Digest of what to timestamp.
    pub artifact_hash: Vec<u8>,
    /// Its algorithm, on the wire `sha256`, `sha384` or `sha512`; others are kept for the
    /// authority to refuse.
    pub hash_algorithm: HashAlgorithm,
    /// Whether the answer must hold the authority's certificate.
    pub certificates: bool,
    /// A number that the answer must repeat.
    pub nonce: Option<u64>,
    /// The policy that is asked for, a dotted OID.
    pub policy: Option<String>,
}

impl TimestampJsonRequest {
    /// Reads a request. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`FieldError`], if it is not a request.
    pub fn from_json(text: &[u8]) -> Result<Self, FieldError> {
        let limits = Limits {
            bytes: MAX_TIMESTAMP_REQUEST_BYTES,
            values: 100,
        };
        let value = parse(text, limits)?;
        let message = Message::of(&value, "request")?;
        let nonce = match message.value("nonce")? {
            Some(_) => Some(message.uint64("nonce")?),
            None => None,
        };
        Ok(Self {
            artifact_hash: message.required_bytes("artifactHash")?,
            hash_algorithm: HashAlgorithm::from_lower_case(message.str("hashAlgorithm")?),
            certificates: message.bool("certificates")?,
            nonce,
            policy: Some(message.string("tsaPolicyOID")?).filter(|policy| !policy.is_empty()),
        })
    }

    /// The request as JSON.
    pub fn to_json(&self) -> String {
        object(|o| {
            o.bytes("artifactHash", &self.artifact_hash);
            o.bool("certificates", self.certificates);
            o.text("hashAlgorithm", self.hash_algorithm.lower_case());
            if let Some(nonce) = self.nonce {
                o.raw("nonce", &nonce.to_string());
            }
            if let Some(policy) = &self.policy {
                o.text("tsaPolicyOID", policy);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<TimestampJsonRequest, FieldError>) {
        assert_eq!(
            TimestampJsonRequest::from_json(text.as_bytes()),
            expected,
            "{text}"
        );
    }

    #[test]
    fn requests() {
        let least = TimestampJsonRequest {
            artifact_hash: vec![1, 2, 3],
            hash_algorithm: HashAlgorithm::SHA2_256,
            certificates: false,
            nonce: None,
            policy: None,
        };
        check(
            r#"{"artifactHash":"AQID","hashAlgorithm":"sha256"}"#,
            Ok(least.clone()),
        );
        check(&least.to_json(), Ok(least.clone()));
        let most = TimestampJsonRequest {
            hash_algorithm: HashAlgorithm::SHA2_512,
            certificates: true,
            nonce: Some(1_123_343_434),
            policy: Some("1.3.6.1.4.1.57264.2".into()),
            ..least.clone()
        };
        check(
            r#"{"artifactHash":"AQID","certificates":true,"hashAlgorithm":"sha512","nonce":1123343434,"tsaPolicyOID":"1.3.6.1.4.1.57264.2"}"#,
            Ok(most.clone()),
        );
        check(&most.to_json(), Ok(most));
        let weak = TimestampJsonRequest {
            hash_algorithm: HashAlgorithm::new("sha1"),
            ..least
        };
        check(&weak.to_json(), Ok(weak));
        check(
            r#"{"hashAlgorithm":"sha256"}"#,
            Err(FieldError::Missing {
                field: "artifactHash",
            }),
        );
        check(
            r#"{"nonce":-1}"#,
            Err(FieldError::Integer { field: "nonce" }),
        );
    }

    #[test]
    fn a_request_may_have_1024_bytes() {
        let text = |length: usize| format!("{:length$}", r#"{"artifactHash":"AQID"}"#);
        assert!(TimestampJsonRequest::from_json(text(1024).as_bytes()).is_ok());
        assert!(TimestampJsonRequest::from_json(text(1025).as_bytes()).is_err());
    }
}

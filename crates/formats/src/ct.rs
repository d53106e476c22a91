//! The messages of a certificate transparency log's API (RFC 6962 §4).

use crate::json::{Limits, object, parse};
use crate::protojson::{FieldError, Message};

/// The longest request that is read.
pub const MAX_ADD_CHAIN_BYTES: usize = 256 << 10;
/// The most certificates in a submitted chain.
pub const MAX_SUBMITTED_CHAIN: usize = 10;

/// The body of `POST ct/v1/add-chain` and `ct/v1/add-pre-chain` (§4.1, §4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddChainRequest {
    /// DER, (pre-)certificate first; the root may be left out.
    pub chain: Vec<Vec<u8>>,
}

/// The answer to both: a signed certificate timestamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SctAnswer {
    /// SHA-256 of the log's key.
    pub id: Vec<u8>,
    /// Milliseconds since the epoch.
    pub timestamp: u64,
    /// Extensions of the SCT; static-ct logs give the index here.
    pub extensions: Vec<u8>,
    /// TLS `digitally-signed` struct: hash, signature algorithm, length, signature.
    pub signature: Vec<u8>,
}

/// The answer of `GET ct/v1/get-roots` (§4.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootsAnswer {
    /// DER.
    pub certificates: Vec<Vec<u8>>,
}

impl AddChainRequest {
    /// Reads a request. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`FieldError`], if it is not one of 1 to [`MAX_SUBMITTED_CHAIN`] certificates.
    pub fn from_json(text: &[u8]) -> Result<Self, FieldError> {
        let limits = Limits {
            bytes: MAX_ADD_CHAIN_BYTES,
            values: 100,
        };
        let value = parse(text, limits)?;
        let field = "chain";
        let chain = Message::of(&value, "request")?.byte_strings(field, MAX_SUBMITTED_CHAIN)?;
        if chain.is_empty() {
            return Err(FieldError::Missing { field });
        }
        Ok(Self { chain })
    }

    /// The request as JSON.
    pub fn to_json(&self) -> String {
        object(|o| o.byte_strings("chain", self.chain.iter().map(Vec::as_slice)))
    }
}

impl SctAnswer {
    /// Reads an answer. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`FieldError`], if it is not an SCT of version 1 (which is written as 0).
    pub fn from_json(text: &[u8]) -> Result<Self, FieldError> {
        let limits = Limits {
            bytes: MAX_ADD_CHAIN_BYTES,
            values: 100,
        };
        let value = parse(text, limits)?;
        let message = Message::of(&value, "SCT")?;
        if message.uint32("sct_version")? != 0 {
            return Err(FieldError::Integer {
                field: "sct_version",
            });
        }
        Ok(Self {
            id: message.required_bytes("id")?,
            timestamp: message.uint64("timestamp")?,
            extensions: message.bytes("extensions")?,
            signature: message.required_bytes("signature")?,
        })
    }

    /// The answer as JSON.
    pub fn to_json(&self) -> String {
        object(|o| {
            o.number("sct_version", 0);
            o.bytes("id", &self.id);
            o.raw("timestamp", &self.timestamp.to_string());
            o.bytes("extensions", &self.extensions);
            o.bytes("signature", &self.signature);
        })
    }
}

impl RootsAnswer {
    /// The answer as JSON.
    pub fn to_json(&self) -> String {
        object(|o| o.byte_strings("certificates", self.certificates.iter().map(Vec::as_slice)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str, expected: Result<usize, FieldError>) {
        let read = AddChainRequest::from_json(text.as_bytes());
        assert_eq!(read.map(|request| request.chain.len()), expected, "{text}");
    }

    #[test]
    fn requests() {
        let many = |count| {
            AddChainRequest {
                chain: vec![vec![1]; count],
            }
            .to_json()
        };
        request(&many(1), Ok(1));
        request(&many(10), Ok(10));
        request(
            &many(11),
            Err(FieldError::TooMany {
                field: "chain",
                count: 11,
                limit: 10,
            }),
        );
        request("{}", Err(FieldError::Missing { field: "chain" }));
        request(
            r#"{"chain":["?"]}"#,
            Err(FieldError::Base64 { field: "chain" }),
        );
    }

    #[test]
    fn answers() {
        let answer = SctAnswer {
            id: vec![1; 32],
            timestamp: 1_700_000_000_123,
            extensions: vec![],
            signature: vec![4, 3, 0, 1, 9],
        };
        let text = answer.to_json();
        assert!(text.contains(r#""timestamp":1700000000123,"extensions":"","#));
        assert_eq!(SctAnswer::from_json(text.as_bytes()), Ok(answer));
        let other = text.replace("\"sct_version\":0", "\"sct_version\":1");
        assert_eq!(
            SctAnswer::from_json(other.as_bytes()),
            Err(FieldError::Integer {
                field: "sct_version"
            })
        );
        let camel = text.replace("sct_version", "sctVersion");
        assert!(
            SctAnswer::from_json(camel.as_bytes()).is_ok(),
            "unknown, so version 0"
        );
        let roots = RootsAnswer {
            certificates: vec![vec![1, 2, 3]],
        };
        assert_eq!(roots.to_json(), r#"{"certificates":["AQID"]}"#);
    }
}

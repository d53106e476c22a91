//! What is signed: a digest of an artifact, or an in-toto statement in an envelope.

use waxseal_crypto::{Digest, HashAlgorithm, SignatureAlgorithm};
use waxseal_formats::{DsseEnvelope, DsseSignature, Statement, StatementError};

/// The payload type of in-toto statements (client spec §4.5).
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Something to sign.
#[derive(Debug, Clone)]
pub struct Payload(pub(crate) Kind);

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Artifact(Digest),
    Statement { json: Vec<u8>, subject: Digest },
}

/// Why a payload cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The statement is not one that verifiers accept.
    #[error("the statement is not an in-toto statement")]
    Statement(#[from] StatementError),
    /// No subject has a digest by which a verifier could find it.
    #[error("no subject of the statement has a sha256, sha384 or sha512 digest")]
    NoDigest,
    /// The key signs with another hash than the artifact was digested with.
    #[error("the key signs {expected} digests, and the artifact's digest is {found}")]
    WrongDigest {
        /// The hash of the key's algorithm.
        expected: HashAlgorithm,
        /// The digest's.
        found: HashAlgorithm,
    },
    /// The key signs whole messages; logs hold signatures over digests (client spec §4.4).
    #[error(
        "a {algorithm:?} key signs whole messages, and logs hold signatures over digests: use \
         ECDSA, RSA or Ed25519ph"
    )]
    NotPrehashed {
        /// The key's algorithm.
        algorithm: SignatureAlgorithm,
    },
}

impl Payload {
    /// An artifact, by the digest that the key signs ([`crate::Session::hash_algorithm`]).
    pub fn artifact(digest: Digest) -> Self {
        Self(Kind::Artifact(digest))
    }

    /// An in-toto statement, as JSON; it is signed byte for byte as it is.
    ///
    /// # Errors
    /// [`PayloadError::Statement`] or [`PayloadError::NoDigest`].
    pub fn statement(json: Vec<u8>) -> Result<Self, PayloadError> {
        let statement = Statement::from_json(&json)?;
        let subject = first_digest(&statement).ok_or(PayloadError::NoDigest)?;
        Ok(Self(Kind::Statement { json, subject }))
    }
}

/// The hash that an algorithm's signatures over digests use.
pub(crate) fn hash_of(algorithm: SignatureAlgorithm) -> Result<HashAlgorithm, PayloadError> {
    algorithm
        .prehash()
        .ok_or(PayloadError::NotPrehashed { algorithm })
}

fn first_digest(statement: &Statement) -> Option<Digest> {
    let digests = statement
        .subjects
        .iter()
        .flat_map(|subject| &subject.digests);
    digests
        .filter_map(|(name, hex)| Some((HashAlgorithm::from_name(name)?, unhex(hex)?)))
        .find_map(|(algorithm, bytes)| Digest::new(algorithm, &bytes).ok())
}

/// Lower case alone, as verifiers read it.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(digit(high)? << 4 | digit(low)?));
    bytes.collect::<Option<_>>().filter(|_| rest.is_empty())
}

impl Kind {
    /// The digest that is signed: the artifact's, or that of the envelope's encoding (PAE).
    pub(crate) fn signed_digest(&self, hash: HashAlgorithm) -> Result<Digest, PayloadError> {
        match self {
            Self::Artifact(digest) if digest.algorithm() == hash => Ok(*digest),
            Self::Artifact(digest) => Err(PayloadError::WrongDigest {
                expected: hash,
                found: digest.algorithm(),
            }),
            Self::Statement { json, .. } => {
                Ok(Digest::of(hash, &waxseal_formats::pae(IN_TOTO, json)))
            }
        }
    }
}

/// A statement in its envelope, with its one signature.
pub(crate) fn envelope(statement: &[u8], signature: &[u8]) -> DsseEnvelope {
    DsseEnvelope {
        payload: statement.to_vec(),
        payload_type: IN_TOTO.to_owned(),
        signatures: vec![DsseSignature {
            sig: signature.to_vec(),
            keyid: String::new(),
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: HashAlgorithm = HashAlgorithm::Sha256;

    fn statement(digests: &str) -> Vec<u8> {
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"a",
            "digest":{digests}}}],"predicateType":"https://example.com/p","predicate":{{}}}}"#
        )
        .into_bytes()
    }

    #[test]
    fn the_first_digest_that_verifiers_know_finds_the_statement() {
        let check =
            |digests: &str, expected: HashAlgorithm| match Payload::statement(statement(digests))
                .unwrap()
                .0
            {
                Kind::Statement { subject, .. } => assert_eq!(subject.algorithm(), expected),
                Kind::Artifact(_) => panic!("a statement"),
            };
        let hex = |bytes: usize| "ab".repeat(bytes);
        let one = |name: &str, bytes| format!(r#"{{"{name}":"{}"}}"#, hex(bytes));
        check(&one("sha256", 32), SHA256);
        check(&one("sha384", 48), HashAlgorithm::Sha384);
        check(&one("sha512", 64), HashAlgorithm::Sha512);
        let both = format!(r#"{{"gitCommit":"{}","sha256":"{}"}}"#, hex(20), hex(32));
        check(&both, SHA256);
    }

    #[test]
    fn no_digest() {
        let check = |digests: &str| {
            let refused = Payload::statement(statement(digests));
            assert!(
                matches!(
                    refused,
                    Err(PayloadError::NoDigest | PayloadError::Statement(_))
                ),
                "{digests}"
            );
        };
        let only_git = format!(r#"{{"gitCommit":"{}"}}"#, "ab".repeat(20));
        assert!(matches!(
            Payload::statement(statement(&only_git)),
            Err(PayloadError::NoDigest)
        ));
        check(r#"{"sha256":"abab"}"#);
        check(r#"{"sha256":"not hex"}"#);
        check(&format!(r#"{{"sha256":"{}a"}}"#, "ab".repeat(31)));
        check(&format!(r#"{{"sha256":"{}"}}"#, "é".repeat(32)));
        check(&format!(r#"{{"sha256":"{}"}}"#, "+1".repeat(32)));
        check(&format!(r#"{{"sha256":"{}"}}"#, "AB".repeat(32)));
    }

    #[test]
    fn statement_error() {
        for json in ["", "{}", "[]", r#"{"_type":"https://example.com/other"}"#] {
            let refused = Payload::statement(json.as_bytes().to_vec());
            assert!(matches!(refused, Err(PayloadError::Statement(_))), "{json}");
        }
    }

    #[test]
    fn wrong_digest() {
        let payload = Payload::artifact(Digest::of(SHA256, b"x"));
        assert!(payload.0.signed_digest(SHA256).is_ok());
        let refused = payload.0.signed_digest(HashAlgorithm::Sha512);
        let expected = PayloadError::WrongDigest {
            expected: HashAlgorithm::Sha512,
            found: SHA256,
        };
        assert_eq!(refused, Err(expected));
    }

    #[test]
    fn a_statement_is_signed_in_its_envelopes_encoding() {
        let json = statement(&format!(r#"{{"sha256":"{}"}}"#, "ab".repeat(32)));
        let payload = Payload::statement(json.clone()).unwrap();
        let mut pae = format!("DSSEv1 28 {IN_TOTO} {} ", json.len()).into_bytes();
        pae.extend(&json);
        let signed = payload.0.signed_digest(SHA256).unwrap();
        assert_eq!(signed, Digest::of(SHA256, &pae));
        let envelope = envelope(&json, b"signature");
        assert_eq!(envelope.payload, json);
        assert_eq!(envelope.signatures.len(), 1);
    }

    #[test]
    fn not_prehashed() {
        let check = |algorithm, expected| assert_eq!(hash_of(algorithm), expected);
        check(SignatureAlgorithm::EcdsaP256Sha256, Ok(SHA256));
        check(SignatureAlgorithm::Ed25519ph, Ok(HashAlgorithm::Sha512));
        for algorithm in [SignatureAlgorithm::Ed25519, SignatureAlgorithm::MlDsa65] {
            check(algorithm, Err(PayloadError::NotPrehashed { algorithm }));
        }
    }
}

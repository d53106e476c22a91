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

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let text = std::str::from_utf8(pair)
                .ok()
                .filter(|text| text.len() == 2)?;
            u8::from_str_radix(text, 16).ok()
        })
        .collect()
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

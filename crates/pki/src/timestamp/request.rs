//! What a client asks of a timestamp authority (RFC 3161 §2.4.1).

use der::asn1::ObjectIdentifier;
use waxseal_crypto::{Digest, HashAlgorithm};

use crate::algorithm;
use crate::element::{
    self, BOOLEAN, Element, INTEGER, NotDer, OCTET_STRING, OID, SEQUENCE, context, encode,
};

/// The largest request that is read. An honest one has about 100 bytes.
pub const MAX_REQUEST: usize = 4096;

/// The longest nonce: 512 bits; clients send 64 to 160. Long integers cost an authority dearly
/// when they are turned into decimal text.
pub const MAX_NONCE: usize = 64;

/// What is timestamped: a digest, with its algorithm exactly as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageImprint {
    identifier: Vec<u8>,
    digest: Digest,
}

/// A request for a timestamp.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimestampRequest {
    /// What is timestamped.
    pub imprint: MessageImprint,
    /// The policy that the client wants, if it wants one.
    pub policy: Option<ObjectIdentifier>,
    /// The contents of the nonce's INTEGER, of any sign: to be echoed bit for bit.
    pub nonce: Option<Vec<u8>>,
    /// Whether the signer's certificate shall be in the token.
    pub certificates: bool,
    /// The names of the extensions asked for.
    pub extensions: Vec<ObjectIdentifier>,
}

/// Why bytes are not a request that can be granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// More than [`MAX_REQUEST`] bytes.
    #[error("timestamp request is too large")]
    TooLarge,
    /// Not the strict DER of a TimeStampReq, or bytes follow it.
    #[error("the timestamp request is not strict DER of a TimeStampReq")]
    Malformed,
    /// Not version 1.
    #[error("the timestamp request has an unknown version, expected 1")]
    UnknownVersion,
    /// The digest is not by SHA-256, SHA-384 or SHA-512 (V-66).
    #[error("Weak hash algorithm in timestamp request")]
    WeakHash,
    /// The digest does not have the length of its algorithm (RFC 3161 §2.4.2).
    #[error("Message digest has incorrect length for specified algorithm")]
    DigestLength {
        /// The algorithm.
        algorithm: HashAlgorithm,
        /// How many bytes there are.
        found: usize,
    },
    /// The nonce has more than [`MAX_NONCE`] bytes.
    #[error("the timestamp request's nonce has {found} bytes, at most {MAX_NONCE} are accepted")]
    NonceTooLong {
        /// How many there are.
        found: usize,
    },
    /// An object identifier is too long: more than 39 bytes (V-67).
    #[error("OID should be comprised of at most 128 components")]
    OidTooLong,
}

impl From<NotDer> for RequestError {
    fn from(_: NotDer) -> Self {
        Self::Malformed
    }
}

impl MessageImprint {
    /// The imprint of a digest, with NULL parameters as most clients write them.
    pub fn new(digest: Digest) -> Self {
        let plain = algorithm::digest_identifier(digest.algorithm());
        let contents = Element::only(&plain, SEQUENCE).map_or(&[][..], |element| element.value);
        Self {
            identifier: encode(SEQUENCE, &[contents, &[element::NULL, 0]]),
            digest,
        }
    }

    /// The digest.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Reads a MessageImprint.
    pub(crate) fn parse(imprint: &Element<'_>) -> Result<Self, RequestError> {
        let mut fields = imprint.inside();
        let identifier = fields.expect(SEQUENCE)?;
        let algorithm = algorithm::digest(&identifier)?.ok_or(RequestError::WeakHash)?;
        let bytes = fields.expect(OCTET_STRING)?.value;
        fields.finish()?;
        let digest = Digest::new(algorithm, bytes).map_err(|error| RequestError::DigestLength {
            algorithm,
            found: error.found,
        })?;
        Ok(Self {
            identifier: identifier.raw.to_vec(),
            digest,
        })
    }

    /// The DER of the MessageImprint.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let digest = encode(OCTET_STRING, &[self.digest.as_bytes()]);
        encode(SEQUENCE, &[&self.identifier, &digest])
    }
}

impl TimestampRequest {
    /// A request over a digest: no policy, no nonce, no certificates.
    pub fn new(digest: Digest) -> Self {
        Self {
            imprint: MessageImprint::new(digest),
            policy: None,
            nonce: None,
            certificates: false,
            extensions: Vec::new(),
        }
    }

    /// The same request with a nonce: these bytes as a non-negative INTEGER.
    #[must_use]
    pub fn with_nonce(mut self, nonce: &[u8]) -> Self {
        let integer = element::encode_unsigned(nonce);
        self.nonce = Element::only(&integer, INTEGER)
            .ok()
            .map(|element| element.value.to_vec());
        self
    }

    /// The same request for a policy.
    #[must_use]
    pub fn with_policy(mut self, policy: ObjectIdentifier) -> Self {
        self.policy = Some(policy);
        self
    }

    /// The same request, with the signer's certificate wanted or not.
    #[must_use]
    pub const fn with_certificates(mut self, wanted: bool) -> Self {
        self.certificates = wanted;
        self
    }

    /// Parses DER.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn parse(der: &[u8]) -> Result<Self, RequestError> {
        if der.len() > MAX_REQUEST {
            return Err(RequestError::TooLarge);
        }
        let mut fields = Element::only(der, SEQUENCE)?.inside();
        if fields.expect(INTEGER)?.integer()? != [1] {
            return Err(RequestError::UnknownVersion);
        }
        let imprint = MessageImprint::parse(&fields.expect(SEQUENCE)?)?;
        let policy = fields
            .optional(OID)?
            .map(|oid| parse_oid(&oid))
            .transpose()?;
        let nonce = fields.optional(INTEGER)?;
        let nonce = match nonce.map(|nonce| nonce.integer()).transpose()? {
            Some(nonce) if nonce.len() > MAX_NONCE => {
                return Err(RequestError::NonceTooLong { found: nonce.len() });
            }
            nonce => nonce.map(<[u8]>::to_vec),
        };
        let certificates = match fields.optional(BOOLEAN)? {
            // An encoded FALSE is not DER, and several clients write it.
            Some(flag) => flag.boolean()?,
            None => false,
        };
        let mut extensions = Vec::new();
        if let Some(list) = fields.optional(context(0))? {
            let mut list = list.inside();
            while !list.is_empty() {
                let mut extension = list.expect(SEQUENCE)?.inside();
                extensions.push(parse_oid(&extension.expect(OID)?)?);
                extension.optional(BOOLEAN)?;
                extension.expect(OCTET_STRING)?;
                extension.finish()?;
            }
        }
        fields.finish()?;
        Ok(Self {
            imprint,
            policy,
            nonce,
            certificates,
            extensions,
        })
    }

    /// The DER. Extensions are not written: none is defined.
    pub fn encode(&self) -> Vec<u8> {
        let mut parts = vec![encode(INTEGER, &[[1]]), self.imprint.encode()];
        parts.extend(self.policy.map(element::encode_oid));
        parts.extend(self.nonce.as_ref().map(|nonce| encode(INTEGER, &[nonce])));
        if self.certificates {
            parts.push(encode(BOOLEAN, &[[0xff]]));
        }
        encode(SEQUENCE, &parts)
    }
}

fn parse_oid(oid: &Element<'_>) -> Result<ObjectIdentifier, RequestError> {
    if oid.value.len() > ObjectIdentifier::MAX_SIZE {
        return Err(RequestError::OidTooLong);
    }
    Ok(oid.oid()?)
}

#[cfg(test)]
mod tests;

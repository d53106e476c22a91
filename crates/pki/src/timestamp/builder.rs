//! Timestamp tokens in the making (RFC 3161 §2.4.2, RFC 5652 §5.4, RFC 5816 §2).

use der::asn1::ObjectIdentifier;
use waxseal_crypto::{Digest, HashAlgorithm, Signer, Time};

use crate::element::{
    self, GENERALIZED_TIME, INTEGER, OCTET_STRING, SEQUENCE, SET, context, encode, encode_oid,
    encode_set_of, encode_time, encode_unsigned, generalized_time,
};
use crate::timestamp::{
    CONTENT_TYPE, MESSAGE_DIGEST, SIGNED_DATA, SIGNING_CERTIFICATE_V2, SIGNING_TIME, TST_INFO,
    TimestampRequest,
};
use crate::{Certificate, algorithm};

/// Makes the tokens of one authority.
#[derive(Debug, Clone)]
pub struct TokenBuilder {
    certificate: Certificate,
    chain: Vec<Vec<u8>>,
    policy: ObjectIdentifier,
    digest: HashAlgorithm,
    signature_identifier: Vec<u8>,
}

/// What one token says beyond its request.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Grant {
    /// The time; its fraction of a second is dropped.
    pub time: Time,
    /// The serial number's magnitude: unique to this token, 20 random octets.
    pub serial: [u8; 20],
    /// How far off the time may be, in seconds.
    pub accuracy_seconds: u8,
}

/// A token that lacks its signature.
#[derive(Debug, Clone)]
pub struct UnsignedToken<'a> {
    builder: &'a TokenBuilder,
    content: Vec<u8>,
    attributes: Vec<u8>,
    certificates: bool,
}

/// Why no token can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The signer's key is not the one in the certificate.
    #[error("the signer's key is not the one in the timestamp authority's certificate")]
    WrongSigner,
    /// CMS has no name for the signer's algorithm.
    #[error("timestamps cannot be signed with {algorithm:?}")]
    UnsupportedAlgorithm {
        /// The signer's algorithm.
        algorithm: waxseal_crypto::SignatureAlgorithm,
    },
}

impl Grant {
    /// A grant at a time, with a serial number and an accuracy of one second.
    pub const fn new(time: Time, serial: [u8; 20]) -> Self {
        Self {
            time,
            serial,
            accuracy_seconds: 1,
        }
    }
}

impl UnsignedToken<'_> {
    /// The message to sign: the attributes as a SET OF in DER order (RFC 5652 §5.4).
    pub fn signing_input(&self) -> &[u8] {
        &self.attributes
    }

    /// The token, a CMS ContentInfo, with the signature over [`Self::signing_input`].
    pub fn finish(&self, signature: &[u8]) -> Vec<u8> {
        self.builder.signed_data(
            &self.content,
            &self.attributes,
            signature,
            self.certificates,
        )
    }
}

impl TokenBuilder {
    /// A builder for the key of `signer` and its certificate. Tokens carry the certificate if the
    /// request asks for it, and then `chain` too.
    ///
    /// # Errors
    /// [`BuildError::WrongSigner`] or [`BuildError::UnsupportedAlgorithm`].
    pub fn new(
        signer: &dyn Signer,
        certificate: Certificate,
        chain: Vec<Vec<u8>>,
        policy: ObjectIdentifier,
    ) -> Result<Self, BuildError> {
        if certificate.public_key().ok() != Some(signer.public_key()) {
            return Err(BuildError::WrongSigner);
        }
        let algorithm = signer.algorithm();
        let signature_identifier = algorithm::signature_identifier(algorithm)
            .ok_or(BuildError::UnsupportedAlgorithm { algorithm })?;
        // Ed25519 goes with SHA-512 (RFC 8419 §2.3), and so does ML-DSA (RFC 9882 §3.3).
        let digest = algorithm.prehash().unwrap_or(HashAlgorithm::Sha512);
        Ok(Self {
            certificate,
            chain,
            policy,
            digest,
            signature_identifier,
        })
    }

    /// The signer's certificate.
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Lays a token out, for the signer to sign. The request's policy is used if it has one;
    /// whether that policy is accepted, and whether the time is right, is the caller's to decide.
    pub fn prepare(&self, request: &TimestampRequest, grant: Grant) -> UnsignedToken<'_> {
        let content = self.tst_info(request, grant);
        let attributes = self.signed_attributes(&content, grant.time);
        UnsignedToken {
            builder: self,
            content,
            attributes,
            certificates: request.certificates,
        }
    }

    fn tst_info(&self, request: &TimestampRequest, grant: Grant) -> Vec<u8> {
        let accuracy = encode_unsigned(&[grant.accuracy_seconds]);
        let mut parts = vec![
            encode(INTEGER, &[[1]]),
            encode_oid(request.policy.unwrap_or(self.policy)),
            request.imprint.encode(),
            encode_unsigned(&grant.serial),
            encode(GENERALIZED_TIME, &[generalized_time(grant.time)]),
            encode(SEQUENCE, &[accuracy]),
        ];
        parts.extend(
            request
                .nonce
                .as_ref()
                .map(|nonce| encode(INTEGER, &[nonce])),
        );
        let name = encode(context(4), &[self.certificate.subject().der()]);
        parts.push(encode(context(0), &[name]));
        encode(SEQUENCE, &parts)
    }

    /// The attributes as they are signed: a SET OF in DER order.
    fn signed_attributes(&self, content: &[u8], time: Time) -> Vec<u8> {
        let attribute = |oid: ObjectIdentifier, value: Vec<u8>| {
            encode(SEQUENCE, &[encode_oid(oid), encode(SET, &[value])])
        };
        let digest = Digest::of(self.digest, content);
        encode_set_of(vec![
            attribute(CONTENT_TYPE, encode_oid(TST_INFO)),
            attribute(SIGNING_TIME, encode_time(time)),
            attribute(MESSAGE_DIGEST, encode(OCTET_STRING, &[digest.as_bytes()])),
            attribute(SIGNING_CERTIFICATE_V2, self.signing_certificate()),
        ])
    }

    fn signing_certificate(&self) -> Vec<u8> {
        // As strong as the signature; SHA-256 is the default and must then not be written.
        let mut id = match self.digest {
            HashAlgorithm::Sha256 => Vec::new(),
            larger => vec![algorithm::digest_identifier(larger)],
        };
        let hash = Digest::of(self.digest, self.certificate.der());
        id.push(encode(OCTET_STRING, &[hash.as_bytes()]));
        let directory = encode(context(4), &[self.certificate.issuer().der()]);
        let serial = encode(INTEGER, &[self.certificate.serial()]);
        id.push(encode(SEQUENCE, &[encode(SEQUENCE, &[directory]), serial]));
        encode(SEQUENCE, &[encode(SEQUENCE, &[encode(SEQUENCE, &id)])])
    }

    fn signed_data(
        &self,
        content: &[u8],
        attributes: &[u8],
        signature: &[u8],
        with_certificates: bool,
    ) -> Vec<u8> {
        let digest = algorithm::digest_identifier(self.digest);
        let serial = encode(INTEGER, &[self.certificate.serial()]);
        // The attributes stand under [0], and are signed under SET (RFC 5652 §5.4).
        let attributes = element::Element::only(attributes, SET).map_or(&[][..], |set| set.value);
        let signer = encode(
            SEQUENCE,
            &[
                encode(INTEGER, &[[1]]),
                encode(SEQUENCE, &[self.certificate.issuer().der(), &serial]),
                digest.clone(),
                encode(context(0), &[attributes]),
                self.signature_identifier.clone(),
                encode(OCTET_STRING, &[signature]),
            ],
        );
        let content = encode(context(0), &[encode(OCTET_STRING, &[content])]);
        let mut parts = vec![
            encode(INTEGER, &[[3]]),
            encode(SET, &[digest]),
            encode(SEQUENCE, &[encode_oid(TST_INFO), content]),
        ];
        if with_certificates {
            let mut certificates = vec![self.certificate.der().to_vec()];
            certificates.extend(self.chain.iter().cloned());
            certificates.sort();
            parts.push(encode(context(0), &certificates));
        }
        parts.push(encode(SET, &[signer]));
        let signed_data = encode(context(0), &[encode(SEQUENCE, &parts)]);
        encode(SEQUENCE, &[encode_oid(SIGNED_DATA), signed_data])
    }
}

#[cfg(test)]
mod tests;

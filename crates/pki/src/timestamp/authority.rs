//! Timestamp authorities that are trusted, and the verification of their tokens.

use std::fmt;

use der::asn1::ObjectIdentifier;
use waxseal_crypto::{CryptoProvider, Digest, KeyError, PublicKey, SignatureAlgorithm, Time};

use crate::path::{PathError, Purpose};
use crate::search::PathSearch;
use crate::timestamp::TimestampToken;
use crate::webpki_adaptor::OneKey;
use crate::{CaChain, Certificate, CertificateError, ChainError, algorithm};

/// One timestamp authority of a trusted root: its chain, checked once.
#[derive(Debug)]
pub struct TimestampAuthority {
    provider: CryptoProvider,
    chain: CaChain,
    leaf: Option<PinnedLeaf>,
}

/// The signer that the trusted root names.
#[derive(Debug)]
struct PinnedLeaf {
    certificate: Certificate,
    keys: Vec<OneKey>,
}

/// Why a chain is not that of a timestamp authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The first certificate does not parse.
    #[error("the timestamp authority's first certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// The authorities above the signer are not a chain.
    #[error("the timestamp authority's chain: {0}")]
    Chain(#[from] ChainError),
    /// The signer does not hang on the chain.
    #[error("the timestamp authority's certificate: {0}")]
    Leaf(#[from] PathError),
    /// The signer's extKeyUsage is not timeStamping alone and critical (RFC 3161 §2.3, V-66).
    #[error("the timestamp authority's certificate is not, critically, for timestamps alone")]
    ExtendedKeyUsage,
    /// The signer's key is of an unknown kind.
    #[error("the timestamp authority's key: {0}")]
    Key(#[from] KeyError),
}

/// Why a token was refused. Checks run in the order of these variants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// The token is over something else.
    #[error("the timestamp is over another message")]
    WrongMessage,
    /// The token carries several certificates that are not of authorities: which of them is the
    /// signer's would be a matter of who looks (V-60, V-61).
    #[error("the timestamp carries more than one certificate that may be its signer's")]
    AmbiguousSigner,
    /// No certificate is the one that the signer names: neither the authority's nor one in the
    /// token (V-60, V-61).
    #[error("the timestamp was not signed by this authority")]
    UnknownSigner,
    /// The signed attribute names another certificate than the signer (RFC 5816 §2.2.1).
    #[error("the timestamp's signed attributes name another certificate than its signer's")]
    WrongSigningCertificate,
    /// The signer's extKeyUsage is not timeStamping alone and critical (RFC 3161 §2.3, V-66).
    #[error("the timestamp's certificate is not, critically, for timestamps alone")]
    ExtendedKeyUsage,
    /// The signer, or an authority above it, was not valid at the token's time (V-65), or the
    /// signer does not hang on the authority's chain.
    #[error("the timestamp's certificate: {0}")]
    Path(#[from] PathError),
    /// The signer's key is of an unknown kind.
    #[error("the timestamp's key: {0}")]
    Key(#[from] KeyError),
    /// The signed digest is not that of the content.
    #[error("the timestamp's signed digest is not that of its content")]
    ContentDigest,
    /// The signature's algorithm is unknown, does not go with the key, or hashes otherwise than the
    /// signer says.
    #[error("the timestamp's signature algorithm does not go with its key and digest")]
    UnsupportedAlgorithm,
    /// The signature does not verify (V-62).
    #[error("the timestamp's signature does not verify")]
    Signature,
}

/// A token whose signature, signer and message were verified; only
/// [`TimestampAuthority::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedTimestamp {
    /// The time.
    pub time: Time,
    /// The digest that was timestamped.
    pub imprint: Digest,
    /// The contents of the serial number's INTEGER.
    pub serial: Vec<u8>,
    /// The authority's policy.
    pub policy: ObjectIdentifier,
    /// The contents of the nonce's INTEGER, for the client to compare.
    pub nonce: Option<Vec<u8>>,
}

impl TimestampAuthority {
    /// Checks an authority's chain: the signer first, if the trusted root has it, then the
    /// authorities above it.
    ///
    /// With a signer in the chain, tokens by any other key are refused, whatever certificate they
    /// carry. Without one, the token must carry its signer's certificate, and a path must lead from
    /// there to one of the chain's authorities.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn new<D: AsRef<[u8]>>(
        provider: CryptoProvider,
        chain: &[D],
    ) -> Result<Self, AuthorityError> {
        let Some((first, above)) = chain.split_first() else {
            return Err(ChainError::Empty.into());
        };
        let first = Certificate::parse(first.as_ref())?;
        if first.is_ca() {
            let chain = CaChain::new(provider, chain, Purpose::TimeStamping)?;
            return Ok(Self {
                provider,
                chain,
                leaf: None,
            });
        }
        let chain = CaChain::new(provider, above, Purpose::TimeStamping)?;
        if !chain.names_issuer_of(&first) {
            return Err(PathError::UnknownIssuer.into());
        }
        if !is_for_timestamps_alone(&first) {
            return Err(AuthorityError::ExtendedKeyUsage);
        }
        chain.check_leaf(&first)?;
        let keys = OneKey::all(provider, first.public_key().map_err(Clone::clone)?);
        Ok(Self {
            provider,
            chain,
            leaf: Some(PinnedLeaf {
                certificate: first,
                keys,
            }),
        })
    }

    /// The signer, if the trusted root has it.
    pub fn leaf(&self) -> Option<&Certificate> {
        self.leaf.as_ref().map(|leaf| &leaf.certificate)
    }

    /// The authorities above the signer.
    pub const fn chain(&self) -> &CaChain {
        &self.chain
    }

    /// Verifies a token over a message, which is hashed with the token's own algorithm.
    ///
    /// # Errors
    /// [`TimestampError`].
    pub fn verify(
        &self,
        token: &TimestampToken,
        message: &[u8],
    ) -> Result<VerifiedTimestamp, TimestampError> {
        let algorithm = token.info().imprint.algorithm();
        self.verify_digest(token, &Digest::of(algorithm, message))
    }

    /// Verifies a token over a digest.
    ///
    /// # Errors
    /// [`TimestampError`].
    pub fn verify_digest(
        &self,
        token: &TimestampToken,
        digest: &Digest,
    ) -> Result<VerifiedTimestamp, TimestampError> {
        let info = token.info();
        if info.imprint != *digest {
            return Err(TimestampError::WrongMessage);
        }
        if has_several_leaves(token) {
            return Err(TimestampError::AmbiguousSigner);
        }
        match &self.leaf {
            Some(leaf) => self.verify_pinned(token, leaf)?,
            None => self.verify_embedded(token)?,
        }
        Ok(VerifiedTimestamp {
            time: info.time,
            imprint: info.imprint,
            serial: info.serial.clone(),
            policy: info.policy,
            nonce: info.nonce.clone(),
        })
    }

    fn verify_pinned(
        &self,
        token: &TimestampToken,
        leaf: &PinnedLeaf,
    ) -> Result<(), TimestampError> {
        if !token.is_signed_by(&leaf.certificate) {
            return Err(TimestampError::UnknownSigner);
        }
        if !token.names_certificate(&leaf.certificate) {
            return Err(TimestampError::WrongSigningCertificate);
        }
        self.chain
            .check_path_time(&leaf.certificate, token.info().time)?;
        check_signature(
            token,
            leaf.certificate.public_key().map_err(Clone::clone)?,
            &leaf.keys,
        )
    }

    fn verify_embedded(&self, token: &TimestampToken) -> Result<(), TimestampError> {
        // Certificates that do not parse, and those of authorities, are nobody's signer.
        let parsed = token.certificates().map(Certificate::parse);
        let signer = parsed
            .filter_map(Result::ok)
            .find(|certificate| !certificate.is_ca() && token.is_signed_by(certificate))
            .ok_or(TimestampError::UnknownSigner)?;
        if !token.names_certificate(&signer) {
            return Err(TimestampError::WrongSigningCertificate);
        }
        if !is_for_timestamps_alone(&signer) {
            return Err(TimestampError::ExtendedKeyUsage);
        }
        if self.chain.names_issuer_of(&signer) {
            self.chain.verify_leaf(&signer, token.info().time)?;
        } else {
            let intermediates: Vec<&[u8]> = token.certificates().collect();
            let anchors: Vec<&[u8]> = self
                .chain
                .certificates()
                .iter()
                .map(Certificate::der)
                .collect();
            let time = token.info().time;
            self.chain.check_time(time)?;
            let purpose = Purpose::TimeStamping;
            PathSearch::new(self.provider, &anchors, &intermediates, time, purpose)
                .find(signer.der())?;
        }
        let key = signer.public_key().map_err(Clone::clone)?;
        check_signature(token, key, &OneKey::all(self.provider, key))
    }
}

fn has_several_leaves(token: &TimestampToken) -> bool {
    if token.certificates().nth(1).is_none() {
        return false;
    }
    let parsed = token
        .certificates()
        .filter_map(|der| Certificate::parse(der).ok());
    parsed
        .filter(|certificate| !certificate.is_ca())
        .nth(1)
        .is_some()
}

fn is_for_timestamps_alone(leaf: &Certificate) -> bool {
    leaf.extended_key_usage()
        .is_some_and(|eku| eku.critical && eku.purposes == [Purpose::TimeStamping.oid()])
}

fn check_signature(
    token: &TimestampToken,
    key: &PublicKey,
    keys: &[OneKey],
) -> Result<(), TimestampError> {
    if !token.is_content_intact() {
        return Err(TimestampError::ContentDigest);
    }
    let algorithm = signature_algorithm(token, key).ok_or(TimestampError::UnsupportedAlgorithm)?;
    let key = keys
        .iter()
        .find(|key| key.algorithm() == algorithm)
        .ok_or(TimestampError::UnsupportedAlgorithm)?;
    if key.verify(&token.signed_bytes(), token.signature()) {
        Ok(())
    } else {
        Err(TimestampError::Signature)
    }
}

/// The algorithm of the signature. Its hash must be the one that the signer digests with; Ed25519
/// and ML-DSA have none of their own.
fn signature_algorithm(token: &TimestampToken, key: &PublicKey) -> Option<SignatureAlgorithm> {
    let identifier = token.signature_identifier();
    let digest = token.signer.digest;
    let found = algorithm::of_signature(identifier, key.kind())
        .or_else(|| algorithm::of_rsa_key(identifier, digest))?;
    let fits = found.key_kind() == key.kind() && found.prehash().is_none_or(|hash| hash == digest);
    fits.then_some(found)
}

impl fmt::Display for VerifiedTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.time.fmt(f)
    }
}

#[cfg(test)]
mod tests;

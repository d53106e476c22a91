//! Fixed chains of certificate authorities: checked once, then used for every leaf (RFC 5280 §6).

use std::time::Duration;

use rustls_pki_types::{
    CertificateDer, Der, SignatureVerificationAlgorithm, TrustAnchor, UnixTime,
};
use waxseal_crypto::{CryptoProvider, KeyError, PublicKey, SignatureError, Time};

use crate::element::{Element, SEQUENCE};
use crate::path::{PathError, Purpose};
use crate::webpki_adaptor::OneKey;
use crate::{Certificate, CertificateError};

/// How many certificates a trusted chain may have. Sigstore's have one to three.
pub const MAX_CHAIN: usize = 8;

/// The certificate authorities of one trusted chain, from the one that signs leaves up to the one
/// that is trusted as such.
///
/// Signatures, constraints and purposes inside the chain are checked by [`CaChain::new`], dates by
/// every [`CaChain::verify_leaf`]: all certificates must be valid at the time in question (V-11).
/// The last certificate's own signature proves nothing and is not checked.
#[derive(Debug)]
pub struct CaChain {
    certificates: Vec<Certificate>,
    purpose: Purpose,
    issuer_key: PublicKey,
    algorithms: Vec<OneKey>,
    anchors: Vec<TrustAnchor<'static>>,
}

/// Why a chain is not one. `index` counts from 0, the certificate that signs leaves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// There is no certificate.
    #[error("the chain is empty")]
    Empty,
    /// There are more than [`MAX_CHAIN`].
    #[error("the chain has {found} certificates, at most {MAX_CHAIN} are allowed")]
    TooLong {
        /// How many there are.
        found: usize,
    },
    /// One is not a certificate.
    #[error("certificate {index} of the chain: {source}")]
    Certificate {
        /// Which one.
        index: usize,
        /// What is wrong.
        source: CertificateError,
    },
    /// One has a key of an unknown kind.
    #[error("certificate {index} of the chain: {source}")]
    Key {
        /// Which one.
        index: usize,
        /// What is wrong.
        source: KeyError,
    },
    /// One is not a certificate authority (RFC 5280 §4.2.1.9).
    #[error("certificate {index} of the chain is not that of a certificate authority")]
    NotCa {
        /// Which one.
        index: usize,
    },
    /// One has keyUsage without keyCertSign (RFC 5280 §4.2.1.3).
    #[error("the key of certificate {index} of the chain may not sign certificates")]
    KeyUsage {
        /// Which one.
        index: usize,
    },
    /// One has extKeyUsage without the chain's purpose.
    #[error("certificate {index} of the chain is not for this purpose")]
    ExtendedKeyUsage {
        /// Which one.
        index: usize,
    },
    /// One has a critical extension that we do not know (RFC 5280 §4.2).
    #[error("certificate {index} of the chain has the unknown critical extension {oid}")]
    UnknownCriticalExtension {
        /// Which one.
        index: usize,
        /// Which extension.
        oid: der::asn1::ObjectIdentifier,
    },
    /// More authorities stand below one than its pathLenConstraint allows (RFC 5280 §4.2.1.9).
    #[error("too many certificates stand below certificate {index} of the chain")]
    PathLength {
        /// Which one.
        index: usize,
    },
    /// The issuer of one is not the subject of the next: the chain is out of order.
    #[error("certificate {index} of the chain was not issued by the one after it")]
    WrongIssuer {
        /// Which one.
        index: usize,
    },
    /// The signature of one is not by the key of the next.
    #[error("certificate {index} of the chain: {source}")]
    Signature {
        /// Which one.
        index: usize,
        /// Why.
        source: SignatureError,
    },
}

impl CaChain {
    /// Parses and checks a chain: the authority that signs leaves first, the root last.
    ///
    /// # Errors
    /// [`ChainError`], for the first certificate that fails.
    pub fn new<D: AsRef<[u8]>>(
        provider: CryptoProvider,
        chain: &[D],
        purpose: Purpose,
    ) -> Result<Self, ChainError> {
        if chain.len() > MAX_CHAIN {
            return Err(ChainError::TooLong { found: chain.len() });
        }
        let certificates = chain
            .iter()
            .enumerate()
            .map(|(index, der)| {
                Certificate::parse(der.as_ref())
                    .map_err(|source| ChainError::Certificate { index, source })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Self::from_certificates(provider, certificates, purpose)
    }

    /// Checks a chain of parsed certificates.
    ///
    /// # Errors
    /// [`ChainError`], any but `Certificate`.
    pub fn from_certificates(
        provider: CryptoProvider,
        certificates: Vec<Certificate>,
        purpose: Purpose,
    ) -> Result<Self, ChainError> {
        if certificates.len() > MAX_CHAIN {
            return Err(ChainError::TooLong {
                found: certificates.len(),
            });
        }
        let keys = certificates
            .iter()
            .enumerate()
            .map(|(index, certificate)| {
                let key = certificate.public_key().cloned();
                key.map_err(|source| ChainError::Key {
                    index,
                    source: source.clone(),
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        for (index, certificate) in certificates.iter().enumerate() {
            check_authority(index, certificate, &certificates, purpose)?;
        }
        let parents = certificates.iter().zip(&keys).skip(1);
        for (index, (child, (parent, key))) in certificates.iter().zip(parents).enumerate() {
            if child.issuer() != parent.subject() {
                return Err(ChainError::WrongIssuer { index });
            }
            child
                .verify_signature(provider, key)
                .map_err(|source| ChainError::Signature { index, source })?;
        }
        let (Some(issuer), Some(issuer_key)) = (certificates.first(), keys.into_iter().next())
        else {
            return Err(ChainError::Empty);
        };
        Ok(Self {
            purpose,
            algorithms: OneKey::all(provider, &issuer_key),
            anchors: anchors(issuer, &certificates),
            issuer_key,
            certificates,
        })
    }

    /// The authority that signs leaves.
    pub fn issuer_key(&self) -> &PublicKey {
        &self.issuer_key
    }

    /// The certificates, the authority that signs leaves first.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// What its leaves are for.
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Whether a leaf names this chain's authority as its issuer. Cheap: to choose a chain by.
    pub fn names_issuer_of(&self, leaf: &Certificate) -> bool {
        self.certificates
            .first()
            .is_some_and(|issuer| issuer.subject() == leaf.issuer())
    }

    /// Verifies a leaf at a time: its signature by the chain's first key, its purpose, key usage and
    /// constraints, then its dates and those of every authority (both ends included).
    ///
    /// Certificates that travel beside the leaf are no argument: intermediates come from the
    /// trusted root, or they do not count (V25).
    ///
    /// # Errors
    /// [`PathError`].
    pub fn verify_leaf<'a>(
        &'a self,
        leaf: &'a Certificate,
        time: Time,
    ) -> Result<VerifiedPath<'a>, PathError> {
        if !self.names_issuer_of(leaf) {
            return Err(PathError::UnknownIssuer);
        }
        let path = VerifiedPath { chain: self, leaf };
        self.check_leaf(leaf)?;
        path.check_time(time)?;
        Ok(path)
    }

    /// Everything about a leaf that does not depend on the time.
    pub(crate) fn check_leaf(&self, leaf: &Certificate) -> Result<(), PathError> {
        if leaf.is_precertificate() {
            return Err(PathError::Precertificate);
        }
        if let Some(oid) = leaf.unknown_critical_extension() {
            return Err(PathError::UnknownCriticalExtension { oid });
        }
        let der = CertificateDer::from(leaf.der());
        let entity = webpki::EndEntityCert::try_from(&der).map_err(PathError::from_webpki)?;
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
            self.algorithms.iter().map(OneKey::dynamic).collect();
        let time = webpki_time(leaf.not_before())?;
        // One run for each set of name constraints above the leaf; almost always that is one.
        for anchor in &self.anchors {
            entity
                .verify_for_usage(
                    &algorithms,
                    std::slice::from_ref(anchor),
                    &[],
                    time,
                    self.purpose.required(),
                    None,
                    None,
                )
                .map_err(PathError::from_webpki)?;
        }
        if leaf
            .key_usage()
            .is_some_and(|usage| !usage.digital_signature)
        {
            return Err(PathError::KeyUsage);
        }
        Ok(())
    }

    /// Checks the dates of a leaf and of every authority.
    pub(crate) fn check_path_time(&self, leaf: &Certificate, time: Time) -> Result<(), PathError> {
        check_dates(0, leaf, time)?;
        self.check_time(time)
    }

    /// Checks the dates of every authority.
    pub(crate) fn check_time(&self, time: Time) -> Result<(), PathError> {
        for (index, certificate) in self.certificates.iter().enumerate() {
            check_dates(index + 1, certificate, time)?;
        }
        Ok(())
    }
}

/// A leaf whose path to a trusted chain was verified; only [`CaChain::verify_leaf`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct VerifiedPath<'a> {
    chain: &'a CaChain,
    leaf: &'a Certificate,
}

impl<'a> VerifiedPath<'a> {
    /// The leaf.
    pub const fn leaf(&self) -> &'a Certificate {
        self.leaf
    }

    /// The chain above it.
    pub const fn chain(&self) -> &'a CaChain {
        self.chain
    }

    /// The key that signed the leaf: the one to check its SCTs with (V-30).
    pub fn issuer_key(&self) -> &'a PublicKey {
        &self.chain.issuer_key
    }

    /// Whether every certificate of the path is valid at a further time (V7: at each of them).
    ///
    /// # Errors
    /// [`PathError::NotYetValid`] or [`PathError::Expired`].
    pub fn check_time(&self, time: Time) -> Result<(), PathError> {
        self.chain.check_path_time(self.leaf, time)
    }
}

pub(crate) fn check_dates(
    depth: usize,
    certificate: &Certificate,
    time: Time,
) -> Result<(), PathError> {
    if time < certificate.not_before() {
        return Err(PathError::NotYetValid {
            depth,
            not_before: certificate.not_before(),
            time,
        });
    }
    if !certificate.is_valid_at(time) {
        return Err(PathError::Expired {
            depth,
            not_after: certificate.not_after(),
            time,
        });
    }
    Ok(())
}

/// webpki compares dates itself; it is given the leaf's own first second, because time is checked
/// by us for the whole path.
pub(crate) fn webpki_time(time: Time) -> Result<UnixTime, PathError> {
    let seconds = u64::try_from(time.unix_seconds()).map_err(|_| PathError::BeforeEpoch)?;
    Ok(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

fn check_authority(
    index: usize,
    certificate: &Certificate,
    chain: &[Certificate],
    purpose: Purpose,
) -> Result<(), ChainError> {
    let constraints = certificate
        .basic_constraints()
        .filter(|constraints| constraints.ca);
    let constraints = constraints.ok_or(ChainError::NotCa { index })?;
    if certificate
        .key_usage()
        .is_some_and(|usage| !usage.key_cert_sign)
    {
        return Err(ChainError::KeyUsage { index });
    }
    if !purpose.is_allowed_above(certificate) {
        return Err(ChainError::ExtendedKeyUsage { index });
    }
    if let Some(oid) = certificate.unknown_critical_extension() {
        return Err(ChainError::UnknownCriticalExtension { index, oid });
    }
    // Self-issued certificates do not count towards the length (RFC 5280 §6.1.4 (l)).
    let below = chain
        .iter()
        .take(index)
        .filter(|below| below.issuer() != below.subject());
    let below = u32::try_from(below.count()).unwrap_or(u32::MAX);
    if constraints.path_len.is_some_and(|allowed| below > allowed) {
        return Err(ChainError::PathLength { index });
    }
    Ok(())
}

/// The authority that signs leaves as webpki's trust anchor, once for each name constraint that
/// stands anywhere in the chain, at least once.
fn anchors(issuer: &Certificate, chain: &[Certificate]) -> Vec<TrustAnchor<'static>> {
    let contents = |der: &[u8]| {
        let value = Element::only(der, SEQUENCE).map(|element| element.value);
        Der::from(value.unwrap_or_default().to_vec())
    };
    let anchor = |constraints: Option<&[u8]>| TrustAnchor {
        subject: contents(issuer.subject().der()),
        subject_public_key_info: contents(issuer.spki_der()),
        name_constraints: constraints.map(|value| Der::from(value.to_vec())),
    };
    let constrained: Vec<_> = chain
        .iter()
        .filter_map(|c| c.name_constraints())
        .map(|c| anchor(Some(c)))
        .collect();
    if constrained.is_empty() {
        vec![anchor(None)]
    } else {
        constrained
    }
}

#[cfg(test)]
mod tests;

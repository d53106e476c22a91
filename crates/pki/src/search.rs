//! Paths that have to be looked for (RFC 5280 §6, RFC 4158), by rustls-webpki with our algorithms.

use std::cell::Cell;

use rustls_pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, TrustAnchor};
use waxseal_crypto::{CryptoProvider, Time};

use crate::Certificate;
use crate::chain::{check_dates, webpki_time};
use crate::path::{PathError, Purpose};
use crate::profile::{self, Rule};
use crate::webpki_adaptor::AnyKey;

/// A search for a path from a leaf to an anchor, all valid at one time.
///
/// The work is bounded by webpki's budget: 100 signatures, six intermediates deep (K-07). What
/// webpki leaves open is checked on every candidate: the anchor's own dates and constraints, key
/// usages, key identifiers.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct PathSearch<'a> {
    /// Who checks signatures.
    pub provider: CryptoProvider,
    /// Certificates, in DER, of authorities that are trusted as such.
    pub anchors: &'a [&'a [u8]],
    /// Certificates, in DER, that may lead there; they are not trusted.
    pub intermediates: &'a [&'a [u8]],
    /// When.
    pub time: Time,
    /// What the leaf is for.
    pub purpose: Purpose,
    /// How many intermediates that are not self-issued a path may have; webpki's own limit is six.
    pub max_intermediates: Option<usize>,
}

impl<'a> PathSearch<'a> {
    /// A search without a limit of its own on the number of intermediates.
    pub const fn new(
        provider: CryptoProvider,
        anchors: &'a [&'a [u8]],
        intermediates: &'a [&'a [u8]],
        time: Time,
        purpose: Purpose,
    ) -> Self {
        Self {
            provider,
            anchors,
            intermediates,
            time,
            purpose,
            max_intermediates: None,
        }
    }

    /// Finds a path for a leaf: its authorities, from its issuer up to the anchor.
    ///
    /// # Errors
    /// [`PathError`]: of the candidate that got furthest.
    pub fn find(&self, leaf: &[u8]) -> Result<Vec<Certificate>, PathError> {
        self.search(leaf, None)
    }

    /// Finds a path for a leaf that must be that of a host: a DNS name or an IP address, compared
    /// with its subjectAltName (RFC 9525).
    ///
    /// # Errors
    /// [`PathError`]; [`PathError::WrongHost`] if the leaf is another's.
    pub fn find_for_host(&self, leaf: &[u8], host: &str) -> Result<Vec<Certificate>, PathError> {
        let host = ServerName::try_from(host).map_err(|_| PathError::WrongHost)?;
        self.search(leaf, Some(&host))
    }

    fn search(
        &self,
        leaf: &[u8],
        host: Option<&ServerName<'_>>,
    ) -> Result<Vec<Certificate>, PathError> {
        let parsed = Certificate::parse(leaf).map_err(PathError::Certificate)?;
        let leaf = CertificateDer::from(leaf);
        let entity = webpki::EndEntityCert::try_from(&leaf).map_err(PathError::from_webpki)?;
        let intermediates: Vec<_> = self
            .intermediates
            .iter()
            .map(|der| CertificateDer::from(*der))
            .collect();
        let ders: Vec<_> = self
            .anchors
            .iter()
            .map(|der| CertificateDer::from(*der))
            .collect();
        // An anchor that does not parse is no anchor.
        let anchors: Vec<(TrustAnchor<'_>, Certificate)> = ders
            .iter()
            .filter_map(|der| {
                let anchor = webpki::anchor_from_trusted_cert(der).ok()?;
                Some((anchor, Certificate::parse(der.as_ref()).ok()?))
            })
            .collect();
        let trusted: Vec<_> = anchors.iter().map(|(anchor, _)| anchor.clone()).collect();
        let algorithms = AnyKey::all(self.provider);
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
            algorithms.iter().map(AnyKey::dynamic).collect();

        let refusal = Cell::new(None);
        let found = Cell::new(None);
        let check = |path: &webpki::VerifiedPath<'_>| -> Result<(), webpki::Error> {
            let checked = authorities(path, &anchors).and_then(|authorities| {
                self.check(&parsed, &authorities)?;
                Ok(authorities)
            });
            match checked {
                Ok(authorities) => {
                    found.set(Some(authorities));
                    Ok(())
                }
                Err(error) => {
                    refusal.set(Some(error));
                    Err(webpki::Error::UnknownIssuer)
                }
            }
        };
        let outcome = entity.verify_for_usage(
            &algorithms,
            &trusted,
            &intermediates,
            webpki_time(self.time)?,
            self.purpose.required_if_present(),
            None,
            Some(&check),
        );
        if let Err(error) = outcome {
            return Err(refusal
                .take()
                .unwrap_or_else(|| PathError::from_webpki(error)));
        }
        if let Some(host) = host {
            entity
                .verify_is_valid_for_subject_name(host)
                .map_err(|_| PathError::WrongHost)?;
        }
        found.take().ok_or(PathError::UnknownIssuer)
    }

    /// What webpki does not check.
    fn check(&self, leaf: &Certificate, authorities: &[Certificate]) -> Result<(), PathError> {
        let broken = |depth: usize| move |rule: Rule| PathError::Profile { depth, rule };
        profile::check_leaf(leaf, self.purpose).map_err(broken(0))?;
        let last = authorities.len();
        for (index, authority) in authorities.iter().enumerate() {
            let depth = index + 1;
            check_dates(depth, authority, self.time)?;
            profile::check_authority(authority, depth == last, self.purpose)
                .map_err(broken(depth))?;
        }
        let between = authorities.iter().take(last.saturating_sub(1));
        let counted = between.filter(|one| one.issuer() != one.subject()).count();
        if self
            .max_intermediates
            .is_some_and(|allowed| counted > allowed)
        {
            return Err(broken(last)(Rule::TooManyIntermediates));
        }
        Ok(())
    }
}

/// The certificates of a candidate, from the leaf's issuer to the anchor.
fn authorities(
    path: &webpki::VerifiedPath<'_>,
    anchors: &[(TrustAnchor<'_>, Certificate)],
) -> Result<Vec<Certificate>, PathError> {
    let mut authorities = path
        .intermediate_certificates()
        .map(|one| Certificate::parse(one.der().as_ref()).map_err(PathError::Certificate))
        .collect::<Result<Vec<_>, _>>()?;
    let anchor = anchors.iter().find(|(anchor, _)| anchor == path.anchor());
    authorities.push(anchor.ok_or(PathError::UnknownIssuer)?.1.clone());
    Ok(authorities)
}

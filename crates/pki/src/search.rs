//! Paths that have to be looked for (RFC 5280 §6, RFC 4158), by rustls-webpki with our algorithms.

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor};
use waxseal_crypto::{CryptoProvider, Time};

use crate::chain::webpki_time;
use crate::path::{PathError, Purpose};
use crate::webpki_adaptor::AnyKey;

/// Looks for a path from a leaf to one of the anchors, all at one time, and returns the
/// intermediates on it, from the leaf's issuer upwards.
///
/// The work is bounded by webpki's budget: 100 signatures, 6 intermediates deep (K-07). The dates
/// of anchors are not checked: whoever trusts an anchor says for how long.
///
/// # Errors
/// [`PathError`]: of the candidate that got furthest.
pub fn build_path(
    provider: CryptoProvider,
    leaf: &[u8],
    intermediates: &[&[u8]],
    anchors: &[&[u8]],
    time: Time,
    purpose: Purpose,
) -> Result<Vec<Vec<u8>>, PathError> {
    let leaf = CertificateDer::from(leaf);
    let entity = webpki::EndEntityCert::try_from(&leaf).map_err(PathError::from_webpki)?;
    let intermediates: Vec<_> = intermediates
        .iter()
        .map(|der| CertificateDer::from(*der))
        .collect();
    let anchors: Vec<_> = anchors
        .iter()
        .map(|der| CertificateDer::from(*der))
        .collect();
    let anchors: Vec<TrustAnchor<'_>> = anchors
        .iter()
        .filter_map(|der| webpki::anchor_from_trusted_cert(der).ok())
        .collect();
    let algorithms = AnyKey::all(provider);
    let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
        algorithms.iter().map(AnyKey::dynamic).collect();
    let path = entity
        .verify_for_usage(
            &algorithms,
            &anchors,
            &intermediates,
            webpki_time(time)?,
            purpose.required_if_present(),
            None,
            None,
        )
        .map_err(PathError::from_webpki)?;
    Ok(path
        .intermediate_certificates()
        .map(|one| one.der().to_vec())
        .collect())
}

//! The certificate's path to a trusted authority, at every verified time, and who it names.

use std::collections::BTreeMap;

use waxseal_crypto::Time;
use waxseal_formats::claims::ClaimName;
use waxseal_pki::{CaChain, Certificate, PathError, SubjectAltName, VerifiedPath};

use crate::authorities::CertificateAuthority;
use crate::{Identity, Subject, SubjectKind, VerifyError};

/// The arc of Sigstore's user names: the type of an `otherName`.
const USER_NAME: &str = "1.3.6.1.4.1.57264.1.7";
/// The issuer extensions: the old one is bare text, the new one a UTF8String.
const ISSUER_V1: u8 = 1;
const ISSUER_V2: u8 = 8;

/// Verifies the leaf's path to one of the authorities, every certificate at every time (hybrid
/// model). The signature is checked once; the intermediates come from the trusted root.
pub(crate) fn verify_path<'a>(
    authorities: &'a [CertificateAuthority],
    leaf: &'a Certificate,
    times: &(impl Iterator<Item = Time> + Clone),
) -> Result<VerifiedPath<'a>, VerifyError> {
    let mut nearest = VerifyError::CertificateUntrusted;
    for authority in authorities {
        if !authority.chain.names_issuer_of(leaf) {
            continue;
        }
        match verify_with(authority, leaf, times.clone()) {
            Ok(path) => return Ok(path),
            Err(error) => nearest = nearest.later(error),
        }
    }
    Err(nearest)
}

fn verify_with<'a>(
    authority: &'a CertificateAuthority,
    leaf: &'a Certificate,
    mut times: impl Iterator<Item = Time> + Clone,
) -> Result<VerifiedPath<'a>, VerifyError> {
    let outside = |time: &Time| !authority.valid_for.contains(*time);
    let untrusted = times.clone().find(outside);
    let first = times.next().ok_or(VerifyError::TimeMissing {
        found: 0,
        wanted: 1,
    })?;
    let path = verify_leaf(&authority.chain, leaf, first);
    // Whoever did not issue the certificate is not told by when it was trusted.
    if let (Some(time), Ok(_) | Err(VerifyError::CertificateExpired { .. })) = (untrusted, &path) {
        return Err(VerifyError::CertificateAuthorityExpired { time });
    }
    let path = path?;
    for time in times {
        path.check_time(time)
            .map_err(|error| path_error(error, time))?;
    }
    Ok(path)
}

fn verify_leaf<'a>(
    chain: &'a CaChain,
    leaf: &'a Certificate,
    time: Time,
) -> Result<VerifiedPath<'a>, VerifyError> {
    chain
        .verify_leaf(leaf, time)
        .map_err(|error| path_error(error, time))
}

fn path_error(error: PathError, time: Time) -> VerifyError {
    match error {
        PathError::UnknownIssuer | PathError::Signature => VerifyError::CertificateUntrusted,
        PathError::NotYetValid { .. } | PathError::Expired { .. } | PathError::BeforeEpoch => {
            VerifyError::CertificateExpired { time }
        }
        source => VerifyError::CertificateUnsuitable { source },
    }
}

/// Who the certificate names. The two issuer extensions must agree where both are there: a verifier
/// that reads one and a policy that was written for the other would see two signers.
pub(crate) fn identity_of(leaf: &Certificate) -> Result<Identity, VerifyError> {
    let subjects = leaf
        .subject_alt_names()
        .iter()
        .filter_map(subject_of)
        .collect();
    let old = leaf.sigstore_extension(ISSUER_V1);
    let new = leaf.sigstore_extension(ISSUER_V2);
    if let (Some(old), Some(new)) = (old, new)
        && old != new
    {
        return Err(VerifyError::IssuerConflict {
            old: old.to_owned(),
            new: new.to_owned(),
        });
    }
    let claims: BTreeMap<ClaimName, String> = leaf
        .sigstore_extensions()
        .filter(|(number, _)| ![ISSUER_V1, ISSUER_V2].contains(number))
        .filter_map(|(number, value)| Some((ClaimName::by_arc(number)?, value.to_owned())))
        .collect();
    Ok(Identity {
        subjects,
        issuer: new.or(old).map(str::to_owned),
        claims,
    })
}

fn subject_of(name: &SubjectAltName) -> Option<Subject> {
    let (kind, value) = match name {
        SubjectAltName::Email(value) => (SubjectKind::Email, value),
        SubjectAltName::Uri(value) => (SubjectKind::Uri, value),
        SubjectAltName::OtherName { oid, value } if oid.to_string() == USER_NAME => {
            (SubjectKind::OtherName, value)
        }
        _ => return None,
    };
    Some(Subject {
        kind,
        value: value.clone(),
    })
}

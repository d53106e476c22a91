//! Certificates of authorities, and of signers of timestamps.

use waxseal_crypto::{PublicKey, Random, Signer};
use waxseal_pki::{Certificate, Purpose};

use crate::profile::{
    Subject, authority_key_identifier, authority_key_usage, basic_constraints, extended_key_usage,
    leaf_key_usage, subject_key_identifier,
};
use crate::tbs::{Fields, algorithm_of, serial};
use crate::{IssueError, Validity};

/// A root: signed by itself, for any purpose, with intermediates or leaves below.
///
/// # Errors
/// [`IssueError`].
pub async fn issue_root(
    signer: &dyn Signer,
    subject: &Subject,
    validity: Validity,
    random: &dyn Random,
) -> Result<Certificate, IssueError> {
    let key = signer.public_key();
    let extensions = [
        authority_key_usage(),
        basic_constraints(None),
        subject_key_identifier(key),
    ];
    let fields = Fields {
        serial: serial(random)?,
        algorithm: algorithm_of(signer)?,
        issuer: subject.encode(),
        validity,
        subject: subject.encode(),
        key: key.clone(),
    };
    fields.sign(signer, &extensions).await
}

/// An intermediate below `issuer`: no authority may stand below it, and its leaves are for one
/// purpose.
///
/// # Errors
/// [`IssueError`]; [`IssueError::AuthorityExpires`] if it would outlive its issuer.
pub async fn issue_intermediate(
    issuer: &Certificate,
    signer: &dyn Signer,
    subject: &Subject,
    key: &PublicKey,
    purpose: Purpose,
    validity: Validity,
    random: &dyn Random,
) -> Result<Certificate, IssueError> {
    let extensions = [
        authority_key_usage(),
        extended_key_usage(purpose, false),
        basic_constraints(Some(0)),
        subject_key_identifier(key),
        authority_key_identifier(key_id(issuer)?),
    ];
    below(issuer, signer, subject, key, validity, random)?
        .sign(signer, &extensions)
        .await
}

/// The certificate of a key that signs timestamps (RFC 3161 §2.3).
///
/// # Errors
/// [`IssueError`]; [`IssueError::AuthorityExpires`] if it would outlive its issuer.
pub async fn issue_timestamp_signer(
    issuer: &Certificate,
    signer: &dyn Signer,
    subject: &Subject,
    key: &PublicKey,
    validity: Validity,
    random: &dyn Random,
) -> Result<Certificate, IssueError> {
    let extensions = [
        leaf_key_usage(),
        extended_key_usage(Purpose::TimeStamping, true),
        subject_key_identifier(key),
        authority_key_identifier(key_id(issuer)?),
    ];
    below(issuer, signer, subject, key, validity, random)?
        .sign(signer, &extensions)
        .await
}

fn key_id(issuer: &Certificate) -> Result<&[u8], IssueError> {
    let id = issuer.subject_key_id().filter(|_| issuer.is_ca());
    id.ok_or(IssueError::NotAnAuthority)
}

fn below(
    issuer: &Certificate,
    signer: &dyn Signer,
    subject: &Subject,
    key: &PublicKey,
    validity: Validity,
    random: &dyn Random,
) -> Result<Fields, IssueError> {
    if issuer.public_key().ok() != Some(signer.public_key()) {
        return Err(IssueError::WrongSigner);
    }
    check_dates(std::slice::from_ref(issuer), validity)?;
    Ok(Fields {
        serial: serial(random)?,
        algorithm: algorithm_of(signer)?,
        issuer: issuer.subject().der().to_vec(),
        validity,
        subject: subject.encode(),
        key: key.clone(),
    })
}

/// A certificate lives inside the lives of all authorities above it.
pub(crate) fn check_dates(chain: &[Certificate], validity: Validity) -> Result<(), IssueError> {
    for (index, authority) in chain.iter().enumerate() {
        let (not_before, not_after) = (authority.not_before(), authority.not_after());
        if validity.not_after > not_after {
            return Err(IssueError::AuthorityExpires { index, not_after });
        }
        if validity.not_before < not_before {
            return Err(IssueError::AuthorityNotYetValid { index, not_before });
        }
    }
    Ok(())
}

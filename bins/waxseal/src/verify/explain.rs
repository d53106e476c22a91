//! From a library's refusal to what is said about it: what was wanted, what was found, what to do.

use waxseal_formats::{Bundle, BundleError};
use waxseal_pki::{Certificate, SubjectAltName};
use waxseal_verify::{ErrorClass, Role, Skipped, VerifyError, VerifyReaderError};

use crate::outcome::{Class, Failure};

/// What to try where an authority is not in the trusted root.
const OTHER_INSTANCE: &str = "if it is of another instance: --instance DIR|FILE, --trusted-root FILE, --staging; \
     if this one has a new key or log since: its files of today";

/// A bundle that cannot be read.
pub(crate) fn bundle(error: &BundleError) -> Failure {
    let code = match error {
        BundleError::MediaType { .. } => "bundle-unsupported",
        _ => "bundle-malformed",
    };
    Failure::new(Class::Malformed, code, error.to_string()).led_by(error)
}

/// An artifact that cannot be read.
pub(crate) fn unreadable(error: &VerifyReaderError) -> Failure {
    Failure::new(Class::Usage, "artifact-unreadable", error.to_string()).led_by(error)
}

/// Adds what the trusted root has and this program cannot use, where that may be what is missing.
pub(crate) fn with_skipped(
    mut failure: Failure,
    error: &VerifyError,
    skipped: &[Skipped],
) -> Failure {
    let role = match error {
        VerifyError::LogUnknown { .. } | VerifyError::LogThreshold { .. } => Role::Log,
        VerifyError::SctLogUnknown | VerifyError::SctThreshold { .. } => Role::CtLog,
        VerifyError::CertificateUntrusted => Role::CertificateAuthority,
        VerifyError::TimestampAuthorityUnknown | VerifyError::TimestampThreshold { .. } => {
            Role::TimestampAuthority
        }
        _ => return failure,
    };
    let missing = skipped.iter().filter(|one| one.role == role).map(|one| {
        format!(
            "{} of the trusted root is not used: {}",
            one.address, one.reason
        )
    });
    failure.details.causes.extend(missing);
    failure
}

/// A bundle that was refused.
pub(crate) fn refusal(error: &VerifyError, bundle: &Bundle) -> Failure {
    let failure = Failure::new(class_of(error), error.code(), error.to_string()).led_by(error);
    match error {
        VerifyError::IdentityMismatch { expected, found } => {
            let failure = Failure { message: "signed, but by someone else".to_owned(), ..failure }
                .expected(expected, found.join(", "));
            match flags(bundle) {
                Some(flags) => failure.hint(format!("if this signer is right:  {flags}")),
                None => failure,
            }
        }
        VerifyError::IssuerMismatch { expected, found } => {
            let message = "signed, but somebody else vouches for the identity".to_owned();
            Failure { message, ..failure }
                .expected(expected, found)
                .hint(format!("if that issuer is right:  --issuer {}", quoted(found)))
        }
        VerifyError::ClaimMismatch { claim, expected, found } => {
            let message = format!("signed, but with another claim {claim}");
            let found = found.as_deref().unwrap_or("no such claim");
            Failure { message, ..failure }.expected(expected, found)
        }
        VerifyError::PredicateTypeMismatch { expected, found } => {
            let message = "an attestation of another type".to_owned();
            Failure { message, ..failure }.expected(expected, found)
        }
        VerifyError::ArtifactMismatch { expected, found } => {
            let message = "this is not what was signed".to_owned();
            Failure { message, ..failure }
                .expected(found.to_string(), expected.to_string())
        }
        VerifyError::CertificateRequired => failure.hint("--key FILE"),
        VerifyError::KeyRequired => failure.hint("--identity ID --issuer URL"),
        VerifyError::TimeMissing { .. } => {
            failure.hint("a certificate is good for minutes: without a proven time nothing says that it was used in them")
        }
        VerifyError::InclusionProofMissing { .. } => {
            failure.hint("--accept-promise, if that is enough for you")
        }
        VerifyError::SctMissing => failure.hint("--allow-no-sct, if its CA has no CT log"),
        VerifyError::LogUnknown { .. }
        | VerifyError::TimestampAuthorityUnknown
        | VerifyError::SctLogUnknown
        | VerifyError::CertificateUntrusted => failure.hint(OTHER_INSTANCE),
        _ => failure,
    }
}

/// The class of a rule of verification.
pub(crate) fn class_of(error: &VerifyError) -> Class {
    match error.class() {
        ErrorClass::Malformed => Class::Malformed,
        ErrorClass::Policy => Class::Policy,
        ErrorClass::TrustRoot => Class::TrustRoot,
        // What is not known to be milder is taken for the worst.
        _ => Class::Cryptographic,
    }
}

/// The flags that would accept the certificate's subject: its path has been verified by the time
/// identities are compared, the signature has not.
fn flags(bundle: &Bundle) -> Option<String> {
    let certificate = Certificate::parse(bundle.material.key.leaf_certificate()?).ok()?;
    let subject = certificate
        .subject_alt_names()
        .iter()
        .find_map(|name| match name {
            SubjectAltName::Email(value)
            | SubjectAltName::Uri(value)
            | SubjectAltName::OtherName { value, .. } => Some(value),
            _ => None,
        })?;
    let issuer = certificate
        .sigstore_extension(8)
        .or_else(|| certificate.sigstore_extension(1))?;
    Some(format!(
        "--identity {} --issuer {}",
        quoted(subject),
        quoted(issuer)
    ))
}

/// A word for a shell: what comes from a certificate must not become a command when it is pasted.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pasted_is_one_word() {
        let check = |word: &str, expected: &str| assert_eq!(quoted(word), expected);
        check("you@example.com", "you@example.com");
        check("https://h/o/r@refs/tags/v1", "https://h/o/r@refs/tags/v1");
        check("", "''");
        check("a b", "'a b'");
        check("$(rm -rf ~)", "'$(rm -rf ~)'");
        check("a'; rm b '", r"'a'\''; rm b '\'''");
    }
}

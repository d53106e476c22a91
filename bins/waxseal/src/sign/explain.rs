//! From a failed signing to what is said about it.

use waxseal_ca_client::CertificateError;
use waxseal_sign::{RecoveryError, SigningError};

use crate::outcome::{Class, Failure};
use crate::verify::explain::class_of;

/// A signing that failed.
pub(crate) fn refusal(error: &SigningError) -> Failure {
    let (class, code) = class_and_code(error);
    let failure = Failure::new(class, code, error.to_string()).led_by(error);
    match error {
        SigningError::Certificate { source, .. } => match &**source {
            CertificateError::Refused { .. } => failure.hint(
                "the CA decides which issuers and audiences it accepts, and tokens live for minutes",
            ),
            _ => failure,
        },
        SigningError::TokenExpired { .. } => failure.hint("waxseal identity token"),
        SigningError::CertificateRefused { source, .. } if source.code() == "sct-missing" => {
            failure.hint("--allow-no-sct, if its CA has no CT log")
        }
        SigningError::LogRefused { status: 405, .. } => failure.hint(
            "its instance has begun another log: get its trusted root and signing config of today",
        ),
        _ => failure,
    }
}

fn class_and_code(error: &SigningError) -> (Class, &'static str) {
    match error {
        SigningError::Endpoints(_) | SigningError::NoCertificateAuthority => {
            (Class::TrustRoot, "signing-config-unusable")
        }
        SigningError::BadUrl { .. } => (Class::TrustRoot, "signing-config-malformed"),
        SigningError::Payload(_) => (Class::Malformed, "payload-unsupported"),
        SigningError::KeyWithoutName => (Class::Malformed, "key-unsupported"),
        SigningError::TokenExpired { .. } => (Class::Identity, "token-expired"),
        SigningError::Certificate { source, .. } => match &**source {
            CertificateError::Refused { .. } => (Class::Identity, "certificate-refused"),
            CertificateError::Failed { .. } => (Class::Unavailable, "certificate-authority-failed"),
            _ => (Class::Cryptographic, "certificate-mismatch"),
        },
        SigningError::CertificateAuthority { .. } => {
            (Class::Unavailable, "certificate-authority-unavailable")
        }
        SigningError::CertificateRefused { source, .. }
        | SigningError::TimestampRefused { source, .. }
        | SigningError::Refused(source) => (class_of(source), source.code()),
        SigningError::Timestamp { .. } => (Class::Unavailable, "timestamp-authority-unavailable"),
        SigningError::TimestampRejected { .. } => (Class::Unavailable, "timestamp-rejected"),
        SigningError::TimestampMalformed { .. } => {
            (Class::Cryptographic, "timestamp-answer-malformed")
        }
        SigningError::TimestampOfAnotherRequest { .. } => {
            (Class::Cryptographic, "timestamp-mismatch")
        }
        SigningError::Log { .. } => (Class::Unavailable, "log-unavailable"),
        SigningError::LogRecovery { source, .. } => recovery_class_and_code(source),
        SigningError::LogRefused { status, .. } if *status >= 500 || *status == 429 => {
            (Class::Unavailable, "log-unavailable")
        }
        SigningError::LogRefused { .. } => (Class::Malformed, "log-refused"),
        SigningError::LogMalformed { .. } | SigningError::LogConflictWithoutIndex { .. } => {
            (Class::Cryptographic, "log-malformed")
        }
        SigningError::LogAnsweredAnotherEntry { .. } => (Class::Cryptographic, "log-mismatch"),
        _ => (Class::Internal, "signing-failed"),
    }
}

/// An entry that is there already: its log is away, or behind, or does not hold what it says.
fn recovery_class_and_code(error: &RecoveryError) -> (Class, &'static str) {
    match error {
        RecoveryError::Transport(_) | RecoveryError::NotPublished { .. } => {
            (Class::Unavailable, "log-unavailable")
        }
        RecoveryError::OtherEntry { .. } => (Class::Cryptographic, "log-mismatch"),
        RecoveryError::UnknownLog => (Class::TrustRoot, "log-untrusted"),
        RecoveryError::Random => (Class::Internal, "signing-failed"),
        _ => (Class::Cryptographic, "log-malformed"),
    }
}

//! What clients are told: codes, messages and statuses of Fulcio, byte for byte, and reasons that
//! tell a cause where that gives nothing away (authority.md §1.2).

use std::error::Error;
use std::time::Duration;

use waxseal_crypto::KeyKind;
use waxseal_formats::FieldError;
use waxseal_identity::{IdentityError, TokenError};
use waxseal_issuing::IssueError;
use waxseal_pki::CsrError;
use waxseal_serve::{Code, Problem};

use crate::authority::AuthorityError;
use crate::possession::KeyRefusal;
use crate::service::IssuanceError;

const TOKEN: &str = "There was an error processing the identity token";
const CSR: &str = "The certificate signing request could not be parsed";
const KEY: &str = "The public key supplied in the request could not be parsed";
const WEAK: &str = "The public key supplied in the request is insecure";
const SIGNATURE: &str = "The signature supplied in the request could not be verified";
const CT_LOG: &str = "Error entering certificate in CTL";
const AUTHORITY: &str = "error communicating with CA backend";
const NAME: &str = "the identity cannot be written into a certificate";

/// How long a client waits that came at a bad moment.
const COME_BACK: Duration = Duration::from_secs(1);

/// Logs the cause, and makes the answer.
pub(crate) fn problem(error: &IssuanceError) -> Problem {
    if error.is_fault() {
        tracing::error!(cause = causes(error), "no certificate");
    } else {
        tracing::warn!(cause = causes(error), "no certificate");
    }
    let refusal = |reason, message| Problem::refusal(Code::InvalidArgument, reason, message);
    match error {
        IssuanceError::Malformed(FieldError::Missing { field: "publicKey" }) => {
            refusal("KEY_MISSING", KEY)
        }
        // The text names fields and offsets, never contents.
        IssuanceError::Malformed(error) => Problem::refusal(
            Code::InvalidArgument,
            "MALFORMED_REQUEST",
            error.to_string(),
        ),
        IssuanceError::NoToken => refusal("TOKEN_MISSING", TOKEN),
        IssuanceError::Token(TokenError::IssuerUnavailable(_)) => {
            Problem::refusal(Code::Unavailable, "ISSUER_UNAVAILABLE", TOKEN)
                .with_retry_after(COME_BACK)
        }
        IssuanceError::Token(error) => refusal(token_reason(error), TOKEN),
        IssuanceError::TooOften { retry_after } => {
            let message = "this identity asks for certificates too often";
            Problem::refusal(Code::ResourceExhausted, "IDENTITY_RATE", message)
                .with_retry_after(*retry_after)
        }
        IssuanceError::Overloaded => {
            let message = "too many requests are under way";
            Problem::refusal(Code::Unavailable, "OVERLOADED", message).with_retry_after(COME_BACK)
        }
        IssuanceError::Key(refused) => key_problem(refused),
        IssuanceError::CtLog(_) => Problem::refusal(Code::Internal, "CT_LOG", CT_LOG),
        IssuanceError::Authority(AuthorityError::Issue(IssueError::Name)) => {
            refusal("IDENTITY_NOT_ENCODABLE", NAME)
        }
        IssuanceError::Authority(AuthorityError::Issue(
            IssueError::AuthorityExpires { .. } | IssueError::AuthorityNotYetValid { .. },
        )) => Problem::refusal(Code::Internal, "AUTHORITY_EXPIRES", AUTHORITY),
        IssuanceError::Authority(_) => Problem::refusal(Code::Internal, "AUTHORITY", AUTHORITY),
    }
}

/// Causes that whoever holds a signed token knows anyway. Which signature or key failed how, and
/// what a claim looked like, stays in the log.
fn token_reason(error: &TokenError) -> &'static str {
    match error {
        TokenError::UnknownIssuer => "ISSUER_NOT_CONFIGURED",
        TokenError::WrongAudience => "TOKEN_AUDIENCE",
        TokenError::Expired { .. } => "TOKEN_EXPIRED",
        TokenError::NotYetValid { .. } | TokenError::IssuedInFuture { .. } => "TOKEN_NOT_YET_VALID",
        TokenError::Identity(IdentityError::EmailNotVerified) => "EMAIL_NOT_VERIFIED",
        _ => "TOKEN_REFUSED",
    }
}

fn key_problem(refused: &KeyRefusal) -> Problem {
    let refusal = |reason, message| Problem::refusal(Code::InvalidArgument, reason, message);
    match refused {
        KeyRefusal::NoKey => refusal("KEY_MISSING", KEY),
        KeyRefusal::Pem(_) | KeyRefusal::NotPublicKey | KeyRefusal::Key(_) => {
            refusal("KEY_MALFORMED", KEY)
        }
        KeyRefusal::Csr(CsrError::TooLarge { .. }) => refusal("CSR_TOO_LARGE", CSR),
        KeyRefusal::Csr(_) => refusal("CSR_MALFORMED", CSR),
        KeyRefusal::Weak(_) => refusal("KEY_INSECURE", WEAK),
        KeyRefusal::Possession => refusal("PROOF_OF_POSSESSION", SIGNATURE),
        KeyRefusal::Algorithm { kind } => {
            let kind = kind.map_or("certificate request", name_of);
            let message = format!("signing algorithm not permitted: {kind}, unregistered hash");
            Problem::refusal(Code::InvalidArgument, "ALGORITHM_NOT_PERMITTED", message)
        }
    }
}

const fn name_of(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => "ECDSA",
        KeyKind::Ed25519 => "Ed25519",
        KeyKind::Rsa => "RSA",
        _ => "unknown",
    }
}

/// The longest cause that is logged, in characters: foreign texts may be among its parts.
const MAX_CAUSE: usize = 500;

/// An error and its causes on one line; control characters are escaped, for texts of others may
/// be among them and none of them may forge a line of the log.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    let escaped = |c: char| {
        let escape = c.is_control().then(|| c.escape_default());
        let plain = (!c.is_control()).then_some(c);
        escape.into_iter().flatten().chain(plain)
    };
    line.chars().take(MAX_CAUSE).flat_map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Foreign {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    #[test]
    fn s_55_causes_are_one_line() {
        let check = |text, inner: Option<&'static str>, expected: &str| {
            let source = inner.map(|text| Box::new(Foreign { text, source: None }));
            assert_eq!(causes(&Foreign { text, source }), expected);
        };
        check("a", None, "a");
        check("a", Some("b"), "a: b");
        check(
            "a\r\nissued",
            Some("\u{1b}[31m\0"),
            "a\\r\\nissued: \\u{1b}[31m\\u{0}",
        );
        check("ü", None, "ü");
    }
}

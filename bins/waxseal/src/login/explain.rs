//! From a failure to get a token to what is said about it.

use waxseal_identity::{AmbientError, DiscoveryError, LoginError};
use waxseal_transport::TransportError;

use crate::outcome::{Class, Failure};

/// A CI service or machine that gives no token.
pub(super) fn ambient_refusal(error: &AmbientError) -> Failure {
    let (class, code) = match error {
        AmbientError::NoProvider { .. } => (Class::Identity, "no-identity"),
        AmbientError::GithubForkPullRequest => (Class::Identity, "fork-pull-request"),
        AmbientError::GithubMissingPermission => (Class::Identity, "id-token-permission"),
        AmbientError::GitlabMissingToken { .. } => (Class::Identity, "id-tokens-missing"),
        AmbientError::WrongAudience { .. } => (Class::Identity, "audience-mismatch"),
        AmbientError::BadToken { .. } => (Class::Identity, "token-malformed"),
        AmbientError::File { .. } => (Class::Identity, "token-unreadable"),
        AmbientError::Transport { .. } => (Class::Unavailable, "ambient-unavailable"),
        _ => (Class::Identity, "ambient-failed"),
    };
    let failure = Failure::new(class, code, error.to_string()).led_by(error);
    match error {
        AmbientError::WrongAudience {
            found, expected, ..
        } => failure
            .expected(expected, found.join(", "))
            .hint("a token for the public instance is never sent to another: it would open it"),
        AmbientError::SpiffeNoIdentity => {
            failure.hint("register the workload with the SPIFFE server, or --no-ambient to log in")
        }
        AmbientError::GithubForkPullRequest | AmbientError::NoProvider { .. } => failure,
        _ => failure.hint("--no-ambient logs in instead, where somebody can"),
    }
}

/// A log-in that came to nothing.
pub(super) fn login_refusal(error: &LoginError) -> Failure {
    let (class, code) = class_and_code(error);
    let failure = Failure::new(class, code, error.to_string()).led_by(error);
    match error {
        LoginError::TimedOut | LoginError::DeviceCodeExpired => failure.hint("try it again"),
        LoginError::NoDeviceEndpoint => failure.hint("--no-browser takes a code that you copy"),
        LoginError::Listen(_) => failure.hint("--device needs no socket"),
        LoginError::NoCode => failure.hint("copy the whole code that the page shows"),
        _ => failure,
    }
}

fn class_and_code(error: &LoginError) -> (Class, &'static str) {
    match error {
        LoginError::TimedOut => (Class::Identity, "login-timed-out"),
        LoginError::Denied { .. } => (Class::Identity, "login-denied"),
        LoginError::DeviceCodeExpired => (Class::Identity, "login-expired"),
        LoginError::NoDeviceEndpoint => (Class::Identity, "device-unsupported"),
        LoginError::Transport(source)
        | LoginError::Discovery(DiscoveryError::Transport(source)) => {
            match source {
                // It answered, and what it said is not what the protocol says.
                TransportError::UnexpectedStatus { found, .. } if *found < 500 => {
                    (Class::Identity, "login-failed")
                }
                _ => (Class::Unavailable, "issuer-unavailable"),
            }
        }
        _ => (Class::Identity, "login-failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_line_of_its_own() {
        let check = |error: &AmbientError, expected: &str| {
            let failure = ambient_refusal(error);
            assert_eq!(failure.code, expected);
            assert!(!failure.message.contains('\n'), "{}", failure.message);
        };
        check(&AmbientError::GithubForkPullRequest, "fork-pull-request");
        check(
            &AmbientError::GithubMissingPermission,
            "id-token-permission",
        );
        let audience = "https://ca.example".to_owned();
        check(
            &AmbientError::GitlabMissingToken { audience },
            "id-tokens-missing",
        );
        check(&AmbientError::SpiffeNoIdentity, "ambient-failed");
        let check = |error: &LoginError, class: Class, expected: &str| {
            let failure = login_refusal(error);
            assert_eq!((failure.class, failure.code), (class, expected));
        };
        check(&LoginError::TimedOut, Class::Identity, "login-timed-out");
        let description = String::new();
        let denied = LoginError::Denied { description };
        check(&denied, Class::Identity, "login-denied");
        check(&LoginError::NoPkce, Class::Identity, "login-failed");
        let away = || TransportError::Deadline {
            after: std::time::Duration::from_secs(1),
        };
        let unavailable = (Class::Unavailable, "issuer-unavailable");
        check(&LoginError::Transport(away()), unavailable.0, unavailable.1);
        let discovery = LoginError::Discovery(DiscoveryError::Transport(away()));
        check(&discovery, unavailable.0, unavailable.1);
    }
}

//! Why a log-in at a provider fails.

use waxseal_identity::{ClaimError, DiscoveryError, TokenError};
use waxseal_transport::TransportError;

/// Why a provider's answer names nobody. Each has a page that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// The discovery document.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// A discovery document without an endpoint that a log-in needs.
    #[error("the provider's discovery document has no usable {0:?}")]
    NoEndpoint(&'static str),
    /// It failed a moment ago, and is not asked again yet.
    #[error("the provider could not be reached a moment ago")]
    TriedRecently,
    #[error("the provider could not be reached")]
    Unreachable(#[source] TransportError),
    #[error("the provider took too long")]
    TimedOut,
    /// Too many log-ins wait for this provider.
    #[error("too many log-ins wait for the provider")]
    Busy,
    /// Neither success nor an error of RFC 6749. The body stays unread: it may repeat a secret.
    #[error("the provider answered with status {0}")]
    Status(u16),
    #[error("the provider's {0} is malformed")]
    Malformed(&'static str),
    /// RFC 6749 §4.1.2.1 `access_denied`: the person's own wish, most of the time.
    #[error("access_denied")]
    Denied,
    /// Any other error that the redirect brings.
    #[error("the provider refused to log anybody in: {0}")]
    Refused(String),
    /// RFC 6749 §5.2: the token endpoint.
    #[error("the provider refused our code or our secret: {0}")]
    Exchange(String),
    /// RFC 9207 §2.4.
    #[error("the answer comes from another issuer")]
    WrongIssuer,
    #[error("the answer has no code")]
    NoCode,
    #[error("the provider gave no ID token")]
    NoIdToken,
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// OpenID Connect Core §3.1.3.7 (11).
    #[error("the ID token belongs to another log-in (nonce differs)")]
    WrongNonce,
    /// OpenID Connect Core §3.1.3.6.
    #[error("the ID token belongs to another access token (at_hash differs)")]
    WrongAccessTokenHash,
    /// OpenID Connect Core §5.3.2.
    #[error("the userinfo answer is about somebody else (sub differs)")]
    OtherAccount,
    /// The account has no name that could be kept.
    #[error("the provider gave no usable account id")]
    NoUserId,
    #[error("the account is not of a hosted domain that may log in")]
    WrongHostedDomain,
    #[error("the account is not of a tenant that may log in")]
    WrongTenant,
    #[error("the person, or the app's registration, does not grant {0:?}")]
    MissingScope(&'static str),
    #[error("the provider gave no e-mail address")]
    NoEmail,
    #[error("the provider does not vouch for the e-mail address")]
    EmailNotVerified,
    #[error("the e-mail address is not one that a certificate may carry")]
    BadEmail,
    /// Of a domain that may not log in by this connector.
    #[error("addresses of this domain may not log in here")]
    NotAdmitted,
    /// An operator has said so.
    #[error("this account, or its address, is banned")]
    Banned,
}

impl UpstreamError {
    /// Whether the operator has something to look at, other than whom the person is.
    pub(crate) const fn is_fault(&self) -> bool {
        !matches!(
            self,
            Self::Denied
                | Self::WrongHostedDomain
                | Self::WrongTenant
                | Self::NoEmail
                | Self::EmailNotVerified
                | Self::BadEmail
                | Self::NotAdmitted
                | Self::Banned
        )
    }
}

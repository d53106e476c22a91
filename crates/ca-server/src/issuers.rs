//! Whose tokens are accepted: audiences, and how `/api/v2/configuration` shows an issuer.

use waxseal_formats::ca::{IssuerUrl, OidcIssuer};
use waxseal_identity::{IssuerConfig, IssuerKind, PUBLIC_AUDIENCE};

/// Gives an issuer without audiences the two that we accept: `sigstore`, which foreign clients ask
/// for, and our own URL, whose tokens are of no use anywhere else.
pub(crate) fn with_audiences(mut issuer: IssuerConfig, url: &str) -> IssuerConfig {
    if issuer.audiences.is_empty() {
        issuer.audiences.push(PUBLIC_AUDIENCE.to_owned());
        if url != PUBLIC_AUDIENCE && !url.is_empty() {
            issuer.audiences.push(url.to_owned());
        }
    }
    issuer
}

/// An issuer as clients are shown it. The message has room for one audience: the one that every
/// client knows, where it is accepted.
pub(crate) fn message(issuer: &IssuerConfig) -> OidcIssuer {
    let public = issuer.audiences.iter().find(|a| *a == PUBLIC_AUDIENCE);
    let audience = public.or(issuer.audiences.first());
    let (kind, challenge, domain) = match &issuer.kind {
        IssuerKind::Email => ("email", "email", String::new()),
        IssuerKind::Uri { subject_domain } => {
            let domain = subject_domain.as_str().trim_end_matches('/').to_owned();
            ("uri", "sub", domain)
        }
        _ => ("ci-provider", "sub", String::new()),
    };
    OidcIssuer {
        issuer: IssuerUrl::Exact(issuer.issuer.clone()),
        audience: audience.cloned().unwrap_or_default(),
        challenge_claim: challenge.to_owned(),
        spiffe_trust_domain: String::new(),
        issuer_type: kind.to_owned(),
        subject_domain: domain,
        skip_email_verification: issuer.skip_email_verification,
    }
}

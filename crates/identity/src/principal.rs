//! Who a verified token speaks for, and the name that a certificate gives them.

use url::Url;
use waxseal_crypto::Time;
use waxseal_formats::claims::ClaimName;

use crate::claims::{Claims, MAX_CLAIM};
use crate::{ClaimError, EmailAddress, EmailError, IssuerConfig, IssuerKind, TemplateError};

/// The holder of a verified token. Only [`crate::TokenVerifier::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    issuer: String,
    token_issuer: String,
    subject: String,
    email: Option<EmailAddress>,
    identity: Identity,
    claims: Vec<(ClaimName, String)>,
    expires: Time,
}

/// The one name that goes into a certificate's subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Identity {
    /// rfc822Name.
    Email(EmailAddress),
    /// uniformResourceIdentifier.
    Uri(String),
}

impl Identity {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Email(address) => address.as_str(),
            Self::Uri(uri) => uri,
        }
    }
}

/// Why a verified token gives no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A claim is missing or malformed.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// `email_verified` is not true (authority.md §1.6).
    #[error("the token's e-mail address is not verified")]
    EmailNotVerified,
    /// The address is not one that a certificate may carry.
    #[error("the token's e-mail address is {0}")]
    BadEmail(#[from] EmailError),
    /// The name would not be a URL that every reader reads alike (R-CA-09).
    #[error("the token's identity is not a URL in its normal form of at most {MAX_CLAIM} bytes")]
    BadUri,
    /// The URL's scheme or host is not that of the issuer's subject domain.
    #[error("the token's subject is not under the issuer's subject domain")]
    OutsideSubjectDomain,
    /// A claim that a template needs is missing or malformed.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

impl Principal {
    /// The issuer as a certificate names it: `iss`, or the value of the configured claim.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The issuer that signed the token.
    pub fn token_issuer(&self) -> &str {
        &self.token_issuer
    }

    /// `sub`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The e-mail address, if the token has one and vouches for it.
    pub fn email(&self) -> Option<&EmailAddress> {
        self.email.as_ref()
    }

    /// The certificate's name.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The certificate's claims, empty ones left out, in the order of their numbers.
    pub fn claims(&self) -> &[(ClaimName, String)] {
        &self.claims
    }

    /// When the token expires.
    pub fn expires(&self) -> Time {
        self.expires
    }

    /// The strings of which a proof of possession may sign one (R-CA-07): clients sign the
    /// verified address if there is one, else the subject, and never ask which is wanted. Both
    /// come from the same verified token.
    pub fn challenges(&self) -> impl Iterator<Item = &str> {
        let email = self.email.as_ref().map(EmailAddress::as_str);
        email.into_iter().chain([self.subject.as_str()])
    }
}

/// Applies the rules of the issuer's kind to verified claims.
pub(crate) fn principal_of(
    config: &IssuerConfig,
    claims: &Claims,
    expires: Time,
) -> Result<Principal, IdentityError> {
    let subject = claims.text(&["sub"])?.to_owned();
    let verified = claims.email_verified();
    let (identity, email, extensions) = match &config.kind {
        IssuerKind::Email => {
            let address = claims.text(&["email"])?;
            if !verified && !config.skip_email_verification {
                return Err(IdentityError::EmailNotVerified);
            }
            let address = EmailAddress::parse(address)?;
            (Identity::Email(address.clone()), Some(address), Vec::new())
        }
        IssuerKind::Uri { subject_domain } => {
            let uri = uri_identity(&subject)?;
            check_subject_domain(&uri, subject_domain)?;
            (
                Identity::Uri(subject.clone()),
                vouched(claims, verified),
                Vec::new(),
            )
        }
        IssuerKind::Ci(provider) => {
            let (name, mut extensions) = provider.render(claims)?;
            uri_identity(&name)?;
            extensions.push((ClaimName::TokenSubject, subject.clone()));
            (Identity::Uri(name), vouched(claims, verified), extensions)
        }
    };
    let issuer = match &config.issuer_claim {
        Some(path) => claims.text(path.names())?.to_owned(),
        None => config.issuer.clone(),
    };
    Ok(Principal {
        issuer,
        token_issuer: config.issuer.clone(),
        subject,
        email,
        identity,
        claims: extensions,
        expires,
    })
}

/// The address of a token whose identity is something else: for the proof of possession only.
fn vouched(claims: &Claims, verified: bool) -> Option<EmailAddress> {
    let address = claims.text(&["email"]).ok().filter(|_| verified)?;
    EmailAddress::parse(address).ok()
}

/// Parses a URL that stands in a certificate byte for byte as every parser would print it.
fn uri_identity(text: &str) -> Result<Url, IdentityError> {
    let plain = text.len() <= MAX_CLAIM && text.bytes().all(|c| c.is_ascii_graphic());
    let url = Url::parse(text).map_err(|_| IdentityError::BadUri)?;
    let same = url.as_str() == text || url.as_str().strip_suffix('/') == Some(text);
    let named = url.has_host() && url.username().is_empty() && url.password().is_none();
    if plain && same && named {
        Ok(url)
    } else {
        Err(IdentityError::BadUri)
    }
}

fn check_subject_domain(uri: &Url, domain: &Url) -> Result<(), IdentityError> {
    if uri.scheme() == domain.scheme() && uri.host() == domain.host() {
        Ok(())
    } else {
        Err(IdentityError::OutsideSubjectDomain)
    }
}

#[cfg(test)]
mod tests;

//! The answer: a chain whose leaf is about our key and our identity.

use waxseal_crypto::Pem;
use waxseal_formats::FieldError;
use waxseal_formats::ca::SigningCertificate;
use waxseal_formats::status::Status;
use waxseal_identity::IdentityToken;
use waxseal_pki::{Certificate, CertificateError as ParseError, SubjectAltName};
use waxseal_transport::{Excerpt, Response};

use crate::CertificateRequest;

/// The longest answer that is read, in bytes: a chain of ten certificates is a tenth of it.
pub const MAX_ANSWER: usize = 256 * 1024;

/// A leaf certificate for a key of ours, as an authority issued it.
#[derive(Debug, Clone)]
pub struct LeafCertificate {
    certificate: Certificate,
    chain: Vec<Vec<u8>>,
    detached_sct: bool,
}

/// Why an authority's answer is not a certificate for the request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The authority refused (4xx): its message says why.
    #[error("the certificate authority refused: {message} (status {status})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: Excerpt,
        /// A machine-readable reason, where it gave one.
        reason: Option<String>,
    },
    /// The authority failed (any other status): a later attempt may succeed.
    #[error("the certificate authority failed: {message} (status {status})")]
    Failed {
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: Excerpt,
    },
    /// The answer is not the JSON of a certificate chain.
    #[error("the certificate authority's answer is malformed")]
    Malformed(#[from] FieldError),
    /// A certificate of the chain is not one PEM block `CERTIFICATE`.
    #[error("certificate {index} of the chain is not a PEM certificate")]
    NotPem {
        /// Which, from the leaf at 0.
        index: usize,
    },
    /// The chain has no leaf.
    #[error("the certificate authority's answer holds no certificate")]
    Empty,
    /// The leaf is not a certificate.
    #[error("the certificate authority's answer holds a malformed certificate")]
    BadLeaf(#[from] ParseError),
    /// The leaf holds another key than the one that was asked for.
    #[error("the certificate is for another key than ours")]
    OtherKey,
    /// The leaf names somebody else (client spec §2.1.3, step 3).
    #[error("the certificate is for {found}, and the identity token is for {expected}")]
    OtherIdentity {
        /// Whom the token speaks for.
        expected: String,
        /// Whom the certificate names.
        found: Excerpt,
    },
    /// The leaf names another issuer than the token's (extension 1.3.6.1.4.1.57264.1.8).
    #[error("the certificate's issuer is {found}, and the identity token is from {expected}")]
    OtherIssuer {
        /// Who made the token.
        expected: String,
        /// Who made it, according to the certificate.
        found: Excerpt,
    },
}

impl LeafCertificate {
    /// Reads an answer and checks it against the request.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn parse(
        request: &CertificateRequest,
        answer: &Response,
    ) -> Result<Self, CertificateError> {
        if answer.status != 200 && answer.status != 201 {
            return Err(refusal(answer));
        }
        let answer = SigningCertificate::from_json(&answer.body)?;
        let chain = answer
            .chain()
            .iter()
            .enumerate()
            .map(|(index, pem)| {
                Pem::parse_labelled(pem, "CERTIFICATE")
                    .map_err(|_| CertificateError::NotPem { index })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let leaf = chain.first().ok_or(CertificateError::Empty)?;
        let certificate = Certificate::parse(leaf.as_slice())?;
        if certificate.public_key().ok() != Some(&request.key) {
            return Err(CertificateError::OtherKey);
        }
        check_identity(&certificate, &request.token)?;
        check_issuer(&certificate, &request.token)?;
        let detached_sct = matches!(answer, SigningCertificate::DetachedSct { .. });
        Ok(Self {
            certificate,
            chain,
            detached_sct,
        })
    }

    /// The leaf.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The whole chain as it came, DER, leaf first. Only the leaf belongs in a bundle.
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// Whether the authority sent its SCT beside the certificate, or none: such a certificate has
    /// no SCT inside, and verifiers refuse it unless told otherwise.
    pub fn has_detached_sct(&self) -> bool {
        self.detached_sct
    }
}

fn refusal(answer: &Response) -> CertificateError {
    let status = Status::from_json(&answer.body).ok();
    let message = match &status {
        Some(status) => Excerpt::of(status.message.as_bytes()),
        None => answer.excerpt(),
    };
    if (400..500).contains(&answer.status) {
        let reason = status
            .and_then(|status| status.info)
            .map(|info| info.reason);
        CertificateError::Refused {
            status: answer.status,
            message,
            reason,
        }
    } else {
        CertificateError::Failed {
            status: answer.status,
            message,
        }
    }
}

/// An e-mail certificate names exactly the token's vouched address. What a CI certificate names is
/// derived from claims by the authority's own rules; there, the raw subject is compared instead,
/// where the certificate carries it.
fn check_identity(leaf: &Certificate, token: &IdentityToken) -> Result<(), CertificateError> {
    let other = |expected: &str, found: &str| {
        Err(CertificateError::OtherIdentity {
            expected: expected.to_owned(),
            found: Excerpt::of(found.as_bytes()),
        })
    };
    let expected = token.challenge();
    match leaf.subject_alt_names() {
        [SubjectAltName::Email(found)] if token.email() == Some(found) => Ok(()),
        [SubjectAltName::Email(found)] => other(expected, found),
        [_] => match leaf.sigstore_extension(TOKEN_SUBJECT) {
            Some(found) if found != token.subject() => other(token.subject(), found),
            _ => Ok(()),
        },
        [] => other(expected, "nobody"),
        _ => other(expected, "several names"),
    }
}

/// The certificate's issuer is that of the token, or the connector that the token's issuer, a
/// broker, says the log-in came through.
fn check_issuer(leaf: &Certificate, token: &IdentityToken) -> Result<(), CertificateError> {
    let found = leaf.sigstore_extension(ISSUER).unwrap_or_default();
    if found == token.issuer()
        || (token
            .connector()
            .is_some_and(|connector| found == connector))
    {
        return Ok(());
    }
    Err(CertificateError::OtherIssuer {
        expected: token
            .connector()
            .unwrap_or_else(|| token.issuer())
            .to_owned(),
        found: Excerpt::of(found.as_bytes()),
    })
}

/// Extension 1.3.6.1.4.1.57264.1.8, the issuer.
const ISSUER: u8 = 8;
/// Extension 1.3.6.1.4.1.57264.1.24, the token's raw subject.
const TOKEN_SUBJECT: u8 = 24;

//! What certificates are for, and why a path of them was refused (RFC 5280 §6.1).

use der::asn1::ObjectIdentifier;
use waxseal_crypto::Time;

use crate::profile::Rule;
use crate::{Certificate, CertificateError};

/// What a leaf is for (RFC 5280 §4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// `id-kp-codeSigning`.
    CodeSigning,
    /// `id-kp-timeStamping`.
    TimeStamping,
    /// `id-kp-serverAuth`; as in TLS, extKeyUsage may be absent.
    ServerAuth,
    /// `id-kp-clientAuth`; as in TLS, extKeyUsage may be absent.
    ClientAuth,
}

const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];
const TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];

impl Purpose {
    /// Its object identifier.
    pub const fn oid(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::CodeSigning => "1.3.6.1.5.5.7.3.3",
            Self::TimeStamping => "1.3.6.1.5.5.7.3.8",
            Self::ServerAuth => "1.3.6.1.5.5.7.3.1",
            Self::ClientAuth => "1.3.6.1.5.5.7.3.2",
        })
    }

    /// Whether an authority may stand above leaves of this purpose. extKeyUsage on authorities
    /// narrows what is below them; anyExtendedKeyUsage is not taken for a yes.
    pub(crate) fn is_allowed_above(self, authority: &Certificate) -> bool {
        authority
            .extended_key_usage()
            .is_none_or(|eku| eku.purposes.contains(&self.oid()))
    }

    /// webpki's rule for the leaf alone.
    pub(crate) const fn required(self) -> webpki::KeyUsage {
        match self {
            Self::CodeSigning => webpki::KeyUsage::required(CODE_SIGNING),
            Self::TimeStamping => webpki::KeyUsage::required(TIME_STAMPING),
            Self::ServerAuth => webpki::KeyUsage::server_auth(),
            Self::ClientAuth => webpki::KeyUsage::client_auth(),
        }
    }

    /// webpki's rule for a whole path, where authorities may leave extKeyUsage out.
    pub(crate) const fn required_if_present(self) -> webpki::KeyUsage {
        match self {
            Self::CodeSigning => webpki::KeyUsage::required_if_present(CODE_SIGNING),
            Self::TimeStamping => webpki::KeyUsage::required_if_present(TIME_STAMPING),
            Self::ServerAuth => webpki::KeyUsage::server_auth(),
            Self::ClientAuth => webpki::KeyUsage::client_auth(),
        }
    }
}

/// Why a path was refused. `depth` counts from 0, the leaf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// No trusted authority has the leaf's issuer as its subject.
    #[error("the certificate was not issued by a trusted authority")]
    UnknownIssuer,
    /// A certificate of the path begins after the time in question.
    #[error("certificate {depth} of the path is valid from {not_before}, and the time is {time}")]
    NotYetValid {
        /// Which one.
        depth: usize,
        /// Its first second.
        not_before: Time,
        /// The time in question.
        time: Time,
    },
    /// A certificate of the path ended before the time in question.
    #[error("certificate {depth} of the path was valid until {not_after}, and the time is {time}")]
    Expired {
        /// Which one.
        depth: usize,
        /// Its last second.
        not_after: Time,
        /// The time in question.
        time: Time,
    },
    /// The time in question is before 1970: webpki counts from there.
    #[error("the time in question is before 1970")]
    BeforeEpoch,
    /// The leaf is a precertificate (RFC 6962 §3.1).
    #[error("the certificate is a precertificate")]
    Precertificate,
    /// The leaf is a certificate authority (RFC 5280 §4.2.1.9).
    #[error("the certificate is that of a certificate authority")]
    CaUsedAsLeaf,
    /// A critical extension that we do not know (RFC 5280 §4.2).
    #[error("the certificate has the unknown critical extension {oid}")]
    UnknownCriticalExtension {
        /// Which one.
        oid: ObjectIdentifier,
    },
    /// keyUsage is there and lacks digitalSignature (RFC 5280 §4.2.1.3).
    #[error("the certificate's key may not make digital signatures")]
    KeyUsage,
    /// extKeyUsage lacks the purpose (RFC 5280 §4.2.1.12).
    #[error("the certificate is not for this purpose")]
    ExtendedKeyUsage,
    /// A name constraint of an authority forbids a name of the leaf (RFC 5280 §4.2.1.10), or is of
    /// a kind that cannot be checked: e-mail, URI, otherName and directory constraints refuse every
    /// certificate with such a name.
    #[error("a name constraint of the issuing authority does not allow the certificate's name")]
    NameConstraint,
    /// The signature is not by the issuer's key.
    #[error("the certificate's signature does not verify")]
    Signature,
    /// The signature is by an algorithm that the provider or the key does not have.
    #[error("the certificate's signature algorithm is not supported, or not by its issuer's key")]
    UnsupportedAlgorithm,
    /// A certificate of the path does not parse.
    #[error(transparent)]
    Certificate(CertificateError),
    /// A certificate of a path that was looked for breaks a rule of its profile.
    #[error("certificate {depth} of the path breaks the rule about {rule:?}")]
    Profile {
        /// Which one.
        depth: usize,
        /// The rule.
        rule: Rule,
    },
    /// The certificate is valid, and not that of the host in question.
    #[error("the certificate is not that of this host")]
    WrongHost,
    /// Looking for a path took more work than any honest one takes (K-07).
    #[error("the search for a path was given up: too many signatures, constraints or candidates")]
    BudgetExceeded,
    /// Not valid for another reason that rustls-webpki gives.
    #[error("the certificate was refused: {0}")]
    Refused(webpki::Error),
}

impl PathError {
    pub(crate) fn from_webpki(error: webpki::Error) -> Self {
        use webpki::Error;
        match error {
            Error::UnknownIssuer => Self::UnknownIssuer,
            Error::CaUsedAsEndEntity => Self::CaUsedAsLeaf,
            Error::RequiredEkuNotFoundContext(_) => Self::ExtendedKeyUsage,
            Error::NameConstraintViolation => Self::NameConstraint,
            Error::InvalidSignatureForPublicKey => Self::Signature,
            Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                Self::UnsupportedAlgorithm
            }
            Error::MaximumSignatureChecksExceeded
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumPathDepthExceeded
            | Error::MaximumNameConstraintComparisonsExceeded => Self::BudgetExceeded,
            other => Self::Refused(other),
        }
    }
}

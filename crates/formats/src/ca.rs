//! The messages of the certificate authority's API, version 2
//! (`dev.sigstore.fulcio.v2`, in sigstore/fulcio `fulcio.proto`).

use std::fmt;

use zeroize::Zeroizing;

use crate::json::{Limits, Writer, object, parse};
use crate::protojson::{EnumValue, FieldError, Message};

/// The longest request that is read: an identity token has at most 16 KiB, an RSA-4096 CSR 3 KiB.
pub const MAX_SIGNING_CERTIFICATE_REQUEST_BYTES: usize = 64 << 10;
/// The longest answer that is read.
pub const MAX_CA_ANSWER_BYTES: usize = 1 << 20;

const REQUEST_LIMITS: Limits = Limits {
    bytes: MAX_SIGNING_CERTIFICATE_REQUEST_BYTES,
    values: 1000,
};
const ANSWER_LIMITS: Limits = Limits {
    bytes: MAX_CA_ANSWER_BYTES,
    values: 10_000,
};
/// The most chains, certificates in a chain, or issuers in an answer.
const MAX_LIST: usize = 1000;

/// `CreateSigningCertificateRequest`: the body of `POST /api/v2/signingCert`.
///
/// The token comes here or in the `Authorization` header, and the key as a bare key with proof
/// of possession or as a CSR: the three shapes that clients send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningCertificateRequest {
    /// The identity token in the body.
    pub identity_token: Option<Secret>,
    /// The key to certify; `None` if the request has none.
    pub key: Option<RequestedKey>,
}

/// A text that is neither printed nor left in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

/// The key to certify.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestedKey {
    /// A public key and a signature by it over the token's subject.
    PublicKey {
        /// The key's algorithm as the client names it; the key itself tells.
        algorithm: String,
        /// The key, PEM.
        content: String,
        /// The raw signature.
        proof_of_possession: Vec<u8>,
    },
    /// A PKCS#10 request, PEM; its signature is the proof.
    CertificateSigningRequest(Vec<u8>),
}

/// `SigningCertificate`: the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SigningCertificate {
    /// The leaf holds its SCT.
    EmbeddedSct {
        /// PEM, leaf first, root last.
        chain: Vec<String>,
    },
    /// The SCT comes beside the chain.
    DetachedSct {
        /// PEM, leaf first, root last.
        chain: Vec<String>,
        /// The CT log's answer, JSON.
        sct: Vec<u8>,
    },
}

/// `TrustBundle`: the answer of `GET /api/v2/trustBundle`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustBundle {
    /// PEM, one chain per CA, intermediates first, root last.
    pub chains: Vec<Vec<String>>,
}

/// `Configuration`: the answer of `GET /api/v2/configuration`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// The identity providers that the CA accepts.
    pub issuers: Vec<OidcIssuer>,
}

/// An identity provider that the CA accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcIssuer {
    /// Which one.
    pub issuer: IssuerUrl,
    /// The audience that its tokens must have.
    pub audience: String,
    /// The claim whose value a client signs as proof of possession.
    pub challenge_claim: String,
    /// The trust domain, for SPIFFE issuers.
    pub spiffe_trust_domain: String,
    /// The kind of issuer, such as `email`.
    pub issuer_type: String,
    /// The domain of subjects, for URI and user-name issuers.
    pub subject_domain: String,
    /// Whether an e-mail address counts without `email_verified`.
    pub skip_email_verification: bool,
}

/// One issuer, or all of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IssuerUrl {
    /// Exactly that issuer.
    Exact(String),
    /// Every issuer that matches, `*` standing for one part.
    Wildcard(String),
}

impl Secret {
    /// Takes a text into custody.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl SigningCertificateRequest {
    /// Reads a request. Unknown fields are ignored, as Fulcio's gateway does.
    ///
    /// # Errors
    /// [`FieldError`], if it is not a request; [`FieldError::Oneof`] if it has both a key and a
    /// CSR.
    pub fn from_json(text: &[u8]) -> Result<Self, FieldError> {
        let value = parse(text, REQUEST_LIMITS)?;
        let message = Message::of(&value, "request")?;
        let identity_token = match message.message("credentials")? {
            Some(credentials) => Some(credentials.string("oidcIdentityToken")?)
                .filter(|token| !token.is_empty())
                .map(Secret::new),
            None => None,
        };
        let key = match message.oneof(&["publicKeyRequest", "certificateSigningRequest"])? {
            None => None,
            Some(("publicKeyRequest", value)) => {
                let request = Message::of(value, "publicKeyRequest")?;
                let key = request.required("publicKey")?;
                Some(RequestedKey::PublicKey {
                    algorithm: match key.enumeration("algorithm")? {
                        Some(EnumValue::Name(name)) => name.to_owned(),
                        Some(EnumValue::Number(number)) => algorithm(number),
                        None => algorithm(0),
                    },
                    content: key.string("content")?,
                    proof_of_possession: request.bytes("proofOfPossession")?,
                })
            }
            Some(_) => Some(RequestedKey::CertificateSigningRequest(
                message.bytes("certificateSigningRequest")?,
            )),
        };
        Ok(Self {
            identity_token,
            key,
        })
    }

    /// The request as JSON. It holds the token, if the request does.
    pub fn to_json(&self) -> Secret {
        Secret::new(object(|o| {
            if let Some(token) = &self.identity_token {
                o.object("credentials", |o| {
                    o.text("oidcIdentityToken", token.expose());
                });
            }
            match &self.key {
                Some(RequestedKey::PublicKey {
                    algorithm,
                    content,
                    proof_of_possession,
                }) => o.object("publicKeyRequest", |o| {
                    o.object("publicKey", |o| {
                        o.text("algorithm", algorithm);
                        o.text("content", content);
                    });
                    o.bytes("proofOfPossession", proof_of_possession);
                }),
                Some(RequestedKey::CertificateSigningRequest(pem)) => {
                    o.bytes("certificateSigningRequest", pem);
                }
                None => {}
            }
        }))
    }
}

/// `PublicKeyAlgorithm` by number.
fn algorithm(number: i32) -> String {
    match number {
        0 => "PUBLIC_KEY_ALGORITHM_UNSPECIFIED".to_owned(),
        1 => "RSA_PSS".to_owned(),
        2 => "ECDSA".to_owned(),
        3 => "ED25519".to_owned(),
        other => other.to_string(),
    }
}

impl SigningCertificate {
    /// The chain, PEM, leaf first.
    pub fn chain(&self) -> &[String] {
        match self {
            Self::EmbeddedSct { chain } | Self::DetachedSct { chain, .. } => chain,
        }
    }

    /// Reads an answer. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`FieldError`], if it is not an answer.
    pub fn from_json(text: &[u8]) -> Result<Self, FieldError> {
        let value = parse(text, ANSWER_LIMITS)?;
        let message = Message::of(&value, "signing certificate")?;
        let embedded = "signedCertificateEmbeddedSct";
        let (field, value) = message
            .oneof(&[embedded, "signedCertificateDetachedSct"])?
            .ok_or(FieldError::Missing { field: embedded })?;
        let inner = Message::of(value, field)?;
        let chain = certificates(inner.required("chain")?)?;
        Ok(if field == embedded {
            Self::EmbeddedSct { chain }
        } else {
            Self::DetachedSct {
                chain,
                sct: inner.bytes("signedCertificateTimestamp")?,
            }
        })
    }

    /// The answer as JSON.
    pub fn to_json(&self) -> String {
        object(|o| match self {
            Self::EmbeddedSct { chain } => o.object("signedCertificateEmbeddedSct", |o| {
                o.object("chain", |o| write_certificates(o, chain));
            }),
            Self::DetachedSct { chain, sct } => o.object("signedCertificateDetachedSct", |o| {
                o.object("chain", |o| write_certificates(o, chain));
                o.bytes("signedCertificateTimestamp", sct);
            }),
        })
    }
}

impl TrustBundle {
    /// Reads an answer. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`FieldError`], if it is not an answer.
    pub fn from_json(text: &[u8]) -> Result<Self, FieldError> {
        let value = parse(text, ANSWER_LIMITS)?;
        let message = Message::of(&value, "trust bundle")?;
        Ok(Self {
            chains: message.messages("chains", MAX_LIST, certificates)?,
        })
    }

    /// The answer as JSON.
    pub fn to_json(&self) -> String {
        object(|o| {
            o.objects("chains", &self.chains, |o, chain| {
                write_certificates(o, chain)
            });
        })
    }
}

impl Configuration {
    /// Reads an answer. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`FieldError`], if it is not an answer.
    pub fn from_json(text: &[u8]) -> Result<Self, FieldError> {
        let value = parse(text, ANSWER_LIMITS)?;
        let message = Message::of(&value, "configuration")?;
        Ok(Self {
            issuers: message.messages("issuers", MAX_LIST, OidcIssuer::read)?,
        })
    }

    /// The answer as JSON.
    pub fn to_json(&self) -> String {
        object(|o| o.objects("issuers", &self.issuers, |o, issuer| issuer.write(o)))
    }
}

impl OidcIssuer {
    fn read(message: Message<'_, '_>) -> Result<Self, FieldError> {
        let (field, _) = message
            .oneof(&["issuerUrl", "wildcardIssuerUrl"])?
            .ok_or(FieldError::Missing { field: "issuerUrl" })?;
        let url = message.string(field)?;
        Ok(Self {
            issuer: if field == "issuerUrl" {
                IssuerUrl::Exact(url)
            } else {
                IssuerUrl::Wildcard(url)
            },
            audience: message.string("audience")?,
            challenge_claim: message.string("challengeClaim")?,
            spiffe_trust_domain: message.string("spiffeTrustDomain")?,
            issuer_type: message.string("issuerType")?,
            subject_domain: message.string("subjectDomain")?,
            skip_email_verification: message.bool("skipEmailVerification")?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        match &self.issuer {
            IssuerUrl::Exact(url) => writer.text("issuerUrl", url),
            IssuerUrl::Wildcard(pattern) => writer.text("wildcardIssuerUrl", pattern),
        }
        writer.text("audience", &self.audience);
        writer.text("challengeClaim", &self.challenge_claim);
        writer.text("spiffeTrustDomain", &self.spiffe_trust_domain);
        writer.text("issuerType", &self.issuer_type);
        writer.text("subjectDomain", &self.subject_domain);
        writer.bool("skipEmailVerification", self.skip_email_verification);
    }
}

fn certificates(chain: Message<'_, '_>) -> Result<Vec<String>, FieldError> {
    chain.strings("certificates", MAX_LIST)
}

fn write_certificates(writer: &mut Writer, chain: &[String]) {
    writer.texts("certificates", chain.iter().map(String::as_str));
}

#[cfg(test)]
mod tests;

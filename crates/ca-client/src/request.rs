//! The request: a token, a key, and a signature by that key over the token's challenge.

use url::Url;
use waxseal_crypto::{KeyKind, PublicKey, SignError, Signer};
use waxseal_formats::ca::{RequestedKey, SigningCertificateRequest};
use waxseal_identity::IdentityToken;
use waxseal_transport::{Credential, Request};

use crate::certificate::MAX_ANSWER;

/// A request for one certificate, and what its answer has to match.
#[derive(Debug)]
pub struct CertificateRequest {
    pub(crate) url: Url,
    pub(crate) key: PublicKey,
    pub(crate) token: IdentityToken,
    proof_of_possession: Vec<u8>,
}

/// Why a request was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The authority's URL cannot carry a path.
    #[error("the certificate authority's URL {url} cannot carry a path")]
    BadUrl {
        /// The URL.
        url: Url,
    },
    /// The key did not sign the challenge.
    #[error("the key did not sign the proof of possession")]
    ProofOfPossession(#[source] SignError),
}

/// The endpoint of an authority: its base URL, which may have a path of its own, and
/// `api/v2/signingCert`.
///
/// # Errors
/// [`RequestError::BadUrl`].
pub fn signing_cert_url(base: &Url) -> Result<Url, RequestError> {
    let mut url = base.clone();
    match url.path_segments_mut() {
        Ok(mut segments) => {
            segments.pop_if_empty().extend(["api", "v2", "signingCert"]);
        }
        Err(()) => return Err(RequestError::BadUrl { url: base.clone() }),
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

impl CertificateRequest {
    /// Makes a request to the authority at `base`: the key signs the token's challenge, which is
    /// its verified e-mail address, or else its subject.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn new(
        base: &Url,
        token: IdentityToken,
        signer: &dyn Signer,
    ) -> Result<Self, RequestError> {
        let url = signing_cert_url(base)?;
        let challenge = waxseal_crypto::Input::Message(token.challenge().as_bytes());
        let proof = signer
            .sign(challenge)
            .await
            .map_err(RequestError::ProofOfPossession)?;
        Ok(Self {
            url,
            key: signer.public_key().clone(),
            token,
            proof_of_possession: proof,
        })
    }

    /// The request as it travels. The token goes in the `Authorization` field, where it is bound
    /// to the authority's origin, and not in the body.
    pub fn encode(&self) -> Request {
        let body = SigningCertificateRequest {
            identity_token: None,
            key: Some(RequestedKey::PublicKey {
                algorithm: algorithm(self.key.kind()).to_owned(),
                content: self.key.to_pem(),
                proof_of_possession: self.proof_of_possession.clone(),
            }),
        };
        let body = body.to_json().expose().as_bytes().to_vec();
        Request::post(self.url.clone(), "application/json", body)
            .with_header("Accept", "application/json")
            .with_credential(Credential::bearer(&self.url, self.token.expose()))
            .with_max_response(MAX_ANSWER)
    }
}

/// The key's family as the API spells it; authorities ignore it. `RSA_PSS` stands for RSA.
fn algorithm(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => "ECDSA",
        KeyKind::Ed25519 => "ED25519",
        KeyKind::Rsa => "RSA_PSS",
        _ => "PUBLIC_KEY_ALGORITHM_UNSPECIFIED",
    }
}

//! The key to certify, and the proof that whoever asks holds its private half.

use waxseal_crypto::{
    CryptoProvider, Input, KeyError, KeyKind, Pem, PemError, PublicKey, SignatureError,
};
use waxseal_formats::ca::RequestedKey;
use waxseal_identity::Principal;
use waxseal_pki::{Csr, CsrError};

use crate::weakness::{self, Weakness};

/// Why a key is not certified. The order of the variants is the order of the checks.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyRefusal {
    /// The request has neither a key nor a CSR.
    #[error("the request has no key")]
    NoKey,
    /// The text is not one PEM block `PUBLIC KEY` or `RSA PUBLIC KEY`.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The block is something else: a certificate, or, by mistake, a private key.
    #[error("the PEM block is not a public key")]
    NotPublicKey,
    /// The block does not hold a key that could be one of ours.
    #[error(transparent)]
    Key(KeyError),
    /// The certificate request is refused.
    #[error(transparent)]
    Csr(CsrError),
    /// The key is too weak, or of a kind that is not certified.
    #[error(transparent)]
    Weak(#[from] Weakness),
    /// The signature is over none of the token's challenges, or by another key.
    #[error("the proof of possession does not verify")]
    Possession,
    /// Key and hash are no pair of the registry.
    #[error("the key's algorithm and the hash do not go together")]
    Algorithm {
        /// The kind of key, if it is known.
        kind: Option<KeyKind>,
    },
}

/// Checks key and proof; the key is then the caller's.
///
/// A bare key proves itself by a signature over a challenge of the verified token: the address it
/// vouches for, or its subject, since clients sign either without asking (R-CA-07). A CSR proves
/// itself by its own signature; what it says about subjects and extensions counts for nothing.
pub(crate) fn proven_key(
    provider: CryptoProvider,
    requested: Option<&RequestedKey>,
    principal: &Principal,
) -> Result<PublicKey, KeyRefusal> {
    match requested {
        Some(RequestedKey::PublicKey {
            content,
            proof_of_possession,
            ..
        }) => {
            let key = parse_key(content)?;
            check_possession(provider, &key, proof_of_possession, principal)?;
            Ok(key)
        }
        Some(RequestedKey::CertificateSigningRequest(request)) => certified_key(provider, request),
        _ => Err(KeyRefusal::NoKey),
    }
}

fn parse_key(content: &str) -> Result<PublicKey, KeyRefusal> {
    let block = Pem::parse(content)?;
    let key = match block.label.as_str() {
        "PUBLIC KEY" => PublicKey::from_spki_der(&block.der),
        "RSA PUBLIC KEY" => PublicKey::from_key_bytes(KeyKind::Rsa, &block.der),
        _ => return Err(KeyRefusal::NotPublicKey),
    };
    key.map_err(|error| match error {
        KeyError::UnknownKind { .. } => Weakness::Kind.into(),
        error => KeyRefusal::Key(error),
    })
}

fn check_possession(
    provider: CryptoProvider,
    key: &PublicKey,
    proof: &[u8],
    principal: &Principal,
) -> Result<(), KeyRefusal> {
    let algorithm = weakness::check(key)?;
    let prepared = provider
        .verifying_key(key, algorithm)
        .map_err(|_| Weakness::Point)?;
    let signs = |challenge: &str| {
        prepared
            .verify(Input::Message(challenge.as_bytes()), proof)
            .is_ok()
    };
    if principal.challenges().any(signs) {
        Ok(())
    } else {
        Err(KeyRefusal::Possession)
    }
}

fn certified_key(provider: CryptoProvider, request: &[u8]) -> Result<PublicKey, KeyRefusal> {
    let csr = Csr::parse(provider, request).map_err(|error| match error {
        CsrError::Key(KeyError::UnknownKind { .. }) => Weakness::Kind.into(),
        CsrError::Signature(SignatureError::InvalidKey) => Weakness::Point.into(),
        CsrError::Signature(_) => KeyRefusal::Possession,
        CsrError::UnsupportedAlgorithm => KeyRefusal::Algorithm { kind: None },
        error => KeyRefusal::Csr(error),
    })?;
    let key = csr.public_key();
    let algorithm = weakness::check(key)?;
    if csr.algorithm() == algorithm {
        Ok(key.clone())
    } else {
        let kind = Some(key.kind());
        Err(KeyRefusal::Algorithm { kind })
    }
}

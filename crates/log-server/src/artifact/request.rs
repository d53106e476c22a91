//! Requests to the artifact log: what is allowed, and whether key, digest and signature agree.

use waxseal_crypto::{
    CryptoProvider, Digest, HashAlgorithm, Input, KeyDetails, KeyError, PublicKey,
    SignatureAlgorithm, SignatureError,
};
use waxseal_formats::entry::{DsseV002, HashedRekordV002, Signature, Verifier, VerifierKey};
use waxseal_formats::log::{DsseRequest, HashedRekordRequest};
use waxseal_formats::{FieldError, MessageDigest};
use waxseal_pki::{Certificate, CertificateError};

use crate::Refusal;
use crate::personality::RefusalKind;

/// Key details that sign a digest (rekor-tiles' `client-signing-algorithms`).
const OVER_DIGESTS: &[&str] = &[
    "PKIX_RSA_PKCS1V15_2048_SHA256",
    "PKIX_RSA_PKCS1V15_3072_SHA256",
    "PKIX_RSA_PKCS1V15_4096_SHA256",
    "PKIX_ECDSA_P256_SHA_256",
    "PKIX_ECDSA_P384_SHA_384",
    "PKIX_ECDSA_P521_SHA_512",
    "PKIX_ED25519_PH",
];

/// Key details that sign an envelope only: they need the whole message (S-09).
const OVER_MESSAGES: &[&str] = &["PKIX_ED25519", "ML_DSA_44", "ML_DSA_65", "ML_DSA_87"];

/// Why a request to the artifact log is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The body is not the JSON of a request; unknown fields are refused.
    #[error("malformed request: {0}")]
    Field(#[from] FieldError),
    /// Neither of the two kinds of entry.
    #[error("invalid type, must be hashedrekord or dsse")]
    UnknownKind,
    /// `keyDetails` names no algorithm that this kind of entry can be verified with.
    #[error("the key details {found} are not accepted for this kind of entry")]
    KeyDetailsNotAllowed {
        /// As the request names them, cut to 64 characters.
        found: String,
    },
    /// The certificate cannot be parsed.
    #[error("the certificate is malformed: {0}")]
    Certificate(#[source] CertificateError),
    /// The public key cannot be parsed.
    #[error("the public key is malformed: {0}")]
    PublicKey(#[source] KeyError),
    /// The key is of another kind or length than `keyDetails` says.
    #[error("the key does not go with its key details {found}")]
    KeyDetailsMismatch {
        /// As the request names them.
        found: &'static str,
    },
    /// The digest is not as long as the algorithm's (S-11).
    #[error("a digest of {found} bytes does not go with the key details")]
    DigestLength {
        /// Bytes in the request.
        found: usize,
    },
    /// An envelope without a signature.
    #[error("the envelope has no signature")]
    NoSignature,
    /// An envelope without a verifier.
    #[error("the envelope has no verifier")]
    NoVerifier,
    /// A signature does not verify.
    #[error("signature {position} does not verify: {source}")]
    Signature {
        /// Which signature, from 0.
        position: usize,
        /// Why (that of the last verifier).
        #[source]
        source: SignatureError,
    },
    /// The entry would be longer than a bundle can hold (S-20).
    #[error("the entry would have {length} bytes, and may have 65535")]
    EntryTooLong {
        /// Its length.
        length: usize,
    },
}

impl RequestError {
    pub(super) fn refusal(&self) -> Refusal {
        let (kind, reason) = match self {
            Self::Field(_) => (RefusalKind::Invalid, "MALFORMED_REQUEST"),
            Self::UnknownKind => (RefusalKind::Invalid, "UNKNOWN_KIND"),
            Self::KeyDetailsNotAllowed { .. } => (RefusalKind::Invalid, "KEY_DETAILS_NOT_ALLOWED"),
            Self::Certificate(_) => (RefusalKind::Invalid, "BAD_CERTIFICATE"),
            Self::PublicKey(_) => (RefusalKind::Invalid, "BAD_PUBLIC_KEY"),
            Self::KeyDetailsMismatch { .. } => (RefusalKind::Invalid, "KEY_DETAILS_MISMATCH"),
            Self::DigestLength { .. } => (RefusalKind::Invalid, "DIGEST_LENGTH"),
            Self::NoSignature => (RefusalKind::Invalid, "NO_SIGNATURE"),
            Self::NoVerifier => (RefusalKind::Invalid, "NO_VERIFIER"),
            Self::Signature { .. } => (RefusalKind::Invalid, "BAD_SIGNATURE"),
            Self::EntryTooLong { .. } => (RefusalKind::TooLarge, "ENTRY_TOO_LONG"),
        };
        Refusal {
            kind,
            reason,
            message: self.to_string().into(),
        }
    }
}

/// A `hashedrekord` request of which everything but the signature was checked.
#[derive(Debug, Clone)]
pub(super) struct CheckedHashedRekord {
    key: PublicKey,
    algorithm: SignatureAlgorithm,
    digest: Digest,
    pub(super) body: HashedRekordV002,
}

impl CheckedHashedRekord {
    pub(super) fn new(request: HashedRekordRequest) -> Result<Self, RequestError> {
        let HashedRekordRequest { digest, signature } = request;
        let (key, algorithm) = read_verifier(&signature.verifier, false)?;
        let length = RequestError::DigestLength {
            found: digest.len(),
        };
        let hash = algorithm.prehash().ok_or_else(|| length.clone())?;
        let checked = Digest::new(hash, &digest).map_err(|_| length)?;
        Ok(Self {
            key,
            algorithm,
            digest: checked,
            body: HashedRekordV002 {
                digest: MessageDigest {
                    algorithm: name_of(hash),
                    digest,
                },
                signature,
            },
        })
    }

    pub(super) fn verify(&self, provider: CryptoProvider) -> Result<(), RequestError> {
        let input = Input::Prehash(&self.digest);
        let signature = &self.body.signature.content;
        provider
            .verify(&self.key, self.algorithm, input, signature)
            .map_err(|source| RequestError::Signature {
                position: 0,
                source,
            })
    }
}

/// A `dsse` request of which everything but the signatures was checked.
#[derive(Debug, Clone)]
pub(super) struct CheckedDsse {
    request: DsseRequest,
    keys: Vec<(PublicKey, SignatureAlgorithm)>,
}

impl CheckedDsse {
    pub(super) fn new(request: DsseRequest) -> Result<Self, RequestError> {
        if request.envelope.signatures.is_empty() {
            return Err(RequestError::NoSignature);
        }
        if request.verifiers.is_empty() {
            return Err(RequestError::NoVerifier);
        }
        let keys = request
            .verifiers
            .iter()
            .map(|verifier| read_verifier(verifier, true))
            .collect::<Result<_, _>>()?;
        Ok(Self { request, keys })
    }

    /// Every signature must verify with one of the verifiers, the first in their order that does
    /// (S-10). At most ten times ten checks (S-08): the request's own limits.
    pub(super) fn verify(&self, provider: CryptoProvider) -> Result<DsseV002, RequestError> {
        let envelope = &self.request.envelope;
        let message = envelope.pae();
        let mut signatures = Vec::new();
        for (position, signature) in envelope.signatures.iter().enumerate() {
            let mut failure = SignatureError::Invalid;
            let verifiers = self.keys.iter().zip(&self.request.verifiers);
            let verified = verifiers.into_iter().find(|((key, algorithm), _)| {
                let input = Input::Message(&message);
                provider
                    .verify(key, *algorithm, input, &signature.sig)
                    .map_err(|error| failure = error)
                    .is_ok()
            });
            let Some((_, verifier)) = verified else {
                return Err(RequestError::Signature {
                    position,
                    source: failure,
                });
            };
            signatures.push(Signature {
                content: signature.sig.clone(),
                verifier: verifier.clone(),
            });
        }
        signatures.sort_by(|one, other| one.content.cmp(&other.content));
        let hash = HashAlgorithm::Sha256;
        Ok(DsseV002 {
            payload_hash: MessageDigest {
                algorithm: name_of(hash),
                digest: Digest::of(hash, &envelope.payload).as_bytes().to_vec(),
            },
            signatures,
        })
    }
}

/// The key, and the one algorithm that its details name for it.
fn read_verifier(
    verifier: &Verifier,
    whole_message: bool,
) -> Result<(PublicKey, SignatureAlgorithm), RequestError> {
    let name = verifier.key_details.as_str();
    let allowed = OVER_DIGESTS.contains(&name) || (whole_message && OVER_MESSAGES.contains(&name));
    let details = KeyDetails::by_name(name)
        .filter(|details| allowed && !details.deprecated)
        .ok_or_else(|| RequestError::KeyDetailsNotAllowed {
            found: name.chars().take(64).collect(),
        })?;
    let key = match &verifier.key {
        VerifierKey::PublicKey(der) => {
            PublicKey::from_spki_der(der).map_err(RequestError::PublicKey)?
        }
        VerifierKey::Certificate(der) => {
            let certificate =
                Certificate::parse(der.as_slice()).map_err(RequestError::Certificate)?;
            let key = certificate.public_key();
            key.map_err(|error| RequestError::PublicKey(error.clone()))?
                .clone()
        }
        _ => return Err(RequestError::UnknownKind),
    };
    if details.fits(&key) {
        Ok((key, details.algorithm))
    } else {
        Err(RequestError::KeyDetailsMismatch {
            found: details.name,
        })
    }
}

const fn name_of(hash: HashAlgorithm) -> waxseal_formats::HashAlgorithm {
    match hash {
        HashAlgorithm::Sha384 => waxseal_formats::HashAlgorithm::SHA2_384,
        HashAlgorithm::Sha512 => waxseal_formats::HashAlgorithm::SHA2_512,
        _ => waxseal_formats::HashAlgorithm::SHA2_256,
    }
}

#[cfg(test)]
mod tests;

//! Requests to the artifact log: what is allowed, and whether key, digest and signature agree.

use std::borrow::Cow;

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

/// The field of a request that is missing if it is of no kind.
pub(super) const HASHED_REKORD: &str = "hashedRekordRequestV002";

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

/// Bytes that verifications of one envelope may hash in all: the longest envelope with a dozen
/// signatures and keys that need the whole of it.
const MAX_HASHED: usize = 48 << 20;

/// Bytes that are hashed in the time of one verification on P-256; SHA-512 makes some 600 MB/s.
const HASHED_PER_UNIT: usize = 24 << 10;

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
    /// A `dsse` request, to a log that was told to take none.
    #[error("invalid type, must be hashedrekord")]
    DsseNotTaken,
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
    /// Keys that need the whole message would have to read too much of it.
    #[error("{count} verifications of a message of {length} bytes are too much work")]
    TooMuchToHash {
        /// How often it would be read.
        count: usize,
        /// Its length.
        length: usize,
    },
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
    /// What the client is told: the message begins as rekor-tiles words it, for those who match on
    /// that, and goes on with the reason, which rekor-tiles keeps to itself.
    pub(super) fn refusal(&self, kind: &'static str) -> Refusal {
        let (reason, field) = match self {
            Self::Field(error) => {
                let field = error.field().map(|field| field.to_owned().into());
                return self.malformed(error, kind, field);
            }
            Self::UnknownKind => ("UNKNOWN_KIND", None),
            Self::DsseNotTaken => ("DSSE_NOT_TAKEN", Some("dsseRequestV002")),
            Self::KeyDetailsNotAllowed { .. } => ("KEY_DETAILS_NOT_ALLOWED", Some("keyDetails")),
            Self::Certificate(_) => ("BAD_CERTIFICATE", Some("x509Certificate")),
            Self::PublicKey(_) => ("BAD_PUBLIC_KEY", Some("verifier")),
            Self::KeyDetailsMismatch { .. } => ("KEY_DETAILS_MISMATCH", Some("keyDetails")),
            Self::DigestLength { .. } => ("DIGEST_LENGTH", Some("digest")),
            Self::NoSignature => ("NO_SIGNATURE", Some("signatures")),
            Self::NoVerifier => ("NO_VERIFIER", Some("verifiers")),
            Self::TooMuchToHash { .. } => ("TOO_MUCH_TO_HASH", Some("envelope")),
            Self::Signature { .. } => ("BAD_SIGNATURE", Some("signature")),
            Self::EntryTooLong { .. } => ("ENTRY_TOO_LONG", None),
        };
        let is_of_a_kind = !matches!(self, Self::UnknownKind | Self::DsseNotTaken);
        let message = if is_of_a_kind {
            format!("invalid {kind} request: {self}")
        } else {
            self.to_string()
        };
        Refusal {
            kind: match self {
                Self::EntryTooLong { .. } | Self::TooMuchToHash { .. } => RefusalKind::TooLarge,
                _ => RefusalKind::Invalid,
            },
            reason,
            message: message.into(),
            field: field.map(Into::into),
        }
    }

    fn malformed(
        &self,
        error: &FieldError,
        kind: &str,
        field: Option<Cow<'static, str>>,
    ) -> Refusal {
        let is_typeless = matches!(error, FieldError::Missing { field } if *field == HASHED_REKORD);
        let message = match error {
            _ if is_typeless => Self::UnknownKind.to_string(),
            // To protojson a message with a field missing is one; its kind refuses it.
            FieldError::Missing { .. } => format!("invalid {kind} request: {error}"),
            // In the words of Go's protojson, without its position.
            FieldError::UnknownField { name } => format!("proto: unknown field {name:?}"),
            _ => self.to_string(),
        };
        Refusal {
            kind: RefusalKind::Invalid,
            reason: "MALFORMED_REQUEST",
            message: message.into(),
            field,
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

    /// What the verification costs, in those of P-256.
    pub(super) fn cost(&self) -> u32 {
        cost_of(self.algorithm, self.body.signature.content.len())
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
        let checked = Self { request, keys };
        let (count, length) = (checked.readings(), checked.length());
        if count.saturating_mul(length) > MAX_HASHED {
            return Err(RequestError::TooMuchToHash { count, length });
        }
        Ok(checked)
    }

    /// How often the message is read, if every verifier is tried on every signature: once for each
    /// hash that is signed, and every time for keys that need the whole of it.
    fn readings(&self) -> usize {
        let whole = |(_, algorithm): &&(_, SignatureAlgorithm)| algorithm.prehash().is_none();
        let tries = self.keys.iter().filter(whole).count();
        self.hashes().len() + tries * self.request.envelope.signatures.len()
    }

    fn length(&self) -> usize {
        self.request.envelope.payload.len()
    }

    fn hashes(&self) -> Vec<HashAlgorithm> {
        let mut hashes = Vec::new();
        for hash in self.keys.iter().filter_map(|(_, used)| used.prehash()) {
            if !hashes.contains(&hash) {
                hashes.push(hash);
            }
        }
        hashes
    }

    /// What the verifications cost, if every verifier is tried on every signature.
    pub(super) fn cost(&self) -> u32 {
        let signatures = &self.request.envelope.signatures;
        let keys: u32 = signatures
            .iter()
            .flat_map(|signature| {
                let length = signature.sig.len();
                self.keys
                    .iter()
                    .map(move |(_, algorithm)| cost_of(*algorithm, length))
            })
            .sum();
        let hashed = self.readings().saturating_mul(self.length()) / HASHED_PER_UNIT;
        keys.saturating_add(u32::try_from(hashed).unwrap_or(u32::MAX))
    }

    /// Every signature must verify with one of the verifiers, the first in their order that does
    /// (S-10). At most ten times ten checks (S-08): the request's own limits.
    pub(super) fn verify(&self, provider: CryptoProvider) -> Result<DsseV002, RequestError> {
        let envelope = &self.request.envelope;
        let message = envelope.pae();
        // Up to a hundred verifications share the few hashes of a message of some MiB.
        let hashes = self.hashes().into_iter();
        let digests: Vec<_> = hashes
            .map(|hash| (hash, Digest::of(hash, &message)))
            .collect();
        let input = |algorithm: SignatureAlgorithm| {
            let prehash = algorithm.prehash();
            let digest = digests.iter().find(|(hash, _)| Some(*hash) == prehash);
            digest.map_or(Input::Message(&message), |(_, made)| Input::Prehash(made))
        };
        let mut signatures = Vec::new();
        for (position, signature) in envelope.signatures.iter().enumerate() {
            let mut failure = SignatureError::Invalid;
            let verifiers = self.keys.iter().zip(&self.request.verifiers);
            let verified = verifiers.into_iter().find(|((key, algorithm), _)| {
                provider
                    .verify(key, *algorithm, input(*algorithm), &signature.sig)
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

/// What one verification costs, in those of P-256, rounded up. Measured with aws-lc on a core where
/// P-256 takes 45 µs: P-384 154, P-521 246, Ed25519 31 to 39, RSA-2048 16, ML-DSA-44 21, -65 36,
/// -87 56 µs; RSA grows with the square of its modulus.
const fn cost_of(algorithm: SignatureAlgorithm, signature_length: usize) -> u32 {
    match algorithm {
        SignatureAlgorithm::EcdsaP384Sha384 => 4,
        SignatureAlgorithm::EcdsaP521Sha512 => 6,
        SignatureAlgorithm::MlDsa87 => 2,
        // An RSA signature is as long as its modulus.
        SignatureAlgorithm::RsaPkcs1Sha256 if signature_length > 384 => 2,
        _ => 1,
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

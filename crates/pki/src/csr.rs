//! Certificate requests (RFC 2986): the key that a client wants certified, and its proof that it
//! holds the private half. Subject and attributes of a request count for nothing here.

use waxseal_crypto::{
    CryptoProvider, Input, KeyError, Pem, PemError, PublicKey, SignatureAlgorithm, SignatureError,
};

use crate::algorithm;
use crate::element::{BIT_STRING, Element, INTEGER, NotDer, SEQUENCE, context};
use crate::name;

/// The largest request that is read; one with an ML-DSA-87 key has about 8 KiB.
pub const MAX_CSR: usize = 16_384;

/// A certificate request whose self-signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    key: PublicKey,
    algorithm: SignatureAlgorithm,
}

/// Why a certificate request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrError {
    /// More than [`MAX_CSR`] bytes.
    #[error("the certificate request has {found} bytes, at most {MAX_CSR} are read")]
    TooLarge {
        /// How many there are.
        found: usize,
    },
    /// The text is not one PEM block.
    #[error("the certificate request: {0}")]
    Pem(#[from] PemError),
    /// The PEM block has another label than `CERTIFICATE REQUEST`.
    #[error("expected a PEM block \"CERTIFICATE REQUEST\", found {found:?}")]
    WrongLabel {
        /// The label.
        found: String,
    },
    /// Not the strict DER of a CertificationRequest, or bytes follow it (RFC 2986 §4).
    #[error("the certificate request is not strict DER of PKCS #10")]
    Malformed,
    /// The key is none of ours.
    #[error("the certificate request's key: {0}")]
    Key(#[from] KeyError),
    /// Key and hash are not a pair of Sigstore's registry, such as P-384 with SHA-256, RSA with
    /// SHA-512, or RSASSA-PSS.
    #[error("the certificate request is signed with an algorithm that does not go with its key")]
    UnsupportedAlgorithm,
    /// The self-signature does not verify: no proof of possession.
    #[error("the certificate request's signature does not verify: {0}")]
    Signature(SignatureError),
}

impl From<NotDer> for CsrError {
    fn from(_: NotDer) -> Self {
        Self::Malformed
    }
}

impl Csr {
    /// Parses a request, PEM (`CERTIFICATE REQUEST`, or the old `NEW CERTIFICATE REQUEST`) or DER,
    /// and verifies its self-signature.
    ///
    /// # Errors
    /// [`CsrError`].
    pub fn parse(provider: CryptoProvider, request: &[u8]) -> Result<Self, CsrError> {
        // Base64 and line ends make PEM longer than DER by less than half.
        if request.len() > MAX_CSR / 2 * 3 {
            return Err(CsrError::TooLarge {
                found: request.len(),
            });
        }
        match std::str::from_utf8(request) {
            Ok(text) if text.trim_start().starts_with("-----") => {
                let block = Pem::parse(text)?;
                match block.label.as_str() {
                    "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
                        Self::parse_der(provider, &block.der)
                    }
                    _ => Err(CsrError::WrongLabel { found: block.label }),
                }
            }
            _ => Self::parse_der(provider, request),
        }
    }

    fn parse_der(provider: CryptoProvider, der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > MAX_CSR {
            return Err(CsrError::TooLarge { found: der.len() });
        }
        let mut outer = Element::only(der, SEQUENCE)?.inside();
        let info = outer.expect(SEQUENCE)?;
        let identifier = outer.expect(SEQUENCE)?;
        let signature = outer.expect(BIT_STRING)?.whole_bits()?;
        outer.finish()?;
        let mut fields = info.inside();
        if fields.expect(INTEGER)?.integer()? != [0] {
            return Err(CsrError::Malformed);
        }
        name::check(&fields.expect(SEQUENCE)?)?;
        let key = PublicKey::from_spki_der(fields.expect(SEQUENCE)?.raw)?;
        // RFC 2986 wants the field; OpenSSL and others leave an empty one out.
        fields.optional(context(0))?;
        fields.finish()?;
        let algorithm = algorithm::of_signature(identifier.value, key.kind())
            .filter(|algorithm| waxseal_crypto::KeyDetails::of(&key, *algorithm).is_some())
            .filter(|algorithm| !is_pss(*algorithm))
            .ok_or(CsrError::UnsupportedAlgorithm)?;
        provider
            .verify(&key, algorithm, Input::Message(info.raw), signature)
            .map_err(CsrError::Signature)?;
        Ok(Self { key, algorithm })
    }

    /// The key, which the requester holds.
    pub const fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// The algorithm of the self-signature.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }
}

const fn is_pss(algorithm: SignatureAlgorithm) -> bool {
    matches!(
        algorithm,
        SignatureAlgorithm::RsaPssSha256
            | SignatureAlgorithm::RsaPssSha384
            | SignatureAlgorithm::RsaPssSha512
    )
}

#[cfg(test)]
mod tests;

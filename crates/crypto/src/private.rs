//! Private keys as PKCS#8 (RFC 5958): held, zeroized, never printed.

use std::fmt;

use zeroize::Zeroizing;

use crate::{Pem, PemError, RandomError, SignatureAlgorithm};

/// A private key in PKCS#8 DER. Its bytes are wiped on drop and never shown by `Debug`.
#[derive(Clone)]
pub struct PrivateKey {
    pkcs8: Zeroizing<Vec<u8>>,
}

/// Why a private key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateKeyError {
    /// The text is not one PEM block.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The block is a private key in another container.
    #[error(
        "the private key is in a {label:?} block, expected \"PRIVATE KEY\" (PKCS#8); convert it \
         with: openssl pkcs8 -topk8 -nocrypt -in KEY"
    )]
    NotPkcs8 {
        /// The label found.
        label: String,
    },
    /// The bytes are not a PKCS#8 key of the algorithm, or its public half does not belong to it.
    #[error("the private key is malformed, or not a key for {algorithm:?}")]
    Malformed {
        /// The algorithm it was opened for.
        algorithm: SignatureAlgorithm,
    },
    /// The provider does not sign with the algorithm.
    #[error("this provider does not sign with {algorithm:?}")]
    Unsupported {
        /// The algorithm.
        algorithm: SignatureAlgorithm,
    },
    /// Randomness failed while a key was made.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl PrivateKey {
    /// Wraps PKCS#8 DER; it is parsed when a provider opens it.
    pub fn from_pkcs8_der(pkcs8: Vec<u8>) -> Self {
        Self {
            pkcs8: Zeroizing::new(pkcs8),
        }
    }

    /// Reads a PEM block `PRIVATE KEY`.
    ///
    /// # Errors
    /// [`PrivateKeyError::Pem`] or [`PrivateKeyError::NotPkcs8`].
    pub fn from_pem(text: &str) -> Result<Self, PrivateKeyError> {
        let block = Pem::parse(text)?;
        if block.label == "PRIVATE KEY" {
            Ok(Self::from_pkcs8_der(block.der))
        } else {
            Err(PrivateKeyError::NotPkcs8 { label: block.label })
        }
    }

    /// The PKCS#8 DER.
    pub fn pkcs8_der(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The PEM form, `PRIVATE KEY`, in memory that is wiped.
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(Pem::new("PRIVATE KEY", &self.pkcs8).encode())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_redacted() {
        let key = PrivateKey::from_pkcs8_der(b"CANARYSECRET".to_vec());
        assert_eq!(format!("{key:?}"), "PrivateKey(redacted)");
    }

    #[test]
    fn not_pkcs8() {
        let text = Pem::new("EC PRIVATE KEY", b"x").encode();
        let label = "EC PRIVATE KEY".to_owned();
        assert_eq!(
            PrivateKey::from_pem(&text).unwrap_err(),
            PrivateKeyError::NotPkcs8 { label }
        );
    }

    #[test]
    fn round_trip() {
        let key = PrivateKey::from_pkcs8_der(b"bytes".to_vec());
        assert_eq!(
            PrivateKey::from_pem(&key.to_pem()).unwrap().pkcs8_der(),
            b"bytes"
        );
    }
}

//! Signed certificate timestamps (RFC 6962 §3.2, §3.3): read, written, verified.

use waxseal_crypto::{
    CryptoProvider, Input, KeyKind, PublicKey, SignatureAlgorithm, SignatureError, Time,
    VerifyingKey,
};

use crate::ct_entry::CtEntry;
use crate::{Certificate, SpliceError, splice};

/// How many SCTs a certificate may carry. Those of Sigstore have one; each one that is checked
/// costs a signature (K-07).
pub const MAX_SCTS: usize = 16;

/// A log's promise to take a certificate in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sct {
    /// Which log: SHA-256 of its SubjectPublicKeyInfo.
    pub log_id: [u8; 32],
    /// When it promised, in milliseconds since the epoch.
    pub timestamp: u64,
    /// Extensions, signed along; static-ct logs write the leaf index here.
    pub extensions: Vec<u8>,
    /// The kind of signature.
    pub scheme: SctScheme,
    /// The signature.
    pub signature: Vec<u8>,
}

/// SignatureAndHashAlgorithm (RFC 5246 §7.4.1.4.1): always SHA-256, and one of two algorithms
/// (RFC 6962 §2.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SctScheme {
    /// `04 03`.
    EcdsaSha256,
    /// `04 01`: RSASSA-PKCS1-v1_5.
    RsaSha256,
}

/// The SCTs of one certificate, in their order; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SctList(Vec<Sct>);

/// Why an SCT or a list of them was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SctError {
    /// The bytes are not what RFC 6962 §3.2 and §3.3 lay out.
    #[error("the signed certificate timestamp is malformed")]
    Malformed,
    /// Not version 1.
    #[error("the signed certificate timestamp has version byte {found}, expected 0")]
    UnknownVersion {
        /// The version byte.
        found: u8,
    },
    /// Neither ECDSA nor RSA with SHA-256.
    #[error("the signed certificate timestamp is signed with unknown scheme {found:02x?}")]
    UnknownScheme {
        /// Hash and signature bytes.
        found: [u8; 2],
    },
    /// More than [`MAX_SCTS`] in one list.
    #[error("the certificate has more than {MAX_SCTS} signed certificate timestamps")]
    TooMany,
    /// The SCT is of another log.
    #[error("the signed certificate timestamp is of another log")]
    WrongLog,
    /// The log's key is not of the kind that the scheme needs.
    #[error("the log's key does not go with the scheme of its signed certificate timestamp")]
    WrongKey,
    /// The certificate's bytes cannot be turned into what the log signed.
    #[error(transparent)]
    Splice(#[from] SpliceError),
    /// The signature does not verify: over this certificate, issuer, time and extensions.
    #[error("the signed certificate timestamp does not verify: {0}")]
    Signature(SignatureError),
}

impl Sct {
    /// Makes one, of a log's own making.
    pub const fn new(
        log_id: [u8; 32],
        timestamp: u64,
        extensions: Vec<u8>,
        scheme: SctScheme,
        signature: Vec<u8>,
    ) -> Self {
        Self {
            log_id,
            timestamp,
            extensions,
            scheme,
            signature,
        }
    }

    /// Parses a serialized SCT; nothing may follow it.
    ///
    /// # Errors
    /// [`SctError::Malformed`], [`SctError::UnknownVersion`] or [`SctError::UnknownScheme`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SctError> {
        let malformed = SctError::Malformed;
        let (version, rest) = bytes.split_first().ok_or(SctError::Malformed)?;
        if *version != 0 {
            return Err(SctError::UnknownVersion { found: *version });
        }
        let (log_id, rest) = rest.split_first_chunk::<32>().ok_or(SctError::Malformed)?;
        let (timestamp, rest) = rest.split_first_chunk::<8>().ok_or(SctError::Malformed)?;
        let (extensions, rest) = split_vector(rest).ok_or(SctError::Malformed)?;
        let (scheme, rest) = rest.split_first_chunk::<2>().ok_or(SctError::Malformed)?;
        let scheme = match scheme {
            [4, 3] => SctScheme::EcdsaSha256,
            [4, 1] => SctScheme::RsaSha256,
            found => return Err(SctError::UnknownScheme { found: *found }),
        };
        match split_vector(rest).ok_or(SctError::Malformed)? {
            (signature, []) => Ok(Self {
                log_id: *log_id,
                timestamp: u64::from_be_bytes(*timestamp),
                extensions: extensions.to_vec(),
                scheme,
                signature: signature.to_vec(),
            }),
            _ => Err(malformed),
        }
    }

    /// The serialized form; `None` if extensions or signature have more than 65,535 bytes.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let scheme = match self.scheme {
            SctScheme::EcdsaSha256 => [4, 3],
            SctScheme::RsaSha256 => [4, 1],
        };
        let mut out = vec![0];
        out.extend(self.log_id);
        out.extend(self.timestamp.to_be_bytes());
        push_vector(&mut out, &self.extensions)?;
        out.extend(scheme);
        push_vector(&mut out, &self.signature)?;
        Some(out)
    }

    /// When the log promised; `None` beyond year 9999.
    pub fn time(&self) -> Option<Time> {
        Time::from_unix_millis(self.timestamp).ok()
    }

    /// Verifies an SCT that is embedded in a certificate. `issuer_key` is the key that signed the
    /// certificate and comes from the verified path, never from a look-up by name (V-30).
    ///
    /// # Errors
    /// [`SctError`].
    pub fn verify_embedded(
        &self,
        log: &CtLogKey,
        certificate: &Certificate,
        issuer_key: &PublicKey,
    ) -> Result<(), SctError> {
        let tbs = splice::tbs_without_scts(certificate.tbs())?;
        let entry = CtEntry::Precertificate {
            issuer_key_hash: issuer_key.spki_sha256(),
            tbs: &tbs,
        };
        self.verify(log, &entry)
    }

    /// Verifies an SCT over what the log took in.
    ///
    /// # Errors
    /// [`SctError`], any but `Splice`.
    pub fn verify(&self, log: &CtLogKey, entry: &CtEntry<'_>) -> Result<(), SctError> {
        if self.log_id != log.id {
            return Err(SctError::WrongLog);
        }
        if self.scheme != log.scheme {
            return Err(SctError::WrongKey);
        }
        let input = entry
            .signed_input(self.timestamp, &self.extensions)
            .ok_or(SctError::Malformed)?;
        log.key
            .verify(Input::Message(&input), &self.signature)
            .map_err(SctError::Signature)
    }
}

impl SctList {
    /// A list for the writing side; `None` if it is empty or longer than [`MAX_SCTS`].
    pub fn new(scts: Vec<Sct>) -> Option<Self> {
        (1..=MAX_SCTS).contains(&scts.len()).then_some(Self(scts))
    }

    /// Parses a SignedCertificateTimestampList: the contents of the inner OCTET STRING.
    ///
    /// # Errors
    /// [`SctError`]; a list without an SCT is malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, SctError> {
        let Some((mut rest, [])) = split_vector(bytes) else {
            return Err(SctError::Malformed);
        };
        let mut scts = Vec::new();
        while !rest.is_empty() {
            let (sct, after) = split_vector(rest).ok_or(SctError::Malformed)?;
            if scts.len() == MAX_SCTS {
                return Err(SctError::TooMany);
            }
            scts.push(Sct::parse(sct)?);
            rest = after;
        }
        if scts.is_empty() {
            Err(SctError::Malformed)
        } else {
            Ok(Self(scts))
        }
    }

    /// The serialized list: the contents of the inner OCTET STRING. `None` if it does not fit into
    /// 65,535 bytes.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut list = Vec::new();
        for sct in &self.0 {
            push_vector(&mut list, &sct.encode()?)?;
        }
        let mut out = Vec::new();
        push_vector(&mut out, &list)?;
        Some(out)
    }

    /// The SCTs.
    pub fn as_slice(&self) -> &[Sct] {
        &self.0
    }
}

/// A Certificate Transparency log's key, prepared.
pub struct CtLogKey {
    id: [u8; 32],
    scheme: SctScheme,
    key: Box<dyn VerifyingKey>,
}

impl CtLogKey {
    /// Prepares a log's key: ECDSA (whose hash is SHA-256 on every curve here) or RSA.
    ///
    /// # Errors
    /// [`SignatureError`] if the key is of another kind, or invalid.
    pub fn new(provider: CryptoProvider, key: &PublicKey) -> Result<Self, SignatureError> {
        let (scheme, algorithm) = match key.kind() {
            KeyKind::P256 => (SctScheme::EcdsaSha256, SignatureAlgorithm::EcdsaP256Sha256),
            KeyKind::P384 => (SctScheme::EcdsaSha256, SignatureAlgorithm::EcdsaP384Sha256),
            KeyKind::P521 => (SctScheme::EcdsaSha256, SignatureAlgorithm::EcdsaP521Sha256),
            KeyKind::Rsa => (SctScheme::RsaSha256, SignatureAlgorithm::RsaPkcs1Sha256),
            _ => return Err(SignatureError::WrongKeyKind),
        };
        let prepared = provider.verifying_key(key, algorithm)?;
        Ok(Self {
            id: key.spki_sha256(),
            scheme,
            key: prepared,
        })
    }

    /// The log id: SHA-256 of the SubjectPublicKeyInfo (RFC 6962 §3.2).
    pub const fn id(&self) -> &[u8; 32] {
        &self.id
    }
}

impl std::fmt::Debug for CtLogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CtLogKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Splits an `opaque<0..2^16-1>` off.
fn split_vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Appends an `opaque<0..2^16-1>`.
pub(crate) fn push_vector(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.extend(u16::try_from(bytes.len()).ok()?.to_be_bytes());
    out.extend(bytes);
    Some(())
}

#[cfg(test)]
mod tests;

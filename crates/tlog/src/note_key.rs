//! Keys of notes: a name, a key id, a kind of signature, and a prepared public key.

use std::fmt;

use waxseal_crypto::{
    CryptoProvider, Input, KeyKind, PublicKey, SignatureAlgorithm, SignatureError, VerifyingKey,
    sha256,
};

use crate::{CheckpointText, KeyName};

/// The identifier of version 1 logs' RSA signatures after the type byte 0xFF
/// (rekor-tiles `pkg/note`).
pub(crate) const RSA_IDENTIFIER: &[u8] = b"PKIX-RSA-PKCS#1v1.5";

/// The 4-byte hash that says, together with a name, which key made a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 4]);

/// What a signature line's bytes are, and what they sign (signed-note §Signature types).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SignatureKind {
    /// 0x01: Ed25519 over the text.
    Ed25519,
    /// 0x02: ECDSA (P-256, P-384 or P-521), ASN.1, over SHA-256 of the text.
    Ecdsa,
    /// 0xFF `PKIX-RSA-PKCS#1v1.5`: RSASSA-PKCS1-v1_5 over SHA-256 of the text.
    RsaPkcs1,
    /// 0x04: `cosignature/v1`, Ed25519 with a timestamp.
    CosignatureV1,
    /// 0x05: the `TreeHeadSignature` of RFC 6962 §3.5 (static-ct-api).
    Rfc6962,
    /// 0x06: `subtree/v1`, ML-DSA-44 with a timestamp.
    MlDsa44,
}

/// A public key that notes are opened with.
pub struct NoteKey {
    name: KeyName,
    key_id: KeyId,
    kind: SignatureKind,
    public_key: PublicKey,
    verifier: Box<dyn VerifyingKey>,
}

/// Why a key does not open notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteKeyError {
    /// A key of this kind does not make signatures of that kind.
    #[error("a {key:?} key does not make {kind:?} note signatures")]
    WrongKeyKind {
        /// The kind of signature.
        kind: SignatureKind,
        /// The kind of key.
        key: KeyKind,
    },
    /// The provider refused the key.
    #[error("the key of the note is refused")]
    Refused(#[source] SignatureError),
}

impl SignatureKind {
    /// The kind that a log with such a key signs its own checkpoints with. ML-DSA-44 logs use the
    /// cosignature format (tlog-checkpoint).
    ///
    /// # Errors
    /// [`NoteKeyError::WrongKeyKind`] for ML-DSA-65 and ML-DSA-87.
    pub const fn of_log(key: &PublicKey) -> Result<Self, NoteKeyError> {
        match key.kind() {
            KeyKind::Ed25519 => Ok(Self::Ed25519),
            KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => Ok(Self::Ecdsa),
            KeyKind::Rsa => Ok(Self::RsaPkcs1),
            KeyKind::MlDsa44 => Ok(Self::MlDsa44),
            key => Err(NoteKeyError::WrongKeyKind {
                kind: Self::MlDsa44,
                key,
            }),
        }
    }

    /// Whether the signature is a statement with a time, that a witness can make too.
    pub const fn is_cosignature(self) -> bool {
        matches!(self, Self::CosignatureV1 | Self::MlDsa44)
    }

    /// The algorithm for a key of that kind.
    pub(crate) const fn algorithm(self, key: KeyKind) -> Result<SignatureAlgorithm, NoteKeyError> {
        match (self, key) {
            (Self::Ed25519 | Self::CosignatureV1, KeyKind::Ed25519) => {
                Ok(SignatureAlgorithm::Ed25519)
            }
            (Self::Ecdsa | Self::Rfc6962, KeyKind::P256) => Ok(SignatureAlgorithm::EcdsaP256Sha256),
            (Self::Ecdsa, KeyKind::P384) => Ok(SignatureAlgorithm::EcdsaP384Sha256),
            (Self::Ecdsa, KeyKind::P521) => Ok(SignatureAlgorithm::EcdsaP521Sha256),
            (Self::RsaPkcs1 | Self::Rfc6962, KeyKind::Rsa) => {
                Ok(SignatureAlgorithm::RsaPkcs1Sha256)
            }
            (Self::MlDsa44, KeyKind::MlDsa44) => Ok(SignatureAlgorithm::MlDsa44),
            (kind, key) => Err(NoteKeyError::WrongKeyKind { kind, key }),
        }
    }

    /// The type byte and the key as a vkey has them.
    pub(crate) fn typed_key(self, key: &PublicKey) -> Vec<u8> {
        match self {
            Self::Ed25519 => [&[0x01], key.key_bytes()].concat(),
            Self::Ecdsa => [&[0x02], key.spki_der()].concat(),
            Self::CosignatureV1 => [&[0x04], key.key_bytes()].concat(),
            Self::Rfc6962 => [&[0x05], key.spki_der()].concat(),
            Self::MlDsa44 => [&[0x06], key.key_bytes()].concat(),
            Self::RsaPkcs1 => [&[0xff], RSA_IDENTIFIER, key.spki_der()].concat(),
        }
    }
}

impl KeyId {
    /// The id that a key of this name, kind and bytes has.
    pub fn of(name: &KeyName, kind: SignatureKind, key: &PublicKey) -> Self {
        let digest = key_digest(name, kind, key);
        let [a, b, c, d, ..] = digest;
        Self([a, b, c, d])
    }

    /// The id of a version 1 log's key: the start of SHA-256 over its SPKI, whatever its kind.
    pub fn of_v1_log(key: &PublicKey) -> Self {
        let [a, b, c, d, ..] = key.spki_sha256();
        Self([a, b, c, d])
    }

    /// The first four bytes of a longer id, such as a bundle's `logId.keyId` or a trusted root's
    /// `checkpointKeyId`; `None` if there are fewer.
    pub fn from_prefix(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk::<4>().map(|id| Self(*id))
    }
}

/// The untruncated key id: a version 2 log's `logId.keyId` (rekor-tiles `pkg/note`).
pub(crate) fn key_digest(name: &KeyName, kind: SignatureKind, key: &PublicKey) -> [u8; 32] {
    match kind {
        // github.com/transparency-dev/witness: no name in it
        SignatureKind::Ecdsa => key.spki_sha256(),
        SignatureKind::Rfc6962 => {
            let log_id = key.spki_sha256();
            sha256(&[name.as_str().as_bytes(), b"\n\x05", &log_id].concat())
        }
        _ => sha256(&[name.as_str().as_bytes(), b"\n", &kind.typed_key(key)].concat()),
    }
}

impl NoteKey {
    /// Prepares a key; its id is the one that its kind prescribes.
    ///
    /// # Errors
    /// [`NoteKeyError`].
    pub fn new(
        provider: CryptoProvider,
        name: KeyName,
        kind: SignatureKind,
        public_key: &PublicKey,
    ) -> Result<Self, NoteKeyError> {
        let algorithm = kind.algorithm(public_key.kind())?;
        let verifier = provider
            .verifying_key(public_key, algorithm)
            .map_err(NoteKeyError::Refused)?;
        Ok(Self {
            key_id: KeyId::of(&name, kind, public_key),
            name,
            kind,
            public_key: public_key.clone(),
            verifier,
        })
    }

    /// Prepares the key of a version 1 log, whose id is [`KeyId::of_v1_log`].
    ///
    /// # Errors
    /// [`NoteKeyError`].
    pub fn of_v1_log(
        provider: CryptoProvider,
        name: KeyName,
        public_key: &PublicKey,
    ) -> Result<Self, NoteKeyError> {
        let kind = SignatureKind::of_log(public_key)?;
        Ok(Self::new(provider, name, kind, public_key)?.with_key_id(KeyId::of_v1_log(public_key)))
    }

    /// The same key under another id, as a trusted root's `checkpointKeyId` may prescribe.
    #[must_use]
    pub const fn with_key_id(mut self, key_id: KeyId) -> Self {
        self.key_id = key_id;
        self
    }

    /// The name.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key id.
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// What kind of signatures it makes.
    pub const fn kind(&self) -> SignatureKind {
        self.kind
    }

    /// The public key.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The untruncated key id, 32 bytes: what version 2 logs call `logId.keyId`. It follows the
    /// kind's rule even if the short id was replaced.
    pub fn log_id(&self) -> [u8; 32] {
        key_digest(&self.name, self.kind, &self.public_key)
    }

    /// Checks a signature line's payload over a note's text; gives the timestamp in it.
    pub(crate) fn verify(&self, text: &str, payload: &[u8]) -> Result<Option<u64>, SignatureError> {
        let (timestamp, signature) = if self.kind.has_timestamp() {
            let (timestamp, signature) = payload
                .split_first_chunk::<8>()
                .ok_or(SignatureError::Invalid)?;
            (Some(u64::from_be_bytes(*timestamp)), signature)
        } else {
            (None, payload)
        };
        let signature = if self.kind == SignatureKind::Rfc6962 {
            digitally_signed(signature, self.public_key.kind()).ok_or(SignatureError::Invalid)?
        } else {
            signature
        };
        let message = signed_message(self.kind, &self.name, text, timestamp.unwrap_or(0))
            .ok_or(SignatureError::Invalid)?;
        self.verifier
            .verify(Input::Message(&message), signature)
            .map(|()| timestamp)
    }
}

impl SignatureKind {
    pub(crate) const fn has_timestamp(self) -> bool {
        matches!(self, Self::CosignatureV1 | Self::MlDsa44 | Self::Rfc6962)
    }
}

/// The message that a signature of this kind signs; `None` if the text is not a checkpoint, or the
/// timestamp is one that no signer may state.
pub(crate) fn signed_message(
    kind: SignatureKind,
    name: &KeyName,
    text: &str,
    timestamp: u64,
) -> Option<Vec<u8>> {
    if kind.has_timestamp() && i64::try_from(timestamp).is_err() {
        return None; // tlog-cosignature: at most 2^63 − 1
    }
    match kind {
        SignatureKind::Ed25519 | SignatureKind::Ecdsa | SignatureKind::RsaPkcs1 => {
            Some(text.as_bytes().to_vec())
        }
        SignatureKind::CosignatureV1 => {
            CheckpointText::parse(text).ok()?;
            Some(format!("cosignature/v1\ntime {timestamp}\n{text}").into_bytes())
        }
        SignatureKind::Rfc6962 => {
            let checkpoint = CheckpointText::parse(text).ok()?;
            // static-ct-api: such a checkpoint has no extension lines
            if !checkpoint.extensions().is_empty() {
                return None;
            }
            // RFC 6962 §3.5: version v1, signature type tree_hash
            let mut message = vec![0, 1];
            message.extend(timestamp.to_be_bytes());
            message.extend(checkpoint.tree_size().to_be_bytes());
            message.extend(checkpoint.root_hash());
            Some(message)
        }
        SignatureKind::MlDsa44 => {
            let checkpoint = CheckpointText::parse(text).ok()?;
            let mut message = b"subtree/v1\n\0".to_vec();
            short_vector(&mut message, name.as_str())?;
            message.extend(timestamp.to_be_bytes());
            short_vector(&mut message, checkpoint.origin().as_str())?;
            message.extend(0u64.to_be_bytes());
            message.extend(checkpoint.tree_size().to_be_bytes());
            message.extend(checkpoint.root_hash());
            Some(message)
        }
    }
}

fn short_vector(message: &mut Vec<u8>, text: &str) -> Option<()> {
    message.push(u8::try_from(text.len()).ok()?);
    message.extend(text.as_bytes());
    Some(())
}

/// The hash and signature bytes of a TLS `digitally-signed` (RFC 5246 §4.7): SHA-256 with ECDSA or
/// RSA.
pub(crate) const fn digitally_signed_prefix(key: KeyKind) -> Option<[u8; 2]> {
    match key {
        KeyKind::P256 => Some([4, 3]),
        KeyKind::Rsa => Some([4, 1]),
        _ => None,
    }
}

fn digitally_signed(bytes: &[u8], key: KeyKind) -> Option<&[u8]> {
    let (algorithm, rest) = bytes.split_first_chunk::<2>()?;
    let (length, signature) = rest.split_first_chunk::<2>()?;
    let fits = usize::from(u16::from_be_bytes(*length)) == signature.len();
    (fits && digitally_signed_prefix(key)? == *algorithm).then_some(signature)
}

impl fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteKey")
            .field("name", &self.name.as_str())
            .field("key_id", &self.key_id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for KeyId {
    /// Eight lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests;

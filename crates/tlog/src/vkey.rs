//! Verifier keys as text: `NAME+HEXID+BASE64(type ‖ key)` (signed-note §Verifier keys).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use waxseal_crypto::{CryptoProvider, KeyError, KeyKind, PublicKey};

use crate::note_key::RSA_IDENTIFIER;
use crate::{KeyId, KeyName, NameError, NoteKey, NoteKeyError, SignatureKind};

/// Longest vkey: an ML-DSA-44 key in base64, its name and id.
const MAX_VKEY_BYTES: usize = 4096;

/// Why a text is not a vkey.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VkeyError {
    /// Not `NAME+HEXID+BASE64`.
    #[error("malformed verifier key: expected NAME+KEYID+BASE64")]
    Malformed,
    /// The name cannot be one.
    #[error("the verifier key has a bad name")]
    BadName(#[source] NameError),
    /// The type byte is not among those of [`SignatureKind`].
    #[error("the verifier key is of the unknown type 0x{type_byte:02x}")]
    UnknownType {
        /// The type byte.
        type_byte: u8,
    },
    /// The key id is not the one that name, type and key give.
    #[error("the verifier key's id is {found}, and should be {expected}")]
    WrongKeyId {
        /// As the text says.
        found: KeyId,
        /// As it is computed.
        expected: KeyId,
    },
    /// The key's bytes are not a key.
    #[error(transparent)]
    BadKey(#[from] KeyError),
    /// The key is not one of its type, or the provider refuses it.
    #[error(transparent)]
    Key(#[from] NoteKeyError),
}

impl NoteKey {
    /// Parses a vkey.
    ///
    /// # Errors
    /// [`VkeyError`].
    pub fn from_vkey(provider: CryptoProvider, vkey: &str) -> Result<Self, VkeyError> {
        if vkey.len() > MAX_VKEY_BYTES {
            return Err(VkeyError::Malformed);
        }
        // The base64 may have a plus sign of its own.
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(VkeyError::Malformed);
        };
        let name = KeyName::new(name).map_err(VkeyError::BadName)?;
        let found = parse_id(id).ok_or(VkeyError::Malformed)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| VkeyError::Malformed)?;
        let (kind, public_key) = parse_typed_key(&bytes)?;
        let key = Self::new(provider, name, kind, &public_key)?;
        let expected = key.key_id();
        if found == expected {
            Ok(key)
        } else {
            Err(VkeyError::WrongKeyId { found, expected })
        }
    }

    /// The vkey of this key.
    pub fn to_vkey(&self) -> String {
        let typed = self.kind().typed_key(self.public_key());
        format!(
            "{}+{}+{}",
            self.name(),
            self.key_id(),
            STANDARD.encode(typed)
        )
    }
}

fn parse_id(text: &str) -> Option<KeyId> {
    let hex = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| u32::from_str_radix(text, 16).ok())
        .flatten()
        .map(|id| KeyId(id.to_be_bytes()))
}

fn parse_typed_key(bytes: &[u8]) -> Result<(SignatureKind, PublicKey), VkeyError> {
    let (type_byte, key) = bytes.split_first().ok_or(VkeyError::Malformed)?;
    let raw = |kind, key_kind| Ok((kind, PublicKey::from_key_bytes(key_kind, key)?));
    match type_byte {
        0x01 => raw(SignatureKind::Ed25519, KeyKind::Ed25519),
        0x02 => Ok((SignatureKind::Ecdsa, PublicKey::from_spki_der(key)?)),
        0x04 => raw(SignatureKind::CosignatureV1, KeyKind::Ed25519),
        0x05 => Ok((SignatureKind::Rfc6962, PublicKey::from_spki_der(key)?)),
        0x06 => raw(SignatureKind::MlDsa44, KeyKind::MlDsa44),
        0xff => {
            let spki = key
                .strip_prefix(RSA_IDENTIFIER)
                .ok_or(VkeyError::UnknownType { type_byte: 0xff })?;
            Ok((SignatureKind::RsaPkcs1, PublicKey::from_spki_der(spki)?))
        }
        type_byte => Err(VkeyError::UnknownType {
            type_byte: *type_byte,
        }),
    }
}

#[cfg(test)]
mod tests;

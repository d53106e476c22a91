//! Signing of notes: checkpoints by a log, cosignatures by a witness.

use std::sync::Arc;

use waxseal_crypto::{CryptoProvider, Input, PublicKey, SignError, Signer, Time};

use crate::note_key::{digitally_signed_prefix, key_digest, signed_message};
use crate::{
    KeyId, KeyName, NoteError, NoteKey, NoteKeyError, SignatureKind, SignatureLine, SignedNote,
};

/// A private key with the name, id and kind under which it signs notes.
#[derive(Clone)]
pub struct NoteSigner {
    name: KeyName,
    key_id: KeyId,
    kind: SignatureKind,
    signer: Arc<dyn Signer>,
}

/// Why a note was not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignNoteError {
    /// This kind of signature is made over checkpoints only, and the text is none (or has
    /// extension lines where there may be none, or the time lies before the epoch).
    #[error("a {kind:?} signature cannot be made over this text")]
    NotSignable {
        /// The kind.
        kind: SignatureKind,
    },
    /// The text or the number of signers does not make a note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The signer failed.
    #[error(transparent)]
    Signer(#[from] SignError),
}

impl NoteSigner {
    /// A signer whose key id follows its kind's rule.
    ///
    /// # Errors
    /// [`NoteKeyError::WrongKeyKind`] if the signer's key or algorithm is not the kind's.
    pub fn new(
        name: KeyName,
        kind: SignatureKind,
        signer: Arc<dyn Signer>,
    ) -> Result<Self, NoteKeyError> {
        let key = signer.public_key();
        let key_kind = key.kind();
        if kind.algorithm(key_kind)? != signer.algorithm() {
            return Err(NoteKeyError::WrongKeyKind {
                kind,
                key: key_kind,
            });
        }
        Ok(Self {
            key_id: KeyId::of(&name, kind, key),
            name,
            kind,
            signer,
        })
    }

    /// The signer of a version 1 log, with the key id [`KeyId::of_v1_log`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_v1_log(name: KeyName, signer: Arc<dyn Signer>) -> Result<Self, NoteKeyError> {
        let key_id = KeyId::of_v1_log(signer.public_key());
        let kind = SignatureKind::of_log(signer.public_key())?;
        Ok(Self {
            key_id,
            ..Self::new(name, kind, signer)?
        })
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

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    /// The untruncated key id: a version 2 log's `logId.keyId`.
    pub fn log_id(&self) -> [u8; 32] {
        key_digest(&self.name, self.kind, self.signer.public_key())
    }

    /// The key that opens what this signs.
    ///
    /// # Errors
    /// [`NoteKeyError::Refused`].
    pub fn note_key(&self, provider: CryptoProvider) -> Result<NoteKey, NoteKeyError> {
        let key = NoteKey::new(
            provider,
            self.name.clone(),
            self.kind,
            self.signer.public_key(),
        )?;
        Ok(key.with_key_id(self.key_id))
    }

    /// Makes a signature line for a text. `time` is stated by the kinds that state one, and
    /// ignored by the others.
    ///
    /// # Errors
    /// [`SignNoteError`].
    pub async fn sign(&self, text: &str, time: Time) -> Result<SignatureLine, SignNoteError> {
        let not_signable = || SignNoteError::NotSignable { kind: self.kind };
        let timestamp = match self.kind {
            SignatureKind::Rfc6962 => time.unix_millis(),
            kind if kind.has_timestamp() => {
                u64::try_from(time.unix_seconds()).map_err(|_| not_signable())?
            }
            _ => 0,
        };
        let message =
            signed_message(self.kind, &self.name, text, timestamp).ok_or_else(not_signable)?;
        let signature = self.signer.sign(Input::Message(&message)).await?;
        let mut payload = Vec::new();
        if self.kind.has_timestamp() {
            payload.extend(timestamp.to_be_bytes());
        }
        if self.kind == SignatureKind::Rfc6962 {
            let prefix = digitally_signed_prefix(self.signer.public_key().kind());
            let length = u16::try_from(signature.len()).map_err(|_| not_signable())?;
            payload.extend(prefix.ok_or_else(not_signable)?);
            payload.extend(length.to_be_bytes());
        }
        payload.extend(signature);
        Ok(SignatureLine::new(self.name.clone(), self.key_id, payload))
    }
}

/// Signs a text with every signer, in that order.
///
/// # Errors
/// [`SignNoteError`].
pub async fn sign_note(
    text: &str,
    time: Time,
    signers: &[&NoteSigner],
) -> Result<SignedNote, SignNoteError> {
    let mut lines = Vec::new();
    for signer in signers {
        lines.push(signer.sign(text, time).await?);
    }
    Ok(SignedNote::from_parts(text, lines)?)
}

impl std::fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoteSigner")
            .field("name", &self.name.as_str())
            .field("key_id", &self.key_id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

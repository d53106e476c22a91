//! Signed notes (c2sp.org/signed-note): text, a blank line, signature lines.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{CheckpointText, CheckpointTextError, KeyId, KeyName, NameError, NoteKey};

/// Largest note, in bytes: [`MAX_SIGNATURES`] post-quantum signatures of nearly 5 kB fit.
pub const MAX_NOTE_BYTES: usize = 512 * 1024;

/// Most signature lines of a note; the specification asks for at least 16.
pub const MAX_SIGNATURES: usize = 64;

/// A note whose signatures nobody has checked. Its text must not be believed before
/// [`Self::open`] or [`crate::Checkpoint::open`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<SignatureLine>,
}

/// One line below a note's text: `— NAME BASE64(key id ‖ signature)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    name: KeyName,
    key_id: KeyId,
    payload: Vec<u8>,
}

/// Why a text is not a signed note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// More than [`MAX_NOTE_BYTES`].
    #[error("a note has at most {MAX_NOTE_BYTES} bytes, found {length}")]
    TooLong {
        /// Bytes found.
        length: usize,
    },
    /// An ASCII control character other than the newline (signed-note §Format).
    #[error("a note has no control character other than the newline")]
    ControlCharacter,
    /// No blank line between a text and its signatures.
    #[error("the note has no blank line between its text and its signatures")]
    NoSeparator,
    /// There is no signature line.
    #[error("the note has no signature")]
    NoSignature,
    /// More than [`MAX_SIGNATURES`] signature lines.
    #[error("a note has at most {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// A line that is not `— NAME BASE64`, or is not ended by a newline.
    #[error("malformed signature line {line}")]
    MalformedSignature {
        /// Which signature line, from 0.
        line: usize,
    },
    /// A key name that cannot be one.
    #[error("signature line {line} has a bad key name")]
    BadKeyName {
        /// Which signature line, from 0.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// The text that is to be signed does not end in a newline, or has a blank line in it that
    /// would be taken for the separator.
    #[error("the text of a note ends in one newline")]
    BadText,
}

/// Why a note was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No signature line is of a known key (signed-note: MUST reject).
    #[error("the note is not signed by a known key")]
    NoKnownSignature,
    /// A known key's signature does not verify (signed-note: SHOULD reject the whole note).
    #[error("signature line {line} does not verify")]
    InvalidSignature {
        /// Which signature line, from 0.
        line: usize,
    },
    /// Two of the given keys have the same name and id, so that no line says which one it means.
    #[error("two of the known keys have the same name and key id")]
    AmbiguousKeys,
}

/// A note that at least one known key has signed, and no known key's signature failed.
#[derive(Debug, Clone)]
pub struct OpenedNote<'a> {
    text: &'a str,
    verified: Vec<VerifiedSignature>,
}

/// A signature line that verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedSignature {
    /// Which of the keys given to `open`.
    pub key: usize,
    /// Which signature line of the note, from 0.
    pub line: usize,
    /// The time that the signature states, for kinds that state one: seconds since the epoch, or
    /// milliseconds for [`crate::SignatureKind::Rfc6962`].
    pub timestamp: Option<u64>,
}

impl SignedNote {
    /// Parses a note.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong { length: note.len() });
        }
        check_characters(note)?;
        let separator = note.rfind("\n\n").ok_or(NoteError::NoSeparator)?;
        let (text, rest) = note
            .split_at_checked(separator + 1)
            .ok_or(NoteError::NoSeparator)?;
        let lines = rest.strip_prefix('\n').ok_or(NoteError::NoSeparator)?;
        if lines.is_empty() {
            return Err(NoteError::NoSignature);
        }
        Ok(Self {
            text: text.to_owned(),
            signatures: SignatureLine::parse_all(lines)?,
        })
    }

    /// A note from a text and signature lines made for it.
    ///
    /// # Errors
    /// [`NoteError`]: what [`Self::parse`] would not read is not written.
    pub fn from_parts(text: &str, signatures: Vec<SignatureLine>) -> Result<Self, NoteError> {
        check_characters(text)?;
        if !text.ends_with('\n') || text.ends_with("\n\n") || text == "\n" {
            return Err(NoteError::BadText);
        }
        match signatures.len() {
            0 => Err(NoteError::NoSignature),
            count if count > MAX_SIGNATURES => Err(NoteError::TooManySignatures),
            _ => Ok(Self {
                text: text.to_owned(),
                signatures,
            }),
        }
    }

    /// The text, its final newline included. **Unverified.**
    pub fn unverified_text(&self) -> &str {
        &self.text
    }

    /// The text read as a checkpoint. **Unverified**: to learn which log's key to ask for.
    ///
    /// # Errors
    /// [`CheckpointTextError`].
    pub fn unverified_checkpoint(&self) -> Result<CheckpointText, CheckpointTextError> {
        CheckpointText::parse(&self.text)
    }

    /// The signature lines, none of them verified.
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// Adds signature lines, for example cosignatures.
    ///
    /// # Errors
    /// [`NoteError::TooManySignatures`].
    pub fn extend(&mut self, lines: Vec<SignatureLine>) -> Result<(), NoteError> {
        if self.signatures.len() + lines.len() > MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        self.signatures.extend(lines);
        Ok(())
    }

    /// Checks every signature line of a known key. Lines of unknown keys are ignored, even if they
    /// share a name or a key id with a known one. At most [`MAX_SIGNATURES`] checks are made.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, keys: &[&NoteKey]) -> Result<OpenedNote<'_>, OpenError> {
        let mut verified = Vec::new();
        for (line, signature) in self.signatures.iter().enumerate() {
            let mut known = keys
                .iter()
                .enumerate()
                .filter(|(_, key)| signature.is_by(key));
            let Some((key, note_key)) = known.next() else {
                continue;
            };
            if known.next().is_some() {
                return Err(OpenError::AmbiguousKeys);
            }
            let timestamp = note_key
                .verify(&self.text, &signature.payload)
                .map_err(|_| OpenError::InvalidSignature { line })?;
            verified.push(VerifiedSignature {
                key,
                line,
                timestamp,
            });
        }
        if verified.is_empty() {
            return Err(OpenError::NoKnownSignature);
        }
        Ok(OpenedNote {
            text: &self.text,
            verified,
        })
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| line.fmt(f))
    }
}

impl<'a> OpenedNote<'a> {
    /// The text, its final newline included.
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// The signature lines that verified, in the order of the note.
    pub fn verified(&self) -> &[VerifiedSignature] {
        &self.verified
    }
}

impl SignatureLine {
    /// A line from its parts; `payload` is what follows the key id.
    pub const fn new(name: KeyName, key_id: KeyId, payload: Vec<u8>) -> Self {
        Self {
            name,
            key_id,
            payload,
        }
    }

    /// Whose key the line claims to be of.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// Which of the keys of that name.
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// What follows the key id: a signature, for some kinds after a timestamp.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Whether name and key id are those of `key`.
    pub fn is_by(&self, key: &NoteKey) -> bool {
        self.key_id == key.key_id() && self.name == *key.name()
    }

    /// Parses lines that each end in a newline.
    pub(crate) fn parse_all(text: &str) -> Result<Vec<Self>, NoteError> {
        let mut lines = Vec::new();
        for (line, text) in text.split_inclusive('\n').enumerate() {
            if line == MAX_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            lines.push(Self::parse(text, line)?);
        }
        Ok(lines)
    }

    fn parse(text: &str, line: usize) -> Result<Self, NoteError> {
        let malformed = NoteError::MalformedSignature { line };
        let (name, encoded) = text
            .strip_prefix("— ")
            .and_then(|text| text.strip_suffix('\n'))
            .and_then(|text| text.split_once(' '))
            .ok_or(malformed)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| malformed)?;
        let (key_id, payload) = bytes.split_first_chunk::<4>().ok_or(malformed)?;
        if payload.is_empty() {
            return Err(malformed);
        }
        let name = KeyName::new(name).map_err(|source| NoteError::BadKeyName { line, source })?;
        Ok(Self::new(name, KeyId(*key_id), payload.to_vec()))
    }
}

impl fmt::Display for SignatureLine {
    /// The line with its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.key_id.0[..], &self.payload].concat();
        writeln!(f, "— {} {}", self.name, STANDARD.encode(bytes))
    }
}

fn check_characters(text: &str) -> Result<(), NoteError> {
    if text.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        Err(NoteError::ControlCharacter)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;

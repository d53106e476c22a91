//! The bodies of log entries: what the log's leaf hash covers, by kind and version.
//!
//! They are read strictly, unknown fields refused: what a log has signed must mean what it says.

mod v1;
mod v2;

pub use v1::{DsseV001, HashedRekordV001, IntotoSignature, IntotoV001, IntotoV002, PemSignature};
pub use v2::{DsseV002, HashedRekordV002, Signature, Verifier, VerifierKey};

use crate::json::{Limits, parse};
use crate::protojson::{FieldError, Message};

/// The longest body that is read; entries of v2 end at 64 KiB, those of v1 are larger when a
/// statement is part of the entry.
pub const MAX_BODY_BYTES: usize = 16 << 20;
/// The most signatures in one body (Rekor v2's limit).
pub const MAX_BODY_SIGNATURES: usize = 10;

/// Why a log entry's body is not one that is read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The kind or its version is not one of the six that are known.
    #[error("unsupported log entry kind `{kind}` {version}")]
    UnsupportedKind {
        /// The kind, cut to 64 characters.
        kind: String,
        /// The version, cut to 64 characters.
        version: String,
    },
    /// The body calls itself another kind or version than the entry does.
    #[error("the log entry's body calls itself `{kind}` {version}")]
    KindMismatch {
        /// The kind in the body, cut to 64 characters.
        kind: String,
        /// The version in the body, cut to 64 characters.
        version: String,
    },
    /// The body is not strict JSON, or a field is missing, malformed or unknown.
    #[error("the log entry's body is malformed: {0}")]
    Field(#[from] FieldError),
    /// A digest is not lower-case hexadecimal.
    #[error("the log entry's body is malformed: field `{field}` is not hexadecimal")]
    Hex {
        /// The field.
        field: &'static str,
    },
}

/// A body.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// `hashedrekord` 0.0.1: a signature over a digest.
    HashedRekordV001(HashedRekordV001),
    /// `hashedrekord` 0.0.2: a signature over a digest.
    HashedRekordV002(HashedRekordV002),
    /// `dsse` 0.0.1: the signatures of an envelope.
    DsseV001(DsseV001),
    /// `dsse` 0.0.2: the signatures of an envelope.
    DsseV002(DsseV002),
    /// `intoto` 0.0.1: an envelope's hash and the key.
    IntotoV001(IntotoV001),
    /// `intoto` 0.0.2: the signatures of an envelope, and its hash.
    IntotoV002(IntotoV002),
}

impl Body {
    /// Reads the body of an entry that says it is of `kind` and `version`.
    ///
    /// # Errors
    /// [`EntryError::UnsupportedKind`] before the body is looked at; the other variants if it
    /// is not of that kind.
    pub fn parse(kind: &str, version: &str, body: &[u8]) -> Result<Self, EntryError> {
        let read: fn(Message<'_, '_>) -> Result<Self, EntryError> = match (kind, version) {
            ("hashedrekord", "0.0.1") => |spec| v1::hashed_rekord(spec).map(Self::HashedRekordV001),
            ("hashedrekord", "0.0.2") => |spec| v2::hashed_rekord(spec).map(Self::HashedRekordV002),
            ("dsse", "0.0.1") => |spec| v1::dsse(spec).map(Self::DsseV001),
            ("dsse", "0.0.2") => |spec| v2::dsse(spec).map(Self::DsseV002),
            ("intoto", "0.0.1") => |spec| v1::intoto_v001(spec).map(Self::IntotoV001),
            ("intoto", "0.0.2") => |spec| v1::intoto_v002(spec).map(Self::IntotoV002),
            _ => {
                return Err(EntryError::UnsupportedKind {
                    kind: cut(kind),
                    version: cut(version),
                });
            }
        };
        let limits = Limits {
            bytes: MAX_BODY_BYTES,
            values: 1000,
        };
        let value = parse(body, limits).map_err(FieldError::from)?;
        let message = Message::of(&value, "body")?;
        message.only(&["kind", "apiVersion", "spec"])?;
        let (found_kind, found_version) = (message.str("kind")?, message.str("apiVersion")?);
        if (found_kind, found_version) != (kind, version) {
            return Err(EntryError::KindMismatch {
                kind: cut(found_kind),
                version: cut(found_version),
            });
        }
        read(message.required("spec")?)
    }

    /// The kind and version.
    pub const fn kind_version(&self) -> (&'static str, &'static str) {
        match self {
            Self::HashedRekordV001(_) => ("hashedrekord", "0.0.1"),
            Self::HashedRekordV002(_) => ("hashedrekord", "0.0.2"),
            Self::DsseV001(_) => ("dsse", "0.0.1"),
            Self::DsseV002(_) => ("dsse", "0.0.2"),
            Self::IntotoV001(_) => ("intoto", "0.0.1"),
            Self::IntotoV002(_) => ("intoto", "0.0.2"),
        }
    }

    /// The body as a log of v2 stores it, RFC 8785 JSON; `None` for the other kinds, which this
    /// crate reads only.
    pub fn encode_canonical(&self) -> Option<Vec<u8>> {
        match self {
            Self::HashedRekordV002(body) => Some(body.encode_canonical()),
            Self::DsseV002(body) => Some(body.encode_canonical()),
            _ => None,
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests;

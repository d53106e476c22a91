//! Checkpoints (c2sp.org/tlog-checkpoint): origin, tree size, root hash; written, read, opened.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{Hash, NameError, NoteKey, OpenError, Origin, SignedNote, empty_root};

/// The text of a checkpoint: what a log signs. By itself it proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointText {
    origin: Origin,
    tree_size: u64,
    root_hash: Hash,
    extensions: Vec<String>,
}

/// A checkpoint that its log has signed: it can only be had by [`Checkpoint::open`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    text: CheckpointText,
    cosignatures: Vec<Cosignature>,
}

/// A verified cosignature of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cosignature {
    /// Which of the cosigner keys given to [`Checkpoint::open`].
    pub cosigner: usize,
    /// When the cosigner saw this as the largest consistent tree: seconds since the epoch. Zero
    /// states no time.
    pub timestamp: u64,
}

/// A log as a verifier knows it: its key, and how its origin is bound to that key.
#[derive(Debug)]
pub struct LogKey {
    /// The key that signs the checkpoints.
    pub key: NoteKey,
    /// What the first line of a checkpoint must say.
    pub origin: OriginRule,
}

/// How the origin of a checkpoint is bound to the log's key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginRule {
    /// The origin is the name of the key: all logs of the C2SP formats, version 2 logs among them.
    KeyName,
    /// The origin is `NAME - TREE-ID`, where the tree id is a decimal number without leading
    /// zeros: version 1 logs. The tree id is not known in advance, but the key signs one log only.
    KeyNameAndTreeId,
    /// The origin is this one.
    Exactly(Origin),
}

/// Why a text is not that of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointTextError {
    /// The first line is missing or not an origin.
    #[error("the checkpoint has a bad origin")]
    BadOrigin(#[source] NameError),
    /// The second line is missing or not a decimal number below 2^64 without leading zeros.
    #[error("the checkpoint has no tree size on its second line")]
    BadTreeSize,
    /// The third line is missing or not the base64 of 32 bytes.
    #[error("the checkpoint has no root hash on its third line")]
    BadRootHash,
    /// The tree is empty, and the root hash is not that of the empty tree.
    #[error("the root hash of an empty tree is SHA-256 of nothing")]
    WrongEmptyRoot,
    /// Extension lines are not empty.
    #[error("the checkpoint has an empty extension line")]
    EmptyExtension,
    /// The last line has no newline.
    #[error("the checkpoint's last line has no newline")]
    Unterminated,
}

/// Why a note is not a checkpoint of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The log's key did not sign the note.
    #[error("the checkpoint is not signed by the log")]
    NotSignedByLog,
    /// Signatures were not accepted.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What was signed is not a checkpoint.
    #[error(transparent)]
    Text(#[from] CheckpointTextError),
    /// The log's key signed a checkpoint with an origin that is not the log's.
    #[error("the checkpoint's origin is not that of the log")]
    WrongOrigin,
}

impl Checkpoint {
    /// Opens a note as a checkpoint of `log`, and checks the cosignatures of the known
    /// `cosigners` on it. Lines of other keys are ignored.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(
        note: &SignedNote,
        log: &LogKey,
        cosigners: &[&NoteKey],
    ) -> Result<Self, CheckpointError> {
        let keys: Vec<_> = std::iter::once(&log.key)
            .chain(cosigners.iter().copied())
            .collect();
        let opened = note.open(&keys)?;
        if !opened.verified().iter().any(|signature| signature.key == 0) {
            return Err(CheckpointError::NotSignedByLog);
        }
        let text = CheckpointText::parse(opened.text())?;
        if !log.origin.allows(log.key.name().as_str(), text.origin()) {
            return Err(CheckpointError::WrongOrigin);
        }
        let cosignatures = opened
            .verified()
            .iter()
            .filter_map(|signature| {
                Some(Cosignature {
                    cosigner: signature.key.checked_sub(1)?,
                    timestamp: signature.timestamp?,
                })
            })
            .collect();
        Ok(Self { text, cosignatures })
    }

    /// The log.
    pub const fn origin(&self) -> &Origin {
        &self.text.origin
    }

    /// Number of leaves.
    pub const fn tree_size(&self) -> u64 {
        self.text.tree_size
    }

    /// The root hash of the tree.
    pub const fn root_hash(&self) -> &Hash {
        &self.text.root_hash
    }

    /// The signed text.
    pub const fn text(&self) -> &CheckpointText {
        &self.text
    }

    /// The cosignatures that verified, in the order of the note.
    pub fn cosignatures(&self) -> &[Cosignature] {
        &self.cosignatures
    }
}

impl LogKey {
    /// A log whose origin is its key's name: every log of the C2SP formats.
    pub const fn new(key: NoteKey) -> Self {
        Self {
            key,
            origin: OriginRule::KeyName,
        }
    }

    /// A version 1 log: see [`NoteKey::of_v1_log`] for its key.
    pub const fn v1(key: NoteKey) -> Self {
        Self {
            key,
            origin: OriginRule::KeyNameAndTreeId,
        }
    }
}

impl OriginRule {
    fn allows(&self, key_name: &str, origin: &Origin) -> bool {
        match self {
            Self::KeyName => origin.as_str() == key_name,
            Self::Exactly(expected) => origin == expected,
            Self::KeyNameAndTreeId => origin
                .as_str()
                .strip_prefix(key_name)
                .and_then(|rest| rest.strip_prefix(" - "))
                .is_some_and(|tree_id| parse_decimal(tree_id).is_some()),
        }
    }
}

impl CheckpointText {
    /// A checkpoint without extension lines.
    pub const fn new(origin: Origin, tree_size: u64, root_hash: Hash) -> Self {
        Self {
            origin,
            tree_size,
            root_hash,
            extensions: Vec::new(),
        }
    }

    /// Parses the text of a note, its final newline included.
    ///
    /// # Errors
    /// [`CheckpointTextError`].
    pub fn parse(text: &str) -> Result<Self, CheckpointTextError> {
        let body = text
            .strip_suffix('\n')
            .ok_or(CheckpointTextError::Unterminated)?;
        let mut lines = body.split('\n');
        let origin = Origin::new(lines.next().unwrap_or_default())
            .map_err(CheckpointTextError::BadOrigin)?;
        let tree_size = lines
            .next()
            .and_then(parse_decimal)
            .ok_or(CheckpointTextError::BadTreeSize)?;
        let root_hash = lines
            .next()
            .and_then(parse_hash)
            .ok_or(CheckpointTextError::BadRootHash)?;
        if tree_size == 0 && root_hash != empty_root() {
            return Err(CheckpointTextError::WrongEmptyRoot);
        }
        let extensions: Vec<_> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(CheckpointTextError::EmptyExtension);
        }
        Ok(Self {
            origin,
            tree_size,
            root_hash,
            extensions,
        })
    }

    /// The log's name.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Number of leaves.
    pub const fn tree_size(&self) -> u64 {
        self.tree_size
    }

    /// The root hash of the tree.
    pub const fn root_hash(&self) -> &Hash {
        &self.root_hash
    }

    /// Lines after the third. Nothing is known about their meaning.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }
}

impl fmt::Display for CheckpointText {
    /// The text with its final newline: what is signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root_hash = STANDARD.encode(self.root_hash);
        write!(f, "{}\n{}\n{root_hash}\n", self.origin, self.tree_size)?;
        self.extensions
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A decimal number as the formats write it: no sign, no leading zeros.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

/// The base64 of a hash.
pub(crate) fn parse_hash(text: &str) -> Option<Hash> {
    // 44 characters; anything else is not worth decoding
    (text.len() == 44)
        .then(|| STANDARD.decode(text).ok())
        .flatten()
        .and_then(|bytes| bytes.try_into().ok())
}

#[cfg(test)]
mod tests;

//! Names: of a log (its origin) and of a key on a signature line.

use std::fmt;

/// Longest origin and key name: cosignatures with ML-DSA-44 give them one byte of length
/// (c2sp.org/tlog-cosignature), and no published name comes near it.
const MAX_NAME_BYTES: usize = 255;

/// A log's name: the first line of its checkpoints. It is compared byte for byte and is never a
/// pattern (V-44).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

/// The name of a key: what stands on a signature line before the signature. It is compared byte for
/// byte and is never a pattern (V-44).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

/// Why a text is not an origin or a key name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Names are not empty (signed-note, tlog-checkpoint).
    #[error("the name is empty")]
    Empty,
    /// Names have at most 255 bytes.
    #[error("a name has at most 255 bytes, found {length}")]
    TooLong {
        /// Bytes found.
        length: usize,
    },
    /// A control character, or in a key name a Unicode space or `+` (signed-note).
    #[error("the name has a character that is not allowed there: U+{:04X}", u32::from(*character))]
    BadCharacter {
        /// The first such character.
        character: char,
    },
}

impl Origin {
    /// A log's name. Spaces are allowed: version 1 logs write `HOST - TREE-ID`.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn new(origin: &str) -> Result<Self, NameError> {
        check(origin, char::is_control)?;
        Ok(Self(origin.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeyName {
    /// A key's name.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn new(name: &str) -> Result<Self, NameError> {
        check(name, |c| c.is_control() || c.is_whitespace() || c == '+')?;
        Ok(Self(name.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(name: &str, forbidden: impl Fn(char) -> bool) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong { length: name.len() });
    }
    match name.chars().find(|c| forbidden(*c)) {
        Some(character) => Err(NameError::BadCharacter { character }),
        None => Ok(()),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty() {
        assert_eq!(Origin::new(""), Err(NameError::Empty));
        assert_eq!(KeyName::new(""), Err(NameError::Empty));
    }

    #[test]
    fn too_long() {
        let error = NameError::TooLong { length: 256 };
        assert_eq!(Origin::new(&"a".repeat(256)), Err(error));
        assert_eq!(KeyName::new(&"a".repeat(256)), Err(error));
        assert!(Origin::new(&"a".repeat(255)).is_ok());
    }

    #[test]
    fn bad_character() {
        let bad = |character| NameError::BadCharacter { character };
        for character in ['\n', '\r', '\0', '\u{7f}'] {
            let name = format!("a{character}b");
            assert_eq!(Origin::new(&name), Err(bad(character)));
            assert_eq!(KeyName::new(&name), Err(bad(character)));
        }
        for character in ['+', ' ', '\u{a0}', '\u{2003}', '\u{3000}'] {
            assert_eq!(KeyName::new(&format!("a{character}b")), Err(bad(character)));
        }
        assert!(Origin::new("rekor.example - 1193050959916656506").is_ok());
    }

    #[test]
    fn v_44_a_name_is_never_a_pattern() {
        for name in ["(.*)*x", "(", "[a-", "\\"] {
            assert_eq!(KeyName::new(name).unwrap().as_str(), name);
        }
    }
}

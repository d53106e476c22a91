//! Entry bundles: up to 256 entries, each after its length (c2sp.org/tlog-tiles).

use crate::{Hash, TILE_WIDTH, leaf_hash};

/// The longest entry that a bundle can hold: its length is two bytes (S-20).
pub const MAX_ENTRY_BYTES: usize = 65_535;

/// The entries of one bundle, in the order of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EntryBundle {
    entries: Vec<Vec<u8>>,
}

/// Why bytes are not an entry bundle, or entries do not make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryBundleError {
    /// A length, or the entry after it, is cut off.
    #[error("the entry bundle ends inside entry {position}")]
    Truncated {
        /// Which entry, from 0.
        position: usize,
    },
    /// The bundle has another number of entries than its path says.
    #[error("the entry bundle has {found} entries, expected {expected}")]
    WrongWidth {
        /// As the path says.
        expected: u16,
        /// How many there are, at least.
        found: usize,
    },
    /// An entry is longer than [`MAX_ENTRY_BYTES`].
    #[error("an entry of {length} bytes does not fit a bundle")]
    EntryTooLong {
        /// Its length.
        length: usize,
    },
    /// A bundle has at most 256 entries.
    #[error("an entry bundle holds at most 256 entries")]
    Full,
}

impl EntryBundle {
    /// An empty bundle.
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Parses a bundle that must have exactly `width` entries and no byte more.
    ///
    /// # Errors
    /// [`EntryBundleError::Truncated`] or [`EntryBundleError::WrongWidth`].
    pub fn parse(bytes: &[u8], width: u16) -> Result<Self, EntryBundleError> {
        let mut entries = Vec::new();
        for (position, entry) in Self::split(bytes).enumerate() {
            if position == usize::from(width) {
                return Err(EntryBundleError::WrongWidth {
                    expected: width,
                    found: position + 1,
                });
            }
            entries.push(entry?.to_vec());
        }
        if entries.len() == usize::from(width) {
            Ok(Self { entries })
        } else {
            Err(EntryBundleError::WrongWidth {
                expected: width,
                found: entries.len(),
            })
        }
    }

    /// The entries of a bundle one after the other, borrowed: for who wants a few of them. How many
    /// there are is not checked. It ends behind an error.
    pub fn split(bytes: &[u8]) -> impl Iterator<Item = Result<&[u8], EntryBundleError>> {
        let mut rest = bytes;
        let mut position = 0;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let Some((entry, after)) = split_entry(rest) else {
                rest = &[];
                return Some(Err(EntryBundleError::Truncated { position }));
            };
            rest = after;
            position += 1;
            Some(Ok(entry))
        })
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// [`EntryBundleError::EntryTooLong`] or [`EntryBundleError::Full`].
    pub fn push(&mut self, entry: Vec<u8>) -> Result<(), EntryBundleError> {
        if entry.len() > MAX_ENTRY_BYTES {
            return Err(EntryBundleError::EntryTooLong {
                length: entry.len(),
            });
        }
        if self.entries.len() >= usize::from(TILE_WIDTH) {
            return Err(EntryBundleError::Full);
        }
        self.entries.push(entry);
        Ok(())
    }

    /// The entries.
    pub fn entries(&self) -> &[Vec<u8>] {
        &self.entries
    }

    /// The leaf hashes of the entries: what the tile of level 0 with the same index must hold.
    pub fn leaf_hashes(&self) -> Vec<Hash> {
        self.entries.iter().map(|entry| leaf_hash(entry)).collect()
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in &self.entries {
            // `push` and `parse` keep every entry within two bytes of length.
            let length = u16::try_from(entry.len()).unwrap_or(u16::MAX);
            bytes.extend(length.to_be_bytes());
            bytes.extend(entry);
        }
        bytes
    }
}

fn split_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_a_round_trip() {
        let mut bundle = EntryBundle::new();
        for entry in [b"one".to_vec(), Vec::new(), vec![7; 300]] {
            bundle.push(entry).unwrap();
        }
        assert_eq!(EntryBundle::parse(&bundle.encode(), 3), Ok(bundle));
    }

    #[test]
    fn truncated() {
        let mut bundle = EntryBundle::new();
        bundle.push(b"one".to_vec()).unwrap();
        bundle.push(b"two".to_vec()).unwrap();
        let bytes = bundle.encode();
        for cut in (1..5).chain(6..10) {
            let position = usize::from(cut > 5);
            let error = EntryBundleError::Truncated { position };
            assert_eq!(EntryBundle::parse(&bytes[..cut], 2), Err(error), "{cut}");
        }
    }

    #[test]
    fn split_ends_behind_what_is_cut_off() {
        let mut bundle = EntryBundle::new();
        bundle.push(b"one".to_vec()).unwrap();
        bundle.push(Vec::new()).unwrap();
        let mut bytes = bundle.encode();
        let split = |bytes: &[u8]| -> Vec<_> {
            let split = EntryBundle::split(bytes);
            split.map(|entry| entry.map(<[u8]>::to_vec)).collect()
        };
        assert_eq!(split(&bytes), [Ok(b"one".to_vec()), Ok(Vec::new())]);
        assert_eq!(split(&[]), []);
        bytes.extend([0, 2, 7]);
        let error = EntryBundleError::Truncated { position: 2 };
        assert_eq!(split(&bytes)[2..], [Err(error)]);
    }

    #[test]
    fn wrong_width() {
        let mut bundle = EntryBundle::new();
        bundle.push(b"one".to_vec()).unwrap();
        let bytes = [bundle.encode(), bundle.encode()].concat();
        let wrong = |expected, found| Err(EntryBundleError::WrongWidth { expected, found });
        assert_eq!(EntryBundle::parse(&bytes, 1), wrong(1, 2));
        assert_eq!(EntryBundle::parse(&bytes, 3), wrong(3, 2));
        assert_eq!(EntryBundle::parse(&[], 1), wrong(1, 0));
        assert!(EntryBundle::parse(&bytes, 2).is_ok());
    }

    #[test]
    fn s_20_entry_too_long() {
        for length in [65_534, 65_535] {
            let mut bundle = EntryBundle::new();
            bundle.push(vec![1; length]).unwrap();
            bundle.push(b"next".to_vec()).unwrap();
            assert_eq!(EntryBundle::parse(&bundle.encode(), 2), Ok(bundle));
        }
        let length = 65_536;
        let error = EntryBundleError::EntryTooLong { length };
        assert_eq!(EntryBundle::new().push(vec![1; length]), Err(error));
    }

    #[test]
    fn full() {
        let mut bundle = EntryBundle::new();
        for _ in 0..256 {
            bundle.push(Vec::new()).unwrap();
        }
        assert_eq!(bundle.push(Vec::new()), Err(EntryBundleError::Full));
        assert_eq!(EntryBundle::parse(&bundle.encode(), 256), Ok(bundle));
    }
}

//! Data tiles of static-ct-api: up to 256 entries of a CT log, each with its issuers.

/// The entries of one data tile, as far as a reader of the tree needs them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DataBundle {
    entries: Vec<DataEntry>,
}

/// One entry of a CT log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DataEntry {
    /// The leaf of the tree: `MerkleTreeLeaf` (RFC 6962 §3.4).
    pub leaf: Vec<u8>,
    /// SHA-256 of each certificate of its chain, which is at `issuer/<hex>`.
    pub issuers: Vec<[u8; 32]>,
}

/// Why bytes are not a data tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataBundleError {
    /// An entry is cut off, of an unknown type, or has a fingerprint that is not 32 bytes.
    #[error("entry {position} of the data tile is malformed")]
    Malformed {
        /// Which entry, from 0.
        position: usize,
    },
    /// There are bytes after the last entry.
    #[error("the data tile goes on after its {width} entries")]
    TooLong {
        /// As the path says.
        width: u16,
    },
}

impl DataBundle {
    /// Parses a tile that must have exactly `width` entries and no byte more.
    ///
    /// # Errors
    /// [`DataBundleError`].
    pub fn parse(bytes: &[u8], width: u16) -> Result<Self, DataBundleError> {
        let mut entries = Vec::new();
        let mut rest = bytes;
        for position in 0..usize::from(width) {
            let (entry, after) = split(rest).ok_or(DataBundleError::Malformed { position })?;
            entries.push(entry);
            rest = after;
        }
        if rest.is_empty() {
            Ok(Self { entries })
        } else {
            Err(DataBundleError::TooLong { width })
        }
    }

    /// The entries.
    pub fn entries(&self) -> &[DataEntry] {
        &self.entries
    }
}

/// The first `TileLeaf`, and what follows it.
fn split(bytes: &[u8]) -> Option<(DataEntry, &[u8])> {
    let (_, rest) = bytes.split_first_chunk::<8>()?; // timestamp
    let (kind, rest) = rest.split_first_chunk::<2>()?;
    let is_precertificate = match kind {
        [0, 0] => false,
        [0, 1] => true,
        _ => return None,
    };
    let issuer_key_hash = if is_precertificate { 32 } else { 0 };
    let (_, rest) = rest.split_at_checked(issuer_key_hash)?;
    let (_, rest) = opaque::<3>(rest)?; // certificate, or TBSCertificate
    let (_, rest) = opaque::<2>(rest)?; // extensions
    let (timestamped, _) = bytes.split_at_checked(bytes.len() - rest.len())?;
    let rest = if is_precertificate {
        opaque::<3>(rest)?.1
    } else {
        rest
    };
    let (fingerprints, rest) = opaque::<2>(rest)?;
    let (issuers, odd) = fingerprints.as_chunks::<32>();
    if !odd.is_empty() {
        return None;
    }
    let entry = DataEntry {
        leaf: [&[0, 0], timestamped].concat(), // version v1, timestamped_entry
        issuers: issuers.to_vec(),
    };
    Some((entry, rest))
}

/// Takes an `opaque` with a length of `N` bytes off.
fn opaque<const N: usize>(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<N>()?;
    let length = length
        .iter()
        .fold(0usize, |length, byte| (length << 8) | usize::from(*byte));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: u8) -> Vec<u8> {
        let mut bytes = 7u64.to_be_bytes().to_vec();
        bytes.extend([0, kind]);
        if kind == 1 {
            bytes.extend([9; 32]);
        }
        bytes.extend([0, 0, 3]);
        bytes.extend(b"tbs");
        bytes.extend([0, 2, 5, 5]);
        if kind == 1 {
            bytes.extend([0, 0, 1, 6]);
        }
        bytes.extend([0, 64]);
        bytes.extend([3; 64]);
        bytes
    }

    #[test]
    fn leaves_and_issuers() {
        let bytes = [entry(0), entry(1)].concat();
        let bundle = DataBundle::parse(&bytes, 2).unwrap();
        let [certificate, precertificate] = bundle.entries() else {
            panic!("two entries");
        };
        assert_eq!(certificate.leaf[..2], [0, 0]);
        assert_eq!(certificate.leaf[2..], entry(0)[..8 + 2 + 6 + 4]);
        assert_eq!(precertificate.leaf[2..], entry(1)[..8 + 2 + 32 + 6 + 4]);
        assert_eq!(certificate.issuers, [[3; 32]; 2]);
    }

    #[test]
    fn malformed() {
        for kind in [0, 1] {
            let bytes = entry(kind);
            for cut in 0..bytes.len() {
                let error = DataBundleError::Malformed { position: 0 };
                assert_eq!(DataBundle::parse(&bytes[..cut], 1), Err(error), "{cut}");
            }
            let second = DataBundleError::Malformed { position: 1 };
            assert_eq!(DataBundle::parse(&bytes, 2), Err(second));
        }
        assert!(DataBundle::parse(&entry(2), 1).is_err());
    }

    #[test]
    fn too_long() {
        let bytes = [entry(0), entry(1)].concat();
        let error = DataBundleError::TooLong { width: 1 };
        assert_eq!(DataBundle::parse(&bytes, 1), Err(error));
    }
}

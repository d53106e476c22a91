//! What a CT log stores for an entry: `TileLeaf` of static-ct-api.

/// A parsed entry of a data tile; it borrows from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TileLeaf<'a> {
    /// Milliseconds since the epoch.
    pub(super) timestamp: u64,
    /// `CtExtensions`, with the leaf index.
    pub(super) extensions: &'a [u8],
    /// `TimestampedEntry`: what the tree's leaf is made of.
    timestamped: &'a [u8],
    /// Entry type and signed entry: what is the same in every copy of the certificate.
    identity: &'a [u8],
    /// Of the chain above the certificate.
    fingerprints: &'a [u8],
}

impl<'a> TileLeaf<'a> {
    /// The first entry in the bytes, and what follows it; `None` if it is malformed.
    pub(super) fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (timestamp, after_time) = bytes.split_first_chunk::<8>()?;
        let (kind, rest) = after_time.split_first_chunk::<2>()?;
        let rest = match kind {
            [0, 0] => rest,
            [0, 1] => rest.split_at_checked(32)?.1,
            _ => return None,
        };
        let (_, after_entry) = split_long(rest)?;
        let (identity, _) = after_time.split_at_checked(after_time.len() - after_entry.len())?;
        let (extensions, after) = split_short(after_entry)?;
        let (timestamped, _) = bytes.split_at_checked(bytes.len() - after.len())?;
        let after = match kind {
            [0, 1] => split_long(after)?.1,
            _ => after,
        };
        let (fingerprints, rest) = split_short(after)?;
        if fingerprints.len() % 32 != 0 {
            return None;
        }
        let leaf = Self {
            timestamp: u64::from_be_bytes(*timestamp),
            extensions,
            timestamped,
            identity,
            fingerprints,
        };
        Some((leaf, rest))
    }

    /// `MerkleTreeLeaf`: version v1, `timestamped_entry` (RFC 6962 §3.4).
    pub(super) fn merkle_tree_leaf(&self) -> Vec<u8> {
        [&[0, 0], self.timestamped].concat()
    }

    /// The SHA-256 of every certificate of the chain above it.
    pub(super) fn fingerprints(&self) -> &'a [[u8; 32]] {
        self.fingerprints.as_chunks().0
    }

    /// Entry type and signed entry.
    pub(super) const fn identity(&self) -> &'a [u8] {
        self.identity
    }
}

/// Takes an `opaque<0..2^24-1>` off.
fn split_long(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([a, b, c], rest) = bytes.split_first_chunk::<3>()?;
    let length = u32::from_be_bytes([0, *a, *b, *c]);
    rest.split_at_checked(usize::try_from(length).ok()?)
}

/// Takes an `opaque<0..2^16-1>` off.
fn split_short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Appends an `opaque<0..2^24-1>`; `None` if it does not fit.
pub(super) fn push_long(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    let [0, length @ ..] = u32::try_from(bytes.len()).ok()?.to_be_bytes() else {
        return None;
    };
    out.extend(length);
    out.extend(bytes);
    Some(())
}

/// Appends an `opaque<0..2^16-1>`; `None` if it does not fit.
pub(super) fn push_short(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.extend(u16::try_from(bytes.len()).ok()?.to_be_bytes());
    out.extend(bytes);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn precertificate() -> Vec<u8> {
        let mut bytes = 7u64.to_be_bytes().to_vec();
        bytes.extend([0, 1]);
        bytes.extend([9; 32]);
        push_long(&mut bytes, b"tbs").unwrap();
        push_short(&mut bytes, &[0, 0, 5, 0, 0, 0, 0, 1]).unwrap();
        push_long(&mut bytes, b"whole").unwrap();
        push_short(&mut bytes, &[3; 64]).unwrap();
        bytes
    }

    #[test]
    fn splits_what_is_there() {
        let bytes = precertificate();
        let two = [&bytes[..], &bytes].concat();
        let (leaf, rest) = TileLeaf::split(&two).unwrap();
        assert_eq!(rest, bytes);
        assert_eq!((leaf.timestamp, leaf.extensions.len()), (7, 8));
        assert_eq!(leaf.identity(), &bytes[8..8 + 2 + 32 + 3 + 3]);
        assert_eq!(leaf.merkle_tree_leaf()[2..], bytes[..8 + 2 + 32 + 6 + 10]);
    }

    #[test]
    fn refuses_what_is_cut_off() {
        let bytes = precertificate();
        for cut in 0..bytes.len() {
            assert_eq!(TileLeaf::split(&bytes[..cut]), None, "{cut}");
        }
        let mut odd = bytes.clone();
        odd[9] = 2;
        assert_eq!(TileLeaf::split(&odd), None);
        let mut odd = bytes[..bytes.len() - 66].to_vec();
        push_short(&mut odd, &[3; 33]).unwrap();
        assert_eq!(TileLeaf::split(&odd), None);
    }

    #[test]
    fn long_vectors_fit_24_bits() {
        let mut out = Vec::new();
        assert_eq!(push_long(&mut out, &vec![0; 1 << 24]), None);
        assert_eq!(push_long(&mut out, &vec![0; (1 << 24) - 1]), Some(()));
        assert_eq!(push_short(&mut out, &[0; 65_536]), None);
    }
}

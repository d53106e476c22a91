//! What a Certificate Transparency log signs and hashes (RFC 6962 §3.2, §3.4).

use crate::sct::push_vector;

/// What was submitted to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CtEntry<'a> {
    /// A certificate, whole (`x509_entry`).
    Certificate(&'a [u8]),
    /// A precertificate (`precert_entry`).
    Precertificate {
        /// SHA-256 of the issuer's SubjectPublicKeyInfo.
        issuer_key_hash: [u8; 32],
        /// The TBSCertificate without poison.
        tbs: &'a [u8],
    },
}

/// The largest leaf index that the extension of static-ct-api can hold: 40 bits.
pub const MAX_LEAF_INDEX: u64 = (1 << 40) - 1;

impl CtEntry<'_> {
    /// The bytes that an SCT's signature is over. `None` if certificate or extensions are longer
    /// than their length fields can say (24 and 16 bits).
    pub fn signed_input(&self, timestamp: u64, extensions: &[u8]) -> Option<Vec<u8>> {
        // sct_version v1, signature_type certificate_timestamp
        self.encode(0, timestamp, extensions)
    }

    /// The MerkleTreeLeaf: what a log hashes. `None` as for [`Self::signed_input`].
    pub fn merkle_tree_leaf(&self, timestamp: u64, extensions: &[u8]) -> Option<Vec<u8>> {
        // version v1, leaf_type timestamped_entry: the same bytes, by the design of RFC 6962
        self.encode(0, timestamp, extensions)
    }

    fn encode(&self, kind: u8, timestamp: u64, extensions: &[u8]) -> Option<Vec<u8>> {
        let (Self::Certificate(body) | Self::Precertificate { tbs: body, .. }) = self;
        // 47 bytes at most stand before the body, 2 before the extensions.
        let mut out = Vec::with_capacity(body.len() + extensions.len() + 49);
        out.extend([0, kind]);
        out.extend(timestamp.to_be_bytes());
        match self {
            Self::Certificate(_) => out.extend([0, 0]),
            Self::Precertificate {
                issuer_key_hash, ..
            } => {
                out.extend([0, 1]);
                out.extend(issuer_key_hash);
            }
        }
        let length = u32::try_from(body.len()).ok()?.to_be_bytes();
        let [0, length @ ..] = length else {
            return None;
        };
        out.extend(length);
        out.extend(*body);
        push_vector(&mut out, extensions)?;
        Some(out)
    }
}

/// The `leaf_index` extension of C2SP static-ct-api: type 0, five bytes. `None` beyond
/// [`MAX_LEAF_INDEX`].
pub fn leaf_index_extension(index: u64) -> Option<[u8; 8]> {
    let [0, 0, 0, a, b, c, d, e] = index.to_be_bytes() else {
        return None;
    };
    Some([0, 0, 5, a, b, c, d, e])
}

/// Finds the leaf index in an SCT's extensions; `None` if they are malformed or have none.
pub fn parse_leaf_index(extensions: &[u8]) -> Option<u64> {
    let mut rest = extensions;
    let mut found = None;
    while let Some((kind, after)) = rest.split_first() {
        let (length, after) = after.split_first_chunk::<2>()?;
        let (data, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        if *kind == 0 {
            let [a, b, c, d, e] = data else { return None };
            found = found.xor(Some(u64::from_be_bytes([0, 0, 0, *a, *b, *c, *d, *e])));
        }
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts() {
        let input = CtEntry::Certificate(b"der").signed_input(1, b"x").unwrap();
        assert_eq!(
            hex::encode(input),
            "00000000000000000001000000000364657200 0178".replace(' ', "")
        );
        let entry = CtEntry::Precertificate {
            issuer_key_hash: [7; 32],
            tbs: b"tbs",
        };
        let expected = format!(
            "000000000000000000010001{}0000037462730000",
            "07".repeat(32)
        );
        assert_eq!(hex::encode(entry.signed_input(1, b"").unwrap()), expected);
        assert_eq!(entry.merkle_tree_leaf(1, b""), entry.signed_input(1, b""));
        assert_eq!(entry.signed_input(1, &[0; 65_536]), None);
        let large = vec![0; 1 << 24];
        assert_eq!(CtEntry::Certificate(&large).signed_input(1, b""), None);
        assert!(
            CtEntry::Certificate(&large[1..])
                .signed_input(1, b"")
                .is_some()
        );
    }

    #[test]
    fn leaf_indexes() {
        assert_eq!(leaf_index_extension(42), Some([0, 0, 5, 0, 0, 0, 0, 0x2a]));
        for index in [0, 1, 255, 256, MAX_LEAF_INDEX] {
            let extension = leaf_index_extension(index).unwrap();
            assert_eq!(parse_leaf_index(&extension), Some(index));
            let with_other = [&[9, 0, 1, 0][..], &extension].concat();
            assert_eq!(parse_leaf_index(&with_other), Some(index));
            assert_eq!(parse_leaf_index(&extension.repeat(2)), None);
            assert_eq!(parse_leaf_index(&extension[..7]), None);
        }
        assert_eq!(leaf_index_extension(MAX_LEAF_INDEX + 1), None);
        assert_eq!(parse_leaf_index(&[]), None);
        assert_eq!(parse_leaf_index(&[0, 0, 4, 1, 2, 3, 4]), None);
    }
}

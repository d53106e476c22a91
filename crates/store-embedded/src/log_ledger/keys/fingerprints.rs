//! What is kept in memory of every key of a run: 16 bits, in the order of the keys.
//!
//! Keys are hashes, so their first bits spread evenly: the first few choose a bucket of at most 32
//! keys on average, the next 16 are the fingerprint. A key that is not there matches one of a
//! bucket's fingerprints in at most 32 of 65,536 cases per run; only then is a block read. A match
//! tells the position in the file too, so that no other index of it is needed. Within a bucket the
//! fingerprints are sorted: whoever grinds keys into one bucket makes a search of it logarithmic,
//! not linear.

use std::ops::Range;

use waxseal_log_server::DedupKey;

/// Keys of a bucket, on average, at most.
const BUCKET: u32 = 32;

/// Bits of a fingerprint.
const PRINT_BITS: u32 = 16;

/// Fingerprints of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fingerprints {
    /// First bits of a key that choose its bucket; at least 1.
    bits: u32,
    /// Of every bucket, where it begins; and the end of the last one.
    starts: Vec<u32>,
    prints: Vec<u16>,
}

/// Fingerprints in the making: keys come in ascending order.
#[derive(Debug)]
pub(super) struct FingerprintsBuilder {
    bits: u32,
    starts: Vec<u32>,
    prints: Vec<u16>,
}

impl Fingerprints {
    /// For at most that many keys.
    pub(super) fn builder(most: u32) -> FingerprintsBuilder {
        let bits = bits_for(most);
        FingerprintsBuilder {
            bits,
            starts: Vec::with_capacity(buckets(bits) + 1),
            prints: Vec::with_capacity(usize::try_from(most).unwrap_or(0)),
        }
    }

    /// Where a key can be, if it is there: mostly nowhere, or at one position.
    pub(super) fn candidates(&self, key: &DedupKey) -> Range<u32> {
        let (bucket, print) = split(key, self.bits);
        let start = self.starts.get(bucket).copied().unwrap_or(0);
        let end = self.starts.get(bucket + 1).copied().unwrap_or(0);
        let range = position(start)..position(end);
        let prints = self.prints.get(range).unwrap_or_default();
        let below = prints.partition_point(|found| *found < print);
        let upto = below
            + prints
                .get(below..)
                .unwrap_or_default()
                .partition_point(|found| *found == print);
        let from_start = |count: usize| start.saturating_add(u32::try_from(count).unwrap_or(0));
        from_start(below)..from_start(upto)
    }

    /// Whether a key has its place there: what a candidate must fulfil.
    pub(super) fn agrees(&self, key: &DedupKey, at: u32) -> bool {
        self.candidates(key).contains(&at)
    }

    /// Writes them out in pieces: the number of bits, the starts, the fingerprints; in big-endian.
    /// A second copy of them in memory would be what a small server has least of.
    pub(super) fn encode<E>(&self, mut write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let bits = u8::try_from(self.bits).unwrap_or(u8::MAX);
        write(&[bits])?;
        let mut piece = Vec::with_capacity(PIECE);
        for starts in self.starts.chunks(PIECE / 4) {
            piece.clear();
            piece.extend(starts.iter().flat_map(|start| start.to_be_bytes()));
            write(&piece)?;
        }
        for prints in self.prints.chunks(PIECE / 2) {
            piece.clear();
            piece.extend(prints.iter().flat_map(|print| print.to_be_bytes()));
            write(&piece)?;
        }
        Ok(())
    }

    /// Reads those of `count` keys, which are `length` bytes long; `None`: they are damaged.
    pub(super) fn parse<E>(
        length: u64,
        count: u32,
        mut read: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<Option<Self>, E> {
        let mut bits = [0];
        if length == 0 {
            return Ok(None);
        }
        read(&mut bits)?;
        let bits = u32::from_be_bytes([0, 0, 0, bits[0]]);
        if !(1..=MOST_BITS).contains(&bits) || length != encoded_length(bits, count) {
            return Ok(None);
        }
        let mut bytes = vec![0; PIECE];
        let mut starts = Vec::with_capacity(buckets(bits) + 1);
        while starts.len() <= buckets(bits) {
            let piece = (4 * (buckets(bits) + 1 - starts.len())).min(PIECE);
            let piece = bytes.get_mut(..piece).unwrap_or_default();
            read(piece)?;
            let (chunks, _) = piece.as_chunks();
            starts.extend(chunks.iter().map(|start| u32::from_be_bytes(*start)));
        }
        let mut prints = Vec::with_capacity(position(count));
        while prints.len() < position(count) {
            let piece = (2 * (position(count) - prints.len())).min(PIECE);
            let piece = bytes.get_mut(..piece).unwrap_or_default();
            read(piece)?;
            let (chunks, _) = piece.as_chunks();
            prints.extend(chunks.iter().map(|print| u16::from_be_bytes(*print)));
        }
        let is_whole = starts.first() == Some(&0) && starts.last() == Some(&count);
        Ok((is_whole && starts.is_sorted()).then_some(Self {
            bits,
            starts,
            prints,
        }))
    }
}

/// Bytes that are read or written at once; a multiple of four.
const PIECE: usize = 64 << 10;

fn encoded_length(bits: u32, count: u32) -> u64 {
    let starts = u64::try_from(buckets(bits)).unwrap_or(u64::MAX) + 1;
    1 + 4 * starts + 2 * u64::from(count)
}

impl FingerprintsBuilder {
    /// The next key; they ascend.
    pub(super) fn add(&mut self, key: &DedupKey) {
        let (bucket, print) = split(key, self.bits);
        self.begin_upto(bucket);
        self.prints.push(print);
    }

    pub(super) fn finish(mut self) -> Fingerprints {
        self.begin_upto(buckets(self.bits));
        self.prints.shrink_to_fit();
        Fingerprints {
            bits: self.bits,
            starts: self.starts,
            prints: self.prints,
        }
    }

    fn begin_upto(&mut self, bucket: usize) {
        // a run has fewer than 2^32 keys
        let here = u32::try_from(self.prints.len()).unwrap_or(u32::MAX);
        while self.starts.len() <= bucket {
            self.starts.push(here);
        }
    }
}

/// Bits that choose a bucket: 2^32 keys need no more.
const MOST_BITS: u32 = 27;

fn bits_for(most: u32) -> u32 {
    let buckets = most.div_ceil(BUCKET).max(2);
    buckets.next_power_of_two().trailing_zeros().min(MOST_BITS)
}

const fn buckets(bits: u32) -> usize {
    1 << bits
}

/// The bucket and the fingerprint.
fn split(key: &DedupKey, bits: u32) -> (usize, u16) {
    let first = key.first_chunk().copied().unwrap_or_default();
    let first = u64::from_be_bytes(first);
    let bucket = usize::try_from(first >> (64 - bits)).unwrap_or(usize::MAX);
    let [low, high, ..] = (first >> (64 - bits - PRINT_BITS)).to_le_bytes();
    (bucket, u16::from_le_bytes([low, high]))
}

fn position(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use waxseal_crypto::sha256;

    use super::*;

    fn key(n: u32) -> DedupKey {
        sha256(&n.to_be_bytes())
    }

    fn sorted(count: u32) -> Vec<DedupKey> {
        let mut keys: Vec<_> = (0..count).map(key).collect();
        keys.sort_unstable();
        keys
    }

    fn made_of(keys: &[DedupKey]) -> Fingerprints {
        let mut builder = Fingerprints::builder(u32::try_from(keys.len()).unwrap());
        keys.iter().for_each(|key| builder.add(key));
        builder.finish()
    }

    #[test]
    fn every_key_is_among_its_candidates() {
        for count in [0, 1, 2, 31, 32, 33, 64, 65, 1000, 4096, 10_000] {
            let keys = sorted(count);
            let prints = made_of(&keys);
            assert_eq!(prints.prints.len(), keys.len());
            for (at, key) in (0..).zip(&keys) {
                assert!(prints.agrees(key, at), "{at} of {count}");
            }
        }
    }

    #[test]
    fn hardly_any_other_key_has_a_candidate() {
        let prints = made_of(&sorted(100_000));
        let false_ones = (100_000..300_000)
            .filter(|n| !prints.candidates(&key(*n)).is_empty())
            .count();
        // at most 32 of 65,536: 98 of 200,000 are expected
        assert!(false_ones < 150, "{false_ones}");
    }

    #[test]
    fn keys_ground_into_one_place_are_all_candidates() {
        let mut keys = sorted(5000);
        keys.iter_mut().for_each(|key| key[..8].fill(9));
        keys.sort_unstable();
        let prints = made_of(&keys);
        assert_eq!(prints.candidates(&keys[77]), 0..5000);
    }

    fn encoded(prints: &Fingerprints) -> Vec<u8> {
        let mut bytes = Vec::new();
        let write = |piece: &[u8]| {
            bytes.extend(piece);
            Ok::<_, ()>(())
        };
        prints.encode(write).unwrap();
        bytes
    }

    fn parsed(bytes: &[u8], count: u32) -> Option<Fingerprints> {
        let mut rest = bytes;
        let read = |into: &mut [u8]| {
            let (piece, after) = rest.split_at_checked(into.len()).ok_or(())?;
            into.copy_from_slice(piece);
            rest = after;
            Ok::<_, ()>(())
        };
        let length = u64::try_from(bytes.len()).unwrap();
        Fingerprints::parse(length, count, read).unwrap()
    }

    #[test]
    fn survives_a_round_trip() {
        for count in [0, 1, 100, 5000, 100_000] {
            let prints = made_of(&sorted(count));
            let bytes = encoded(&prints);
            assert_eq!(parsed(&bytes, count), Some(prints));
            assert_eq!(parsed(&bytes, count + 1), None);
            assert_eq!(parsed(&bytes[..bytes.len() - 1], count), None);
        }
        assert_eq!(parsed(&[], 0), None);
        assert_eq!(parsed(&[0; 100], 0), None);
        assert_eq!(parsed(&[64; 100], 0), None);
    }
}

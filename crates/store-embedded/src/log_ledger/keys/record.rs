//! Records, and the two things that hold them: rows of one commit, blocks of a run.
//!
//! Both carry a checksum that says where they belong, so that neither a flipped bit nor a block at
//! another place is taken for "not there" (S-18).

use waxseal_crypto::sha256;
use waxseal_log_server::DedupKey;

/// A key and its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: DedupKey,
    pub(crate) index: u64,
}

/// Bytes of a record: the key, and the index in big-endian.
const RECORD: usize = 40;

/// Bytes of a checksum: the first half of a SHA-256.
const CHECKSUM: usize = 16;

/// Bytes of a block.
pub(super) const BLOCK: usize = 4096;

/// Records of a block: with the checksum they fill it to the last byte.
pub(super) const BLOCK_RECORDS: usize = (BLOCK - CHECKSUM) / RECORD;

const _: () = assert!(BLOCK_RECORDS * RECORD + CHECKSUM == BLOCK, "no gap");

impl Record {
    fn encode(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        let (key, index) = bytes.split_at_mut(self.key.len());
        key.copy_from_slice(&self.key);
        index.copy_from_slice(&self.index.to_be_bytes());
        bytes
    }

    fn parse(bytes: &[u8; RECORD]) -> Option<Self> {
        let (key, index) = bytes.split_first_chunk()?;
        Some(Self {
            key: *key,
            index: u64::from_be_bytes(*index.first_chunk()?),
        })
    }
}

/// The keys of the commit that began at an index.
pub(crate) fn encode_row(first_index: u64, records: &[Record]) -> Vec<u8> {
    let mut row: Vec<_> = records.iter().flat_map(Record::encode).collect();
    let checksum = checksum(b"row", first_index, 0, &row);
    row.extend(checksum);
    row
}

/// `None`: the row is damaged.
pub(crate) fn parse_row(first_index: u64, row: &[u8]) -> Option<Vec<Record>> {
    let (records, found) = row.split_last_chunk::<CHECKSUM>()?;
    let (chunks, []) = records.as_chunks::<RECORD>() else {
        return None;
    };
    if checksum(b"row", first_index, 0, records) != *found {
        return None;
    }
    chunks.iter().map(Record::parse).collect()
}

/// Appends the block of that number in that run; of the last block, what is not used is zero.
pub(super) fn append_block(bytes: &mut Vec<u8>, run: u64, number: u64, records: &[Record]) {
    let mut block = [0; BLOCK];
    let (chunks, _) = block.as_chunks_mut::<RECORD>();
    for (chunk, record) in chunks.iter_mut().zip(records) {
        *chunk = record.encode();
    }
    if let Some((records, end)) = block.split_last_chunk_mut::<CHECKSUM>() {
        *end = checksum(b"block", run, number, records);
    }
    bytes.extend(block);
}

/// The records of a block, all [`BLOCK_RECORDS`] of them; `None`: the block is damaged.
pub(super) fn parse_block(run: u64, number: u64, block: &[u8; BLOCK]) -> Option<Block<'_>> {
    let (records, found) = block.split_last_chunk::<CHECKSUM>()?;
    if checksum(b"block", run, number, records) != *found {
        return None;
    }
    Some(Block(records.as_chunks().0))
}

/// The records of a sound block.
#[derive(Clone, Copy)]
pub(super) struct Block<'a>(&'a [[u8; RECORD]]);

impl Block<'_> {
    pub(super) fn record(&self, position: usize) -> Option<Record> {
        Record::parse(self.0.get(position)?)
    }
}

fn checksum(what: &[u8], of: u64, number: u64, bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = waxseal_crypto::Hasher::new(waxseal_crypto::HashAlgorithm::Sha256);
    hasher.update(&sha256(what));
    hasher.update(&of.to_be_bytes());
    hasher.update(&number.to_be_bytes());
    hasher.update(bytes);
    let digest = hasher.finish();
    let half = digest.as_bytes().first_chunk();
    // a SHA-256 has 32 bytes
    half.copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(count: u8) -> Vec<Record> {
        let record = |n| Record {
            key: [n; 32],
            index: 7 + u64::from(n),
        };
        (0..count).map(record).collect()
    }

    #[test]
    fn rows_survive_a_round_trip() {
        for count in [0, 1, 255] {
            let row = encode_row(9, &records(count));
            assert_eq!(row.len(), usize::from(count) * 40 + 16);
            assert_eq!(parse_row(9, &row), Some(records(count)));
        }
    }

    #[test]
    fn a_row_with_a_flipped_bit_or_at_another_place_is_damaged() {
        let row = encode_row(9, &records(2));
        assert_eq!(parse_row(8, &row), None);
        for position in 0..row.len() {
            let mut flipped = row.clone();
            flipped[position] ^= 1 << (position % 8);
            assert_eq!(parse_row(9, &flipped), None, "{position}");
            assert_eq!(parse_row(9, &row[..position]), None, "{position}");
        }
    }

    #[test]
    fn blocks_survive_a_round_trip_and_belong_to_one_place() {
        let mut bytes = Vec::new();
        append_block(&mut bytes, 3, 5, &records(102));
        append_block(&mut bytes, 3, 6, &records(1));
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        assert!(rest.is_empty());
        let block = parse_block(3, 5, &blocks[0]).unwrap();
        let found: Vec<_> = (0..102).map(|at| block.record(at).unwrap()).collect();
        assert_eq!(found, records(102));
        assert_eq!(block.record(102), None);
        let last = parse_block(3, 6, &blocks[1]).unwrap();
        assert_eq!(last.record(0), Some(records(1)[0]));
        assert!(parse_block(2, 5, &blocks[0]).is_none());
        assert!(parse_block(3, 4, &blocks[0]).is_none());
        for position in (0..BLOCK).step_by(37) {
            let mut flipped = blocks[0];
            flipped[position] ^= 0x10;
            assert!(parse_block(3, 5, &flipped).is_none(), "{position}");
        }
    }
}

//! The log read back: its bytes hashed again, and compared with all that it ever signed.

use std::collections::HashMap;
use std::sync::Arc;

use waxseal_formats::entry::Body;
use waxseal_tlog::{
    Checkpoint, EntryBundle, Frontier, Hash, LogKey, Tile, TilePath, TileReader, empty_root,
    leaf_hash, node_hash,
};

use crate::{Acknowledgement, Outcome, Source, open, text};

/// What is known of a log, recomputed from the bytes of its entries. It only grows: an entry that
/// was seen once must stay.
#[derive(Debug, Clone)]
pub struct Audit {
    key: Arc<LogKey>,
    frontier: Frontier,
    /// The root of the tree of every size up to that which was read.
    roots: Vec<Hash>,
    /// The hashes of the tiles' levels; those of level 0 are the leaves.
    levels: Vec<Vec<Hash>>,
    indexes: HashMap<Hash, u64>,
    has_genesis: bool,
}

impl Audit {
    /// Nothing is known yet but the key.
    pub fn new(key: impl Into<Arc<LogKey>>) -> Self {
        Self {
            key: key.into(),
            frontier: Frontier::new(),
            roots: vec![empty_root()],
            levels: vec![Vec::new(); 8],
            indexes: HashMap::new(),
            has_genesis: true,
        }
    }

    /// The same of a log that is born empty.
    #[must_use]
    pub fn without_genesis(mut self) -> Self {
        self.has_genesis = false;
        self
    }

    /// The log's key.
    pub fn key(&self) -> &LogKey {
        &self.key
    }

    /// How many entries were read.
    pub const fn tree_size(&self) -> u64 {
        self.frontier.size()
    }

    /// Reads the newest checkpoint and everything that it implies, from the beginning if `whole`
    /// and otherwise from the last full bundle that was read before.
    ///
    /// # Errors
    /// An entry or tile that is missing, was another before, or is not under the signed root
    /// (I1, I2, I3, I4); an entry that is there twice (I6).
    pub async fn read<S: Source>(&mut self, source: &mut S, whole: bool) -> Outcome<Checkpoint> {
        let note = source.checkpoint().await?.ok_or("there is no checkpoint")?;
        let checkpoint = open(&note, &self.key)?;
        let size = checkpoint.tree_size();
        let known = self.tree_size().min(size);
        let first = if whole { 0 } else { known / 256 };
        for index in first..size.div_ceil(256) {
            let width = u16::try_from((size - index * 256).min(256)).map_err(text)?;
            let bundle = source.tile(TilePath::Entries { index, width }).await?;
            let bundle = EntryBundle::parse(&bundle, width).map_err(text)?;
            for (entry, at) in bundle.entries().iter().zip(index * 256..) {
                self.see(at, entry)?;
            }
        }
        self.check_root(size, checkpoint.root_hash())?;
        let from = first * 256;
        for tile in Tile::all(size).filter(|tile| ends_after(*tile, from)) {
            self.check_tile(tile, &source.hashes(tile).await?)?;
        }
        Ok(checkpoint)
    }

    /// That a signed root is the one of the tree of its size: there is one tree, and all that was
    /// ever signed is a beginning of it (I2).
    ///
    /// # Errors
    /// If it is not, or the log has lost that many entries.
    pub fn check_root(&self, size: u64, root_hash: &Hash) -> Outcome<()> {
        let expected = usize::try_from(size)
            .ok()
            .and_then(|size| self.roots.get(size));
        match expected {
            Some(expected) if expected == root_hash => Ok(()),
            Some(_) => Err(format!("two trees of {size} entries were signed: a fork")),
            None => Err(format!(
                "a tree of {size} entries was signed, and the log holds {}",
                self.tree_size()
            )),
        }
    }

    /// That the log kept its word: the entry is at its index with equal bytes, and the tree that
    /// was signed for it is a beginning of the tree now (I1, I2).
    ///
    /// # Errors
    /// If it did not.
    pub fn check(&self, promised: &Acknowledgement) -> Outcome<()> {
        self.check_index(promised.index, &promised.leaf)?;
        self.check_root(promised.tree_size, &promised.root_hash)
    }

    /// That the entry at an index is this one.
    ///
    /// # Errors
    /// If it is not.
    pub fn check_index(&self, index: u64, leaf: &Hash) -> Outcome<()> {
        match self.indexes.get(leaf) {
            Some(found) if *found == index => Ok(()),
            Some(found) => Err(format!("entry {index} is at {found} now")),
            None => Err(format!("entry {index} was acknowledged, and is lost")),
        }
    }

    /// That a consistency proof from the tiles leads from an earlier tree to this one.
    ///
    /// # Errors
    /// If it does not.
    pub async fn check_consistency<S: Source>(
        source: &mut S,
        old: (u64, Hash),
        new: &Checkpoint,
    ) -> Outcome<()> {
        let (old_size, old_root) = old;
        let mut reader = TileReader::new(new.tree_size(), *new.root_hash());
        let needed = reader.needed_for_consistency(old_size).map_err(text)?;
        let mut tiles = Vec::new();
        for tile in needed {
            tiles.push((tile, source.hashes(tile).await?));
        }
        reader.supply(&tiles).map_err(text)?;
        let proof = reader.prove_consistency(old_size).map_err(text)?;
        proof.check(&old_root, new.root_hash()).map_err(text)
    }

    /// Takes an entry in, or recognises it.
    fn see(&mut self, index: u64, entry: &[u8]) -> Outcome<()> {
        let leaf = leaf_hash(entry);
        if index < self.tree_size() {
            return self.check_index(index, &leaf);
        }
        if index == 0 && self.has_genesis {
            self.check_genesis(entry)?;
        }
        if let Some(before) = self.indexes.insert(leaf, index) {
            return Err(format!("entries {before} and {index} are the same"));
        }
        self.frontier.append(&leaf).map_err(text)?;
        self.roots.push(self.frontier.root_hash());
        let mut hash = Some(leaf);
        for level in &mut self.levels {
            let Some(new) = hash.take() else { break };
            level.push(new);
            if level.len() % 256 == 0 {
                hash = level.last_chunk::<256>().map(root_of);
            }
        }
        Ok(())
    }

    /// Entry 0 is the log's own: about its origin.
    fn check_genesis(&self, entry: &[u8]) -> Outcome<()> {
        let body = Body::parse("hashedrekord", "0.0.2", entry).map_err(text)?;
        let origin = waxseal_crypto::sha256(self.key.key.name().as_str().as_bytes());
        match body {
            Body::HashedRekordV002(genesis) if genesis.digest.digest == origin => Ok(()),
            _ => Err("entry 0 is not the genesis entry".to_owned()),
        }
    }

    fn check_tile(&self, tile: Tile, bytes: &[u8]) -> Outcome<()> {
        let first = usize::try_from(tile.index() * 256).map_err(text)?;
        let level = self.levels.get(usize::from(tile.level()));
        let hashes = level.and_then(|level| level.get(first..first + usize::from(tile.width())));
        let hashes = hashes.ok_or_else(|| format!("{} is too wide", TilePath::Tile(tile)))?;
        if Tile::encode(hashes) == bytes {
            Ok(())
        } else {
            Err(format!("{} holds other hashes", TilePath::Tile(tile)))
        }
    }
}

/// Whether a full tile in this place would hold hashes of entries from `first` on.
fn ends_after(tile: Tile, first: u64) -> bool {
    let below = 8 * (u32::from(tile.level()) + 1);
    let end = tile.index().saturating_add(1).checked_shl(below);
    end.is_none_or(|end| end > first)
}

/// The root of a complete subtree of eight levels.
fn root_of(full: &[Hash; 256]) -> Hash {
    let mut hashes = full.to_vec();
    while hashes.len() > 1 {
        let (pairs, _) = hashes.as_chunks::<2>();
        hashes = pairs
            .iter()
            .map(|[left, right]| node_hash(left, right))
            .collect();
    }
    hashes.first().copied().unwrap_or_else(empty_root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_above_a_full_tile() {
        let leaves: [Hash; 256] = std::array::from_fn(|i| leaf_hash(&i.to_be_bytes()));
        let mut frontier = Frontier::new();
        for leaf in &leaves {
            frontier.append(leaf).unwrap();
        }
        assert_eq!(root_of(&leaves), frontier.root_hash());
    }

    #[test]
    fn tiles_right_of_a_place() {
        let check = |level, index, first, expected| {
            let tile = Tile::new(level, index, 1).unwrap();
            assert_eq!(ends_after(tile, first), expected, "{level}/{index} {first}");
        };
        check(0, 0, 0, true);
        check(0, 0, 256, false);
        check(0, 1, 256, true);
        check(1, 0, 256, true);
        check(1, 0, 65_536, false);
    }
}

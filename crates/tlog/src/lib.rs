//! The Merkle log without I/O: proofs, tiles, signed notes, checkpoints, cosignatures, policies.
//!
//! **What it is.** RFC 6962 / RFC 9162 §2.1 trees and the C2SP formats around them: signed-note,
//! tlog-checkpoint, tlog-tiles, tlog-cosignature, tlog-witness (its texts), tlog-policy and
//! tlog-proof, plus the note signature of static-ct-api and that of version 1 logs.
//!
//! **In scope.** Checking and making inclusion, consistency and subtree proofs; the compact
//! [`Frontier`] of a growing tree; tile paths and entry bundles; [`TileReader`], which says what
//! tiles a question needs and hands out only hashes proven against a root; [`TreeCheck`], which
//! re-verifies a whole log; parsing, opening and signing of notes.
//!
//! **Out of scope.** Fetching (the caller moves bytes), storing (`waxseal-log-server`), what an
//! entry means (`waxseal-formats`), signature algorithms (a provider is passed in as a value).
//!
//! ```
//! use waxseal_tlog::{Frontier, InclusionProof, leaf_hash, prove_inclusion};
//!
//! let leaves: Vec<_> = [b"a", b"b", b"c"].map(|entry| leaf_hash(entry)).to_vec();
//! let mut frontier = Frontier::new();
//! let mut nodes = std::collections::BTreeMap::new();
//! for leaf in &leaves {
//!     frontier.append_visiting(leaf, |node, hash| {
//!         nodes.insert(node, *hash);
//!     })?;
//! }
//! let proof: InclusionProof = prove_inclusion(1, 3, |node| nodes.get(&node).copied().ok_or(node))
//!     .expect("index 1 is in a tree of 3");
//! proof.check(&leaves[1], &frontier.root_hash())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Trust.** Assumes nothing about its input. A [`Checkpoint`] exists only if a known key of the
//! log signed it, every known key on the note verified, and its origin is bound to that log. A
//! hash that comes out of [`TileReader`] is committed to by the root it was made with.

mod add_checkpoint;
mod checkpoint;
mod data_bundle;
mod entry_bundle;
mod frontier;
mod merkle;
mod note;
mod note_key;
mod note_signer;
mod origin;
mod path;
mod prove;
mod tile;
mod tile_reader;
mod tlog_proof;
mod tree_check;
mod vkey;
mod witness_policy;

pub use add_checkpoint::{
    AddCheckpointError, AddCheckpointRequest, encode_signature_lines, parse_signature_lines,
};
pub use checkpoint::{
    Checkpoint, CheckpointError, CheckpointText, CheckpointTextError, Cosignature, LogKey,
    OriginRule,
};
pub use data_bundle::{DataBundle, DataBundleError, DataEntry};
pub use entry_bundle::{EntryBundle, EntryBundleError, MAX_ENTRY_BYTES};
pub use frontier::{Frontier, FrontierError};
pub use merkle::{
    Hash, ProofError, check_consistency, check_inclusion, check_subtree_consistency,
    check_subtree_inclusion, empty_root, leaf_hash, node_hash,
};
pub use note::{
    MAX_NOTE_BYTES, MAX_SIGNATURES, NoteError, OpenError, OpenedNote, SignatureLine, SignedNote,
    VerifiedSignature,
};
pub use note_key::{KeyId, NoteKey, NoteKeyError, SignatureKind};
pub use note_signer::{NoteSigner, SignNoteError, sign_note};
pub use origin::{KeyName, NameError, Origin};
pub use path::{PathError, TilePath};
pub use prove::{
    ConsistencyProof, InclusionProof, Node, ProveError, hash_range, prove_consistency,
    prove_inclusion, prove_subtree_consistency, prove_subtree_inclusion,
};
pub use tile::{TILE_BYTES, TILE_WIDTH, Tile, TileError};
pub use tile_reader::{TileReader, TileReaderError};
pub use tlog_proof::{TlogProof, TlogProofError};
pub use tree_check::{BundleFormat, TreeCheck, TreeCheckError};
pub use vkey::VkeyError;
pub use witness_policy::{PolicyError, PolicyLog, PolicyParseError, PolicyWitness, WitnessPolicy};

#[cfg(test)]
mod testing;

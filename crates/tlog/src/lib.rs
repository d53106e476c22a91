//! The Merkle log: proofs, tiles, notes, checkpoints, cosignatures

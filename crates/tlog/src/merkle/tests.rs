//! The checks against the RFC's own recursive definition, against `rs_merkle`, and at the limits.
#![allow(clippy::as_conversions, reason = "small sizes in a test")]

use proptest::prelude::*;

use super::*;
use crate::testing::tree;
use crate::{
    ConsistencyProof, Node, ProveError, hash_range, prove_consistency, prove_inclusion,
    prove_subtree_consistency, prove_subtree_inclusion,
};

/// RFC 6962 §2.1, word for word.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(b""),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&mth(left), &mth(right))
        }
    }
}

/// RFC 6962 §2.1.1, word for word.
fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut hashes, other) = if index < left.len() {
        (path(index, left), mth(right))
    } else {
        (path(index - left.len(), right), mth(left))
    };
    hashes.push(other);
    hashes
}

/// RFC 6962 §2.1.2, word for word.
fn subproof(old: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if known { Vec::new() } else { vec![mth(leaves)] };
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut hashes, other) = if old <= left.len() {
        (subproof(old, left, known), mth(right))
    } else {
        (subproof(old - left.len(), right, false), mth(left))
    };
    hashes.push(other);
    hashes
}

#[test]
fn every_proof_of_every_small_tree_is_the_rfc_s() {
    let tree = tree(70);
    for size in 0..=70usize {
        let leaves = &tree.leaves[..size];
        let root = mth(leaves);
        let size = size as u64;
        assert_eq!(hash_range(0, size, |node| tree.read(node)), Ok(root));
        for index in 0..size {
            let proof = prove_inclusion(index, size, |node| tree.read(node)).unwrap();
            assert_eq!(proof.hashes, path(index as usize, leaves));
            let leaf = &leaves[index as usize];
            assert_eq!(proof.check(leaf, &root), Ok(()));
            refuse_neighbours(leaf, index, size, &proof.hashes, &root);
        }
        for old in 1..=size {
            let proof = prove_consistency(old, size, |node| tree.read(node)).unwrap();
            assert_eq!(proof.hashes, subproof(old as usize, leaves, true));
            let old_root = mth(&leaves[..old as usize]);
            assert_eq!(proof.check(&old_root, &root), Ok(()), "{old} {size}");
        }
    }
}

/// V-49, and what `rs_merkle` lets through: trailing hashes, indexes outside the tree.
fn refuse_neighbours(leaf: &Hash, index: u64, size: u64, hashes: &[Hash], root: &Hash) {
    let longer = [hashes, &[[0; 32]]].concat();
    assert_eq!(
        check_inclusion(leaf, index, size, &longer, root),
        Err(ProofError::TrailingHashes)
    );
    if let Some((_, shorter)) = hashes.split_last() {
        let shorter = &hashes[..shorter.len()];
        assert_eq!(
            check_inclusion(leaf, index, size, shorter, root),
            Err(ProofError::MissingHashes)
        );
    }
    for other in (0..size + 3).filter(|other| *other != index) {
        assert!(check_inclusion(leaf, other, size, hashes, root).is_err());
    }
}

#[test]
fn every_subtree_of_every_small_tree() {
    let tree = tree(40);
    for size in 0..=40u64 {
        let root = mth(&tree.leaves[..size as usize]);
        for start in 0..=size {
            for end in start..=size {
                let leaves = &tree.leaves[start as usize..end as usize];
                let proof = prove_subtree_consistency(start, end, size, |node| tree.read(node));
                if start < end && check_subtree(start, end).is_err() {
                    let error = ProofError::InvalidSubtree { start, end };
                    assert_eq!(proof, Err(ProveError::Impossible(error)));
                    assert_eq!(
                        check_subtree_consistency(start, end, size, &[], &root, &root),
                        Err(error)
                    );
                    continue;
                }
                let (proof, subtree) = (proof.unwrap(), mth(leaves));
                assert_eq!(
                    check_subtree_consistency(start, end, size, &proof, &subtree, &root),
                    Ok(()),
                    "[{start}, {end}) of {size}"
                );
                let longer = [&proof[..], &[[0; 32]]].concat();
                assert_eq!(
                    check_subtree_consistency(start, end, size, &longer, &subtree, &root),
                    Err(ProofError::TrailingHashes)
                );
                for flipped in 0..proof.len() {
                    let mut wrong = proof.clone();
                    wrong[flipped][31] ^= 1;
                    assert_eq!(
                        check_subtree_consistency(start, end, size, &wrong, &subtree, &root),
                        Err(ProofError::RootMismatch)
                    );
                }
                for index in start..end {
                    let hashes =
                        prove_subtree_inclusion(index, start, end, |node| tree.read(node)).unwrap();
                    let leaf = &tree.leaves[index as usize];
                    assert_eq!(
                        check_subtree_inclusion(leaf, index, start, end, &hashes, &subtree),
                        Ok(())
                    );
                }
            }
        }
    }
}

#[test]
fn index_out_of_range() {
    let check = |index, start, end| {
        assert_eq!(
            check_subtree_inclusion(&[0; 32], index, start, end, &[], &[0; 32]),
            Err(ProofError::IndexOutOfRange { index, start, end })
        );
    };
    check(0, 0, 0);
    check(1, 0, 1);
    check(u64::MAX, 0, u64::MAX);
    check(3, 4, 8);
    check(8, 4, 8);
}

#[test]
fn empty_tree() {
    for new_size in [0, 1, 8, u64::MAX] {
        assert_eq!(
            check_consistency(0, new_size, &[], &empty_root(), &empty_root()),
            Err(ProofError::EmptyTree)
        );
    }
    let check = |new_size, hashes: &[Hash], old_root, new_root| {
        let proof = ConsistencyProof {
            old_size: 0,
            new_size,
            hashes: hashes.to_vec(),
        };
        proof.check(&old_root, &new_root)
    };
    assert_eq!(check(7, &[], empty_root(), [1; 32]), Ok(()));
    assert_eq!(check(0, &[], empty_root(), empty_root()), Ok(()));
    assert_eq!(
        check(0, &[], empty_root(), [1; 32]),
        Err(ProofError::RootMismatch)
    );
    assert_eq!(
        check(7, &[], [1; 32], [1; 32]),
        Err(ProofError::RootMismatch)
    );
    assert_eq!(
        check(7, &[[0; 32]], empty_root(), [1; 32]),
        Err(ProofError::TrailingHashes)
    );
}

#[test]
fn sizes_reversed() {
    let error = ProofError::SizesReversed {
        old_size: 8,
        new_size: 7,
    };
    assert_eq!(check_consistency(8, 7, &[], &[0; 32], &[0; 32]), Err(error));
}

#[test]
fn invalid_subtree() {
    for (start, end) in [(1, 3), (2, 5), (2, 6), (1, 15), (1, u64::MAX), (3, 2)] {
        let expected = Err(ProofError::InvalidSubtree { start, end });
        assert_eq!(check_subtree(start, end), expected);
    }
    for (start, end) in [
        (0, 1),
        (0, 7),
        (4, 7),
        (8, 9),
        (0, u64::MAX),
        (1 << 63, u64::MAX),
    ] {
        assert_eq!(check_subtree(start, end), Ok(()), "[{start}, {end})");
    }
}

#[test]
fn missing_hashes() {
    let error = Err(ProofError::MissingHashes);
    assert_eq!(check_inclusion(&[0; 32], 0, 2, &[], &[0; 32]), error);
    assert_eq!(check_consistency(1, 2, &[], &[0; 32], &[0; 32]), error);
    assert_eq!(check_consistency(3, 7, &[], &[0; 32], &[0; 32]), error);
}

#[test]
fn trailing_hashes() {
    let error = Err(ProofError::TrailingHashes);
    assert_eq!(check_inclusion(&[0; 32], 0, 1, &[[0; 32]], &[0; 32]), error);
    assert_eq!(
        check_consistency(1, 1, &[[0; 32]], &[0; 32], &[0; 32]),
        error
    );
    assert_eq!(
        check_subtree_consistency(1, 1, 2, &[[0; 32]], &empty_root(), &[0; 32]),
        error
    );
}

#[test]
fn root_mismatch() {
    let error = Err(ProofError::RootMismatch);
    assert_eq!(check_inclusion(&[0; 32], 0, 1, &[], &[1; 32]), error);
    assert_eq!(check_consistency(1, 1, &[], &[0; 32], &[1; 32]), error);
}

/// Walks a proof of any length through the largest trees: no overflow, no endless loop, and the
/// number of hashes is `bits(index ^ last) + ones(index above them)`.
#[test]
fn v_49_sizes_near_the_end_of_u64() {
    let sizes = [
        1 << 63,
        (1 << 63) + 1,
        u64::MAX - 1,
        u64::MAX,
        (1 << 62) + 12_345,
    ];
    for size in sizes {
        for index in [0, 1, 2, size / 2, size / 2 + 1, size - 2, size - 1] {
            let inner = 64 - (index ^ (size - 1)).leading_zeros();
            let border = index.checked_shr(inner).unwrap_or(0).count_ones();
            let length = usize::try_from(inner + border).unwrap();
            for count in 0..70 {
                let expected = match count.cmp(&length) {
                    std::cmp::Ordering::Less => ProofError::MissingHashes,
                    std::cmp::Ordering::Equal => ProofError::RootMismatch,
                    std::cmp::Ordering::Greater => ProofError::TrailingHashes,
                };
                let hashes = vec![[7; 32]; count];
                assert_eq!(
                    check_inclusion(&[1; 32], index, size, &hashes, &[2; 32]),
                    Err(expected),
                    "{index} of {size} with {count}"
                );
            }
            // what we make for it has that length too
            let made = prove_inclusion(index, size, |_| Ok::<_, Node>([7; 32])).unwrap();
            assert_eq!(made.hashes.len(), length, "{index} of {size}");
            let made = prove_consistency(index, size, |_| Ok::<_, Node>([7; 32])).unwrap();
            let checked = check_consistency(index.max(1), size, &made.hashes, &[1; 32], &[2; 32]);
            assert!(checked.is_err());
            if index > 0 {
                assert_eq!(checked, Err(ProofError::RootMismatch), "{index} to {size}");
            }
        }
    }
}

/// `rs_merkle` with the hashes of RFC 6962: an independent oracle for roots and proofs.
#[derive(Clone)]
struct Rfc6962;

impl rs_merkle::Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        sha256(data)
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        right.map_or(*left, |right| node_hash(left, right))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rs_merkle_agrees(size in 1u64..600, index in 0u64..600) {
        let index = index % size;
        let tree = tree(size);
        let oracle = rs_merkle::MerkleTree::<Rfc6962>::from_leaves(&tree.leaves);
        let root = tree.frontier.root_hash();
        prop_assert_eq!(oracle.root(), Some(root));
        let proof = prove_inclusion(index, size, |node| tree.read(node)).unwrap();
        let position = usize::try_from(index).unwrap();
        let theirs = oracle.proof(&[position]);
        prop_assert_eq!(theirs.proof_hashes(), proof.hashes.as_slice());
        prop_assert!(theirs.verify(root, &[position], &[tree.leaves[position]], tree.leaves.len()));
        prop_assert_eq!(proof.check(&tree.leaves[position], &root), Ok(()));
    }

    #[test]
    fn a_changed_proof_is_refused(
        size in 2u64..300, index in 0u64..300, byte in 0usize..10_000, bit in 0u8..8,
    ) {
        let index = index % size;
        let tree = tree(size);
        let root = tree.frontier.root_hash();
        let leaf = tree.leaves[usize::try_from(index).unwrap()];
        let mut proof = prove_inclusion(index, size, |node| tree.read(node)).unwrap();
        let at = byte % (proof.hashes.len() * 32);
        proof.hashes[at / 32][at % 32] ^= 1 << bit;
        prop_assert_eq!(proof.check(&leaf, &root), Err(ProofError::RootMismatch));
    }

    #[test]
    fn growth_is_consistent(old in 0u64..500, more in 0u64..500) {
        let tree = tree(old + more);
        let proof = prove_consistency(old, old + more, |node| tree.read(node)).unwrap();
        let old_root = hash_range(0, old, |node| tree.read(node)).unwrap();
        prop_assert_eq!(proof.check(&old_root, &tree.frontier.root_hash()), Ok(()));
    }
}

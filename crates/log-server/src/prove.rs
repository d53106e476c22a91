//! Proofs about any committed tree: from memory, and from sealed tiles for what is not there.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use waxseal_crypto::BoxFuture;
use waxseal_tlog::{
    ConsistencyProof, Hash, InclusionProof, Node, ProofError, ProveError, prove_consistency,
    prove_inclusion,
};

use crate::shared::{ReadError, Shared, off_thread};
use crate::witness::ConsistencyProver;

impl Shared {
    /// That a committed tree is the beginning of a later one.
    pub(crate) async fn prove_consistency(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> Result<ConsistencyProof, ReadError> {
        self.prove_with(|read| prove_consistency(old_size, new_size, read))
            .await
    }

    /// That a committed tree has an entry.
    pub(crate) async fn prove_inclusion(
        &self,
        index: u64,
        tree_size: u64,
    ) -> Result<InclusionProof, ReadError> {
        self.prove_with(|read| prove_inclusion(index, tree_size, read))
            .await
    }

    /// Tries, reads the node that was missing, and tries again: a proof has some sixty at most.
    async fn prove_with<T>(
        &self,
        prove: impl Fn(&mut dyn FnMut(Node) -> Result<Hash, Node>) -> Result<T, ProveError<Node>>,
    ) -> Result<T, ReadError> {
        let mut known = HashMap::new();
        loop {
            let tried = {
                let tree = self.tree();
                prove(&mut |node| {
                    let found = tree.node(node).or_else(|| known.get(&node).copied());
                    found.ok_or(node)
                })
            };
            match tried {
                Ok(proof) => return Ok(proof),
                Err(ProveError::Impossible(error)) => return Err(ReadError::Impossible(error)),
                Err(ProveError::Read(node)) => known.insert(node, self.node(node).await?),
                // `ProveError` has no other case.
                Err(_) => return Err(ReadError::Store("a proof cannot be made".into())),
            };
        }
    }
}

/// What is not in memory is read off the thread that asks.
impl ConsistencyProver for Arc<Shared> {
    fn consistency(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> BoxFuture<'_, Result<ConsistencyProof, ReadError>> {
        Box::pin(async move {
            let committed = self.committed.load(Ordering::Acquire);
            if new_size > committed {
                return Err(ReadError::Impossible(ProofError::SizesReversed {
                    old_size: new_size,
                    new_size: committed,
                }));
            }
            let in_memory = {
                let tree = self.tree();
                prove_consistency(old_size, new_size, |node| tree.node(node).ok_or(node))
            };
            if let Ok(proof) = in_memory {
                return Ok(proof);
            }
            let shared = Self::clone(self);
            off_thread(async move { shared.prove_consistency(old_size, new_size).await })
                .await
                .map_err(ReadError::Store)?
        })
    }
}

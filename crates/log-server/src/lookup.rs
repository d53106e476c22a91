//! What is in the log already: entries by index and hash, proofs, old checkpoints, duplicates.

use std::sync::Arc;

use waxseal_serve::BoxError;
use waxseal_tlog::{ConsistencyProof, Hash, InclusionProof};

use crate::append::Sequenced;
use crate::gate::Gate;
use crate::personality::Prover;
use crate::service::{Client, Service};
use crate::shared::{ReadError, off_thread};
use crate::{Logged, ObjectName, Submission};

/// A proof that was made already.
#[derive(Debug)]
struct Proven(InclusionProof);

impl Prover for Proven {
    fn prove(&self, index: u64, tree_size: u64) -> Result<InclusionProof, BoxError> {
        if (self.0.leaf_index, self.0.tree_size) == (index, tree_size) {
            return Ok(self.0.clone());
        }
        Err("the proof is about another entry".into())
    }
}

/// That a published tree is the beginning of a later one.
#[derive(Debug)]
pub(crate) struct Consistency {
    pub(crate) proof: ConsistencyProof,
    pub(crate) old_root: Hash,
    pub(crate) new_root: Hash,
}

impl Service {
    /// An entry under a published checkpoint, with its proof; `None` if that does not cover it.
    pub(crate) async fn entry(&self, index: u64) -> Result<Option<Logged>, ReadError> {
        self.entry_through(&self.reads, index).await
    }

    /// The entry that a submission may be.
    pub(crate) async fn settled_entry(&self, index: u64) -> Result<Option<Logged>, ReadError> {
        self.entry_through(&self.own_reads, index).await
    }

    async fn entry_through(&self, gate: &Gate, index: u64) -> Result<Option<Logged>, ReadError> {
        // One with its cosignatures, if it covers the entry.
        let mut published = self.shown();
        if index >= published.tree_size {
            published = self.published();
        }
        if index >= published.tree_size {
            return Ok(None);
        }
        let shared = Arc::clone(&self.shared);
        let tree_size = published.tree_size;
        let read = gate.read(async move {
            let stored = shared.entry(index).await?;
            let proof = shared.prove_inclusion(index, tree_size).await?;
            // The answer is believed: it must not be about damaged bytes (S-21, D8).
            let leaf = shared.leaf_hash(&stored);
            let holds = leaf.is_some_and(|leaf| proof.check(&leaf, &published.root_hash).is_ok());
            if !holds {
                let name = ObjectName::Tile(shared.bundle_path(index / 256, 256));
                return Err(ReadError::Damaged { name });
            }
            Ok((stored, proof, published))
        });
        let (stored, proof, published) = read.await?;
        let sequenced = Sequenced {
            index,
            is_duplicate: true,
            stored,
            published,
            prover: Arc::new(Proven(proof)),
        };
        let client = Client {
            wants_entry: true,
            ..Client::default()
        };
        Ok(Some(self.logged(sequenced, client)))
    }

    /// The entry with that leaf hash, if this personality's entries are found by it.
    pub(crate) async fn entry_by_hash(&self, hash: Hash) -> Result<Option<Logged>, ReadError> {
        let Some(key) = self.shared.personality.key_of_leaf(&hash) else {
            return Ok(None);
        };
        let ledger = Arc::clone(&self.shared.ledger);
        let found = off_thread(async move { ledger.find(&[key]).await });
        let found = found.await.map_err(ReadError::Store)?;
        let found = found.map_err(|error| ReadError::Store(error.into()))?;
        let Some(index) = found.into_iter().flatten().next() else {
            return Ok(None);
        };
        let entry = self.entry(index).await?;
        // A key proves nothing: its entry may be another one (S-13).
        Ok(entry.filter(|entry| self.shared.leaf_hash(entry.stored()) == Some(hash)))
    }

    /// The same entry, if it is published already. What goes wrong here goes wrong again, and is
    /// told, where the submission is sequenced.
    pub(crate) async fn find_duplicate(
        &self,
        submission: &dyn Submission,
        client: Client,
    ) -> Option<Logged> {
        let key = submission.early_key()?;
        let ledger = Arc::clone(&self.shared.ledger);
        let found = off_thread(async move { ledger.find(&[key]).await }).await;
        let index = found.ok()?.ok()?.into_iter().flatten().next()?;
        let entry = self.entry_through(&self.own_reads, index).await;
        let mut logged = entry.ok()??;
        logged.wants_entry = client.wants_entry;
        submission.is_stored_as(logged.stored()).then_some(logged)
    }

    /// The proof between two published trees; `None` if there is none.
    pub(crate) async fn consistency(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> Result<Option<Consistency>, ReadError> {
        if old_size > new_size || new_size > self.published().tree_size {
            return Ok(None);
        }
        let shared = Arc::clone(&self.shared);
        let made = self.reads.read(async move {
            Ok(Some(Consistency {
                proof: shared.prove_consistency(old_size, new_size).await?,
                old_root: shared.root_hash(old_size).await?,
                new_root: shared.root_hash(new_size).await?,
            }))
        });
        made.await
    }

    /// A checkpoint that was published, if it is kept.
    pub(crate) async fn checkpoint_of(&self, size: u64) -> Result<Option<String>, ReadError> {
        let mut published = self.published();
        if published.tree_size != size {
            published = self.shown();
        }
        if published.tree_size == size && !published.checkpoint.is_empty() {
            return Ok(Some(published.checkpoint.clone()));
        }
        if let Some(recent) = self.shared.history.recent(size) {
            return Ok(Some(recent.checkpoint.clone()));
        }
        let objects = Arc::clone(&self.shared.objects);
        let name = ObjectName::CheckpointAt(size);
        let read = off_thread(async move { objects.read(name).await });
        let read = read.await.map_err(ReadError::Store)?;
        let read = read.map_err(|error| ReadError::Store(error.into()))?;
        let text = read.map(String::from_utf8).transpose();
        let text = text.map_err(|_| ReadError::Damaged { name })?;
        // A log that has taken another one's stores over does not speak in its name.
        let origin = published.checkpoint.lines().next();
        Ok(text.filter(|text| text.lines().next() == origin))
    }
}

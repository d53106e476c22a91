//! Checkpoints that were published, by their size: for who holds a proof and has lost its
//! checkpoint, and for auditors who compare what they were shown.
//!
//! The checkpoints that clients get with their entries are far too many to keep. Kept are those
//! that are written out, at most one a second: the last [`MAX_RECENT`] in memory, and one in every
//! [`KEPT_EVERY`] for ever, as an object.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{ObjectName, Objects, Published};

/// Checkpoints in memory: an hour of them, some 300 bytes each and a few thousand if many
/// witnesses sign with ML-DSA.
const MAX_RECENT: usize = 3600;

/// One checkpoint in that time becomes an object, if the log has grown: 1,440 small files a day.
pub(crate) const KEPT_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    recent: BTreeMap<u64, Arc<Published>>,
    last_object: Option<Instant>,
}

impl History {
    /// Keeps what was just written out as the checkpoint. A version with more cosignatures
    /// replaces that of the same size in memory. A failure costs the history an entry only.
    pub(crate) async fn keep(&self, published: &Arc<Published>, objects: &dyn Objects) {
        if !self.remember(published) {
            return;
        }
        let name = ObjectName::CheckpointAt(published.tree_size);
        // Signed anew after a restart it has other bytes: the first one stays.
        let kept = match objects.read(name).await {
            Ok(None) => {
                let bytes = published.checkpoint.clone().into_bytes();
                objects.create(vec![(name, bytes)]).await
            }
            read => read.map(|_| ()),
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "a checkpoint is missing in the history");
        }
    }

    /// Whether it is time for an object.
    fn remember(&self, published: &Arc<Published>) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = kept
            .recent
            .insert(published.tree_size, Arc::clone(published))
            .is_none();
        while kept.recent.len() > MAX_RECENT {
            kept.recent.pop_first();
        }
        let is_due = kept
            .last_object
            .is_none_or(|last| last.elapsed() >= KEPT_EVERY);
        if is_new && is_due {
            kept.last_object = Some(Instant::now());
        }
        is_new && is_due
    }

    /// The checkpoint of that size, if it is in memory.
    pub(crate) fn recent(&self, tree_size: u64) -> Option<Arc<Published>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.recent.get(&tree_size).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(tree_size: u64, checkpoint: &str) -> Arc<Published> {
        Arc::new(Published {
            tree_size,
            root_hash: [0; 32],
            checkpoint: checkpoint.to_owned(),
        })
    }

    #[test]
    fn the_last_ones_are_remembered_and_some_are_kept() {
        let history = History::default();
        assert!(history.remember(&published(1, "one")));
        assert!(!history.remember(&published(2, "two")), "within a minute");
        assert!(!history.remember(&published(2, "two, cosigned")));
        let found = history.recent(2).unwrap();
        assert_eq!(found.checkpoint, "two, cosigned");
        for size in 3..4000 {
            history.remember(&published(size, ""));
        }
        assert!(history.recent(399).is_none());
        assert!(history.recent(400).is_some());
        assert!(history.recent(4000).is_none());
    }
}

//! Cosignatures that come after publication: one round after the other, each about the newest
//! checkpoint.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use waxseal_serve::Fatal;
use waxseal_tlog::{SignatureLine, SignedNote};

use crate::late::{add_lines, with_lines};
use crate::publish::cosign;
use crate::shared::Shared;
use crate::{CosignError, LateCosignatures, Published, Unpublished};

/// When witnesses that did not answer are asked again, if no larger tree comes before.
const AGAIN: Duration = Duration::from_secs(10);

/// Has what is published cosigned, for ever.
///
/// # Errors
/// [`Fatal`]: a witness has seen another tree.
pub(crate) async fn top_up(shared: Arc<Shared>) -> Fatal {
    let Some(cosigners) = shared.cosigners.clone().filter(|_| shared.tops_up()) else {
        return pending().await;
    };
    let mut published = shared.published.subscribe();
    loop {
        let began = Instant::now();
        let target = Arc::clone(&published.borrow_and_update());
        let has_enough = match unpublished(&shared, &target) {
            None => true,
            Some(unpublished) => match cosign(&shared, &*cosigners, &unpublished).await {
                Ok(lines) => {
                    add(&shared, &target, &lines);
                    let cosigned = with_lines(&target, &lines).map(Arc::new);
                    let cosigned = cosigned.unwrap_or_else(|| Arc::clone(&target));
                    let newest = shared.published().tree_size;
                    shared.shown.cosigned(cosigned, began, newest);
                    true
                }
                Err(CosignError::NoQuorum { collected }) => {
                    add(&shared, &target, &collected);
                    false
                }
                Err(evidence) => {
                    return Fatal::new("a witness has seen another tree of the log", evidence);
                }
            },
        };
        // What comes of one's own addition is of the same size.
        let larger = published.wait_for(|newest| newest.tree_size != target.tree_size);
        if has_enough {
            // The sender lives in `shared`.
            let _ = larger.await;
        } else {
            let _ = tokio::time::timeout(AGAIN, larger).await;
        }
    }
}

fn add(shared: &Shared, target: &Published, lines: &[SignatureLine]) {
    let late = LateCosignatures {
        tree_size: target.tree_size,
        lines: lines.to_vec(),
    };
    add_lines(shared, &late);
}

/// The checkpoint as the log has signed it, without the cosignatures that it has already. `None`:
/// nothing is published yet, or the tree is empty.
fn unpublished(shared: &Shared, target: &Published) -> Option<Unpublished> {
    if target.tree_size == 0 {
        return None;
    }
    let note = SignedNote::parse(&target.checkpoint).ok()?;
    let is_own = |line: &&SignatureLine| {
        let mut signers = shared.signers.iter();
        signers.any(|own| own.name() == line.name() && own.key_id() == line.key_id())
    };
    let own = note.signatures().iter().filter(is_own).cloned().collect();
    Some(Unpublished {
        note: SignedNote::from_parts(note.unverified_text(), own).ok()?,
        tree_size: target.tree_size,
        root_hash: target.root_hash,
    })
}

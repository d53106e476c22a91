//! Cosignatures that come after publication: the checkpoint object gets them while its tree is
//! still the newest that is written out.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use waxseal_serve::Fatal;
use waxseal_tlog::SignedNote;

use crate::publish::{cosign, extend};
use crate::shared::Shared;
use crate::{CosignError, CosignMode, Published, Unpublished};

/// When witnesses that did not answer are asked again, if no larger tree comes before.
const AGAIN: Duration = Duration::from_secs(10);

/// Has what is written out cosigned, for ever.
///
/// # Errors
/// [`Fatal`]: a witness has seen another tree.
pub(crate) async fn top_up(shared: Arc<Shared>) -> Fatal {
    let Some(cosigners) = shared.cosigners.clone() else {
        return pending().await;
    };
    if cosigners.mode() != CosignMode::TopUp {
        return pending().await;
    }
    let mut written = shared.written.subscribe();
    loop {
        let target = Arc::clone(&written.borrow_and_update());
        let has_enough = match unpublished(&target) {
            None => true,
            Some(mut unpublished) => match cosign(&shared, &*cosigners, &unpublished).await {
                Ok(lines) => {
                    extend(&mut unpublished.note, lines);
                    replace(&shared, &target, &unpublished);
                    true
                }
                Err(CosignError::NoQuorum { collected }) => {
                    if !collected.is_empty() {
                        extend(&mut unpublished.note, collected);
                        replace(&shared, &target, &unpublished);
                    }
                    false
                }
                Err(evidence) => {
                    return Fatal::new("a witness has seen another tree of the log", evidence);
                }
            },
        };
        // What comes of one's own replacement is of the same size.
        let larger = written.wait_for(|written| written.tree_size != target.tree_size);
        if has_enough {
            // The sender lives in `shared`.
            let _ = larger.await;
        } else {
            let _ = tokio::time::timeout(AGAIN, larger).await;
        }
    }
}

/// `None`: nothing is written yet, or the tree is empty.
fn unpublished(target: &Published) -> Option<Unpublished> {
    if target.tree_size == 0 {
        return None;
    }
    Some(Unpublished {
        note: SignedNote::parse(&target.checkpoint).ok()?,
        tree_size: target.tree_size,
        root_hash: target.root_hash,
    })
}

/// The same tree under more signatures.
fn replace(shared: &Shared, target: &Published, cosigned: &Unpublished) {
    let cosigned = Arc::new(Published {
        checkpoint: cosigned.note.to_string(),
        ..target.clone()
    });
    shared.published.send_if_modified(|newest| {
        let is_same_tree = newest.tree_size == cosigned.tree_size;
        if is_same_tree {
            *newest = Arc::clone(&cosigned);
        }
        is_same_tree
    });
    shared.cosigned.send_replace(Some(cosigned));
}

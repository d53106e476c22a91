//! The second stage: a batch grows the tree, twice (rule D3).

use waxseal_crypto::Time;
use waxseal_serve::Fatal;
use waxseal_tlog::Hash;

use crate::NewEntry;
use crate::shared::Shared;
use crate::state::LogState;

/// Adds entries to the frontier and to the tree in memory, and compares the two: one flipped bit
/// in either would end the log (S-21). `None`: the log is full.
///
/// # Errors
/// [`Fatal`]: they differ, or bytes are not an entry.
pub(crate) fn integrate(
    shared: &Shared,
    state: &LogState,
    entries: &[NewEntry],
    time: Time,
) -> Result<Option<LogState>, Fatal> {
    let mut next = state.clone();
    next.time = time;
    // Hashing the entries is most of the work; nobody waits for the tree meanwhile.
    let leaves: Option<Vec<Hash>> = entries
        .iter()
        .map(|entry| shared.leaf_hash(&entry.stored))
        .collect();
    let leaves = leaves.ok_or_else(contradiction)?;
    for leaf in &leaves {
        if next.frontier.append(leaf).is_err() {
            return Ok(None);
        }
    }
    let (old_size, old_root) = (state.frontier.size(), state.frontier.root_hash());
    let new_root = next.frontier.root_hash();
    let mut tree = shared.tree_mut();
    leaves.iter().for_each(|leaf| tree.append(leaf));
    let agrees = tree.size() == next.frontier.size()
        && tree.root_hash(tree.size()) == Ok(new_root)
        && tree.check_growth(old_size, &old_root, &new_root).is_ok();
    if agrees {
        Ok(Some(next))
    } else {
        Err(contradiction())
    }
}

fn contradiction() -> Fatal {
    Fatal::because("the log's tree contradicts itself in memory")
}

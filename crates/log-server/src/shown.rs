//! Which checkpoint readers are shown.
//!
//! Where cosignatures come after publication, the newest checkpoint of a busy log has none yet: the
//! next one takes its place before any witness has answered. Readers are shown the newest one that
//! has its quorum then, and what is newer after [`LONGEST_BEHIND`] at the latest. What is shown
//! never goes back (rule D6).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::Published;

/// How long a newer checkpoint waits for its cosignatures before readers are shown it without them:
/// a few seconds are what caches may keep a checkpoint for (tlog-tiles).
pub(crate) const LONGEST_BEHIND: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(crate) struct Shown(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The newest checkpoint that has its quorum.
    cosigned: Option<Arc<Published>>,
    /// Since when a larger tree than that one's is published, at the earliest.
    behind_since: Option<Instant>,
    /// What was shown last: nothing smaller is shown any more.
    shown: Option<Arc<Published>>,
}

impl State {
    /// The bound begins with the first tree that is larger than the one that has its quorum.
    fn falls_behind(&mut self, newest: &Published) {
        let cosigned = self.cosigned.as_ref();
        if cosigned.is_some_and(|cosigned| cosigned.tree_size < newest.tree_size) {
            self.behind_since.get_or_insert_with(Instant::now);
        }
    }
}

impl Shown {
    /// A checkpoint was published, without cosignatures.
    pub(crate) fn published(&self, newest: &Published) {
        self.state().falls_behind(newest);
    }

    /// A checkpoint has its quorum; it was the newest one at the time `since`.
    pub(crate) fn cosigned(&self, checkpoint: Arc<Published>, since: Instant, newest_size: u64) {
        let mut state = self.state();
        let is_older = |held: &Arc<Published>| held.tree_size > checkpoint.tree_size;
        if state.cosigned.as_ref().is_some_and(is_older) {
            return;
        }
        state.behind_since = (checkpoint.tree_size < newest_size).then_some(since);
        state.cosigned = Some(checkpoint);
    }

    /// Replaces the checkpoint of that tree, if it may be shown again, by one with more lines.
    pub(crate) fn replace(
        &self,
        tree_size: u64,
        with_more: impl Fn(&Published) -> Option<Published>,
    ) {
        let mut state = self.state();
        let State {
            cosigned, shown, ..
        } = &mut *state;
        for held in [cosigned, shown] {
            let same = held.as_ref().filter(|held| held.tree_size == tree_size);
            if let Some(more) = same.and_then(|held| with_more(held)) {
                *held = Some(Arc::new(more));
            }
        }
    }

    /// What a reader is shown now.
    pub(crate) fn show(&self, newest: &Arc<Published>) -> Arc<Published> {
        let mut state = self.state();
        state.falls_behind(newest);
        let waits = state
            .behind_since
            .is_some_and(|since| since.elapsed() <= LONGEST_BEHIND);
        let shown = match (&state.cosigned, &state.shown) {
            // What was shown last waits for the quorum of something larger, or it would never be
            // caught up with.
            (Some(cosigned), Some(shown)) if waits && cosigned.tree_size < shown.tree_size => shown,
            (Some(cosigned), _) if waits => cosigned,
            // Another reader was shown what was published a moment ago.
            (_, Some(shown)) if shown.tree_size > newest.tree_size => shown,
            _ => newest,
        };
        let shown = Arc::clone(shown);
        state.shown = Some(Arc::clone(&shown));
        shown
    }

    /// From here on nobody is shown less than this.
    pub(crate) fn at_least(&self, newest: &Arc<Published>) -> Arc<Published> {
        self.state().shown = Some(Arc::clone(newest));
        Arc::clone(newest)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tree_size: u64) -> Arc<Published> {
        Arc::new(Published {
            tree_size,
            root_hash: [0; 32],
            checkpoint: String::new(),
        })
    }

    fn check(shown: &Shown, newest: u64, expected: u64) {
        assert_eq!(shown.show(&of(newest)).tree_size, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_quorum_is_shown_for_a_bounded_time() {
        let shown = Shown::default();
        check(&shown, 1, 1);
        shown.cosigned(of(2), Instant::now(), 2);
        check(&shown, 2, 2);
        // Idle for however long, and then a larger tree: the bound begins there.
        tokio::time::advance(LONGEST_BEHIND * 100).await;
        shown.published(&of(3));
        check(&shown, 3, 2);
        tokio::time::advance(LONGEST_BEHIND / 2).await;
        shown.published(&of(4));
        check(&shown, 4, 2);
        tokio::time::advance(LONGEST_BEHIND).await;
        check(&shown, 4, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn d6_what_is_shown_never_goes_back() {
        let shown = Shown::default();
        shown.cosigned(of(2), Instant::now(), 2);
        shown.published(&of(9));
        tokio::time::advance(LONGEST_BEHIND * 2).await;
        check(&shown, 9, 9);
        // Cosignatures of a smaller tree than readers have seen: the witnesses are back, and what
        // was shown waits for them.
        shown.cosigned(of(5), Instant::now(), 9);
        check(&shown, 9, 9);
        check(&shown, 10, 9);
        shown.cosigned(of(11), Instant::now(), 12);
        check(&shown, 12, 11);
        shown.cosigned(of(10), Instant::now(), 12);
        check(&shown, 12, 11);
        shown.at_least(&of(12));
        check(&shown, 12, 12);
    }
}

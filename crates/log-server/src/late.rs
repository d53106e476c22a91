//! Cosignatures that come when their checkpoint is published already: they are added to it, for it
//! is the text that a witness signs, and the log signs nothing for it.

use std::sync::Arc;

use waxseal_serve::Fatal;
use waxseal_tlog::{SignatureLine, SignedNote};

use crate::shared::Shared;
use crate::{CosignMode, Cosigners, LateCosignatures, Published};

/// Adds what comes late, for ever.
pub(crate) async fn add_late(shared: Arc<Shared>) -> Fatal {
    let Some(cosigners) = shared.cosigners.clone() else {
        return std::future::pending().await;
    };
    loop {
        let late = cosigners.late().await;
        add_lines(&shared, &late);
    }
}

/// Adds cosignatures wherever the checkpoint of their tree still is: in memory if it is the newest,
/// among the objects if it is the one that is written, and where readers are shown it.
///
/// The tree stays what it is, so nothing goes back by it (rule D6).
pub(crate) fn add_lines(shared: &Shared, late: &LateCosignatures) {
    let LateCosignatures { tree_size, lines } = late;
    shared.published.send_if_modified(|newest| {
        let more = (newest.tree_size == *tree_size)
            .then(|| with_lines(newest, lines))
            .flatten();
        let is_more = more.is_some();
        if let Some(more) = more {
            *newest = Arc::new(more);
        }
        is_more
    });
    shared
        .shown
        .replace(*tree_size, |held| with_lines(held, lines));
    if shared.written.borrow().tree_size != *tree_size {
        return;
    }
    // The sealer may not have taken the ones before yet.
    shared.late.send_modify(|waiting| {
        if waiting.tree_size == *tree_size {
            waiting.lines.extend(lines.iter().cloned());
        } else {
            *waiting = late.clone();
        }
    });
}

/// The same checkpoint with those of the lines that it does not have; `None` if it has all, or no
/// room for them.
pub(crate) fn with_lines(published: &Published, lines: &[SignatureLine]) -> Option<Published> {
    let mut note = SignedNote::parse(&published.checkpoint).ok()?;
    let mut new: Vec<SignatureLine> = Vec::new();
    for line in lines {
        let is_same =
            |one: &SignatureLine| one.name() == line.name() && one.key_id() == line.key_id();
        if !note.signatures().iter().chain(&new).any(is_same) {
            new.push(line.clone());
        }
    }
    if new.is_empty() {
        return None;
    }
    if let Err(error) = note.extend(new) {
        tracing::warn!(%error, "cosignatures were left out");
        return None;
    }
    Some(Published {
        checkpoint: note.to_string(),
        ..published.clone()
    })
}

impl Shared {
    /// The checkpoint that readers are shown: the newest, but for a log that is topped up.
    pub(crate) fn shown(&self) -> Arc<Published> {
        let newest = self.published();
        if self.tops_up() {
            self.shown.show(&newest)
        } else {
            newest
        }
    }

    pub(crate) fn tops_up(&self) -> bool {
        let mode = self.cosigners.as_deref().map(Cosigners::mode);
        mode == Some(CosignMode::TopUp)
    }
}

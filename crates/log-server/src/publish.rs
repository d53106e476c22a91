//! From a committed tree to a published checkpoint: sign, have it cosigned, publish.

use std::sync::Arc;
use std::time::Duration;

use waxseal_serve::BoxError;
use waxseal_tlog::{CheckpointText, SignatureLine, SignedNote, sign_note};

use crate::shared::Shared;
use crate::state::LogState;
use crate::{CosignError, CosignMode, Cosigners, Published, StartError, Unpublished};

/// A signer that has not answered by then has failed: clients wait for it.
const SIGN_LIMIT: Duration = Duration::from_secs(10);

/// So have cosigners; they have limits of their own, far below this one.
pub(crate) const COSIGN_LIMIT: Duration = Duration::from_secs(10);

/// Why a committed tree was not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error("the checkpoint could not be signed")]
    Signer(#[source] BoxError),
    #[error(transparent)]
    Cosign(CosignError),
    /// Something else has stopped the log in the meantime.
    #[error("the log has stopped")]
    Stopped,
}

/// Signs a committed state (rule D4: never any other).
pub(crate) async fn sign(shared: &Shared, state: &LogState) -> Result<Unpublished, PublishError> {
    let (tree_size, root_hash) = (state.frontier.size(), state.frontier.root_hash());
    let text = CheckpointText::new(state.origin.clone(), tree_size, root_hash).to_string();
    let signers: Vec<_> = shared.signers.iter().collect();
    let time = shared.clock.now().max(state.time);
    let signed = tokio::time::timeout(SIGN_LIMIT, sign_note(&text, time, &signers)).await;
    let note = signed
        .map_err(|elapsed| PublishError::Signer(elapsed.into()))?
        .map_err(|error| PublishError::Signer(error.into()))?;
    Ok(Unpublished {
        note,
        tree_size,
        root_hash,
    })
}

/// Signs a committed state and makes it the published one, with the cosignatures that the mode
/// asks for.
pub(crate) async fn publish(
    shared: &Arc<Shared>,
    state: &LogState,
) -> Result<Arc<Published>, PublishError> {
    let mut unpublished = sign(shared, state).await?;
    let cosigners = shared.cosigners.as_deref();
    if let Some(cosigners) = cosigners.filter(|one| one.mode() != CosignMode::TopUp) {
        let lines = cosign(shared, cosigners, &unpublished).await;
        extend(&mut unpublished.note, tolerated(lines, cosigners.mode())?);
    }
    if shared.is_stopped() {
        return Err(PublishError::Stopped);
    }
    Ok(make_public(shared, &unpublished))
}

/// The same for what was committed before this process began: the cosigners are asked in every
/// mode, for they know whether the stores were rolled back (D4, D11).
///
/// A log that fails closed may start without cosignatures; it publishes nothing then.
pub(crate) async fn publish_first(
    shared: &Arc<Shared>,
    state: &LogState,
) -> Result<(), StartError> {
    let mut unpublished = match sign(shared, state).await {
        Ok(unpublished) => unpublished,
        Err(error) => return Err(StartError::Sign(error.into())),
    };
    if let Some(cosigners) = shared.cosigners.as_deref() {
        match cosign(shared, cosigners, &unpublished).await {
            Ok(lines) => extend(&mut unpublished.note, lines),
            Err(CosignError::NoQuorum { collected }) => {
                tracing::warn!("too few witnesses answered at the start");
                if cosigners.mode() == CosignMode::FailClosed {
                    return Ok(());
                }
                extend(&mut unpublished.note, collected);
            }
            Err(evidence) => return Err(StartError::Cosign(evidence)),
        }
    }
    make_public(shared, &unpublished);
    Ok(())
}

/// Cosignatures, or why there are not enough.
pub(crate) async fn cosign(
    shared: &Arc<Shared>,
    cosigners: &dyn Cosigners,
    unpublished: &Unpublished,
) -> Result<Vec<SignatureLine>, CosignError> {
    let asked = cosigners.cosign(unpublished, Arc::new(Arc::clone(shared)));
    let given = tokio::time::timeout(COSIGN_LIMIT, asked).await;
    given.unwrap_or_else(|_| {
        let collected = Vec::new();
        Err(CosignError::NoQuorum { collected })
    })
}

/// Too few cosignatures stop a log that fails closed; evidence of another tree stops every log.
fn tolerated(
    lines: Result<Vec<SignatureLine>, CosignError>,
    mode: CosignMode,
) -> Result<Vec<SignatureLine>, PublishError> {
    match lines {
        Err(CosignError::NoQuorum { collected }) if mode != CosignMode::FailClosed => {
            tracing::warn!("a checkpoint is published without enough cosignatures");
            Ok(collected)
        }
        lines => lines.map_err(PublishError::Cosign),
    }
}

/// Adds cosignatures to a note, as many as one may have.
pub(crate) fn extend(note: &mut SignedNote, lines: Vec<SignatureLine>) {
    if let Err(error) = note.extend(lines) {
        tracing::warn!(%error, "cosignatures were left out");
    }
}

/// The published checkpoint never goes back (D6).
fn make_public(shared: &Shared, unpublished: &Unpublished) -> Arc<Published> {
    let published = Arc::new(Published {
        tree_size: unpublished.tree_size,
        root_hash: unpublished.root_hash,
        checkpoint: unpublished.note.to_string(),
    });
    shared.shown.published(&published);
    shared.published.send_if_modified(|newest| {
        let is_newer = newest.tree_size <= published.tree_size;
        if is_newer {
            *newest = Arc::clone(&published);
        }
        is_newer
    });
    published
}

//! The start: ledger, objects and published checkpoint must tell one story (rule D4).

use waxseal_crypto::CryptoProvider;
use waxseal_serve::BoxError;
use waxseal_tlog::{
    Checkpoint, CheckpointError, Frontier, LogKey, NoteError, NoteKeyError, NoteSigner, Origin,
    SignedNote, Tile,
};

use crate::shared::{ReadError, Shared, Tree};
use crate::state::{LogState, StateError};
use crate::{CosignError, LedgerError, ObjectName, ObjectsError, Published};

/// Why a log does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no signer, or one whose name is not the log's origin (tlog-checkpoint).
    #[error("every signer of the log must be named as its origin")]
    SignerName,
    /// A signer's key cannot be used.
    #[error("a signer of the log cannot be used")]
    SignerKey(#[source] NoteKeyError),
    /// The ledger cannot be opened or read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The objects cannot be read.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// The ledger's state is not one.
    #[error(transparent)]
    State(#[from] StateError),
    /// The ledger is that of another log.
    #[error("the ledger is that of the log {found}")]
    OtherLog {
        /// The origin in the ledger.
        found: Origin,
    },
    /// Sealed objects, or entries in the ledger, are missing, damaged, or lead to another root.
    #[error("the stored log is damaged")]
    Damaged(#[source] ReadError),
    /// The entries and tiles lead to another tree than the one that was committed.
    #[error("the stored entries lead to another tree than the committed one")]
    OtherTree,
    /// The published checkpoint is not a note.
    #[error("the published checkpoint cannot be read")]
    PublishedNote(#[source] NoteError),
    /// The published checkpoint is not signed by this log.
    #[error("the published checkpoint is not one of this log")]
    PublishedCheckpoint(#[source] CheckpointError),
    /// The published checkpoint is ahead of the ledger: the ledger was rolled back. To go on would
    /// fork the log.
    #[error(
        "the published checkpoint has {published} entries and the ledger {committed}: the ledger was \
         rolled back"
    )]
    RolledBack {
        /// Size of the published tree.
        published: u64,
        /// Size of the committed tree.
        committed: u64,
    },
    /// The published checkpoint has another root than the stored tree of its size.
    #[error("the published checkpoint and the stored tree of {published} entries differ")]
    Forked {
        /// Size of the published tree.
        published: u64,
    },
    /// A witness has cosigned a larger tree, or another one: the stores were rolled back, or are
    /// not those of this log. To go on would fork it.
    #[error("a witness contradicts the stored log")]
    Cosign(#[source] CosignError),
    /// The first entry could not be made or appended.
    #[error("the log's first entry could not be made")]
    Genesis(#[source] BoxError),
    /// The checkpoint could not be signed.
    #[error("the checkpoint could not be signed")]
    Sign(#[source] BoxError),
}

/// The log's own key, to open what it published earlier.
pub(crate) fn own_key(
    provider: CryptoProvider,
    origin: &Origin,
    signers: &[NoteSigner],
) -> Result<LogKey, StartError> {
    let [own, ..] = signers else {
        return Err(StartError::SignerName);
    };
    let named = |signer: &NoteSigner| signer.name().as_str() == origin.as_str();
    if !signers.iter().all(named) {
        return Err(StartError::SignerName);
    }
    let key = own.note_key(provider).map_err(StartError::SignerKey)?;
    Ok(LogKey::new(key))
}

/// Reads the state, and grows the tree in `shared` to the committed size.
pub(crate) async fn recover(
    shared: &Shared,
    origin: &Origin,
    state: Option<Vec<u8>>,
) -> Result<LogState, StartError> {
    let Some(state) = state else {
        return Ok(LogState::new(origin.clone()));
    };
    let state = LogState::parse(&state)?;
    if state.origin != *origin {
        return Err(StartError::OtherLog {
            found: state.origin,
        });
    }
    restore_sealed(shared, state.sealed)
        .await
        .map_err(StartError::Damaged)?;
    append_tail(shared, &state).await?;
    // Everything that was read leads to the tree that was committed, hash by hash.
    let peaks: Option<Vec<_>> = Frontier::peak_nodes(state.frontier.size())
        .into_iter()
        .map(|node| shared.tree().node(node))
        .collect();
    if peaks.as_deref() == Some(state.frontier.peaks()) {
        Ok(state)
    } else {
        Err(StartError::OtherTree)
    }
}

/// The right edge at a sealed size: roots of full tiles, recomputed from the tiles.
async fn restore_sealed(shared: &Shared, sealed: u64) -> Result<(), ReadError> {
    *shared.tree_mut() = Tree::sealed(sealed);
    // From the top, so that a tile's own hash finds its parent there.
    for level in (1..8u8).rev() {
        let on_level = sealed.checked_shr(8 * u32::from(level)).unwrap_or(0);
        for index in on_level / 256 * 256..on_level {
            let name = ObjectName::Checkpoint;
            let tile = Tile::new(level - 1, index, 256).map_err(|_| ReadError::Damaged { name })?;
            let hashes = shared.tile(tile).await?;
            let mut small = Tree::default();
            hashes.iter().for_each(|hash| small.append(hash));
            let root = small
                .root_hash(256)
                .map_err(|_| ReadError::Damaged { name })?;
            shared.tree_mut().restore(level, index, &root);
        }
    }
    Ok(())
}

/// The entries that are not sealed yet.
async fn append_tail(shared: &Shared, state: &LogState) -> Result<(), StartError> {
    let size = state.frontier.size();
    let mut at = state.sealed;
    while at < size {
        let end = size.min(at + 256);
        let entries = shared.ledger.read(at..end).await?;
        for entry in &entries {
            let name = ObjectName::Tile(shared.bundle_path(at / 256, 256));
            let leaf = shared
                .leaf_hash(entry)
                .ok_or(StartError::Damaged(ReadError::Damaged { name }))?;
            shared.tree_mut().append(&leaf);
        }
        at = end;
    }
    if shared.tree().size() == size {
        Ok(())
    } else {
        Err(StartError::OtherTree)
    }
}

/// Compares the published checkpoint with what is committed.
pub(crate) async fn check_published(
    shared: &Shared,
    own: &LogKey,
    state: &LogState,
    published: &[u8],
) -> Result<Published, StartError> {
    let text = std::str::from_utf8(published).unwrap_or_default();
    let note = SignedNote::parse(text).map_err(StartError::PublishedNote)?;
    let opened = Checkpoint::open(&note, own, &[]).map_err(StartError::PublishedCheckpoint)?;
    let (published, committed) = (opened.tree_size(), state.frontier.size());
    if published > committed {
        return Err(StartError::RolledBack {
            published,
            committed,
        });
    }
    let root = shared
        .root_hash(published)
        .await
        .map_err(StartError::Damaged)?;
    if root == *opened.root_hash() {
        Ok(Published {
            tree_size: published,
            root_hash: root,
            checkpoint: text.to_owned(),
        })
    } else {
        Err(StartError::Forked { published })
    }
}

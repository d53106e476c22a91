//! The start: ledger, objects and published checkpoint must tell one story (rule D4).

use std::sync::Arc;

use waxseal_crypto::CryptoProvider;
use waxseal_serve::BoxError;
use waxseal_tlog::{
    Checkpoint, CheckpointError, Frontier, KeyName, LogKey, NoteError, NoteKey, NoteKeyError,
    NoteSigner, Origin, SignedNote, Tile,
};

use crate::shared::{ReadError, Shared, Tree};
use crate::state::{LogState, StateError};
use crate::{Config, CosignError, LedgerError, ObjectName, ObjectsError, Published};

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
    /// The stores are a backup: the log may have gone on since. To go on from them would fork it;
    /// under another name and key it does not ([`Config::adopts`]).
    #[error("the stores are a backup of the log {of}, which may have gone on since")]
    Backup {
        /// The log that they are of.
        of: Origin,
    },
    /// A log that takes over the stores of another one signs with that one's key.
    #[error("a log that takes over another one's stores needs a key of its own")]
    SameKey,
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
    #[error(
        "a witness contradicts the stored log: find out who is right, and only if it is the witness \
         take its `witness` line and its name in groups out of the witness policy"
    )]
    Cosign(#[source] CosignError),
    /// The first entry could not be made or appended.
    #[error("the log's first entry could not be made")]
    Genesis(#[source] BoxError),
    /// The checkpoint could not be signed.
    #[error("the checkpoint could not be signed")]
    Sign(#[source] BoxError),
    /// A look at the log ended before it had seen everything: a store panicked, or the runtime
    /// ends.
    #[error("the look at the log was broken off")]
    BrokenOff(#[source] BoxError),
}

/// The log's own key, to open what it published earlier.
pub(crate) struct OwnKey {
    provider: CryptoProvider,
    signer: NoteSigner,
}

impl OwnKey {
    pub(crate) fn new(
        provider: CryptoProvider,
        origin: &Origin,
        signers: &[NoteSigner],
    ) -> Result<Self, StartError> {
        let [own, ..] = signers else {
            return Err(StartError::SignerName);
        };
        let named = |signer: &NoteSigner| signer.name().as_str() == origin.as_str();
        if !signers.iter().all(named) {
            return Err(StartError::SignerName);
        }
        Ok(Self {
            provider,
            signer: own.clone(),
        })
    }

    fn log_key(&self) -> Result<LogKey, StartError> {
        let key = self.signer.note_key(self.provider);
        Ok(LogKey::new(key.map_err(StartError::SignerKey)?))
    }

    /// Whether this key made a checkpoint of another log: whoever knows the key by that name would
    /// see two logs in one.
    fn has_signed(&self, note: &SignedNote, other: &Origin) -> Result<bool, StartError> {
        let Ok(name) = KeyName::new(other.as_str()) else {
            return Ok(false);
        };
        let (kind, key) = (self.signer.kind(), self.signer.public_key());
        let key = NoteKey::new(self.provider, name, kind, key).map_err(StartError::SignerKey)?;
        Ok(note.open(&[&key]).is_ok())
    }
}

/// Reads the state, and grows the tree in `shared` to the committed size.
pub(crate) async fn recover(
    shared: &Shared,
    config: &Config,
    state: Option<Vec<u8>>,
) -> Result<LogState, StartError> {
    let Some(state) = state else {
        return Ok(LogState::new(config.origin.clone()));
    };
    let state = LogState::parse(&state)?;
    if !may_open(&state, config) {
        let found = state.origin;
        return Err(if found == config.origin {
            StartError::Backup { of: found }
        } else {
            StartError::OtherLog { found }
        });
    }
    restore(shared, &state).await?;
    Ok(state)
}

/// Grows the tree in memory to the committed size: out of sealed tiles at its right edge, and the
/// entries that are not sealed. How long that takes does not depend on the size of the log.
pub(crate) async fn restore(shared: &Shared, state: &LogState) -> Result<(), StartError> {
    restore_sealed(shared, state.sealed)
        .await
        .map_err(StartError::Damaged)?;
    append_tail(shared, state).await?;
    // Everything that was read leads to the tree that was committed, hash by hash.
    let peaks: Option<Vec<_>> = Frontier::peak_nodes(state.frontier.size())
        .into_iter()
        .map(|node| shared.tree().node(node))
        .collect();
    if peaks.as_deref() == Some(state.frontier.peaks()) {
        Ok(())
    } else {
        Err(StartError::OtherTree)
    }
}

/// A ledger is opened by its own log, and by one that takes it over.
fn may_open(state: &LogState, config: &Config) -> bool {
    if state.origin == config.origin {
        !state.is_copy
    } else {
        config.adopts.as_ref() == Some(&state.origin)
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

/// Compares the checkpoint object with what is committed, and gives its bytes. It is published
/// again if it is one of this log.
pub(crate) async fn check_published(
    shared: &Shared,
    own: &OwnKey,
    config: &Config,
    state: &LogState,
) -> Result<Option<Vec<u8>>, StartError> {
    let Some(bytes) = shared.objects.read(ObjectName::Checkpoint).await? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let note = SignedNote::parse(text).map_err(StartError::PublishedNote)?;
    // Whoever took stores over may have been killed before a checkpoint of its own was written out.
    let is_adopted = match &config.adopts {
        Some(adopts) if *adopts != config.origin => {
            let text = note.unverified_checkpoint();
            text.is_ok_and(|text| text.origin() == adopts)
        }
        _ => false,
    };
    let is_own = state.origin == config.origin && !is_adopted;
    let other = config.adopts.as_ref().filter(|_| is_adopted);
    let (published, root_hash) = if is_own {
        let opened = Checkpoint::open(&note, &own.log_key()?, &[]);
        let opened = opened.map_err(StartError::PublishedCheckpoint)?;
        (opened.tree_size(), *opened.root_hash())
    } else {
        // Of the log whose stores this one takes over.
        let text = note.unverified_checkpoint();
        let text = text.map_err(|error| StartError::PublishedCheckpoint(error.into()))?;
        if own.has_signed(&note, other.unwrap_or(&state.origin))? {
            return Err(StartError::SameKey);
        }
        (text.tree_size(), *text.root_hash())
    };
    let committed = state.frontier.size();
    if published > committed {
        return Err(StartError::RolledBack {
            published,
            committed,
        });
    }
    let root = shared.root_hash(published).await;
    if root.map_err(StartError::Damaged)? != root_hash {
        return Err(StartError::Forked { published });
    }
    if is_own {
        shared.published.send_replace(Arc::new(Published {
            tree_size: published,
            root_hash,
            checkpoint: text.to_owned(),
        }));
    }
    Ok(Some(bytes))
}

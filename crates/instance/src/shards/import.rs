//! A log from elsewhere: read whole, computed anew, and kept as a shard of this instance.

use std::path::Path;
use std::sync::Arc;

use waxseal_crypto::{PrivateKey, PrivateKeyError, PublicKey, SignatureAlgorithm, Time};
use waxseal_log_server::{
    ArtifactLog, ObjectName, Replica, ReplicaContext, ReplicaEnd, ReplicaError, ReplicaKind,
};
use waxseal_serve::BoxError;
use waxseal_tlog::{
    Checkpoint, CheckpointError, EntryBundle, EntryBundleError, KeyName, LogKey, NameError,
    NoteError, NoteKey, NoteKeyError, SignatureKind, SignedNote, Tile, TilePath,
};
use waxseal_transport::BoxFuture;

use super::rotate::{check_host, rotate_to};
use super::{FILE, FIRST_IMPORTED, RotateError, Rotated, Shard, ShardError, key_file};
use crate::{DataDir, DataError, InstanceUrl, Keys, LogStores, Part, Settings, World};

/// Bundles that are appended at one time: what is held in memory.
const BUNDLES_AT_ONCE: u64 = 16;

/// What is imported, and as what.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "all of it is to be decided")]
pub struct Import {
    /// By which URL clients know the log: its host is the log's name.
    pub url: InstanceUrl,
    /// Its key.
    pub key: ImportKey,
    /// Since when its entries count: from its trusted root.
    pub valid_from: Time,
}

/// What becomes of the imported log.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_enums, reason = "it goes on, or it does not")]
pub enum ImportKey {
    /// It takes no more entries: it is read, and its entries stay valid.
    Public(PublicKey),
    /// It goes on here, and nowhere else: it becomes the shard that takes entries. Ed25519.
    Private(PrivateKey),
}

/// What an import came to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Imported {
    /// The shard.
    pub shard: Shard,
    /// Its entries.
    pub tree_size: u64,
    /// What became of the shard before it, if it is the one that takes entries now.
    pub rotated: Option<Rotated>,
}

/// How a file of the log is read, by its path below the directory or URL; `None` if it is not there.
pub type ReadFile<'a> =
    &'a (dyn Fn(String) -> BoxFuture<'a, Result<Option<Vec<u8>>, BoxError>> + Send + Sync);

/// How stores are opened in a folder.
pub type OpenStores<'a> = &'a (dyn Fn(&Path) -> Result<LogStores, BoxError> + Send + Sync);

/// Where a log comes from, and what an import does beside it.
#[expect(clippy::exhaustive_structs, reason = "made by whoever has a terminal")]
pub struct ImportFrom<'a> {
    /// Reads its files.
    pub read: ReadFile<'a>,
    /// Opens the new shard's stores.
    pub open: OpenStores<'a>,
    /// Is told how many entries are there, and how many there are to be.
    pub progress: &'a (dyn Fn(u64, u64) + Send + Sync),
}

/// Why a log was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file could not be read.
    #[error("{name} could not be read")]
    Unreadable {
        /// Which one.
        name: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The checkpoint implies a file that is not there.
    #[error("{name} is missing")]
    Missing {
        /// Which one.
        name: String,
    },
    /// The checkpoint is not one.
    #[error("the checkpoint is not a signed note")]
    Note(#[from] NoteError),
    /// The checkpoint is not signed by that key, or is another log's.
    #[error("the checkpoint is not one of the log {name}")]
    Checkpoint {
        /// The log's name: the host of its URL.
        name: String,
        /// Why not.
        #[source]
        source: CheckpointError,
    },
    /// The clients' files do not know the log whose checkpoint that is.
    #[error("client/trusted_root.json does not name the log {name}")]
    UnknownLog {
        /// The log's name.
        name: String,
    },
    /// The host does not name a log.
    #[error("the host of the URL does not name a log")]
    Name(#[from] NameError),
    /// The key does not sign checkpoints.
    #[error("the key does not sign checkpoints")]
    Key(#[from] NoteKeyError),
    /// The private key cannot be used: a log that goes on here signs with Ed25519.
    #[error("the private key cannot be used: it must be one of Ed25519")]
    PrivateKey(#[from] PrivateKeyError),
    /// Another key is where this one belongs: a rotation was begun there.
    #[error("keys/{file} is another key: a rotation was begun; finish it first")]
    KeyTaken {
        /// Which file.
        file: String,
    },
    /// A bundle is malformed.
    #[error("{name} is not an entry bundle")]
    Bundle {
        /// Which one.
        name: String,
        /// What is wrong with it.
        #[source]
        source: EntryBundleError,
    },
    /// The stores cannot be opened.
    #[error("the shard's stores cannot be opened")]
    Stores(#[source] BoxError),
    /// The entries are not those of the checkpoint, or none that this log can hold.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// The shards.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// The shard before it.
    #[error(transparent)]
    Rotate(#[from] RotateError),
}

impl From<DataError> for ImportError {
    fn from(error: DataError) -> Self {
        Self::Shard(error.into())
    }
}

/// Reads a log whole, computes its tree anew from its entries, compares it with its signed
/// checkpoint, and keeps it: frozen beside the others, or, with its private key, as the shard that
/// takes entries from now on, in whose favour the one before is frozen. `stores` are those of that
/// one. To try again after a failure goes on where it ended.
///
/// # Errors
/// [`ImportError`].
pub async fn import_log(
    data: &DataDir,
    settings: &Settings,
    keys: &Keys,
    world: &World,
    import: Import,
    from: ImportFrom<'_>,
) -> Result<Imported, ImportError> {
    check_host(settings, keys, &import.url)?;
    let public = match &import.key {
        ImportKey::Public(key) => key.clone(),
        ImportKey::Private(key) => {
            let signer = world.provider.signer(key, SignatureAlgorithm::Ed25519)?;
            signer.public_key().clone()
        }
    };
    let (text, checkpoint) = checkpoint(world, &import.url, &public, &from).await?;
    let (part, is_frozen) = match &import.key {
        ImportKey::Public(_) => (Part::Import, true),
        ImportKey::Private(private) => {
            let number = keys.shards.active.as_ref().map_or(1, |shard| shard.number) + 1;
            keep_key(data, number, private)?;
            (Part::NextLog, false)
        }
    };
    let folder = data.make(part)?;
    let target = (from.open)(&folder).map_err(ImportError::Stores)?;
    let context = ReplicaContext {
        provider: world.provider,
        clock: Arc::clone(&world.clock),
        ledger: target.ledger,
        objects: target.objects,
        personality: Arc::new(ArtifactLog::new(world.provider)),
    };
    let size = checkpoint.tree_size();
    let objects = Arc::clone(&context.objects);
    match Replica::open(checkpoint.origin().clone(), context).await {
        Ok(mut replica) => {
            copy(&mut replica, size, &from).await?;
            let end = ReplicaEnd {
                checkpoint: &text,
                kind: ReplicaKind::Move,
                is_frozen,
                last_time: world.clock.now(),
            };
            replica.finish(end).await?;
        }
        // An earlier attempt came to the end of it, if it was with the same checkpoint.
        Err(error @ ReplicaError::NotACopy { .. }) => {
            let found = objects.read(ObjectName::Checkpoint).await;
            if !matches!(found, Ok(Some(found)) if found == text.as_bytes()) {
                return Err(error.into());
            }
        }
        Err(error) => return Err(error.into()),
    }
    drop(objects);
    if is_frozen {
        let shard = archive(data, keys, world, &import, public)?;
        return Ok(Imported {
            shard,
            tree_size: size,
            rotated: None,
        });
    }
    let stores = (from.open)(&data.make(Part::Log)?).map_err(ImportError::Stores)?;
    let rotated = rotate_to(
        data,
        settings,
        keys,
        stores,
        world,
        import.url,
        Some(import.valid_from),
    );
    let rotated = rotated.await?;
    Ok(Imported {
        shard: rotated.new.clone(),
        tree_size: size,
        rotated: Some(rotated),
    })
}

/// The signed checkpoint, opened with the log's key under the host's name.
pub(super) async fn checkpoint(
    world: &World,
    url: &InstanceUrl,
    public: &PublicKey,
    from: &ImportFrom<'_>,
) -> Result<(String, Checkpoint), ImportError> {
    let name = "checkpoint".to_owned();
    let bytes = read(from, &name)
        .await?
        .ok_or(ImportError::Missing { name })?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let note = SignedNote::parse(&text)?;
    let kind = SignatureKind::of_log(public)?;
    let key = NoteKey::new(world.provider, KeyName::new(url.host())?, kind, public)?;
    let opened = Checkpoint::open(&note, &LogKey::new(key), &[]);
    let opened = opened.map_err(|source| ImportError::Checkpoint {
        name: url.host().to_owned(),
        source,
    })?;
    Ok((text, opened))
}

pub(super) async fn copy(
    replica: &mut Replica,
    size: u64,
    from: &ImportFrom<'_>,
) -> Result<(), ImportError> {
    let mut stored = Vec::new();
    let mut at = replica.tree_size();
    while at < size {
        let index = at / 256;
        let tile = Tile::in_tree(0, index, size);
        let width = tile.map_or(0, |tile| tile.width());
        let entries = bundle(from, index, width).await?;
        let skipped = usize::try_from(at % 256).unwrap_or(0);
        stored.extend(entries.into_iter().skip(skipped));
        at = (index * 256).saturating_add(u64::from(width));
        if at >= size || (index + 1).is_multiple_of(BUNDLES_AT_ONCE) {
            replica.append(std::mem::take(&mut stored)).await?;
            (from.progress)(at, size);
        }
    }
    Ok(())
}

/// The entries of a bundle; a partial one may have been dropped for the full one.
async fn bundle(
    from: &ImportFrom<'_>,
    index: u64,
    width: u16,
) -> Result<Vec<Vec<u8>>, ImportError> {
    for found in [width, 256] {
        let name = TilePath::Entries {
            index,
            width: found,
        }
        .to_string();
        if let Some(bytes) = read(from, &name).await? {
            let bundle = EntryBundle::parse(&bytes, found)
                .map_err(|source| ImportError::Bundle { name, source })?;
            let wanted = bundle.entries().iter().take(usize::from(width));
            return Ok(wanted.cloned().collect());
        }
    }
    let name = TilePath::Entries { index, width }.to_string();
    Err(ImportError::Missing { name })
}

async fn read(from: &ImportFrom<'_>, name: &str) -> Result<Option<Vec<u8>>, ImportError> {
    let read = (from.read)(name.to_owned()).await;
    read.map_err(|source| ImportError::Unreadable {
        name: name.to_owned(),
        source,
    })
}

/// Puts the private key among the others, where a rotation looks for it.
fn keep_key(data: &DataDir, number: u32, private: &PrivateKey) -> Result<(), ImportError> {
    let file = key_file(number);
    let pem = private.to_pem();
    match data.read(Part::Keys, &file)? {
        None => Ok(data.create(Part::Keys, &file, pem.as_bytes())?),
        Some(found) if *found == pem.as_bytes() => Ok(()),
        Some(_) => Err(ImportError::KeyTaken { file }),
    }
}

/// The record, and the place among the frozen shards.
fn archive(
    data: &DataDir,
    keys: &Keys,
    world: &World,
    import: &Import,
    public_key: PublicKey,
) -> Result<Shard, ImportError> {
    let taken = keys.shards.archived.iter().map(|shard| shard.number + 1);
    let number = taken.max().unwrap_or(0).max(FIRST_IMPORTED);
    let shard = Shard {
        number,
        url: import.url.clone(),
        public_key,
        valid_from: import.valid_from,
        frozen_at: Some(world.clock.now().truncated_to_second()),
        folder: data.part(Part::Shards).join(number.to_string()),
    };
    data.replace(Part::Import, FILE, &shard.encode()?)?;
    data.archive_import(number)?;
    Ok(shard)
}

//! A backup of the shard that takes entries, while the instance runs.
//!
//! It is read from the log's objects, which are whole for the checkpoint among them at any moment, so
//! that no lock and no pause is needed.

use std::path::Path;
use std::sync::Arc;

use waxseal_formats::TrustedRoot;
use waxseal_log_server::{ArtifactLog, Replica, ReplicaContext, ReplicaEnd, ReplicaKind};
use waxseal_tlog::SignedNote;

use super::import::{checkpoint, copy};
use crate::{ImportError, ImportFrom, InstanceUrl, TRUSTED_ROOT, World};

/// What a backup came to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BackedUp {
    /// The log's name.
    pub origin: String,
    /// Entries of the backup.
    pub tree_size: u64,
    /// Those that an earlier backup did not have.
    pub new: u64,
}

/// The file that says what a backup's directory is.
pub const BACKUP: &str = "backup.toml";

/// Copies all that is written out of the shard that takes entries into `target`: new stores, or
/// those of an earlier backup, of which only what is missing is read. The tree is computed anew from
/// the entries, and must be the one that the log has signed. `instance` is the data directory.
///
/// No log starts from it under its name. It fails if the earlier backup has more entries, or others:
/// the log's own stores were rolled back then.
///
/// # Errors
/// [`ImportError`].
pub async fn backup_log(
    instance: &Path,
    target: &Path,
    world: &World,
    from: ImportFrom<'_>,
) -> Result<BackedUp, ImportError> {
    let (url, key) = active(instance, &from).await?;
    let (text, opened) = checkpoint(world, &url, &key, &from).await?;
    let stores = (from.open)(target).map_err(ImportError::Stores)?;
    let context = ReplicaContext {
        provider: world.provider,
        clock: Arc::clone(&world.clock),
        ledger: stores.ledger,
        objects: stores.objects,
        personality: Arc::new(ArtifactLog::new(world.provider)),
    };
    let size = opened.tree_size();
    let mut replica = Replica::open(opened.origin().clone(), context).await?;
    let begun = replica.tree_size();
    if begun > size {
        return Err(waxseal_log_server::ReplicaError::Ahead {
            copied: begun,
            tree_size: size,
        }
        .into());
    }
    copy(&mut replica, size, &from).await?;
    let end = ReplicaEnd {
        checkpoint: &text,
        kind: ReplicaKind::Backup,
        is_frozen: false,
        last_time: world.clock.now(),
    };
    replica.finish(end).await?;
    Ok(BackedUp {
        origin: opened.origin().to_string(),
        tree_size: size,
        new: size - begun,
    })
}

/// URL and key of the shard whose checkpoint that is, as the clients' files say.
async fn active(
    instance: &Path,
    from: &ImportFrom<'_>,
) -> Result<(InstanceUrl, waxseal_crypto::PublicKey), ImportError> {
    let unreadable = |name: &str, source: waxseal_serve::BoxError| ImportError::Unreadable {
        name: name.to_owned(),
        source,
    };
    let path = instance.join("client").join(TRUSTED_ROOT);
    let bytes = std::fs::read(&path).map_err(|error| unreadable(TRUSTED_ROOT, error.into()))?;
    let root =
        TrustedRoot::from_json(&bytes).map_err(|error| unreadable(TRUSTED_ROOT, error.into()))?;
    let name = "checkpoint";
    let found = (from.read)(name.to_owned()).await;
    let found = found.map_err(|source| unreadable(name, source))?;
    let found = found.ok_or(ImportError::Missing { name: name.into() })?;
    let note = SignedNote::parse(&String::from_utf8_lossy(&found))?;
    let origin = note.unverified_text().lines().next().unwrap_or_default();
    for log in &root.tlogs {
        let url = InstanceUrl::parse(&log.base_url).map_err(crate::ShardError::from)?;
        if url.host() == origin {
            let key = waxseal_crypto::PublicKey::from_spki_der(&log.public_key.raw_bytes);
            return Ok((
                url,
                key.map_err(|error| unreadable(TRUSTED_ROOT, error.into()))?,
            ));
        }
    }
    Err(ImportError::UnknownLog {
        name: origin.to_owned(),
    })
}

//! A new shard in the place of the old one.

use std::sync::Arc;

use waxseal_crypto::{SignatureAlgorithm, Time};
use waxseal_formats::ClientTrustConfig;
use waxseal_log_server::{AppendError, LogServer, Published, StartError, Statistics};
use waxseal_serve::{Fatal, Meter, Shutdown};
use waxseal_tlog::SignatureKind;

use super::{FILE, Shard, ShardError, Shards, key_file};
use crate::compose::{log_parts, note_signer};
use crate::trust_config;
use crate::{ComposeError, DataDir, InstanceUrl, Keys, LogStores, Part, Settings, World};

/// Why the log was not rotated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// A shard of that host is there: two logs of one name look like a fork.
    #[error(
        "{url} is on the host of a shard that is there, old or new: a shard has a host of its own"
    )]
    HostTaken {
        /// As asked.
        url: InstanceUrl,
    },
    /// Clients would mix `http` and `https`.
    #[error("{url} must begin as the instance's URL does")]
    OtherScheme {
        /// As asked.
        url: InstanceUrl,
    },
    /// An import was begun, and its log would become the new shard under another name.
    #[error("an import was begun in {}: finish it, or remove that folder", folder.display())]
    ImportBegun {
        /// Where.
        folder: std::path::PathBuf,
    },
    /// The log cannot be opened.
    #[error(transparent)]
    Compose(#[from] Box<ComposeError>),
    /// The old shard cannot be frozen.
    #[error(transparent)]
    Freeze(#[from] FreezeError),
    /// The shards.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// The new key.
    #[error("the new shard's key could not be made")]
    Key(#[source] waxseal_crypto::PrivateKeyError),
}

/// Why the log was not frozen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FreezeError {
    /// It cannot be opened.
    #[error(transparent)]
    Compose(#[from] Box<ComposeError>),
    /// It does not start.
    #[error("the log does not start")]
    Start(#[source] StartError),
    /// It does not take the freeze, or has no last checkpoint yet: its witnesses may be out.
    #[error("the log was not frozen")]
    Refused(#[source] AppendError),
    /// It stopped.
    #[error("the log stopped")]
    Fatal(#[source] Fatal),
}

/// What a rotation came to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Rotated {
    /// The old shard, frozen.
    pub old: Shard,
    /// Its last checkpoint.
    pub last: Arc<Published>,
    /// The new one.
    pub new: Shard,
}

/// Freezes the shard that takes entries, and puts a new one, with a key of its own, in its place.
/// `stores` are those of the old shard. To try again after a failure goes on where it ended.
///
/// # Errors
/// [`RotateError`].
pub async fn rotate_log(
    data: &DataDir,
    settings: &Settings,
    keys: &Keys,
    stores: LogStores,
    world: &World,
    url: InstanceUrl,
) -> Result<Rotated, RotateError> {
    check_host(settings, keys, &url)?;
    let next = data.part(Part::NextLog);
    if next.join("tiles").exists() {
        return Err(RotateError::ImportBegun { folder: next });
    }
    rotate_to(data, settings, keys, stores, world, url, None).await
}

/// A shard has a host of its own, and speaks as the instance does.
pub(super) fn check_host(
    settings: &Settings,
    keys: &Keys,
    url: &InstanceUrl,
) -> Result<(), RotateError> {
    let archived = keys.shards.archived.iter().map(|shard| &shard.url);
    let mut taken = archived.chain([keys.log_url(settings)]);
    if taken.any(|other| other.host() == url.host()) {
        return Err(RotateError::HostTaken { url: url.clone() });
    }
    if url.is_https() != settings.url.is_https() {
        return Err(RotateError::OtherScheme { url: url.clone() });
    }
    Ok(())
}

/// The same for a next shard that may be there already; its entries count since `valid_from`, or
/// since now.
pub(super) async fn rotate_to(
    data: &DataDir,
    settings: &Settings,
    keys: &Keys,
    stores: LogStores,
    world: &World,
    url: InstanceUrl,
    valid_from: Option<Time>,
) -> Result<Rotated, RotateError> {
    let shards = &keys.shards;
    let old_url = keys.log_url(settings).clone();
    let meter = Meter::new();
    let parts = log_parts(settings, &keys.of_log(), stores, world, &meter);
    let (config, context) = parts.map_err(Box::new)?;
    let last = freeze(config, context).await?;
    let now = world.clock.now().truncated_to_second();
    let number = shards.active.as_ref().map_or(1, |active| active.number);
    let old = Shard {
        number,
        url: old_url.clone(),
        public_key: keys.log.public_key().clone(),
        valid_from: keys.log_valid_from(),
        frozen_at: Some(now),
        folder: data.part(Part::Shards).join(number.to_string()),
    };
    let new = prepare(data, world, number + 1, url, valid_from.unwrap_or(now))?;
    let record = old.encode()?;
    data.replace(Part::Log, FILE, &record)
        .map_err(ShardError::from)?;
    // Two renames: after the first one the old shard is archived, and whatever starts then does
    // the second one (`Shards::load`).
    data.archive_log(number).map_err(ShardError::from)?;
    let shards = Shards::load(data)?;
    let folder = data.part(Part::Log);
    match shards.active {
        Some(active) if active.number == new.number => Ok(Rotated {
            old,
            last,
            new: Shard { folder, ..new },
        }),
        _ => Err(ShardError::Lost { folder }.into()),
    }
}

/// Freezes the shard that takes entries, with nobody running it: a last checkpoint, cosigned as the
/// mode says, written out with all that it implies, and no entry after it, ever.
///
/// # Errors
/// [`FreezeError`].
pub async fn freeze_log(
    settings: &Settings,
    keys: &Keys,
    stores: LogStores,
    world: &World,
) -> Result<Arc<Published>, FreezeError> {
    let meter = Meter::new();
    let parts = log_parts(settings, &keys.of_log(), stores, world, &meter);
    let (config, context) = parts.map_err(Box::new)?;
    freeze(config, context).await
}

/// What the log is like, with nobody running it. Nothing is written, signed or asked for it.
///
/// # Errors
/// [`FreezeError`].
pub async fn log_statistics(
    settings: &Settings,
    keys: &Keys,
    stores: LogStores,
    world: &World,
) -> Result<Statistics, FreezeError> {
    let meter = Meter::new();
    let parts = log_parts(settings, &keys.of_log(), stores, world, &meter);
    let (config, context) = parts.map_err(Box::new)?;
    let statistics = Statistics::look(config, context).await;
    statistics.map_err(FreezeError::Start)
}

/// What clients have to know of an instance that nobody runs.
///
/// # Errors
/// [`ComposeError`], if the log's name or key cannot be one.
pub fn log_trust_config(
    settings: &Settings,
    keys: &Keys,
) -> Result<ClientTrustConfig, ComposeError> {
    let name = keys.log_url(settings).host();
    let log_id = note_signer(name, SignatureKind::Ed25519, &keys.log)?.log_id();
    Ok(trust_config(&settings.url, keys, log_id))
}

async fn freeze(
    config: waxseal_log_server::Config,
    context: waxseal_log_server::Context,
) -> Result<Arc<Published>, FreezeError> {
    let log = LogServer::new(config, context).await;
    let log = log.map_err(FreezeError::Start)?;
    let shutdown = Shutdown::new();
    let frozen = async {
        let frozen = log.freeze().await.map_err(FreezeError::Refused);
        shutdown.trigger();
        frozen
    };
    let (ended, frozen) = tokio::join!(log.run(shutdown.clone()), frozen);
    ended.map_err(FreezeError::Fatal)?;
    frozen
}

/// The new shard's key and record, beside the old shard.
fn prepare(
    data: &DataDir,
    world: &World,
    number: u32,
    url: InstanceUrl,
    valid_from: Time,
) -> Result<Shard, RotateError> {
    let algorithm = SignatureAlgorithm::Ed25519;
    let file = key_file(number);
    let found = data.read(Part::Keys, &file).map_err(ShardError::from)?;
    let private = match found {
        // An earlier attempt made it; nothing was signed with it.
        Some(bytes) => {
            let text = std::str::from_utf8(&bytes).map_err(|_| ShardError::Key { file })?;
            waxseal_crypto::PrivateKey::from_pem(text).map_err(RotateError::Key)?
        }
        None => {
            let private = world
                .provider
                .generate(algorithm)
                .map_err(RotateError::Key)?;
            let pem = private.to_pem();
            data.create(Part::Keys, &file, pem.as_bytes())
                .map_err(ShardError::from)?;
            private
        }
    };
    let signer = world
        .provider
        .signer(&private, algorithm)
        .map_err(RotateError::Key)?;
    let new = Shard {
        number,
        url,
        public_key: signer.public_key().clone(),
        valid_from,
        frozen_at: None,
        folder: data.part(Part::NextLog),
    };
    data.replace(Part::NextLog, FILE, &new.encode()?)
        .map_err(ShardError::from)?;
    Ok(new)
}

//! `waxseald log`: an operator's hand on the transparency log.

mod backup;
mod import;

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};
use waxseal_crypto_aws_lc::{OsRandom, provider};
use waxseal_instance::{
    Birth, BirthError, DataDir, InstanceUrl, Keys, Part, Rotated, Settings, World, freeze_log,
    log_statistics, log_trust_config, provision, rotate_log, write_client_files,
};

use crate::args::{LogArgs, LogCommand, RotateArgs};
use crate::refusal::Refusal;
use crate::stores::STATE;
use crate::{say, stores, up};

/// An instance that nobody runs.
struct Opened {
    data: DataDir,
    settings: Settings,
    keys: Keys,
    world: World,
}

/// Does what was asked for.
pub(crate) async fn log(args: LogArgs) -> anyhow::Result<()> {
    let (text, object) = match &args.command {
        // Whether or not the instance runs.
        LogCommand::Backup(backup) => backup::backup(&args, backup).await?,
        LogCommand::Stats => stats(&open(&args).await?).await?,
        LogCommand::Freeze => freeze(&open(&args).await?).await?,
        LogCommand::Rotate(rotation) => rotate(&open(&args).await?, rotation).await?,
        LogCommand::Import(import) => import::import(&open(&args).await?, import).await?,
    };
    if args.json {
        say::text(&object.to_string());
    } else {
        say::text(&text);
    }
    Ok(())
}

/// The directory of an instance that is there: looking makes none.
async fn open(args: &LogArgs) -> anyhow::Result<Opened> {
    let path = &args.data;
    if !path.join("keys").exists() {
        let text = format!(
            "there is no instance in {}: choose another --data",
            path.display()
        );
        return Err(Refusal::new("no_instance", text).into());
    }
    let data = DataDir::open(path)?;
    let mut settings = up::settings_of(
        args.config.as_deref(),
        &data,
        waxseal_instance::Flags::default(),
    )?;
    // It may have been started with flags: nothing is served here, so its own word counts.
    let birth = match Birth::find(&data, &settings) {
        Err(BirthError::UrlChanged { born, .. }) => {
            settings.url = born;
            Birth::find(&data, &settings)?
        }
        found => found?,
    };
    let birth = birth.filter(Birth::is_complete);
    let mut birth = birth.context("the instance has not begun yet: start it once")?;
    let mut keys = provision(&data, &mut birth, provider(), &OsRandom).await?;
    keys.open_log_cosigner(&data, &settings, provider())?;
    let world = up::world()?;
    Ok(Opened {
        data,
        settings,
        keys,
        world,
    })
}

async fn stats(opened: &Opened) -> anyhow::Result<(String, Value)> {
    let Opened {
        data,
        settings,
        keys,
        world,
    } = opened;
    let folder = data.part(Part::Log);
    let written = fs::metadata(folder.join("tiles/checkpoint")).and_then(|file| file.modified());
    let age = written.ok().and_then(|time| time.elapsed().ok());
    let age = age.map(|age| age.as_secs());
    let stores = stores::log(&folder)?;
    let log = log_statistics(settings, keys, stores, world).await?;
    let last = (log.committed > 0).then_some(log.last_time);
    let tail = log.committed.saturating_sub(log.sealed);
    let (ledger, index) = (size(&folder.join(STATE)), size(&folder.join("state.keys")));
    let tiles = size(&folder.join("tiles"));
    let checkpoint = fs::read_to_string(folder.join("tiles/checkpoint")).unwrap_or_default();
    let cosigners = cosigners(&checkpoint, log.origin.as_str());
    let signers = keys.log_signers(settings)?;
    let vkeys: Vec<String> = signers
        .iter()
        .map(|signer| Ok(signer.note_key(provider())?.to_vkey()))
        .collect::<anyhow::Result<_>>()?;
    let shards: Vec<Value> = keys
        .shards
        .archived
        .iter()
        .map(|shard| {
            json!({
                "number": shard.number,
                "url": shard.url.as_str(),
                "frozenAt": shard.frozen_at.map(|time| time.to_string()),
                "bytes": size(&shard.folder),
            })
        })
        .collect();
    let object = json!({
        "origin": log.origin.as_str(),
        "url": keys.log_url(settings).as_str(),
        "entries": log.committed,
        "sealed": log.sealed,
        "tail": tail,
        "frozen": log.is_frozen,
        "lastEntry": last.map(|time| time.to_string()),
        "epoch": log.epoch,
        "checkpointAgeSeconds": age,
        "cosigners": cosigners,
        "keys": vkeys,
        "ledgerBytes": ledger,
        "indexBytes": index,
        "tilesBytes": tiles,
        "frozenShards": shards,
    });
    let state = if log.is_frozen {
        "frozen"
    } else {
        "takes entries"
    };
    let mut text = format!(
        "{} ({state})\n  entries     {}, of which {} are sealed and {tail} in the ledger\n  \
         last entry  {}\n  checkpoint  {}\n  cosigned    by {}\n  disk        \
         ledger {ledger}, index {index}, tiles {tiles} bytes",
        log.origin,
        log.committed,
        log.sealed,
        last.map_or_else(
            || "none: its next start makes the first one".to_owned(),
            |time| time.truncated_to_second().to_string(),
        ),
        age.map_or_else(
            || "none yet".to_owned(),
            |age| format!("written {age} s ago"),
        ),
        if cosigners.is_empty() {
            "nobody".to_owned()
        } else {
            cosigners.join(", ")
        },
    );
    for vkey in &vkeys {
        text += &format!("\n  key         {vkey}");
    }
    for shard in &keys.shards.archived {
        text += &format!(
            "\n  before it   {}, frozen, in {}",
            shard.url,
            shard.folder.display()
        );
    }
    Ok((text, object))
}

async fn freeze(opened: &Opened) -> anyhow::Result<(String, Value)> {
    let stores = stores::log(&opened.data.part(Part::Log))?;
    let last = freeze_log(&opened.settings, &opened.keys, stores, &opened.world).await?;
    let text = format!(
        "frozen at {} entries: it takes no more, ever\nits last checkpoint:\n\n{}",
        last.tree_size,
        last.checkpoint.trim_end()
    );
    let object = json!({
        "treeSize": last.tree_size,
        "checkpoint": last.checkpoint,
    });
    Ok((text, object))
}

async fn rotate(opened: &Opened, args: &RotateArgs) -> anyhow::Result<(String, Value)> {
    let url = InstanceUrl::parse(&args.url)?;
    let Opened {
        data,
        settings,
        keys,
        world,
    } = opened;
    let stores = stores::log(&data.part(Part::Log))?;
    let Rotated { old, last, new, .. } =
        rotate_log(data, settings, keys, stores, world, url).await?;
    let (files, mut object) = client_files(opened, args.write).await?;
    let text = format!(
        "shard {} ({}) is frozen at {} entries, in {}\nshard {} takes entries at {}\n\n{files}",
        old.number,
        old.url,
        last.tree_size,
        old.folder.display(),
        new.number,
        new.url,
    );
    let old = json!({ "number": old.number, "url": old.url.as_str(), "treeSize": last.tree_size });
    object.insert("old".to_owned(), old);
    let new = json!({ "number": new.number, "url": new.url.as_str() });
    object.insert("new".to_owned(), new);
    Ok((text, Value::Object(object)))
}

/// What changes for clients after the shards have changed.
async fn client_files(
    opened: &Opened,
    write: bool,
) -> anyhow::Result<(String, serde_json::Map<String, Value>)> {
    let Opened { data, settings, .. } = opened;
    // What the next start will find.
    let mut birth = Birth::find(data, settings)?.context("the birth record is gone")?;
    let keys = provision(data, &mut birth, provider(), &OsRandom).await?;
    let config = log_trust_config(settings, &keys)?;
    if write {
        write_client_files(data, &config)?;
    }
    let trusted: Value = serde_json::from_str(&config.trusted_root.to_json())?;
    let signing: Value = serde_json::from_str(&config.signing_config.to_json())?;
    let (tlogs, logs) = (trusted.get("tlogs"), signing.get("rekorTlogUrls"));
    let (tlogs, logs) = (
        tlogs.cloned().unwrap_or_default(),
        logs.cloned().unwrap_or_default(),
    );
    let done = if write {
        "The files in client/ say so already; hand them out."
    } else {
        "The next start writes them into client/; --write does it now."
    };
    let text = format!(
        "trusted_root.json, \"tlogs\":\n{tlogs:#}\n\nsigning_config.json, \"rekorTlogUrls\":\n\
         {logs:#}\n\ntrust_config.json has the first in \"trustedRoot\", the second in \
         \"signingConfig\"; trusted_root.jsonl is\nthe first file in one line. {done}"
    );
    let object = [
        ("tlogs".to_owned(), tlogs),
        ("rekorTlogUrls".to_owned(), logs),
        ("written".to_owned(), write.into()),
    ];
    Ok((text, object.into_iter().collect()))
}

/// Names on the checkpoint beside the log's own.
fn cosigners(checkpoint: &str, origin: &str) -> Vec<String> {
    let lines = checkpoint
        .lines()
        .filter_map(|line| line.strip_prefix("— "));
    let names = lines.filter_map(|line| line.split(' ').next());
    names
        .filter(|name| *name != origin)
        .map(str::to_owned)
        .collect()
}

/// Bytes of a file, or of everything below a folder.
fn size(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let Ok(entries) = fs::read_dir(path) else {
        return 0;
    };
    entries.flatten().map(|entry| size(&entry.path())).sum()
}

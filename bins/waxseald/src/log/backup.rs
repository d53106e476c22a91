//! `waxseald log backup`: a copy that is verified, and that nobody goes on from.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};
use waxseal_instance::{BACKUP, ImportFrom, backup_log};
use waxseal_transport::BoxFuture;

use super::import::{Cause, read_file};
use crate::args::{BackupArgs, LogArgs};
use crate::{say, stores, up};

pub(super) async fn backup(args: &LogArgs, backup: &BackupArgs) -> anyhow::Result<(String, Value)> {
    let tiles = args.data.join("log/tiles");
    anyhow::ensure!(
        tiles.join("checkpoint").exists(),
        "there is no log in {}: choose another --data, or start the instance once",
        args.data.display()
    );
    let target = &backup.target;
    let shown = target.display().to_string();
    mark(target).with_context(|| shown.clone())?;
    let read = |name: String| -> BoxFuture<'_, Result<Option<Vec<u8>>, Cause>> {
        let path = tiles.join(name);
        Box::pin(async move { read_file(&path) })
    };
    let open = |folder: &Path| stores::log(folder).map_err(Cause::from);
    let from = ImportFrom {
        read: &read,
        open: &open,
        progress: &say::progress,
    };
    let world = up::world()?;
    let done = backup_log(&args.data, target, &world, from).await;
    say::progress_ends();
    let done = done.with_context(|| format!("no backup in {shown}"))?;
    let text = format!(
        "{} entries of {} are in {shown}, {} of them new, every one checked",
        done.tree_size, done.origin, done.new
    );
    let object = json!({
        "origin": done.origin,
        "treeSize": done.tree_size,
        "new": done.new,
        "directory": shown,
    });
    Ok((text, object))
}

/// Makes the directory, and says in it what it is, before anything else is there.
fn mark(target: &Path) -> anyhow::Result<()> {
    let file = target.join(BACKUP);
    if file.exists() {
        return Ok(());
    }
    let is_used = fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_some());
    anyhow::ensure!(!is_used, "it holds something else than a backup");
    fs::create_dir_all(target)?;
    let text = "# A backup of a transparency log. The log may have gone on since: whoever goes on \
                from here\n# with its key forks it. `waxseald log import` keeps it, frozen, for \
                verifiers.\nbackup = true\n";
    fs::write(&file, text)?;
    fs::File::open(&file)?.sync_all()?;
    Ok(fs::File::open(target)?.sync_all()?)
}

/// Refuses to go on from a backup: the log that it is of may have gone on (rule D11).
pub(super) fn refuse(log: &str) -> anyhow::Result<()> {
    let path = Path::new(log);
    let marked = [Some(path), path.parent()];
    let marked = marked
        .into_iter()
        .flatten()
        .any(|folder| folder.join(BACKUP).exists());
    anyhow::ensure!(
        !marked,
        "{log} is a backup of the log, which may have gone on since: with its private key the log \
         would fork. With --key it is kept, frozen, and new entries go to a log of their own"
    );
    Ok(())
}

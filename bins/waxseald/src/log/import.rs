//! `waxseald log import`: a log from elsewhere.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};
use waxseal_crypto::{Pem, PrivateKey, PublicKey, Time};
use waxseal_instance::{Import, ImportFrom, ImportKey, InstanceUrl, import_log};
use waxseal_transport::{BoxFuture, Request, Retry, Transport, Url, send_retrying};

use super::{Opened, client_files};
use crate::args::ImportArgs;
use crate::{say, stores};

/// The largest file that is read: 256 entries of the largest size take 16 MiB.
const MAX_FILE: usize = 17 << 20;

pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

pub(super) async fn import(opened: &Opened, args: &ImportArgs) -> anyhow::Result<(String, Value)> {
    if args.private_key.is_some() {
        super::backup::refuse(&args.log)?;
    }
    let import = Import {
        url: InstanceUrl::parse(&args.url)?,
        key: key(args)?,
        valid_from: Time::parse_rfc3339(&args.since).context("--since")?,
    };
    let base = if args.log.contains("://") {
        let base = format!("{}/", args.log.trim_end_matches('/'));
        Some(base.parse::<Url>().context("the log's URL")?)
    } else {
        None
    };
    let read = |name: String| -> BoxFuture<'_, Result<Option<Vec<u8>>, Cause>> {
        match &base {
            Some(base) => Box::pin(fetch(&opened.world.transport, base, name)),
            None => Box::pin(async move { read_file(&Path::new(&args.log).join(name)) }),
        }
    };
    let open = |folder: &Path| stores::log(folder).map_err(Cause::from);
    let from = ImportFrom {
        read: &read,
        open: &open,
        progress: &say::progress,
    };
    let Opened {
        data,
        settings,
        keys,
        world,
    } = opened;
    let imported = import_log(data, settings, keys, world, import, from).await;
    say::progress_ends();
    let imported = imported?;
    let (files, mut object) = client_files(opened, args.write).await?;
    let shard = &imported.shard;
    let what = match &imported.rotated {
        None => format!("is kept in {}, frozen", shard.folder.display()),
        Some(rotated) => format!(
            "takes entries now; shard {} ({}) is frozen",
            rotated.old.number, rotated.old.url
        ),
    };
    let text = format!(
        "shard {} ({}), {} entries, every one checked, {what}\n\n{files}",
        shard.number, shard.url, imported.tree_size
    );
    let imported = json!({
        "number": shard.number,
        "url": shard.url.as_str(),
        "treeSize": imported.tree_size,
        "frozen": imported.rotated.is_none(),
    });
    object.insert("imported".to_owned(), imported);
    Ok((text, Value::Object(object)))
}

fn key(args: &ImportArgs) -> anyhow::Result<ImportKey> {
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path);
        text.with_context(|| format!("cannot read {}", path.display()))
    };
    if let Some(path) = &args.private_key {
        return Ok(ImportKey::Private(PrivateKey::from_pem(&read(path)?)?));
    }
    let path = args.key.as_deref().context("--key or --private-key")?;
    let pem = Pem::parse(&read(path)?)?;
    Ok(ImportKey::Public(PublicKey::from_spki_der(&pem.der)?))
}

pub(super) fn read_file(path: &Path) -> Result<Option<Vec<u8>>, Cause> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    file.take(u64::try_from(MAX_FILE)?)
        .read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

async fn fetch(
    transport: &Arc<dyn Transport>,
    base: &Url,
    name: String,
) -> Result<Option<Vec<u8>>, Cause> {
    let request = Request::get(base.join(&name)?).with_max_response(MAX_FILE);
    let request = request.taking_gzip();
    // The same bits for everybody: one reader is no herd.
    let answer = send_retrying(transport.as_ref(), request, &Retry::idempotent(0)).await?;
    match answer.status {
        200 => Ok(Some(answer.into_plain(MAX_FILE)?)),
        404 | 410 => Ok(None),
        _ => Err(answer
            .expect_status(&[200, 404])
            .err()
            .map_or_else(|| "an unexpected status".into(), Cause::from)),
    }
}

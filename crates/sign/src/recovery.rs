//! An entry that a log holds already: fetched by its index, compared, and proven from tiles.

use url::Url;
use waxseal_formats::{InclusionProof, TransparencyLogEntry};
use waxseal_tlog::{
    EntryBundle, SignedNote, TILE_BYTES, TILE_WIDTH, Tile, TilePath, TileReader, leaf_hash,
};
use waxseal_transport::{Request, Response, TransportError, send_retrying};

use crate::endpoints::below;
use crate::{RecoveryError, SigningContext};

/// Where logs serve their tiles, below the base URL.
const PREFIXES: [&str; 2] = ["api/v2/", ""];
/// 256 entries of the greatest length, each with its own length before it.
const MAX_ENTRY_BUNDLE: usize = 256 * (2 + waxseal_tlog::MAX_ENTRY_BYTES);
/// Rounds of tiles: one for the right edge, one for each level below it.
const MAX_ROUNDS: usize = 10;

/// Fetches the entry at `index`, which must be `body`, with a proof of its inclusion. The
/// checkpoint's signature is not checked here, but with the whole bundle.
pub(crate) async fn fetch_entry(
    context: &SigningContext<'_>,
    log: &Url,
    index: u64,
    body: &[u8],
) -> Result<TransparencyLogEntry, RecoveryError> {
    // What makes every answer useless is looked at before anything is fetched.
    let log_index = i64::try_from(index).map_err(|_| RecoveryError::TooLarge)?;
    let log_id = context.log_id(log).ok_or(RecoveryError::UnknownLog)?;
    let source = Source::find(context, log).await?;
    let note = SignedNote::parse(&source.checkpoint)?;
    let checkpoint = note.unverified_checkpoint()?;
    let (size, root) = (checkpoint.tree_size(), *checkpoint.root_hash());
    if index >= size {
        return Err(RecoveryError::NotPublished { index, size });
    }
    source.compare(context, index, size, body).await?;
    let mut reader = TileReader::new(size, root);
    for _ in 0..MAX_ROUNDS {
        let needed = reader.needed_for_inclusion(index)?;
        if needed.is_empty() {
            break;
        }
        let mut tiles = Vec::with_capacity(needed.len());
        for tile in needed {
            tiles.push((tile, source.tile(context, tile).await?));
        }
        reader.supply(&tiles)?;
    }
    let proof = reader.prove_inclusion(index)?;
    proof.check(&leaf_hash(body), &root)?;
    Ok(TransparencyLogEntry {
        log_index,
        log_id,
        kind: "hashedrekord".to_owned(),
        version: "0.0.2".to_owned(),
        integrated_time: 0,
        inclusion_promise: None,
        inclusion_proof: Some(InclusionProof {
            log_index,
            root_hash: root.to_vec(),
            tree_size: i64::try_from(size).map_err(|_| RecoveryError::TooLarge)?,
            hashes: proof.hashes.iter().map(|hash| hash.to_vec()).collect(),
            checkpoint: Some(source.checkpoint.clone()),
        }),
        canonicalized_body: body.to_vec(),
    })
}

/// A place that serves the log's tiles.
struct Source<'a> {
    log: &'a Url,
    prefix: &'static str,
    checkpoint: String,
}

impl<'a> Source<'a> {
    /// The first prefix under which there is a checkpoint.
    async fn find(context: &SigningContext<'_>, log: &'a Url) -> Result<Self, RecoveryError> {
        let mut last = None;
        for prefix in PREFIXES {
            let limit = waxseal_tlog::MAX_NOTE_BYTES;
            match fetch(context, log, &format!("{prefix}checkpoint"), limit).await {
                Ok(answer) => {
                    let checkpoint =
                        String::from_utf8(answer.body).map_err(|_| RecoveryError::NotText)?;
                    return Ok(Self {
                        log,
                        prefix,
                        checkpoint,
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or(RecoveryError::UnknownLog))
    }

    /// The entry at `index` is byte for byte the one that was submitted.
    async fn compare(
        &self,
        context: &SigningContext<'_>,
        index: u64,
        size: u64,
        body: &[u8],
    ) -> Result<(), RecoveryError> {
        let per_bundle = u64::from(TILE_WIDTH);
        let (bundle, within) = (index / per_bundle, index % per_bundle);
        let width = u16::try_from((size - bundle * per_bundle).min(per_bundle))
            .map_err(|_| RecoveryError::TooLarge)?;
        let path = |width| TilePath::Entries {
            index: bundle,
            width,
        };
        let (bytes, width) = self
            .partial_or_full(context, path(width), path(TILE_WIDTH), MAX_ENTRY_BUNDLE)
            .await
            .map(|(bytes, full)| (bytes, if full { TILE_WIDTH } else { width }))?;
        let entries = EntryBundle::parse(&bytes, width)?;
        let within = usize::try_from(within).map_err(|_| RecoveryError::TooLarge)?;
        if entries.entries().get(within).map(Vec::as_slice) == Some(body) {
            Ok(())
        } else {
            Err(RecoveryError::OtherEntry { index })
        }
    }

    async fn tile(
        &self,
        context: &SigningContext<'_>,
        tile: Tile,
    ) -> Result<Vec<u8>, RecoveryError> {
        let full = TilePath::Tile(tile.full());
        let found = self
            .partial_or_full(context, TilePath::Tile(tile), full, TILE_BYTES)
            .await?;
        Ok(found.0)
    }

    /// A partial tile may be gone once the full one is there (tlog-tiles).
    async fn partial_or_full(
        &self,
        context: &SigningContext<'_>,
        partial: TilePath,
        full: TilePath,
        limit: usize,
    ) -> Result<(Vec<u8>, bool), RecoveryError> {
        let get = async |path: TilePath| {
            fetch(context, self.log, &format!("{}{path}", self.prefix), limit).await
        };
        match get(partial).await {
            Ok(answer) => Ok((answer.body, partial == full)),
            Err(error) if partial == full => Err(error),
            Err(_) => Ok((get(full).await?.body, true)),
        }
    }
}

async fn fetch(
    context: &SigningContext<'_>,
    log: &Url,
    path: &str,
    limit: usize,
) -> Result<Response, RecoveryError> {
    let url = below(log, path).ok_or(RecoveryError::UnknownLog)?;
    let request = Request::get(url).with_max_response(limit);
    let retry = context.retry().map_err(|_| RecoveryError::Random)?;
    let answer: Result<Response, TransportError> =
        send_retrying(context.transport, request, &retry).await;
    Ok(answer
        .and_then(|answer| answer.expect_status(&[200]))
        .map_err(Box::new)?)
}

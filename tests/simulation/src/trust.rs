//! What a client knows of a log: its key, from the files that the instance wrote for clients.

use std::path::Path;

use waxseal_crypto::PublicKey;
use waxseal_crypto_aws_lc::provider;
use waxseal_formats::TrustedRoot;
use waxseal_tlog::{Checkpoint, KeyName, LogKey, NoteKey, SignatureKind, SignedNote};

use crate::{Outcome, text};

/// The key of the transparency log of the instance in a data directory.
///
/// # Errors
/// If the files for clients do not say.
pub fn log_key(data: &Path) -> Outcome<LogKey> {
    let path = data.join("client/trusted_root.json");
    let file = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let root = TrustedRoot::from_json(&file).map_err(text)?;
    let [log] = root.tlogs.as_slice() else {
        return Err("an instance has one transparency log".to_owned());
    };
    let authority = log.base_url.split_once("://").map(|(_, rest)| rest);
    // The origin is the host, without the port.
    let origin = authority.and_then(|authority| authority.split([':', '/']).next());
    let name = KeyName::new(origin.unwrap_or_default()).map_err(text)?;
    let key = PublicKey::from_spki_der(&log.public_key.raw_bytes).map_err(text)?;
    let kind = SignatureKind::of_log(&key).map_err(text)?;
    let key = NoteKey::new(provider(), name, kind, &key).map_err(text)?;
    Ok(LogKey::new(key))
}

/// Opens a checkpoint: its signature verifies, and it is the log's.
///
/// # Errors
/// If it is not.
pub fn open(note: &str, key: &LogKey) -> Outcome<Checkpoint> {
    let parsed = SignedNote::parse(note).map_err(text)?;
    Checkpoint::open(&parsed, key, &[]).map_err(text)
}

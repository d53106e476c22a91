//! The shards of the transparency log: the one that takes entries, and those before it.
//!
//! ```text
//! DATA/log/               the shard that takes entries; shard.toml says which, after a rotation
//! DATA/log.next/          the next one, while a rotation is going on
//! DATA/shards/<number>/   a shard that is frozen: its tiles, and shard.toml; those that were
//!                         imported are numbered from 1000
//! DATA/log.import/        a frozen log from elsewhere, while it is copied
//! ```
//!
//! A shard has a key and a host name of its own: clients know a log by the host of its URL, and two
//! logs of one name would look like a fork. A frozen shard is its directory: no key is needed to
//! serve it, and none is used.

mod backup;
mod import;
mod rotate;
mod serve;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use waxseal_crypto::{CryptoProvider, KeyKind, PrivateKey, PublicKey, Time, sha256};
use waxseal_tlog::KeyName;

use crate::{DataDir, DataError, InstanceUrl, InstanceUrlError, Part};

pub use backup::{BACKUP, BackedUp, backup_log};
pub use import::{
    Import, ImportError, ImportFrom, ImportKey, Imported, OpenStores, ReadFile, import_log,
};
pub use rotate::{
    FreezeError, RotateError, Rotated, freeze_log, log_statistics, log_trust_config, rotate_log,
};
pub(crate) use serve::by_host;

/// What a shard's directory says it is.
const FILE: &str = "shard.toml";

/// The number of the first shard that comes from elsewhere: far beyond those that were rotated.
const FIRST_IMPORTED: u32 = 1000;

/// Every shard that there is.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Shards {
    /// The one that takes entries; `None` for the first, which is what the instance was born with.
    pub active: Option<Shard>,
    /// Those before it, oldest first, and those that were imported.
    pub archived: Vec<Shard>,
}

impl Shards {
    /// By which URL clients know the one that takes entries.
    pub(crate) fn url<'a>(&'a self, instance: &'a InstanceUrl) -> &'a InstanceUrl {
        self.active.as_ref().map_or(instance, |shard| &shard.url)
    }
}

/// One shard.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Shard {
    /// Counted from 1.
    pub number: u32,
    /// By which URL clients know it: its host is the log's name.
    pub url: InstanceUrl,
    /// The key that signs its checkpoints.
    pub public_key: PublicKey,
    /// Since when it takes entries.
    pub valid_from: Time,
    /// When it took the last one.
    pub frozen_at: Option<Time>,
    /// Where its files are.
    pub folder: PathBuf,
}

/// Why the shards are not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A record that is not one, or not that of its directory.
    #[error("{}/{FILE} is not the record of that shard", folder.display())]
    Malformed {
        /// Where.
        folder: PathBuf,
    },
    /// Shards before this one are there, and nothing says which one this is. To go on would begin
    /// the first shard anew, under its own key: a fork.
    #[error("{} has no {FILE}, and there are older shards: restore it", folder.display())]
    Lost {
        /// Where.
        folder: PathBuf,
    },
    /// The key of the shard is missing, or another one.
    #[error("keys/{file} is not the key of the log's shard")]
    Key {
        /// Which file.
        file: String,
    },
    /// A shard's URL cannot be one.
    #[error("the URL of a shard")]
    Url(#[from] InstanceUrlError),
}

/// `shard.toml`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    number: u32,
    url: String,
    /// PEM.
    public_key: String,
    valid_from: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frozen_at: Option<String>,
}

impl Shards {
    /// Reads which shards there are. A rotation that was killed at its last step is completed.
    ///
    /// # Errors
    /// [`ShardError`].
    pub fn load(data: &DataDir) -> Result<Self, ShardError> {
        data.complete_rotation()?;
        let mut archived = Vec::new();
        for number in data.archived_logs()? {
            let folder = data.part(Part::Shards).join(number.to_string());
            let name = format!("{number}/{FILE}");
            let shard = read(data, Part::Shards, &name, &folder)?;
            match shard {
                Some(shard) if shard.number == number && shard.frozen_at.is_some() => {
                    archived.push(shard);
                }
                _ => return Err(ShardError::Malformed { folder }),
            }
        }
        let folder = data.part(Part::Log);
        let active = read(data, Part::Log, FILE, &folder)?;
        let rotated = archived.iter().map(|shard: &Shard| shard.number);
        let last = rotated.filter(|number| *number < FIRST_IMPORTED).max();
        match (&active, last) {
            (None, Some(_)) => return Err(ShardError::Lost { folder }),
            (Some(active), last) if active.number != last.unwrap_or(0) + 1 => {
                return Err(ShardError::Malformed { folder });
            }
            _ => {}
        }
        Ok(Self { active, archived })
    }

    /// The key of the shard that takes entries, unless it is the one that the instance was born
    /// with.
    pub(crate) fn key(
        &self,
        data: &DataDir,
        provider: CryptoProvider,
    ) -> Result<Option<Box<dyn waxseal_crypto::LocalSigner>>, ShardError> {
        let Some(active) = self.active.as_ref().filter(|active| active.number > 1) else {
            return Ok(None);
        };
        let file = key_file(active.number);
        let wrong = || ShardError::Key { file: file.clone() };
        let bytes = data.read(Part::Keys, &file)?.ok_or_else(wrong)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong())?;
        let private = PrivateKey::from_pem(text).map_err(|_| wrong())?;
        let algorithm = waxseal_crypto::SignatureAlgorithm::Ed25519;
        let signer = provider.signer(&private, algorithm).map_err(|_| wrong())?;
        if *signer.public_key() == active.public_key {
            Ok(Some(signer))
        } else {
            Err(wrong())
        }
    }
}

/// The file of a later shard's key; that of the first is the instance's own.
fn key_file(number: u32) -> String {
    format!("log-{number}.key.pem")
}

fn read(
    data: &DataDir,
    part: Part,
    name: &str,
    folder: &std::path::Path,
) -> Result<Option<Shard>, ShardError> {
    let Some(bytes) = data.read(part, name)? else {
        return Ok(None);
    };
    let malformed = || ShardError::Malformed {
        folder: folder.to_owned(),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
    let record: Record = toml::from_str(text).map_err(|_| malformed())?;
    let pem = waxseal_crypto::Pem::parse(&record.public_key).map_err(|_| malformed())?;
    let time = |text: &str| Time::parse_rfc3339(text).map_err(|_| malformed());
    Ok(Some(Shard {
        number: record.number,
        url: InstanceUrl::parse(&record.url)?,
        public_key: PublicKey::from_spki_der(&pem.der).map_err(|_| malformed())?,
        valid_from: time(&record.valid_from)?,
        frozen_at: record.frozen_at.as_deref().map(time).transpose()?,
        folder: folder.to_owned(),
    }))
}

impl Shard {
    /// The untruncated key id: `logId.keyId` in its entries.
    pub(crate) fn log_id(&self) -> Option<Vec<u8>> {
        let name = KeyName::new(self.url.host()).ok()?;
        if self.public_key.kind() != KeyKind::Ed25519 {
            // rekor-tiles pkg/note: there is no name in the id of an ECDSA key
            return Some(self.public_key.spki_sha256().to_vec());
        }
        // rekor-tiles pkg/note: name, newline, 0x01, the key
        let input = [
            name.as_str().as_bytes(),
            b"\n\x01",
            self.public_key.key_bytes(),
        ];
        Some(sha256(&input.concat()).to_vec())
    }

    fn encode(&self) -> Result<Vec<u8>, ShardError> {
        let record = Record {
            number: self.number,
            url: self.url.as_str().to_owned(),
            public_key: self.public_key.to_pem(),
            valid_from: self.valid_from.to_string(),
            frozen_at: self.frozen_at.map(|time| time.to_string()),
        };
        let text = toml::to_string(&record).map_err(|_| ShardError::Malformed {
            folder: self.folder.clone(),
        })?;
        let head = "# One shard of the transparency log. It never changes.\n";
        Ok(format!("{head}{text}").into_bytes())
    }
}

#[cfg(test)]
mod tests;

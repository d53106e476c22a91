//! What an instance was born as, and keeps for good.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use waxseal_crypto::{Digest, PublicKey, Time};

use crate::{DataDir, DataError, InstanceUrl, Part, Settings};

/// The record, beside the keys that it speaks of.
const FILE: &str = "birth.toml";

/// The layout of the data directory that this version writes.
const LAYOUT: u32 = 1;

/// How codes reach people, decided at birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mail {
    /// Files on this machine.
    Outbox,
    /// A mail server.
    Smtp,
    /// No mail: people log in at providers alone.
    None,
}

/// The birth record. It is written before the first key, so that a first start that was killed
/// goes on as what it began as; it is complete when it names every key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Birth {
    record: Record,
    url: InstanceUrl,
    born: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    layout: u32,
    url: String,
    mail: Mail,
    born: String,
    version: String,
    /// SHA-256 of each public key, by the key's file; empty until all are made.
    #[serde(default)]
    keys: BTreeMap<String, String>,
}

/// Why a data directory is not used under this configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BirthError {
    /// The directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The record is not one that waxseald wrote.
    #[error("keys/{FILE} is damaged: restore the data directory from a backup")]
    Malformed,
    /// A newer version has written the directory.
    #[error(
        "the data directory has layout {found}, and this version knows {LAYOUT}: use a newer one"
    )]
    UnknownLayout {
        /// The layout found.
        found: u32,
    },
    /// There are keys, and no record of what they are for.
    #[error("keys/{FILE} is missing beside keys: restore the data directory from a backup")]
    Missing,
    /// The issuer of every certificate and the log's origin would change with the URL.
    #[error(
        "this instance was born as {born} and cannot become {asked}: start it with --url {born}, \
         or make a new instance with another --data"
    )]
    UrlChanged {
        /// The URL it has.
        born: InstanceUrl,
        /// The URL that was asked for.
        asked: InstanceUrl,
    },
    /// Its old identities were proven to nobody: with a mail server, the same names would pass for
    /// proven ones.
    #[error(
        "this instance was born without a mail server and never gets one: remove [smtp], or make \
         a new instance with another --data"
    )]
    OutboxForGood,
    /// Without its mail server anybody on this machine could log in as anybody.
    #[error("this instance was born with a mail server: [smtp] is missing in its configuration")]
    SmtpForGood,
    /// A key that the instance had is gone. Another in its place would be another instance.
    #[error("keys/{file} is missing: restore it from a backup")]
    KeyMissing {
        /// The key's file.
        file: &'static str,
    },
    /// The key in a file is not the one that the instance was made with.
    #[error(
        "keys/{file} holds another key than the instance was made with: restore it from a backup"
    )]
    KeyChanged {
        /// The key's file.
        file: &'static str,
    },
}

impl Birth {
    /// Reads what the instance was born as, or gives birth to one.
    ///
    /// # Errors
    /// [`BirthError`].
    pub fn of(data: &DataDir, settings: &Settings, now: Time) -> Result<Self, BirthError> {
        match Self::find(data, settings)? {
            Some(birth) => Ok(birth),
            None => Self::give(data, &settings.url, mail_of(settings), now),
        }
    }

    /// Reads what the instance was born as, if it was, and checks that these settings are still
    /// that. Nothing is written.
    ///
    /// # Errors
    /// [`BirthError`].
    pub fn find(data: &DataDir, settings: &Settings) -> Result<Option<Self>, BirthError> {
        let Some(bytes) = data.read(Part::Keys, FILE)? else {
            return Ok(None);
        };
        let birth = Self::parse(&bytes)?;
        if birth.url != settings.url {
            return Err(BirthError::UrlChanged {
                born: birth.url,
                asked: settings.url.clone(),
            });
        }
        match (birth.record.mail, mail_of(settings)) {
            (Mail::Outbox, Mail::Smtp) => Err(BirthError::OutboxForGood),
            (Mail::Smtp, Mail::Outbox) => Err(BirthError::SmtpForGood),
            _ => Ok(Some(birth)),
        }
    }

    fn give(data: &DataDir, url: &InstanceUrl, mail: Mail, now: Time) -> Result<Self, BirthError> {
        let keys = data.make(Part::Keys)?;
        let mut there = std::fs::read_dir(&keys).map_err(|source| DataError::Io {
            action: "list",
            path: keys.clone(),
            source,
        })?;
        // A draft of the record itself is what a killed start may leave.
        let is_draft = |name: &std::ffi::OsStr| name == ".birth.toml.draft";
        if there.any(|entry| entry.is_ok_and(|entry| !is_draft(&entry.file_name()))) {
            return Err(BirthError::Missing);
        }
        let born = now.truncated_to_second();
        let record = Record {
            layout: LAYOUT,
            url: url.as_str().to_owned(),
            mail,
            born: born.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            keys: BTreeMap::new(),
        };
        let birth = Self {
            record,
            url: url.clone(),
            born,
        };
        data.create(Part::Keys, FILE, &birth.encode()?)?;
        Ok(birth)
    }

    fn parse(bytes: &[u8]) -> Result<Self, BirthError> {
        let malformed = |_| BirthError::Malformed;
        let text = std::str::from_utf8(bytes).map_err(|_| BirthError::Malformed)?;
        // The layout first: a newer record may have fields that we do not know.
        let table: toml::Table = text.parse().map_err(malformed)?;
        match table.get("layout").and_then(toml::Value::as_integer) {
            Some(found) if found == i64::from(LAYOUT) => {}
            Some(found) => {
                let found = u32::try_from(found).unwrap_or(u32::MAX);
                return Err(BirthError::UnknownLayout { found });
            }
            None => return Err(BirthError::Malformed),
        }
        let record: Record = toml::from_str(text).map_err(malformed)?;
        let url = InstanceUrl::parse(&record.url).map_err(|_| BirthError::Malformed)?;
        let born = Time::parse_rfc3339(&record.born).map_err(|_| BirthError::Malformed)?;
        Ok(Self { record, url, born })
    }

    fn encode(&self) -> Result<Vec<u8>, BirthError> {
        let text = toml::to_string(&self.record).map_err(|_| BirthError::Malformed)?;
        let head = "# What this instance was born as. It never changes; keep it with the keys.\n";
        Ok(format!("{head}{text}").into_bytes())
    }

    /// The URL, for good.
    #[must_use]
    pub fn url(&self) -> &InstanceUrl {
        &self.url
    }

    /// How codes reach people, for good.
    #[must_use]
    pub fn mail(&self) -> Mail {
        self.record.mail
    }

    /// When it was born; whole seconds.
    #[must_use]
    pub fn born(&self) -> Time {
        self.born
    }

    /// Whether all keys were made. From then on none is ever made anew.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.record.keys.is_empty()
    }

    /// Checks a key against the record, once that is complete.
    pub(crate) fn check_key(
        &self,
        file: &'static str,
        key: Option<&PublicKey>,
    ) -> Result<(), BirthError> {
        if !self.is_complete() {
            return Ok(());
        }
        let key = key.ok_or(BirthError::KeyMissing { file })?;
        if self.record.keys.get(file) == Some(&fingerprint(key)) {
            Ok(())
        } else {
            Err(BirthError::KeyChanged { file })
        }
    }

    /// Puts the keys into the record: the commit point of a first start.
    pub(crate) fn complete(
        &mut self,
        data: &DataDir,
        keys: &[(&'static str, &PublicKey)],
    ) -> Result<(), BirthError> {
        if self.is_complete() {
            return Ok(());
        }
        self.record.keys = keys
            .iter()
            .map(|(file, key)| ((*file).to_owned(), fingerprint(key)))
            .collect();
        data.replace(Part::Keys, FILE, &self.encode()?)?;
        Ok(())
    }
}

const fn mail_of(settings: &Settings) -> Mail {
    match settings.smtp {
        Some(_) => Mail::Smtp,
        None if settings.outbox => Mail::Outbox,
        None => Mail::None,
    }
}

fn fingerprint(key: &PublicKey) -> String {
    Digest::from(key.spki_sha256()).to_hex()
}

#[cfg(test)]
mod tests;

//! The log's second key, ML-DSA-44: a line of its own on every checkpoint, beside that of the key by
//! which clients know the log.
//!
//! Whoever knows nothing of it ignores the line, as signed-note demands. So it comes and goes by the
//! configuration: nothing that was signed depends on it.

use std::sync::Arc;

use waxseal_crypto::{CryptoProvider, PrivateKey, SignatureAlgorithm, Signer};
use waxseal_tlog::{NoteSigner, SignatureKind};

use crate::compose::note_signer;
use crate::{ComposeError, DataDir, InstanceUrl, Keys, Part, Settings, ShardError, Shards};

/// What the log needs of the keys.
#[derive(Clone)]
pub(crate) struct LogKeys {
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) cosigner: Option<Arc<dyn Signer>>,
    pub(crate) shards: Shards,
}

impl Keys {
    /// Opens the ML-DSA-44 key of the shard that takes entries, if the configuration wants its line;
    /// makes it if it is not there.
    ///
    /// # Errors
    /// [`ShardError`].
    pub fn open_log_cosigner(
        &mut self,
        data: &DataDir,
        settings: &Settings,
        provider: CryptoProvider,
    ) -> Result<(), ShardError> {
        self.log_cosigner = open_cosigner(data, settings, &self.shards, provider)?;
        Ok(())
    }

    /// Who signs the log's checkpoints: the key by which clients know it first.
    ///
    /// # Errors
    /// [`ComposeError`].
    pub fn log_signers(&self, settings: &Settings) -> Result<Vec<NoteSigner>, ComposeError> {
        self.of_log().signers(settings)
    }

    pub(crate) fn of_log(&self) -> LogKeys {
        LogKeys {
            signer: Arc::clone(&self.log),
            cosigner: self.log_cosigner.clone(),
            shards: self.shards.clone(),
        }
    }
}

impl LogKeys {
    /// By which URL clients know the shard that takes entries.
    pub(crate) fn url<'a>(&'a self, settings: &'a Settings) -> &'a InstanceUrl {
        self.shards.url(&settings.url)
    }

    pub(crate) fn signers(&self, settings: &Settings) -> Result<Vec<NoteSigner>, ComposeError> {
        let name = self.url(settings).host();
        let mut signers = vec![note_signer(name, SignatureKind::Ed25519, &self.signer)?];
        if settings.transparency_log.ml_dsa_44 {
            let second = self.cosigner.as_ref();
            let second = second.ok_or(ComposeError::NoLogCosigner)?;
            signers.push(note_signer(name, SignatureKind::MlDsa44, second)?);
        }
        Ok(signers)
    }
}

pub(crate) fn open_cosigner(
    data: &DataDir,
    settings: &Settings,
    shards: &Shards,
    provider: CryptoProvider,
) -> Result<Option<Arc<dyn Signer>>, ShardError> {
    if !settings.transparency_log.ml_dsa_44 {
        return Ok(None);
    }
    let number = shards.active.as_ref().map_or(1, |active| active.number);
    let file = key_file(number);
    let wrong = || ShardError::Key { file: file.clone() };
    let algorithm = SignatureAlgorithm::MlDsa44;
    let private = if let Some(bytes) = data.read(Part::Keys, &file)? {
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong())?;
        PrivateKey::from_pem(text).map_err(|_| wrong())?
    } else {
        let private = provider.generate(algorithm).map_err(|_| wrong())?;
        data.create(Part::Keys, &file, private.to_pem().as_bytes())?;
        private
    };
    let signer: Box<dyn Signer> = provider.signer(&private, algorithm).map_err(|_| wrong())?;
    Ok(Some(Arc::from(signer)))
}

/// The file of a shard's second key.
fn key_file(number: u32) -> String {
    match number {
        1 => "log.ml-dsa-44.key.pem".to_owned(),
        _ => format!("log-{number}.ml-dsa-44.key.pem"),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;

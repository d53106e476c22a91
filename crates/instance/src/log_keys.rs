//! The log's second key, ML-DSA-44: a line of its own on every checkpoint, beside that of the key by
//! which clients know the log.
//!
//! Whoever knows nothing of it ignores the line, as signed-note demands. So it comes and goes by the
//! configuration: nothing that was signed depends on it.

use std::sync::Arc;

use waxseal_crypto::{CryptoProvider, PrivateKey, SignatureAlgorithm, Signer};
use waxseal_tlog::{NoteSigner, SignatureKind};

use crate::compose::note_signer;
use crate::{ComposeError, DataDir, Keys, Part, Settings, ShardError};

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
        self.log_cosigner = None;
        if !settings.transparency_log.ml_dsa_44 {
            return Ok(());
        }
        let number = self
            .shards
            .active
            .as_ref()
            .map_or(1, |active| active.number);
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
        self.log_cosigner = Some(Arc::from(signer));
        Ok(())
    }

    /// Who signs the log's checkpoints: the key by which clients know it first.
    ///
    /// # Errors
    /// [`ComposeError`].
    pub fn log_signers(&self, settings: &Settings) -> Result<Vec<NoteSigner>, ComposeError> {
        let name = self.log_url(settings).host();
        let mut signers = vec![note_signer(name, SignatureKind::Ed25519, &self.log)?];
        if settings.transparency_log.ml_dsa_44 {
            let second = self.log_cosigner.as_ref();
            let second = second.ok_or(ComposeError::NoLogCosigner)?;
            signers.push(note_signer(name, SignatureKind::MlDsa44, second)?);
        }
        Ok(signers)
    }
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

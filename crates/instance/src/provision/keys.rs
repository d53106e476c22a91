//! Private keys in files: which there are, and how one comes to be.

use waxseal_crypto::{CryptoProvider, LocalSigner, PrivateKey, Random, SignatureAlgorithm};
use zeroize::Zeroizing;

use crate::{Birth, BirthError, DataDir, Part, ProvisionError};

/// A key that an instance has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    pub(super) file: &'static str,
    pub(super) algorithm: SignatureAlgorithm,
}

const P256: SignatureAlgorithm = SignatureAlgorithm::EcdsaP256Sha256;

pub(super) const CA: Named = Named {
    file: "ca.key.pem",
    algorithm: P256,
};
pub(super) const CT: Named = Named {
    file: "ct.key.pem",
    algorithm: P256,
};
pub(super) const LOG: Named = Named {
    file: "log.key.pem",
    algorithm: SignatureAlgorithm::Ed25519,
};
pub(super) const TSA: Named = Named {
    file: "tsa.key.pem",
    algorithm: P256,
};
/// The key under which mailed codes are kept.
pub(crate) const CODE_KEY: &str = "broker.code.key";

/// The keys' folder, and what may be done there.
pub(super) struct Vault<'a> {
    pub(super) data: &'a DataDir,
    pub(super) birth: &'a Birth,
    pub(super) provider: CryptoProvider,
}

impl Vault<'_> {
    /// Opens a key; makes it if it is not there and the instance is not complete.
    pub(super) fn signer(&self, key: Named) -> Result<Box<dyn LocalSigner>, ProvisionError> {
        let Named { file, algorithm } = key;
        let refused = |source| ProvisionError::Key { file, source };
        let private = match self.data.read(Part::Keys, file)? {
            Some(bytes) => {
                let text = std::str::from_utf8(&bytes);
                let text = text.map_err(|_| ProvisionError::Damaged { file })?;
                PrivateKey::from_pem(text).map_err(refused)?
            }
            None => {
                self.birth.check_key(file, None)?;
                let private = self.provider.generate(algorithm).map_err(refused)?;
                let pem = private.to_pem();
                self.data.create(Part::Keys, file, pem.as_bytes())?;
                private
            }
        };
        let signer = self.provider.signer(&private, algorithm).map_err(refused)?;
        self.birth.check_key(file, Some(signer.public_key()))?;
        Ok(signer)
    }

    /// Reads 32 random bytes; makes them if they are not there and the instance is not complete.
    pub(super) fn secret(
        &self,
        file: &'static str,
        random: &dyn Random,
    ) -> Result<Zeroizing<[u8; 32]>, ProvisionError> {
        let mut secret = Zeroizing::new([0; 32]);
        if let Some(bytes) = self.data.read(Part::Keys, file)? {
            if bytes.len() != secret.len() {
                return Err(ProvisionError::Damaged { file });
            }
            secret.copy_from_slice(&bytes);
            return Ok(secret);
        }
        if self.birth.is_complete() {
            return Err(BirthError::KeyMissing { file }.into());
        }
        random.fill(secret.as_mut())?;
        self.data.create(Part::Keys, file, secret.as_ref())?;
        Ok(secret)
    }
}

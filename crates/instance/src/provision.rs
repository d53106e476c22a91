//! Keys and certificates: made once, kept for good, checked at every start.

mod certificates;
mod keys;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use waxseal_crypto::{
    CryptoProvider, LocalSigner, PemError, PrivateKeyError, PublicKey, Random, RandomError, Signer,
    Time,
};
use waxseal_issuing::IssueError;
use waxseal_pki::{Certificate, CertificateError};
use zeroize::Zeroizing;

pub(crate) use keys::CODE_KEY;

use crate::log_keys::{LogKeys, open_cosigner};
use crate::{
    Birth, BirthError, DataDir, DataError, InstanceUrl, RootExport, RootExportError, Settings,
    ShardError, Shards,
};

/// How long before its birth an instance counts as there: certificates and client files must not
/// lie in the future of a client whose clock is a little slow.
pub const BACKDATE: Duration = Duration::from_secs(300);

/// How long authorities live. Their roots' keys are forgotten, so that nothing below them can be
/// renewed: all of a chain ends together.
pub const AUTHORITY_LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Everything secret that an instance has, open for use, with its certificates.
#[non_exhaustive]
pub struct Keys {
    /// Signs leaves: ECDSA P-256.
    pub ca: Arc<dyn Signer>,
    /// The CA's intermediate and its root.
    pub ca_chain: Vec<Certificate>,
    /// Signs SCTs and the CT log's checkpoints: ECDSA P-256.
    pub ct: Arc<dyn Signer>,
    /// Signs the checkpoints of the log's shard that takes entries: Ed25519.
    pub log: Arc<dyn Signer>,
    /// Its second key, ML-DSA-44, once it is opened ([`Keys::open_log_cosigner`]).
    pub log_cosigner: Option<Arc<dyn Signer>>,
    /// The log's shards.
    pub shards: Shards,
    /// Signs timestamps: ECDSA P-256.
    pub tsa: Arc<dyn Signer>,
    /// The timestamp authority's leaf and its root.
    pub tsa_chain: Vec<Certificate>,
    /// Keeps mailed codes unreadable in the store.
    pub code_key: Zeroizing<[u8; 32]>,
    /// From when on clients may use the instance.
    pub valid_from: Time,
}

impl Keys {
    /// By which URL clients know the shard that takes entries.
    #[must_use]
    pub fn log_url<'a>(&'a self, settings: &'a Settings) -> &'a InstanceUrl {
        self.log_url_of(&settings.url)
    }

    pub(crate) fn log_url_of<'a>(&'a self, instance: &'a InstanceUrl) -> &'a InstanceUrl {
        self.shards.url(instance)
    }

    /// Since when that shard takes entries.
    #[must_use]
    pub fn log_valid_from(&self) -> Time {
        let active = self.shards.active.as_ref();
        active.map_or(self.valid_from, |shard| shard.valid_from)
    }
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// The directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The log's shards.
    #[error(transparent)]
    Shards(#[from] ShardError),
    /// The birth record, or a key that is not the one it names.
    #[error(transparent)]
    Birth(#[from] BirthError),
    /// A key was not made, or cannot be read.
    #[error("keys/{file}")]
    Key {
        /// The key's file.
        file: &'static str,
        /// Why.
        #[source]
        source: PrivateKeyError,
    },
    /// The keys of the roots were to be written, and were not.
    #[error(transparent)]
    RootExport(#[from] RootExportError),
    /// The key of a root was not made.
    #[error("the key of a root was not made")]
    RootKey(#[source] PrivateKeyError),
    /// A secret is not as long as it was written, or a PEM file is not text.
    #[error("keys/{file} is damaged: restore it from a backup")]
    Damaged {
        /// The file.
        file: &'static str,
    },
    /// A chain is not PEM.
    #[error("keys/{file}")]
    Pem {
        /// The chain's file.
        file: &'static str,
        /// Why.
        #[source]
        source: PemError,
    },
    /// A chain holds something else than certificates.
    #[error("keys/{file}")]
    Certificate {
        /// The chain's file.
        file: &'static str,
        /// Why.
        #[source]
        source: CertificateError,
    },
    /// A chain is not that of its key: a signer's certificate and a root.
    #[error("keys/{file} is not the chain of its key: restore both from one backup")]
    WrongChain {
        /// The chain's file.
        file: &'static str,
    },
    /// A certificate was not issued.
    #[error("a certificate was not issued")]
    Issue(#[from] IssueError),
    /// Randomness failed.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The clock stands where no certificate can be dated.
    #[error("the clock says {now}: set it")]
    Clock {
        /// What it says.
        now: Time,
    },
}

/// Opens the keys and certificates of an instance; on a first start, makes those that are not
/// there. A first start may be killed at any point: the next one goes on where it stopped.
///
/// # Errors
/// [`ProvisionError`]. Once an instance is complete nothing is ever made anew.
pub async fn provision(
    data: &DataDir,
    birth: &mut Birth,
    provider: CryptoProvider,
    random: &dyn Random,
) -> Result<Keys, ProvisionError> {
    make(data, birth, provider, random, None).await
}

/// The same for a new instance, whose root keys are written, encrypted, before they are forgotten.
///
/// # Errors
/// [`ProvisionError`]; [`RootExportError::RootsForgotten`] if the instance has its certificates.
pub async fn provision_exporting_roots(
    data: &DataDir,
    birth: &mut Birth,
    provider: CryptoProvider,
    random: &dyn Random,
    export: &RootExport,
) -> Result<Keys, ProvisionError> {
    make(data, birth, provider, random, Some(export)).await
}

async fn make(
    data: &DataDir,
    birth: &mut Birth,
    provider: CryptoProvider,
    random: &dyn Random,
    export: Option<&RootExport>,
) -> Result<Keys, ProvisionError> {
    let vault = keys::Vault {
        data,
        birth,
        provider,
    };
    let ca = vault.signer(keys::CA)?;
    let ct = vault.signer(keys::CT)?;
    let shards = Shards::load(data)?;
    let (first, log) = log_key(&vault, &shards)?;
    let tsa = vault.signer(keys::TSA)?;
    let code_key = vault.secret(CODE_KEY, random)?;
    let maker = certificates::Maker {
        vault: &vault,
        random,
        export,
    };
    let (ca_chain, tsa_chain) = maker.chains(&*ca, &*tsa).await?;
    let valid_from = maker.valid_from()?;
    let mut made = vec![
        (keys::CA.file, ca.public_key()),
        (keys::CT.file, ct.public_key()),
        (keys::TSA.file, tsa.public_key()),
    ];
    made.extend(first.as_ref().map(|key| (keys::LOG.file, key)));
    birth.complete(data, &made)?;
    Ok(Keys {
        ca: shared(ca),
        ca_chain,
        ct: shared(ct),
        log: shared(log),
        log_cosigner: None,
        shards,
        tsa: shared(tsa),
        tsa_chain,
        code_key,
        valid_from,
    })
}

/// The key of the shard that takes entries, and its public half if the instance was born with it.
fn log_key(
    vault: &keys::Vault<'_>,
    shards: &Shards,
) -> Result<(Option<PublicKey>, Box<dyn LocalSigner>), ProvisionError> {
    match shards.key(vault.data, vault.provider)? {
        // The key of a frozen shard signs nothing any more: it may be gone.
        Some(log) => Ok((None, log)),
        None => {
            let log = vault.signer(keys::LOG)?;
            Ok((Some(log.public_key().clone()), log))
        }
    }
}

/// The keys of a log alone; those that an instance was born with, if it is in that directory.
pub(crate) fn provision_log(
    data: &DataDir,
    birth: &Birth,
    provider: CryptoProvider,
    settings: &Settings,
) -> Result<LogKeys, ProvisionError> {
    let vault = keys::Vault {
        data,
        birth,
        provider,
    };
    let shards = Shards::load(data)?;
    let (_, log) = log_key(&vault, &shards)?;
    Ok(LogKeys {
        signer: shared(log),
        cosigner: open_cosigner(data, settings, &shards, provider)?,
        shards,
    })
}

fn shared(signer: Box<dyn LocalSigner>) -> Arc<dyn Signer> {
    let signer: Box<dyn Signer> = signer;
    Arc::from(signer)
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(redacted)")
    }
}

#[cfg(test)]
mod tests;

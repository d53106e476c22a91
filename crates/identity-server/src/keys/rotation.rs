//! When keys change, by themselves: each is kept before it is announced, and announced before it
//! signs.

use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use waxseal_crypto::{
    CryptoProvider, PrivateKey, PrivateKeyError, SignatureAlgorithm, Signer, Time,
};
use waxseal_identity::JwsAlgorithm;

use super::{
    KEYS_MAX_AGE, KeptKey, KeptRing, KeptRingError, Key, KeyRing, KeyRingError, Keys, RetiredKey,
};
use crate::{KeyStore, StoreError};

/// What signs tokens, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct KeyPolicy {
    /// The algorithm of keys that are made from now on.
    pub algorithm: TokenAlgorithm,
    /// How many hours a key signs.
    pub rotate_hours: NonZeroU32,
}

/// How tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TokenAlgorithm {
    /// RSA with 2048 bits. cosign takes only these for tokens on its command line.
    #[default]
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256: smaller tokens, and keys that are made at once.
    #[serde(rename = "ES256")]
    Es256,
}

/// What [`KeyRing::turn`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotation {
    /// Nothing was due.
    NotDue,
    /// Another key is announced as the next.
    Announced,
    /// The next key signs, and another is announced.
    Rotated,
}

/// Why a ring cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyKeepingError {
    /// The key store failed.
    #[error("the key store failed")]
    Store(#[from] StoreError),
    /// What is kept is no ring.
    #[error(transparent)]
    Kept(#[from] KeptRingError),
    /// A key was not made, or cannot be opened.
    #[error("a key that signs tokens")]
    Key(#[from] PrivateKeyError),
    /// The keys do not make a ring.
    #[error(transparent)]
    Ring(#[from] KeyRingError),
}

/// Who keeps a ring, and how.
pub(super) struct Keeper {
    store: Arc<dyn KeyStore>,
    provider: CryptoProvider,
    policy: KeyPolicy,
    /// As it is in the store. The lock is held while a key is made: nobody else needs it.
    kept: Mutex<KeptRing>,
}

impl Default for KeyPolicy {
    fn default() -> Self {
        Self {
            algorithm: TokenAlgorithm::default(),
            rotate_hours: NonZeroU32::MIN.saturating_add(5),
        }
    }
}

impl KeyPolicy {
    fn interval(&self) -> Duration {
        let interval = Duration::from_secs(u64::from(self.rotate_hours.get()) * 3600);
        interval.max(KEYS_MAX_AGE)
    }
}

impl TokenAlgorithm {
    /// As keys name it.
    pub const fn signature(self) -> SignatureAlgorithm {
        match self {
            Self::Rs256 => SignatureAlgorithm::RsaPkcs1Sha256,
            Self::Es256 => SignatureAlgorithm::EcdsaP256Sha256,
        }
    }

    /// As tokens name it.
    pub const fn jws(self) -> JwsAlgorithm {
        match self {
            Self::Rs256 => JwsAlgorithm::Rs256,
            Self::Es256 => JwsAlgorithm::Es256,
        }
    }
}

impl KeyRing {
    /// Opens the ring that a store keeps; makes it if there is none.
    ///
    /// # Errors
    /// [`KeyKeepingError`].
    pub async fn open(
        store: Arc<dyn KeyStore>,
        provider: CryptoProvider,
        policy: &KeyPolicy,
        now: Time,
    ) -> Result<Self, KeyKeepingError> {
        let kept = if let Some(document) = store.load().await? {
            KeptRing::decode(&document)?
        } else {
            let current = make(provider, policy.algorithm).await?;
            let next = make(provider, policy.algorithm).await?;
            let key = |private| KeptKey::new(private, policy.algorithm, now);
            let made = KeptRing::new(key(current), key(next));
            store.save(made.encode()).await?;
            made
        };
        let keys = open_keys(&kept, provider)?;
        let keeper = Keeper {
            store,
            provider,
            policy: policy.clone(),
            kept: Mutex::new(kept),
        };
        Ok(Self::of(keys, Some(keeper))?)
    }

    /// Does what is due at this time. A change is in the store before anybody sees it; if that
    /// fails nothing is changed, and the next call tries again.
    ///
    /// # Errors
    /// [`KeyKeepingError`]; the ring goes on with the keys that it has.
    pub async fn turn(&self, now: Time) -> Result<Rotation, KeyKeepingError> {
        let Some(keeper) = &self.keeper else {
            return Ok(Rotation::NotDue);
        };
        let mut kept = keeper.kept.lock().await;
        let Some((draft, done)) = keeper.draft(&kept, now).await? else {
            return Ok(Rotation::NotDue);
        };
        let keys = open_keys(&draft, keeper.provider)?;
        keys.published().map_err(KeyRingError::from)?;
        keeper.store.save(draft.encode()).await?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        *kept = draft;
        drop(kept);
        self.tell(now);
        Ok(done)
    }
}

impl Keeper {
    /// The ring after what is due, if anything is.
    async fn draft(
        &self,
        kept: &KeptRing,
        now: Time,
    ) -> Result<Option<(KeptRing, Rotation)>, KeyKeepingError> {
        let signed = now.saturating_since(kept.current.since);
        let known = now.saturating_since(kept.next.since);
        let is_due = signed >= self.policy.interval() && known >= KEYS_MAX_AGE;
        let is_other = kept.next.algorithm != self.policy.algorithm;
        if !is_due && !is_other {
            return Ok(None);
        }
        let algorithm = self.policy.algorithm;
        let fresh = KeptKey::new(make(self.provider, algorithm).await?, algorithm, now);
        let mut draft = kept.clone();
        draft.retired.retain(|key| key.until > now);
        if !is_due {
            // The operator chose another algorithm: the key that nobody used yet gives way.
            draft.next = fresh;
            return Ok(Some((draft, Rotation::Announced)));
        }
        let before = Key::open(&draft.current, self.provider)?;
        draft.retired.push(RetiredKey::new(before.jwk, now));
        draft.current = std::mem::replace(&mut draft.next, fresh);
        draft.current.since = now;
        Ok(Some((draft, Rotation::Rotated)))
    }
}

/// Makes a key where it keeps nobody waiting: an RSA key takes a while.
async fn make(
    provider: CryptoProvider,
    algorithm: TokenAlgorithm,
) -> Result<PrivateKey, KeyKeepingError> {
    let making = tokio::task::spawn_blocking(move || provider.generate(algorithm.signature()));
    let made = making.await.map_err(|error| StoreError(Box::new(error)))?;
    Ok(made?)
}

fn open_keys(kept: &KeptRing, provider: CryptoProvider) -> Result<Keys, KeyKeepingError> {
    Ok(Keys {
        current: Key::open(&kept.current, provider)?,
        next: Some((Key::open(&kept.next, provider)?, kept.next.since)),
        retired: kept.retired.clone(),
    })
}

impl Key {
    fn open(kept: &KeptKey, provider: CryptoProvider) -> Result<Self, KeyKeepingError> {
        let signer: Box<dyn Signer> = provider.signer(&kept.private, kept.algorithm.signature())?;
        Ok(Self::new(Arc::from(signer)).map_err(KeyRingError::from)?)
    }
}

#[cfg(test)]
mod tests;

//! The keys that sign tokens: one signs, the next is announced, retired ones are still published.

mod kept;
mod rotation;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use waxseal_crypto::{PublicKey, Signer, Time};
use waxseal_identity::{Jwk, JwkError, JwkSet, JwsAlgorithm};

pub use kept::{KeptKey, KeptRing, KeptRingError};
pub use rotation::{KeyKeepingError, KeyPolicy, Rotation, TokenAlgorithm};

use crate::token::TOKEN_LIFE;
use rotation::Keeper;

/// How long clients may keep the key set (`Cache-Control: max-age`).
pub(crate) const KEYS_MAX_AGE: Duration = Duration::from_secs(300);

/// A key that signs no more.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RetiredKey {
    /// The key and its algorithm, as they were published.
    pub jwk: Jwk,
    /// Until when it is published.
    pub until: Time,
}

/// The broker's signing keys. The ring keeps the order that verifiers need: published before use,
/// and as long as a token may live and a key set be kept after it.
///
/// [`KeyRing::open`] keeps private keys in a [`crate::KeyStore`] and changes them by itself. With
/// [`KeyRing::new`] they live elsewhere (a token, an agent), and their owner announces and rotates.
pub struct KeyRing {
    keys: RwLock<Keys>,
    keeper: Option<Keeper>,
    watchers: Mutex<Vec<Watcher>>,
}

type Watcher = Box<dyn Fn(JwkSet) + Send + Sync>;

struct Keys {
    current: Key,
    next: Option<(Key, Time)>,
    retired: Vec<RetiredKey>,
}

#[derive(Clone)]
struct Key {
    signer: Arc<dyn Signer>,
    jwk: Jwk,
}

/// Why keys do not make a ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRingError {
    /// A key has no JWK form, or two are the same.
    #[error(transparent)]
    Jwk(#[from] JwkError),
    /// The next key has not been published as long as clients keep a key set.
    #[error("the next key is not known to clients yet: it can be used {} s after it was announced", KEYS_MAX_AGE.as_secs())]
    TooEarly,
    /// There is no next key.
    #[error("there is no next key")]
    NoNextKey,
}

impl KeyRing {
    /// A ring with one key.
    ///
    /// # Errors
    /// [`KeyRingError::Jwk`] if the signer's algorithm has no name in JOSE.
    pub fn new(current: Arc<dyn Signer>) -> Result<Self, KeyRingError> {
        Self::with_retired(current, Vec::new())
    }

    /// A ring with one key and others that were used before.
    ///
    /// # Errors
    /// [`KeyRingError::Jwk`].
    pub fn with_retired(
        current: Arc<dyn Signer>,
        retired: Vec<RetiredKey>,
    ) -> Result<Self, KeyRingError> {
        let keys = Keys {
            current: Key::new(current)?,
            next: None,
            retired,
        };
        Self::of(keys, None)
    }

    fn of(keys: Keys, keeper: Option<Keeper>) -> Result<Self, KeyRingError> {
        keys.published()?;
        Ok(Self {
            keys: RwLock::new(keys),
            keeper,
            watchers: Mutex::default(),
        })
    }

    /// Tells of the published keys from now on: at once, and at each change. Whoever verifies
    /// tokens in the same process learns of a key before it signs.
    pub fn watch(&self, now: Time, watcher: impl Fn(JwkSet) + Send + Sync + 'static) {
        watcher(self.published(now));
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.push(Box::new(watcher));
    }

    /// Publishes the key that will sign next.
    ///
    /// # Errors
    /// [`KeyRingError::Jwk`].
    pub fn announce(&self, next: Arc<dyn Signer>, now: Time) -> Result<(), KeyRingError> {
        let next = Key::new(next)?;
        {
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            let before = keys.next.replace((next, now));
            if let Err(error) = keys.published() {
                keys.next = before;
                return Err(error.into());
            }
        }
        self.tell(now);
        Ok(())
    }

    /// Signs with the announced key from now on. The one before stays published until no token of
    /// it is alive and no client keeps an older key set.
    ///
    /// # Errors
    /// [`KeyRingError::NoNextKey`] or [`KeyRingError::TooEarly`].
    pub fn rotate(&self, now: Time) -> Result<RetiredKey, KeyRingError> {
        let retired = {
            let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
            let (next, announced) = keys.next.clone().ok_or(KeyRingError::NoNextKey)?;
            if now.saturating_since(announced) < KEYS_MAX_AGE {
                return Err(KeyRingError::TooEarly);
            }
            let before = std::mem::replace(&mut keys.current, next);
            keys.next = None;
            let retired = RetiredKey::new(before.jwk, now);
            keys.retired.retain(|key| key.until > now);
            keys.retired.push(retired.clone());
            retired
        };
        self.tell(now);
        Ok(retired)
    }

    fn tell(&self, now: Time) {
        let published = self.published(now);
        let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        for watcher in watchers.iter() {
            watcher(published.clone());
        }
    }

    /// What clients see at this time.
    pub fn published(&self, now: Time) -> JwkSet {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.retired.retain(|key| key.until > now);
        // Every change was checked before it was made.
        keys.published().unwrap_or_default()
    }

    /// The public half of the key that signs now.
    pub fn current(&self) -> PublicKey {
        self.signing().1.key().clone()
    }

    pub(crate) fn signing(&self) -> (Arc<dyn Signer>, Jwk) {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        (Arc::clone(&keys.current.signer), keys.current.jwk.clone())
    }

    pub(crate) fn algorithms(&self, now: Time) -> Vec<JwsAlgorithm> {
        let published = self.published(now);
        let mut names: Vec<_> = published.keys().iter().filter_map(Jwk::algorithm).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl RetiredKey {
    /// A key that stopped signing now: it is published until its last token has expired, and for
    /// as long as a client may keep a key set after that.
    pub(crate) fn new(jwk: Jwk, now: Time) -> Self {
        let until = now.checked_add(TOKEN_LIFE + KEYS_MAX_AGE).unwrap_or(now);
        Self { jwk, until }
    }
}

impl Keys {
    fn published(&self) -> Result<JwkSet, JwkError> {
        let next = self.next.iter().map(|(key, _)| &key.jwk);
        let retired = self.retired.iter().map(|key| &key.jwk);
        let all = [&self.current.jwk].into_iter().chain(next).chain(retired);
        JwkSet::new(all.cloned().collect())
    }
}

impl Key {
    fn new(signer: Arc<dyn Signer>) -> Result<Self, JwkError> {
        let algorithm = JwsAlgorithm::of(signer.algorithm()).ok_or(JwkError::UnsupportedKey)?;
        let jwk = Jwk::new(signer.public_key().clone(), algorithm)?;
        Ok(Self { signer, jwk })
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing")
    }
}

#[cfg(test)]
mod tests {
    use waxseal_crypto::SignatureAlgorithm;

    use super::*;

    fn signer(algorithm: SignatureAlgorithm) -> Arc<dyn Signer> {
        let provider = waxseal_crypto_aws_lc::provider();
        let key = provider.generate(algorithm).unwrap();
        let signer: Box<dyn Signer> = provider.signer(&key, algorithm).unwrap();
        Arc::from(signer)
    }

    fn p256() -> Arc<dyn Signer> {
        signer(SignatureAlgorithm::EcdsaP256Sha256)
    }

    fn at(seconds: i64) -> Time {
        Time::from_unix(seconds).unwrap()
    }

    #[test]
    fn a_key_is_published_before_during_and_after_its_use() {
        let (first, second) = (p256(), p256());
        let ring = KeyRing::new(Arc::clone(&first)).unwrap();
        let has = |signer: &Arc<dyn Signer>, now| {
            ring.published(at(now))
                .keys()
                .iter()
                .any(|jwk| jwk.key() == signer.public_key())
        };
        assert!(has(&first, 0) && !has(&second, 0));
        ring.announce(Arc::clone(&second), at(0)).unwrap();
        assert!(has(&second, 0));
        assert_eq!(&ring.current(), first.public_key());
        ring.rotate(at(300)).unwrap();
        assert_eq!(&ring.current(), second.public_key());
        assert!(has(&first, 899) && has(&second, 899));
        assert!(!has(&first, 900) && has(&second, 900));
    }

    #[test]
    fn too_early() {
        let ring = KeyRing::new(p256()).unwrap();
        ring.announce(p256(), at(0)).unwrap();
        assert_eq!(ring.rotate(at(299)).unwrap_err(), KeyRingError::TooEarly);
    }

    #[test]
    fn no_next_key() {
        let ring = KeyRing::new(p256()).unwrap();
        assert_eq!(ring.rotate(at(0)).unwrap_err(), KeyRingError::NoNextKey);
    }

    #[test]
    fn jwk() {
        let same = p256();
        let ring = KeyRing::new(Arc::clone(&same)).unwrap();
        let error = ring.announce(same, at(0)).unwrap_err();
        assert_eq!(error, KeyRingError::Jwk(JwkError::DuplicateKeyId));
        assert_eq!(ring.published(at(0)).keys().len(), 1);
        let ml_dsa = signer(SignatureAlgorithm::MlDsa44);
        assert_eq!(
            KeyRing::new(ml_dsa).unwrap_err(),
            KeyRingError::Jwk(JwkError::UnsupportedKey)
        );
    }
}

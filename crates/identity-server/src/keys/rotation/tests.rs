//! Hours pass, the store fails, the process starts again.

use std::sync::Mutex as StdMutex;

use waxseal_crypto::{BoxFuture, PublicKey};
use zeroize::Zeroizing;

use super::*;

/// A document in memory; it fails on demand.
#[derive(Default)]
struct Memory {
    document: StdMutex<Option<Zeroizing<Vec<u8>>>>,
    broken: StdMutex<bool>,
}

impl Memory {
    fn check(&self) -> Result<(), StoreError> {
        if *self.broken.lock().unwrap() {
            return Err(StoreError("broken".into()));
        }
        Ok(())
    }
}

impl KeyStore for Memory {
    fn load(&self) -> BoxFuture<'_, Result<Option<Zeroizing<Vec<u8>>>, StoreError>> {
        Box::pin(async move {
            self.check()?;
            Ok(self.document.lock().unwrap().clone())
        })
    }

    fn save(&self, document: Zeroizing<Vec<u8>>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.check()?;
            *self.document.lock().unwrap() = Some(document);
            Ok(())
        })
    }
}

const HOUR: i64 = 3600;

fn at(seconds: i64) -> Time {
    Time::from_unix(1_767_225_600 + seconds).unwrap()
}

fn es256() -> KeyPolicy {
    KeyPolicy {
        algorithm: TokenAlgorithm::Es256,
        ..KeyPolicy::default()
    }
}

async fn open(store: &Arc<Memory>, policy: &KeyPolicy, now: Time) -> KeyRing {
    let store: Arc<dyn KeyStore> = store.clone();
    KeyRing::open(store, waxseal_crypto_aws_lc::provider(), policy, now)
        .await
        .unwrap()
}

fn published(ring: &KeyRing, now: Time) -> Vec<PublicKey> {
    let set = ring.published(now);
    set.keys().iter().map(|jwk| jwk.key().clone()).collect()
}

#[tokio::test]
async fn a_key_is_announced_long_before_it_signs_and_published_long_after() {
    let ring = open(&Arc::default(), &es256(), at(0)).await;
    let first = ring.current();
    let both = published(&ring, at(0));
    assert_eq!(both.len(), 2);
    let second = both.into_iter().find(|key| *key != first).unwrap();
    assert_eq!(ring.turn(at(6 * HOUR - 1)).await.unwrap(), Rotation::NotDue);
    assert_eq!(ring.current(), first);
    assert_eq!(ring.turn(at(6 * HOUR)).await.unwrap(), Rotation::Rotated);
    assert_eq!(ring.current(), second);
    // The retired one, the one that signs, and the next.
    let three = published(&ring, at(6 * HOUR + 599));
    assert_eq!(three.len(), 3);
    assert!(three.contains(&first));
    let two = published(&ring, at(6 * HOUR + 600));
    assert!(two.len() == 2 && !two.contains(&first));
    assert_eq!(ring.turn(at(6 * HOUR)).await.unwrap(), Rotation::NotDue);
    assert_eq!(ring.turn(at(12 * HOUR)).await.unwrap(), Rotation::Rotated);
    assert!(two.contains(&ring.current()));
}

#[tokio::test]
async fn a_restart_changes_nothing() {
    let store = Arc::<Memory>::default();
    let ring = open(&store, &es256(), at(0)).await;
    ring.turn(at(6 * HOUR)).await.unwrap();
    let (current, all) = (ring.current(), published(&ring, at(6 * HOUR)));
    let again = open(&store, &es256(), at(6 * HOUR + 1)).await;
    assert_eq!(again.current(), current);
    assert_eq!(published(&again, at(6 * HOUR + 1)), all);
    // The hours before the restart count.
    assert_eq!(again.turn(at(12 * HOUR)).await.unwrap(), Rotation::Rotated);
}

#[tokio::test]
async fn what_is_not_kept_is_not_used() {
    let store = Arc::<Memory>::default();
    let ring = open(&store, &es256(), at(0)).await;
    let before = published(&ring, at(0));
    *store.broken.lock().unwrap() = true;
    let error = ring.turn(at(7 * HOUR)).await.unwrap_err();
    assert!(matches!(error, KeyKeepingError::Store(_)), "{error:?}");
    assert_eq!(published(&ring, at(0)), before);
    *store.broken.lock().unwrap() = false;
    assert_eq!(ring.turn(at(7 * HOUR)).await.unwrap(), Rotation::Rotated);
}

#[tokio::test]
async fn another_algorithm_comes_with_the_next_key() {
    let store = Arc::<Memory>::default();
    open(&store, &KeyPolicy::default(), at(0)).await;
    let ring = open(&store, &es256(), at(1)).await;
    let names = |now| ring.algorithms(now);
    assert_eq!(names(at(1)), [JwsAlgorithm::Rs256]);
    assert_eq!(ring.turn(at(1)).await.unwrap(), Rotation::Announced);
    assert_eq!(names(at(1)), [JwsAlgorithm::Rs256, JwsAlgorithm::Es256]);
    assert_eq!(ring.signing().1.algorithm(), Some(JwsAlgorithm::Rs256));
    assert_eq!(ring.turn(at(6 * HOUR)).await.unwrap(), Rotation::Rotated);
    assert_eq!(ring.signing().1.algorithm(), Some(JwsAlgorithm::Es256));
    assert_eq!(names(at(7 * HOUR)), [JwsAlgorithm::Es256]);
}

#[tokio::test]
async fn an_algorithm_that_is_announced_late_is_not_used_early() {
    let store = Arc::<Memory>::default();
    open(&store, &KeyPolicy::default(), at(0)).await;
    let ring = open(&store, &es256(), at(6 * HOUR - 1)).await;
    let turn = async |seconds| ring.turn(at(6 * HOUR + seconds)).await.unwrap();
    assert_eq!(turn(-1).await, Rotation::Announced);
    assert_eq!(turn(0).await, Rotation::NotDue);
    assert_eq!(turn(298).await, Rotation::NotDue);
    assert_eq!(turn(299).await, Rotation::Rotated);
}

#[tokio::test]
async fn watchers_learn_of_a_key_before_it_signs() {
    let ring = open(&Arc::default(), &es256(), at(0)).await;
    let seen = Arc::new(StdMutex::new(Vec::new()));
    let writing = Arc::clone(&seen);
    ring.watch(at(0), move |set| {
        writing.lock().unwrap().push(set.keys().len());
    });
    ring.turn(at(HOUR)).await.unwrap();
    ring.turn(at(6 * HOUR)).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [2, 3]);
}

#[tokio::test]
async fn a_clock_that_goes_back_rotates_nothing() {
    let ring = open(&Arc::default(), &es256(), at(0)).await;
    let before = ring.current();
    assert_eq!(ring.turn(at(-HOUR)).await.unwrap(), Rotation::NotDue);
    assert_eq!(ring.current(), before);
}

#[tokio::test]
async fn kept() {
    let store = Arc::<Memory>::default();
    *store.document.lock().unwrap() = Some(Zeroizing::new(b"{}".to_vec()));
    let keys: Arc<dyn KeyStore> = store;
    let provider = waxseal_crypto_aws_lc::provider();
    let error = KeyRing::open(keys, provider, &es256(), at(0)).await;
    assert!(matches!(error, Err(KeyKeepingError::Kept(_))));
}

/// A ring whose document was changed by hand.
async fn opened_with(change: impl FnOnce(&mut KeptRing)) -> Result<KeyRing, KeyKeepingError> {
    let store = Arc::<Memory>::default();
    open(&store, &es256(), at(0)).await;
    let document = store.document.lock().unwrap().take().unwrap();
    let mut ring = KeptRing::decode(&document).unwrap();
    change(&mut ring);
    *store.document.lock().unwrap() = Some(ring.encode());
    let keys: Arc<dyn KeyStore> = store;
    KeyRing::open(keys, waxseal_crypto_aws_lc::provider(), &es256(), at(0)).await
}

#[tokio::test]
async fn key() {
    let error = opened_with(|ring| ring.next.algorithm = TokenAlgorithm::Rs256).await;
    assert!(matches!(error, Err(KeyKeepingError::Key(_))));
}

#[tokio::test]
async fn ring() {
    let error = opened_with(|ring| ring.next = ring.current.clone()).await;
    assert!(matches!(error, Err(KeyKeepingError::Ring(_))));
}

#[test]
fn the_policy_as_it_is_written() {
    let check = |text: &str, expected: Option<(TokenAlgorithm, u32)>| {
        let read: Result<KeyPolicy, _> = serde_json::from_str(text);
        let read = read.ok().map(|p| (p.algorithm, p.rotate_hours.get()));
        assert_eq!(read, expected, "{text}");
    };
    check("{}", Some((TokenAlgorithm::Rs256, 6)));
    let es256 = r#"{"algorithm": "ES256", "rotate_hours": 24}"#;
    check(es256, Some((TokenAlgorithm::Es256, 24)));
    check(r#"{"algorithm": "none"}"#, None);
    check(r#"{"rotate_hours": 0}"#, None);
    check(r#"{"rotate": 1}"#, None);
}

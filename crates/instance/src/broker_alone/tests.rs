//! A broker alone starts, starts again as the same, and refuses what it cannot work with.

use std::path::Path;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use tower::ServiceExt as _;
use waxseal_crypto::{BoxFuture, Time};
use waxseal_crypto_aws_lc::{OsRandom, SystemClock, provider};
use waxseal_identity_server::{
    Change, Found, NoAuditLog, RecordKey, RecordKind, Store, StoreError,
};
use waxseal_store_embedded::{IdentityKeys, IdentityStore, Outbox};

use super::*;
use crate::{BROKER_KEYS, Config, Flags, Nowhere};

fn world() -> World {
    World {
        provider: provider(),
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
        transport: Arc::new(Nowhere),
    }
}

fn stores(data: &DataDir) -> BrokerStores {
    let records = data.make(Part::Broker).unwrap().join("state.redb");
    let keys = data.make(Part::Keys).unwrap().join(BROKER_KEYS);
    BrokerStores {
        records: Arc::new(IdentityStore::open(&records).unwrap()),
        keys: Arc::new(IdentityKeys::open(&keys).unwrap()),
        audit: Arc::new(NoAuditLog),
        mailer: Arc::new(Outbox::new(&data.make(Part::Outbox).unwrap(), |_| {}).unwrap()),
    }
}

async fn start_with(
    folder: &Path,
    text: &str,
    change: impl FnOnce(&DataDir, &mut BrokerStores, &mut World),
) -> Result<BrokerAlone, BrokerAloneError> {
    let settings = Config::from_toml(text)
        .unwrap()
        .settle(Flags::default())
        .unwrap();
    let data = DataDir::open(&folder.join("data")).unwrap();
    let (mut stores, mut world) = (stores(&data), world());
    change(&data, &mut stores, &mut world);
    BrokerAlone::new(&data, &settings, stores, world).await
}

/// Keys of ES256 are made at once.
const QUICK: &str = "[tokens]\nalgorithm = 'ES256'\n";

async fn start(folder: &Path) -> Result<BrokerAlone, BrokerAloneError> {
    start_with(folder, QUICK, |_, _, _| {}).await
}

async fn get(broker: &BrokerAlone, path: &str) -> (StatusCode, String) {
    let router = broker.router(HostCheck::off());
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = router.oneshot(request).await.unwrap();
    let status = answer.status();
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await;
    (status, String::from_utf8(bytes.unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn it_starts_and_starts_again_with_the_same_keys() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path()).await.unwrap();
    assert_eq!(broker.issuer(), "http://localhost:8383/auth");
    let (status, keys) = get(&broker, "/auth/keys").await;
    assert_eq!(status, StatusCode::OK);
    for (path, expected) in [
        ("/auth/.well-known/openid-configuration", StatusCode::OK),
        ("/healthz", StatusCode::OK),
        ("/readyz", StatusCode::OK),
        ("/metrics", StatusCode::OK),
        // No other role is here.
        ("/checkpoint", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(get(&broker, path).await.0, expected, "{path}");
    }
    drop(broker);
    let code_key = std::fs::read(folder.path().join("data/keys").join(CODE_KEY)).unwrap();
    let again = start(folder.path()).await.unwrap();
    assert_eq!(get(&again, "/auth/keys").await.1, keys);
    let kept = std::fs::read(folder.path().join("data/keys").join(CODE_KEY)).unwrap();
    assert_eq!(kept, code_key);
}

#[tokio::test]
async fn damaged() {
    let folder = tempfile::tempdir().unwrap();
    drop(start(folder.path()).await.unwrap());
    let refused = start_with(folder.path(), QUICK, |data, _, _| {
        std::fs::write(data.part(Part::Keys).join(CODE_KEY), b"short").unwrap();
    });
    assert!(matches!(refused.await, Err(BrokerAloneError::Damaged)));
}

#[tokio::test]
async fn data() {
    let folder = tempfile::tempdir().unwrap();
    drop(start(folder.path()).await.unwrap());
    let refused = start_with(folder.path(), QUICK, |data, _, _| {
        std::fs::remove_file(data.part(Part::Keys).join(CODE_KEY)).unwrap();
        std::fs::create_dir(data.part(Part::Keys).join(CODE_KEY)).unwrap();
    });
    assert!(matches!(refused.await, Err(BrokerAloneError::Data(_))));
}

struct NoRandom;

impl waxseal_crypto::Random for NoRandom {
    fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
        Err(RandomError)
    }
}

#[tokio::test]
async fn random() {
    let folder = tempfile::tempdir().unwrap();
    let refused = start_with(folder.path(), QUICK, |_, _, world| {
        world.random = Arc::new(NoRandom);
    });
    assert!(matches!(refused.await, Err(BrokerAloneError::Random(_))));
}

struct Lost;

impl KeyStore for Lost {
    fn load(&self) -> BoxFuture<'_, Result<Option<Zeroizing<Vec<u8>>>, StoreError>> {
        Box::pin(async { Err(StoreError("lost".into())) })
    }

    fn save(&self, _: Zeroizing<Vec<u8>>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

impl Store for Lost {
    fn transact(
        &self,
        _: Vec<RecordKey>,
        _: Time,
        _: Change,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Err(StoreError("lost".into())) })
    }

    fn scan(
        &self,
        _: RecordKind,
        _: Option<RecordKey>,
        _: usize,
        _: Time,
    ) -> BoxFuture<'_, Result<Vec<Found>, StoreError>> {
        Box::pin(async { Err(StoreError("lost".into())) })
    }

    fn sweep(&self, _: Time) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async { Err(StoreError("lost".into())) })
    }
}

#[tokio::test]
async fn keys() {
    let folder = tempfile::tempdir().unwrap();
    let refused = start_with(folder.path(), QUICK, |_, stores, _| {
        stores.keys = Arc::new(Lost);
    });
    assert!(matches!(refused.await, Err(BrokerAloneError::Keys(_))));
}

#[tokio::test]
async fn birth() {
    let folder = tempfile::tempdir().unwrap();
    drop(start(folder.path()).await.unwrap());
    let mail = "[smtp]\nhost = 'mail.example'\nfrom = 'id@example.com'\n\
                allow_domains = ['example.com']\n";
    for change in [mail, "url = 'http://localhost:1'"] {
        let refused = start_with(folder.path(), change, |_, _, _| {}).await;
        assert!(
            matches!(refused, Err(BrokerAloneError::Birth(_))),
            "{change}"
        );
    }
}

#[tokio::test]
async fn broker() {
    let folder = tempfile::tempdir().unwrap();
    let refused = start_with(folder.path(), QUICK, |_, stores, _| {
        stores.records = Arc::new(Lost);
    });
    assert!(matches!(refused.await, Err(BrokerAloneError::Broker(_))));
}

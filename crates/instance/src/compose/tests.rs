//! Why an instance does not start: each role refuses what it cannot work with.

#![cfg(unix)]

use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use waxseal_crypto::{BoxFuture, PrivateKey, SignatureAlgorithm, Time};
use waxseal_crypto_aws_lc::{OsRandom, SystemClock, provider};
use waxseal_identity_server::{KeptKey, KeptRing, KeyStore, NoAuditLog, TokenAlgorithm};
use waxseal_log_server::{Commit, CommitOutcome, DedupKey, LedgerError, Opened};
use waxseal_store_embedded::{IdentityKeys, IdentityStore, LogLedger, LogObjects, Outbox};

use zeroize::Zeroizing;

use super::*;
use crate::{BROKER_KEYS, Birth, Config, DataDir, Flags, Nowhere, provision};

const MAIL: &str =
    "[smtp]\nhost = 'mail.example'\nfrom = 'id@example.com'\nallow_domains = ['example.com']\n";

fn signer(algorithm: SignatureAlgorithm) -> Arc<dyn Signer> {
    let key = provider().generate(algorithm).unwrap();
    let signer: Box<dyn Signer> = provider().signer(&key, algorithm).unwrap();
    Arc::from(signer)
}

fn settings(file: &str) -> Settings {
    let config = Config::from_toml(file).unwrap();
    config.settle(Flags::default()).unwrap()
}

fn stores(folder: &Path) -> Stores {
    let log = |name: &str| LogStores {
        ledger: Arc::new(LogLedger::open(&folder.join(format!("{name}.redb"))).unwrap()),
        objects: Arc::new(LogObjects::open(&folder.join(name)).unwrap()),
    };
    // RSA keys take their time: the tokens here are signed with keys that are always the same.
    let [current, next] = ["broker.key.pem", "broker-next.key.pem"].map(|name| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../testkit/keys")
            .join(name);
        let key = PrivateKey::from_pem(&std::fs::read_to_string(file).unwrap()).unwrap();
        let since = Time::from_unix(1_767_225_600).unwrap();
        KeptKey::new(key, TokenAlgorithm::Rs256, since)
    });
    let broker_keys = folder.join(BROKER_KEYS);
    std::fs::write(&broker_keys, KeptRing::new(current, next).encode()).unwrap();
    std::fs::set_permissions(&broker_keys, PermissionsExt::from_mode(0o600)).unwrap();
    Stores {
        broker: BrokerStores {
            records: Arc::new(IdentityStore::open(&folder.join("broker.redb")).unwrap()),
            keys: Arc::new(IdentityKeys::open(&broker_keys).unwrap()),
            audit: Arc::new(NoAuditLog),
            mailer: Arc::new(Outbox::new(&folder.join("outbox"), |_| {}).unwrap()),
        },
        log: log("log"),
        ct: log("ct"),
    }
}

async fn keys(folder: &Path, settings: &Settings) -> Keys {
    let data = DataDir::open(&folder.join("data")).unwrap();
    let mut birth = Birth::of(&data, settings, Time::from_unix(1_767_225_600).unwrap()).unwrap();
    provision(&data, &mut birth, provider(), &OsRandom)
        .await
        .unwrap()
}

/// A key store that has lost its document.
struct Lost;

impl KeyStore for Lost {
    fn load(&self) -> BoxFuture<'_, Result<Option<Zeroizing<Vec<u8>>>, broker::StoreError>> {
        Box::pin(async { Ok(Some(Zeroizing::new(Vec::new()))) })
    }

    fn save(&self, _: Zeroizing<Vec<u8>>) -> BoxFuture<'_, Result<(), broker::StoreError>> {
        Box::pin(async { Err(broker::StoreError("broken".into())) })
    }
}

/// Starts an instance after something was changed.
async fn start(
    file: &str,
    change: impl FnOnce(&mut Keys, &mut Stores),
) -> Result<Instance, ComposeError> {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(file);
    let mut keys = keys(folder.path(), &settings).await;
    let mut stores = stores(folder.path());
    change(&mut keys, &mut stores);
    Instance::new(&settings, &keys, stores, world()).await
}

fn world() -> World {
    World {
        provider: provider(),
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
        transport: Arc::new(Nowhere),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged() {
    let instance = start("", |_, _| {}).await.unwrap();
    assert_eq!(instance.issuer(), "http://localhost:8383/auth");
    // The genesis entry is there before anything is served.
    assert_eq!(instance.log().published().tree_size, 1);
    assert_eq!(instance.ct_log().published().tree_size, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn name() {
    let file = format!("url = 'https://a+b.example'\nbehind_tls_proxy = true\n{MAIL}");
    let refused = start(&file, |_, _| {}).await;
    assert!(matches!(refused, Err(ComposeError::Name(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn note_key() {
    let refused = start("", |keys, _| keys.log = Arc::clone(&keys.ca)).await;
    assert!(
        matches!(refused, Err(ComposeError::NoteKey(_))),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn broker_keys() {
    let refused = start("", |_, stores| stores.broker.keys = Arc::new(Lost)).await;
    assert!(
        matches!(refused, Err(ComposeError::BrokerKeys(_))),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn broker() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = settings("");
    let keys = keys(folder.path(), &outbox).await;
    let instance = Instance::new(&outbox, &keys, stores(folder.path()), world()).await;
    drop(instance.unwrap());
    let refused = Instance::new(&settings(MAIL), &keys, stores(folder.path()), world()).await;
    assert!(
        matches!(refused, Err(ComposeError::Broker(_))),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn log() {
    let refused = start("", |_, stores| stores.log.ledger = Arc::new(Broken)).await;
    assert!(matches!(refused, Err(ComposeError::Log(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ct_config() {
    let refused = start("", |keys, _| keys.ca_chain.clear()).await;
    assert!(
        matches!(refused, Err(ComposeError::CtConfig(_))),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ct_log() {
    let refused = start("", |_, stores| stores.ct.ledger = Arc::new(Broken)).await;
    assert!(
        matches!(refused, Err(ComposeError::CtLog(_))),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ca() {
    let refused = start("", |keys, _| {
        keys.ca = signer(SignatureAlgorithm::EcdsaP256Sha256);
    })
    .await;
    assert!(matches!(refused, Err(ComposeError::Ca(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tsa() {
    let refused = start("", |keys, _| {
        keys.tsa = signer(SignatureAlgorithm::EcdsaP256Sha256);
    })
    .await;
    assert!(matches!(refused, Err(ComposeError::Tsa(_))), "{refused:?}");
}

/// A ledger that cannot be opened.
struct Broken;

impl Broken {
    fn error() -> LedgerError {
        LedgerError::Failed("broken".into())
    }
}

impl Ledger for Broken {
    fn open(&self) -> BoxFuture<'_, Result<Opened, LedgerError>> {
        Box::pin(async { Err(Self::error()) })
    }

    fn look(&self) -> BoxFuture<'_, Result<Opened, LedgerError>> {
        self.open()
    }

    fn commit<'a>(&'a self, _: Commit<'a>) -> BoxFuture<'a, CommitOutcome> {
        Box::pin(async { CommitOutcome::NotCommitted("broken".into()) })
    }

    fn find<'a>(
        &'a self,
        _: &'a [DedupKey],
    ) -> BoxFuture<'a, Result<Vec<Option<u64>>, LedgerError>> {
        Box::pin(async { Err(Self::error()) })
    }

    fn read(&self, _: Range<u64>) -> BoxFuture<'_, Result<Vec<Vec<u8>>, LedgerError>> {
        Box::pin(async { Err(Self::error()) })
    }

    fn read_beside(&self, _: u64) -> BoxFuture<'_, Result<Vec<u8>, LedgerError>> {
        Box::pin(async { Err(Self::error()) })
    }
}

//! Rotation: one key and one name for each shard, whatever interrupts it.

#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use waxseal_crypto_aws_lc::{OsRandom, SystemClock, provider};
use waxseal_formats::ClientTrustConfig;
use waxseal_serve::BoxError;
use waxseal_store_embedded::{LogLedger, LogObjects};
use waxseal_tlog::{Checkpoint, LogKey, NoteKey, SignatureKind, SignedNote};

use super::*;
use crate::{
    Birth, Config, Flags, Keys, LogStores, Nowhere, Settings, World, log_trust_config, provision,
};

struct Site {
    _outside: tempfile::TempDir,
    root: PathBuf,
}

struct Opened {
    data: DataDir,
    settings: Settings,
    keys: Keys,
}

impl Site {
    fn new() -> Self {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("data");
        Self {
            _outside: outside,
            root,
        }
    }

    async fn try_open(&self) -> Result<Opened, crate::ProvisionError> {
        let data = DataDir::open(&self.root)?;
        let settings = Config::default().settle(Flags::default()).unwrap();
        let mut birth = Birth::of(&data, &settings, Time::from_unix(1_767_225_600).unwrap())?;
        let keys = provision(&data, &mut birth, provider(), &OsRandom).await?;
        Ok(Opened {
            data,
            settings,
            keys,
        })
    }

    async fn open(&self) -> Opened {
        self.try_open().await.unwrap()
    }

    async fn rotate(&self, url: &str) -> Result<Rotated, RotateError> {
        let opened = self.open().await;
        let url = InstanceUrl::parse(url).unwrap();
        let stores = stores(&opened.data.make(Part::Log).unwrap());
        let Opened {
            data,
            settings,
            keys,
        } = &opened;
        rotate_log(data, settings, keys, stores, &world(), url).await
    }

    async fn config(&self) -> ClientTrustConfig {
        let opened = self.open().await;
        log_trust_config(&opened.settings, &opened.keys).unwrap()
    }
}

fn stores(folder: &Path) -> LogStores {
    LogStores {
        ledger: Arc::new(LogLedger::open(&folder.join("state.redb")).unwrap()),
        objects: Arc::new(LogObjects::open(&folder.join("tiles")).unwrap()),
    }
}

fn world() -> World {
    World {
        provider: provider(),
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
        transport: Arc::new(Nowhere),
    }
}

/// The files say that the checkpoint of that tree is the last of a log that is trusted.
fn check_last(config: &ClientTrustConfig, position: usize, tiles: &Path) {
    let log = &config.trusted_root.tlogs[position];
    let key = PublicKey::from_spki_der(&log.public_key.raw_bytes).unwrap();
    let url = InstanceUrl::parse(&log.base_url).unwrap();
    let name = KeyName::new(url.host()).unwrap();
    let key = NoteKey::new(provider(), name, SignatureKind::Ed25519, &key).unwrap();
    assert_eq!(log.log_id, key.log_id());
    let text = fs::read_to_string(tiles.join("checkpoint")).unwrap();
    let note = SignedNote::parse(&text).unwrap();
    Checkpoint::open(&note, &LogKey::new(key), &[]).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_shard_has_a_key_and_a_name_of_its_own() {
    let site = Site::new();
    let first = site.config().await;
    let rotated = site.rotate("http://127.0.0.1:8383").await.unwrap();
    assert_eq!((rotated.old.number, rotated.new.number), (1, 2));
    assert_ne!(rotated.old.public_key, rotated.new.public_key);
    let second = site.config().await;
    check_last(&second, 0, &site.root.join("shards/1/tiles"));
    // What was trusted stays so, until the day of the freeze; where to go is another place.
    let (old, new) = (&second.trusted_root.tlogs[0], &second.trusted_root.tlogs[1]);
    assert_eq!(
        old.public_key.raw_bytes,
        first.trusted_root.tlogs[0].public_key.raw_bytes
    );
    assert_eq!(old.base_url, "http://localhost:8383");
    assert!(old.public_key.valid_for.as_ref().unwrap().end.is_some());
    assert!(new.public_key.valid_for.as_ref().unwrap().end.is_none());
    assert_eq!(second.signing_config.log_urls.len(), 1);
    assert_eq!(
        second.signing_config.log_urls[0].url,
        "http://127.0.0.1:8383"
    );
    assert_eq!(second.signing_config.ca_urls, first.signing_config.ca_urls);
    // The key of a frozen shard is not needed any more.
    fs::remove_file(site.root.join("keys/log.key.pem")).unwrap();
    let rotated = site.rotate("http://[::1]:8383").await.unwrap();
    assert_eq!((rotated.old.number, rotated.new.number), (2, 3));
    let third = site.config().await;
    assert_eq!(third.trusted_root.tlogs.len(), 3);
    check_last(&third, 0, &site.root.join("shards/1/tiles"));
    check_last(&third, 1, &site.root.join("shards/2/tiles"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_taken_and_other_scheme() {
    let site = Site::new();
    for url in ["http://localhost:8383", "http://localhost:9999"] {
        let error = site.rotate(url).await.unwrap_err();
        assert!(matches!(error, RotateError::HostTaken { .. }), "{error:?}");
    }
    let error = site.rotate("https://log2.example").await.unwrap_err();
    assert!(matches!(error, RotateError::OtherScheme { .. }));
    site.rotate("http://127.0.0.1:8383").await.unwrap();
    for url in ["http://localhost:8383", "http://127.0.0.1:8383"] {
        let error = site.rotate(url).await.unwrap_err();
        assert!(matches!(error, RotateError::HostTaken { .. }), "{error:?}");
    }
    // Nothing of that was begun.
    assert!(!site.root.join("log.next").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_is_killed_goes_on() {
    let site = Site::new();
    let rotated = site.rotate("http://127.0.0.1:8383").await.unwrap();
    let key = rotated.new.public_key;
    // As if it had been killed between its two renames: the next start does the second.
    fs::rename(site.root.join("log"), site.root.join("log.next")).unwrap();
    let opened = site.open().await;
    assert_eq!(opened.keys.log.public_key(), &key);
    drop(opened);
    // As if it had been killed before them: to try again takes the key that is there.
    fs::create_dir(site.root.join("log.next")).unwrap();
    fs::set_permissions(site.root.join("log.next"), private()).unwrap();
    let rotated = site.rotate("http://[::1]:8383").await.unwrap();
    assert_eq!(rotated.new.number, 3);
}

fn private() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o700)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_malformed_and_key() {
    let site = Site::new();
    site.rotate("http://127.0.0.1:8383").await.unwrap();
    let record = site.root.join("log/shard.toml");
    let honest = fs::read_to_string(&record).unwrap();
    let refused = async || match site.try_open().await.err().unwrap() {
        crate::ProvisionError::Shards(error) => error,
        error => panic!("{error:?}"),
    };
    // Without its record the second shard would be taken for the first, under the first's key.
    fs::remove_file(&record).unwrap();
    assert!(matches!(refused().await, ShardError::Lost { .. }));
    let write = |text: &str| {
        fs::write(&record, text).unwrap();
        fs::set_permissions(&record, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    for text in [
        "",
        "number = 2\n",
        &honest.replace("number = 2", "number = 3"),
    ] {
        write(text);
        assert!(
            matches!(refused().await, ShardError::Malformed { .. }),
            "{text}"
        );
    }
    write(&honest.replace("http://127.0.0.1:8383", "ftp://x"));
    assert!(matches!(refused().await, ShardError::Url(_)));
    write(&honest);
    let key = site.root.join("keys/log-2.key.pem");
    fs::copy(site.root.join("keys/log.key.pem"), &key).unwrap();
    assert!(matches!(refused().await, ShardError::Key { .. }));
    fs::remove_file(&key).unwrap();
    assert!(matches!(refused().await, ShardError::Key { .. }));
}

/// What a log from elsewhere looks like.
struct Foreign {
    site: Site,
    public: PublicKey,
    private: PrivateKey,
}

const FOREIGN: &str = "http://127.0.0.1:8383";

impl Foreign {
    /// A log of one entry, on a site of its own.
    async fn new() -> Self {
        let site = Site::new();
        let rotated = site.rotate(FOREIGN).await.unwrap();
        let opened = site.open().await;
        let stores = stores(&opened.data.part(Part::Log));
        let Opened { settings, keys, .. } = &opened;
        freeze_log(settings, keys, stores, &world()).await.unwrap();
        drop(opened);
        let pem = fs::read_to_string(site.root.join("keys/log-2.key.pem")).unwrap();
        Self {
            site,
            public: rotated.new.public_key,
            private: PrivateKey::from_pem(&pem).unwrap(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.site.root.join("log/tiles").join(name)
    }

    async fn import(&self, to: &Site, url: &str, key: ImportKey) -> Result<Imported, ImportError> {
        let opened = to.open().await;
        opened.data.make(Part::Log).unwrap();
        let import = Import {
            url: InstanceUrl::parse(url).unwrap(),
            key,
            valid_from: Time::from_unix(1_700_000_000).unwrap(),
        };
        let read =
            |name: String| -> waxseal_transport::BoxFuture<'_, Result<Option<Vec<u8>>, BoxError>> {
                let read = match fs::read(self.file(&name)) {
                    Ok(bytes) => Ok(Some(bytes)),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(error.into()),
                };
                Box::pin(async move { read })
            };
        let from = ImportFrom {
            read: &read,
            open: &|folder| Ok(stores(folder)),
            progress: &|done, total| assert!(done <= total),
        };
        let Opened {
            data,
            settings,
            keys,
        } = &opened;
        import_log(data, settings, keys, &world(), import, from).await
    }

    /// With its public key, into a new site.
    async fn check(&self, url: &str, key: &PublicKey) -> ImportError {
        let key = ImportKey::Public(key.clone());
        self.import(&Site::new(), url, key).await.unwrap_err()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_from_elsewhere_is_kept() {
    let (foreign, to) = (Foreign::new().await, Site::new());
    let key = ImportKey::Public(foreign.public.clone());
    let imported = foreign.import(&to, FOREIGN, key).await.unwrap();
    assert_eq!((imported.tree_size, imported.shard.number), (1, 1000));
    let config = to.config().await;
    assert_eq!(config.trusted_root.tlogs.len(), 2);
    check_last(&config, 0, &to.root.join("shards/1000/tiles"));
    // Entries go where they went.
    assert_eq!(
        config.signing_config.log_urls[0].url,
        "http://localhost:8383"
    );
    for name in ["checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1"] {
        let kept = fs::read(to.root.join("shards/1000/tiles").join(name)).unwrap();
        assert_eq!(kept, fs::read(foreign.file(name)).unwrap(), "{name}");
    }
    // It is there now; and the instance's own log can be rotated beside it.
    let key = ImportKey::Public(foreign.public.clone());
    let error = foreign.import(&to, FOREIGN, key).await.unwrap_err();
    assert!(matches!(
        error,
        ImportError::Rotate(RotateError::HostTaken { .. })
    ));
    assert_eq!(to.rotate("http://[::1]:8383").await.unwrap().new.number, 2);
    assert_eq!(to.config().await.trusted_root.tlogs.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_from_elsewhere_goes_on() {
    let (foreign, to) = (Foreign::new().await, Site::new());
    let key = ImportKey::Private(foreign.private.clone());
    let imported = foreign.import(&to, FOREIGN, key).await.unwrap();
    assert_eq!((imported.tree_size, imported.shard.number), (1, 2));
    let config = to.config().await;
    assert_eq!(config.signing_config.log_urls[0].url, FOREIGN);
    check_last(&config, 0, &to.root.join("shards/1/tiles"));
    check_last(&config, 1, &to.root.join("log/tiles"));
    // It is a log like any other: it would start, and take entries.
    let opened = to.open().await;
    let stores = stores(&opened.data.part(Part::Log));
    let log = log_statistics(&opened.settings, &opened.keys, stores, &world()).await;
    let log = log.unwrap();
    assert_eq!((log.committed, log.is_frozen), (1, false));
}

/// A look leaves the ledger's epoch as it is, and makes no first entry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_a_log_writes_nothing() {
    use waxseal_log_server::Ledger as _;
    let site = Site::new();
    let folder = site.open().await.data.make(Part::Log).unwrap();
    let look = async || {
        let opened = site.open().await;
        let stores = stores(&folder);
        let (ledger, keys) = (Arc::clone(&stores.ledger), &opened.keys);
        let log = log_statistics(&opened.settings, keys, stores, &world()).await;
        (log.unwrap(), ledger.look().await.unwrap())
    };
    for _ in 0..2 {
        let (log, ledger) = look().await;
        assert_eq!((log.committed, log.tree_size, log.epoch), (0, 0, 0));
        assert_eq!((ledger.epoch, ledger.state), (0, None));
        assert!(!folder.join("tiles/checkpoint").exists());
    }
    // One that has run.
    let opened = site.open().await;
    let (settings, keys) = (&opened.settings, &opened.keys);
    let frozen = freeze_log(settings, keys, stores(&folder), &world()).await;
    frozen.unwrap();
    drop(opened);
    let kept = async |folder: &Path| {
        let path = folder.join("state.redb");
        let mut ledger = LogLedger::open(&path);
        // What a log does in the background lets go of its ledger a moment after its end.
        for _ in 0..500 {
            if ledger.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            ledger = LogLedger::open(&path);
        }
        let ledger = ledger.unwrap();
        let checkpoint = fs::read(folder.join("tiles/checkpoint")).unwrap();
        (ledger.look().await.unwrap(), checkpoint)
    };
    let before = kept(&folder).await;
    assert!(before.0.epoch > 0 && before.0.state.is_some());
    for _ in 0..2 {
        let (log, ledger) = look().await;
        assert_eq!((log.committed, log.epoch), (1, before.0.epoch));
        assert_eq!(ledger, before.0);
    }
    assert_eq!(kept(&folder).await, before);
    site.rotate("http://127.0.0.1:8383").await.unwrap();
    let archived = site.root.join("shards/1");
    let before = kept(&archived).await;
    let (log, ledger) = look().await;
    // The new shard, which has not begun.
    assert_eq!((log.committed, ledger.epoch, ledger.state), (0, 0, None));
    assert_eq!(kept(&archived).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_the_log_is_not_imported() {
    let foreign = Foreign::new().await;
    let other = Foreign::new().await;
    // checkpoint
    let error = foreign.check(FOREIGN, &other.public).await;
    assert!(matches!(error, ImportError::Checkpoint { .. }), "{error:?}");
    let error = foreign.check("http://[::1]:8383", &foreign.public).await;
    assert!(matches!(error, ImportError::Checkpoint { .. }), "{error:?}");
    // replica: the entries of another log of that size
    let bundle = foreign.file("tile/entries/000.p/1");
    let honest = fs::read(&bundle).unwrap();
    fs::copy(other.file("tile/entries/000.p/1"), &bundle).unwrap();
    let error = foreign.check(FOREIGN, &foreign.public).await;
    assert!(matches!(error, ImportError::Replica(_)), "{error:?}");
    // bundle
    fs::write(&bundle, &honest[..honest.len() - 1]).unwrap();
    let error = foreign.check(FOREIGN, &foreign.public).await;
    assert!(matches!(error, ImportError::Bundle { .. }), "{error:?}");
    // missing
    fs::remove_file(&bundle).unwrap();
    let error = foreign.check(FOREIGN, &foreign.public).await;
    assert!(matches!(error, ImportError::Missing { .. }), "{error:?}");
    // unreadable
    fs::create_dir(&bundle).unwrap();
    let error = foreign.check(FOREIGN, &foreign.public).await;
    assert!(matches!(error, ImportError::Unreadable { .. }), "{error:?}");
    fs::remove_dir(&bundle).unwrap();
    fs::write(&bundle, &honest).unwrap();
    // note
    fs::write(foreign.file("checkpoint"), "127.0.0.1\n").unwrap();
    let error = foreign.check(FOREIGN, &foreign.public).await;
    assert!(matches!(error, ImportError::Note(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_was_stopped_goes_on_and_nothing_else_does() {
    let (foreign, to) = (Foreign::new().await, Site::new());
    let bundle = foreign.file("tile/entries/000.p/1");
    let aside = foreign.file("aside");
    fs::rename(&bundle, &aside).unwrap();
    let key = || ImportKey::Private(foreign.private.clone());
    foreign.import(&to, FOREIGN, key()).await.unwrap_err();
    // import_begun: a rotation would give that log another name.
    let error = to.rotate("http://[::1]:8383").await.unwrap_err();
    assert!(matches!(error, RotateError::ImportBegun { .. }));
    // key_taken: another log does not take its place.
    let other = Foreign::new().await;
    let error = other
        .import(&to, FOREIGN, ImportKey::Private(other.private.clone()))
        .await;
    assert!(matches!(error, Err(ImportError::KeyTaken { .. })));
    fs::rename(&aside, &bundle).unwrap();
    assert_eq!(
        foreign.import(&to, FOREIGN, key()).await.unwrap().tree_size,
        1
    );
}

#[tokio::test]
async fn unknown_log() {
    let site = Site::new();
    let config = site.config().await;
    let opened = site.open().await;
    crate::write_client_files(&opened.data, &config).unwrap();
    let read = |_: String| -> waxseal_transport::BoxFuture<'_, Result<Option<Vec<u8>>, BoxError>> {
        Box::pin(async {
            let text = "other.example\n1\nAAAA\n\n\u{2014} other.example AAAAAAA=\n";
            Ok(Some(text.as_bytes().to_vec()))
        })
    };
    let from = ImportFrom {
        read: &read,
        open: &|_| Err("nothing is to be opened".into()),
        progress: &|_, _| {},
    };
    let refused = backup_log(&site.root, &site.root.join("backup"), &world(), from).await;
    assert!(
        matches!(&refused, Err(ImportError::UnknownLog { name }) if name == "other.example"),
        "{refused:?}"
    );
}

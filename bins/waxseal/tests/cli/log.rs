//! `waxseal log fsck` on logs that are made here, whole and altered.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use waxseal_crypto::{LocalSigner, SignatureAlgorithm, Signer, Time, sha256};
use waxseal_crypto_aws_lc::provider;
use waxseal_tlog::{
    CheckpointText, EntryBundle, Frontier, Hash, KeyName, Node, NoteSigner, Origin, SignatureKind,
    Tile, TilePath, leaf_hash,
};

use crate::run::{Ran, waxseal};

const ORIGIN: &str = "log.example/shard";

/// A log's directory `log`, and `key.pub`, `log.vkey`, `other.pub` beside it.
struct Log {
    folder: TempDir,
}

/// What the entries of a made log are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Entries,
    Ct,
}

const ISSUER: &[u8] = b"a certificate, as far as anybody looks";

impl Log {
    fn new(size: u64, kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Self { folder };
        let (algorithm, signature) = match kind {
            Kind::Entries => (SignatureAlgorithm::Ed25519, SignatureKind::Ed25519),
            Kind::Ct => (SignatureAlgorithm::EcdsaP256Sha256, SignatureKind::Rfc6962),
        };
        let signer = signer(algorithm);
        log.write("key.pub", signer.public_key().to_pem().as_bytes());
        let other = self::signer(algorithm);
        log.write("other.pub", other.public_key().to_pem().as_bytes());
        let name = KeyName::new(ORIGIN).unwrap();
        let signer: Box<dyn Signer> = signer;
        let signer = NoteSigner::new(name, signature, signer.into()).unwrap();
        let vkey = signer.note_key(provider()).unwrap().to_vkey();
        log.write("log.vkey", format!("{vkey}\n").as_bytes());
        let root = log.write_tree(size, kind);
        log.write_checkpoint(&signer, size, root);
        log
    }

    fn write_tree(&self, size: u64, kind: Kind) -> Hash {
        let mut frontier = Frontier::new();
        let mut nodes: BTreeMap<Node, Hash> = BTreeMap::new();
        for index in 0..size {
            let leaf = leaf_hash(&leaf(index, kind));
            let visit = |node, hash: &Hash| {
                nodes.insert(node, *hash);
            };
            frontier.append_visiting(&leaf, visit).unwrap();
        }
        for tile in Tile::all(size) {
            let first = tile.index() * 256;
            let range = first..first + u64::from(tile.width());
            let level = 8 * tile.level();
            let hash = |index| nodes[&Node { level, index }];
            let hashes: Vec<_> = range.clone().map(hash).collect();
            self.write_object(TilePath::Tile(tile), &Tile::encode(&hashes));
            if tile.level() > 0 {
                continue;
            }
            let (index, width) = (tile.index(), tile.width());
            if kind == Kind::Ct {
                let bytes: Vec<u8> = range.flat_map(tile_leaf).collect();
                self.write_object(TilePath::Data { index, width }, &bytes);
                continue;
            }
            let mut bundle = EntryBundle::new();
            range.for_each(|index| bundle.push(leaf(index, kind)).unwrap());
            self.write_object(TilePath::Entries { index, width }, &bundle.encode());
        }
        if kind == Kind::Ct {
            let name = sha256(ISSUER).map(|byte| format!("{byte:02x}")).concat();
            self.write(&format!("log/issuer/{name}"), ISSUER);
        }
        frontier.root_hash()
    }

    fn write_checkpoint(&self, signer: &NoteSigner, size: u64, root: Hash) {
        let text = CheckpointText::new(Origin::new(ORIGIN).unwrap(), size, root).to_string();
        let time = Time::from_unix(1_700_000_000).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let signers = [signer];
        let note = waxseal_tlog::sign_note(&text, time, &signers);
        let note = runtime.unwrap().block_on(note).unwrap();
        self.write("log/checkpoint", note.to_string().as_bytes());
    }

    fn write_object(&self, path: TilePath, bytes: &[u8]) {
        self.write(&format!("log/{path}"), bytes);
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn fsck(&self, arguments: &[&str]) -> Ran {
        let all = ["log", "fsck", "log"].iter().chain(arguments);
        waxseal(self.path(), all)
    }

    /// The code and the stable name of what is wrong after a change to a file.
    fn check(&self, file: &str, change: impl FnOnce(&mut Vec<u8>), code: i32, name: &str) {
        let path = self.path().join("log").join(file);
        let honest = std::fs::read(&path).unwrap();
        let mut bytes = honest.clone();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let ran = self.fsck(&["--key", "key.pub", "--json"]);
        std::fs::write(&path, honest).unwrap();
        assert_eq!(ran.code, code, "{file}: {ran:?}");
        assert_eq!(ran.json()["error"]["code"], name, "{file}: {ran:?}");
    }

    /// The same for a file that is taken away.
    fn check_missing(&self, file: &str, code: i32, name: &str) {
        let path = self.path().join("log").join(file);
        let aside = self.path().join("aside");
        std::fs::rename(&path, &aside).unwrap();
        let ran = self.fsck(&["--key", "key.pub", "--json"]);
        std::fs::rename(&aside, &path).unwrap();
        assert_eq!(ran.code, code, "{file}: {ran:?}");
        assert_eq!(ran.json()["error"]["code"], name, "{file}: {ran:?}");
    }
}

fn signer(algorithm: SignatureAlgorithm) -> Box<dyn LocalSigner> {
    let key = provider().generate(algorithm).unwrap();
    provider().signer(&key, algorithm).unwrap()
}

fn leaf(index: u64, kind: Kind) -> Vec<u8> {
    match kind {
        Kind::Entries => format!("entry {index}").into_bytes(),
        // version v1, timestamped_entry
        Kind::Ct => [vec![0, 0], timestamped(index)].concat(),
    }
}

/// A `TimestampedEntry` of an x509 entry without extensions (RFC 6962 §3.4).
fn timestamped(index: u64) -> Vec<u8> {
    let mut bytes = index.to_be_bytes().to_vec();
    bytes.extend([0, 0, 0, 0, 3]);
    bytes.extend(b"der");
    bytes.extend([0, 0]);
    bytes
}

fn tile_leaf(index: u64) -> Vec<u8> {
    let mut bytes = timestamped(index);
    bytes.extend([0, 32]);
    bytes.extend(sha256(ISSUER));
    bytes
}

#[test]
fn whole_logs_are_whole() {
    for (size, kind, layout) in [
        (0, Kind::Entries, "tlog-tiles"),
        (1, Kind::Entries, "tlog-tiles"),
        (600, Kind::Entries, "tlog-tiles"),
        (300, Kind::Ct, "static-ct"),
    ] {
        let log = Log::new(size, kind);
        for key in ["key.pub", "log.vkey"] {
            let ran = log.fsck(&["--key", key, "--json"]);
            assert_eq!(ran.code, 0, "{ran:?}");
            let json = ran.json();
            assert_eq!(json["treeSize"], size);
            assert_eq!(json["origin"], ORIGIN);
            assert_eq!(json["layout"], layout);
        }
        let ran = log.fsck(&["--key", "key.pub"]);
        assert!(ran.stdout.starts_with(&format!("{ORIGIN}: ")), "{ran:?}");
        assert!(ran.stdout.contains(" under the signed root\n"), "{ran:?}");
        assert_eq!(ran.stderr, "");
    }
}

#[test]
fn a_changed_file_is_found() {
    let log = Log::new(600, Kind::Entries);
    let flip = |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 1;
    log.check("tile/entries/001", flip, 3, "log-altered");
    log.check("tile/entries/002.p/88", flip, 3, "log-altered");
    log.check("tile/0/000", flip, 3, "log-altered");
    log.check("tile/0/002.p/88", flip, 3, "log-altered");
    log.check("tile/1/000.p/2", flip, 3, "log-altered");
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1);
    log.check("tile/entries/001", cut, 6, "log-tile-malformed");
    log.check("tile/0/001", cut, 6, "log-tile-malformed");
    log.check("checkpoint", cut, 6, "checkpoint-malformed");
    let rename = |bytes: &mut Vec<u8>| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        *bytes = text.replacen("\n600\n", "\n599\n", 1).into_bytes();
    };
    log.check("checkpoint", rename, 3, "checkpoint-invalid");
    assert_eq!(log.fsck(&["--key", "key.pub"]).code, 0);
}

#[test]
fn a_missing_file_is_found() {
    let log = Log::new(300, Kind::Entries);
    log.check_missing("tile/entries/000", 3, "log-incomplete");
    log.check_missing("tile/0/001.p/44", 3, "log-incomplete");
    log.check_missing("checkpoint", 5, "log-missing");
    let log = Log::new(3, Kind::Ct);
    let name = sha256(ISSUER).map(|byte| format!("{byte:02x}")).concat();
    log.check_missing(&format!("issuer/{name}"), 3, "log-incomplete");
    let flip = |bytes: &mut Vec<u8>| bytes[0] ^= 1;
    log.check(&format!("issuer/{name}"), flip, 3, "log-altered");
    let odd = |bytes: &mut Vec<u8>| bytes[9] = 7;
    log.check("tile/data/000.p/3", odd, 6, "log-tile-malformed");
}

#[test]
fn a_key_that_nobody_trusts_proves_nothing() {
    let log = Log::new(3, Kind::Entries);
    let check = |arguments: &[&str], code, name: &str| {
        let ran = log.fsck(&[arguments, &["--json"]].concat());
        assert_eq!(ran.code, code, "{ran:?}");
        assert_eq!(ran.json()["error"]["code"], name);
    };
    check(&["--key", "other.pub"], 7, "log-key-unknown");
    // The public instance has no such log.
    check(&[], 7, "log-key-unknown");
    check(&["--key", "nowhere.pub"], 2, "usage");
    check(
        &["--key", "key.pub", "--witness-policy", "key.pub"],
        2,
        "witness-policy-malformed",
    );
    let vkey = std::fs::read_to_string(log.path().join("log.vkey")).unwrap();
    let policy = format!("log {vkey}quorum none\n");
    log.write("none.policy", policy.as_bytes());
    let ran = log.fsck(&["--key", "key.pub", "--witness-policy", "none.policy"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let witness = signer(SignatureAlgorithm::Ed25519);
    let name = KeyName::new("w.example").unwrap();
    let key = waxseal_tlog::NoteKey::new(
        provider(),
        name,
        SignatureKind::CosignatureV1,
        witness.public_key(),
    );
    let witness = key.unwrap().to_vkey();
    log.write(
        "one.policy",
        format!("log {vkey}witness w {witness}\nquorum w\n").as_bytes(),
    );
    check(
        &["--key", "key.pub", "--witness-policy", "one.policy"],
        4,
        "quorum-missing",
    );
    log.write(
        "other.policy",
        format!("witness w {witness}\nquorum w\n").as_bytes(),
    );
    check(
        &["--key", "key.pub", "--witness-policy", "other.policy"],
        4,
        "log-not-in-policy",
    );
}

/// A host that keeps every file in gzip and tells it so, whoever asks (C2SP tlog-tiles lets it): by
/// its URL. It serves until the tests end.
fn host_in_gzip(root: PathBuf, encode: fn(&[u8]) -> Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                head.extend(byte);
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap_or_default();
            let (status, body) = match std::fs::read(root.join(path.trim_start_matches('/'))) {
                Ok(bytes) => ("200 OK\r\nContent-Encoding: gzip", encode(&bytes)),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            // Who breaks off has read enough.
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    url
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_host_that_keeps_its_files_in_gzip_is_read() {
    for (size, kind) in [(600, Kind::Entries), (300, Kind::Ct)] {
        let log = Log::new(size, kind);
        let check = |encode, code, name: &str| {
            let url = host_in_gzip(log.path().join("log"), encode);
            let ran = waxseal(
                log.path(),
                ["log", "fsck", &url, "--key", "key.pub", "--json"],
            );
            assert_eq!(ran.code, code, "{ran:?}");
            let json = ran.json();
            if code == 0 {
                assert_eq!(json["treeSize"], size);
            } else {
                assert_eq!(json["error"]["code"], name, "{ran:?}");
            }
        };
        check(gzip, 0, "");
        // It says gzip, and it is not; or it is, and has no end.
        check(<[u8]>::to_vec, 9, "log-unreadable");
        check(|_| gzip(&vec![0; 65 << 20]), 9, "log-unreadable");
    }
}

#[test]
fn a_url_that_nobody_answers() {
    let log = Log::new(1, Kind::Entries);
    let ran = waxseal(
        log.path(),
        [
            "log",
            "fsck",
            "http://sig.example",
            "--key",
            "key.pub",
            "--json",
        ],
    );
    assert_eq!(ran.code, 9, "{ran:?}");
    assert_eq!(ran.json()["error"]["code"], "log-unreadable");
    let ran = waxseal(
        log.path(),
        ["log", "fsck", "x://", "--key", "key.pub", "--json"],
    );
    assert!([2, 9].contains(&ran.code), "{ran:?}");
}

//! Keys are made once; a first start goes on wherever it was killed; nothing is made anew after.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use waxseal_crypto::{KeyKind, PrivateKey, SignatureAlgorithm};
use waxseal_crypto_aws_lc::{OsRandom, provider};

use super::*;
use crate::{Config, Flags, Part, Settings};

const FILES: [&str; 7] = [
    "ca.key.pem",
    "ct.key.pem",
    "log.key.pem",
    "tsa.key.pem",
    "broker.code.key",
    "ca.chain.pem",
    "tsa.chain.pem",
];

const BORN: i64 = 1_767_225_600;

fn at(seconds: i64) -> Time {
    Time::from_unix(seconds).unwrap()
}

fn settings() -> Settings {
    Config::default().settle(Flags::default()).unwrap()
}

fn start_at(root: &Path, now: Time, random: &dyn Random) -> Result<Keys, ProvisionError> {
    let data = DataDir::open(root)?;
    let mut birth = Birth::of(&data, &settings(), now)?;
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(provision(&data, &mut birth, provider(), random))
}

fn start(root: &Path) -> Result<Keys, ProvisionError> {
    start_at(root, at(BORN), &OsRandom)
}

fn fresh() -> (tempfile::TempDir, PathBuf) {
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("data");
    (outside, root)
}

/// A made instance's directory: one is made and copied.
fn made() -> (tempfile::TempDir, PathBuf) {
    static MADE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_outside, source) = MADE.get_or_init(|| {
        let (outside, root) = fresh();
        start(&root).unwrap();
        (outside, root)
    });
    let (outside, root) = fresh();
    let data = DataDir::open(&root).unwrap();
    for file in FILES.iter().chain(&["birth.toml"]) {
        let bytes = fs::read(source.join("keys").join(file)).unwrap();
        data.create(Part::Keys, file, &bytes).unwrap();
    }
    (outside, root)
}

/// Every public half and certificate.
fn public(keys: &Keys) -> Vec<Vec<u8>> {
    let signers = [&keys.ca, &keys.ct, &keys.log, &keys.tsa];
    let spki = signers
        .iter()
        .map(|signer| signer.public_key().spki_der().to_vec());
    let chains = keys.ca_chain.iter().chain(&keys.tsa_chain);
    spki.chain(chains.map(|certificate| certificate.der().to_vec()))
        .collect()
}

fn files(root: &Path) -> Vec<String> {
    fs::read_dir(root.join("keys"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn the_second_start_finds_what_the_first_made() {
    let (_outside, root) = fresh();
    let first = start(&root).unwrap();
    let before = files(&root);
    let second = start_at(&root, at(BORN + 99), &OsRandom).unwrap();
    assert_eq!(public(&first), public(&second));
    assert_eq!(first.code_key, second.code_key);
    assert_eq!(files(&root).len(), before.len());
    assert_eq!(before.len(), FILES.len() + 1);
}

#[test]
fn what_is_made() {
    let (_outside, root) = fresh();
    let keys = start(&root).unwrap();
    let kind = |signer: &Arc<dyn Signer>| signer.public_key().kind();
    assert_eq!(kind(&keys.log), KeyKind::Ed25519);
    for signer in [&keys.ca, &keys.ct, &keys.tsa] {
        assert_eq!(kind(signer), KeyKind::P256);
    }
    for chain in [&keys.ca_chain, &keys.tsa_chain] {
        assert_eq!(chain[1].public_key().unwrap().kind(), KeyKind::P384);
        for certificate in chain {
            // `gh` wants exactly one.
            let names: Vec<_> = certificate.subject().organizations().collect();
            assert_eq!(names, ["localhost"]);
            assert_eq!(certificate.not_before(), at(BORN - 300));
        }
    }
    assert_eq!(keys.valid_from, at(BORN - 300));
    assert_ne!(*keys.code_key, [0; 32]);
}

#[test]
fn no_root_key_is_left() {
    let (_outside, root) = made();
    let names = files(&root);
    let keys: Vec<_> = names
        .iter()
        .filter(|name| name.ends_with(".key.pem"))
        .collect();
    assert_eq!(keys.len(), 4);
    for name in keys {
        let text = fs::read_to_string(root.join("keys").join(name)).unwrap();
        let key = PrivateKey::from_pem(&text).unwrap();
        assert_ne!(key.kind().unwrap(), KeyKind::P384, "{name}");
    }
}

#[test]
fn a_first_start_that_was_killed_goes_on() {
    let (_outside, whole) = made();
    for survivors in 0..=FILES.len() {
        let (_outside, root) = fresh();
        let data = DataDir::open(&root).unwrap();
        Birth::of(&data, &settings(), at(BORN)).unwrap();
        for file in &FILES[..survivors] {
            let bytes = fs::read(whole.join("keys").join(file)).unwrap();
            data.create(Part::Keys, file, &bytes).unwrap();
        }
        if let Some(next) = FILES.get(survivors) {
            let draft = format!(".{next}.draft");
            data.create(Part::Keys, &draft, b"half").unwrap();
        }
        drop(data);
        let keys = start(&root).unwrap();
        assert_eq!(public(&keys), public(&start(&root).unwrap()), "{survivors}");
        for file in &FILES[..survivors] {
            let kept = fs::read(root.join("keys").join(file)).unwrap();
            assert_eq!(
                kept,
                fs::read(whole.join("keys").join(file)).unwrap(),
                "{file}"
            );
        }
        assert_eq!(files(&root).len(), FILES.len() + 1, "drafts are gone");
    }
}

#[test]
fn key_missing() {
    let (_outside, root) = made();
    for file in FILES {
        let path = root.join("keys").join(file);
        fs::rename(&path, root.join("client.kept")).unwrap();
        let refused = start(&root).unwrap_err();
        let ProvisionError::Birth(BirthError::KeyMissing { file: missing }) = refused else {
            panic!("{file}: {refused}")
        };
        assert_eq!(missing, file);
        assert!(!path.exists(), "{file} was made anew");
        fs::rename(root.join("client.kept"), &path).unwrap();
    }
}

#[test]
fn key_changed() {
    let (_outside, root) = made();
    let other = provider().generate(SignatureAlgorithm::Ed25519).unwrap();
    fs::write(root.join("keys/log.key.pem"), other.to_pem().as_bytes()).unwrap();
    let refused = start(&root).unwrap_err();
    assert!(matches!(
        refused,
        ProvisionError::Birth(BirthError::KeyChanged {
            file: "log.key.pem"
        })
    ));
}

fn overwritten(file: &str, text: &[u8]) -> ProvisionError {
    let (_outside, root) = made();
    fs::write(root.join("keys").join(file), text).unwrap();
    start(&root).unwrap_err()
}

#[test]
fn key() {
    let refused = overwritten("log.key.pem", b"-----BEGIN PRIVATE KEY-----\n");
    assert!(matches!(
        refused,
        ProvisionError::Key {
            file: "log.key.pem",
            ..
        }
    ));
}

#[test]
fn damaged() {
    let refused = overwritten("broker.code.key", b"short");
    assert!(matches!(
        refused,
        ProvisionError::Damaged {
            file: "broker.code.key"
        }
    ));
    let refused = overwritten("ca.key.pem", b"\xff");
    assert!(matches!(
        refused,
        ProvisionError::Damaged { file: "ca.key.pem" }
    ));
}

#[test]
fn pem() {
    let refused = overwritten("ca.chain.pem", b"-----BEGIN CERTIFICATE-----\n");
    assert!(matches!(
        refused,
        ProvisionError::Pem {
            file: "ca.chain.pem",
            ..
        }
    ));
}

#[test]
fn certificate() {
    let text = waxseal_crypto::Pem::new("CERTIFICATE", b"x").encode();
    let refused = overwritten("ca.chain.pem", text.as_bytes());
    assert!(matches!(
        refused,
        ProvisionError::Certificate {
            file: "ca.chain.pem",
            ..
        }
    ));
}

#[test]
fn wrong_chain() {
    let (_outside, root) = made();
    let ours = fs::read_to_string(root.join("keys/ca.chain.pem")).unwrap();
    let (first, _) = ours.split_at(ours.rfind("-----BEGIN").unwrap());
    for text in [
        first.as_bytes().to_vec(),
        fs::read(root.join("keys/tsa.chain.pem")).unwrap(),
        waxseal_crypto::Pem::new("PUBLIC KEY", b"x")
            .encode()
            .into_bytes(),
    ] {
        let refused = overwritten("ca.chain.pem", &text);
        assert!(matches!(
            refused,
            ProvisionError::WrongChain {
                file: "ca.chain.pem"
            }
        ));
    }
}

struct NoRandom;

impl Random for NoRandom {
    fn fill(&self, _buffer: &mut [u8]) -> Result<(), RandomError> {
        Err(RandomError)
    }
}

#[test]
fn random() {
    let (_outside, root) = fresh();
    let refused = start_at(&root, at(BORN), &NoRandom);
    assert!(matches!(refused, Err(ProvisionError::Random(_))));
}

#[test]
fn clock() {
    let (_outside, root) = fresh();
    let first = Time::from_civil(1, 1, 1, 0, 0, 0).unwrap();
    let refused = start_at(&root, first, &OsRandom);
    assert!(matches!(refused, Err(ProvisionError::Clock { .. })));
}

#[test]
fn issue() {
    // No certificate ends after year 9999.
    let (_outside, root) = fresh();
    let late = Time::from_civil(9995, 1, 1, 0, 0, 0).unwrap();
    let refused = start_at(&root, late, &OsRandom);
    assert!(matches!(
        refused,
        Err(ProvisionError::Issue(IssueError::Validity))
    ));
}

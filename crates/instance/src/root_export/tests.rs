//! Root keys are exported once, encrypted, and open again with the passphrase only.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use pkcs8::EncryptedPrivateKeyInfoRef;
use waxseal_crypto::{SignatureAlgorithm, Time};
use waxseal_crypto_aws_lc::{OsRandom, provider};

use super::*;
use crate::{
    Birth, Config, DataDir, Flags, Keys, ProvisionError, provision, provision_exporting_roots,
};

const PASSPHRASE: &str = "correct horse battery";

fn passphrase(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

fn start(data: &Path, export: Option<&RootExport>) -> Result<Keys, ProvisionError> {
    let data = DataDir::open(data)?;
    let settings = Config::default().settle(Flags::default()).unwrap();
    let born = Time::from_unix(1_767_225_600).unwrap();
    let mut birth = Birth::of(&data, &settings, born)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        match export {
            None => provision(&data, &mut birth, provider(), &OsRandom).await,
            Some(export) => {
                provision_exporting_roots(&data, &mut birth, provider(), &OsRandom, export).await
            }
        }
    })
}

#[test]
fn exported_keys_are_those_of_the_roots() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roots.pem");
    let export = RootExport::new(&path, passphrase(PASSPHRASE)).unwrap();
    let keys = start(&folder.path().join("data"), Some(&export)).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    let blocks = Pem::parse_many(&text).unwrap();
    let labels: Vec<_> = blocks.iter().map(|block| block.label.as_str()).collect();
    let expected = ["ENCRYPTED PRIVATE KEY", "CERTIFICATE"].repeat(2);
    assert_eq!(labels, expected);
    for (pair, chain) in blocks.chunks(2).zip([&keys.ca_chain, &keys.tsa_chain]) {
        let root = chain.last().unwrap();
        assert_eq!(pair[1].der, root.der());
        let encrypted = EncryptedPrivateKeyInfoRef::try_from(pair[0].der.as_slice()).unwrap();
        assert!(encrypted.decrypt("another passphrase").is_err());
        let key = encrypted.decrypt(PASSPHRASE).unwrap();
        let key = PrivateKey::from_pkcs8_der(key.as_bytes().to_vec());
        let signer = provider()
            .signer(&key, SignatureAlgorithm::EcdsaP384Sha384)
            .unwrap();
        assert_eq!(signer.public_key(), root.public_key().unwrap());
    }
}

#[test]
fn passphrase_too_short() {
    let folder = tempfile::tempdir().unwrap();
    let made = |text| RootExport::new(&folder.path().join("roots.pem"), passphrase(text));
    let error = made("elevenchars").unwrap_err();
    assert!(matches!(
        error,
        RootExportError::PassphraseTooShort { length: 11 }
    ));
    assert!(made("twelve chars").is_ok());
}

#[test]
fn file_exists() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roots.pem");
    let export = RootExport::new(&path, passphrase(PASSPHRASE)).unwrap();
    fs::write(&path, "mine").unwrap();
    let again = RootExport::new(&path, passphrase(PASSPHRASE)).unwrap_err();
    assert!(matches!(again, RootExportError::FileExists { .. }));
    // Put there since: nothing is overwritten, and no chain is kept without its root's key.
    let data = folder.path().join("data");
    let started = start(&data, Some(&export)).unwrap_err();
    assert!(matches!(
        started,
        ProvisionError::RootExport(RootExportError::FileExists { .. })
    ));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    assert!(!data.join("keys/ca.chain.pem").exists());
    fs::remove_file(&path).unwrap();
    assert!(start(&data, Some(&export)).is_ok());
}

#[test]
fn roots_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    start(&data, None).unwrap();
    let path = folder.path().join("roots.pem");
    let export = RootExport::new(&path, passphrase(PASSPHRASE)).unwrap();
    let error = start(&data, Some(&export)).unwrap_err();
    assert!(matches!(
        error,
        ProvisionError::RootExport(RootExportError::RootsForgotten)
    ));
    assert!(!path.exists());
    assert!(start(&data, None).is_ok());
}

#[test]
fn not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no such folder/roots.pem");
    let export = RootExport::new(&path, passphrase(PASSPHRASE)).unwrap();
    assert!(matches!(
        export.write(&[]),
        Err(RootExportError::NotWritten { .. })
    ));
}

#[test]
fn encryption() {
    let folder = tempfile::tempdir().unwrap();
    let keys = start(&folder.path().join("data"), None).unwrap();
    let export = RootExport::new(&folder.path().join("r"), passphrase(PASSPHRASE)).unwrap();
    let broken = PrivateKey::from_pkcs8_der(b"no key".to_vec());
    let root = ExportedRoot {
        key: &broken,
        certificate: keys.ca_chain.last().unwrap(),
    };
    let written = export.write(&[root]);
    assert!(matches!(written, Err(RootExportError::Encryption(_))));
}

//! What a client is given: trusted root, signing config, both in one.

use waxseal_formats::{ClientTrustConfig, SigningConfig, TrustedRoot};
use waxseal_verify::Verifier;

use crate::virtual_sigstore::{Instance, provider};

pub(super) fn root_seeds() -> Vec<Vec<u8>> {
    let own = Instance::new("operator a", "a.example");
    vec![
        Instance::trusted_root(&[&own]).to_json().into_bytes(),
        TrustedRoot::public_good().to_json().into_bytes(),
    ]
}

pub(super) fn read_root(bytes: &[u8]) {
    let Ok(root) = TrustedRoot::from_json(bytes) else {
        return;
    };
    drop(Verifier::new(provider(), &root));
    let again = TrustedRoot::from_json(root.to_json().as_bytes());
    assert_eq!(again.as_ref(), Ok(&root), "a trusted root changed");
}

pub(super) fn config_seeds() -> Vec<Vec<u8>> {
    vec![SigningConfig::public_good().to_json().into_bytes()]
}

pub(super) fn read_config(bytes: &[u8]) {
    if let Ok(config) = SigningConfig::from_json(bytes) {
        let again = SigningConfig::from_json(config.to_json().as_bytes());
        assert_eq!(again.as_ref(), Ok(&config), "a signing config changed");
    }
    drop(ClientTrustConfig::from_json(bytes));
}

//! Fixed keys: RSA keys take their time, and tests shall not.

use waxseal_crypto::{PrivateKey, Time};
use waxseal_identity_server::{KeptKey, KeptRing, TokenAlgorithm};
use waxseal_instance::{BROKER_KEYS, DataDir, Part};

/// Every private key of an instance, as its first start would have made it. They are public: no
/// instance but a test's may have them.
const KEYS: [(&str, &str); 4] = [
    ("ca.key.pem", include_str!("../keys/ca.key.pem")),
    ("ct.key.pem", include_str!("../keys/ct.key.pem")),
    ("log.key.pem", include_str!("../keys/log.key.pem")),
    ("tsa.key.pem", include_str!("../keys/tsa.key.pem")),
];

/// The keys that sign identity tokens: the one that does, and the next.
const RING: [&str; 2] = [
    include_str!("../keys/broker.key.pem"),
    include_str!("../keys/broker-next.key.pem"),
];

/// Puts the keys where a first start that was killed would have left them.
pub(crate) fn put(data: &DataDir) {
    for (file, key) in KEYS {
        data.create(Part::Keys, file, key.as_bytes()).unwrap();
    }
}

/// Puts the broker's keys where it would have made them.
pub(crate) fn put_ring(data: &DataDir, now: Time) {
    let [current, next] = RING.map(|pem| {
        let key = PrivateKey::from_pem(pem).unwrap();
        KeptKey::new(key, TokenAlgorithm::Rs256, now)
    });
    let ring = KeptRing::new(current, next).encode();
    data.create(Part::Keys, BROKER_KEYS, &ring).unwrap();
}

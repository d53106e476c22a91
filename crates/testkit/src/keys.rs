//! Fixed keys: RSA keys take their time, and tests shall not.

use waxseal_instance::{DataDir, Part};

/// Every private key of an instance, as its first start would have made it. They are public: no
/// instance but a test's may have them.
const KEYS: [(&str, &str); 6] = [
    ("ca.key.pem", include_str!("../keys/ca.key.pem")),
    ("ct.key.pem", include_str!("../keys/ct.key.pem")),
    ("log.key.pem", include_str!("../keys/log.key.pem")),
    ("tsa.key.pem", include_str!("../keys/tsa.key.pem")),
    ("broker.key.pem", include_str!("../keys/broker.key.pem")),
    (
        "broker-next.key.pem",
        include_str!("../keys/broker-next.key.pem"),
    ),
];

/// Puts the keys where a first start that was killed would have left them.
pub(crate) fn put(data: &DataDir) {
    for (file, key) in KEYS {
        data.create(Part::Keys, file, key.as_bytes()).unwrap();
    }
}

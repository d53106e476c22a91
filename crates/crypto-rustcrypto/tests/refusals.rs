//! Every refusal, by name; the form of private keys; known answers.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use waxseal_crypto::{
    Digest, HashAlgorithm, Input, KeyKind, PrivateKey, PrivateKeyError, PublicKey, SignError,
    SignatureAlgorithm as Algorithm, SignatureError,
};
use waxseal_crypto_rustcrypto::provider;

const SIGNING: &[Algorithm] = &[
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EcdsaP521Sha512,
    Algorithm::Ed25519,
    Algorithm::Ed25519ph,
    Algorithm::MlDsa44,
    Algorithm::MlDsa65,
    Algorithm::MlDsa87,
];

fn malformed(key: Vec<u8>, algorithm: Algorithm) {
    let key = PrivateKey::from_pkcs8_der(key);
    assert_eq!(
        provider().signer(&key, algorithm).err(),
        Some(PrivateKeyError::Malformed { algorithm })
    );
}

#[test]
fn wrong_key_kind() {
    let key = provider().generate(Algorithm::EcdsaP256Sha256).unwrap();
    let signer = provider().signer(&key, Algorithm::EcdsaP256Sha256).unwrap();
    for other in [
        Algorithm::EcdsaP384Sha384,
        Algorithm::Ed25519,
        Algorithm::RsaPssSha256,
    ] {
        let prepared = provider().verifying_key(signer.public_key(), other).err();
        assert_eq!(prepared, Some(SignatureError::WrongKeyKind));
    }
}

#[test]
fn invalid_key() {
    let check = |key: PublicKey, algorithm| {
        let prepared = provider().verifying_key(&key, algorithm).err();
        assert_eq!(prepared, Some(SignatureError::InvalidKey), "{key:?}");
    };
    let bytes = |kind, bytes: &[u8]| PublicKey::from_key_bytes(kind, bytes).unwrap();
    for (kind, length, algorithm) in [
        (KeyKind::P256, 64, Algorithm::EcdsaP256Sha256),
        (KeyKind::P384, 96, Algorithm::EcdsaP384Sha384),
        (KeyKind::P521, 132, Algorithm::EcdsaP521Sha512),
    ] {
        let off_curve = [&[4][..], &vec![1; length]].concat();
        check(bytes(kind, &off_curve), algorithm);
    }
    for algorithm in [Algorithm::Ed25519, Algorithm::Ed25519ph] {
        let mut y = [0; 32];
        y[0] = 1; // the identity: of small order
        check(bytes(KeyKind::Ed25519, &y), algorithm);
        y[0] = 2; // no x belongs to it
        check(bytes(KeyKind::Ed25519, &y), algorithm);
        check(bytes(KeyKind::Ed25519, &[0xff; 32]), algorithm); // above the prime
    }
    let rsa = |length, exponent: &[u8]| {
        let key = PublicKey::from_rsa_components(&vec![0xff; length], exponent);
        check(key.unwrap(), Algorithm::RsaPkcs1Sha256);
    };
    rsa(255, &[1, 0, 1]);
    rsa(513, &[1, 0, 1]);
    rsa(256, &[3]);
}

#[test]
fn invalid() {
    let algorithm = Algorithm::EcdsaP256Sha256;
    let key = provider().generate(algorithm).unwrap();
    let signer = provider().signer(&key, algorithm).unwrap();
    let signature = signer.sign_now(Input::Message(b"one")).unwrap();
    let verify = |input, signature: &[u8]| {
        provider().verify(signer.public_key(), algorithm, input, signature)
    };
    assert_eq!(verify(Input::Message(b"one"), &signature), Ok(()));
    let refused = Err(SignatureError::Invalid);
    assert_eq!(verify(Input::Message(b"two"), &signature), refused);
    assert_eq!(verify(Input::Message(b"one"), b""), refused);
}

#[test]
fn wrong_prehash_and_needs_message() {
    let digest = Digest::of(HashAlgorithm::Sha512, b"one");
    for (algorithm, whole) in [
        (Algorithm::EcdsaP256Sha256, false),
        (Algorithm::Ed25519, true),
    ] {
        let key = provider().generate(algorithm).unwrap();
        let signer = provider().signer(&key, algorithm).unwrap();
        match signer.sign_now(Input::Prehash(&digest)) {
            Err(SignError::NeedsMessage { .. }) => assert!(whole),
            Err(SignError::WrongPrehash { .. }) => assert!(!whole),
            other => panic!("{other:?}"),
        }
        let input = Input::Prehash(&digest);
        let verdict = provider().verify(signer.public_key(), algorithm, input, &[0; 64]);
        assert_eq!(verdict, Err(SignatureError::WrongPrehash));
    }
}

#[test]
fn malformed_private_key() {
    for &algorithm in SIGNING {
        let key = provider().generate(algorithm).unwrap();
        let der = key.pkcs8_der();
        malformed(Vec::new(), algorithm);
        malformed(der[..der.len() - 1].to_vec(), algorithm);
        malformed([der, &[0]].concat(), algorithm);
        let other = match algorithm {
            Algorithm::EcdsaP256Sha256 => Algorithm::EcdsaP384Sha384,
            _ => Algorithm::EcdsaP256Sha256,
        };
        malformed(der.to_vec(), other);
    }
}

/// The halves of two keys in one: an Ed25519 signature made with a foreign public half gives the
/// private one away (RUSTSEC-2022-0093).
#[test]
fn k_01_a_private_key_with_a_foreign_public_half_is_refused() {
    let algorithm = Algorithm::Ed25519;
    let (key, stranger) = (
        provider().generate(algorithm).unwrap(),
        provider().generate(algorithm).unwrap(),
    );
    let seed = &key.pkcs8_der()[16..];
    let public = |key| {
        let signer = provider().signer(key, algorithm).unwrap();
        signer.public_key().key_bytes().to_vec()
    };
    let version_2 = |public: Vec<u8>| {
        let head = hex::decode("3051020101300506032b657004220420").unwrap();
        [&head[..], seed, &[0x81, 0x21, 0x00], &public].concat()
    };
    let good = PrivateKey::from_pkcs8_der(version_2(public(&key)));
    assert!(provider().signer(&good, algorithm).is_ok());
    malformed(version_2(public(&stranger)), algorithm);

    for algorithm in [
        Algorithm::EcdsaP256Sha256,
        Algorithm::EcdsaP384Sha384,
        Algorithm::EcdsaP521Sha512,
    ] {
        let key = provider().generate(algorithm).unwrap();
        let stranger = provider().generate(algorithm).unwrap();
        let public = |key| {
            let signer = provider().signer(key, algorithm).unwrap();
            signer.public_key().key_bytes().to_vec()
        };
        let (own, foreign) = (public(&key), public(&stranger));
        let der = key.pkcs8_der();
        let at = der
            .windows(own.len())
            .position(|window| window == own)
            .unwrap();
        malformed(
            [&der[..at], &foreign, &der[at + own.len()..]].concat(),
            algorithm,
        );
    }
}

/// The plainest form: version 1, no attributes; OpenSSL, Go and Python read it.
#[test]
fn private_keys_are_plain_pkcs8() {
    let check = |algorithm, head: &str, length: usize| {
        let key = provider().generate(algorithm).unwrap();
        let der = key.pkcs8_der();
        assert!(hex::encode(der).starts_with(head), "{algorithm:?}");
        assert_eq!(der.len(), length, "{algorithm:?}");
    };
    let ec = "020100301306072a8648ce3d020106";
    check(
        Algorithm::EcdsaP256Sha256,
        &format!("308187{ec}082a8648ce3d030107046d306b"),
        138,
    );
    check(
        Algorithm::EcdsaP384Sha384,
        "3081b6020100301006072a8648ce3d020106052b8104002204819e",
        185,
    );
    check(
        Algorithm::EcdsaP521Sha512,
        "3081ee020100301006072a8648ce3d020106052b810400230481d6",
        241,
    );
    check(Algorithm::Ed25519, "302e020100300506032b657004220420", 48);
    check(
        Algorithm::MlDsa44,
        "3034020100300b060960864801650304031104228020",
        54,
    );
    check(
        Algorithm::MlDsa65,
        "3034020100300b060960864801650304031204228020",
        54,
    );
    check(
        Algorithm::MlDsa87,
        "3034020100300b060960864801650304031304228020",
        54,
    );
}

/// RFC 8032 §7.3: the one vector of Ed25519ph, whose message is given here as its digest.
#[test]
fn ed25519ph_known_answer() {
    let algorithm = Algorithm::Ed25519ph;
    let seed = "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42";
    let der = hex::decode(format!("302e020100300506032b657004220420{seed}")).unwrap();
    let signer = provider()
        .signer(&PrivateKey::from_pkcs8_der(der), algorithm)
        .unwrap();
    let digest = Digest::of(HashAlgorithm::Sha512, b"abc");
    let signature = signer.sign_now(Input::Prehash(&digest)).unwrap();
    assert_eq!(
        hex::encode(signature),
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41\
         31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
    );
}

/// RUSTSEC-2023-0071: private operations of the `rsa` crate can be timed.
#[test]
fn k_03_unsupported() {
    for algorithm in [Algorithm::RsaPkcs1Sha256, Algorithm::RsaPssSha512] {
        let refusal = PrivateKeyError::Unsupported { algorithm };
        assert_eq!(provider().generate(algorithm).err(), Some(refusal.clone()));
        let key = PrivateKey::from_pkcs8_der(Vec::new());
        assert_eq!(provider().signer(&key, algorithm).err(), Some(refusal));
    }
}

/// Nonces are not drawn, so a broken generator does not give keys away: RFC 6979 §A.2.5, and the
/// message of CCTV's RFC6979 whose first candidate for the nonce is too large.
#[test]
fn ecdsa_known_answers() {
    let algorithm = Algorithm::EcdsaP256Sha256;
    let secret = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
    let der = hex::decode(format!(
        "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420{secret}"
    ));
    let key = PrivateKey::from_pkcs8_der(der.unwrap());
    let signer = provider().signer(&key, algorithm).unwrap();
    let check = |message: &[u8], expected: &str| {
        let signature = signer.sign_now(Input::Message(message)).unwrap();
        let fixed = waxseal_crypto::ecdsa_fixed_from_der(KeyKind::P256, &signature).unwrap();
        assert_eq!(hex::encode(fixed), expected);
    };
    check(
        b"sample",
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716\
         f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    );
    check(
        b"wv[vnX",
        "efd9073b652e76da1b5a019c0e4a2e3fa529b035a6abb91ef67f0ed7a1f21234\
         3db4706c9d9f4a4fe13bb5e08ef0fab53a57dbab2061c83a35fa411c68d2ba33",
    );
}

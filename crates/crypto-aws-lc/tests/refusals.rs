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
use waxseal_crypto_aws_lc::provider;

const SIGNING: &[Algorithm] = &[
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EcdsaP521Sha512,
    Algorithm::Ed25519,
    Algorithm::Ed25519ph,
    Algorithm::MlDsa44,
    Algorithm::MlDsa65,
    Algorithm::MlDsa87,
    Algorithm::RsaPkcs1Sha256,
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

#[test]
fn k_01_a_damaged_rsa_key_is_refused() {
    let algorithm = Algorithm::RsaPssSha256;
    let key = provider().generate(algorithm).unwrap();
    let der = key.pkcs8_der();
    assert!(der.starts_with(&hex::decode("308204").unwrap()));
    let signer = provider().signer(&key, algorithm).unwrap();
    let (modulus, _) = signer.public_key().rsa_components().unwrap();
    let at = der
        .windows(256)
        .position(|window| window == modulus)
        .unwrap();
    for offset in [at + 100, at + 256 + 100, der.len() - 300, der.len() - 10] {
        let mut damaged = der.to_vec();
        damaged[offset] ^= 1;
        malformed(damaged, algorithm);
    }
}

/// RUSTSEC-2021-0100: one vectorised path computed wrong digests of some lengths.
#[test]
fn k_06_sha2_agrees_with_a_second_implementation() {
    use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
    let data: Vec<u8> = (0..=250).cycle().take(1024).collect();
    for length in 0..=data.len() {
        for (ours, theirs) in [
            (HashAlgorithm::Sha256, &SHA256),
            (HashAlgorithm::Sha384, &SHA384),
            (HashAlgorithm::Sha512, &SHA512),
        ] {
            let data = &data[..length];
            assert_eq!(
                Digest::of(ours, data).as_bytes(),
                digest(theirs, data).as_ref()
            );
        }
    }
}

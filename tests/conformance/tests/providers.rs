//! The two providers are one: what either makes, the other opens, verifies and refuses.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use waxseal_crypto::{
    CryptoProvider, Digest, Input, LocalSigner, PrivateKey, PrivateKeyError, PublicKey, SignError,
    SignatureAlgorithm as Algorithm, SignatureError,
};

const ALGORITHMS: [Algorithm; 20] = [
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP256Sha384,
    Algorithm::EcdsaP256Sha512,
    Algorithm::EcdsaP384Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EcdsaP384Sha512,
    Algorithm::EcdsaP521Sha256,
    Algorithm::EcdsaP521Sha384,
    Algorithm::EcdsaP521Sha512,
    Algorithm::Ed25519,
    Algorithm::Ed25519ph,
    Algorithm::RsaPkcs1Sha256,
    Algorithm::RsaPkcs1Sha384,
    Algorithm::RsaPkcs1Sha512,
    Algorithm::RsaPssSha256,
    Algorithm::RsaPssSha384,
    Algorithm::RsaPssSha512,
    Algorithm::MlDsa44,
    Algorithm::MlDsa65,
    Algorithm::MlDsa87,
];

const MESSAGE: &[u8] = b"one message for all";

fn providers() -> [CryptoProvider; 2] {
    [
        waxseal_crypto_aws_lc::provider(),
        waxseal_crypto_rustcrypto::provider(),
    ]
}

fn main() -> ExitCode {
    let trials = ALGORITHMS.into_iter().flat_map(|algorithm| {
        providers().into_iter().map(move |maker| {
            let name = format!("{algorithm:?}, made by {}", maker.name());
            Trial::test(name, move || check(algorithm, maker))
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// Only the pure-Rust provider is without anything: it has no RSA private keys.
fn signs(provider: CryptoProvider, algorithm: Algorithm) -> bool {
    provider.name() == "aws-lc" || !format!("{algorithm:?}").starts_with("Rsa")
}

fn check(algorithm: Algorithm, maker: CryptoProvider) -> Result<(), Failed> {
    if !signs(maker, algorithm) {
        let refusal = PrivateKeyError::Unsupported { algorithm };
        assert_eq!(maker.generate(algorithm).unwrap_err(), refusal);
        let rsa = waxseal_crypto_aws_lc::provider()
            .generate(algorithm)
            .unwrap();
        assert_eq!(maker.signer(&rsa, algorithm).err(), Some(refusal));
        return Ok(());
    }
    let key = maker.generate(algorithm).unwrap();
    let stranger = maker.generate(algorithm).unwrap();
    let stranger = maker.signer(&stranger, algorithm).unwrap();
    let mut opened = 0;
    for signing in providers().into_iter().filter(|p| signs(*p, algorithm)) {
        let signer = open(signing, &key, algorithm)?;
        opened += 1;
        assert_eq!(signer.algorithm(), algorithm);
        for verifying in providers() {
            assert!(verifying.verifies(algorithm));
            accepts_what_is_signed(signer.as_ref(), verifying, stranger.public_key());
        }
        refuses_other_digests(signer.as_ref());
    }
    assert!(opened > 0);
    Ok(())
}

fn open(
    provider: CryptoProvider,
    key: &PrivateKey,
    algorithm: Algorithm,
) -> Result<Box<dyn LocalSigner>, Failed> {
    provider
        .signer(key, algorithm)
        .map_err(|error| format!("{provider:?} does not open the key: {error}").into())
}

fn accepts_what_is_signed(
    signer: &dyn LocalSigner,
    provider: CryptoProvider,
    stranger: &PublicKey,
) {
    let (key, algorithm) = (signer.public_key(), signer.algorithm());
    let digest = algorithm.prehash().map(|hash| Digest::of(hash, MESSAGE));
    let inputs = std::iter::once(Input::Message(MESSAGE))
        .chain(digest.iter().map(Input::Prehash))
        .collect::<Vec<_>>();
    for signed in &inputs {
        let mut signature = signer.sign_now(*signed).unwrap();
        let verify =
            |key, input, signature: &[u8]| provider.verify(key, algorithm, input, signature);
        for given in &inputs {
            assert_eq!(verify(key, *given, &signature), Ok(()));
            let prepared = provider.verifying_key(key, algorithm).unwrap();
            assert_eq!(prepared.verify(*given, &signature), Ok(()));
        }
        let refused = Err(SignatureError::Invalid);
        assert_eq!(verify(key, Input::Message(b"another"), &signature), refused);
        assert_eq!(verify(stranger, *signed, &signature), refused);
        assert_eq!(verify(key, *signed, &[]), refused);
        assert_eq!(
            verify(key, *signed, &signature[..signature.len() - 1]),
            refused
        );
        assert_eq!(
            verify(key, *signed, &[&signature[..], &[0]].concat()),
            refused
        );
        let last = signature.len() - 1;
        signature[last] ^= 1;
        assert_eq!(verify(key, *signed, &signature), refused);
    }
}

/// `needs_message` and `wrong_prehash`, on both sides.
fn refuses_other_digests(signer: &dyn LocalSigner) {
    let algorithm = signer.algorithm();
    for digest in [
        Digest::of(waxseal_crypto::HashAlgorithm::Sha256, MESSAGE),
        Digest::of(waxseal_crypto::HashAlgorithm::Sha384, MESSAGE),
        Digest::of(waxseal_crypto::HashAlgorithm::Sha512, MESSAGE),
    ] {
        let refusal = signer.sign_now(Input::Prehash(&digest)).err();
        match algorithm.prehash() {
            Some(hash) if hash == digest.algorithm() => {
                assert!(refusal.is_none());
                continue;
            }
            Some(_) => assert!(matches!(refusal, Some(SignError::WrongPrehash { .. }))),
            None => assert!(matches!(refusal, Some(SignError::NeedsMessage { .. }))),
        }
        for provider in providers() {
            let verdict = provider.verify(
                signer.public_key(),
                algorithm,
                Input::Prehash(&digest),
                &[0; 64],
            );
            assert_eq!(verdict, Err(SignatureError::WrongPrehash));
        }
    }
}

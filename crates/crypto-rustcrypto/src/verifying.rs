//! Public keys, parsed once.

use std::marker::PhantomData;

use ml_dsa::{EncodedVerifyingKey, MlDsa44, MlDsa65, MlDsa87, MlDsaParams};
use rsa::{BoxedUint, pkcs1v15, pss};
use sha2::{Sha256, Sha384, Sha512};
use signature::Verifier;
use signature::hazmat::PrehashVerifier;
use waxseal_crypto::{
    CryptoProvider, Input, PublicKey, SignatureAlgorithm, SignatureError, VerifyingKey,
};

use crate::ed25519::EdwardsKey;

type Prepared = Result<Box<dyn VerifyingKey>, SignatureError>;

/// Whether signatures of this algorithm can be checked.
pub(crate) fn is_supported(algorithm: SignatureAlgorithm) -> bool {
    parser(algorithm).is_some()
}

/// Checks and parses a key.
pub(crate) fn prepare(key: &PublicKey, algorithm: SignatureAlgorithm) -> Prepared {
    let parse = parser(algorithm).ok_or(SignatureError::UnsupportedAlgorithm(algorithm))?;
    CryptoProvider::check_key(key, algorithm)?;
    parse(key, algorithm)
}

fn parser(algorithm: SignatureAlgorithm) -> Option<fn(&PublicKey, SignatureAlgorithm) -> Prepared> {
    Some(match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256
        | SignatureAlgorithm::EcdsaP256Sha384
        | SignatureAlgorithm::EcdsaP256Sha512 => p256_key,
        SignatureAlgorithm::EcdsaP384Sha256
        | SignatureAlgorithm::EcdsaP384Sha384
        | SignatureAlgorithm::EcdsaP384Sha512 => p384_key,
        SignatureAlgorithm::EcdsaP521Sha256
        | SignatureAlgorithm::EcdsaP521Sha384
        | SignatureAlgorithm::EcdsaP521Sha512 => p521_key,
        SignatureAlgorithm::Ed25519 | SignatureAlgorithm::Ed25519ph => edwards_key,
        SignatureAlgorithm::RsaPkcs1Sha256 => pkcs1_key::<Sha256>,
        SignatureAlgorithm::RsaPkcs1Sha384 => pkcs1_key::<Sha384>,
        SignatureAlgorithm::RsaPkcs1Sha512 => pkcs1_key::<Sha512>,
        SignatureAlgorithm::RsaPssSha256 => pss_key::<Sha256>,
        SignatureAlgorithm::RsaPssSha384 => pss_key::<Sha384>,
        SignatureAlgorithm::RsaPssSha512 => pss_key::<Sha512>,
        SignatureAlgorithm::MlDsa44 => ml_dsa_key::<MlDsa44>,
        SignatureAlgorithm::MlDsa65 => ml_dsa_key::<MlDsa65>,
        SignatureAlgorithm::MlDsa87 => ml_dsa_key::<MlDsa87>,
        _ => return None,
    })
}

fn p256_key(key: &PublicKey, algorithm: SignatureAlgorithm) -> Prepared {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key.key_bytes());
    of_digests::<_, p256::ecdsa::DerSignature>(key, algorithm)
}

fn p384_key(key: &PublicKey, algorithm: SignatureAlgorithm) -> Prepared {
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key.key_bytes());
    of_digests::<_, p384::ecdsa::DerSignature>(key, algorithm)
}

fn p521_key(key: &PublicKey, algorithm: SignatureAlgorithm) -> Prepared {
    let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(key.key_bytes());
    of_digests::<_, p521::ecdsa::DerSignature>(key, algorithm)
}

fn edwards_key(key: &PublicKey, algorithm: SignatureAlgorithm) -> Prepared {
    Ok(Box::new(EdwardsKey::new(key, algorithm)?))
}

fn pkcs1_key<D>(key: &PublicKey, algorithm: SignatureAlgorithm) -> Prepared
where
    D: sha2::digest::Digest + sha2::digest::const_oid::AssociatedOid + Send + Sync + 'static,
{
    let key = rsa_key(key).map(pkcs1v15::VerifyingKey::<D>::new);
    of_digests::<_, pkcs1v15::Signature>(key, algorithm)
}

fn pss_key<D>(key: &PublicKey, algorithm: SignatureAlgorithm) -> Prepared
where
    D: sha2::digest::Digest + sha2::digest::FixedOutputReset + Send + Sync + 'static,
{
    let key = rsa_key(key).map(pss::VerifyingKey::<D>::new);
    of_digests::<_, pss::Signature>(key, algorithm)
}

fn rsa_key(key: &PublicKey) -> Result<rsa::PublicKey, SignatureError> {
    let (modulus, exponent) = key.rsa_components().ok_or(SignatureError::WrongKeyKind)?;
    rsa::PublicKey::new(
        BoxedUint::from_be_slice_vartime(modulus),
        BoxedUint::from_be_slice_vartime(exponent),
    )
    .map_err(|_| SignatureError::InvalidKey)
}

fn ml_dsa_key<P: MlDsaParams + Send + Sync + 'static>(
    key: &PublicKey,
    algorithm: SignatureAlgorithm,
) -> Prepared {
    let encoded = EncodedVerifyingKey::<P>::try_from(key.key_bytes())
        .map_err(|_| SignatureError::InvalidKey)?;
    Ok(Box::new(OfMessages {
        key: ml_dsa::VerifyingKey::<P>::decode(&encoded),
        algorithm,
        signature: PhantomData::<fn() -> ml_dsa::Signature<P>>,
    }))
}

fn of_digests<K, S>(
    key: Result<K, impl std::error::Error>,
    algorithm: SignatureAlgorithm,
) -> Prepared
where
    K: PrehashVerifier<S> + Send + Sync + 'static,
    S: for<'a> TryFrom<&'a [u8]> + 'static,
{
    Ok(Box::new(OfDigests {
        key: key.map_err(|_| SignatureError::InvalidKey)?,
        algorithm,
        signature: PhantomData::<fn() -> S>,
    }))
}

/// A key whose algorithm signs digests.
struct OfDigests<K, S> {
    key: K,
    algorithm: SignatureAlgorithm,
    signature: PhantomData<fn() -> S>,
}

impl<K, S> VerifyingKey for OfDigests<K, S>
where
    K: PrehashVerifier<S> + Send + Sync,
    S: for<'a> TryFrom<&'a [u8]>,
{
    fn verify(&self, input: Input<'_>, signature: &[u8]) -> Result<(), SignatureError> {
        let digest = input
            .digest(self.algorithm)
            .map_err(|_| SignatureError::WrongPrehash)?;
        let signature = S::try_from(signature).map_err(|_| SignatureError::Invalid)?;
        self.key
            .verify_prehash(digest.as_bytes(), &signature)
            .map_err(|_| SignatureError::Invalid)
    }
}

/// A key whose algorithm signs whole messages.
struct OfMessages<K, S> {
    key: K,
    algorithm: SignatureAlgorithm,
    signature: PhantomData<fn() -> S>,
}

impl<K, S> VerifyingKey for OfMessages<K, S>
where
    K: Verifier<S> + Send + Sync,
    S: for<'a> TryFrom<&'a [u8]>,
{
    fn verify(&self, input: Input<'_>, signature: &[u8]) -> Result<(), SignatureError> {
        let message = input
            .message(self.algorithm)
            .map_err(|_| SignatureError::WrongPrehash)?;
        let signature = S::try_from(signature).map_err(|_| SignatureError::Invalid)?;
        self.key
            .verify(message, &signature)
            .map_err(|_| SignatureError::Invalid)
    }
}

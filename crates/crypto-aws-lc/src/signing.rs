//! Private keys: made, opened, and signed with.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, ML_DSA_44_SIGNING,
    ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair, PqdsaSigningAlgorithm, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding, RsaKeyPair,
};
use waxseal_crypto::{
    BoxFuture, CryptoProvider, Digest, HashAlgorithm, Input, KeyKind, LocalSigner, PrivateKey,
    PrivateKeyError, PublicKey, RandomError, SignError, SignatureAlgorithm, Signer,
};

use crate::ed25519ph;
use crate::verifying::import;

/// Makes a key, in the plainest PKCS#8 (version 1, no attributes), which other tools read.
pub(crate) fn generate(algorithm: SignatureAlgorithm) -> Result<PrivateKey, PrivateKeyError> {
    let made = match algorithm.key_kind() {
        kind @ (KeyKind::P256 | KeyKind::P384 | KeyKind::P521) => {
            let curve = curve(kind).ok_or(PrivateKeyError::Unsupported { algorithm })?;
            EcdsaKeyPair::generate(curve.algorithm)
                .and_then(|pair| pair.to_pkcs8v1())
                .map(|document| document.as_ref().to_vec())
        }
        KeyKind::Ed25519 => Ed25519KeyPair::generate()
            .and_then(|pair| pair.to_pkcs8v1())
            .map(|document| document.as_ref().to_vec()),
        KeyKind::Rsa => RsaKeyPair::generate(KeySize::Rsa2048)
            .and_then(|pair| pair.as_der())
            .map(|document: Pkcs8V1Der<'_>| document.as_ref().to_vec()),
        kind => {
            let parameters =
                ml_dsa_parameters(kind).ok_or(PrivateKeyError::Unsupported { algorithm })?;
            PqdsaKeyPair::generate(parameters)
                .and_then(|pair| pair.to_pkcs8v1())
                .map(|document| document.as_ref().to_vec())
        }
    };
    made.map(PrivateKey::from_pkcs8_der)
        .map_err(|_| PrivateKeyError::Random(RandomError))
}

/// Opens a key; AWS-LC checks that its halves belong together (K-01: a foreign public half makes
/// an Ed25519 signature give the private key away).
pub(crate) fn open(
    key: &PrivateKey,
    algorithm: SignatureAlgorithm,
) -> Result<Box<dyn LocalSigner>, PrivateKeyError> {
    let malformed = PrivateKeyError::Malformed { algorithm };
    // AWS-LC reads past bytes that follow the envelope.
    if key.kind() != Ok(algorithm.key_kind()) {
        return Err(malformed);
    }
    let pair = Pair::open(key.pkcs8_der(), algorithm)?;
    let public = PublicKey::from_key_bytes(algorithm.key_kind(), pair.public_bytes())
        .map_err(|_| malformed.clone())?;
    CryptoProvider::check_key(&public, algorithm).map_err(|_| malformed)?;
    Ok(Box::new(LocalKey {
        algorithm,
        public,
        pair,
    }))
}

struct LocalKey {
    algorithm: SignatureAlgorithm,
    public: PublicKey,
    pair: Pair,
}

enum Pair {
    Ecdsa(EcdsaKeyPair, Curve),
    Ed25519(Ed25519KeyPair),
    Ed25519ph(ed25519_dalek::SigningKey, [u8; 32]),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    MlDsa(PqdsaKeyPair),
}

impl Pair {
    fn open(pkcs8: &[u8], algorithm: SignatureAlgorithm) -> Result<Self, PrivateKeyError> {
        let malformed = |_| PrivateKeyError::Malformed { algorithm };
        let unsupported = PrivateKeyError::Unsupported { algorithm };
        match algorithm.key_kind() {
            kind @ (KeyKind::P256 | KeyKind::P384 | KeyKind::P521) => {
                let curve = curve(kind).ok_or(unsupported)?;
                EcdsaKeyPair::from_pkcs8(curve.algorithm, pkcs8)
                    .map(|pair| Self::Ecdsa(pair, curve))
                    .map_err(malformed)
            }
            KeyKind::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(malformed)?;
                match algorithm {
                    SignatureAlgorithm::Ed25519 => Ok(Self::Ed25519(pair)),
                    SignatureAlgorithm::Ed25519ph => {
                        dalek_key(&pair).ok_or(PrivateKeyError::Malformed { algorithm })
                    }
                    _ => Err(unsupported),
                }
            }
            KeyKind::Rsa => {
                let encoding = rsa_encoding(algorithm).ok_or(unsupported)?;
                RsaKeyPair::from_pkcs8(pkcs8)
                    .map(|pair| Self::Rsa(pair, encoding))
                    .map_err(malformed)
            }
            kind => {
                let parameters = ml_dsa_parameters(kind).ok_or(unsupported)?;
                PqdsaKeyPair::from_pkcs8(parameters, pkcs8)
                    .map(Self::MlDsa)
                    .map_err(malformed)
            }
        }
    }

    fn public_bytes(&self) -> &[u8] {
        match self {
            Self::Ecdsa(pair, _) => pair.public_key().as_ref(),
            Self::Ed25519(pair) => pair.public_key().as_ref(),
            Self::Ed25519ph(_, public) => public,
            Self::Rsa(pair, _) => pair.public_key().as_ref(),
            Self::MlDsa(pair) => pair.public_key().as_ref(),
        }
    }
}

fn dalek_key(pair: &Ed25519KeyPair) -> Option<Pair> {
    use aws_lc_rs::encoding::AsBigEndian as _;
    let seed = pair.seed().and_then(|seed| seed.as_be_bytes()).ok()?;
    let key = ed25519_dalek::SigningKey::try_from(seed.as_ref()).ok()?;
    let public = key.verifying_key().to_bytes();
    Some(Pair::Ed25519ph(key, public))
}

impl LocalSigner for LocalKey {
    fn sign_now(&self, input: Input<'_>) -> Result<Vec<u8>, SignError> {
        let failed = |_: Unspecified| SignError::Failed(Box::new(Unspecified));
        match &self.pair {
            Pair::Ecdsa(pair, curve) => {
                let digest = input.digest(self.algorithm)?;
                let digest = curve.fit(&digest).and_then(|digest| import(&digest));
                digest
                    .and_then(|digest| pair.sign_digest(&digest))
                    .map(|signature| signature.as_ref().to_vec())
                    .map_err(failed)
            }
            Pair::Ed25519(pair) => pair
                .try_sign(input.message(self.algorithm)?)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(failed),
            Pair::Ed25519ph(key, _) => ed25519ph::sign(key, &input.digest(self.algorithm)?)
                .map_err(|error| SignError::Failed(Box::new(error))),
            Pair::Rsa(pair, encoding) => {
                let digest = import(&input.digest(self.algorithm)?).map_err(failed)?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(*encoding, &digest, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            Pair::MlDsa(pair) => {
                let message = input.message(self.algorithm)?;
                let mut signature = vec![0; pair.algorithm().signature_len()];
                pair.sign(message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }
}

impl Signer for LocalKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn sign<'a>(&'a self, input: Input<'a>) -> BoxFuture<'a, Result<Vec<u8>, SignError>> {
        Box::pin(std::future::ready(self.sign_now(input)))
    }
}

impl fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalKey({:?}, {:?})", self.algorithm, self.public)
    }
}

/// AWS-LC signs with each curve only over the hash that is paired with it.
#[derive(Clone, Copy)]
struct Curve {
    algorithm: &'static EcdsaSigningAlgorithm,
    hash: HashAlgorithm,
}

impl Curve {
    /// Puts a digest into the length of the curve's own hash without changing the signature: ECDSA
    /// reads a digest as a number, of its leftmost bits if it is longer than the order of the curve
    /// (FIPS 186-5 §6.4.1), so a short one is padded with zeros in front and a long one is cut.
    fn fit(&self, digest: &Digest) -> Result<Digest, Unspecified> {
        let (length, bytes) = (self.hash.len(), digest.as_bytes());
        let mut fitted = vec![0; length.saturating_sub(bytes.len())];
        fitted.extend(bytes.iter().take(length));
        Digest::new(self.hash, &fitted).map_err(|_| Unspecified)
    }
}

fn curve(kind: KeyKind) -> Option<Curve> {
    let (algorithm, hash) = match kind {
        KeyKind::P256 => (&ECDSA_P256_SHA256_ASN1_SIGNING, HashAlgorithm::Sha256),
        KeyKind::P384 => (&ECDSA_P384_SHA384_ASN1_SIGNING, HashAlgorithm::Sha384),
        KeyKind::P521 => (&ECDSA_P521_SHA512_ASN1_SIGNING, HashAlgorithm::Sha512),
        _ => return None,
    };
    Some(Curve { algorithm, hash })
}

fn rsa_encoding(algorithm: SignatureAlgorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        SignatureAlgorithm::RsaPkcs1Sha256 => &RSA_PKCS1_SHA256,
        SignatureAlgorithm::RsaPkcs1Sha384 => &RSA_PKCS1_SHA384,
        SignatureAlgorithm::RsaPkcs1Sha512 => &RSA_PKCS1_SHA512,
        SignatureAlgorithm::RsaPssSha256 => &RSA_PSS_SHA256,
        SignatureAlgorithm::RsaPssSha384 => &RSA_PSS_SHA384,
        SignatureAlgorithm::RsaPssSha512 => &RSA_PSS_SHA512,
        _ => return None,
    })
}

fn ml_dsa_parameters(kind: KeyKind) -> Option<&'static PqdsaSigningAlgorithm> {
    Some(match kind {
        KeyKind::MlDsa44 => &ML_DSA_44_SIGNING,
        KeyKind::MlDsa65 => &ML_DSA_65_SIGNING,
        KeyKind::MlDsa87 => &ML_DSA_87_SIGNING,
        _ => return None,
    })
}

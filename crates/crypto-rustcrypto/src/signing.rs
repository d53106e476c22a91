//! Private keys: made, opened, and signed with.

use ed25519_dalek::pkcs8::KeypairBytes;
use ml_dsa::{MlDsa44, MlDsa65, MlDsa87, MlDsaParams};
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey as _};
use signature::hazmat::PrehashSigner;
use signature::{SignatureEncoding, Signer as _};
use waxseal_crypto::{
    BoxFuture, CryptoProvider, Input, KeyKind, LocalSigner, PrivateKey, PrivateKeyError, PublicKey,
    RandomError, SignError, SignatureAlgorithm, Signer,
};
use zeroize::Zeroizing;

use crate::ed25519;

/// Makes a key, in the plainest PKCS#8 (version 1, no attributes), which other tools read.
pub(crate) fn generate(algorithm: SignatureAlgorithm) -> Result<PrivateKey, PrivateKeyError> {
    let document = match algorithm.key_kind() {
        KeyKind::P256 => {
            draw(|secret: &[u8; 32]| p256::SecretKey::from_slice(secret).ok())?.to_pkcs8_der()
        }
        KeyKind::P384 => {
            draw(|secret: &[u8; 48]| p384::SecretKey::from_slice(secret).ok())?.to_pkcs8_der()
        }
        KeyKind::P521 => draw(|secret: &[u8; 66]| {
            let mut secret = Zeroizing::new(*secret);
            if let Some(first) = secret.first_mut() {
                *first &= 1; // 521 bits
            }
            p521::SecretKey::from_slice(secret.as_slice()).ok()
        })?
        .to_pkcs8_der(),
        KeyKind::Ed25519 => draw(|secret: &[u8; 32]| {
            Some(KeypairBytes {
                secret_key: *secret,
                public_key: None, // version 1: OpenSSL does not read version 2
            })
        })?
        .to_pkcs8_der(),
        KeyKind::MlDsa44 => ml_dsa_pair::<MlDsa44>()?.to_pkcs8_der(),
        KeyKind::MlDsa65 => ml_dsa_pair::<MlDsa65>()?.to_pkcs8_der(),
        KeyKind::MlDsa87 => ml_dsa_pair::<MlDsa87>()?.to_pkcs8_der(),
        _ => return Err(PrivateKeyError::Unsupported { algorithm }),
    };
    document
        .map(|document| PrivateKey::from_pkcs8_der(document.as_bytes().to_vec()))
        .map_err(|_| PrivateKeyError::Malformed { algorithm })
}

/// Opens a key; each crate checks that its halves belong together (K-01: a foreign public half
/// makes an Ed25519 signature give the private key away).
pub(crate) fn open(
    key: &PrivateKey,
    algorithm: SignatureAlgorithm,
) -> Result<Box<dyn LocalSigner>, PrivateKeyError> {
    let pkcs8 = key.pkcs8_der();
    match algorithm.key_kind() {
        KeyKind::P256 => {
            let pair: p256::ecdsa::SigningKey = parse(pkcs8, algorithm)?;
            let point = pair.verifying_key().to_sec1_point(false);
            of_digests::<_, p256::ecdsa::DerSignature>(pair, point.as_bytes(), algorithm)
        }
        KeyKind::P384 => {
            let pair: p384::ecdsa::SigningKey = parse(pkcs8, algorithm)?;
            let point = pair.verifying_key().to_sec1_point(false);
            of_digests::<_, p384::ecdsa::DerSignature>(pair, point.as_bytes(), algorithm)
        }
        KeyKind::P521 => {
            let pair: p521::ecdsa::SigningKey = parse(pkcs8, algorithm)?;
            let point = pair.verifying_key().to_sec1_point(false);
            of_digests::<_, p521::ecdsa::DerSignature>(pair, point.as_bytes(), algorithm)
        }
        KeyKind::Ed25519 => {
            let key: ed25519_dalek::SigningKey = parse(pkcs8, algorithm)?;
            let public = key.verifying_key().to_bytes();
            LocalKey::boxed(&public, algorithm, move |input| {
                ed25519::sign(&key, algorithm, input)
            })
        }
        KeyKind::MlDsa44 => open_ml_dsa::<MlDsa44>(pkcs8, algorithm),
        KeyKind::MlDsa65 => open_ml_dsa::<MlDsa65>(pkcs8, algorithm),
        KeyKind::MlDsa87 => open_ml_dsa::<MlDsa87>(pkcs8, algorithm),
        _ => Err(PrivateKeyError::Unsupported { algorithm }),
    }
}

/// Draws random bytes until they are a key: at once, or after a scalar out of range, which for
/// P-256 happens once in four billion times.
fn draw<const N: usize, K>(make: impl Fn(&[u8; N]) -> Option<K>) -> Result<K, PrivateKeyError> {
    let mut secret = Zeroizing::new([0; N]);
    loop {
        getrandom::fill(secret.as_mut_slice()).map_err(|_| RandomError)?;
        if let Some(key) = make(&secret) {
            return Ok(key);
        }
    }
}

fn ml_dsa_pair<P: MlDsaParams>() -> Result<ml_dsa::SigningKey<P>, PrivateKeyError> {
    draw(|seed: &[u8; 32]| Some(ml_dsa::SigningKey::from_seed(&(*seed).into())))
}

fn open_ml_dsa<P>(
    pkcs8: &[u8],
    algorithm: SignatureAlgorithm,
) -> Result<Box<dyn LocalSigner>, PrivateKeyError>
where
    P: MlDsaParams + Send + Sync + 'static,
    ml_dsa::SigningKey<P>: DecodePrivateKey,
{
    let key: ml_dsa::SigningKey<P> = parse(pkcs8, algorithm)?;
    let encoded = key.expanded_key().verifying_key().encode();
    LocalKey::boxed(&encoded, algorithm, move |input| {
        let signature = key.try_sign(input.message(algorithm)?);
        Ok(signature.map_err(failed)?.to_vec())
    })
}

fn parse<K: DecodePrivateKey>(
    pkcs8: &[u8],
    algorithm: SignatureAlgorithm,
) -> Result<K, PrivateKeyError> {
    K::from_pkcs8_der(pkcs8).map_err(|_| PrivateKeyError::Malformed { algorithm })
}

fn of_digests<K, S>(
    key: K,
    public: &[u8],
    algorithm: SignatureAlgorithm,
) -> Result<Box<dyn LocalSigner>, PrivateKeyError>
where
    K: PrehashSigner<S> + Send + Sync + 'static,
    S: SignatureEncoding,
{
    LocalKey::boxed(public, algorithm, move |input| {
        let signature = key.sign_prehash(input.digest(algorithm)?.as_bytes());
        Ok(signature.map_err(failed)?.to_vec())
    })
}

fn failed(error: signature::Error) -> SignError {
    SignError::Failed(Box::new(error))
}

type Sign = dyn Fn(Input<'_>) -> Result<Vec<u8>, SignError> + Send + Sync;

/// An open key: its public half, and what signs with the other.
struct LocalKey {
    public: PublicKey,
    algorithm: SignatureAlgorithm,
    sign: Box<Sign>,
}

impl LocalKey {
    fn boxed(
        public: &[u8],
        algorithm: SignatureAlgorithm,
        sign: impl Fn(Input<'_>) -> Result<Vec<u8>, SignError> + Send + Sync + 'static,
    ) -> Result<Box<dyn LocalSigner>, PrivateKeyError> {
        let malformed = PrivateKeyError::Malformed { algorithm };
        let public = PublicKey::from_key_bytes(algorithm.key_kind(), public)
            .map_err(|_| malformed.clone())?;
        CryptoProvider::check_key(&public, algorithm).map_err(|_| malformed)?;
        let sign = Box::new(sign);
        Ok(Box::new(Self {
            public,
            algorithm,
            sign,
        }))
    }
}

impl LocalSigner for LocalKey {
    fn sign_now(&self, input: Input<'_>) -> Result<Vec<u8>, SignError> {
        (self.sign)(input)
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

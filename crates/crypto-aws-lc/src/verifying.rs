//! Public keys, parsed once into AWS-LC's own form.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, ML_DSA_44, ML_DSA_65, ML_DSA_87, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    VerificationAlgorithm,
};
use waxseal_crypto::{
    CryptoProvider, Digest, HashAlgorithm, Input, PublicKey, SignatureAlgorithm, SignatureError,
    VerifyingKey, is_strict_ed25519_point,
};

use crate::ed25519ph;

/// Whether signatures of this algorithm can be checked.
pub(crate) fn is_supported(algorithm: SignatureAlgorithm) -> bool {
    algorithm == SignatureAlgorithm::Ed25519ph || verification_algorithm(algorithm).is_some()
}

/// Checks and parses a key.
pub(crate) fn prepare(
    key: &PublicKey,
    algorithm: SignatureAlgorithm,
) -> Result<Box<dyn VerifyingKey>, SignatureError> {
    if !is_supported(algorithm) {
        return Err(SignatureError::UnsupportedAlgorithm(algorithm));
    }
    CryptoProvider::check_key(key, algorithm)?;
    let parse = |with: &'static dyn VerificationAlgorithm| {
        ParsedPublicKey::new(with, key.key_bytes()).map_err(|_| SignatureError::InvalidKey)
    };
    match (algorithm, verification_algorithm(algorithm)) {
        (SignatureAlgorithm::Ed25519, _) => {
            // AWS-LC parses any 32 bytes and fails at the first signature; dalek tells now whether
            // the point is on the curve.
            edwards_key(key)?;
            Ok(Box::new(Ed25519Key(parse(&ED25519)?)))
        }
        (SignatureAlgorithm::Ed25519ph, _) => Ok(Box::new(Ed25519phKey(edwards_key(key)?))),
        (_, Some(with)) => Ok(Box::new(Key {
            algorithm,
            parsed: parse(with)?,
        })),
        (_, None) => Err(SignatureError::UnsupportedAlgorithm(algorithm)),
    }
}

fn edwards_key(key: &PublicKey) -> Result<ed25519_dalek::VerifyingKey, SignatureError> {
    ed25519_dalek::VerifyingKey::try_from(key.key_bytes()).map_err(|_| SignatureError::InvalidKey)
}

struct Key {
    algorithm: SignatureAlgorithm,
    parsed: ParsedPublicKey,
}

impl VerifyingKey for Key {
    fn verify(&self, input: Input<'_>, signature: &[u8]) -> Result<(), SignatureError> {
        CryptoProvider::check_input(self.algorithm, input)?;
        match input {
            Input::Message(message) => self.parsed.verify_sig(message, signature),
            Input::Prehash(digest) => {
                import(digest).and_then(|digest| self.parsed.verify_digest_sig(&digest, signature))
            }
            _ => return Err(SignatureError::WrongPrehash),
        }
        .map_err(|_| SignatureError::Invalid)
    }
}

struct Ed25519Key(ParsedPublicKey);

impl VerifyingKey for Ed25519Key {
    fn verify(&self, input: Input<'_>, signature: &[u8]) -> Result<(), SignatureError> {
        let Input::Message(message) = input else {
            return Err(SignatureError::WrongPrehash);
        };
        // AWS-LC compares R as bytes, so a non-canonical one never fits; it accepts small order.
        let r = signature.get(..32).ok_or(SignatureError::Invalid)?;
        if !is_strict_ed25519_point(r) {
            return Err(SignatureError::Invalid);
        }
        self.0
            .verify_sig(message, signature)
            .map_err(|_| SignatureError::Invalid)
    }
}

struct Ed25519phKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey for Ed25519phKey {
    fn verify(&self, input: Input<'_>, signature: &[u8]) -> Result<(), SignatureError> {
        let digest = input
            .digest(SignatureAlgorithm::Ed25519ph)
            .map_err(|_| SignatureError::WrongPrehash)?;
        ed25519ph::verify(&self.0, &digest, signature)
    }
}

/// Turns our digest into AWS-LC's.
pub(crate) fn import(
    digest: &Digest,
) -> Result<aws_lc_rs::digest::Digest, aws_lc_rs::error::Unspecified> {
    use aws_lc_rs::digest::{Digest as Imported, SHA256, SHA384, SHA512};
    let algorithm = match digest.algorithm() {
        HashAlgorithm::Sha256 => &SHA256,
        HashAlgorithm::Sha384 => &SHA384,
        HashAlgorithm::Sha512 => &SHA512,
        _ => return Err(aws_lc_rs::error::Unspecified),
    };
    Imported::import_less_safe(digest.as_bytes(), algorithm)
}

/// AWS-LC's name; PSS salts are as long as the hash.
fn verification_algorithm(
    algorithm: SignatureAlgorithm,
) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
        SignatureAlgorithm::EcdsaP256Sha384 => &ECDSA_P256_SHA384_ASN1,
        SignatureAlgorithm::EcdsaP256Sha512 => &ECDSA_P256_SHA512_ASN1,
        SignatureAlgorithm::EcdsaP384Sha256 => &ECDSA_P384_SHA256_ASN1,
        SignatureAlgorithm::EcdsaP384Sha384 => &ECDSA_P384_SHA384_ASN1,
        SignatureAlgorithm::EcdsaP384Sha512 => &ECDSA_P384_SHA512_ASN1,
        SignatureAlgorithm::EcdsaP521Sha256 => &ECDSA_P521_SHA256_ASN1,
        SignatureAlgorithm::EcdsaP521Sha384 => &ECDSA_P521_SHA384_ASN1,
        SignatureAlgorithm::EcdsaP521Sha512 => &ECDSA_P521_SHA512_ASN1,
        SignatureAlgorithm::Ed25519 => &ED25519,
        SignatureAlgorithm::RsaPkcs1Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        SignatureAlgorithm::RsaPkcs1Sha384 => &RSA_PKCS1_2048_8192_SHA384,
        SignatureAlgorithm::RsaPkcs1Sha512 => &RSA_PKCS1_2048_8192_SHA512,
        SignatureAlgorithm::RsaPssSha256 => &RSA_PSS_2048_8192_SHA256,
        SignatureAlgorithm::RsaPssSha384 => &RSA_PSS_2048_8192_SHA384,
        SignatureAlgorithm::RsaPssSha512 => &RSA_PSS_2048_8192_SHA512,
        SignatureAlgorithm::MlDsa44 => &ML_DSA_44,
        SignatureAlgorithm::MlDsa65 => &ML_DSA_65,
        SignatureAlgorithm::MlDsa87 => &ML_DSA_87,
        _ => return None,
    })
}

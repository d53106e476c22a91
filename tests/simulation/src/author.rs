//! Who signs entries, and the entries: all distinct, with signatures that verify.

use waxseal_crypto::{
    Digest, HashAlgorithm as Hashing, Input, LocalSigner, PublicKey, SignatureAlgorithm, sha256,
};
use waxseal_crypto_aws_lc::provider;
use waxseal_formats::entry::{HashedRekordV002, Signature, Verifier, VerifierKey};
use waxseal_formats::log::{CreateEntryRequest, HashedRekordRequest};
use waxseal_formats::{HashAlgorithm, KeyDetails, MessageDigest};

use crate::{Outcome, text};

/// A P-256 key, and whatever the log is told about it.
pub struct Author {
    signer: Box<dyn LocalSigner>,
    verifier: Verifier,
}

/// One entry: how it is posted, and what the log holds then.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The body of the request.
    pub request: Vec<u8>,
    /// The bytes in the log.
    pub stored: Vec<u8>,
}

impl Author {
    /// A fresh key, known to the log as a bare key.
    ///
    /// # Errors
    /// If no key is made.
    pub fn new() -> Outcome<Self> {
        let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
        let key = provider().generate(algorithm).map_err(text)?;
        let signer = provider().signer(&key, algorithm).map_err(text)?;
        let public = VerifierKey::PublicKey(signer.public_key().spki_der().to_vec());
        let verifier = Verifier {
            key: public,
            key_details: KeyDetails::new("PKIX_ECDSA_P256_SHA_256"),
        };
        Ok(Self { signer, verifier })
    }

    /// The same key, known to the log by this certificate (DER) from now on.
    #[must_use]
    pub fn with_certificate(mut self, certificate: Vec<u8>) -> Self {
        self.verifier.key = VerifierKey::Certificate(certificate);
        self
    }

    /// Its public key.
    pub fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    /// Signs a message.
    ///
    /// # Errors
    /// If it cannot.
    pub fn sign(&self, message: &[u8]) -> Outcome<Vec<u8>> {
        self.signer.sign_now(Input::Message(message)).map_err(text)
    }

    /// The entry that is about a text.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn entry(&self, about: &str) -> Outcome<Entry> {
        let digest = sha256(about.as_bytes());
        let prehash = Digest::new(Hashing::Sha256, &digest).map_err(text)?;
        let signed = self.signer.sign_now(Input::Prehash(&prehash));
        let signature = Signature {
            content: signed.map_err(text)?,
            verifier: self.verifier.clone(),
        };
        let stored = HashedRekordV002 {
            digest: MessageDigest {
                algorithm: HashAlgorithm::SHA2_256,
                digest: digest.to_vec(),
            },
            signature: signature.clone(),
        };
        let request = CreateEntryRequest::HashedRekord(HashedRekordRequest {
            digest: digest.to_vec(),
            signature,
        });
        Ok(Entry {
            request: request.to_json().into_bytes(),
            stored: stored.encode_canonical(),
        })
    }
}

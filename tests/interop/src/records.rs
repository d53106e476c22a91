//! Requests to a log, good ones: everything else is made from them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use waxseal_crypto::{Input, LocalSigner, SignatureAlgorithm, sha256};

/// Makes requests of one key.
pub struct Records {
    signer: Box<dyn LocalSigner>,
    details: &'static str,
}

impl Records {
    /// With a fresh key of P-256.
    pub fn new() -> Self {
        Self::of(
            SignatureAlgorithm::EcdsaP256Sha256,
            "PKIX_ECDSA_P256_SHA_256",
        )
    }

    /// With a fresh key, and what requests are to call it.
    ///
    /// # Panics
    /// If the provider knows no such key.
    #[expect(clippy::expect_used, reason = "a test without a key has failed")]
    pub fn of(algorithm: SignatureAlgorithm, details: &'static str) -> Self {
        let provider = waxseal_crypto_aws_lc::provider();
        let key = provider.generate(algorithm).expect("a key");
        let signer = provider.signer(&key, algorithm).expect("a signer");
        Self { signer, details }
    }

    /// A `hashedRekordRequestV002` about some artifact.
    ///
    /// # Panics
    /// If the provider cannot sign.
    #[expect(clippy::expect_used, reason = "a test without a signature has failed")]
    pub fn hashed(&self, number: usize) -> Value {
        let message = format!("artifact {number}");
        let digest = match self.signer.algorithm() {
            SignatureAlgorithm::EcdsaP384Sha384 => {
                let hash = waxseal_crypto::HashAlgorithm::Sha384;
                waxseal_crypto::Digest::of(hash, message.as_bytes())
                    .as_bytes()
                    .to_vec()
            }
            _ => sha256(message.as_bytes()).to_vec(),
        };
        let signature = self
            .signer
            .sign_now(Input::Message(message.as_bytes()))
            .expect("a signature");
        json!({"hashedRekordRequestV002": {
            "digest": STANDARD.encode(digest),
            "signature": {"content": STANDARD.encode(signature), "verifier": self.verifier()},
        }})
    }

    /// A `dsseRequestV002` about some payload.
    ///
    /// # Panics
    /// If the provider cannot sign.
    #[expect(clippy::expect_used, reason = "a test without a signature has failed")]
    pub fn dsse(&self, payload: &[u8]) -> Value {
        let kind = "application/vnd.in-toto+json";
        let length = payload.len();
        let head = format!("DSSEv1 {} {kind} {length} ", kind.len());
        let message = [head.as_bytes(), payload].concat();
        let signature = self
            .signer
            .sign_now(Input::Message(&message))
            .expect("a signature");
        json!({"dsseRequestV002": {
            "envelope": {
                "payload": STANDARD.encode(payload),
                "payloadType": kind,
                "signatures": [{"sig": STANDARD.encode(signature), "keyid": ""}],
            },
            "verifiers": [self.verifier()],
        }})
    }

    fn verifier(&self) -> Value {
        let key = STANDARD.encode(self.signer.public_key().spki_der());
        json!({"publicKey": {"rawBytes": key}, "keyDetails": self.details})
    }
}

impl Default for Records {
    fn default() -> Self {
        Self::new()
    }
}

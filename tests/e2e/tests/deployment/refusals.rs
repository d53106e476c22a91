//! What is refused before any service is asked, and keys that fail.

use std::sync::Arc;

use waxseal_crypto::{
    Backend, BoxFuture, CryptoProvider, Digest, HashAlgorithm, Input, LocalSigner, PrivateKey,
    PrivateKeyError, PublicKey, SignError, SignatureAlgorithm, SignatureError, Signer,
    VerifyingKey,
};
use waxseal_sign::{EndpointsError, Payload, PayloadError, RecoveryError, SigningError};
use waxseal_tests_e2e::{BrokenRandom, Client, Deployment, Liar, e2e, statement};
use waxseal_transport::{TransportError, Url};

use crate::assert_error;
use crate::common::{ARTIFACT, own_key, payload};

const P256: SignatureAlgorithm = SignatureAlgorithm::EcdsaP256Sha256;

/// Why a client gets no certificate; nothing may have been asked for.
async fn uncertified(deployment: &Deployment, client: &Client) -> SigningError {
    let token = deployment.log_in(&deployment.somebody()).await;
    let liar = Liar::before(&deployment.transport);
    let refused = client.context(&liar).certify(token).await.err().unwrap();
    assert!(liar.asked().is_empty(), "{:?}", liar.asked());
    refused
}

/// Why a key signs nothing.
async fn unsigned(deployment: &Deployment, client: &Client, key: Arc<dyn Signer>) -> SigningError {
    let liar = Liar::before(&deployment.transport);
    let session = match client.context(&liar).with_key(key) {
        Ok(session) => session,
        Err(error) => return error,
    };
    session
        .sign(&payload(&session, ARTIFACT))
        .await
        .unwrap_err()
}

#[test]
fn endpoints() {
    e2e(async |deployment| {
        let mut client = Client::of(deployment);
        client.endpoints.logs.clear();
        let no_log = |e: &SigningError| matches!(e, SigningError::Endpoints(EndpointsError::NoLog));
        assert!(no_log(&uncertified(deployment, &client).await));
        assert!(no_log(&unsigned(deployment, &client, own_key(P256)).await));
        let mut client = Client::of(deployment);
        client.endpoints.timestamp_authorities.clear();
        assert_error!(
            uncertified(deployment, &client).await,
            SigningError::Endpoints(EndpointsError::NoTimestampAuthority)
        );
    });
}

#[test]
fn no_certificate_authority() {
    e2e(async |deployment| {
        let mut client = Client::of(deployment);
        client.endpoints.certificate_authority = None;
        assert_error!(
            uncertified(deployment, &client).await,
            SigningError::NoCertificateAuthority
        );
        // A key of one's own needs none.
        let context = client.context(&*deployment.transport);
        let session = context.with_key(own_key(P256)).unwrap();
        session.sign(&payload(&session, ARTIFACT)).await.unwrap();
    });
}

#[test]
fn certificate_request() {
    e2e(async |deployment| {
        let mut client = Client::of(deployment);
        client.endpoints.certificate_authority = Some("data:x".parse().unwrap());
        let refused = uncertified(deployment, &client).await;
        assert_error!(refused, SigningError::CertificateRequest(_));
    });
}

#[test]
fn bad_url() {
    e2e(async |deployment| {
        let mut client = Client::of(deployment);
        let bad: Url = "data:x".parse().unwrap();
        client.endpoints.logs = vec![bad.clone()];
        let refused = unsigned(deployment, &client, own_key(P256)).await;
        assert_error!(refused, SigningError::BadUrl { url } if *url == bad);
    });
}

#[test]
fn random() {
    e2e(async |deployment| {
        let broken = |fills| Client {
            random: Arc::new(BrokenRandom::after(fills)),
            ..Client::of(deployment)
        };
        let refused = uncertified(deployment, &broken(0)).await;
        assert_error!(refused, SigningError::Random(_));
        // A nonce, the jitter of the timestamp, that of the log: without any there is no bundle.
        for fills in 0..3 {
            let refused = unsigned(deployment, &broken(fills), own_key(P256)).await;
            assert_error!(refused, SigningError::Random(_));
        }
        let client = broken(3);
        let context = client.context(&*deployment.transport);
        let session = context.with_key(own_key(P256)).unwrap();
        session.sign(&payload(&session, ARTIFACT)).await.unwrap();
    });
}

/// A provider that makes no keys.
struct Keyless;

impl Backend for Keyless {
    fn name(&self) -> &'static str {
        "keyless"
    }

    fn verifies(&self, _: SignatureAlgorithm) -> bool {
        false
    }

    fn verifying_key(
        &self,
        _: &PublicKey,
        algorithm: SignatureAlgorithm,
    ) -> Result<Box<dyn VerifyingKey>, SignatureError> {
        Err(SignatureError::UnsupportedAlgorithm(algorithm))
    }

    fn generate(&self, _: SignatureAlgorithm) -> Result<PrivateKey, PrivateKeyError> {
        Err(PrivateKeyError::Unsupported { algorithm: P256 })
    }

    fn signer(
        &self,
        _: &PrivateKey,
        _: SignatureAlgorithm,
    ) -> Result<Box<dyn LocalSigner>, PrivateKeyError> {
        Err(PrivateKeyError::Unsupported { algorithm: P256 })
    }
}

#[test]
fn ephemeral_key() {
    e2e(async |deployment| {
        let client = Client {
            provider: CryptoProvider::new(&Keyless),
            ..Client::of(deployment)
        };
        let refused = uncertified(deployment, &client).await;
        assert_error!(refused, SigningError::EphemeralKey(_));
    });
}

/// A key somewhere else, whose home does not answer.
struct Unplugged(PublicKey, SignatureAlgorithm);

impl Signer for Unplugged {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.1
    }

    fn sign<'a>(&'a self, _: Input<'a>) -> BoxFuture<'a, Result<Vec<u8>, SignError>> {
        Box::pin(async { Err(SignError::Failed("the token was pulled".into())) })
    }
}

#[test]
fn signature() {
    e2e(async |deployment| {
        let key = own_key(P256).public_key().clone();
        let client = Client::of(deployment);
        let refused = unsigned(deployment, &client, Arc::new(Unplugged(key, P256))).await;
        assert_error!(refused, SigningError::Signature(SignError::Failed(_)));
    });
}

/// A key that answers with the signature of another: no bundle leaves.
struct Impostor(PublicKey, Arc<dyn Signer>);

impl Signer for Impostor {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.1.algorithm()
    }

    fn sign<'a>(&'a self, input: Input<'a>) -> BoxFuture<'a, Result<Vec<u8>, SignError>> {
        self.1.sign(input)
    }
}

#[test]
fn a_signer_that_signs_with_another_key_makes_no_bundle() {
    e2e(async |deployment| {
        let key = own_key(P256).public_key().clone();
        let client = Client::of(deployment);
        let impostor = Arc::new(Impostor(key, own_key(P256)));
        // The log itself looks at the signature.
        let refused = unsigned(deployment, &client, impostor).await;
        assert_error!(refused, SigningError::LogRefused { status: 400, .. });
    });
}

#[test]
fn key_without_name() {
    e2e(async |deployment| {
        let mut modulus = vec![0xff; 2560 / 8];
        modulus[0] = 0x80;
        let odd = PublicKey::from_rsa_components(&modulus, &[1, 0, 1]).unwrap();
        let client = Client::of(deployment);
        let key = Unplugged(odd, SignatureAlgorithm::RsaPkcs1Sha256);
        let refused = unsigned(deployment, &client, Arc::new(key)).await;
        assert_error!(refused, SigningError::KeyWithoutName);
    });
}

#[test]
fn payloads() {
    e2e(async |deployment| {
        let client = Client::of(deployment);
        let pure = own_key(SignatureAlgorithm::Ed25519);
        assert_error!(
            unsigned(deployment, &client, pure).await,
            SigningError::Payload(PayloadError::NotPrehashed {
                algorithm: SignatureAlgorithm::Ed25519
            })
        );
        let liar = Liar::before(&deployment.transport);
        let session = client.context(&liar).with_key(own_key(P256)).unwrap();
        let sha512 = Payload::artifact(Digest::of(HashAlgorithm::Sha512, ARTIFACT));
        assert_error!(
            session.sign(&sha512).await.unwrap_err(),
            SigningError::Payload(PayloadError::WrongDigest {
                expected: HashAlgorithm::Sha256,
                found: HashAlgorithm::Sha512
            })
        );
        assert!(liar.asked().is_empty());
        assert_error!(
            Payload::statement(b"{}".to_vec()).unwrap_err(),
            PayloadError::Statement(_)
        );
        let text = String::from_utf8(statement(ARTIFACT)).unwrap();
        let sha1 = text.replace("sha256", "sha1").into_bytes();
        assert_error!(
            Payload::statement(sha1).unwrap_err(),
            PayloadError::NoDigest
        );
        let mut bad_hex: serde_json::Value = serde_json::from_str(&text).unwrap();
        bad_hex["subject"][0]["digest"]["sha256"] = "zz".into();
        let bad_hex = Payload::statement(bad_hex.to_string().into_bytes());
        assert_error!(
            bad_hex.unwrap_err(),
            PayloadError::NoDigest | PayloadError::Statement(_)
        );
    });
}

#[test]
fn services_on_the_network_need_tls() {
    e2e(async |deployment| {
        for host in [
            "ca.example",
            "localhost.example",
            "127.0.0.1.example",
            "192.0.2.1",
        ] {
            let url: Url = format!("http://{host}/").parse().unwrap();
            let mut client = Client::of(deployment);
            client.endpoints.certificate_authority = Some(url.clone());
            let refused = uncertified(deployment, &client).await;
            assert_error!(refused, SigningError::CertificateAuthority { source, .. }
                if matches!(**source, TransportError::PlainHttp { .. }));
            let mut client = Client::of(deployment);
            client.endpoints.logs = vec![url.clone()];
            let refused = unsigned(deployment, &client, own_key(P256)).await;
            assert_error!(refused, SigningError::Log { source, .. }
                if matches!(**source, TransportError::PlainHttp { .. }));
            let mut client = Client::of(deployment);
            client.endpoints.timestamp_authorities = vec![url];
            let refused = unsigned(deployment, &client, own_key(P256)).await;
            assert_error!(refused, SigningError::Timestamp { source, .. }
                if matches!(**source, TransportError::PlainHttp { .. }));
        }
    });
}

/// Errors are told in one line each, and the causes are not lost.
#[test]
fn errors_say_what_led_to_them() {
    let lost = TransportError::Deadline {
        after: std::time::Duration::from_secs(1),
    };
    let error = SigningError::LogRecovery {
        url: "https://log.example".parse().unwrap(),
        index: 7,
        source: Box::new(RecoveryError::Transport(Box::new(lost))),
    };
    let mut told = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = next {
        told.push(error.to_string());
        next = error.source();
    }
    assert_eq!(
        told,
        [
            "the log https://log.example/ holds the entry already at index 7, and it could not \
             be fetched",
            "no complete response within 1s",
        ]
    );
}

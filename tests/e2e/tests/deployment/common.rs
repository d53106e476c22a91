//! What several tests need.

use std::sync::Arc;

use waxseal_crypto::{Digest, SignatureAlgorithm, Signer};
use waxseal_crypto_aws_lc::provider;
use waxseal_sign::{Payload, Session, SignedBundle, SigningError};
use waxseal_tests_e2e::{Client, Deployment, Liar, Lie};

/// What is signed.
pub(crate) const ARTIFACT: &[u8] = b"an artifact";

/// Paths of the services.
pub(crate) const CA: &str = "/api/v2/signingCert";
pub(crate) const TSA: &str = "/api/v1/timestamp";
pub(crate) const LOG: &str = "/api/v2/log/entries";

/// A fresh key that its owner keeps.
pub(crate) fn own_key(algorithm: SignatureAlgorithm) -> Arc<dyn Signer> {
    let key = provider().generate(algorithm).unwrap();
    let signer: Box<dyn Signer> = provider().signer(&key, algorithm).unwrap();
    Arc::from(signer)
}

/// An artifact as the session's key signs it.
pub(crate) fn payload(session: &Session<'_>, artifact: &[u8]) -> Payload {
    Payload::artifact(Digest::of(session.hash_algorithm(), artifact))
}

/// A signing with an own key, through a liar.
pub(crate) async fn sign_with_key(
    deployment: &Deployment,
    liar: &Liar,
) -> Result<SignedBundle, SigningError> {
    let client = Client::of(deployment);
    let key = own_key(SignatureAlgorithm::EcdsaP256Sha256);
    let session = client.context(liar).with_key(key)?;
    session.sign(&payload(&session, ARTIFACT)).await
}

/// What comes of a signing with an own key when one service lies, and whom it asked.
pub(crate) async fn with_lie(
    deployment: &Deployment,
    about: &'static str,
    lie: Lie,
) -> (SigningError, Liar) {
    let liar = Liar::before(&deployment.transport).about(about, lie);
    let outcome = sign_with_key(deployment, &liar).await;
    (outcome.expect_err("the lie was believed"), liar)
}

/// Asserts that an error is of a shape.
#[macro_export]
macro_rules! assert_error {
    ($error:expr, $pattern:pat $(if $guard:expr)?) => {{
        let error = $error;
        assert!(
            matches!(&error, $pattern $(if $guard)?),
            "expected {}, found {error:?}",
            stringify!($pattern $(if $guard)?)
        );
    }};
}

//! What is not signed.

use std::error::Error;

use waxseal_crypto::{BoxFuture, SignatureAlgorithm};

use super::*;
use crate::testing::{at_once, log_signer, note_signer, signer, time};

struct Broken(Arc<dyn Signer>);

impl Signer for Broken {
    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }

    fn sign<'a>(&'a self, _: Input<'a>) -> BoxFuture<'a, Result<Vec<u8>, SignError>> {
        let cause: Box<dyn Error + Send + Sync> = "the token was pulled".into();
        Box::pin(async { Err(SignError::Failed(cause)) })
    }
}

fn name() -> KeyName {
    KeyName::new("log.example").unwrap()
}

#[test]
fn wrong_key_kind() {
    // A P-384 key that signs with SHA-384 does not make note signatures, which are over SHA-256.
    for (kind, algorithm) in [
        (SignatureKind::Ed25519, SignatureAlgorithm::EcdsaP256Sha256),
        (SignatureKind::Ecdsa, SignatureAlgorithm::EcdsaP384Sha384),
        (SignatureKind::MlDsa44, SignatureAlgorithm::Ed25519),
    ] {
        assert!(matches!(
            NoteSigner::new(name(), kind, signer(algorithm)),
            Err(NoteKeyError::WrongKeyKind { .. })
        ));
    }
}

#[test]
fn not_signable() {
    let empty = "a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let cosigner = note_signer(
        "w.example",
        SignatureKind::CosignatureV1,
        waxseal_crypto::KeyKind::Ed25519,
    );
    for (text, at) in [("no checkpoint\n", 1), (empty, -1)] {
        assert!(matches!(
            at_once(cosigner.sign(text, time(at))),
            Err(SignNoteError::NotSignable {
                kind: SignatureKind::CosignatureV1
            })
        ));
    }
    assert!(at_once(cosigner.sign(empty, time(1))).is_ok());
}

#[test]
fn note() {
    let log = log_signer("log.example");
    assert!(matches!(
        at_once(sign_note("text", time(1), &[&log])),
        Err(SignNoteError::Note(NoteError::BadText))
    ));
}

#[test]
fn signer_fails() {
    let broken = Arc::new(Broken(signer(SignatureAlgorithm::Ed25519)));
    let broken = NoteSigner::new(name(), SignatureKind::Ed25519, broken).unwrap();
    assert!(matches!(
        at_once(sign_note("text\n", time(1), &[&broken])),
        Err(SignNoteError::Signer(SignError::Failed(_)))
    ));
}

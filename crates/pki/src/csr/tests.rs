//! Tests of the file above.

use super::*;
use crate::element::encode;
use crate::testing::{Party, name, provider, seal, sign};
use waxseal_crypto::LocalSigner;

fn info(spki: &[u8]) -> Vec<u8> {
    encode(
        SEQUENCE,
        &[&[2, 1, 0], &name("ignored")[..], spki, &[0xa0, 0]],
    )
}

fn request(signer: &dyn LocalSigner) -> Vec<u8> {
    let info = info(signer.public_key().spki_der());
    let identifier = algorithm::signature_identifier(signer.algorithm()).unwrap();
    seal(&info, &identifier, &sign(signer, &info))
}

fn error(bytes: &[u8]) -> CsrError {
    Csr::parse(provider(), bytes).unwrap_err()
}

#[test]
fn registered_pairs_are_accepted() {
    let check = |algorithm: SignatureAlgorithm, accepted: bool| {
        let signer = crate::testing::fresh(algorithm);
        let der = request(&*signer);
        let found = Csr::parse(provider(), &der);
        if accepted {
            let csr = found.unwrap();
            assert_eq!(csr.public_key(), signer.public_key());
            assert_eq!(csr.algorithm(), algorithm);
            for label in ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"] {
                let pem = Pem::new(label, &der).encode();
                assert_eq!(Csr::parse(provider(), pem.as_bytes()), Ok(csr.clone()));
            }
        } else {
            assert_eq!(found, Err(CsrError::UnsupportedAlgorithm), "{algorithm:?}");
        }
    };
    check(SignatureAlgorithm::EcdsaP256Sha256, true);
    check(SignatureAlgorithm::EcdsaP384Sha384, true);
    check(SignatureAlgorithm::EcdsaP521Sha512, true);
    check(SignatureAlgorithm::Ed25519, true);
    check(SignatureAlgorithm::RsaPkcs1Sha256, true);
    check(SignatureAlgorithm::MlDsa44, true);
    check(SignatureAlgorithm::EcdsaP384Sha256, false);
    check(SignatureAlgorithm::EcdsaP256Sha384, false);
    check(SignatureAlgorithm::RsaPkcs1Sha512, false);
    check(SignatureAlgorithm::RsaPssSha256, false);
}

#[test]
fn too_large() {
    let limit = MAX_CSR / 2 * 3;
    assert_eq!(
        error(&vec![0; limit + 1]),
        CsrError::TooLarge { found: limit + 1 }
    );
    assert_eq!(
        error(&vec![0; MAX_CSR + 1]),
        CsrError::TooLarge { found: MAX_CSR + 1 }
    );
    assert_eq!(error(&vec![0; MAX_CSR]), CsrError::Malformed);
}

#[test]
fn pem() {
    let found = error(b"-----BEGIN CERTIFICATE REQUEST-----\n");
    assert!(matches!(found, CsrError::Pem(PemError::NotClosed { .. })));
}

#[test]
fn wrong_label() {
    let pem = Pem::new("CERTIFICATE", &request(&*Party::new("x").signer)).encode();
    assert_eq!(
        error(pem.as_bytes()),
        CsrError::WrongLabel {
            found: "CERTIFICATE".into()
        }
    );
}

#[test]
fn malformed() {
    let der = request(&*Party::new("x").signer);
    for length in 0..der.len() {
        assert_eq!(error(&der[..length]), CsrError::Malformed);
    }
    assert_eq!(error(&[&der[..], &[0]].concat()), CsrError::Malformed);
}

#[test]
fn key() {
    let info = info(&[0x30, 0]);
    let found = error(&seal(&info, &[0x30, 0], b""));
    assert_eq!(found, CsrError::Key(KeyError::Malformed));
}

#[test]
fn unsupported_algorithm() {
    let signer = Party::new("x").signer;
    let info = info(signer.public_key().spki_der());
    let identifier = algorithm::signature_identifier(SignatureAlgorithm::Ed25519).unwrap();
    let found = error(&seal(&info, &identifier, b"x"));
    assert_eq!(found, CsrError::UnsupportedAlgorithm);
}

/// Without the private half there is no certificate.
#[test]
fn signature() {
    let (victim, thief) = (Party::new("victim"), Party::new("thief"));
    let info = info(victim.key().spki_der());
    let identifier = algorithm::signature_identifier(victim.signer.algorithm()).unwrap();
    let found = error(&seal(&info, &identifier, &sign(&*thief.signer, &info)));
    assert_eq!(found, CsrError::Signature(SignatureError::Invalid));
}

//! DER: certificates, requests for them, keys, timestamps, SCTs.

use waxseal_crypto::{
    Digest, KeyKind, Pem, PrivateKey, PublicKey, SignatureAlgorithm, ecdsa_fixed_from_der,
};
use waxseal_pki::timestamp::{TimestampRequest, TimestampResponse, TimestampToken};
use waxseal_pki::{
    Certificate, Csr, Sct, SctList, parse_leaf_index, tbs_without_poison, tbs_without_scts,
};

use crate::virtual_sigstore::{Case, Instance, provider};

pub(super) fn certificate_seeds() -> Vec<Vec<u8>> {
    let own = Instance::new("operator a", "a.example");
    let leaf = Case::v2(&own).signed.certificate().unwrap();
    vec![
        leaf.der().to_vec(),
        own.ca_chain().first().unwrap().der().to_vec(),
        leaf.tbs().to_vec(),
    ]
}

pub(super) fn read_certificate(bytes: &[u8]) {
    if let Ok(certificate) = Certificate::parse(bytes) {
        assert_eq!(certificate.der(), bytes, "a certificate is its bytes");
        drop(certificate.scts());
        drop(format!("{certificate:?}"));
        certificate.sigstore_extensions().for_each(drop);
        certificate.extensions().for_each(drop);
    }
    drop(Csr::parse(provider(), bytes));
    drop(tbs_without_scts(bytes));
    drop(tbs_without_poison(bytes));
}

pub(super) fn timestamp_seeds() -> Vec<Vec<u8>> {
    let own = Instance::new("operator a", "a.example");
    let case = Case::v2(&own);
    vec![
        case.bundle.material.timestamps.first().unwrap().clone(),
        TimestampRequest::new(Digest::from([7; 32])).encode(),
    ]
}

pub(super) fn read_timestamp(bytes: &[u8]) {
    drop(TimestampToken::parse(bytes));
    drop(TimestampToken::from_response(bytes));
    drop(TimestampResponse::parse(bytes));
    drop(TimestampRequest::parse(bytes));
}

pub(super) fn sct_seeds() -> Vec<Vec<u8>> {
    let own = Instance::new("operator a", "a.example");
    let leaf = Case::v2(&own).signed.certificate().unwrap();
    let list = leaf.scts().unwrap().unwrap();
    vec![list.as_slice().first().unwrap().encode().unwrap()]
}

pub(super) fn read_sct(bytes: &[u8]) {
    if let Ok(sct) = Sct::parse(bytes) {
        assert_eq!(sct.encode().as_deref(), Some(bytes), "an SCT is its bytes");
    }
    drop(SctList::parse(bytes));
    parse_leaf_index(bytes);
}

pub(super) fn key_seeds() -> Vec<Vec<u8>> {
    let key = provider()
        .generate(SignatureAlgorithm::EcdsaP256Sha256)
        .unwrap();
    let signer = provider()
        .signer(&key, SignatureAlgorithm::EcdsaP256Sha256)
        .unwrap();
    let spki = signer.public_key().spki_der().to_vec();
    vec![
        Pem::new("PUBLIC KEY", spki.as_slice())
            .encode()
            .into_bytes(),
        Pem::new("PRIVATE KEY", key.pkcs8_der())
            .encode()
            .into_bytes(),
        key.pkcs8_der().to_vec(),
        spki,
    ]
}

pub(super) fn read_key(bytes: &[u8]) {
    drop(PublicKey::from_spki_der(bytes));
    let private = PrivateKey::from_pkcs8_der(bytes.to_vec());
    for algorithm in [
        SignatureAlgorithm::EcdsaP256Sha256,
        SignatureAlgorithm::Ed25519,
        SignatureAlgorithm::RsaPkcs1Sha256,
        SignatureAlgorithm::MlDsa44,
    ] {
        drop(provider().signer(&private, algorithm));
    }
    drop(ecdsa_fixed_from_der(KeyKind::P256, bytes));
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    drop(Pem::parse_many(text));
    drop(Pem::parse_labelled(text, "PUBLIC KEY"));
    drop(PublicKey::from_pem(text));
    drop(PrivateKey::from_pem(text));
}

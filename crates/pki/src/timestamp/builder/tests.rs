//! Tests of the file above.

use super::*;
use crate::testing::{Draft, Party, ca, eku, provider, sign, time};
use crate::timestamp::{TimestampAuthority, TimestampResponse, TimestampToken, VerifiedTimestamp};
use waxseal_crypto::SignatureAlgorithm;

struct World {
    tsa: Party,
    chain: [Vec<u8>; 2],
    builder: TokenBuilder,
}

fn policy() -> ObjectIdentifier {
    "1.3.6.1.4.1.57264.2".parse().unwrap()
}

fn world(algorithm: SignatureAlgorithm) -> World {
    let (root, tsa) = (Party::new("root"), Party::with("tsa", algorithm));
    let root_der = Draft::new(&root, &root, &[ca(Some(0))]).der(&root);
    let leaf = Draft::new(&root, &tsa, &[eku(true, &[8])]).certificate(&root);
    let chain = [leaf.der().to_vec(), root_der.clone()];
    let builder = TokenBuilder::new(&*tsa.signer, leaf, vec![root_der], policy()).unwrap();
    World {
        tsa,
        chain,
        builder,
    }
}

impl World {
    fn token(&self, request: &TimestampRequest) -> Vec<u8> {
        let grant = Grant::new(time("2026-06-01T12:00:00.9Z"), [0x45; 20]);
        let unsigned = self.builder.prepare(request, grant);
        unsigned.finish(&sign(&*self.tsa.signer, unsigned.signing_input()))
    }

    fn verify(&self, request: &TimestampRequest) -> (TimestampToken, VerifiedTimestamp) {
        let response = TimestampResponse::encode_granted(&self.token(request));
        let token = TimestampToken::from_response(&response).unwrap();
        let authority = TimestampAuthority::new(provider(), &self.chain).unwrap();
        let verified = authority.verify(&token, b"hello").unwrap();
        (token, verified)
    }
}

fn request(hash: HashAlgorithm) -> TimestampRequest {
    TimestampRequest::new(Digest::of(hash, b"hello"))
}

#[test]
fn tokens_verify() {
    for algorithm in [
        SignatureAlgorithm::EcdsaP256Sha256,
        SignatureAlgorithm::EcdsaP384Sha384,
        SignatureAlgorithm::EcdsaP521Sha512,
        SignatureAlgorithm::Ed25519,
        SignatureAlgorithm::RsaPkcs1Sha256,
    ] {
        let world = world(algorithm);
        for hash in [
            HashAlgorithm::Sha256,
            HashAlgorithm::Sha384,
            HashAlgorithm::Sha512,
        ] {
            let (token, verified) = world.verify(&request(hash).with_nonce(&[0xff; 20]));
            assert_eq!(verified.time.to_string(), "2026-06-01T12:00:00Z");
            assert_eq!(verified.serial, [0x45; 20]);
            assert_eq!(verified.policy, policy());
            assert_eq!(verified.nonce.unwrap(), [&[0][..], &[0xff; 20]].concat());
            assert_eq!(token.info().accuracy.unwrap().seconds, 1);
            assert!(!token.info().ordering);
            assert_eq!(token.certificates().count(), 0);
        }
    }
}

#[test]
fn certificates_travel_if_asked_for() {
    let world = world(SignatureAlgorithm::EcdsaP256Sha256);
    let request = request(HashAlgorithm::Sha256).with_certificates(true);
    let (token, _) = world.verify(&request);
    assert_eq!(token.certificates().count(), 2);
    assert_eq!(world.builder.certificate().der(), world.chain[0]);
    let root_alone = TimestampAuthority::new(provider(), &world.chain[1..]).unwrap();
    assert_eq!(root_alone.verify(&token, b"hello").map(|_| ()), Ok(()));
}

#[test]
fn the_policy_is_that_of_the_request() {
    let world = world(SignatureAlgorithm::EcdsaP256Sha256);
    let other: ObjectIdentifier = "1.2.3".parse().unwrap();
    let (_, verified) = world.verify(&request(HashAlgorithm::Sha256).with_policy(other));
    assert_eq!(verified.policy, other);
}

/// The TSTInfo, byte by byte.
#[test]
fn layout() {
    let world = world(SignatureAlgorithm::EcdsaP256Sha256);
    let request = request(HashAlgorithm::Sha256).with_nonce(&[1, 2]);
    let grant = Grant::new(time("2026-06-01T12:00:00Z"), [0x45; 20]);
    let info = world.builder.tst_info(&request, grant);
    let digest = Digest::of(HashAlgorithm::Sha256, b"hello").to_hex();
    let expected = [
        "3081",
        "89",
        "020101",
        "06092b0601040183bf3002",
        "3031300d060960864801650304020105000420",
        &digest,
        "0214",
        &"45".repeat(20),
        "180f32303236303630313132303030305a",
        "3003020101",
        "02020102",
        "a012a410300e310c300a06035504031303747361",
    ];
    let found = hex::encode(&info);
    let expected = expected.concat();
    assert_eq!(found[6..], expected[6..]);
    let attributes = world.builder.signed_attributes(&info, grant.time);
    let set = element::Element::only(&attributes, SET).unwrap();
    assert!(element::is_set_of(set.value));
    let text = hex::encode(&attributes);
    // contentType, signingTime, messageDigest, signingCertificateV2: as others order them.
    let order = [
        "2a864886f70d010903",
        "2a864886f70d010905",
        "2a864886f70d010904",
        "10022f",
    ];
    let positions: Vec<_> = order.iter().map(|oid| text.find(oid).unwrap()).collect();
    assert!(positions.is_sorted(), "{text}");
}

#[test]
fn wrong_signer() {
    let world = world(SignatureAlgorithm::EcdsaP256Sha256);
    let other = Party::new("tsa");
    let certificate = world.builder.certificate().clone();
    let found = TokenBuilder::new(&*other.signer, certificate, Vec::new(), policy());
    assert_eq!(found.unwrap_err(), BuildError::WrongSigner);
}

#[test]
fn unsupported_algorithm() {
    let algorithm = SignatureAlgorithm::Ed25519ph;
    let (root, tsa) = (Party::new("root"), Party::with("tsa", algorithm));
    let leaf = Draft::new(&root, &tsa, &[eku(true, &[8])]).certificate(&root);
    let found = TokenBuilder::new(&*tsa.signer, leaf, Vec::new(), policy()).unwrap_err();
    assert_eq!(found, BuildError::UnsupportedAlgorithm { algorithm });
}

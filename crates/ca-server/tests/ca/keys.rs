//! Keys, proofs and certificate requests that get no certificate: 400, and nothing logged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use waxseal_crypto::{Digest, HashAlgorithm, Input, KeyKind, Pem, PublicKey, SignatureAlgorithm};
use waxseal_pki::ObjectIdentifier;
use waxseal_pki::encoding::{
    BIT_STRING, BOOLEAN, OCTET_STRING, SEQUENCE, SET, UTF8_STRING, context_primitive, element,
    object_identifier, signature_algorithm,
};

use crate::world::*;

const UNPARSED: (&str, &str) = (
    "The public key supplied in the request could not be parsed",
    "KEY_MALFORMED",
);
const MISSING: (&str, &str) = (
    "The public key supplied in the request could not be parsed",
    "KEY_MISSING",
);
const INSECURE: (&str, &str) = (
    "The public key supplied in the request is insecure",
    "KEY_INSECURE",
);
const UNPROVEN: (&str, &str) = (
    "The signature supplied in the request could not be verified",
    "PROOF_OF_POSSESSION",
);
const CSR: (&str, &str) = (
    "The certificate signing request could not be parsed",
    "CSR_MALFORMED",
);
const ALGORITHM: (&str, &str) = (
    "signing algorithm not permitted: certificate request, unregistered hash",
    "ALGORITHM_NOT_PERMITTED",
);

async fn refused(world: &World, body: &Value, expected: (&str, &str)) {
    let answer = world.post(Some(&token().await), body).await;
    answer.check(400, 3, expected.0, expected.1);
    assert_eq!(world.submissions(), 0);
}

fn oid(text: &str) -> Vec<u8> {
    object_identifier(ObjectIdentifier::new(text).unwrap())
}

/// A SubjectPublicKeyInfo, PEM.
fn spki(algorithm: &[u8], key: &[u8]) -> String {
    let key = element(BIT_STRING, &[&[0][..], key]);
    let der = element(SEQUENCE, &[element(SEQUENCE, &[algorithm]), key]);
    Pem::new("PUBLIC KEY", &der).encode()
}

fn ec(parameters: &[u8], key: &[u8]) -> String {
    spki(&[&oid("1.2.840.10045.2.1"), parameters].concat(), key)
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> String {
    PublicKey::from_rsa_components(modulus, exponent)
        .unwrap()
        .to_pem()
}

#[tokio::test]
async fn no_key() {
    let world = World::new().await;
    refused(&world, &json!({}), MISSING).await;
    refused(&world, &json!({"publicKeyRequest": {}}), MISSING).await;
    refused(&world, &json!({"publicKeyRequest": null}), MISSING).await;
    refused(&world, &key_body_of("", "AAAA"), UNPARSED).await;
}

#[tokio::test]
async fn key() {
    let world = World::new().await;
    let pem = p256().public_key().to_pem();
    let der = p256().public_key().spki_der().to_vec();
    let p256_oid = oid("1.2.840.10045.3.1.7");
    let private = provider()
        .generate(SignatureAlgorithm::EcdsaP256Sha256)
        .unwrap();
    for content in [
        "garbage".to_owned(),
        format!("{pem}{pem}"),
        format!("text\n{pem}"),
        pem.replace("PUBLIC KEY", "CERTIFICATE"),
        private.to_pem().to_string(),
        Pem::new("PUBLIC KEY", &[&der[..], &[0]].concat()).encode(),
        Pem::new("PUBLIC KEY", &der[..der.len() - 1]).encode(),
        Pem::new("RSA PUBLIC KEY", &der).encode(),
        // Explicit parameters, none, and a compressed point.
        ec(&element(SEQUENCE, &[&[2, 1, 1]]), &[4; 65]),
        ec(&[], &[4; 65]),
        ec(&p256_oid, &[2; 33]),
        ec(&p256_oid, &[]),
    ] {
        refused(&world, &key_body_of(&content, "AAAA"), UNPARSED).await;
    }
}

#[tokio::test]
async fn weak() {
    let world = World::new().await;
    let modulus = |bytes: usize, first: u8| [&[first][..], &vec![0xff; bytes - 1]].concat();
    let f4 = &[1, 0, 1][..];
    let sound = generate(SignatureAlgorithm::RsaPkcs1Sha256);
    let (sound, _) = sound.public_key().rsa_components().unwrap();
    let identity = [&[1][..], &[0; 31]].concat();
    let named = |kind, bytes: &[u8]| PublicKey::from_key_bytes(kind, bytes).unwrap().to_pem();
    for content in [
        rsa(&modulus(128, 0x80), f4),
        rsa(&modulus(256, 0x7f), f4),
        rsa(&modulus(257, 0x80), f4),
        rsa(&modulus(1024, 0x80), f4),
        rsa(&modulus(2048, 0x80), f4),
        rsa(sound, &[1]),
        rsa(sound, &[3]),
        rsa(sound, &[1, 0, 2]),
        rsa(sound, &[2, 0, 0, 0, 1]),
        // All ones: 2²⁰⁴⁸ − 1 has the factor three.
        rsa(&modulus(256, 0xff), f4),
        // Off the curve, of small order, not on this list at all.
        named(KeyKind::P256, &[&[4][..], &[1; 64]].concat()),
        named(KeyKind::P384, &[&[4][..], &[0; 96]].concat()),
        named(KeyKind::Ed25519, &identity),
        named(KeyKind::Ed25519, &[0; 32]),
        named(KeyKind::MlDsa65, &[7; 1952]),
        ec(&oid("1.3.132.0.33"), &[4; 57]),          // P-224
        ec(&oid("1.3.132.0.10"), &[4; 65]),          // secp256k1
        spki(&oid("1.3.101.110"), &[9; 32]),         // X25519
        spki(&oid("1.3.101.113"), &[9; 57]),         // Ed448
        spki(&oid("1.2.840.10040.4.1"), &[2, 1, 5]), // DSA
    ] {
        refused(&world, &key_body_of(&content, "AAAA"), INSECURE).await;
    }
}

#[tokio::test]
async fn possession() {
    let world = World::new().await;
    let (holder, stranger) = (p256(), p256());
    let pem = holder.public_key().to_pem();
    let token = token().await;
    let digest = Digest::of(HashAlgorithm::Sha256, b"alice@example.com");
    let twice = holder.sign_now(Input::Message(digest.as_bytes())).unwrap();
    for proof in [
        proof(&*holder, "bob@example.com"),
        proof(&*holder, "Alice@example.com"),
        proof(&*holder, "alice@example.com "),
        proof(&*holder, "alice@example.com\n"),
        proof(&*holder, ""),
        proof(&*holder, ISSUER),
        proof(&*holder, "sigstore"),
        proof(&*holder, &token),
        proof(&*stranger, "alice@example.com"),
        STANDARD.encode(twice),
        String::new(),
        STANDARD.encode([0; 64]),
        STANDARD.encode([0x30, 6, 2, 1, 0, 2, 1, 0]),
        STANDARD.encode([0x30, 6, 2, 1, 0, 2, 1, 1]),
    ] {
        refused(&world, &key_body_of(&pem, &proof), UNPROVEN).await;
    }
    // P-384 with SHA-256, RSA with PSS or SHA-512, Ed25519ph: the hash follows the key.
    for (made, named) in [
        (
            SignatureAlgorithm::EcdsaP384Sha256,
            SignatureAlgorithm::EcdsaP384Sha384,
        ),
        (
            SignatureAlgorithm::EcdsaP521Sha256,
            SignatureAlgorithm::EcdsaP521Sha512,
        ),
        (
            SignatureAlgorithm::RsaPssSha256,
            SignatureAlgorithm::RsaPkcs1Sha256,
        ),
        (
            SignatureAlgorithm::RsaPkcs1Sha512,
            SignatureAlgorithm::RsaPkcs1Sha256,
        ),
        (SignatureAlgorithm::Ed25519ph, SignatureAlgorithm::Ed25519),
    ] {
        let key = provider().generate(made).unwrap();
        let wrong = provider().signer(&key, made).unwrap();
        let right = provider().signer(&key, named).unwrap();
        let pem = right.public_key().to_pem();
        let body = key_body_of(&pem, &proof(&*wrong, "alice@example.com"));
        refused(&world, &body, UNPROVEN).await;
        let body = key_body_of(&pem, &proof(&*right, "alice@example.com"));
        world.leaf(&world.post(Some(&token), &body).await);
        world.net.submissions.lock().unwrap().clear();
    }
}

/// The proof of one token says nothing about another one's identity.
#[tokio::test]
async fn a_proof_goes_with_its_token() {
    let world = World::new().await;
    let mut other = claims();
    other["email"] = json!("bob@example.com");
    other["sub"] = json!("subject-2");
    let body = key_body(&*p256(), "alice@example.com");
    let answer = world.post(Some(&RSA.sign(&other).await), &body).await;
    answer.check(400, 3, UNPROVEN.0, UNPROVEN.1);
    // An address that is not vouched for is no challenge of a URI identity.
    other["iss"] = json!("https://builds.example");
    other["sub"] = json!("https://builds.example/1");
    other["email"] = json!("alice@example.com");
    for (verified, status) in [(false, 400), (true, 200)] {
        other["email_verified"] = json!(verified);
        let answer = world.post(Some(&ES256.sign(&other).await), &body).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    }
}

/// The order of the groups of RFC 8032 and of P-256 lets a signature have two forms; the high one
/// is what many programs make.
#[tokio::test]
async fn high_s_is_accepted() {
    let world = World::new().await;
    let mut seen = [false; 2];
    for _ in 0..64 {
        let holder = p256();
        let signature = holder
            .sign_now(Input::Message(b"alice@example.com"))
            .unwrap();
        let fixed = waxseal_crypto::ecdsa_fixed_from_der(KeyKind::P256, &signature).unwrap();
        let is_high = usize::from(fixed[32] >= 0x80);
        if !std::mem::replace(&mut seen[is_high], true) {
            let pem = holder.public_key().to_pem();
            let body = key_body_of(&pem, &STANDARD.encode(signature));
            world.leaf(&world.post(Some(&token().await), &body).await);
        }
    }
    assert_eq!(seen, [true; 2]);
}

/// `CN=Mallory, emailAddress…` and a request for `CA:TRUE` and another person's name.
fn greedy() -> (Vec<u8>, Vec<u8>) {
    let text = element(UTF8_STRING, &["mallory"]);
    let pair = element(SEQUENCE, &[oid("2.5.4.3"), text]);
    let subject = element(SEQUENCE, &[element(SET, &[pair])]);
    let extension = |name: &str, critical: bool, value: &[u8]| {
        let mut parts = vec![oid(name)];
        if critical {
            parts.push(element(BOOLEAN, &[[0xff]]));
        }
        parts.push(element(OCTET_STRING, &[value]));
        element(SEQUENCE, &parts)
    };
    let ca = element(SEQUENCE, &[element(BOOLEAN, &[[0xff]])]);
    let name = element(
        SEQUENCE,
        &[element(context_primitive(1), &["mallory@example.com"])],
    );
    let extensions = element(
        SEQUENCE,
        &[
            extension("2.5.29.19", true, &ca),
            extension("2.5.29.17", false, &name),
        ],
    );
    let request = oid("1.2.840.113549.1.9.14");
    (
        subject,
        element(SEQUENCE, &[request, element(SET, &[extensions])]),
    )
}

#[tokio::test]
async fn what_a_csr_says_counts_for_nothing() {
    let world = World::new().await;
    let holder = p256();
    let (subject, attributes) = greedy();
    let body = csr_body(&csr(&*holder, &subject, &attributes));
    let leaf = world.leaf(&world.post(Some(&token().await), &body).await);
    assert!(leaf.subject().is_empty());
    let names: Vec<_> = leaf.subject_alt_names().to_vec();
    assert_eq!(
        names,
        [waxseal_pki::SubjectAltName::Email(
            "alice@example.com".into()
        )]
    );
    assert_eq!(leaf.basic_constraints(), None);
    let text = csr(&*holder, &empty(), &[]);
    let old = text.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST");
    world.leaf(&world.post(Some(&token().await), &csr_body(&old)).await);
}

#[tokio::test]
async fn csr_refusals() {
    let world = World::new().await;
    let (holder, stranger) = (p256(), p256());
    let good = csr(&*holder, &empty(), &[]);
    let label = good.replace("CERTIFICATE REQUEST", "CERTIFICATE");
    for text in [
        "",
        "garbage",
        &label,
        &format!("{good}{good}"),
        &good[..good.len() / 2],
    ] {
        let body = json!({"certificateSigningRequest": STANDARD.encode(text)});
        let missing = text.is_empty();
        // An empty field is an absent one in protobuf.
        let answer = world.post(Some(&token().await), &body).await;
        if missing {
            assert_eq!(answer.status.as_u16(), 400, "{}", answer.text);
        } else {
            answer.check(400, 3, CSR.0, CSR.1);
        }
    }
    let spki = holder.public_key().spki_der();
    let identifier = signature_algorithm(SignatureAlgorithm::EcdsaP256Sha256).unwrap();
    let by_stranger = csr_of(spki, &empty(), &[], &identifier, |info| {
        stranger.sign_now(Input::Message(info)).unwrap()
    });
    refused(&world, &csr_body(&by_stranger), UNPROVEN).await;
    let large = format!("{good}{}", " ".repeat(30_000));
    let answer = world.post(Some(&token().await), &csr_body(&large)).await;
    answer.check(400, 3, CSR.0, "CSR_TOO_LARGE");
}

#[tokio::test]
async fn algorithm() {
    let world = World::new().await;
    for (algorithm, named) in [
        (
            SignatureAlgorithm::RsaPkcs1Sha512,
            SignatureAlgorithm::RsaPkcs1Sha512,
        ),
        (
            SignatureAlgorithm::RsaPkcs1Sha384,
            SignatureAlgorithm::RsaPkcs1Sha384,
        ),
        (
            SignatureAlgorithm::RsaPssSha256,
            SignatureAlgorithm::RsaPssSha256,
        ),
        (
            SignatureAlgorithm::EcdsaP384Sha384,
            SignatureAlgorithm::EcdsaP384Sha256,
        ),
        (
            SignatureAlgorithm::EcdsaP521Sha512,
            SignatureAlgorithm::EcdsaP521Sha256,
        ),
    ] {
        let holder = generate(algorithm);
        let identifier = signature_algorithm(named).unwrap();
        let spki = holder.public_key().spki_der();
        let text = csr_of(spki, &empty(), &[], &identifier, |info| {
            holder.sign_now(Input::Message(info)).unwrap()
        });
        refused(&world, &csr_body(&text), ALGORITHM).await;
    }
    let holder = generate(SignatureAlgorithm::RsaPkcs1Sha256);
    let sign = |info: &[u8]| holder.sign_now(Input::Message(info)).unwrap();
    for old in ["1.2.840.113549.1.1.4", "1.2.840.113549.1.1.5"] {
        // MD5 and SHA-1.
        let identifier = element(SEQUENCE, &[oid(old), vec![5, 0]]);
        let spki = holder.public_key().spki_der();
        let text = csr_of(spki, &empty(), &[], &identifier, sign);
        refused(&world, &csr_body(&text), ALGORITHM).await;
    }
    assert_eq!(holder.algorithm(), SignatureAlgorithm::RsaPkcs1Sha256);
}

#[tokio::test]
async fn weak_keys_in_requests() {
    let world = World::new().await;
    let identity = [&[1][..], &[0; 31]].concat();
    let small = PublicKey::from_key_bytes(KeyKind::Ed25519, &identity).unwrap();
    let identifier = signature_algorithm(SignatureAlgorithm::Ed25519).unwrap();
    let text = csr_of(small.spki_der(), &empty(), &[], &identifier, |_| {
        vec![0; 64]
    });
    refused(&world, &csr_body(&text), INSECURE).await;
    let holder = generate(SignatureAlgorithm::MlDsa44);
    refused(&world, &csr_body(&csr(&*holder, &empty(), &[])), INSECURE).await;
    // A modulus that no row of the registry has.
    let odd = PublicKey::from_rsa_components(&[0xff; 257], &[1, 0, 1]).unwrap();
    let identifier = signature_algorithm(SignatureAlgorithm::RsaPkcs1Sha256).unwrap();
    let text = csr_of(odd.spki_der(), &empty(), &[], &identifier, |_| vec![1; 257]);
    refused(&world, &csr_body(&text), ALGORITHM).await;
}

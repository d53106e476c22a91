//! Every rule of a request by its name.

use waxseal_crypto::{KeyKind, LocalSigner};
use waxseal_formats::log::CreateEntryRequest;
use waxseal_formats::{DsseEnvelope, DsseSignature, KeyDetails as Details};

use super::*;
use crate::testing::provider;

const P256: &str = "PKIX_ECDSA_P256_SHA_256";

fn signer(algorithm: SignatureAlgorithm) -> Box<dyn LocalSigner> {
    provider()
        .signer(&provider().generate(algorithm).unwrap(), algorithm)
        .unwrap()
}

fn verifier(key: VerifierKey, details: &'static str) -> Verifier {
    Verifier {
        key,
        key_details: Details::new(details),
    }
}

fn hashed_rekord(details: &'static str) -> HashedRekordRequest {
    let signer = signer(SignatureAlgorithm::EcdsaP256Sha256);
    let digest = Digest::of(HashAlgorithm::Sha256, b"artifact");
    let key = VerifierKey::PublicKey(signer.public_key().spki_der().to_vec());
    HashedRekordRequest {
        digest: digest.as_bytes().to_vec(),
        signature: Signature {
            content: signer.sign_now(Input::Prehash(&digest)).unwrap(),
            verifier: verifier(key, details),
        },
    }
}

fn dsse() -> DsseRequest {
    let signer = signer(SignatureAlgorithm::EcdsaP256Sha256);
    let mut envelope = DsseEnvelope {
        payload: b"payload".to_vec(),
        payload_type: "text/plain".into(),
        signatures: Vec::new(),
    };
    let sig = signer.sign_now(Input::Message(&envelope.pae())).unwrap();
    envelope.signatures.push(DsseSignature {
        sig,
        keyid: String::new(),
    });
    let key = VerifierKey::PublicKey(signer.public_key().spki_der().to_vec());
    DsseRequest {
        envelope,
        verifiers: vec![verifier(key, P256)],
    }
}

fn check(request: HashedRekordRequest, expected: &RequestError) {
    let verified = CheckedHashedRekord::new(request).and_then(|one| one.verify(provider()));
    assert_eq!(verified.as_ref(), Err(expected));
}

fn check_dsse(request: DsseRequest, expected: &RequestError) {
    let verified = CheckedDsse::new(request).and_then(|one| one.verify(provider()));
    assert_eq!(verified.as_ref().err(), Some(expected));
}

#[test]
fn good_requests_are_good() {
    let request = CheckedHashedRekord::new(hashed_rekord(P256)).unwrap();
    assert_eq!(request.verify(provider()), Ok(()));
    assert!(CheckedDsse::new(dsse()).unwrap().verify(provider()).is_ok());
}

#[test]
fn field() {
    let error = CreateEntryRequest::from_json(b"{}")
        .map_err(RequestError::from)
        .unwrap_err();
    assert!(matches!(error, RequestError::Field(_)));
    assert_eq!(error.refusal("hashedrekord").reason, "MALFORMED_REQUEST");
}

#[test]
fn key_details_not_allowed() {
    for name in [
        "PKIX_ED25519",
        "ML_DSA_44",
        "PKIX_RSA_PSS_2048_SHA256",
        "PKIX_ECDSA_P384_SHA_256",
    ] {
        let found = name.to_owned();
        check(
            hashed_rekord(name),
            &RequestError::KeyDetailsNotAllowed { found },
        );
    }
    let mut request = dsse();
    request.verifiers[0].key_details = Details::new("LMS_SHA256");
    let found = "LMS_SHA256".to_owned();
    check_dsse(request, &RequestError::KeyDetailsNotAllowed { found });
}

#[test]
fn certificate() {
    let mut request = hashed_rekord(P256);
    request.signature.verifier.key = VerifierKey::Certificate(vec![7]);
    check(
        request,
        &RequestError::Certificate(CertificateError::Malformed),
    );
}

#[test]
fn public_key() {
    let mut request = hashed_rekord(P256);
    request.signature.verifier.key = VerifierKey::PublicKey(vec![7]);
    check(request, &RequestError::PublicKey(KeyError::Malformed));
}

#[test]
fn key_details_mismatch() {
    let found = "PKIX_ECDSA_P384_SHA_384";
    check(
        hashed_rekord(found),
        &RequestError::KeyDetailsMismatch { found },
    );
    // RSA keys must have the length that the details name.
    let modulus = [vec![0x02, 0x82, 1, 1, 0, 0x80], vec![1; 255]].concat();
    let body = [modulus, vec![2, 3, 1, 0, 1]].concat();
    let rsa = [vec![0x30, 0x82, 1, 10], body].concat();
    let rsa = PublicKey::from_key_bytes(KeyKind::Rsa, &rsa).unwrap();
    let found = "PKIX_RSA_PKCS1V15_4096_SHA256";
    let mut request = hashed_rekord(found);
    request.signature.verifier.key = VerifierKey::PublicKey(rsa.spki_der().to_vec());
    check(request, &RequestError::KeyDetailsMismatch { found });
}

#[test]
fn s_11_digest_length() {
    for found in [0, 31, 33, 48, 64] {
        let mut request = hashed_rekord(P256);
        request.digest = vec![7; found];
        check(request, &RequestError::DigestLength { found });
    }
}

#[test]
fn no_signature() {
    let mut request = dsse();
    request.envelope.signatures.clear();
    check_dsse(request, &RequestError::NoSignature);
}

#[test]
fn no_verifier() {
    let mut request = dsse();
    request.verifiers.clear();
    check_dsse(request, &RequestError::NoVerifier);
}

#[test]
fn signature() {
    let source = SignatureError::Invalid;
    let mut request = hashed_rekord(P256);
    request.digest = vec![7; 32];
    check(
        request,
        &RequestError::Signature {
            position: 0,
            source,
        },
    );
    // Every signature must verify, not only one of them.
    let mut request = dsse();
    let other = dsse().envelope.signatures;
    request.envelope.signatures.extend(other);
    check_dsse(
        request,
        &RequestError::Signature {
            position: 1,
            source,
        },
    );
}

#[test]
fn s_10_the_verdict_does_not_depend_on_luck() {
    let (mut request, more) = (dsse(), dsse());
    request.envelope.signatures.extend(more.envelope.signatures);
    request.verifiers.extend(more.verifiers);
    let checked = CheckedDsse::new(request).unwrap();
    let first = checked.verify(provider()).unwrap();
    for _ in 0..100 {
        assert_eq!(checked.verify(provider()), Ok(first.clone()));
    }
}

#[test]
fn unknown_kind() {
    assert_eq!(
        RequestError::UnknownKind.refusal("hashedrekord").reason,
        "UNKNOWN_KIND"
    );
}

#[test]
fn costs_are_counted_before_anything_is_verified() {
    assert_eq!(
        CheckedHashedRekord::new(hashed_rekord(P256))
            .unwrap()
            .cost(),
        1
    );
    let costs = [
        (SignatureAlgorithm::EcdsaP384Sha384, 104, 4),
        (SignatureAlgorithm::EcdsaP521Sha512, 139, 6),
        (SignatureAlgorithm::Ed25519ph, 64, 1),
        (SignatureAlgorithm::RsaPkcs1Sha256, 256, 1),
        (SignatureAlgorithm::RsaPkcs1Sha256, 384, 1),
        (SignatureAlgorithm::RsaPkcs1Sha256, 512, 2),
        (SignatureAlgorithm::MlDsa44, 2420, 1),
        (SignatureAlgorithm::MlDsa87, 4627, 2),
    ];
    for (algorithm, length, cost) in costs {
        assert_eq!(cost_of(algorithm, length), cost, "{algorithm:?} {length}");
    }
    // Every verifier may be tried on every signature.
    let mut request = dsse();
    let more = dsse();
    request.envelope.signatures.extend(more.envelope.signatures);
    request.verifiers.extend(more.verifiers);
    assert_eq!(CheckedDsse::new(request).unwrap().cost(), 4);
}

/// A request of 4 MiB may not cost a second of hashing, priced as a hundred signatures.
#[test]
fn too_much_to_hash() {
    let mut request = dsse();
    request.envelope.payload = vec![7; 3 << 20];
    // One hash, however many keys.
    let cost = CheckedDsse::new(request.clone()).unwrap().cost();
    assert_eq!(cost, 1 + 128);
    for _ in 1..10 {
        let signature = request.envelope.signatures[0].clone();
        request.envelope.signatures.push(signature);
        request.verifiers.push(request.verifiers[0].clone());
    }
    let cost = CheckedDsse::new(request.clone()).unwrap().cost();
    assert_eq!(cost, 100 + 128);
    let ed25519 = signer(SignatureAlgorithm::Ed25519);
    let key = VerifierKey::PublicKey(ed25519.public_key().spki_der().to_vec());
    request.verifiers[0] = verifier(key.clone(), "PKIX_ED25519");
    assert!(CheckedDsse::new(request.clone()).is_ok());
    request.verifiers[1] = verifier(key, "PKIX_ED25519");
    let expected = RequestError::TooMuchToHash {
        count: 21,
        length: 3 << 20,
    };
    check_dsse(request, &expected);
    assert_eq!(expected.refusal("dsse").kind, RefusalKind::TooLarge);
}

#[test]
fn dsse_not_taken() {
    let log = crate::ArtifactLog::new(provider()).without_dsse();
    let body = CreateEntryRequest::Dsse(dsse()).to_json();
    let Err(refusal) = log.read(body.as_bytes()) else {
        panic!("it was taken");
    };
    assert_eq!(refusal.reason, "DSSE_NOT_TAKEN");
    assert_eq!(refusal.message, "invalid type, must be hashedrekord");
    assert!(
        crate::ArtifactLog::new(provider())
            .read(body.as_bytes())
            .is_ok()
    );
}

#[test]
fn entry_too_long() {
    assert!(super::super::fit(vec![7; 65_535]).is_ok());
    let error = super::super::fit(vec![7; 65_536]).unwrap_err();
    assert_eq!(error, RequestError::EntryTooLong { length: 65_536 });
    assert_eq!(error.refusal("hashedrekord").kind, RefusalKind::TooLarge);
}

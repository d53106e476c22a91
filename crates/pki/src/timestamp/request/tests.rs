//! Tests of the file above.

use super::*;
use crate::element::encode_oid;

fn request() -> TimestampRequest {
    TimestampRequest::new(Digest::of(HashAlgorithm::Sha256, b"hello"))
}

fn raw(parts: &[&[u8]]) -> Result<TimestampRequest, RequestError> {
    TimestampRequest::parse(&encode(SEQUENCE, parts))
}

const V1: &[u8] = &[2, 1, 1];

#[test]
fn round_trip() {
    let policy = ObjectIdentifier::new("1.3.6.1.4.1.57264.2").unwrap();
    for algorithm in [
        HashAlgorithm::Sha256,
        HashAlgorithm::Sha384,
        HashAlgorithm::Sha512,
    ] {
        let plain = TimestampRequest::new(Digest::of(algorithm, b"hello"));
        let full = plain
            .clone()
            .with_nonce(&[0xff, 1])
            .with_policy(policy)
            .with_certificates(true);
        assert_eq!(full.nonce.as_deref(), Some(&[0, 0xff, 1][..]));
        for request in [plain, full] {
            assert_eq!(TimestampRequest::parse(&request.encode()), Ok(request));
        }
    }
}

#[test]
fn optional_fields() {
    let imprint = request().imprint.encode();
    let negative = raw(&[V1, &imprint, &[2, 1, 0x80]]).unwrap();
    assert_eq!(negative.nonce.as_deref(), Some(&[0x80][..]));
    assert!(!raw(&[V1, &imprint, &[1, 1, 0]]).unwrap().certificates);
    let extension = encode(SEQUENCE, &[&[6, 2, 0x2a, 3][..], &[1, 1, 0xff], &[4, 0]]);
    let found = raw(&[V1, &imprint, &encode(0xa0, &[extension])]).unwrap();
    assert_eq!(found.extensions, [ObjectIdentifier::new("1.2.3").unwrap()]);
    let absent = algorithm::digest_identifier(HashAlgorithm::Sha256);
    let imprint = encode(SEQUENCE, &[absent, encode(OCTET_STRING, &[[7; 32]])]);
    let found = raw(&[V1, &imprint]).unwrap();
    assert_eq!(found.imprint.encode(), imprint, "echoed as it was written");
}

#[test]
fn too_large() {
    assert_eq!(
        TimestampRequest::parse(&[0; MAX_REQUEST + 1]),
        Err(RequestError::TooLarge)
    );
    assert_eq!(
        TimestampRequest::parse(&[0; MAX_REQUEST]),
        Err(RequestError::Malformed)
    );
}

#[test]
fn malformed() {
    let der = request().with_nonce(&[1]).encode();
    for length in 0..der.len() {
        assert_eq!(
            TimestampRequest::parse(&der[..length]),
            Err(RequestError::Malformed)
        );
    }
    let trailing = [&der[..], &[0]].concat();
    assert_eq!(
        TimestampRequest::parse(&trailing),
        Err(RequestError::Malformed)
    );
    let imprint = request().imprint.encode();
    assert_eq!(
        raw(&[V1, &imprint, &[1, 1, 1]]),
        Err(RequestError::Malformed)
    );
    assert_eq!(
        raw(&[V1, &imprint, &[2, 2, 0, 1]]),
        Err(RequestError::Malformed)
    );
}

#[test]
fn unknown_version() {
    let imprint = request().imprint.encode();
    assert_eq!(
        raw(&[&[2, 1, 2], &imprint]),
        Err(RequestError::UnknownVersion)
    );
}

fn imprint(oid: &str, length: usize) -> Vec<u8> {
    let oid = encode_oid(ObjectIdentifier::new(oid).unwrap());
    let digest = encode(OCTET_STRING, &[vec![7; length]]);
    encode(SEQUENCE, &[encode(SEQUENCE, &[&oid[..], &[5, 0]]), digest])
}

/// V-66: SHA-1, MD5 and what we do not know.
#[test]
fn weak_hash() {
    for (oid, length) in [
        ("1.3.14.3.2.26", 20),
        ("1.2.840.113549.2.5", 16),
        ("2.16.840.1.101.3.4.2.4", 28),
        ("2.16.840.1.101.3.4.2.8", 32),
    ] {
        assert_eq!(
            raw(&[V1, &imprint(oid, length)]),
            Err(RequestError::WeakHash)
        );
    }
}

#[test]
fn digest_length() {
    for length in [0, 31, 33, 64] {
        let found = raw(&[V1, &imprint("2.16.840.1.101.3.4.2.1", length)]);
        let algorithm = HashAlgorithm::Sha256;
        assert_eq!(
            found,
            Err(RequestError::DigestLength {
                algorithm,
                found: length
            })
        );
    }
}

#[test]
fn nonce_too_long() {
    let imprint = request().imprint.encode();
    let nonce = |length: usize| encode(INTEGER, &[vec![1; length]]);
    assert!(raw(&[V1, &imprint, &nonce(MAX_NONCE)]).is_ok());
    let found = raw(&[V1, &imprint, &nonce(MAX_NONCE + 1)]);
    assert_eq!(
        found,
        Err(RequestError::NonceTooLong {
            found: MAX_NONCE + 1
        })
    );
}

/// V-67: an object identifier that would be a million numbers is refused by its length.
#[test]
fn oid_too_long() {
    let imprint = request().imprint.encode();
    let found = raw(&[V1, &imprint, &encode(OID, &[[1; 40]])]);
    assert_eq!(found, Err(RequestError::OidTooLong));
    assert!(raw(&[V1, &imprint, &encode(OID, &[[0x2a; 39]])]).is_ok());
}

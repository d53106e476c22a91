//! Tests of the file above.

use super::*;
use crate::element::encode;
use crate::testing::{
    Draft, Party, TokenDraft, attributes, eku, signed_attribute, signing_certificate, tst_info,
    tst_info_over,
};

struct World {
    signer: Party,
    certificate: Certificate,
    draft: TokenDraft,
}

fn world() -> World {
    let (issuer, signer) = (Party::new("tsa root"), Party::new("tsa"));
    let certificate = Draft::new(&issuer, &signer, &[eku(true, &[8])]).certificate(&issuer);
    let draft = TokenDraft::new(&certificate, &signer);
    World {
        signer,
        certificate,
        draft,
    }
}

fn parsed(change: impl FnOnce(&mut World)) -> Result<TimestampToken, TokenError> {
    let mut world = world();
    change(&mut world);
    TimestampToken::parse(&world.draft.der(&world.signer))
}

fn error(change: impl FnOnce(&mut World)) -> TokenError {
    parsed(change).unwrap_err()
}

fn content(extra: &[Vec<u8>]) -> Result<TimestampToken, TokenError> {
    let info = tst_info(extra);
    parsed(|world| {
        world
            .draft
            .set_content(info, HashAlgorithm::Sha256, &world.certificate)
    })
}

#[test]
fn fields() {
    let token = parsed(|_| ()).unwrap();
    let info = token.info();
    assert_eq!(info.time.to_string(), "2026-06-01T12:00:00Z");
    assert_eq!(info.serial, [9]);
    assert_eq!(info.imprint, Digest::of(HashAlgorithm::Sha256, b"hello"));
    assert_eq!(info.policy.to_string(), "1.2.3");
    assert_eq!(
        (info.accuracy, info.ordering, info.nonce.as_ref()),
        (None, false, None)
    );
    assert_eq!(token.certificates().count(), 0);
    let accuracy = encode(SEQUENCE, &[&[2, 1, 1][..], &[0x80, 1, 2], &[0x81, 1, 3]]);
    let name = encode(0xa0, &[encode(0xa4, &[crate::testing::name("tsa")])]);
    let token = content(&[accuracy, vec![1, 1, 0xff], vec![2, 1, 0x80], name]).unwrap();
    let accuracy = token.info().accuracy.unwrap();
    assert_eq!(
        (accuracy.seconds, accuracy.millis, accuracy.micros),
        (1, 2, 3)
    );
    assert!(token.info().ordering);
    assert_eq!(token.info().nonce.as_deref(), Some(&[0x80][..]));
    // An empty set of certificates is none.
    let token = parsed(|world| world.draft.certificates = Some(Vec::new())).unwrap();
    assert_eq!(token.certificates().count(), 0);
}

#[test]
fn malformed() {
    let world = world();
    let der = world.draft.der(&world.signer);
    for length in 0..der.len() {
        assert_eq!(
            TimestampToken::parse(&der[..length]),
            Err(TokenError::Malformed)
        );
    }
    let trailing = [&der[..], &[0]].concat();
    assert_eq!(TimestampToken::parse(&trailing), Err(TokenError::Malformed));
    // milliseconds out of range
    let accuracy = encode(SEQUENCE, &[[0x80, 2, 3, 0xe8]]);
    assert_eq!(content(&[accuracy]), Err(TokenError::Malformed));
}

#[test]
fn no_bit_flip_panics() {
    let world = world();
    let der = world.draft.der(&world.signer);
    for index in 0..der.len() {
        for bit in 0..8 {
            let mut changed = der.clone();
            changed[index] ^= 1 << bit;
            if let Ok(token) = TimestampToken::parse(&changed) {
                let _ = token.is_signed_by(&world.certificate);
                let _ = token.names_certificate(&world.certificate);
                let _ = token.is_content_intact();
            }
        }
    }
}

#[test]
fn not_signed_data() {
    let found = error(|world| world.draft.outer_type = vec![6, 2, 0x2a, 3]);
    assert_eq!(
        found,
        TokenError::NotSignedData {
            found: "1.2.3".parse().unwrap()
        }
    );
}

#[test]
fn unknown_version() {
    for version in [1, 2, 4] {
        let found = error(|world| world.draft.version = version);
        assert_eq!(found, TokenError::UnknownVersion);
    }
    // Version 1 goes with issuer and serial number, 3 with a key identifier.
    let found = error(|world| world.draft.signer_version = 3);
    assert_eq!(found, TokenError::UnknownVersion);
    let found = error(|world| world.draft.sid = encode(0x80, &[[7; 20]]));
    assert_eq!(found, TokenError::UnknownVersion);
    assert!(
        parsed(|world| {
            world.draft.signer_version = 3;
            world.draft.sid = encode(0x80, &[[7; 20]]);
        })
        .is_ok()
    );
    let other = encode(SEQUENCE, &[[2, 1, 2]]);
    let found = error(|world| {
        world
            .draft
            .set_content(other, HashAlgorithm::Sha256, &world.certificate)
    });
    assert_eq!(found, TokenError::UnknownVersion);
}

/// V-64: the content is a TSTInfo, by the content's own word and by the signed attribute's.
#[test]
fn wrong_content_type() {
    let expected = TokenError::WrongContentType {
        found: "1.2.3".parse().unwrap(),
    };
    assert_eq!(
        error(|world| world.draft.content_type = vec![6, 2, 0x2a, 3]),
        expected
    );
    let found = error(|world| {
        let list = world.draft.attributes.as_mut().unwrap();
        list[0] = signed_attribute("1.2.840.113549.1.9.3", &[6, 2, 0x2a, 3]);
    });
    assert_eq!(found, expected);
}

/// V-63: whoever looks at the first signer only, or at the last only, sees another token.
#[test]
fn v_63_signer_count() {
    for count in [0, 2, 3] {
        let found = error(|world| world.draft.signers = count);
        assert_eq!(found, TokenError::SignerCount { found: count });
    }
}

#[test]
fn signer_count() {
    v_63_signer_count();
}

/// V-64: without signed attributes, a signature over content passes for one over attributes.
#[test]
fn v_64_no_signed_attributes() {
    assert_eq!(
        error(|world| world.draft.attributes = None),
        TokenError::NoSignedAttributes
    );
}

#[test]
fn no_signed_attributes() {
    v_64_no_signed_attributes();
}

/// V-63: the order in the token is the order that is signed.
#[test]
fn v_63_unordered_attributes() {
    let found = error(|world| {
        world.draft.sorted = false;
        let list = world.draft.attributes.as_mut().unwrap();
        list.sort();
        list.reverse();
    });
    assert_eq!(found, TokenError::UnorderedAttributes);
}

#[test]
fn unordered_attributes() {
    v_63_unordered_attributes();
}

#[test]
fn attribute() {
    for (index, oid) in [
        (0, "1.2.840.113549.1.9.3"),
        (1, "1.2.840.113549.1.9.4"),
        (2, "1.2.840.113549.1.9.16.2.47"),
    ] {
        let expected = TokenError::Attribute {
            oid: oid.parse().unwrap(),
        };
        let change = |change: fn(&mut Vec<Vec<u8>>, usize, &str)| {
            error(|world| change(world.draft.attributes.as_mut().unwrap(), index, oid))
        };
        let missing = change(|list, index, _| drop(list.remove(index)));
        let twice = change(|list, index, _| list.push(list[index].clone()));
        let two_values = change(|list, index, oid| {
            list[index] = signed_attribute(oid, &[&tst_info(&[])[..], &[5, 0]].concat());
        });
        let no_value = change(|list, index, oid| list[index] = signed_attribute(oid, &[]));
        assert_eq!(
            [missing, twice, two_values, no_value],
            [(); 4].map(|()| expected.clone())
        );
    }
}

/// V-66: SHA-1 and MD5 count nowhere.
#[test]
fn weak_hash() {
    let sha1 = encode(SEQUENCE, &[[6, 5, 0x2b, 0x0e, 3, 2, 0x1a]]);
    assert_eq!(
        error(|world| world.draft.digest = sha1.clone()),
        TokenError::WeakHash
    );
    let info = tst_info_over(&sha1, &[7; 20], &[]);
    let found = error(|world| {
        world
            .draft
            .set_content(info, HashAlgorithm::Sha256, &world.certificate)
    });
    assert_eq!(found, TokenError::WeakHash);
    let found = error(|world| {
        let id = encode(SEQUENCE, &[&sha1[..], &[4, 0]]);
        let value = encode(SEQUENCE, &[encode(SEQUENCE, &[id])]);
        world.draft.attributes.as_mut().unwrap()[2] =
            signed_attribute("1.2.840.113549.1.9.16.2.47", &value);
    });
    assert_eq!(found, TokenError::WeakHash);
}

#[test]
fn too_many_certificates() {
    let with = |count: usize| {
        parsed(|world| {
            world.draft.certificates = Some(vec![world.certificate.der().to_vec(); count]);
        })
    };
    assert_eq!(
        with(MAX_TOKEN_CERTIFICATES).unwrap().certificates().count(),
        16
    );
    assert_eq!(
        with(MAX_TOKEN_CERTIFICATES + 1),
        Err(TokenError::TooManyCertificates)
    );
}

#[test]
fn critical_extension() {
    let with = |flag: &[u8]| {
        let extension = encode(SEQUENCE, &[&[6, 2, 0x2a, 3][..], flag, &[4, 0]]);
        content(&[encode(0xa1, &[extension])])
    };
    assert!(with(&[]).is_ok());
    let oid = "1.2.3".parse().unwrap();
    assert_eq!(
        with(&[1, 1, 0xff]),
        Err(TokenError::CriticalExtension { oid })
    );
}

#[test]
fn rejected() {
    use crate::timestamp::PkiFailure;
    let der = TimestampResponse::encode_rejection(PkiFailure::BadAlgorithm, "no");
    let found = TimestampToken::from_response(&der);
    let expected = TokenError::Rejected {
        status: 2,
        failure: 1,
    };
    assert_eq!(found, Err(ResponseError::Token(expected)));
}

#[test]
fn the_signer_is_matched_by_what_it_names() {
    let world = world();
    let token = TimestampToken::parse(&world.draft.der(&world.signer)).unwrap();
    assert!(token.is_signed_by(&world.certificate));
    assert!(token.names_certificate(&world.certificate));
    assert!(token.is_content_intact());
    let other = Draft::new(&Party::new("tsa root"), &world.signer, &[eku(true, &[8])]);
    let other = other.certificate(&Party::new("tsa root"));
    assert!(token.is_signed_by(&other), "same issuer and serial number");
    assert!(!token.names_certificate(&other), "another certificate");
    // The first version of the attribute is a SHA-1.
    use sha1::Digest as _;
    let mut first = world.draft.clone();
    let hash = sha1::Sha1::digest(world.certificate.der());
    let id = encode(SEQUENCE, &[encode(OCTET_STRING, &[hash.as_slice()])]);
    let value = encode(SEQUENCE, &[encode(SEQUENCE, &[id])]);
    let mut list = attributes(&first.content, HashAlgorithm::Sha256, &world.certificate);
    list[2] = signed_attribute("1.2.840.113549.1.9.16.2.12", &value);
    first.attributes = Some(list);
    let token = TimestampToken::parse(&first.der(&world.signer)).unwrap();
    assert!(token.names_certificate(&world.certificate));
    assert!(!token.names_certificate(&other));
    assert_ne!(
        signing_certificate(&other),
        signing_certificate(&world.certificate)
    );
}

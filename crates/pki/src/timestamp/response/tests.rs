//! Tests of the file above.

use super::*;

const ALL: [(PkiFailure, u32); 8] = [
    (PkiFailure::BadAlgorithm, 0),
    (PkiFailure::BadRequest, 2),
    (PkiFailure::BadDataFormat, 5),
    (PkiFailure::TimeNotAvailable, 14),
    (PkiFailure::UnacceptedPolicy, 15),
    (PkiFailure::UnacceptedExtension, 16),
    (PkiFailure::AdditionalInfoNotAvailable, 17),
    (PkiFailure::SystemFailure, 25),
];

#[test]
fn rejections_round_trip() {
    for (failure, bit) in ALL {
        let der = TimestampResponse::encode_rejection(failure, "no");
        let expected = TimestampResponse::Rejected {
            status: 2,
            failure: 1 << bit,
        };
        assert_eq!(TimestampResponse::parse(&der), Ok(expected));
        let found = TimestampToken::from_response(&der);
        let rejected = TokenError::Rejected {
            status: 2,
            failure: 1 << bit,
        };
        assert_eq!(found, Err(ResponseError::Token(rejected)));
    }
}

#[test]
fn too_large() {
    let check = |length: usize, expected: ResponseError| {
        assert_eq!(TimestampResponse::parse(&vec![0; length]), Err(expected));
    };
    check(MAX_RESPONSE, ResponseError::Malformed);
    check(
        MAX_RESPONSE + 1,
        ResponseError::TooLarge {
            found: MAX_RESPONSE + 1,
        },
    );
}

#[test]
fn malformed() {
    let check = |der: &[u8]| {
        assert_eq!(
            TimestampResponse::parse(der),
            Err(ResponseError::Malformed),
            "{der:02x?}"
        );
    };
    check(&[]);
    check(&[0x30, 0]);
    // granted, without a token
    check(&[0x30, 5, 0x30, 3, 2, 1, 0]);
    // a negative status
    check(&[0x30, 5, 0x30, 3, 2, 1, 0xff]);
    // rejected, with a token
    check(&[0x30, 7, 0x30, 3, 2, 1, 2, 0x30, 0]);
    // more failure bits than there are
    check(&[0x30, 13, 0x30, 11, 2, 1, 2, 3, 6, 0, 0, 0, 0, 0, 1]);
}

#[test]
fn token() {
    let der = TimestampResponse::encode_granted(&[0x30, 0]);
    let found = TimestampResponse::parse(&der);
    assert_eq!(found, Err(ResponseError::Token(TokenError::Malformed)));
}

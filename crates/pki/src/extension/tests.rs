//! Tests of the file above.

use super::*;
use crate::element::encode;

#[test]
fn names() {
    let check = |name: Vec<u8>, expected: Option<SubjectAltName>| {
        let found = parse_names(&encode(SEQUENCE, &[name])).ok();
        assert_eq!(found, expected.map(|name| vec![name]));
    };
    check(
        encode(0x81, &["a@b"]),
        Some(SubjectAltName::Email("a@b".into())),
    );
    check(encode(0x82, &["b"]), Some(SubjectAltName::Dns("b".into())));
    check(
        encode(0x86, &["c:d"]),
        Some(SubjectAltName::Uri("c:d".into())),
    );
    check(
        encode(0x87, &[[127, 0, 0, 1]]),
        Some(SubjectAltName::Ip([127, 0, 0, 1].into())),
    );
    check(
        encode(0x87, &[[0; 16]]),
        Some(SubjectAltName::Ip([0; 16].into())),
    );
    check(encode(0x87, &[[0; 5]]), None);
    check(
        encode(0xa4, &[[0x30, 0]]),
        Some(SubjectAltName::Other { tag: 4 }),
    );
    check(encode(0x81, &["é"]), None);
    check(encode(0xa1, &["a@b"]), None);
    let user = |tag: u8, text: &[u8]| {
        let oid = encode(OID, &[[0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 7]]);
        encode(0xa0, &[oid, encode(0xa0, &[encode(tag, &[text])])])
    };
    let oid = ObjectIdentifier::new("1.3.6.1.4.1.57264.1.7").unwrap();
    let value = "alice!example.com".to_owned();
    check(
        user(UTF8_STRING, value.as_bytes()),
        Some(SubjectAltName::OtherName { oid, value }),
    );
    check(user(0x16, b"ia5"), Some(SubjectAltName::Other { tag: 0 }));
    check(user(UTF8_STRING, &[0xff]), None);
}

#[test]
fn key_usages() {
    let check = |bits: &[u8], expected: Option<[bool; 4]>| {
        let found = parse_key_usage(&encode(BIT_STRING, &[bits]))
            .ok()
            .map(|usage| {
                [
                    usage.digital_signature,
                    usage.content_commitment,
                    usage.key_cert_sign,
                    usage.crl_sign,
                ]
            });
        assert_eq!(found, expected, "{bits:02x?}");
    };
    check(&[7, 0x80], Some([true, false, false, false]));
    check(&[6, 0xc0], Some([true, true, false, false]));
    check(&[1, 0x06], Some([false, false, true, true]));
    check(&[7, 0x00, 0x80], Some([false, false, false, false]));
    check(&[7, 0x00], None);
    check(&[0], None);
    check(&[], None);
}

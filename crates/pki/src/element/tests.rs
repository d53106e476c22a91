//! Both sides of every rule of strict DER.

use super::*;

#[test]
fn lengths_are_the_shortest() {
    let check = |bytes: &[u8], expected: Option<usize>| {
        let found = Cursor::new(bytes)
            .next()
            .ok()
            .map(|element| element.value.len());
        assert_eq!(found, expected, "{bytes:02x?}");
    };
    check(&[], None);
    check(&[4], None);
    check(&[4, 0], Some(0));
    check(&[4, 1], None);
    check(&[4, 1, 7], Some(1));
    check(&[4, 0x80], None);
    check(&[4, 0x80, 0, 0], None);
    check(&[4, 0x81, 1, 7], None);
    check(&[4, 0x82, 0, 1, 7], None);
    check(&[4, 0x84, 0, 0, 0, 1, 7], None);
    check(&[4, 0xff, 7], None);
    check(&[0x1f, 1, 7], None);
    for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
        let encoded = encode(4, &[vec![7; length]]);
        check(&encoded, Some(length));
        check(&encoded[..encoded.len() - 1], None);
        assert_eq!(Element::only(&encoded, 4).unwrap().raw, encoded);
        assert_eq!(Element::only(&encoded, 5), Err(NotDer));
        assert_eq!(Element::only(&[encoded, vec![0]].concat(), 4), Err(NotDer));
    }
}

#[test]
fn integers() {
    let check = |value: &[u8], any: bool, small: Option<u32>| {
        let element = Element {
            tag: INTEGER,
            value,
            raw: value,
        };
        assert_eq!(element.integer().is_ok(), any, "{value:02x?}");
        assert_eq!(element.small().ok(), small, "{value:02x?}");
    };
    check(&[], false, None);
    check(&[0], true, Some(0));
    check(&[0x7f], true, Some(127));
    check(&[0, 0x7f], false, None);
    check(&[0, 0x80], true, Some(128));
    check(&[0x80], true, None);
    check(&[0xff, 0x7f], true, None);
    check(&[0xff, 0x80], false, None);
    check(&[0, 0xff, 0xff, 0xff, 0xff], true, Some(u32::MAX));
    check(&[1, 0, 0, 0, 0], true, None);
    for magnitude in [
        &[][..],
        &[0],
        &[0, 0],
        &[1],
        &[0x80],
        &[0, 0x80],
        &[0xff; 20],
    ] {
        let encoded = encode_unsigned(magnitude);
        let element = Element::only(&encoded, INTEGER).unwrap();
        assert!(element.integer().is_ok());
        assert!(element.value[0] < 0x80);
    }
}

#[test]
fn times() {
    let check = |tag: u8, text: &str, expected: Option<&str>| {
        let element = Element {
            tag,
            value: text.as_bytes(),
            raw: &[],
        };
        let found = element.time().ok().map(|time| time.to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    };
    check(UTC_TIME, "260101000000Z", Some("2026-01-01T00:00:00Z"));
    check(UTC_TIME, "491231235959Z", Some("2049-12-31T23:59:59Z"));
    check(UTC_TIME, "500101000000Z", Some("1950-01-01T00:00:00Z"));
    check(UTC_TIME, "2601010000Z", None);
    check(UTC_TIME, "260101000000+0000", None);
    check(UTC_TIME, "261301000000Z", None);
    check(UTC_TIME, "2601010000 0Z", None);
    check(
        GENERALIZED_TIME,
        "20500101000000Z",
        Some("2050-01-01T00:00:00Z"),
    );
    check(GENERALIZED_TIME, "20500101000000.5Z", None);
    check(GENERALIZED_TIME, "20500101000000", None);
    check(INTEGER, "260101000000Z", None);
}

#[test]
fn fractions_of_a_second_are_strict() {
    let check = |text: &str, expected: Option<u32>| {
        let element = Element {
            tag: GENERALIZED_TIME,
            value: text.as_bytes(),
            raw: &[],
        };
        let found = element.fractional_time().ok().map(Time::subsec_nanos);
        assert_eq!(found, expected, "{text}");
    };
    check("20260101000000Z", Some(0));
    check("20260101000000.5Z", Some(500_000_000));
    check("20260101000000.000000001Z", Some(1));
    check("20260101000000.0000000001Z", None);
    check("20260101000000.50Z", None);
    check("20260101000000.0Z", None);
    check("20260101000000.Z", None);
    check("20260101000000,5Z", None);
    check("20260101000000.5", None);
    check("20260101000000", None);
    check("202601010000Z", None);
    check("20260101000060Z", None);
    check("", None);
}

#[test]
fn sets_are_in_order() {
    let members = vec![vec![4, 1, 2], vec![4, 1, 1], vec![2, 1, 9]];
    let encoded = encode_set_of(members);
    assert_eq!(encoded, [SET, 9, 2, 1, 9, 4, 1, 1, 4, 1, 2]);
    assert!(is_set_of(&encoded[2..]));
    assert!(is_set_of(&[]));
    assert!(!is_set_of(&[4, 1, 2, 4, 1, 1]));
    assert!(!is_set_of(&[4, 2, 2]));
}

#[test]
fn object_identifiers_are_recognised_without_being_decoded() {
    let check = |value: &[u8]| {
        let element = Element {
            tag: OID,
            value,
            raw: value,
        };
        assert_eq!(element.is_oid(), element.oid().is_ok(), "{value:02x?}");
    };
    check(&[]);
    // every mix of the octets that matter, up to seven long
    let octets = [0x00, 0x2a, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0xff];
    for length in 1..=6_u32 {
        for mut number in 0..8_usize.pow(length) {
            let value: Vec<u8> = (0..length)
                .map(|_| {
                    let octet = octets[number % 8];
                    number /= 8;
                    octet
                })
                .collect();
            check(&value);
        }
    }
    for length in 35..45 {
        check(&vec![0x2a; length]);
    }
}

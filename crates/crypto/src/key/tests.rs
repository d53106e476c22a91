//! Every error of a public key, and every kind there and back.

use super::*;

fn bytes_of(kind: KeyKind) -> Vec<u8> {
    let point = |length: usize| [vec![4], vec![9; 2 * length]].concat();
    match kind {
        KeyKind::P256 => point(32),
        KeyKind::P384 => point(48),
        KeyKind::P521 => point(66),
        KeyKind::Ed25519 => vec![9; 32],
        KeyKind::MlDsa44 => vec![9; 1312],
        KeyKind::MlDsa65 => vec![9; 1952],
        KeyKind::MlDsa87 => vec![9; 2592],
        KeyKind::Rsa => {
            let modulus = [vec![0x02, 0x82, 1, 1, 0, 0x80], vec![1; 255]].concat();
            let body = [modulus, vec![2, 3, 1, 0, 1]].concat();
            [vec![0x30, 0x82, 1, 10], body].concat()
        }
    }
}

const KINDS: [KeyKind; 8] = [
    KeyKind::P256,
    KeyKind::P384,
    KeyKind::P521,
    KeyKind::Ed25519,
    KeyKind::Rsa,
    KeyKind::MlDsa44,
    KeyKind::MlDsa65,
    KeyKind::MlDsa87,
];

#[test]
fn every_kind_survives_a_round_trip() {
    for kind in KINDS {
        let key = PublicKey::from_key_bytes(kind, &bytes_of(kind)).unwrap();
        assert_eq!(key.kind(), kind);
        assert_eq!(key.key_bytes(), bytes_of(kind));
        assert_eq!(PublicKey::from_spki_der(key.spki_der()), Ok(key.clone()));
        assert_eq!(PublicKey::from_pem(&key.to_pem()), Ok(key.clone()));
        assert_eq!(key.rsa_bits(), (kind == KeyKind::Rsa).then_some(2048));
        let exponent = key.rsa_components().map(|(_, exponent)| exponent);
        assert_eq!(exponent, (kind == KeyKind::Rsa).then_some(&[1, 0, 1][..]));
    }
}

#[test]
fn malformed() {
    let good = PublicKey::from_key_bytes(KeyKind::P256, &bytes_of(KeyKind::P256)).unwrap();
    let good = good.spki_der();
    let trailing = [good, &[0]].concat();
    // V-23: a raw key is not a key; its type is never guessed.
    for bytes in [
        &[][..],
        &[0x30],
        &[9; 32],
        &trailing,
        &good[..good.len() - 1],
    ] {
        assert_eq!(PublicKey::from_spki_der(bytes), Err(KeyError::Malformed));
    }
    for cut in 0..good.len() {
        assert!(PublicKey::from_spki_der(&good[..cut]).is_err());
    }
}

#[test]
fn unknown_kind() {
    let mut spki = encode_spki(KeyKind::Ed25519, &[9; 32]);
    let at = spki
        .windows(3)
        .position(|w| w == [0x2b, 0x65, 0x70])
        .unwrap();
    spki[at + 2] = 0x6e; // 1.3.101.110 is X25519
    let expected = KeyError::UnknownKind {
        oid: "1.3.101.110".into(),
    };
    assert_eq!(PublicKey::from_spki_der(&spki), Err(expected));
}

#[test]
fn bad_parameters() {
    let p256 = encode_spki(KeyKind::P256, &bytes_of(KeyKind::P256));
    let mut explicit = p256;
    let at = explicit.windows(2).position(|w| w == [6, 8]).unwrap();
    explicit[at] = 4; // an OCTET STRING in place of the curve's OID
    assert_eq!(
        PublicKey::from_spki_der(&explicit),
        Err(KeyError::BadParameters)
    );
}

#[test]
fn bad_key_bytes() {
    for kind in KINDS {
        let mut long = bytes_of(kind);
        long.push(0);
        for bytes in [&[][..], &long, &bytes_of(kind)[1..]] {
            assert_eq!(
                PublicKey::from_key_bytes(kind, bytes),
                Err(KeyError::BadKeyBytes)
            );
        }
    }
    for form in [2, 3, 6, 7] {
        let mut point = bytes_of(KeyKind::P256);
        point[0] = form;
        assert_eq!(
            PublicKey::from_key_bytes(KeyKind::P256, &point),
            Err(KeyError::BadKeyBytes)
        );
    }
}

#[test]
fn pem() {
    let wrong =
        PublicKey::from_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(matches!(
        wrong,
        Err(KeyError::Pem(PemError::WrongLabel { .. }))
    ));
}

#[test]
fn rsa_components_round_trip() {
    let modulus = [&[0x80][..], &[1; 255]].concat();
    let padded = [&[0, 0][..], &modulus].concat();
    let key = PublicKey::from_rsa_components(&padded, &[0, 1, 0, 1]).unwrap();
    assert_eq!(key.rsa_bits(), Some(2048));
    assert_eq!(key.rsa_components(), Some((&modulus[..], &[1, 0, 1][..])));
    let ed25519 = PublicKey::from_key_bytes(KeyKind::Ed25519, &[1; 32]).unwrap();
    assert_eq!(ed25519.rsa_components(), None);
}

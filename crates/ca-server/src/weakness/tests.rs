//! Weak keys, each made the way its generator makes it.

use waxseal_crypto::KeyKind;

use super::*;

/// 65537, big-endian.
const F4: &[u8] = &[1, 0, 1];

/// Multiplies big-endian numbers, by pencil and paper.
fn multiply(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut product = vec![0_u8; a.len() + b.len()];
    for (i, x) in a.iter().rev().enumerate() {
        let mut carry = 0_u16;
        for (j, y) in b.iter().rev().chain([&0]).enumerate() {
            let Some(place) = product.len().checked_sub(i + j + 1) else {
                continue;
            };
            let sum = u16::from(product[place]) + u16::from(*x) * u16::from(*y) + carry;
            product[place] = sum.to_be_bytes()[1];
            carry = sum >> 8;
        }
    }
    product
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> PublicKey {
    PublicKey::from_rsa_components(modulus, exponent).unwrap()
}

/// An odd number of so many bytes, first byte `0x80`.
fn odd(bytes: usize, seed: u8) -> Vec<u8> {
    let mut state = u32::from(seed) + 1;
    let mut number: Vec<u8> = (0..bytes)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect();
    number[0] = 0xc0;
    number[bytes - 1] |= 1;
    number
}

/// A modulus of so many bytes without a small factor, and without close ones.
fn sound(bytes: usize) -> Vec<u8> {
    (0..=255)
        .map(|seed| odd(bytes, seed))
        .find(|number| check_modulus(number).is_ok())
        .unwrap()
}

#[test]
fn sound_keys() {
    let crypto = waxseal_crypto_aws_lc::provider();
    for algorithm in [
        SignatureAlgorithm::EcdsaP256Sha256,
        SignatureAlgorithm::EcdsaP384Sha384,
        SignatureAlgorithm::EcdsaP521Sha512,
        SignatureAlgorithm::Ed25519,
        SignatureAlgorithm::RsaPkcs1Sha256,
    ] {
        let key = crypto.generate(algorithm).unwrap();
        let signer = crypto.signer(&key, algorithm).unwrap();
        assert_eq!(check(signer.public_key()), Ok(algorithm));
    }
    for bytes in [256, 384, 512] {
        let expected = Ok(SignatureAlgorithm::RsaPkcs1Sha256);
        assert_eq!(check(&rsa(&sound(bytes), F4)), expected);
    }
}

#[test]
fn kind() {
    for (kind, length) in [
        (KeyKind::MlDsa44, 1312),
        (KeyKind::MlDsa65, 1952),
        (KeyKind::MlDsa87, 2592),
    ] {
        let key = PublicKey::from_key_bytes(kind, &vec![7; length]).unwrap();
        assert_eq!(check(&key), Err(Weakness::Kind));
    }
}

#[test]
fn modulus_length() {
    for (bytes, first, bits) in [
        (128, 0x80, 1024),
        (256, 0x7f, 2047),
        (257, 0x01, 2049),
        (257, 0x80, 2056),
        (384, 0x7f, 3071),
        (512, 0x7f, 4095),
        (1024, 0x80, 8192),
        (2048, 0x80, 16_384),
    ] {
        let mut modulus = odd(bytes, 1);
        modulus[0] = first;
        let expected = Err(Weakness::ModulusLength { bits });
        assert_eq!(check(&rsa(&modulus, F4)), expected);
    }
}

#[test]
fn exponent() {
    let modulus = sound(256);
    for (good, exponent) in [
        (false, &[1][..]),
        (false, &[3]),
        (false, &[0xff, 0xff]),
        (true, F4),
        (false, &[1, 0, 2]),
        (true, &[0xff, 0xff, 0xff, 0xff]),
        (false, &[1, 0, 0, 0, 1]),
        (false, &[0x80; 64]),
    ] {
        let found = check(&rsa(&modulus, exponent)).map(drop);
        let expected = if good {
            Ok(())
        } else {
            Err(Weakness::Exponent)
        };
        assert_eq!(found, expected, "{exponent:02x?}");
    }
}

#[test]
fn small_factor() {
    for prime in [3, 5, 17, 257, 4093] {
        // The one small factor is this prime, so that nothing else can be found.
        let modulus = (0..=u16::MAX)
            .map(|end| [&odd(254, 9)[..], &(end | 1).to_be_bytes()].concat())
            .find(|modulus| {
                let natural = Natural::from_be_bytes(modulus);
                if natural.rem(prime) != 0 {
                    return false;
                }
                let mut factors = primes(TRIAL_LIMIT).filter(|p| natural.rem(*p) == 0);
                factors.next() == Some(prime) && factors.next().is_none()
            });
        let key = rsa(&modulus.unwrap(), F4);
        assert_eq!(check(&key), Err(Weakness::SmallFactor), "{prime}");
    }
    let mut even = sound(256);
    even[255] &= 0xfe;
    assert_eq!(check(&rsa(&even, F4)), Err(Weakness::SmallFactor));
}

/// N = 65537^100 · (k·M + 1), M the product of the primes below the limit: like the moduli of the
/// faulty generator, a power of 65537 modulo each of them, and without a small factor.
#[test]
fn roca() {
    let constant = primes(ROCA_LIMIT).fold(vec![1], |product, prime| {
        multiply(&product, &prime.to_be_bytes())
    });
    let power = (0..100).fold(vec![1], |power, _| multiply(&power, F4));
    let modulus = (0..=255).find_map(|seed| {
        let mut even = odd(29, seed);
        (even[0], even[28]) = (0x28, even[28] & 0xfe);
        let mut factor = multiply(&constant, &even);
        *factor.last_mut().unwrap() += 1;
        let product = multiply(&power, &factor);
        let modulus = product[product.iter().position(|byte| *byte != 0)?..].to_vec();
        let natural = Natural::from_be_bytes(&modulus);
        let is_sound = modulus.len() == 256 && modulus[0] >= 0x80 && natural.rem(2) == 1;
        (is_sound && primes(TRIAL_LIMIT).all(|prime| natural.rem(prime) != 0)).then_some(modulus)
    });
    assert_eq!(check(&rsa(&modulus.unwrap(), F4)), Err(Weakness::Roca));
    for seed in 0..200 {
        assert!(
            !has_roca_fingerprint(&Natural::from_be_bytes(&odd(256, seed))),
            "{seed}"
        );
    }
}

#[test]
fn close_factors() {
    let p = {
        let mut p = odd(128, 3);
        p[0] = 0xf0;
        p
    };
    let near = |distance: u8| {
        let mut q = p.clone();
        // The last byte but one: a distance of 256 times as much.
        q[126] = q[126].wrapping_add(distance);
        Natural::from_be_bytes(&multiply(&p, &q))
    };
    assert!(has_close_factors(&near(0)), "a square");
    for distance in [1, 2, 0x40] {
        assert!(has_close_factors(&near(distance)), "{distance}");
    }
    let whole = (0..=255).find_map(|seed| {
        let p = odd(128, seed);
        let mut q = p.clone();
        q[126] = q[126].wrapping_add(2);
        let product = multiply(&p, &q);
        let natural = Natural::from_be_bytes(&product);
        let is_sound = primes(TRIAL_LIMIT).all(|prime| natural.rem(prime) != 0);
        (is_sound && product[0] >= 0x80).then_some(product)
    });
    assert_eq!(
        check(&rsa(&whole.unwrap(), F4)),
        Err(Weakness::CloseFactors)
    );
    // Half of the bits differ: as far as a sound generator puts them.
    let mut far = p.clone();
    far[0] = 0xc1;
    assert!(!has_close_factors(&Natural::from_be_bytes(&multiply(
        &p, &far
    ))));
}

#[test]
fn point() {
    // A point off its curve, and the identity of Ed25519: the provider refuses to prepare them.
    let crypto = waxseal_crypto_aws_lc::provider();
    let off = PublicKey::from_key_bytes(KeyKind::P256, &[&[4][..], &[1; 64]].concat()).unwrap();
    let identity = [&[1][..], &[0; 31]].concat();
    let small = PublicKey::from_key_bytes(KeyKind::Ed25519, &identity).unwrap();
    for key in [off, small] {
        let algorithm = check(&key).unwrap();
        assert!(crypto.verifying_key(&key, algorithm).is_err());
    }
}

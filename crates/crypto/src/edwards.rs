//! Which encodings of Ed25519 points are strict: canonical, and not of small order.

/// The `y` of the eight points of small order on edwards25519, as 32 bytes little-endian: 1 (the
/// identity), -1 (order two), 0 (order four) and the two of order eight. Each stands for the points
/// of both signs of `x`; for 1 and -1, whose `x` is zero, the second sign is not canonical anyway.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    [0; 32],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// Whether 32 bytes encode a point that strict Ed25519 accepts as `A` or `R`: `y` is less than the
/// prime (RFC 8032 §5.1.3) and the point is not of small order. Whether it lies on the curve at all
/// is for the provider to find out.
///
/// Two verifiers that differ here can be made to disagree about the same signature, and with a key
/// of small order one signature fits many messages.
pub fn is_strict_ed25519_point(encoding: &[u8]) -> bool {
    let Ok(mut y) = <[u8; 32]>::try_from(encoding) else {
        return false;
    };
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    is_reduced(&y) && !SMALL_ORDER.contains(&y)
}

/// `y < 2^255 - 19`: below the prime, some byte differs from its `ed ff … ff 7f`.
fn is_reduced(y: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = y;
    *last != 0x7f || *first < 0xed || middle.iter().any(|byte| *byte != 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(first: u8, fill: u8, last: u8) -> [u8; 32] {
        let mut bytes = [fill; 32];
        bytes[0] = first;
        bytes[31] = last;
        bytes
    }

    #[test]
    fn small_order_and_unreduced_points_are_not_strict() {
        let check = |bytes: &[u8], expected| {
            assert_eq!(is_strict_ed25519_point(bytes), expected, "{bytes:02x?}");
        };
        for y in SMALL_ORDER {
            check(&y, false);
            check(&point_with_sign(y), false);
        }
        for first in 0xed..=0xff {
            check(&point(first, 0xff, 0x7f), false);
            check(&point(first, 0xff, 0xff), false);
        }
        check(&point(0xeb, 0xff, 0x7f), true);
        check(&point(0xff, 0xff, 0x7e), true);
        check(&point(0xff, 0xfe, 0x7f), true);
        check(&point(2, 0, 0), true);
        check(&[9; 31], false);
        check(&[9; 33], false);
    }

    fn point_with_sign(mut y: [u8; 32]) -> [u8; 32] {
        y[31] |= 0x80;
        y
    }
}

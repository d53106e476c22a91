//! The base64 alphabet of long texts: bodies of log entries, certificates, payloads.

#[cfg(not(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon")
)))]
pub(crate) use base64::engine::general_purpose::STANDARD;

/// The standard alphabet, padded, by vector instructions where the processor has them. It reads and
/// refuses what the plain engine does.
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon")
))]
pub(crate) static STANDARD: std::sync::LazyLock<base64::engine::Simd> =
    std::sync::LazyLock::new(|| {
        base64::engine::Simd::standard(base64::engine::general_purpose::PAD)
    });

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose;

    use super::STANDARD;

    #[test]
    fn is_read_and_written_as_by_the_plain_engine() {
        let bytes: Vec<u8> = (0..300_u32)
            .map(|n| n.wrapping_mul(167).to_le_bytes()[0])
            .collect();
        for length in 0..bytes.len() {
            let text = general_purpose::STANDARD.encode(&bytes[..length]);
            assert_eq!(STANDARD.encode(&bytes[..length]), text);
            assert_eq!(STANDARD.decode(&text).unwrap(), &bytes[..length]);
        }
    }

    #[test]
    fn refuses_what_the_plain_engine_refuses() {
        let text = general_purpose::STANDARD.encode([7; 200]);
        for at in 0..text.len() {
            for wrong in [b'-', b'_', b'=', b' ', b'\n', b'.', 0, 0x80, 0xff, b'B'] {
                let mut changed = text.clone().into_bytes();
                changed[at] = wrong;
                assert_eq!(
                    STANDARD.decode(&changed),
                    general_purpose::STANDARD.decode(&changed)
                );
            }
            assert_eq!(
                STANDARD.decode(&text[..at]),
                general_purpose::STANDARD.decode(&text[..at])
            );
        }
    }
}

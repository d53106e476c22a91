//! The code that a mail carries, kept only as a keyed digest: eight digits, or twelve while others
//! are guessing.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use waxseal_crypto::{Random, RandomError};
use zeroize::Zeroizing;

/// How many different codes there are.
const CODES: u32 = 100_000_000;

/// The key under which codes are kept. Without it the store does not tell a code, though there
/// are few; so it lives elsewhere than the store.
#[derive(Clone)]
pub struct CodeKey(Zeroizing<[u8; 32]>);

impl CodeKey {
    /// A key of 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// HMAC-SHA256 over log-in, address and code. The first is 32 bytes long and a short code eight;
    /// before a long one a zero byte, which no address has, ends the address. So the parts cannot
    /// run into one another.
    pub(crate) fn mac(&self, login: &[u8; 32], address: &str, code: &LoginCode) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(self.0.as_ref());
        let Ok(mut mac) = mac else {
            // HMAC takes keys of every length; a digest that nothing equals is the safe answer.
            return [0; 32];
        };
        mac.update(login);
        mac.update(address.as_bytes());
        if code.is_long() {
            mac.update(&[0]);
        }
        mac.update(code.0.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// 256 bits in base64url that follow from a text, and from this key alone.
    pub(crate) fn derive(&self, purpose: &str, text: &str) -> Zeroizing<String> {
        let bytes: [u8; 32] = match Hmac::<Sha256>::new_from_slice(self.0.as_ref()) {
            Ok(mut mac) => {
                // The digest of each part has one length, so no two lists of parts are one text.
                for part in ["derive", purpose, text] {
                    mac.update(&waxseal_crypto::sha256(part.as_bytes()));
                }
                mac.finalize().into_bytes().into()
            }
            Err(_) => [0; 32],
        };
        Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeKey(redacted)")
    }
}

/// Digits of a code, and of one that is asked for while very many are guessed.
const SHORT: usize = 8;
const LONG: usize = 12;

/// Eight decimal digits, or twelve.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginCode(Zeroizing<String>);

impl LoginCode {
    /// A fresh code of twelve digits.
    pub(crate) fn generate(random: &dyn Random) -> Result<Self, RandomError> {
        let (head, tail) = (eight_digits(random)?, eight_digits(random)?);
        let mut digits = Zeroizing::new(String::with_capacity(LONG));
        for part in [head.as_str(), tail.get(..LONG - SHORT).unwrap_or_default()] {
            digits.push_str(part);
        }
        Ok(Self(digits))
    }

    /// Its first eight digits.
    pub(crate) fn shortened(&self) -> Self {
        let head = self.0.get(..SHORT).unwrap_or_default();
        Self(Zeroizing::new(head.to_owned()))
    }

    /// Whether it has twelve digits.
    pub(crate) fn is_long(&self) -> bool {
        self.0.len() == LONG
    }

    /// A code as a person types it: spaces and hyphens between the digits do not count.
    pub(crate) fn typed(text: &str) -> Option<Self> {
        if text.len() > 32 {
            return None;
        }
        let digits: Zeroizing<String> = Zeroizing::new(
            text.chars()
                .filter(|c| !c.is_whitespace() && *c != '-')
                .collect(),
        );
        let fits =
            [SHORT, LONG].contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit());
        fits.then_some(Self(digits))
    }

    /// The digits, for the message that carries them to their reader and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// As people read it: `1234 5678`.
    pub fn grouped(&self) -> Zeroizing<String> {
        let mut grouped = Zeroizing::new(String::with_capacity(LONG + 2));
        for (place, digit) in self.0.chars().enumerate() {
            if place > 0 && place % 4 == 0 {
                grouped.push(' ');
            }
            grouped.push(digit);
        }
        grouped
    }
}

/// Eight random digits. Values beyond the last whole multiple are drawn again, so that all are
/// equally likely.
fn eight_digits(random: &dyn Random) -> Result<Zeroizing<String>, RandomError> {
    loop {
        let mut bytes = Zeroizing::new([0; 4]);
        random.fill(bytes.as_mut())?;
        let number = u32::from_be_bytes(*bytes);
        if number < u32::MAX / CODES * CODES {
            return Ok(Zeroizing::new(format!("{:08}", number % CODES)));
        }
    }
}

impl fmt::Debug for LoginCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginCode(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::records::Challenge;

    struct Script(Mutex<Vec<u32>>);

    impl Random for Script {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
            let number = self.0.lock().unwrap().remove(0);
            buffer.copy_from_slice(&number.to_be_bytes());
            Ok(())
        }
    }

    fn check(numbers: &[u32], expected: &str) {
        let code = eight_digits(&Script(Mutex::new(numbers.to_vec()))).unwrap();
        assert_eq!(code.as_str(), expected);
    }

    #[test]
    fn codes_have_no_bias() {
        check(&[0], "00000000");
        check(&[7], "00000007");
        check(&[99_999_999], "99999999");
        check(&[100_000_000], "00000000");
        check(&[4_199_999_999], "99999999");
        check(&[4_200_000_000, u32::MAX, 5], "00000005");
    }

    #[test]
    fn a_long_code_begins_with_a_short_one() {
        let numbers = vec![12_345_678, u32::MAX, 98_765_432];
        let code = LoginCode::generate(&Script(Mutex::new(numbers))).unwrap();
        assert_eq!(code.grouped().as_str(), "1234 5678 9876");
        assert_eq!(code.shortened().grouped().as_str(), "1234 5678");
        assert!(code.is_long() && !code.shortened().is_long());
    }

    #[test]
    fn typed_codes_are_forgiving_about_spaces_alone() {
        let check = |text: &str, expected: Option<&str>| {
            let code = LoginCode::typed(text);
            assert_eq!(code.as_ref().map(LoginCode::expose), expected, "{text:?}");
        };
        check("12345678", Some("12345678"));
        check(" 1234 5678\n", Some("12345678"));
        check("1234-5678", Some("12345678"));
        check("1234 5678 9012", Some("123456789012"));
        for text in [
            "",
            "1234567",
            "123456789",
            "12345678901",
            "1234567890123",
            "1234567a",
            "１２３４５６７８",
            "+1234567",
            &" ".repeat(100),
        ] {
            check(text, None);
        }
    }

    #[test]
    fn a_mac_is_of_one_login_one_address_and_one_code() {
        let key = CodeKey::new([1; 32]);
        let code = LoginCode::typed("12345678").unwrap();
        let good = key.mac(&[1; 32], "you@example.com", &code);
        assert_ne!(good, key.mac(&[2; 32], "you@example.com", &code));
        assert_ne!(good, key.mac(&[1; 32], "yo@example.com", &code));
        assert_ne!(
            good,
            key.mac(
                &[1; 32],
                "you@example.com",
                &LoginCode::typed("12345679").unwrap()
            )
        );
        // The end of an address is not the beginning of a code.
        let long = LoginCode::typed("123412345678").unwrap();
        assert_ne!(
            key.mac(&[1; 32], "you@example.com1234", &code),
            key.mac(&[1; 32], "you@example.com", &long)
        );
        assert_ne!(
            good,
            CodeKey::new([2; 32]).mac(&[1; 32], "you@example.com", &code)
        );
    }

    /// A record from before there were long codes has no `is_long`, and this digest.
    #[test]
    fn a_short_code_that_an_earlier_version_mailed_is_right() {
        let old: Vec<u8> = "9a7026f4541169f5cc6659c5975ca5de0639b040bffb69a796ba2d2848208b1c"
            .as_bytes()
            .chunks(2)
            .map(|hex| u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap())
            .collect();
        let record = serde_json::json!({
            "address": "you@example.com",
            "mac": old,
            "expires": 1_700_000_000,
            "attempts_left": 5,
        });
        let challenge: Challenge = serde_json::from_value(record).unwrap();
        let code = LoginCode::typed("12345678").unwrap();
        assert_eq!(challenge.is_long, code.is_long());
        let mac = CodeKey::new([1; 32]).mac(&[1; 32], &challenge.address, &code);
        assert_eq!(mac, challenge.mac);
    }

    #[test]
    fn s_56_debug_is_redacted() {
        let code = LoginCode::typed("12345678").unwrap();
        assert_eq!(
            format!("{code:?} {:?}", CodeKey::new([7; 32])),
            "LoginCode(redacted) CodeKey(redacted)"
        );
    }
}

//! The code that a mail carries: eight digits, kept only as a keyed digest.

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

    /// HMAC-SHA256 over log-in, address and code. The first is 32 bytes long and the last eight
    /// digits, so the parts cannot run into one another.
    pub(crate) fn mac(&self, login: &[u8; 32], address: &str, code: &LoginCode) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(self.0.as_ref());
        let Ok(mut mac) = mac else {
            // HMAC takes keys of every length; a digest that nothing equals is the safe answer.
            return [0; 32];
        };
        mac.update(login);
        mac.update(address.as_bytes());
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

/// Eight decimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginCode(Zeroizing<String>);

impl LoginCode {
    /// A fresh code. Values beyond the last whole multiple are drawn again, so that every code is
    /// equally likely.
    pub(crate) fn generate(random: &dyn Random) -> Result<Self, RandomError> {
        loop {
            let mut bytes = Zeroizing::new([0; 4]);
            random.fill(bytes.as_mut())?;
            let number = u32::from_be_bytes(*bytes);
            if number < u32::MAX / CODES * CODES {
                return Ok(Self(Zeroizing::new(format!("{:08}", number % CODES))));
            }
        }
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
        let fits = digits.len() == 8 && digits.bytes().all(|c| c.is_ascii_digit());
        fits.then_some(Self(digits))
    }

    /// The digits, for the message that carries them to their reader and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// As people read it: `1234 5678`.
    pub fn grouped(&self) -> Zeroizing<String> {
        let (head, tail) = self.0.split_at_checked(4).unwrap_or_default();
        Zeroizing::new(format!("{head} {tail}"))
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

    struct Script(Mutex<Vec<u32>>);

    impl Random for Script {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
            let number = self.0.lock().unwrap().remove(0);
            buffer.copy_from_slice(&number.to_be_bytes());
            Ok(())
        }
    }

    fn check(numbers: &[u32], expected: &str) {
        let code = LoginCode::generate(&Script(Mutex::new(numbers.to_vec()))).unwrap();
        assert_eq!(code.expose(), expected);
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
    fn typed_codes_are_forgiving_about_spaces_alone() {
        let check = |text: &str, expected: Option<&str>| {
            let code = LoginCode::typed(text);
            assert_eq!(code.as_ref().map(LoginCode::expose), expected, "{text:?}");
        };
        check("12345678", Some("12345678"));
        check(" 1234 5678\n", Some("12345678"));
        check("1234-5678", Some("12345678"));
        for text in [
            "",
            "1234567",
            "123456789",
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
        assert_ne!(
            good,
            CodeKey::new([2; 32]).mac(&[1; 32], "you@example.com", &code)
        );
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

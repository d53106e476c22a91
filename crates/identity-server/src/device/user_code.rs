//! The code that a person carries from a device to a browser: eight letters, or twelve while others
//! are guessing.

use std::fmt;

use waxseal_crypto::{Random, RandomError};
use zeroize::Zeroizing;

/// Consonants without look-alikes, so that no code is a word (RFC 8628 §6.1).
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// How many letters there are: 34.5 bits.
const SHORT: usize = 8;

/// How many in a code that is asked for while very many are guessed: 51.8 bits.
const LONG: usize = 12;

/// Eight letters, or twelve. Whoever guesses one that is waiting can try to make its owner log in
/// for him, so it is kept only as a digest, and wrong ones are counted.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UserCode(Zeroizing<String>);

impl UserCode {
    /// A fresh code of twelve letters. Bytes beyond the last whole multiple are drawn again, so that
    /// every letter is equally likely.
    pub(crate) fn generate(random: &dyn Random) -> Result<Self, RandomError> {
        let mut letters = Zeroizing::new(String::with_capacity(LONG));
        while letters.len() < LONG {
            let mut byte = [0];
            random.fill(&mut byte)?;
            let [byte] = byte;
            let letter = ALPHABET.get(usize::from(byte) % ALPHABET.len());
            if let Some(letter) = letter.filter(|_| byte < 240) {
                letters.push(char::from(*letter));
            }
        }
        Ok(Self(letters))
    }

    /// Its first eight letters.
    pub(crate) fn shortened(&self) -> Self {
        let head = self.0.get(..SHORT).unwrap_or_default();
        Self(Zeroizing::new(head.to_owned()))
    }

    /// Whether it has twelve letters.
    pub(crate) fn is_long(&self) -> bool {
        self.0.len() == LONG
    }

    /// A code as a person types it: case, spaces and hyphens do not count.
    pub(crate) fn typed(text: &str) -> Option<Self> {
        if text.len() > 32 {
            return None;
        }
        let letters: Zeroizing<String> = Zeroizing::new(
            text.chars()
                .filter(|c| !c.is_whitespace() && *c != '-')
                .map(|c| c.to_ascii_uppercase())
                .collect(),
        );
        let fits = [SHORT, LONG].contains(&letters.len())
            && letters.bytes().all(|c| ALPHABET.contains(&c));
        fits.then_some(Self(letters))
    }

    /// The letters without their hyphen, for digests.
    pub(crate) fn letters(&self) -> &str {
        &self.0
    }

    /// As it is shown: `BCDF-GHJK`.
    pub(crate) fn grouped(&self) -> String {
        let letters: Vec<char> = self.0.chars().collect();
        let groups: Vec<String> = letters.chunks(4).map(String::from_iter).collect();
        groups.join("-")
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct Script(Mutex<Vec<u8>>);

    impl Random for Script {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
            buffer.fill(self.0.lock().unwrap().remove(0));
            Ok(())
        }
    }

    #[test]
    fn codes_have_no_bias() {
        let bytes = vec![0, 19, 20, 239, 240, 255, 1, 2, 3, 4, 5, 6, 7, 8];
        let code = UserCode::generate(&Script(Mutex::new(bytes))).unwrap();
        assert_eq!(code.grouped(), "BZBZ-CDFG-HJKL");
        assert_eq!(code.shortened().grouped(), "BZBZ-CDFG");
        assert!(code.is_long() && !code.shortened().is_long());
    }

    #[test]
    fn case_and_dash_variants() {
        let check = |text: &str, expected: Option<&str>| {
            let code = UserCode::typed(text);
            assert_eq!(code.as_ref().map(UserCode::letters), expected, "{text:?}");
        };
        for text in [
            "BCDFGHJK",
            "bcdfghjk",
            "BCDF-GHJK",
            " bcdf ghjk\n",
            "b-c-d-f-g-h-j-k",
        ] {
            check(text, Some("BCDFGHJK"));
        }
        for text in [
            "",
            "BCDFGHJ",
            "BCDFGHJKL",
            "BCDFGHJKLMN",
            "BCDFGHJKLMNPQ",
            "ACDFGHJK",
            "BCDFGHJ1",
            "ßCDFGHJK",
            "BCDFGHJ\u{212a}",
            &"-".repeat(100),
        ] {
            check(text, None);
        }
    }

    #[test]
    fn s_56_debug_is_redacted() {
        let code = UserCode::typed("BCDFGHJK").unwrap();
        assert_eq!(format!("{code:?}"), "UserCode(redacted)");
    }
}

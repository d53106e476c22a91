//! The beginning of a foreign body, safe to show.

use std::fmt;

/// Bytes of a body that an error shows.
const EXCERPT_LEN: usize = 300;

/// The first 300 bytes of a body, as one line of printable text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    /// Takes the beginning of a body. Whatever could drive a terminal (C0, C1, bidirectional
    /// and zero-width characters) is written as its code point.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        let cut = body.get(..EXCERPT_LEN).unwrap_or(body);
        let text = String::from_utf8_lossy(cut);
        let mut line = String::with_capacity(text.len());
        for c in text.trim().chars() {
            match c {
                '\n' | '\r' | '\t' => line.push(' '),
                c if is_unsafe(c) => line.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
                c => line.push(c),
            }
        }
        if body.len() > EXCERPT_LEN {
            line.push('…');
        }
        Self(line)
    }

    /// The line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}' | '\u{61c}')
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

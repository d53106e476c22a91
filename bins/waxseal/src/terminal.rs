//! Text from outside on a terminal: nothing in it may move the cursor, hide or reorder what is shown.
//!
//! A certificate's subject, a file's name or a log's origin can hold escape sequences that rewrite the
//! lines above, links that lie, and characters that turn the reading direction.

use std::fmt::Write as _;

/// The text with every character that is not plainly visible written as `\u{…}`.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The characters beyond ASCII in a name that people compare by eye, by their code points.
pub(crate) fn beyond_ascii(text: &str) -> Option<String> {
    let mut points: Vec<char> = text.chars().filter(|c| !c.is_ascii()).collect();
    points.sort_unstable();
    points.dedup();
    let shown = |c: &char| format!("{} U+{:04X}", visible(&c.to_string()), u32::from(*c));
    let names: Vec<String> = points.iter().take(MAX_POINTS).map(shown).collect();
    let more = if points.len() > MAX_POINTS {
        " and more"
    } else {
        ""
    };
    (!names.is_empty())
        .then(|| format!("holds characters beyond ASCII: {}{more}", names.join(", ")))
}

/// How many characters beyond ASCII are spelled out.
const MAX_POINTS: usize = 8;

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{00ad}'
                | '\u{034f}'
                | '\u{061c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
                | '\u{e000}'..='\u{f8ff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_60_nothing_hidden_reaches_the_terminal() {
        let check = |text: &str, expected: &str| assert_eq!(visible(text), expected);
        check("alice@example.com", "alice@example.com");
        check("jos\u{e9}", "jos\u{e9}");
        check("a\x1b[2Jb", "a\\u{1b}[2Jb");
        check("a\x1b]52;c;eA==\x07", "a\\u{1b}]52;c;eA==\\u{7}");
        check(
            "a\x1b]8;;https://evil\x1b\\b",
            "a\\u{1b}]8;;https://evil\\u{1b}\\b",
        );
        check("a\rb\nc\td", "a\\u{d}b\\u{a}c\\u{9}d");
        check("a\u{9b}31mb", "a\\u{9b}31mb");
        check("a\u{202e}b\u{2066}c", "a\\u{202e}b\\u{2066}c");
        check("a\u{200b}b\u{feff}c", "a\\u{200b}b\\u{feff}c");
        check("a\u{0}b\u{7f}", "a\\u{0}b\\u{7f}");
    }

    #[test]
    fn s_62_characters_beyond_ascii_are_named() {
        assert_eq!(beyond_ascii("alice@example.com"), None);
        let cyrillic = beyond_ascii("\u{0430}lice@example.com").unwrap();
        assert_eq!(cyrillic, "holds characters beyond ASCII: \u{0430} U+0430");
        let many: String = ('\u{400}'..'\u{420}').collect();
        assert!(beyond_ascii(&many).unwrap().ends_with("and more"));
    }
}

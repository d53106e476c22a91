//! Patterns for texts of a certificate: exact by default, globs, anchored regular expressions.

use std::fmt;

use regex_lite::{Regex, RegexBuilder};

/// Longest pattern in bytes (RUSTSEC-2022-0013: patterns are not always the caller's own).
const MAX_PATTERN: usize = 4096;
/// Largest compiled expression in bytes.
const MAX_COMPILED: usize = 1 << 20;
/// Deepest nesting of an expression.
const MAX_NESTING: u32 = 50;

/// What a text must look like. Comparison is of bytes: no case folding, no normalisation.
#[derive(Clone)]
pub struct Pattern(Form);

#[derive(Clone)]
enum Form {
    Exact(String),
    Glob(String),
    Regex { source: String, anchored: Regex },
}

/// Why a pattern is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The pattern is longer than 4096 bytes.
    #[error("the pattern has {found} bytes, at most {MAX_PATTERN} are allowed")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// The pattern is empty: it would match nothing, or an absent value.
    #[error("the pattern is empty")]
    Empty,
    /// The regular expression does not parse, or its compiled form is too large.
    #[error("not a regular expression that can be used: {0}")]
    BadRegex(#[source] BadRegex),
}

/// What the regular expression compiler says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRegex(String);

impl Pattern {
    /// Exactly this text.
    pub fn exact(text: impl Into<String>) -> Self {
        Self(Form::Exact(text.into()))
    }

    /// A glob: `*` stands for any run of characters other than `/` and `@`; every other character
    /// stands for itself.
    ///
    /// # Errors
    /// [`PatternError::TooLong`], [`PatternError::Empty`].
    pub fn glob(pattern: &str) -> Result<Self, PatternError> {
        check_length(pattern)?;
        Ok(Self(Form::Glob(pattern.to_owned())))
    }

    /// A regular expression that must match the *whole* text: it is always anchored, because an
    /// unanchored one accepts `https://evil.example/?https://github.com/org/repo`.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn regex(pattern: &str) -> Result<Self, PatternError> {
        check_length(pattern)?;
        let compile = |source: &str| {
            RegexBuilder::new(source)
                .size_limit(MAX_COMPILED)
                .nest_limit(MAX_NESTING)
                .build()
                .map_err(|error| PatternError::BadRegex(BadRegex(error.to_string())))
        };
        // Alone first: `a)|(?:b` is no expression, but would become one, unanchored, in the group.
        compile(pattern)?;
        let anchored = compile(&format!(r"\A(?:{pattern})\z"))?;
        Ok(Self(Form::Regex {
            source: pattern.to_owned(),
            anchored,
        }))
    }

    /// Whether the text matches.
    pub fn matches(&self, text: &str) -> bool {
        match &self.0 {
            Form::Exact(expected) => expected == text,
            Form::Glob(pattern) => glob_matches(pattern.as_bytes(), text.as_bytes()),
            Form::Regex { anchored, .. } => anchored.is_match(text),
        }
    }
}

fn check_length(pattern: &str) -> Result<(), PatternError> {
    if pattern.is_empty() {
        return Err(PatternError::Empty);
    }
    if pattern.len() > MAX_PATTERN {
        return Err(PatternError::TooLong {
            found: pattern.len(),
        });
    }
    Ok(())
}

/// Only the last star is ever widened: a star cannot cross a separator, so separators of pattern
/// and text pair up in order, and between them the leftmost match is as good as any. Quadratic at
/// worst, never exponential.
fn glob_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(&literal) if literal == byte => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, reached)) if !is_separator(text, reached) => {
                    star = Some((after, reached + 1));
                    p = after;
                    t = reached + 1;
                }
                _ => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|&byte| byte == b'*')
}

fn is_separator(text: &[u8], at: usize) -> bool {
    matches!(text.get(at), Some(b'/' | b'@'))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Exact(text) => f.write_str(text),
            Form::Glob(pattern) => write!(f, "glob {pattern}"),
            Form::Regex { source, .. } => write!(f, "regular expression {source}"),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &Pattern, text: &str, expected: bool) {
        assert_eq!(pattern.matches(text), expected, "{pattern} on {text:?}");
    }

    #[test]
    fn s_62_exact_compares_bytes() {
        let exact = Pattern::exact("jos\u{e9}@example.com");
        check(&exact, "jos\u{e9}@example.com", true);
        for other in [
            "jose\u{301}@example.com",
            "jos\u{e9}@EXAMPLE.com",
            "jos\u{e9}@example.com.",
            "jos\u{e9}@example.com\0.evil",
            "jos\u{e9}+tag@example.com",
            "j\u{43e}s\u{e9}@example.com",
            " jos\u{e9}@example.com",
            "",
        ] {
            check(&exact, other, false);
        }
    }

    #[test]
    fn glob_stars_stop_at_separators() {
        let cases: &[(&str, &str, bool)] = &[
            ("*", "abc", true),
            ("*", "a/c", false),
            ("*", "a@c", false),
            ("a*c", "abbbc", true),
            ("a*c", "abbb", false),
            ("a*b*c", "axxbyybzzc", true),
            ("a*bc*d", "abcbcxd", true),
            (
                "https://h/*/r@refs/tags/v*",
                "https://h/o/r@refs/tags/v1",
                true,
            ),
            (
                "https://h/*/r@refs/tags/v*",
                "https://h/o/x/r@refs/tags/v1",
                false,
            ),
            (
                "https://h/*/r@refs/tags/v*",
                "https://h/o/r@refs/tags/v1/2",
                false,
            ),
            (
                "https://h/*/r@refs/tags/v*",
                "https://h/o/r@evil@refs/tags/v1",
                false,
            ),
            ("*@example.com", "a@example.com", true),
            ("*@example.com", "a@b@example.com", false),
            ("a?c", "abc", false),
            ("a?c", "a?c", true),
            ("[!a]", "b", false),
            ("**", "ab", true),
            ("**", "a/b", false),
            ("a*", "a", true),
            ("a", "", false),
            ("*", "", true),
        ];
        for (pattern, text, expected) in cases {
            check(&Pattern::glob(pattern).unwrap(), text, *expected);
        }
    }

    #[test]
    fn glob_is_not_exponential() {
        let pattern = Pattern::glob(&"a*".repeat(1000)).unwrap();
        check(&pattern, &format!("{}b/", "a".repeat(20_000)), false);
    }

    #[test]
    fn s_61_regex_is_anchored() {
        let regex = Pattern::regex("https://github.com/org/.*").unwrap();
        check(&regex, "https://github.com/org/repo", true);
        check(&regex, "https://evil/?https://github.com/org/", false);
        check(&regex, "https://github.com/org/repo\n", false);
        check(&regex, "\nhttps://github.com/org/repo", false);
        check(&regex, "HTTPS://github.com/org/repo", false);
        let alternatives = Pattern::regex("a|b").unwrap();
        check(&alternatives, "a", true);
        check(&alternatives, "ax", false);
        check(&alternatives, "xb", false);
        let flags = Pattern::regex("(?m)a").unwrap();
        check(&flags, "a\nb", false);
    }

    #[test]
    fn k_20_regex_is_bounded() {
        let fails = |pattern: &str| Pattern::regex(pattern).is_err();
        assert!(fails(&"a".repeat(MAX_PATTERN + 1)));
        assert!(!fails(&"a".repeat(MAX_PATTERN)));
        assert!(fails("((a{100}){100}){100}"));
        assert!(fails(&format!("{}a{}", "(".repeat(100), ")".repeat(100))));
        assert!(fails("a)|(?:b"));
        assert!(fails("("));
        assert!(fails(""));
    }

    #[test]
    fn pattern_errors() {
        assert_eq!(Pattern::glob("").unwrap_err(), PatternError::Empty);
        assert_eq!(
            Pattern::glob(&"a".repeat(MAX_PATTERN + 1)).unwrap_err(),
            PatternError::TooLong {
                found: MAX_PATTERN + 1
            }
        );
        assert!(matches!(
            Pattern::regex("[").unwrap_err(),
            PatternError::BadRegex(_)
        ));
    }
}

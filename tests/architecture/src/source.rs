//! One Rust file, with comments and literals blanked out, so that a rule about code is not broken
//! by prose.
//!
//! This is a lexer of the few forms that matter (comments, strings, characters against lifetimes),
//! not a parser: rules look for names and calls, and that needs no more.

/// A Rust file.
#[derive(Debug, Clone)]
pub struct Source {
    /// The path from the root of the repository, with `/`.
    pub path: String,
    /// The file as it is.
    pub text: String,
    /// The file with the contents of comments and literals turned into blanks; lines stay lines.
    pub code: String,
    /// `code` without items marked `#[cfg(test)]`; empty for files that hold only tests.
    pub production: String,
}

impl Source {
    /// Reads one file.
    pub fn new(path: &str, text: &str) -> Self {
        let code = blank_prose(text);
        let production = if holds_only_tests(path) {
            String::new()
        } else {
            without_test_items(&code)
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            production,
        }
    }

    /// Every identifier of `text` with its line, counted from 1.
    pub fn identifiers(text: &str) -> impl Iterator<Item = (usize, &str)> {
        text.lines().enumerate().flat_map(|(number, line)| {
            line.split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
                .map(move |word| (number + 1, word))
        })
    }
}

/// The words of an identifier in snake, camel or shouting case, in lower case.
pub(crate) fn words(identifier: &str) -> Vec<String> {
    let mut words = Vec::new();
    for part in identifier.split('_').filter(|p| !p.is_empty()) {
        if part.chars().all(|c| !c.is_lowercase()) {
            words.push(part.to_lowercase());
            continue;
        }
        let mut word = String::new();
        for c in part.chars() {
            if c.is_uppercase() && !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            word.extend(c.to_lowercase());
        }
        words.push(word);
    }
    words
}

fn holds_only_tests(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.starts_with("tests/")
}

/// Turns comments and the contents of literals into blanks.
fn blank_prose(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut code = String::with_capacity(text.len());
    let mut i = 0;
    let mut previous = '\0';
    while i < chars.len() {
        let c = at(i);
        let end = match c {
            '/' if at(i + 1) == '/' => line_end(&chars, i),
            '/' if at(i + 1) == '*' => block_comment_end(&chars, i),
            '"' => string_end(&chars, i),
            'r' | 'b' | 'c' if !is_word(previous) => prefixed_literal_end(&chars, i),
            '\'' => character_end(&chars, i),
            _ => i,
        };
        if end > i {
            code.extend(
                chars
                    .iter()
                    .take(end)
                    .skip(i)
                    .map(|&c| if c == '\n' { '\n' } else { ' ' }),
            );
            previous = ' ';
            i = end;
        } else {
            code.push(c);
            previous = c;
            i += 1;
        }
    }
    code
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_end(chars: &[char], start: usize) -> usize {
    chars
        .iter()
        .skip(start)
        .position(|&c| c == '\n')
        .map_or(chars.len(), |n| start + n)
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut i = start;
    while i < chars.len() {
        match (chars.get(i), chars.get(i + 1)) {
            (Some('/'), Some('*')) => {
                depth += 1;
                i += 2;
            }
            (Some('*'), Some('/')) => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    chars.len()
}

/// The index after a string whose opening quote is at `start`.
fn string_end(chars: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while let Some(&c) = chars.get(i) {
        match c {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

/// The index after `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `b'…'` or `c"…"`; `start` where there is none.
fn prefixed_literal_end(chars: &[char], start: usize) -> usize {
    let mut i = start;
    let mut raw = false;
    while let Some(&c) = chars.get(i) {
        match c {
            'b' | 'c' if i == start => {}
            'r' => raw = true,
            _ => break,
        }
        i += 1;
        if i > start + 2 {
            return start;
        }
    }
    let hashes = chars.iter().skip(i).take_while(|&&c| c == '#').count();
    match chars.get(i + hashes) {
        Some('"') if raw => {
            let mut j = i + hashes + 1;
            while j < chars.len() {
                let closes = chars.get(j) == Some(&'"')
                    && chars
                        .iter()
                        .skip(j + 1)
                        .take_while(|&&c| c == '#')
                        .take(hashes)
                        .count()
                        == hashes;
                if closes {
                    return j + 1 + hashes;
                }
                j += 1;
            }
            chars.len()
        }
        Some('"') if hashes == 0 => string_end(chars, i),
        Some('\'') if hashes == 0 && !raw => character_end(chars, i).max(start),
        _ => start,
    }
}

/// The index after a character literal at `start`; `start` where it is a lifetime.
fn character_end(chars: &[char], start: usize) -> usize {
    match (chars.get(start + 1), chars.get(start + 2)) {
        (Some('\\'), _) => {
            let rest = chars.iter().skip(start + 3).take(12);
            rest.enumerate()
                .find(|&(_, &c)| c == '\'')
                .map_or(start, |(n, _)| start + 4 + n)
        }
        (Some(_), Some('\'')) => start + 3,
        _ => start,
    }
}

/// Blanks every item that follows `#[cfg(test)]`, up to its `;` or closing brace.
fn without_test_items(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some((before, after)) = rest.split_once(MARK) {
        kept.push_str(before);
        let end = item_end(after);
        let (item, remaining) = after.split_at(end);
        kept.extend(item.chars().filter(|&c| c == '\n'));
        rest = remaining;
    }
    kept.push_str(rest);
    kept
}

/// The byte index after the first item of `code`.
pub(crate) fn item_end(code: &str) -> usize {
    let mut depth = 0_usize;
    for (i, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i + 1;
                }
            }
            ';' if depth == 0 => return i + 1,
            _ => {}
        }
    }
    code.len()
}

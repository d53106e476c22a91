//! Text → [`Value`], in one pass.

use std::borrow::Cow;

use super::{JsonError, Limits, MAX_DEPTH, Member, Object, Value};

/// Up to here, keys are compared pairwise; beyond, they are sorted: an object of a million keys
/// must not cost a million squared comparisons.
const PAIRWISE_KEYS: usize = 16;

/// Reads one JSON document.
///
/// # Errors
/// [`JsonError`]: the first rule that the text breaks.
pub fn parse(text: &[u8], limits: Limits) -> Result<Value<'_>, JsonError> {
    if text.len() > limits.bytes {
        return Err(JsonError::TooLong {
            length: text.len(),
            limit: limits.bytes,
        });
    }
    let text = std::str::from_utf8(text).map_err(|error| JsonError::NotUtf8 {
        offset: error.valid_up_to(),
    })?;
    if text.starts_with('\u{feff}') {
        return Err(JsonError::ByteOrderMark);
    }
    let mut reader = Reader {
        text,
        at: 0,
        values_left: limits.values,
        limits,
    };
    reader.skip_white_space();
    let value = reader.value(0)?;
    reader.skip_white_space();
    if reader.at != text.len() {
        return Err(JsonError::TrailingBytes { offset: reader.at });
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    values_left: usize,
    limits: Limits,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn malformed<T>(&self) -> Result<T, JsonError> {
        Err(JsonError::Malformed { offset: self.at })
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return self.malformed();
        }
        self.at += 1;
        Ok(())
    }

    fn since(&self, start: usize) -> &'a str {
        // Every boundary the reader stops at is that of an ASCII byte, so the range is whole.
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        self.values_left = self
            .values_left
            .checked_sub(1)
            .ok_or(JsonError::TooManyValues {
                limit: self.limits.values,
            })?;
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'{') => self.object(depth + 1).map(Value::Object),
            Some(b'[') => self.array(depth + 1).map(Value::Array),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => self.malformed(),
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, JsonError> {
        let end = self.at + word.len();
        if self.text.as_bytes().get(self.at..end) != Some(word.as_bytes()) {
            return self.malformed();
        }
        self.at = end;
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Value<'a>>, JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.expect(b'[')?;
        self.skip_white_space();
        let mut elements = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(elements);
        }
        loop {
            self.skip_white_space();
            elements.push(self.value(depth)?);
            self.skip_white_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(elements);
                }
                _ => return self.malformed(),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Object<'a>, JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.expect(b'{')?;
        self.skip_white_space();
        let mut members = Vec::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Object { members });
        }
        loop {
            self.skip_white_space();
            let key = self.string()?;
            self.skip_white_space();
            self.expect(b':')?;
            self.skip_white_space();
            let start = self.at;
            let value = self.value(depth)?;
            let raw = self.since(start);
            members.push(Member { key, value, raw });
            self.skip_white_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    break;
                }
                _ => return self.malformed(),
            }
        }
        if has_duplicates(&members) {
            return Err(JsonError::DuplicateKey { offset: self.at });
        }
        Ok(Object { members })
    }

    fn number(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(self.since(start))
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return self.malformed();
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.expect(b'"')?;
        let start = self.at;
        self.skip_plain();
        if self.peek() == Some(b'"') {
            let text = self.since(start);
            self.at += 1;
            return Ok(Cow::Borrowed(text));
        }
        let mut unescaped = self.since(start).to_owned();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(unescaped));
                }
                Some(b'\\') => unescaped.push(self.escape()?),
                _ => return self.malformed(),
            }
            let start = self.at;
            self.skip_plain();
            unescaped.push_str(self.since(start));
        }
    }

    /// Moves to the next quote, backslash or control character (or the end).
    fn skip_plain(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        // Wide steps through long base64, which the compiler makes vectors of; then narrow ones.
        let (chunks, _) = rest.as_chunks::<64>();
        let plain = |chunk: &&[u8; 64]| {
            !chunk
                .iter()
                .fold(false, |any, byte| any | is_special(*byte))
        };
        let wide = chunks.iter().take_while(plain).count() * 64;
        let (chunks, _) = rest.get(wide..).unwrap_or_default().as_chunks::<8>();
        let narrow = chunks
            .iter()
            .take_while(|chunk| !has_special(u64::from_le_bytes(**chunk)))
            .count()
            * 8;
        let whole = wide + narrow;
        let tail = rest.get(whole..).unwrap_or_default();
        let plain = tail
            .iter()
            .position(|byte| is_special(*byte))
            .unwrap_or(tail.len());
        self.at += whole + plain;
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        self.expect(b'\\')?;
        let plain = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape(start);
            }
            _ => return self.malformed(),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, JsonError> {
        let lone = JsonError::LoneSurrogate { offset: start };
        let first = self.hex4()?;
        let code = match first {
            0xd800..=0xdbff => {
                if self.text.as_bytes().get(self.at..self.at + 2) != Some(b"\\u") {
                    return Err(lone);
                }
                self.at += 2;
                match self.hex4()? {
                    second @ 0xdc00..=0xdfff => {
                        0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                    }
                    _ => return Err(lone),
                }
            }
            other => other,
        };
        char::from_u32(code).ok_or(lone)
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else {
                return self.malformed();
            };
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }
}

/// Whether a byte ends the plain part of a string: a quote, a backslash or a control character.
const fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < b' ')
}

/// Whether one of eight bytes is a quote, a backslash or a control character. May say yes for a
/// byte after such a one; never no.
const fn has_special(chunk: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const QUOTE: u64 = ONES * 0x22;
    const BACKSLASH: u64 = ONES * 0x5c;
    const SPACE: u64 = ONES * 0x20;
    let quote = (chunk ^ QUOTE).wrapping_sub(ONES) & !(chunk ^ QUOTE);
    let backslash = (chunk ^ BACKSLASH).wrapping_sub(ONES) & !(chunk ^ BACKSLASH);
    let control = chunk.wrapping_sub(SPACE) & !chunk;
    (quote | backslash | control) & HIGH != 0
}

fn has_duplicates(members: &[Member<'_>]) -> bool {
    if members.len() <= PAIRWISE_KEYS {
        return members.iter().enumerate().any(|(index, member)| {
            members
                .iter()
                .take(index)
                .any(|earlier| earlier.key == member.key)
        });
    }
    let mut keys: Vec<&str> = members.iter().map(|member| &*member.key).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair.first() == pair.last())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        bytes: 1 << 20,
        values: 1 << 16,
    };

    fn check(text: impl AsRef<[u8]>, expected: Result<Value<'_>, JsonError>) {
        let text = text.as_ref();
        assert_eq!(
            parse(text, LIMITS),
            expected,
            "{}",
            String::from_utf8_lossy(text)
        );
    }

    fn string(text: &str) -> Result<Value<'_>, JsonError> {
        Ok(Value::String(Cow::Borrowed(text)))
    }

    #[test]
    fn values_are_read() {
        check("null", Ok(Value::Null));
        check(" true\n", Ok(Value::Bool(true)));
        check("-0.5e+10", Ok(Value::Number("-0.5e+10")));
        check(r#""plain""#, string("plain"));
        check(
            r#""\"\\\/\b\f\n\r\t\u0041""#,
            string("\"\\/\u{8}\u{c}\n\r\tA"),
        );
        check(
            r#""\ud83d\ude00 and some more text""#,
            string("😀 and some more text"),
        );
        check(
            r#""0123456\\89abcdef\u0000""#,
            string("0123456\\89abcdef\0"),
        );
        check("\"é😀\"", string("é😀"));
        check("[]", Ok(Value::Array(vec![])));
        check(
            "[1 , 2]",
            Ok(Value::Array(vec![Value::Number("1"), Value::Number("2")])),
        );
    }

    #[test]
    fn a_member_keeps_its_text() {
        let value = parse(br#" {"a" : { "b":[1, 2] } , "c":"d"} "#, LIMITS).unwrap();
        let object = value.as_object().unwrap();
        assert_eq!(object.member("a").unwrap().raw, r#"{ "b":[1, 2] }"#);
        assert_eq!(object.member("c").unwrap().raw, r#""d""#);
    }

    #[test]
    fn too_long() {
        let limits = Limits {
            bytes: 4,
            values: 1,
        };
        assert_eq!(parse(b"null", limits), Ok(Value::Null));
        assert_eq!(
            parse(b"null ", limits),
            Err(JsonError::TooLong {
                length: 5,
                limit: 4
            })
        );
    }

    #[test]
    fn not_utf8() {
        check(b"\"\xff\"", Err(JsonError::NotUtf8 { offset: 1 }));
        check(b"\"\xed\xa0\x80\"", Err(JsonError::NotUtf8 { offset: 1 }));
    }

    #[test]
    fn byte_order_mark() {
        check("\u{feff}{}", Err(JsonError::ByteOrderMark));
    }

    #[test]
    fn malformed() {
        for (text, offset) in [
            ("", 0),
            ("{", 1),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("{\"a\":1,}", 7),
            ("{\"a\" 1}", 5),
            ("{a:1}", 1),
            ("01x", 1),
            ("-", 1),
            ("1.", 2),
            ("1e", 2),
            ("+1", 0),
            ("nul", 0),
            ("NaN", 0),
            ("\"a", 2),
            ("\"\n\"", 1),
            ("\"\\x\"", 2),
            ("\"\\u12g4\"", 5),
            ("'a'", 0),
        ] {
            let expected = if text == "01x" {
                JsonError::TrailingBytes { offset }
            } else {
                JsonError::Malformed { offset }
            };
            check(text, Err(expected));
        }
    }

    #[test]
    fn trailing_bytes() {
        check("{} {}", Err(JsonError::TrailingBytes { offset: 3 }));
        check("1\0", Err(JsonError::TrailingBytes { offset: 1 }));
    }

    #[test]
    fn lone_surrogate() {
        for text in [
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800x""#,
            r#""\ud800\n""#,
            r#""\ud800\ud800""#,
        ] {
            check(text, Err(JsonError::LoneSurrogate { offset: 1 }));
        }
    }

    #[test]
    fn too_deep() {
        let nest = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(nest(MAX_DEPTH).as_bytes(), LIMITS).is_ok());
        check(nest(MAX_DEPTH + 1), Err(JsonError::TooDeep));
    }

    #[test]
    fn k_12_nesting_of_100_000_does_not_exhaust_the_stack() {
        let reader = std::thread::Builder::new().stack_size(256 << 10).spawn(|| {
            check("[".repeat(100_000), Err(JsonError::TooDeep));
            check("{\"a\":".repeat(100_000), Err(JsonError::TooDeep));
        });
        reader.unwrap().join().unwrap();
    }

    #[test]
    fn too_many_values() {
        let limits = Limits {
            bytes: 100,
            values: 3,
        };
        assert!(parse(b"[1,2]", limits).is_ok());
        assert_eq!(
            parse(b"[1,2,3]", limits),
            Err(JsonError::TooManyValues { limit: 3 })
        );
    }

    #[test]
    fn duplicate_key() {
        check(
            r#"{"a":1,"a":1}"#,
            Err(JsonError::DuplicateKey { offset: 13 }),
        );
        check(
            r#"[{"a":{"b":1,"\u0062":2}}]"#,
            Err(JsonError::DuplicateKey { offset: 24 }),
        );
        for count in [PAIRWISE_KEYS, PAIRWISE_KEYS + 1, 1000] {
            let keys = |last: usize| -> String {
                let list: Vec<String> = (0..count - 1)
                    .chain([last])
                    .map(|key| format!("\"k{key}\":0"))
                    .collect();
                format!("{{{}}}", list.join(","))
            };
            assert!(parse(keys(count).as_bytes(), LIMITS).is_ok());
            let twice = keys(0);
            check(
                &twice,
                Err(JsonError::DuplicateKey {
                    offset: twice.len(),
                }),
            );
        }
    }

    /// The same document as `serde_json` sees it, to compare.
    fn as_serde(value: &Value<'_>) -> serde_json::Value {
        match value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag) => (*flag).into(),
            Value::Number(text) => serde_json::from_str(text).unwrap(),
            Value::String(text) => (**text).into(),
            Value::Array(elements) => elements.iter().map(as_serde).collect(),
            Value::Object(object) => object
                .members()
                .iter()
                .map(|member| (member.key.clone().into_owned(), as_serde(&member.value)))
                .collect(),
        }
    }

    proptest! {
        /// `serde_json` is the oracle: what it reads, we read to the same values, unless a key
        /// is duplicated; what we read, it reads.
        #[test]
        fn agrees_with_serde_json(text in r#"([\[\]{},: \n]|"[a-c]?"|"\\(u00e9|n|x|ud83d)"|-?(0|1|12)(\.5)?(e1)?|true|null|é){0,12}"#) {
            let ours = parse(text.as_bytes(), LIMITS);
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(as_serde(&ours), theirs),
                (Err(JsonError::DuplicateKey { .. }), Ok(_)) | (Err(_), Err(_)) => {}
                (ours, theirs) => prop_assert!(false, "{:?} / {:?}", ours, theirs),
            }
        }

        #[test]
        fn every_string_is_read_back(text in any::<String>()) {
            let mut written = String::new();
            super::super::write_string(&mut written, &text);
            let value = parse(written.as_bytes(), LIMITS).unwrap();
            prop_assert_eq!(value.as_str(), Some(&*text));
            let theirs = serde_json::to_string(&text).unwrap();
            let value = parse(theirs.as_bytes(), LIMITS).unwrap();
            prop_assert_eq!(value.as_str(), Some(&*text));
        }

        #[test]
        fn nothing_panics(bytes in any::<Vec<u8>>()) {
            let _ = parse(&bytes, LIMITS);
        }
    }
}

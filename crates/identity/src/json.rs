//! Tokens, key sets and discovery documents as JSON: read by the strict reader of
//! `waxseal-formats` (duplicate keys, trailing bytes and lone surrogates are errors, S-54).

use serde_json::{Map, Number, Value};
use waxseal_formats::json::{self, Limits};

/// Most values in one document: a hundred keys have about a thousand.
pub const MAX_JSON_VALUES: usize = 8192;

/// Why a text is not one strict JSON object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Not strict JSON, or too large.
    #[error(transparent)]
    Text(#[from] json::JsonError),
    /// JSON, and no object.
    #[error("JSON that is not an object")]
    NotAnObject,
    /// A number that no double holds, such as 1e400: readers would differ about it (S-34).
    #[error("a JSON number out of range")]
    NumberOutOfRange,
}

/// Parses one object of at most `bytes` bytes.
pub(crate) fn parse_object(text: &[u8], bytes: usize) -> Result<Map<String, Value>, JsonError> {
    match parse_json(text, bytes)? {
        Value::Object(object) => Ok(object),
        _ => Err(JsonError::NotAnObject),
    }
}

/// Parses the answer of an identity provider, at most `bytes` bytes, by the strict rules.
///
/// # Errors
/// [`JsonError`], any but `NotAnObject`.
pub fn parse_json(text: &[u8], bytes: usize) -> Result<Value, JsonError> {
    let limits = Limits {
        bytes,
        values: MAX_JSON_VALUES,
    };
    own(&json::parse(text, limits)?)
}

fn own_object(object: &json::Object<'_>) -> Result<Map<String, Value>, JsonError> {
    object
        .members()
        .iter()
        .map(|member| Ok((member.key.clone().into_owned(), own(&member.value)?)))
        .collect()
}

/// The reader bounds the depth, and so this recursion.
fn own(value: &json::Value<'_>) -> Result<Value, JsonError> {
    Ok(match value {
        json::Value::Bool(flag) => Value::Bool(*flag),
        json::Value::Number(text) => Value::Number(own_number(text)?),
        json::Value::String(text) => Value::String(text.clone().into_owned()),
        json::Value::Array(items) => Value::Array(items.iter().map(own).collect::<Result<_, _>>()?),
        json::Value::Object(object) => Value::Object(own_object(object)?),
        _ => Value::Null,
    })
}

fn own_number(text: &str) -> Result<Number, JsonError> {
    if let Ok(integer) = text.parse::<i64>() {
        return Ok(integer.into());
    }
    if let Ok(integer) = text.parse::<u64>() {
        return Ok(integer.into());
    }
    let double = text.parse().ok().and_then(Number::from_f64);
    double.ok_or(JsonError::NumberOutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = match parse_object(text.as_bytes(), 1000) {
            Ok(_) => "ok".to_owned(),
            Err(error) => format!("{error:?}"),
        };
        assert!(found.starts_with(expected), "{text}: {found}");
    }

    #[test]
    fn text() {
        check(r#" {"a":[1,-2,3.5,null,true,{"b":"c"}]} "#, "ok");
        check(r#"{"a":1,"a":1}"#, "Text(DuplicateKey");
        check(r#"{"a":[{"b":1,"\u0062":2}]}"#, "Text(DuplicateKey");
        check("{} x", "Text(TrailingBytes");
        check(r#"{"a":"\ud800"}"#, "Text(LoneSurrogate");
        check(&format!("{{\"a\":{}", "[".repeat(900)), "Text(TooDeep");
        check(&" ".repeat(1001), "Text(TooLong");
        let bytes = parse_object(b"{\"a\":\"\xff\"}", 1000).unwrap_err();
        assert!(matches!(
            bytes,
            JsonError::Text(json::JsonError::NotUtf8 { .. })
        ));
    }

    #[test]
    fn not_an_object() {
        for text in ["[]", "\"a\"", "null", "1"] {
            check(text, "NotAnObject");
        }
    }

    #[test]
    fn number_out_of_range() {
        check(r#"{"a":1e400}"#, "NumberOutOfRange");
        check(r#"{"a":-1e400}"#, "NumberOutOfRange");
    }
}

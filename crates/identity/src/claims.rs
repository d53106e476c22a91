//! The claims of a token, each of exactly the type that the specification gives it: a claim of
//! another type is an error, never an absent claim (CVE-2026-25537, S-34).

use serde_json::{Map, Value};
use waxseal_crypto::Time;

use crate::MAX_TOKEN;
use crate::json::{JsonError, parse_object};

/// The largest claim that we keep, in bytes; nothing longer fits a certificate (R-CA-09).
pub const MAX_CLAIM: usize = 2048;

/// Most audiences in one token.
pub const MAX_AUDIENCES: usize = 16;

/// A token's payload.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Claims(Map<String, Value>);

/// Why a claim cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// The payload is not strict JSON.
    #[error("the token's payload is {0}")]
    NotJson(#[from] JsonError),
    /// A claim that must be there is not, or is empty.
    #[error("the token has no claim {claim:?}")]
    Missing {
        /// Its name; nested claims with dots.
        claim: String,
    },
    /// A claim has another JSON type than the specification gives it.
    #[error("the token's claim {claim:?} has the wrong type")]
    WrongType {
        /// Its name.
        claim: String,
    },
    /// A claim is longer than [`MAX_CLAIM`], or an array has more than [`MAX_AUDIENCES`] items.
    #[error("the token's claim {claim:?} is too long")]
    TooLong {
        /// Its name.
        claim: String,
    },
    /// A claim has control characters, which would forge lines and names downstream.
    #[error("the token's claim {claim:?} has control characters")]
    ControlCharacters {
        /// Its name.
        claim: String,
    },
}

impl Claims {
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, ClaimError> {
        Ok(Self(parse_object(payload, MAX_TOKEN)?))
    }

    /// A value inside nested objects: `["federated_claims", "connector_id"]`.
    fn at<S: AsRef<str>>(&self, path: &[S]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let value = self.0.get(first.as_ref())?;
        rest.iter()
            .try_fold(value, |value, name| value.get(name.as_ref()))
    }

    /// A claim as it is.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A string that must be there.
    pub(crate) fn text<S: AsRef<str>>(&self, path: &[S]) -> Result<&str, ClaimError> {
        let missing = || ClaimError::Missing { claim: join(path) };
        match self.at(path).ok_or_else(missing)? {
            Value::String(text) if text.is_empty() => Err(missing()),
            Value::String(text) => check_text(path, text),
            _ => Err(ClaimError::WrongType { claim: join(path) }),
        }
    }

    /// A string that may be absent.
    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<&str>, ClaimError> {
        if self.0.contains_key(name) {
            self.text(&[name]).map(Some)
        } else {
            Ok(None)
        }
    }

    /// A string, or an integer in full decimal digits (S-45); `None` if absent or empty.
    pub(crate) fn rendered(&self, name: &str) -> Result<Option<String>, ClaimError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => check_text(&[name], text).map(|t| Some(t.to_owned())),
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => {
                Ok(Some(number.to_string()))
            }
            Some(_) => Err(ClaimError::WrongType {
                claim: name.to_owned(),
            }),
        }
    }

    /// A NumericDate (RFC 7519 §2), as a whole number of seconds from 1970 to 9999.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Time>, ClaimError> {
        let wrong = || ClaimError::WrongType {
            claim: name.to_owned(),
        };
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let seconds = value.as_i64().filter(|s| *s >= 0).ok_or_else(wrong)?;
        Time::from_unix(seconds).map(Some).map_err(|_| wrong())
    }

    /// `aud`: one string or an array of strings (RFC 7519 §4.1.3).
    pub(crate) fn audiences(&self) -> Result<Vec<&str>, ClaimError> {
        let claim = || "aud".to_owned();
        match self.0.get("aud") {
            None => Err(ClaimError::Missing { claim: claim() }),
            Some(Value::String(one)) => Ok(vec![one]),
            Some(Value::Array(many)) if many.len() > MAX_AUDIENCES => {
                Err(ClaimError::TooLong { claim: claim() })
            }
            Some(Value::Array(many)) => many
                .iter()
                .map(|one| one.as_str().ok_or(ClaimError::WrongType { claim: claim() }))
                .collect(),
            Some(_) => Err(ClaimError::WrongType { claim: claim() }),
        }
    }

    /// `email_verified`: a boolean, or the string `"true"` that some issuers write.
    pub(crate) fn email_verified(&self) -> bool {
        match self.0.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(text)) => text == "true",
            _ => false,
        }
    }
}

fn check_text<'a, S: AsRef<str>>(path: &[S], text: &'a str) -> Result<&'a str, ClaimError> {
    if text.len() > MAX_CLAIM {
        return Err(ClaimError::TooLong { claim: join(path) });
    }
    if text.chars().any(char::is_control) {
        return Err(ClaimError::ControlCharacters { claim: join(path) });
    }
    Ok(text)
}

fn join<S: AsRef<str>>(path: &[S]) -> String {
    path.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(text: &str) -> Claims {
        Claims::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn s_34_a_date_of_the_wrong_type_is_an_error() {
        for value in [
            "\"never\"",
            "\"9999\"",
            "null",
            "[]",
            "{}",
            "-1",
            "9223372036854775808",
            "18446744073709551616",
            "1.5",
            "1700000000.0",
            "1e3",
            "true",
            "253402300800",
        ] {
            let claims = claims(&format!("{{\"exp\":{value}}}"));
            let claim = "exp".to_owned();
            assert_eq!(
                claims.time("exp"),
                Err(ClaimError::WrongType { claim }),
                "{value}"
            );
        }
        assert!(Claims::parse(b"{\"exp\":1e400}").is_err());
        assert_eq!(claims("{}").time("exp"), Ok(None));
        let time = claims("{\"exp\":253402300799}")
            .time("exp")
            .unwrap()
            .unwrap();
        assert_eq!(time.unix_seconds(), 253_402_300_799);
    }

    #[test]
    fn s_45_large_numbers_are_exact() {
        let check = |value: &str, expected: Result<Option<&str>, ()>| {
            let rendered = claims(&format!("{{\"n\":{value}}}")).rendered("n");
            assert_eq!(
                rendered.as_ref().map(Option::as_deref).map_err(|_| ()),
                expected,
                "{value}"
            );
        };
        check("9007199254740993", Ok(Some("9007199254740993")));
        check("18446744073709551615", Ok(Some("18446744073709551615")));
        check("-5", Ok(Some("-5")));
        check("\"x\"", Ok(Some("x")));
        check("\"\"", Ok(None));
        check("1.2e9", Err(()));
        check("18446744073709551616", Err(()));
        check("null", Err(()));
        check("true", Err(()));
    }

    #[test]
    fn email_verified_is_true_or_the_word() {
        let check = |value: &str, expected| {
            let claims = claims(&format!("{{\"email_verified\":{value}}}"));
            assert_eq!(claims.email_verified(), expected, "{value}");
        };
        check("true", true);
        check("\"true\"", true);
        for value in [
            "false",
            "\"false\"",
            "1",
            "\"1\"",
            "\"TRUE\"",
            "null",
            "[true]",
            "{}",
        ] {
            check(value, false);
        }
        assert!(!claims("{}").email_verified());
    }

    #[test]
    fn texts_are_bounded_and_printable() {
        let check = |value: &str, expected: Result<&str, &str>| {
            let claims = claims(&format!("{{\"sub\":{value}}}"));
            let found = claims.text(&["sub"]).map_err(|error| match error {
                ClaimError::Missing { .. } => "missing",
                ClaimError::WrongType { .. } => "wrong type",
                ClaimError::TooLong { .. } => "too long",
                ClaimError::ControlCharacters { .. } => "control characters",
                ClaimError::NotJson(_) => "not json",
            });
            assert_eq!(found, expected, "{value}");
        };
        check("\"a\"", Ok("a"));
        check("\"\"", Err("missing"));
        check("7", Err("wrong type"));
        check("null", Err("wrong type"));
        check("\"a\\u0000b\"", Err("control characters"));
        check("\"a\\r\\nb\"", Err("control characters"));
        check(&format!("\"{}\"", "a".repeat(2049)), Err("too long"));
        let fits = "a".repeat(2048);
        check(&format!("\"{fits}\""), Ok(&fits));
        assert_eq!(claims(r#"{"a":{"b":"c"}}"#).text(&["a", "b"]), Ok("c"));
    }
}

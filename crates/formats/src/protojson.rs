//! The mapping of protobuf messages to JSON (protobuf.dev/programming-guides/json), reading side.
//!
//! What it permits, and no more: `lowerCamelCase` or `snake_case` names, `null` for absent, zero
//! values left out, 64-bit integers as strings or numbers, enums by name or number, both base64
//! alphabets with or without padding.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use crate::alphabet;
use crate::json::{JsonError, Object, Value};
use crate::{TimeRange, Timestamp};

/// Why JSON is not the message that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// The text is not strict JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A field holds another type of JSON value than its protobuf type maps to.
    #[error("field `{field}`: expected {expected}")]
    WrongType {
        /// The field, as protojson names it; or the message, if it is the document itself.
        field: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// A `bytes` field is neither base64 alphabet, or padded wrongly.
    #[error("field `{field}`: malformed base64")]
    Base64 {
        /// The field.
        field: &'static str,
    },
    /// An integer has a fraction or does not fit its type.
    #[error("field `{field}`: not an integer of its range")]
    Integer {
        /// The field.
        field: &'static str,
    },
    /// An enum value has a name that is not known where it must be.
    #[error("field `{field}`: unknown value `{value}`")]
    EnumValue {
        /// The field.
        field: &'static str,
        /// The value found.
        value: String,
    },
    /// A timestamp is not RFC 3339, or outside years 0001 to 9999.
    #[error("field `{field}`: malformed time")]
    Time {
        /// The field.
        field: &'static str,
    },
    /// A field is there under both of its names, `camelCase` and `snake_case`.
    #[error("field `{field}` is there under two names")]
    TwoNames {
        /// The field.
        field: &'static str,
    },
    /// Two members of a oneof are there.
    #[error("fields `{first}` and `{second}` exclude each other")]
    Oneof {
        /// The member met first, in the order of the message.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A field that must be there is absent (or zero).
    #[error("field `{field}` is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A field that the message does not have, where unknown ones are refused.
    #[error("unknown field `{name}`")]
    UnknownField {
        /// Its name.
        name: String,
    },
    /// A list is longer than its limit.
    #[error("field `{field}`: {count} elements, the limit is {limit}")]
    TooMany {
        /// The list.
        field: &'static str,
        /// How many there are.
        count: usize,
        /// The limit.
        limit: usize,
    },
}

impl FieldError {
    /// The field that is wrong, as protojson names it; `None` if the text is not JSON.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Json(_) => None,
            Self::WrongType { field, .. }
            | Self::Base64 { field }
            | Self::Integer { field }
            | Self::EnumValue { field, .. }
            | Self::Time { field }
            | Self::TwoNames { field }
            | Self::Missing { field }
            | Self::TooMany { field, .. } => Some(field),
            Self::Oneof { second, .. } => Some(second),
            Self::UnknownField { name } => Some(name),
        }
    }
}

/// One message that is being read.
#[derive(Clone, Copy)]
pub(crate) struct Message<'v, 'a> {
    object: &'v Object<'a>,
}

impl<'v, 'a> Message<'v, 'a> {
    pub(crate) fn of(value: &'v Value<'a>, name: &'static str) -> Result<Self, FieldError> {
        match value {
            Value::Object(object) => Ok(Self { object }),
            _ => Err(wrong(name, "an object")),
        }
    }

    /// Refuses every member that is none of these fields.
    pub(crate) fn only(&self, fields: &[&str]) -> Result<(), FieldError> {
        let unknown = self
            .object
            .members()
            .iter()
            .find(|member| !fields.iter().any(|field| names_field(&member.key, field)));
        match unknown {
            Some(member) => Err(FieldError::UnknownField {
                name: member.key.chars().take(64).collect(),
            }),
            None => Ok(()),
        }
    }

    /// The value of a field, under either name; `null` is absent.
    pub(crate) fn value(&self, field: &'static str) -> Result<Option<&'v Value<'a>>, FieldError> {
        let mut found = self
            .object
            .members()
            .iter()
            .filter(|member| names_field(&member.key, field));
        let first = found.next();
        if found.next().is_some() {
            return Err(FieldError::TwoNames { field });
        }
        Ok(first
            .map(|member| &member.value)
            .filter(|value| **value != Value::Null))
    }

    /// The one member of a oneof that is there.
    pub(crate) fn oneof(
        &self,
        fields: &[&'static str],
    ) -> Result<Option<(&'static str, &'v Value<'a>)>, FieldError> {
        let mut found = None;
        for field in fields {
            if let Some(value) = self.value(field)? {
                if let Some((first, _)) = found {
                    return Err(FieldError::Oneof {
                        first,
                        second: field,
                    });
                }
                found = Some((*field, value));
            }
        }
        Ok(found)
    }

    pub(crate) fn message(&self, field: &'static str) -> Result<Option<Self>, FieldError> {
        self.value(field)?
            .map(|value| Self::of(value, field))
            .transpose()
    }

    pub(crate) fn required(&self, field: &'static str) -> Result<Self, FieldError> {
        self.message(field)?.ok_or(FieldError::Missing { field })
    }

    pub(crate) fn list(&self, field: &'static str) -> Result<&'v [Value<'a>], FieldError> {
        match self.value(field)? {
            None => Ok(&[]),
            Some(Value::Array(elements)) => Ok(elements),
            Some(_) => Err(wrong(field, "an array")),
        }
    }

    /// The elements of a list, each read as a message.
    pub(crate) fn messages<T, E: From<FieldError>>(
        &self,
        field: &'static str,
        limit: usize,
        read: impl Fn(Self) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        let elements = self.list(field)?;
        within(field, elements.len(), limit)?;
        elements
            .iter()
            .map(|element| read(Self::of(element, field)?))
            .collect()
    }

    pub(crate) fn strings(
        &self,
        field: &'static str,
        limit: usize,
    ) -> Result<Vec<String>, FieldError> {
        let elements = self.list(field)?;
        within(field, elements.len(), limit)?;
        elements
            .iter()
            .map(|element| string_of(element, field).map(str::to_owned))
            .collect()
    }

    pub(crate) fn byte_strings(
        &self,
        field: &'static str,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, FieldError> {
        let elements = self.list(field)?;
        within(field, elements.len(), limit)?;
        elements
            .iter()
            .map(|element| bytes_of(element, field))
            .collect()
    }

    pub(crate) fn str(&self, field: &'static str) -> Result<&'v str, FieldError> {
        self.value(field)?
            .map_or(Ok(""), |value| string_of(value, field))
    }

    pub(crate) fn string(&self, field: &'static str) -> Result<String, FieldError> {
        self.str(field).map(str::to_owned)
    }

    pub(crate) fn bytes(&self, field: &'static str) -> Result<Vec<u8>, FieldError> {
        self.value(field)?
            .map_or(Ok(Vec::new()), |value| bytes_of(value, field))
    }

    /// Bytes that must be there and not be empty.
    pub(crate) fn required_bytes(&self, field: &'static str) -> Result<Vec<u8>, FieldError> {
        let bytes = self.bytes(field)?;
        if bytes.is_empty() {
            return Err(FieldError::Missing { field });
        }
        Ok(bytes)
    }

    pub(crate) fn int64(&self, field: &'static str) -> Result<i64, FieldError> {
        self.integer(field)
    }

    pub(crate) fn int32(&self, field: &'static str) -> Result<i32, FieldError> {
        self.integer(field)
    }

    pub(crate) fn uint32(&self, field: &'static str) -> Result<u32, FieldError> {
        self.integer(field)
    }

    /// An unsigned integer, up to the largest `int64`.
    pub(crate) fn uint64(&self, field: &'static str) -> Result<u64, FieldError> {
        self.integer(field)
    }

    fn integer<T: TryFrom<i64> + Default>(&self, field: &'static str) -> Result<T, FieldError> {
        let Some(value) = self.value(field)? else {
            return Ok(T::default());
        };
        let text = match value {
            Value::Number(text) => text,
            Value::String(text) => &**text,
            _ => return Err(wrong(field, "an integer")),
        };
        integer(text)
            .and_then(|number| T::try_from(number).ok())
            .ok_or(FieldError::Integer { field })
    }

    pub(crate) fn bool(&self, field: &'static str) -> Result<bool, FieldError> {
        match self.value(field)? {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(wrong(field, "true or false")),
        }
    }

    /// An enum, by name or number; `None` if it is absent.
    pub(crate) fn enumeration(
        &self,
        field: &'static str,
    ) -> Result<Option<EnumValue<'v>>, FieldError> {
        match self.value(field)? {
            None => Ok(None),
            Some(Value::String(name)) => Ok(Some(EnumValue::Name(name))),
            Some(Value::Number(text)) => integer(text)
                .and_then(|number| i32::try_from(number).ok())
                .map(|number| Some(EnumValue::Number(number)))
                .ok_or(FieldError::Integer { field }),
            Some(_) => Err(wrong(field, "the name or number of an enum value")),
        }
    }

    pub(crate) fn time(&self, field: &'static str) -> Result<Option<Timestamp>, FieldError> {
        self.value(field)?
            .map(|value| {
                Timestamp::parse(string_of(value, field)?).ok_or(FieldError::Time { field })
            })
            .transpose()
    }

    pub(crate) fn time_range(&self, field: &'static str) -> Result<Option<TimeRange>, FieldError> {
        self.message(field)?
            .map(|range| {
                Ok(TimeRange {
                    start: range.time("start")?,
                    end: range.time("end")?,
                })
            })
            .transpose()
    }
}

/// An enum value as it was written.
pub(crate) enum EnumValue<'v> {
    Name(&'v str),
    Number(i32),
}

pub(crate) fn within(field: &'static str, count: usize, limit: usize) -> Result<(), FieldError> {
    if count > limit {
        return Err(FieldError::TooMany {
            field,
            count,
            limit,
        });
    }
    Ok(())
}

const fn wrong(field: &'static str, expected: &'static str) -> FieldError {
    FieldError::WrongType { field, expected }
}

fn string_of<'v>(value: &'v Value<'_>, field: &'static str) -> Result<&'v str, FieldError> {
    value.as_str().ok_or(wrong(field, "a string"))
}

fn bytes_of(value: &Value<'_>, field: &'static str) -> Result<Vec<u8>, FieldError> {
    base64(string_of(value, field)?).ok_or(FieldError::Base64 { field })
}

/// Either alphabet (not both in one text), padded fully or not at all. Line breaks are skipped, as
/// the reference implementations in Go, Python and JavaScript do: bundles made with `base64` of
/// coreutils hold them.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    if let Ok(bytes) = alphabet::STANDARD.decode(text) {
        return Some(bytes);
    }
    let whole: Cow<'_, str> = if text.contains(['\n', '\r']) {
        Cow::Owned(text.replace(['\n', '\r'], ""))
    } else {
        Cow::Borrowed(text)
    };
    let unpadded = !whole.len().is_multiple_of(4);
    let engine = match (whole.contains(['-', '_']), unpadded) {
        (false, false) => &STANDARD,
        (false, true) => &STANDARD_NO_PAD,
        (true, false) => &URL_SAFE,
        (true, true) => &URL_SAFE_NO_PAD,
    };
    engine.decode(&*whole).ok()
}

/// Whether a key is one of the two names of a field, given in `lowerCamelCase`.
fn names_field(key: &str, camel: &str) -> bool {
    if key == camel {
        return true;
    }
    // The snake_case name is the original one, and has an underscore for each capital.
    let mut key = key.bytes();
    camel.bytes().all(|byte| {
        if byte.is_ascii_uppercase() {
            key.next() == Some(b'_') && key.next() == Some(byte.to_ascii_lowercase())
        } else {
            key.next() == Some(byte)
        }
    }) && key.next().is_none()
}

/// A JSON number of integral value, exponents and zero fractions included: `1e2`, `10.0`.
fn integer(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<i64>() {
        // `parse` takes `+1` and `007`, which are not JSON.
        let digits = text.strip_prefix('-').unwrap_or(text);
        let json = !digits.starts_with('+') && (digits == "0" || !digits.starts_with('0'));
        return json.then_some(number);
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    let (sign, whole) = match whole.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", whole),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if whole.is_empty()
        || (whole.len() > 1 && whole.starts_with('0'))
        || exponent_digits.is_empty()
        || !(digits(whole) && digits(fraction) && digits(exponent_digits))
    {
        return None;
    }
    // Shift the point: all significant digits, then as many zeros as the exponent leaves.
    let significant = format!("{whole}{fraction}");
    let significant = significant.trim_start_matches('0');
    let trimmed = significant.trim_end_matches('0');
    if trimmed.is_empty() {
        return Some(0);
    }
    let dropped = i64::try_from(significant.len() - trimmed.len()).ok()?;
    let fraction_length = i64::try_from(fraction.len()).ok()?;
    let exponent: i64 = exponent.parse().ok()?;
    let zeros = exponent
        .checked_sub(fraction_length)?
        .checked_add(dropped)?;
    let zeros = usize::try_from(zeros).ok().filter(|zeros| *zeros <= 19)?;
    format!("{sign}{trimmed}{}", "0".repeat(zeros)).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse};

    fn check<T: std::fmt::Debug + PartialEq>(
        text: &str,
        read: impl FnOnce(Message<'_, '_>) -> Result<T, FieldError>,
        expected: Result<T, FieldError>,
    ) {
        let limits = Limits {
            bytes: 10_000,
            values: 1000,
        };
        let value = parse(text.as_bytes(), limits).unwrap();
        assert_eq!(
            Message::of(&value, "test").and_then(read),
            expected,
            "{text}"
        );
    }

    #[test]
    fn names_are_camel_or_snake() {
        check(r#"{"logIndex":1}"#, |m| m.int64("logIndex"), Ok(1));
        check(r#"{"log_index":1}"#, |m| m.int64("logIndex"), Ok(1));
        check(
            r#"{"hashed_rekord_request_v002":"x"}"#,
            |m| m.string("hashedRekordRequestV002"),
            Ok("x".into()),
        );
        for other in [
            "LogIndex",
            "log-index",
            "logindex",
            "log_index_",
            "log__index",
            "log_Index",
        ] {
            check(
                &format!("{{\"{other}\":1}}"),
                |m| m.int64("logIndex"),
                Ok(0),
            );
        }
    }

    #[test]
    fn null_is_absent() {
        check(r#"{"a":null}"#, |m| m.string("a"), Ok(String::new()));
        check(r#"{"a":null}"#, |m| Ok(m.message("a")?.is_none()), Ok(true));
        check(
            r#"{"a":null,"b":"x"}"#,
            |m| Ok(m.oneof(&["a", "b"])?.map(|(field, _)| field)),
            Ok(Some("b")),
        );
    }

    #[test]
    fn integers() {
        let field = "n";
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("\"12\"", Some(12)),
            ("9223372036854775807", Some(i64::MAX)),
            ("\"-9223372036854775808\"", Some(i64::MIN)),
            ("1.0", Some(1)),
            ("1e2", Some(100)),
            ("1.5E+1", Some(15)),
            ("1500e-2", Some(15)),
            ("\"1e2\"", Some(100)),
            ("0e99999", Some(0)),
            ("0.0", Some(0)),
            ("-2.50e1", Some(-25)),
            ("9007199254740993.0", Some(9_007_199_254_740_993)),
            ("9223372036854775808", None),
            ("1.5", None),
            ("15e-2", None),
            ("1e19", None),
            ("1e99999999999999999999", None),
            ("\"\"", None),
            ("\" 1\"", None),
            ("\"+1\"", None),
            ("\"01\"", None),
            ("\"1.\"", None),
            ("\".5\"", None),
            ("\"1e\"", None),
            ("\"0x10\"", None),
            ("\"-\"", None),
        ] {
            let expected = expected.ok_or(FieldError::Integer { field });
            check(&format!("{{\"n\":{text}}}"), |m| m.int64("n"), expected);
        }
        check(r#"{"n":4294967295}"#, |m| m.uint32("n"), Ok(u32::MAX));
    }

    #[test]
    fn integer_out_of_range() {
        let error = FieldError::Integer { field: "n" };
        check(r#"{"n":-1}"#, |m| m.uint32("n"), Err(error.clone()));
        check(r#"{"n":4294967296}"#, |m| m.uint32("n"), Err(error.clone()));
        check(r#"{"n":2147483648}"#, |m| m.int32("n"), Err(error.clone()));
        check(
            r#"{"n":1.5}"#,
            |m| Ok(m.enumeration("n")?.is_some()),
            Err(error),
        );
    }

    #[test]
    fn base64() {
        for text in ["+/8=", "+/8", "-_8=", "-_8", "+/\\r\\n8=\\n", "-\\n_\\n8"] {
            check(
                &format!("{{\"b\":\"{text}\"}}"),
                |m| m.bytes("b"),
                Ok(vec![0xfb, 0xff]),
            );
        }
        for text in [
            "+_8=", "+/8==", "+/9=", "+/", "A", "AA=", "QQ=", "Q Q=", "QQ\\t==", "=", "====",
        ] {
            let error = FieldError::Base64 { field: "b" };
            check(
                &format!("{{\"b\":\"{text}\"}}"),
                |m| m.bytes("b"),
                Err(error),
            );
        }
    }

    #[test]
    fn wrong_type() {
        fn error<T>(expected: &'static str) -> Result<T, FieldError> {
            Err(wrong("f", expected))
        }
        check(r#"{"f":1}"#, |m| m.string("f"), error("a string"));
        check(r#"{"f":[1]}"#, |m| m.strings("f", 9), error("a string"));
        check(r#"{"f":{}}"#, |m| m.bytes("f"), error("a string"));
        check(
            r#"{"f":"x"}"#,
            |m| m.list("f").map(<[_]>::len),
            error("an array"),
        );
        check(r#"{"f":true}"#, |m| m.int64("f"), error("an integer"));
        check(r#"{"f":"true"}"#, |m| m.bool("f"), error("true or false"));
        check(
            r#"{"f":[]}"#,
            |m| m.message("f").map(|_| ()),
            error("an object"),
        );
        check(
            r#"{"f":[null]}"#,
            |m| m.messages("f", 9, |_| Ok::<_, FieldError>(())),
            error("an object"),
        );
        check(r#"[]"#, |_| Ok(()), Err(wrong("test", "an object")));
    }

    #[test]
    fn two_names() {
        let error = FieldError::TwoNames { field: "logIndex" };
        check(
            r#"{"logIndex":1,"log_index":1}"#,
            |m| m.int64("logIndex"),
            Err(error.clone()),
        );
        check(
            r#"{"logIndex":1,"log_index":null}"#,
            |m| m.int64("logIndex"),
            Err(error),
        );
    }

    #[test]
    fn oneof() {
        let error = FieldError::Oneof {
            first: "a",
            second: "b",
        };
        check(
            r#"{"b":1,"a":1}"#,
            |m| Ok(m.oneof(&["a", "b"])?.is_some()),
            Err(error),
        );
    }

    #[test]
    fn missing() {
        let error = FieldError::Missing { field: "a" };
        check("{}", |m| m.required("a").map(|_| ()), Err(error.clone()));
        check(r#"{"a":""}"#, |m| m.required_bytes("a"), Err(error));
    }

    #[test]
    fn unknown_field() {
        let error = FieldError::UnknownField { name: "c".into() };
        check(r#"{"a_b":1,"c":2}"#, |m| m.only(&["aB"]), Err(error));
        check(r#"{"a_b":1}"#, |m| m.only(&["aB"]), Ok(()));
    }

    #[test]
    fn too_many() {
        let error = FieldError::TooMany {
            field: "a",
            count: 3,
            limit: 2,
        };
        check(r#"{"a":["","",""]}"#, |m| m.strings("a", 2), Err(error));
        check(
            r#"{"a":["",""]}"#,
            |m| m.byte_strings("a", 2).map(|list| list.len()),
            Ok(2),
        );
    }

    #[test]
    fn time() {
        check(
            r#"{"t":"yesterday"}"#,
            |m| m.time("t"),
            Err(FieldError::Time { field: "t" }),
        );
    }
}

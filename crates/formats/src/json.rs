//! The one strict JSON reader (RFC 8259) that all foreign JSON goes through, and the writer.
//!
//! Stricter than the grammar where leniency has been an attack: a key that occurs twice in one
//! object is refused at every level (two readers would see two documents), as are lone
//! surrogates, a byte-order mark, trailing bytes, and nesting beyond [`MAX_DEPTH`]. Numbers stay
//! text, so that no identifier passes through a float.

mod read;
mod write;

use std::borrow::Cow;

pub use read::parse;
pub(crate) use write::{Writer, object, write_string};

/// The deepest nesting that is read. Bundles nest 8 deep; the limit bounds the reader's stack
/// (K-12, S-54).
pub const MAX_DEPTH: usize = 64;

/// How much one document may cost, decided before and while it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Length of the text, in bytes; checked before anything is read.
    pub bytes: usize,
    /// Values in the document, at every level together: bounds the memory it takes.
    pub values: usize,
}

/// A JSON value that borrows from the text it was read from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it is written.
    Number(&'a str),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Self>),
    /// An object; its keys are distinct.
    Object(Object<'a>),
}

impl<'a> Value<'a> {
    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements, if it is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// The number, if it is one and is written as an integer that fits (no fraction, no exponent).
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The number, if it is one and is written as a non-negative integer that fits.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }
}

/// An object: its members in the order of the text, keys distinct.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object<'a> {
    members: Vec<Member<'a>>,
}

/// One member of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Member<'a> {
    /// Its key, unescaped.
    pub key: Cow<'a, str>,
    /// Its value.
    pub value: Value<'a>,
    /// The value's own text, without the white space around it.
    pub raw: &'a str,
}

impl<'a> Object<'a> {
    /// The members in the order of the text.
    pub fn members(&self) -> &[Member<'a>] {
        &self.members
    }

    /// The member of exactly that key.
    pub fn member(&self, key: &str) -> Option<&Member<'a>> {
        self.members.iter().find(|member| member.key == key)
    }

    /// The value under exactly that key.
    pub fn value(&self, key: &str) -> Option<&Value<'a>> {
        self.member(key).map(|member| &member.value)
    }
}

/// Why a text is not JSON that is read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text is longer than [`Limits::bytes`].
    #[error("JSON too long: {length} bytes, the limit is {limit}")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The text is not UTF-8 (RFC 8259 §8.1).
    #[error("JSON is not UTF-8 from byte {offset} on")]
    NotUtf8 {
        /// Where the first bad byte is.
        offset: usize,
    },
    /// The text begins with a byte-order mark (RFC 8259 §8.1).
    #[error("JSON begins with a byte-order mark")]
    ByteOrderMark,
    /// The text breaks the grammar (RFC 8259 §2).
    #[error("malformed JSON at byte {offset}")]
    Malformed {
        /// Where it breaks.
        offset: usize,
    },
    /// Something follows the value (RFC 8259 §2).
    #[error("bytes after the JSON value, from byte {offset} on")]
    TrailingBytes {
        /// Where they begin.
        offset: usize,
    },
    /// A string holds half of a surrogate pair (RFC 8259 §8.2).
    #[error("lone surrogate in a JSON string at byte {offset}")]
    LoneSurrogate {
        /// Where its escape begins.
        offset: usize,
    },
    /// Arrays and objects nest deeper than [`MAX_DEPTH`].
    #[error("JSON nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// There are more values than [`Limits::values`].
    #[error("more than {limit} values in JSON")]
    TooManyValues {
        /// The limit.
        limit: usize,
    },
    /// An object has one key twice (RFC 8259 §4 leaves the meaning open: so refused).
    #[error("duplicate key in the JSON object that ends at byte {offset}")]
    DuplicateKey {
        /// Where the object ends.
        offset: usize,
    },
}

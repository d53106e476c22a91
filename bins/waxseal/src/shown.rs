//! Something to show: one tree, as JSON or as indented text.

use std::fmt::Write as _;

use serde::Serialize;
use serde::ser::{SerializeMap as _, SerializeSeq as _, Serializer};

use crate::terminal::visible;

/// A value to show. Fields keep their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Text, from outside too.
    Text(String),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// Several of a kind.
    List(Vec<Self>),
    /// Named parts. Absent parts are not there.
    Fields(Vec<(String, Self)>),
}

impl Shown {
    /// Text of anything.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "most callers have a value to give away"
    )]
    pub(crate) fn text(value: impl ToString) -> Self {
        Self::Text(value.to_string())
    }

    /// Bytes, in hexadecimal.
    pub(crate) fn hex(bytes: &[u8]) -> Self {
        let digits = bytes.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Self::Text(digits)
    }

    /// Named parts.
    pub(crate) fn fields<const N: usize>(fields: [(&str, Self); N]) -> Self {
        Self::Fields(fields.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// Adds a part, if this has parts.
    pub(crate) fn with(mut self, name: &str, value: Self) -> Self {
        if let Self::Fields(fields) = &mut self {
            fields.push((name.to_owned(), value));
        }
        self
    }

    /// Adds a part, if there is one.
    pub(crate) fn with_some(self, name: &str, value: Option<Self>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds a text, if it is not empty.
    pub(crate) fn with_text(self, name: &str, text: &str) -> Self {
        self.with_some(name, (!text.is_empty()).then(|| Self::text(text)))
    }

    /// The tree as indented lines; nothing in it can act on a terminal.
    pub(crate) fn lines(&self) -> String {
        let mut text = String::new();
        self.write(0, &mut text);
        text
    }

    fn write(&self, depth: usize, text: &mut String) {
        let indent = "  ".repeat(depth);
        match self {
            Self::Fields(fields) => {
                for (name, value) in fields {
                    let name = visible(name);
                    match value.line() {
                        Some(line) => text.push_str(&format!("{indent}{name}: {line}\n")),
                        None => {
                            text.push_str(&format!("{indent}{name}:\n"));
                            value.write(depth + 1, text);
                        }
                    }
                }
            }
            Self::List(items) => {
                for item in items {
                    match item.line() {
                        Some(line) => text.push_str(&format!("{indent}- {line}\n")),
                        None => {
                            text.push_str(&format!("{indent}-\n"));
                            item.write(depth + 1, text);
                        }
                    }
                }
            }
            other => text.push_str(&format!("{indent}{}\n", other.line().unwrap_or_default())),
        }
    }

    /// What fits on one line.
    fn line(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(visible(text)),
            Self::Number(number) => Some(number.to_string()),
            Self::Flag(flag) => Some(if *flag { "yes" } else { "no" }.to_owned()),
            Self::List(items) if items.is_empty() => Some("none".to_owned()),
            Self::Fields(fields) if fields.is_empty() => Some("none".to_owned()),
            Self::List(_) | Self::Fields(_) => None,
        }
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Fields(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tree_two_forms() {
        let shown = Shown::fields([
            ("kind", Shown::text("x\u{1b}[2J")),
            ("empty", Shown::List(Vec::new())),
            (
                "list",
                Shown::List(vec![
                    Shown::Number(1),
                    Shown::fields([("a", Shown::Flag(true))]),
                ]),
            ),
            ("hex", Shown::hex(&[0, 255])),
        ]);
        let text = "kind: x\\u{1b}[2J\nempty: none\nlist:\n  - 1\n  -\n    a: yes\nhex: 00ff\n";
        assert_eq!(shown.lines(), text);
        let json = r#"{"kind":"x\u001b[2J","empty":[],"list":[1,{"a":true}],"hex":"00ff"}"#;
        assert_eq!(serde_json::to_string(&shown).unwrap(), json);
    }
}

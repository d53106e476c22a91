//! Members in the order they are given, no white space: the same bytes for the same value.

use std::fmt::Write as _;

use base64::Engine as _;

use crate::alphabet::STANDARD;

/// Writes one object: `object(|o| { o.text("a", "b"); })`.
pub(crate) fn object(fill: impl FnOnce(&mut Writer)) -> String {
    let mut writer = Writer {
        text: String::from("{"),
    };
    fill(&mut writer);
    writer.text.push('}');
    writer.text
}

/// The members of an object that is being written. Nothing is left out: zero values are written
/// too, because readers exist that refuse a bundle without its zero `logIndex`.
pub(crate) struct Writer {
    text: String,
}

impl Writer {
    /// A member whose value is JSON text already.
    pub(crate) fn raw(&mut self, key: &str, json: &str) {
        self.key(key);
        self.text.push_str(json);
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        write_string(&mut self.text, value);
    }

    /// Bytes as standard padded base64.
    pub(crate) fn bytes(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        write_bytes(&mut self.text, value);
    }

    /// A 64-bit integer: a string in protojson.
    pub(crate) fn int64(&mut self, key: &str, value: i64) {
        self.key(key);
        // Writing to a `String` cannot fail.
        let _ = write!(self.text, "\"{value}\"");
    }

    /// An integer as a JSON number.
    pub(crate) fn number(&mut self, key: &str, value: impl Into<i64>) {
        self.key(key);
        let _ = write!(self.text, "{}", value.into());
    }

    pub(crate) fn bool(&mut self, key: &str, value: bool) {
        self.raw(key, if value { "true" } else { "false" });
    }

    pub(crate) fn object(&mut self, key: &str, fill: impl FnOnce(&mut Self)) {
        self.key(key);
        self.text.push('{');
        fill(self);
        self.text.push('}');
    }

    /// An array of objects, one per item.
    pub(crate) fn objects<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(&mut Self, T),
    ) {
        self.array(key, items, |writer, item| {
            writer.text.push('{');
            fill(writer, item);
            writer.text.push('}');
        });
    }

    /// An array of strings.
    pub(crate) fn texts<'s>(&mut self, key: &str, items: impl IntoIterator<Item = &'s str>) {
        self.array(key, items, |writer, item| {
            write_string(&mut writer.text, item)
        });
    }

    /// An array of byte strings, base64.
    pub(crate) fn byte_strings<'s>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = &'s [u8]>,
    ) {
        self.array(key, items, |writer, item| {
            write_bytes(&mut writer.text, item)
        });
    }

    fn array<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.key(key);
        self.text.push('[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            write(self, item);
        }
        self.text.push(']');
    }

    fn key(&mut self, key: &str) {
        if !self.text.ends_with(['{', '[']) {
            self.text.push(',');
        }
        write_string(&mut self.text, key);
        self.text.push(':');
    }
}

fn write_bytes(text: &mut String, bytes: &[u8]) {
    text.push('"');
    STANDARD.encode_string(bytes, text);
    text.push('"');
}

/// A string as RFC 8785 §3.2.2.2 writes it: only what must be escaped is.
pub(crate) fn write_string(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\0'..='\u{1f}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(character));
            }
            _ => text.push(character),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order() {
        let written = object(|o| {
            o.text("b", "\u{1}\"");
            o.int64("a", -1);
            o.number("n", 7u32);
            o.bytes("bytes", &[0xfb, 0xff]);
            o.object("o", |_| {});
            o.objects("list", [1u32, 2], |o, item| o.number("i", item));
            o.texts("t", ["x", "y"]);
            o.byte_strings("none", []);
            o.bool("f", false);
        });
        assert_eq!(
            written,
            r#"{"b":"\u0001\"","a":"-1","n":7,"bytes":"+/8=","o":{},"list":[{"i":1},{"i":2}],"t":["x","y"],"none":[],"f":false}"#
        );
    }
}

//! Where two bundles differ, as paths into their JSON.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// How deep paths lead into a timestamp: `TimeStampResp`, `ContentInfo`, `[0]`, the fields of
/// `SignedData`.
const DER_STEPS: usize = 4;

/// The paths at which two bundles differ, such as `a.b[0].c`. In text of several lines each line
/// has a path of its own, `#` and its number from zero; in a timestamp each element of its DER,
/// `/` and its position within the element around it.
pub(crate) fn differences(one: &Value, other: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(one, other, String::new(), &mut found);
    found
}

fn compare(one: &Value, other: &Value, path: String, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(ones), Value::Object(others)) => {
            for (name, value) in ones {
                let path = join(&path, name);
                match others.get(name) {
                    Some(other) => compare(value, other, path, found),
                    None => found.push(path),
                }
            }
            let added = others.keys().filter(|name| !ones.contains_key(*name));
            found.extend(added.map(|name| join(&path, name)));
        }
        (Value::Array(ones), Value::Array(others)) => {
            for index in 0..ones.len().max(others.len()) {
                let path = format!("{path}[{index}]");
                match (ones.get(index), others.get(index)) {
                    (Some(one), Some(other)) => compare(one, other, path, found),
                    _ => found.push(path),
                }
            }
        }
        (Value::String(one), Value::String(other)) if one != other => {
            if path.ends_with("signedTimestamp") {
                found.push(path + &element(one, other));
            } else {
                lines(one, other, &path, found);
            }
        }
        _ if one == other => {}
        _ => found.push(path),
    }
}

fn lines(one: &str, other: &str, path: &str, found: &mut Vec<String>) {
    let (ones, others): (Vec<_>, Vec<_>) = (one.lines().collect(), other.lines().collect());
    let before = found.len();
    if ones.len() > 1 {
        let numbers = 0..ones.len().max(others.len());
        let differ = numbers.filter(|number| ones.get(*number) != others.get(*number));
        found.extend(differ.map(|number| format!("{path}#{number}")));
    }
    if found.len() == before {
        found.push(path.to_owned()); // one line, or the ends of lines differ
    }
}

/// The element of DER in which all the difference lies.
fn element(one: &str, other: &str) -> String {
    let (one, other) = (
        STANDARD.decode(one).unwrap(),
        STANDARD.decode(other).unwrap(),
    );
    let mut differ = (0..one.len()).filter(|position| one.get(*position) != other.get(*position));
    let Some(first) = differ.next() else {
        return String::new();
    };
    let last = differ.next_back().unwrap_or(first);
    if one.len() != other.len() {
        return String::new();
    }
    let mut path = String::new();
    let mut inside = contents(&one, 0);
    for _ in 0..DER_STEPS {
        let mut start = inside.start;
        let mut step = 0;
        let child = loop {
            let contents = contents(&one, start);
            if start >= inside.end || contents.end > last && first >= start {
                break (start..contents.end, contents);
            }
            start = contents.end;
            step += 1;
        };
        let (whole, contents) = child;
        if !whole.contains(&first) || !whole.contains(&last) {
            break;
        }
        path += &format!("/{step}");
        if !contents.contains(&first) {
            break; // in the tag or the length
        }
        inside = contents;
    }
    path
}

/// Where the contents are of the element that begins at `start`; empty beyond the end.
fn contents(der: &[u8], start: usize) -> Range<usize> {
    match der.get(start + 1) {
        Some(&length) if length < 0x80 => start + 2..start + 2 + usize::from(length),
        Some(&count) => {
            let count = usize::from(count & 0x7f);
            let digits = der.get(start + 2..start + 2 + count).unwrap_or_default();
            let length = digits
                .iter()
                .fold(0, |n, digit| n << 8 | usize::from(*digit));
            start + 2 + count..start + 2 + count + length
        }
        None => start..start,
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

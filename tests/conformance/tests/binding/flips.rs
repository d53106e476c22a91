//! Every bit of every byte flipped: in the file, and in each field as it is decoded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::case::Case;
use crate::trace::Trace;

/// The fields that are text; numbers are told by their digits, all others are base64.
const TEXT: [&str; 8] = [
    "mediaType",
    "hint",
    "kind",
    "version",
    "envelope",
    "algorithm",
    "payloadType",
    "keyid",
];
const NUMBERS: [&str; 3] = ["logIndex", "integratedTime", "treeSize"];

/// Flips every bit of the file.
pub(crate) fn text(case: &Case, trace: &Trace) {
    let mut text = case.text.clone();
    for position in 0..text.len() {
        for bit in 0..8 {
            if !trace.takes(8 * position + bit) {
                continue;
            }
            flip(&mut text, position, bit);
            trace.attempt(case, &text, || format!("bit {bit} of byte {position}"));
            flip(&mut text, position, bit);
        }
    }
}

/// Flips every bit of every field: of bytes behind base64, of text, of numbers with 64 bits.
pub(crate) fn fields(case: &Case, trace: &Trace) {
    let mut pointers = Vec::new();
    leaves(&case.value, String::new(), &mut pointers);
    let mut number = 0;
    for pointer in pointers {
        let name = pointer
            .rsplit('/')
            .find(|step| step.parse::<usize>().is_err())
            .unwrap_or_default()
            .to_owned();
        let original = case.value.pointer(&pointer).unwrap().as_str().unwrap();
        let (mut bytes, encode) = decoded(&name, original);
        let mut bundle = case.value.clone();
        for position in 0..bytes.len() {
            for bit in 0..8 {
                number += 1;
                if !trace.takes(number) {
                    continue;
                }
                flip(&mut bytes, position, bit);
                if let Some(field) = encode(&bytes) {
                    *bundle.pointer_mut(&pointer).unwrap() = Value::String(field);
                    let text = serde_json::to_vec(&bundle).unwrap();
                    trace.attempt(case, &text, || {
                        format!("bit {bit} of byte {position} of {pointer}")
                    });
                }
                flip(&mut bytes, position, bit);
            }
        }
    }
}

/// How bytes are written into a field; `None` if they are no text any more.
type Encode = fn(&[u8]) -> Option<String>;

/// The bytes of a field, and how they are written.
fn decoded(name: &str, field: &str) -> (Vec<u8>, Encode) {
    if TEXT.contains(&name) {
        (field.as_bytes().to_vec(), |bytes| {
            String::from_utf8(bytes.to_vec()).ok()
        })
    } else if NUMBERS.contains(&name) {
        let number: i64 = field.parse().unwrap();
        (number.to_be_bytes().to_vec(), |bytes| {
            Some(i64::from_be_bytes(bytes.try_into().unwrap()).to_string())
        })
    } else {
        let bytes = STANDARD.decode(field).unwrap();
        (bytes, |bytes| Some(STANDARD.encode(bytes)))
    }
}

fn leaves(value: &Value, pointer: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                leaves(value, format!("{pointer}/{name}"), found);
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                leaves(value, format!("{pointer}/{index}"), found);
            }
        }
        Value::String(_) => found.push(pointer),
        Value::Null => {}
        other => panic!("a bundle has no {other}"),
    }
}

fn flip(bytes: &mut [u8], position: usize, bit: usize) {
    if let Some(byte) = bytes.get_mut(position) {
        *byte ^= 1 << bit;
    }
}

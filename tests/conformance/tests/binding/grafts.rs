//! Every component of every other bundle, put in the place of this one's.

use serde_json::{Map, Value};

use crate::case::Case;
use crate::trace::Trace;

/// Fields of which a bundle has exactly one.
const ONE_OF: [&[&str]; 2] = [
    &["certificate", "x509CertificateChain", "publicKey"],
    &["messageSignature", "dsseEnvelope"],
];

/// Where the components are that a bundle may have several of.
const LISTS: [&str; 2] = [
    "/verificationMaterial/tlogEntries",
    "/verificationMaterial/timestampVerificationData/rfc3161Timestamps",
];

/// Grafts every component of every other bundle into one: each node of the donor's JSON in the
/// same place, what the donor lacks removed, each entry and timestamp put in beside the bundle's
/// own, and the leaf certificate in the form of the bundle's version.
pub(crate) fn into(recipient: &Case, donors: &[Case], trace: &Trace) {
    let mut count = 0;
    let mut attempt = |donor: &Case, what: &str, bundle: &Value| {
        if *bundle == recipient.value {
            return; // a byte-identical graft
        }
        count += 1;
        if trace.takes(count) {
            let text = serde_json::to_vec(bundle).unwrap();
            trace.attempt(recipient, &text, || format!("{what} of {}", donor.name));
        }
    };
    for donor in donors.iter().filter(|donor| donor.name != recipient.name) {
        for pointer in nodes(&donor.value) {
            let mut bundle = recipient.value.clone();
            set(
                &mut bundle,
                &pointer,
                donor.value.pointer(&pointer).unwrap(),
            );
            attempt(donor, &pointer, &bundle);
        }
        for pointer in nodes(&recipient.value) {
            if donor.value.pointer(&pointer).is_none() {
                let mut bundle = recipient.value.clone();
                remove(&mut bundle, &pointer);
                attempt(donor, &format!("the lack of {pointer}"), &bundle);
            }
        }
        for pointer in LISTS {
            for element in list(&donor.value, pointer) {
                let mut bundle = recipient.value.clone();
                let place = format!("{pointer}/{}", list(&bundle, pointer).len());
                set(&mut bundle, &place, element);
                attempt(donor, &format!("one more {pointer}"), &bundle);
            }
        }
        if let (Some(leaf), Some(place)) = (leaf_of(&donor.value), leaf_place(&recipient.value)) {
            let mut bundle = recipient.value.clone();
            set(&mut bundle, place, leaf);
            attempt(donor, "the leaf", &bundle);
        }
    }
}

const LEAF_PLACES: [&str; 2] = [
    "/verificationMaterial/certificate",
    "/verificationMaterial/x509CertificateChain/certificates/0",
];

fn leaf_place(bundle: &Value) -> Option<&'static str> {
    LEAF_PLACES
        .into_iter()
        .find(|place| bundle.pointer(place).is_some())
}

fn leaf_of(bundle: &Value) -> Option<&Value> {
    bundle.pointer(leaf_place(bundle)?)
}

fn list<'a>(bundle: &'a Value, pointer: &str) -> &'a [Value] {
    let elements = bundle.pointer(pointer).and_then(Value::as_array);
    elements.map_or(&[], Vec::as_slice)
}

/// Every node but the whole.
fn nodes(value: &Value) -> Vec<String> {
    fn walk(value: &Value, pointer: &str, found: &mut Vec<String>) {
        let children: Vec<(String, &Value)> = match value {
            Value::Object(members) => members.iter().map(|(k, v)| (k.clone(), v)).collect(),
            Value::Array(elements) => (0..)
                .zip(elements)
                .map(|(index, v): (usize, _)| (index.to_string(), v))
                .collect(),
            _ => Vec::new(),
        };
        for (step, child) in children {
            let pointer = format!("{pointer}/{step}");
            walk(child, &pointer, found);
            found.push(pointer);
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}

/// Puts a node in its place, made if it is not there; of fields that exclude each other the others
/// go.
fn set(bundle: &mut Value, pointer: &str, node: &Value) {
    let mut place = bundle;
    for step in pointer.split('/').skip(1) {
        place = match step.parse::<usize>() {
            Ok(index) => {
                if !place.is_array() {
                    *place = Value::Array(Vec::new());
                }
                let elements = place.as_array_mut().unwrap();
                let index = index.min(elements.len());
                if index == elements.len() {
                    elements.push(Value::Null);
                }
                elements.get_mut(index).unwrap()
            }
            Err(_) => {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                let members = place.as_object_mut().unwrap();
                for group in ONE_OF.iter().filter(|group| group.contains(&step)) {
                    members.retain(|name, _| name == step || !group.contains(&name.as_str()));
                }
                members.entry(step).or_insert(Value::Null)
            }
        };
    }
    *place = node.clone();
}

fn remove(bundle: &mut Value, pointer: &str) {
    let (parent, step) = pointer.rsplit_once('/').unwrap();
    match bundle.pointer_mut(parent).unwrap() {
        Value::Object(members) => {
            members.remove(step);
        }
        Value::Array(elements) => {
            elements.remove(step.parse().unwrap());
        }
        other => panic!("{other} has no parts"),
    }
}

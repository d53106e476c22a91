//! Requests that are good but for one thing: every field absent, null, empty, of another type.

use serde_json::{Value, json};

use super::http::{P256, artifact_rig, dsse, hashed_rekord, p256, serve};

/// Every place in a document, by its pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                places(member, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(elements) => {
            for (position, element) in elements.iter().enumerate() {
                places(element, &format!("{at}/{position}"), found);
            }
        }
        _ => {}
    }
}

fn without(document: &Value, at: &str) -> Value {
    let mut document = document.clone();
    let Some((parent, name)) = at.rsplit_once('/') else {
        return json!({});
    };
    match document.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.remove(name)),
        Value::Array(elements) => drop(elements.remove(name.parse().unwrap())),
        _ => unreachable!("only these have places inside"),
    }
    document
}

/// The public log's servers fell over such requests (CVE-2023-33199, CVE-2026-23831, S-06): here
/// each is refused with a reason, and what is not needed may be absent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_03_every_field_absent_null_or_empty() {
    let served = serve(artifact_rig()).await;
    let key = p256();
    let mut tried = 0;
    let mut taken = Vec::new();
    for good in [
        hashed_rekord(&*key, P256, b"artifact"),
        dsse(&[(&*key, P256)], b"payload"),
    ] {
        let mut all = Vec::new();
        places(&good, "", &mut all);
        for at in all {
            let others = [
                json!(null),
                json!(""),
                json!({}),
                json!([]),
                json!(0),
                json!(-1),
                json!(false),
                json!([null]),
                json!("?"),
            ];
            let replaced = others.into_iter().map(|other| {
                let mut document = good.clone();
                *document.pointer_mut(&at).unwrap() = other;
                document
            });
            let absent = [without(&good, &at)];
            for request in replaced.chain(absent) {
                tried += 1;
                let reply = served.create(&request).await;
                match reply.status.as_u16() {
                    201 | 409 => taken.push(at.clone()),
                    400 => assert!(!reply.reason().is_empty(), "{request}"),
                    status => panic!("{status} for {request}"),
                }
            }
        }
    }
    taken.dedup();
    // Only what is no part of what was signed.
    assert_eq!(taken, ["/dsseRequestV002/envelope/signatures/0/keyid"]);
    assert_eq!(tried, 230);
    served.stop().await.unwrap();
}

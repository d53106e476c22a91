//! What the API adds to writing and reading: answers as rekor-tiles words them, preferences,
//! batches, lookups, proofs, history, conditional and partial reads, admission.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use waxseal_tlog::{Checkpoint, ConsistencyProof, Hash, SignedNote, TlogProof, leaf_hash};

use super::http::{
    P256, Reply, Served, artifact_rig, check_created, dsse, hashed_rekord, p256, serve,
};
use crate::service::{Client, SubmitError};
use crate::testing::{Fault, Rig, provider};
use crate::{ArtifactLog, ObjectName};

const ENTRIES: &str = "/api/v2/log/entries";

fn hash(value: &Value) -> Hash {
    let bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
    bytes.try_into().unwrap()
}

impl Served {
    async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.request("GET", path, headers, "").await
    }

    async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }

    fn open(&self, note: &str) -> Checkpoint {
        let note = SignedNote::parse(note).unwrap();
        Checkpoint::open(&note, &self.key(), &[]).unwrap()
    }

    async fn fill(&self, count: usize) -> Vec<Vec<u8>> {
        let key = p256();
        let mut bodies = Vec::new();
        for n in 0..count {
            let request = hashed_rekord(&*key, P256, format!("artifact {n}").as_bytes());
            let index = u64::try_from(n + 1).unwrap();
            let reply = self.create(&request).await;
            bodies.push(check_created(self, &reply, "hashedrekord", index));
        }
        bodies
    }
}

/// rekor-tiles 2.3.0 as it was seen to answer: where it has a status, a code and a fixed wording,
/// so have we. What is better here on purpose stands beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_as_upstream_does() {
    let mut rig = artifact_rig();
    rig.personality = Arc::new(ArtifactLog::new(provider()).without_dsse());
    let served = serve(rig).await;
    let key = p256();
    let good = hashed_rekord(&*key, P256, b"artifact");
    let edit = |path: &str, value: Value| {
        let mut request = good.clone();
        *request.pointer_mut(path).unwrap() = value;
        request.to_string()
    };
    let digest = "/hashedRekordRequestV002/digest";
    let content = "/hashedRekordRequestV002/signature/content";
    let cases = [
        (good.to_string(), 201, Value::Null, ""),
        (
            good.to_string(),
            409,
            json!(6),
            "an equivalent entry already exists in the transparency log with index 1",
        ),
        // rekor-tiles: 400, and closes the connection.
        (
            "x".repeat((4 << 20) + 1),
            413,
            json!(3),
            "the body is larger",
        ),
        (
            r#"{"hashedRekord"#.to_owned(),
            400,
            json!(3),
            "unexpected EOF",
        ),
        (
            String::new(),
            400,
            json!(3),
            "invalid type, must be hashedrekord",
        ),
        // protojson has nothing against a field that is missing: the kind has.
        (
            edit("/hashedRekordRequestV002/signature", Value::Null),
            400,
            json!(3),
            "invalid hashedrekord request: field `signature` is missing",
        ),
        (
            r#"{"dsse_request_v002":{}}"#.to_owned(),
            400,
            json!(3),
            "invalid dsse request: field `envelope` is missing",
        ),
        (
            "{}".to_owned(),
            400,
            json!(3),
            "invalid type, must be hashedrekord",
        ),
        // rekor-tiles puts a position before it.
        (
            r#"{"foo":1}"#.to_owned(),
            400,
            json!(3),
            "proto: unknown field \"foo\"",
        ),
        (
            edit(digest, json!("AAAA")),
            400,
            json!(3),
            "invalid hashedrekord request",
        ),
        (
            edit(content, json!("AAAA")),
            400,
            json!(3),
            "invalid hashedrekord request",
        ),
        (
            dsse(&[(&*key, P256)], b"payload").to_string(),
            400,
            json!(3),
            "invalid type, must be hashedrekord",
        ),
    ];
    for (body, status, code, message) in cases {
        let reply = served.post(ENTRIES, body.clone()).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(reply.status.as_u16(), status, "{shown}");
        assert_eq!(reply.header("content-type"), "application/json");
        let answer = reply.json();
        assert_eq!(answer["code"], code, "{shown}");
        let found = answer["message"].as_str().unwrap_or_default();
        assert!(found.starts_with(message), "{shown}: {found}");
    }
    // rekor-tiles: 501 {"code":12}; a method that a path does not take is 405.
    let reply = served.get(ENTRIES).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json()["code"]),
        (405, &json!(12))
    );
    // rekor-tiles: 501, it serves no reads.
    assert_eq!(
        served.get("/api/v2/checkpoint").await.status,
        StatusCode::OK
    );
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_name_the_field() {
    let served = serve(artifact_rig()).await;
    let good = hashed_rekord(&*p256(), P256, b"artifact");
    let edit = |path: &str, value: Value| {
        let mut request = good.clone();
        let path = format!("/hashedRekordRequestV002{path}");
        *request.pointer_mut(&path).unwrap() = value;
        request.to_string()
    };
    let details = "/signature/verifier/keyDetails";
    let key = "/signature/verifier/publicKey/rawBytes";
    for (body, reason, field) in [
        (edit("/digest", json!("AAAA")), "DIGEST_LENGTH", "digest"),
        (edit("/digest", json!("?")), "MALFORMED_REQUEST", "digest"),
        (edit("/digest", json!(7)), "MALFORMED_REQUEST", "digest"),
        (
            edit(details, json!("PKIX_ED25519")),
            "KEY_DETAILS_NOT_ALLOWED",
            "keyDetails",
        ),
        (
            edit(details, json!("PKIX_ECDSA_P384_SHA_384")),
            "KEY_DETAILS_MISMATCH",
            "keyDetails",
        ),
        (edit(key, json!("AAAA")), "BAD_PUBLIC_KEY", "verifier"),
        (
            edit("/signature/content", json!("AAAA")),
            "BAD_SIGNATURE",
            "signature",
        ),
        (r#"{"foo":1}"#.to_owned(), "MALFORMED_REQUEST", "foo"),
    ] {
        let reply = served.post(ENTRIES, body.clone()).await;
        assert_eq!(reply.reason(), reason, "{body}");
        let metadata = &reply.json()["details"][0]["metadata"];
        assert_eq!(metadata["field"], field, "{body}");
    }
    let reply = served.post(ENTRIES, "[").await;
    assert_eq!(reply.json()["details"][0]["metadata"], Value::Null);
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_is_told_whole_to_who_prefers_it() {
    let served = serve(artifact_rig()).await;
    let key = p256();
    let requests = [
        hashed_rekord(&*key, P256, b"artifact"),
        dsse(&[(&*key, P256)], b"payload"),
    ];
    let prefer = [
        ("content-type", "application/json"),
        ("prefer", "return=representation"),
    ];
    for (request, index) in requests.iter().zip(1..) {
        let request = request.to_string();
        let first = served.request("POST", ENTRIES, &prefer, &request).await;
        assert_eq!(first.status, StatusCode::CREATED);
        assert_eq!(first.header("preference-applied"), "");
        let again = served.request("POST", ENTRIES, &prefer, &request).await;
        assert_eq!(again.status, StatusCode::OK);
        assert_eq!(again.header("preference-applied"), "return=representation");
        assert_eq!(again.header("x-log-index"), index.to_string());
        let entry = again.json();
        assert_eq!(
            entry["canonicalizedBody"],
            first.json()["canonicalizedBody"]
        );
        let kind = entry["kindVersion"]["kind"].as_str().unwrap().to_owned();
        let created = Reply {
            status: StatusCode::CREATED,
            ..again
        };
        check_created(&served, &created, &kind, index);
        let reply = served.post(ENTRIES, request).await;
        let metadata = &reply.json()["details"][0]["metadata"];
        assert_eq!(
            (reply.status, &metadata["logIndex"]),
            (StatusCode::CONFLICT, &json!(index.to_string()))
        );
    }
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_found_by_index_and_by_hash() {
    let served = serve(artifact_rig()).await;
    // Some are sealed, some are not.
    let bodies = served.fill(300).await;
    served.log.flush().await;
    for index in [1, 255, 256, 300] {
        let body = &bodies[index - 1];
        let leaf = leaf_hash(body);
        let paths = [
            format!("{ENTRIES}/{index}"),
            format!("{ENTRIES}/{index}/proof"),
            format!("{ENTRIES}/by-hash/{}", hex::encode(leaf)),
        ];
        for path in paths {
            let mut reply = served.get(&path).await;
            assert_eq!(reply.status, StatusCode::OK, "{path}");
            assert_eq!(reply.header("cache-control"), "no-cache");
            reply.status = StatusCode::CREATED;
            let index = u64::try_from(index).unwrap();
            let found = check_created(&served, &reply, "hashedrekord", index);
            assert_eq!(found, *body);
            assert_eq!(reply.json()["inclusionProof"]["treeSize"], "301");
        }
        let path = format!("{ENTRIES}/{index}/proof");
        let reply = served.ask(&path, &[("accept", "text/plain")]).await;
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(reply.header("vary"), "accept");
        let text = String::from_utf8(reply.body).unwrap();
        let proof = TlogProof::parse(&text).unwrap();
        let opened = served.open(&proof.checkpoint.to_string());
        assert_eq!(proof.check(&leaf, &opened), Ok(()));
    }
    let genesis = served.get(&format!("{ENTRIES}/0")).await;
    assert_eq!(genesis.json()["logIndex"], "0");
    let nobody = "ab".repeat(32);
    for (path, status, reason) in [
        ("301", 404, "NOT_IN_LOG"),
        ("301/proof", 404, "NOT_IN_LOG"),
        ("18446744073709551615", 404, "NOT_IN_LOG"),
        (&format!("by-hash/{nobody}"), 404, "NOT_IN_LOG"),
        ("18446744073709551616", 400, "BAD_QUERY"),
        ("01", 400, "BAD_QUERY"),
        ("-1", 400, "BAD_QUERY"),
        ("x/proof", 400, "BAD_QUERY"),
        ("by-hash/AB", 400, "BAD_QUERY"),
        (
            &format!("by-hash/{}", nobody.to_uppercase()),
            400,
            "BAD_QUERY",
        ),
    ] {
        let reply = served.get(&format!("{ENTRIES}/{path}")).await;
        let found = (reply.status.as_u16(), reply.reason());
        assert_eq!(found, (status, reason.to_owned()), "{path}");
    }
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_21_a_damaged_entry_is_not_shown() {
    let served = serve(artifact_rig()).await;
    served.fill(256).await;
    served.log.flush().await;
    {
        let mut objects = served.rig.objects.inner.lock().unwrap();
        let bundle = objects
            .iter_mut()
            .find(|(name, _)| name.to_string() == "tile/entries/000")
            .unwrap();
        let last = bundle.1.len() - 1;
        bundle.1[last] ^= 1;
    }
    let reply = served.get(&format!("{ENTRIES}/255")).await;
    assert_eq!(
        (reply.status.as_u16(), &*reply.reason()),
        (500, "CANNOT_READ")
    );
    assert_eq!(
        served.get(&format!("{ENTRIES}/254")).await.status,
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consistency_is_proved_between_published_sizes() {
    let served = serve(artifact_rig()).await;
    let mut roots = vec![(
        1,
        *served.open(&served.log.published().checkpoint).root_hash(),
    )];
    let key = p256();
    for n in 0..20u8 {
        served.create(&hashed_rekord(&*key, P256, &[n])).await;
        let published = served.log.published();
        roots.push((published.tree_size, published.root_hash));
    }
    for (old_size, old_root) in &roots {
        for (new_size, new_root) in roots.iter().filter(|(size, _)| size >= old_size) {
            let path =
                format!("/api/v2/log/proof/consistency?firstSize={old_size}&lastSize={new_size}");
            let answer = served.get(&path).await.json();
            let proof = ConsistencyProof {
                old_size: *old_size,
                new_size: *new_size,
                hashes: answer["hashes"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(hash)
                    .collect(),
            };
            assert_eq!(proof.check(old_root, new_root), Ok(()), "{path}");
            assert_eq!(hash(&answer["firstRootHash"]), *old_root);
            assert_eq!(hash(&answer["rootHash"]), *new_root);
        }
    }
    let newest = served
        .get("/api/v2/log/proof/consistency?firstSize=3")
        .await;
    assert_eq!(newest.json()["lastSize"], "21");
    for (query, reason) in [
        ("firstSize=3&lastSize=2", "BAD_SIZES"),
        ("firstSize=3&lastSize=22", "BAD_SIZES"),
        ("lastSize=2", "BAD_QUERY"),
        ("", "BAD_QUERY"),
        ("firstSize=x", "BAD_QUERY"),
        ("firstSize=1&firstSize=2", "BAD_QUERY"),
        ("firstSize=1&size=2", "BAD_QUERY"),
    ] {
        let path = format!("/api/v2/log/proof/consistency?{query}");
        let reply = served.get(&path).await;
        let found = (reply.status, reply.reason());
        assert_eq!(
            found,
            (StatusCode::BAD_REQUEST, reason.to_owned()),
            "{query}"
        );
    }
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn published_checkpoints_are_kept() {
    let served = serve(artifact_rig()).await;
    served.log.flush().await;
    let first = served.log.published().checkpoint.clone();
    served.fill(3).await;
    served.log.flush().await;
    for prefix in ["", "/api/v2"] {
        let reply = served.get(&format!("{prefix}/checkpoint/1")).await;
        assert_eq!(reply.body, first.as_bytes());
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
        let newest = served.get(&format!("{prefix}/checkpoint/4")).await;
        assert_eq!(newest.body, served.get("/checkpoint").await.body);
        for (size, status) in [("9", 404), ("01", 400), ("x", 400)] {
            let path = format!("{prefix}/checkpoint/{size}");
            assert_eq!(served.get(&path).await.status.as_u16(), status, "{path}");
        }
    }
    // The first of a minute is there for ever, as an object.
    let objects = served.rig.objects.inner.lock().unwrap().clone();
    assert_eq!(objects[&ObjectName::CheckpointAt(1)], first.as_bytes());
    assert!(!objects.contains_key(&ObjectName::CheckpointAt(4)));
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_answered_entry_by_entry() {
    let served = serve(artifact_rig()).await;
    let key = p256();
    let one = hashed_rekord(&*key, P256, b"one");
    let two = dsse(&[(&*key, P256)], b"two");
    let mut bad = hashed_rekord(&*key, P256, b"bad");
    bad["hashedRekordRequestV002"]["digest"] = json!("AAAA");
    let path = "/api/v2/log/entries:batch";
    let batch = json!({"requests": [one, bad, two, one, null, {"foo": 1}]}).to_string();
    let reply = served.post(path, batch.clone()).await;
    assert_eq!(reply.status, StatusCode::OK);
    let results = reply.json()["results"].as_array().unwrap().clone();
    let told: Vec<_> = results
        .iter()
        .map(|result| {
            let reason = &result["error"]["details"][0]["reason"];
            (
                result["status"].as_u64().unwrap(),
                reason.as_str().unwrap_or("").to_owned(),
            )
        })
        .collect();
    let expected = [
        (201, ""),
        (400, "DIGEST_LENGTH"),
        (201, ""),
        (409, "DUPLICATE_ENTRY"),
        (400, "MALFORMED_REQUEST"),
        (400, "MALFORMED_REQUEST"),
    ];
    let expected = expected.map(|(status, reason)| (status, reason.to_owned()));
    assert_eq!(told, expected);
    for (position, kind) in [(0, "hashedrekord"), (2, "dsse")] {
        let entry = &results[position]["entry"];
        let index = entry["logIndex"].as_str().unwrap().parse().unwrap();
        let created = Reply {
            status: StatusCode::CREATED,
            headers: [("content-type", "application/json")]
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .into_iter()
                .collect(),
            body: entry.to_string().into_bytes(),
        };
        check_created(&served, &created, kind, index);
    }
    assert_eq!(served.log.published().tree_size, 3);
    // Again, whole: a client that lost the answer has it now.
    let headers = [
        ("content-type", "application/json"),
        ("prefer", "return=representation"),
    ];
    let reply = served.request("POST", path, &headers, &batch).await;
    assert_eq!(reply.json()["results"][0]["status"], 200);
    assert_eq!(
        reply.json()["results"][0]["entry"]["canonicalizedBody"],
        results[0]["entry"]["canonicalizedBody"]
    );
    let many = json!({"requests": vec![Value::Null; 65]}).to_string();
    for bad in ["", "{}", r#"{"requests":[]}"#, r#"{"requests":{}}"#, &many] {
        let reply = served.post(path, bad).await;
        let found = (reply.status.as_u16(), reply.reason());
        assert_eq!(found, (400, "MALFORMED_REQUEST".to_owned()), "{bad}");
    }
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_are_revalidated() {
    let served = serve(artifact_rig()).await;
    let first = served.get("/checkpoint").await;
    let tag = first.header("etag").to_owned();
    let known = [("if-none-match", &*tag)];
    let reply = served.ask("/checkpoint", &known).await;
    assert_eq!(reply.status, StatusCode::NOT_MODIFIED);
    assert_eq!((reply.header("etag"), &*reply.body), (&*tag, &b""[..]));
    assert_eq!(reply.header("cache-control"), "no-cache");
    served.fill(1).await;
    let reply = served.ask("/checkpoint", &known).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_ne!(reply.header("etag"), tag);
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bundles_come_in_parts_and_compressed() {
    let served = serve(artifact_rig()).await;
    served.fill(299).await;
    served.log.flush().await;
    let full = "/tile/entries/000";
    let plain = served.get(full).await;
    assert_eq!(plain.header("vary"), "accept-encoding");
    assert_eq!(plain.header("accept-ranges"), "bytes");
    let length = plain.body.len();
    let head = served.request("HEAD", full, &[], "").await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.header("content-length"), length.to_string());
    let decode = |name: &str, bytes: &[u8]| match name {
        "zstd" => zstd::bulk::decompress(bytes, 1 << 20).unwrap(),
        _ => {
            let mut plain = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(bytes);
            std::io::Read::read_to_end(&mut decoder, &mut plain).unwrap();
            plain
        }
    };
    for encoding in ["gzip", "zstd"] {
        for _ in 0..2 {
            let reply = served.ask(full, &[("accept-encoding", encoding)]).await;
            assert_eq!(reply.header("content-encoding"), encoding);
            assert_eq!(reply.header("vary"), "accept-encoding");
            assert_eq!(reply.header("cache-control"), "max-age=604800, immutable");
            assert_ne!(reply.header("etag"), plain.header("etag"));
            assert!(reply.body.len() < length, "{encoding}");
            assert_eq!(decode(encoding, &reply.body), plain.body);
            let known = [
                ("accept-encoding", encoding),
                ("if-none-match", reply.header("etag")),
            ];
            let known = served.ask(full, &known).await;
            assert_eq!(known.status, StatusCode::NOT_MODIFIED);
        }
    }
    // Hashes do not compress, partial bundles are replaced soon.
    for path in [
        "/tile/0/000",
        "/tile/entries/001.p/44",
        "/tile/entries/000.p/7",
    ] {
        let reply = served.ask(path, &[("accept-encoding", "gzip")]).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        assert_eq!(reply.header("content-encoding"), "");
    }
    let ranged = [("range", "bytes=10-19"), ("accept-encoding", "gzip")];
    let reply = served.ask(full, &ranged).await;
    assert_eq!(reply.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(reply.body, plain.body[10..20]);
    assert_eq!(
        reply.header("content-range"),
        format!("bytes 10-19/{length}")
    );
    let reply = served.ask(full, &[("range", "bytes=9999999-")]).await;
    assert_eq!(reply.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(reply.header("content-range"), format!("bytes */{length}"));
    assert_eq!(reply.body, b"");
    let known = [("if-none-match", plain.header("etag"))];
    assert_eq!(
        served.ask(full, &known).await.status,
        StatusCode::NOT_MODIFIED
    );
    served.stop().await.unwrap();
}

/// What a static file server would tell of the objects, the routes tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_routes_and_the_objects_have_the_same_bytes() {
    let served = serve(Rig::new()).await;
    for n in 0..600 {
        served.post("/add", format!("word {n}")).await;
        if n % 200 == 0 {
            served.log.flush().await;
        }
    }
    served.log.flush().await;
    let objects = served.rig.objects.inner.lock().unwrap().clone();
    assert!(objects.len() > 8);
    for (name, bytes) in objects {
        let path = match name {
            ObjectName::CheckpointAt(size) => format!("/checkpoint/{size}"),
            name => format!("/{name}"),
        };
        let reply = served.get(&path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        assert_eq!(reply.body, bytes, "{path}");
    }
    served.stop().await.unwrap();
}

/// A repeated request costs no check while checks are what there is too much of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_are_answered_before_they_are_checked() {
    let served = serve(artifact_rig()).await;
    let request = hashed_rekord(&*p256(), P256, b"artifact");
    served.create(&request).await;
    let admission = Arc::clone(&served.log.service.admission);
    let all = admission.check(u32::MAX).await;
    let reply = served.create(&request).await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    // The same key and signature, another digest: it is another entry, and waits for its check.
    let mut other = request.clone();
    other["hashedRekordRequestV002"]["digest"] = json!(STANDARD.encode([7; 32]));
    let waiting = served.create(&other);
    let early = tokio::time::timeout(Duration::from_millis(50), waiting).await;
    assert!(early.is_err());
    drop(all);
    assert_eq!(served.create(&other).await.reason(), "BAD_SIGNATURE");
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_does_not_take_the_queue_from_the_others() {
    // Not running: what is submitted waits. Past the doors, which keep a queue that stands short.
    let rig = Rig::new();
    let log = Arc::new(rig.start().await.unwrap());
    let submit = |n: usize, last: u8| {
        let service = Arc::clone(&log.service);
        let client = Client {
            address: Some(IpAddr::from([192, 0, 2, last])),
            wants_entry: false,
        };
        let word = bytes::Bytes::from(format!("word {n}"));
        tokio::spawn(async move { service.submit_for(client, 0, &word).await })
    };
    // Two other clients, and a greedy one: at most two thirds of the places are its own.
    let mut waiting = vec![submit(0, 1), submit(1, 2)];
    while log.service.waiting() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let share = 2 * crate::service::MAX_WAITING / 3;
    waiting.extend((0..share).map(|n| submit(n + 2, 3)));
    while log.service.waiting() < share + 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = submit(usize::MAX, 3).await.unwrap().unwrap_err();
    assert!(matches!(error, SubmitError::OverShare), "{error:?}");
    let response = crate::problem::submit(error, log.service.retry_after());
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "1");
    // The others still find places.
    waiting.push(submit(usize::MAX - 1, 1));
    while log.service.waiting() < share + 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let shutdown = waxseal_serve::Shutdown::new();
    shutdown.trigger();
    log.run(shutdown).await.unwrap();
    for answer in waiting {
        answer.await.unwrap().unwrap();
    }
}

/// Sixteen requests that announce four MiB each, and never send one of them, were all that the log
/// would take in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_51_bodies_that_are_only_announced_shut_nobody_out() {
    let served = serve(artifact_rig()).await;
    let mut slow = Vec::new();
    for _ in 0..64 {
        let never = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        let request = Request::post(ENTRIES)
            .header("content-type", "application/json")
            .header("content-length", 4 << 20)
            .body(Body::from_stream(never))
            .unwrap();
        let router = served.router.clone();
        slow.push(tokio::spawn(tower::ServiceExt::oneshot(router, request)));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let reply = served
        .create(&hashed_rekord(&*p256(), P256, b"artifact"))
        .await;
    assert_eq!(reply.status, StatusCode::CREATED);
    for one in slow {
        one.abort();
    }
    served.stop().await.unwrap();
}

/// A client that asks for a large bundle on many streams, and takes nothing, does not get them all
/// into memory; and whoever comes from elsewhere is answered meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_51_answers_that_nobody_takes_are_bounded() {
    let served = serve(Rig::new()).await;
    let longest = "x".repeat(60_000);
    let posts = (0..256).map(|n| served.post("/add", format!("{n} {longest}")));
    for reply in futures_util::future::join_all(posts).await {
        assert_eq!(reply.status, StatusCode::CREATED);
    }
    served.log.flush().await;
    let ask = async |last: u8| {
        let address = SocketAddr::from(([192, 0, 2, last], 7));
        let request = Request::get("/tile/entries/000").extension(ConnectInfo(address));
        let request = request.body(Body::empty()).unwrap();
        let router = served.router.clone();
        tower::ServiceExt::oneshot(router, request).await.unwrap()
    };
    let mut untaken = Vec::new();
    let refused = loop {
        let response = ask(1).await;
        if response.status() != StatusCode::OK {
            break response;
        }
        untaken.push(response);
        assert!(untaken.len() < 20, "15 MB each");
    };
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert!(untaken.len() > 2);
    assert_eq!(ask(2).await.status(), StatusCode::OK);
    untaken.clear();
    assert_eq!(ask(1).await.status(), StatusCode::OK);
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_beside_a_leaf_is_there_for_the_answer() {
    let served = serve(Rig::new()).await;
    let service = &served.log.service;
    let body = bytes::Bytes::from_static(b"word");
    for is_duplicate in [false, true] {
        let client = Client {
            address: Some(IpAddr::from([192, 0, 2, 1])),
            wants_entry: true,
        };
        let logged = service.submit_for(client, 0, &body).await.unwrap();
        assert_eq!(logged.is_duplicate(), is_duplicate);
        assert_eq!(logged.beside().await.unwrap(), b"1");
        assert!(logged.wants_entry());
    }
    served.stop().await.unwrap();
}

/// A checkpoint that is kept from before the stores were taken over is not this log's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d11_history_is_told_in_the_log_s_own_name() {
    let served = serve(artifact_rig()).await;
    let foreign = b"other.example\n9\nAAAA\n".to_vec();
    {
        let mut objects = served.rig.objects.inner.lock().unwrap();
        objects.insert(ObjectName::CheckpointAt(9), foreign);
    }
    let reply = served.get("/checkpoint/9").await;
    assert_eq!((reply.status.as_u16(), &*reply.reason()), (404, "NOT_KEPT"));
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_means_that_an_entry_could_be_logged() {
    let served = serve(Rig::new()).await;
    served.log.flush().await;
    let health = served.log.health("log");
    assert!(health.ready().await.is_ok());
    served.rig.plan.strike(0, Fault::Fail);
    assert_eq!(served.post("/add", "word").await.reason(), "NOT_COMMITTED");
    let (_, reason) = health.ready().await.unwrap_err();
    assert_eq!(reason.0, "the log's ledger cannot be written");
    assert_eq!(
        served.post("/add", "word").await.status,
        StatusCode::CREATED
    );
    served.log.flush().await;
    assert!(health.ready().await.is_ok());
    // The next write after a commit is that of an object.
    served.rig.plan.strike(1, Fault::Fail);
    served.post("/add", "another").await;
    let ready = async |expected: bool| {
        let mut looks = 0;
        while health.ready().await.is_ok() != expected {
            looks += 1;
            assert!(looks < 1000, "it is not seen");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    ready(false).await;
    let (_, reason) = health.ready().await.unwrap_err();
    assert_eq!(reason.0, "the log's objects cannot be written");
    served.log.flush().await;
    ready(true).await;
    served.stop().await.unwrap();
}

/// Every metric of a log is in its manual, and nothing else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_counted_and_in_the_manual() {
    let served = serve(artifact_rig()).await;
    let key = p256();
    let request = hashed_rekord(&*key, P256, b"artifact");
    served.create(&request).await;
    served.create(&request).await;
    served.post(ENTRIES, "{}").await;
    let text = served.rig.meter.text();
    for line in [
        "log_submissions_total{outcome=\"created\"} 1",
        "log_submissions_total{outcome=\"duplicate\"} 1",
        "log_submissions_total{outcome=\"refused\"} 1",
        "rekor_v2_new_hashedrekord_entries 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operate/log-api.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let listed: std::collections::BTreeSet<_> = manual
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| name.starts_with("log_") || name.starts_with("rekor_v2_"))
        .map(|name| name.strip_suffix("_total").unwrap_or(name))
        .collect();
    // What was not counted yet is not told: the names are in the code.
    let registered: std::collections::BTreeSet<_> = include_str!("../metrics.rs")
        .split('"')
        .filter(|name| name.starts_with("log_") || name.starts_with("rekor_v2_"))
        .collect();
    assert_eq!(listed, registered);
    served.stop().await.unwrap();
}

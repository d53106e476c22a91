//! The HTTP surface: statuses, bodies and headers, for an artifact log and for words.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use waxseal_crypto::{Digest, HashAlgorithm, Input, LocalSigner, SignatureAlgorithm, sha256};
use waxseal_formats::pae;
use waxseal_serve::{Chassis, Meter, Shutdown};
use waxseal_tlog::{
    Checkpoint, EntryBundle, InclusionProof, LogKey, Origin, SignedNote, Tile, TileReader,
    leaf_hash,
};

use crate::testing::{Fault, ORIGIN, Rig, provider};
use crate::{ArtifactLog, Config, LogServer};

pub(super) struct Served {
    pub(super) rig: Rig,
    pub(super) log: Arc<LogServer>,
    pub(super) router: Router,
    shutdown: Shutdown,
    running: tokio::task::JoinHandle<Result<(), waxseal_serve::Fatal>>,
}

pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn reason(&self) -> String {
        self.json()["details"][0]["reason"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

pub(super) async fn serve(rig: Rig) -> Served {
    serve_config(rig, Config::new(Origin::new(ORIGIN).unwrap())).await
}

async fn serve_config(rig: Rig, config: Config) -> Served {
    let log = Arc::new(LogServer::new(config, rig.context()).await.unwrap());
    let router = Chassis::new(&Meter::new()).wrap(log.router());
    let shutdown = Shutdown::new();
    let running = {
        let (log, shutdown) = (Arc::clone(&log), shutdown.clone());
        tokio::spawn(async move { log.run(shutdown).await })
    };
    Served {
        rig,
        log,
        router,
        shutdown,
        running,
    }
}

pub(super) fn artifact_rig() -> Rig {
    let mut rig = Rig::new();
    rig.personality = Arc::new(ArtifactLog::new(provider()));
    rig
}

impl Served {
    pub(super) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .to_vec();
        Reply {
            status,
            headers,
            body,
        }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    pub(super) async fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Reply {
        let body = body.into();
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("content-length", body.len());
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    pub(super) async fn create(&self, request: &Value) -> Reply {
        self.post("/api/v2/log/entries", request.to_string()).await
    }

    pub(super) fn key(&self) -> LogKey {
        LogKey::new(self.rig.signer.note_key(provider()).unwrap())
    }

    pub(super) async fn stop(self) -> Result<(), waxseal_serve::Fatal> {
        self.shutdown.trigger();
        self.running.await.unwrap()
    }
}

pub(super) fn signer(algorithm: SignatureAlgorithm) -> Box<dyn LocalSigner> {
    let key = provider().generate(algorithm).unwrap();
    provider().signer(&key, algorithm).unwrap()
}

pub(super) fn hashed_rekord(signer: &dyn LocalSigner, details: &str, artifact: &[u8]) -> Value {
    let hash = signer
        .algorithm()
        .prehash()
        .unwrap_or(HashAlgorithm::Sha256);
    let digest = Digest::of(hash, artifact);
    let input = match signer.algorithm().prehash() {
        Some(_) => Input::Prehash(&digest),
        None => Input::Message(artifact),
    };
    let signature = signer.sign_now(input).unwrap();
    json!({"hashedRekordRequestV002": {
        "digest": STANDARD.encode(digest.as_bytes()),
        "signature": {
            "content": STANDARD.encode(signature),
            "verifier": {
                "publicKey": {"rawBytes": STANDARD.encode(signer.public_key().spki_der())},
                "keyDetails": details,
            },
        },
    }})
}

pub(super) fn p256() -> Box<dyn LocalSigner> {
    signer(SignatureAlgorithm::EcdsaP256Sha256)
}

pub(super) const P256: &str = "PKIX_ECDSA_P256_SHA_256";

pub(super) fn dsse(signers: &[(&dyn LocalSigner, &str)], payload: &[u8]) -> Value {
    let message = pae("text/plain", payload);
    let signatures: Vec<_> = signers
        .iter()
        .map(|(signer, _)| signer.sign_now(Input::Message(&message)).unwrap())
        .map(|signature| json!({"sig": STANDARD.encode(signature), "keyid": ""}))
        .collect();
    let verifiers: Vec<_> = signers
        .iter()
        .map(|(signer, details)| {
            json!({"publicKey": {"rawBytes": STANDARD.encode(signer.public_key().spki_der())},
                   "keyDetails": details})
        })
        .collect();
    json!({"dsseRequestV002": {
        "envelope": {
            "payload": STANDARD.encode(payload),
            "payloadType": "text/plain",
            "signatures": signatures,
        },
        "verifiers": verifiers,
    }})
}

/// Checks a 201 the way a client does: body, leaf, proof, checkpoint, log id.
pub(super) fn check_created(served: &Served, reply: &Reply, kind: &str, index: u64) -> Vec<u8> {
    assert_eq!(
        reply.status,
        StatusCode::CREATED,
        "{}",
        String::from_utf8_lossy(&reply.body)
    );
    assert_eq!(reply.header("content-type"), "application/json");
    let entry = reply.json();
    let decode = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    assert_eq!(entry["logIndex"], index.to_string());
    assert_eq!(entry["integratedTime"], "0");
    assert_eq!(entry["inclusionPromise"], Value::Null);
    assert_eq!(
        entry["kindVersion"],
        json!({"kind": kind, "version": "0.0.2"})
    );
    assert_eq!(decode(&entry["logId"]["keyId"]), served.rig.signer.log_id());
    let proof = &entry["inclusionProof"];
    assert_eq!(proof["logIndex"], index.to_string());
    let note = proof["checkpoint"]["envelope"].as_str().unwrap();
    let note = SignedNote::parse(note).unwrap();
    let opened = Checkpoint::open(&note, &served.key(), &[]).unwrap();
    assert_eq!(proof["treeSize"], opened.tree_size().to_string());
    assert_eq!(decode(&proof["rootHash"]), opened.root_hash());
    let hashes = proof["hashes"].as_array().unwrap().iter();
    let body = decode(&entry["canonicalizedBody"]);
    let proof = InclusionProof {
        leaf_index: index,
        tree_size: opened.tree_size(),
        hashes: hashes
            .map(|hash| decode(hash).try_into().unwrap())
            .collect(),
    };
    assert_eq!(proof.check(&leaf_hash(&body), opened.root_hash()), Ok(()));
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hashedrekord_entries_of_every_allowed_key() {
    let served = serve(artifact_rig()).await;
    let cases = [
        (SignatureAlgorithm::EcdsaP256Sha256, P256, "SHA2_256"),
        (
            SignatureAlgorithm::EcdsaP384Sha384,
            "PKIX_ECDSA_P384_SHA_384",
            "SHA2_384",
        ),
        (
            SignatureAlgorithm::EcdsaP521Sha512,
            "PKIX_ECDSA_P521_SHA_512",
            "SHA2_512",
        ),
        (SignatureAlgorithm::Ed25519ph, "PKIX_ED25519_PH", "SHA2_512"),
        (
            SignatureAlgorithm::RsaPkcs1Sha256,
            "PKIX_RSA_PKCS1V15_2048_SHA256",
            "SHA2_256",
        ),
    ];
    // Index 0 is the log's own (clients take 0 for "no index").
    for ((algorithm, details, hash), index) in cases.into_iter().zip(1..) {
        let request = hashed_rekord(&*signer(algorithm), details, b"artifact");
        let reply = served.create(&request).await;
        let body = check_created(&served, &reply, "hashedrekord", index);
        let body: Value = serde_json::from_slice(&body).unwrap();
        let spec = &body["spec"]["hashedRekordV002"];
        let sent = &request["hashedRekordRequestV002"];
        assert_eq!(
            spec["data"],
            json!({"algorithm": hash, "digest": sent["digest"]})
        );
        assert_eq!(spec["signature"], sent["signature"]);
    }
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dsse_entries() {
    let served = serve(artifact_rig()).await;
    let (one, two) = (p256(), signer(SignatureAlgorithm::Ed25519));
    let request = dsse(&[(&*one, P256), (&*two, "PKIX_ED25519")], b"payload");
    let body = check_created(&served, &served.create(&request).await, "dsse", 1);
    let body: Value = serde_json::from_slice(&body).unwrap();
    let spec = &body["spec"]["dsseV002"];
    let digest = STANDARD.encode(sha256(b"payload"));
    assert_eq!(
        spec["payloadHash"],
        json!({"algorithm": "SHA2_256", "digest": digest})
    );
    let raw = |n: usize| {
        STANDARD
            .decode(spec["signatures"][n]["content"].as_str().unwrap())
            .unwrap()
    };
    assert!(raw(0) < raw(1), "sorted by their bytes");
    // S-10: the order of the request does not matter.
    let mut swapped = request.clone();
    swapped["dsseRequestV002"]["verifiers"]
        .as_array_mut()
        .unwrap()
        .reverse();
    swapped["dsseRequestV002"]["envelope"]["signatures"]
        .as_array_mut()
        .unwrap()
        .reverse();
    let reply = served.create(&swapped).await;
    assert_eq!(
        (reply.status, reply.header("x-log-index")),
        (StatusCode::CONFLICT, "1")
    );
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_are_told_their_index() {
    let served = serve(artifact_rig()).await;
    let request = hashed_rekord(&*p256(), P256, b"artifact");
    check_created(&served, &served.create(&request).await, "hashedrekord", 1);
    let reply = served.create(&request).await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    assert_eq!(reply.header("x-log-index"), "1");
    assert_eq!(reply.json()["code"], 6);
    assert_eq!(
        reply.json()["message"],
        "an equivalent entry already exists in the transparency log with index 1"
    );
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused() {
    let served = serve(artifact_rig()).await;
    let signer_p256 = p256();
    let good = || hashed_rekord(&*signer_p256, P256, b"artifact");
    let edit = |path: &str, value: Value| {
        let mut request = good();
        *request
            .pointer_mut(&format!("/hashedRekordRequestV002{path}"))
            .unwrap() = value;
        request.to_string()
    };
    let verifier = "/signature/verifier";
    let p384 = STANDARD.encode(
        signer(SignatureAlgorithm::EcdsaP384Sha384)
            .public_key()
            .spki_der(),
    );
    let digest = |length: usize| json!(STANDARD.encode(vec![7; length]));
    let no_signers = dsse(&[], b"payload").to_string();
    let no_verifier = {
        let mut request = dsse(&[(&*signer_p256, P256)], b"payload");
        request["dsseRequestV002"]["verifiers"] = json!([]);
        request.to_string()
    };
    let other_payload = {
        let mut request = dsse(&[(&*signer_p256, P256)], b"payload");
        request["dsseRequestV002"]["envelope"]["payload"] = json!("AAAA");
        request.to_string()
    };
    let cases = [
        (
            good().to_string().replacen("\"digest\"", "\"foo\"", 1),
            400,
            "MALFORMED_REQUEST",
        ),
        ("{".to_owned(), 400, "MALFORMED_REQUEST"),
        (String::new(), 400, "MALFORMED_REQUEST"),
        ("{}".to_owned(), 400, "MALFORMED_REQUEST"),
        ("null".to_owned(), 400, "MALFORMED_REQUEST"),
        (
            r#"{"hashedRekordRequestV002":null}"#.to_owned(),
            400,
            "MALFORMED_REQUEST",
        ),
        (
            r#"{"hashedRekordRequestV002":{},"dsseRequestV002":{}}"#.to_owned(),
            400,
            "MALFORMED_REQUEST",
        ),
        (format!("{} ", good()) + "x", 400, "MALFORMED_REQUEST"),
        (edit("/digest", digest(31)), 400, "DIGEST_LENGTH"),
        (edit("/digest", digest(33)), 400, "DIGEST_LENGTH"),
        (edit("/digest", digest(64)), 400, "DIGEST_LENGTH"),
        (edit("/digest", digest(32)), 400, "BAD_SIGNATURE"),
        (
            edit("/signature/content", json!("AAAA")),
            400,
            "BAD_SIGNATURE",
        ),
        (
            edit(&format!("{verifier}/publicKey/rawBytes"), json!(p384)),
            400,
            "KEY_DETAILS_MISMATCH",
        ),
        (
            edit(&format!("{verifier}/publicKey/rawBytes"), json!("AAAA")),
            400,
            "BAD_PUBLIC_KEY",
        ),
        (
            edit(
                verifier,
                json!({"x509Certificate": {"rawBytes": "AAAA"}, "keyDetails": P256}),
            ),
            400,
            "BAD_CERTIFICATE",
        ),
        (no_signers, 400, "NO_SIGNATURE"),
        (no_verifier, 400, "NO_VERIFIER"),
        (other_payload, 400, "BAD_SIGNATURE"),
    ];
    for (body, status, reason) in cases {
        let reply = served.post("/api/v2/log/entries", body.clone()).await;
        let found = (reply.status.as_u16(), reply.reason());
        assert_eq!(found, (status, reason.to_owned()), "{body}");
        assert_eq!(reply.json()["code"], 3);
    }
    // Nothing of it is in the log.
    assert_eq!(served.log.published().tree_size, 1);
    served.stop().await.unwrap();
}

/// Every name of `PublicKeyDetails`, and some that are none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_09_only_algorithms_that_can_be_verified() {
    let served = serve(artifact_rig()).await;
    let names = waxseal_crypto::KeyDetails::REGISTRY
        .iter()
        .map(|row| row.name);
    let others = [
        "LMS_SHA256",
        "LMOTS_SHA256",
        "PKIX_ECDSA_P256_HMAC_SHA_256",
        "",
        "99",
        "X",
    ];
    let unspecified = ["PUBLIC_KEY_DETAILS_UNSPECIFIED"];
    let key = p256();
    for name in names.chain(others).chain(unspecified) {
        let reply = served
            .create(&hashed_rekord(&*key, name, b"artifact"))
            .await;
        let allowed = [
            "PKIX_ECDSA_P384_SHA_384",
            "PKIX_ECDSA_P521_SHA_512",
            "PKIX_ED25519_PH",
            "PKIX_RSA_PKCS1V15_2048_SHA256",
            "PKIX_RSA_PKCS1V15_3072_SHA256",
            "PKIX_RSA_PKCS1V15_4096_SHA256",
        ];
        let expected = match name {
            P256 => {
                assert_eq!(reply.status, StatusCode::CREATED);
                continue;
            }
            // The registry's, but not this key's.
            name if allowed.contains(&name) => "KEY_DETAILS_MISMATCH",
            "" | "99" | "X" => {
                assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{name}");
                continue;
            }
            _ => "KEY_DETAILS_NOT_ALLOWED",
        };
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert_eq!(reply.reason(), expected, "{name}");
    }
    // Pure Ed25519 signs no digest (rekor-tiles panicked here).
    let ed25519 = signer(SignatureAlgorithm::Ed25519);
    let reply = served
        .create(&hashed_rekord(&*ed25519, "PKIX_ED25519", b"artifact"))
        .await;
    assert_eq!(reply.reason(), "KEY_DETAILS_NOT_ALLOWED");
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_08_many_signatures_and_verifiers_are_refused_unverified() {
    let served = serve(artifact_rig()).await;
    let key = p256();
    let one = dsse(&[(&*key, P256)], b"payload");
    let many = |signatures: usize, verifiers: usize| {
        let mut request = one.clone();
        let dsse = &mut request["dsseRequestV002"];
        let signature = dsse["envelope"]["signatures"][0].clone();
        let verifier = dsse["verifiers"][0].clone();
        dsse["envelope"]["signatures"] = json!(vec![signature; signatures]);
        dsse["verifiers"] = json!(vec![verifier; verifiers]);
        request
    };
    for (signatures, verifiers) in [(11, 1), (1, 11), (1000, 1000)] {
        let reply = served.create(&many(signatures, verifiers)).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert_eq!(
            reply.reason(),
            "MALFORMED_REQUEST",
            "{signatures} {verifiers}"
        );
    }
    assert_eq!(
        served.create(&many(10, 10)).await.status,
        StatusCode::CREATED
    );
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_20_entry_too_long() {
    let served = serve(artifact_rig()).await;
    let key = p256();
    let mut request = hashed_rekord(&*key, P256, b"artifact");
    let long = json!(STANDARD.encode(vec![7; 60_000]));
    request["hashedRekordRequestV002"]["signature"]["content"] = long;
    let reply = served.create(&request).await;
    assert_eq!(
        (reply.status.as_u16(), &*reply.reason()),
        (413, "ENTRY_TOO_LONG")
    );
    // An envelope's payload is not part of the entry.
    let payload = vec![7; 100_000];
    check_created(
        &served,
        &served.create(&dsse(&[(&*key, P256)], &payload)).await,
        "dsse",
        1,
    );
    served.stop().await.unwrap();
    let served = serve(Rig::new()).await;
    for (length, status) in [(65_534, 201), (65_535, 201), (65_536, 413)] {
        let reply = served.post("/add", "x".repeat(length)).await;
        assert_eq!(reply.status.as_u16(), status, "{length}");
    }
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sizes_methods_and_media_types() {
    let served = serve(artifact_rig()).await;
    let path = "/api/v2/log/entries";
    let at_limit = "x".repeat(4 << 20);
    assert_eq!(
        served.post(path, at_limit.clone()).await.status,
        StatusCode::BAD_REQUEST
    );
    let beyond = served.post(path, at_limit + "x").await;
    assert_eq!(beyond.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        served.get(path).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    let untyped = Request::post(path).body(Body::from("{}")).unwrap();
    let reply = served.send(untyped).await;
    assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let encoded = Request::post(path)
        .header("content-type", "application/json")
        .header("content-encoding", "gzip");
    let reply = served.send(encoded.body(Body::from("x")).unwrap()).await;
    assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "S-02");
    assert_eq!(
        served.post("/checkpoint", "{}").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_published_checkpoint_can_be_read() {
    let served = serve(artifact_rig()).await;
    let words = serve(Rig::new()).await;
    for prefix in ["", "/api/v2"] {
        let reply = served.get(&format!("{prefix}/checkpoint")).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(reply.header("cache-control"), "no-cache");
        let tile = served.get(&format!("{prefix}/tile/entries/000.p/1")).await;
        assert_eq!(tile.header("content-type"), "application/octet-stream");
        assert_eq!(tile.header("cache-control"), "max-age=604800, immutable");
    }
    let mut notes = Vec::new();
    for n in 0..520 {
        assert_eq!(
            words.post("/add", format!("word {n}")).await.status,
            StatusCode::CREATED
        );
        if n % 37 == 0 || (250..260).contains(&n) {
            notes.push(words.get("/checkpoint").await.body);
        }
        if n == 300 {
            words.log.flush().await;
        }
    }
    words.log.flush().await;
    // All of them, also the ones that were only partial, also after sealing.
    for note in notes {
        let note = SignedNote::parse(std::str::from_utf8(&note).unwrap()).unwrap();
        let opened = Checkpoint::open(&note, &words.key(), &[]).unwrap();
        let size = opened.tree_size();
        let mut reader = TileReader::new(size, *opened.root_hash());
        let mut tiles = Vec::new();
        for tile in reader.needed_for_leaves(0, size).unwrap() {
            let path = waxseal_tlog::TilePath::Tile(tile);
            let reply = words.get(&format!("/{path}")).await;
            assert_eq!(reply.status, StatusCode::OK, "{path} of {size}");
            tiles.push((tile, reply.body));
        }
        reader.supply(&tiles).unwrap();
        let leaves = reader.leaves(0, size).unwrap();
        for index in 0..size.div_ceil(256) {
            let width = Tile::in_tree(0, index, size).unwrap().width();
            let path = waxseal_tlog::TilePath::Entries { index, width };
            let bundle = words.get(&format!("/{path}")).await.body;
            let found = EntryBundle::parse(&bundle, width).unwrap().leaf_hashes();
            let start = usize::try_from(index * 256).unwrap();
            assert_eq!(
                found,
                leaves[start..start + usize::from(width)],
                "{path} of {size}"
            );
        }
    }
    served.stop().await.unwrap();
    words.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_53_what_is_not_in_the_log_is_not_found() {
    let served = serve(Rig::new()).await;
    for path in [
        "/tile/0/000",
        "/tile/0/000.p/2",
        "/tile/0/001.p/1",
        "/tile/1/000.p/1",
        "/tile/entries/000",
        "/tile/data/000.p/1",
        "/tile/0/x000/000",
        "/tile/0/..%2f..%2fetc",
        "/tile/..",
        "/tile/0/x018/x446/x744/x073/x709/x551/615",
        "/issuer/..",
        "/issuer/AB",
        &format!("/issuer/{}", "ab".repeat(32)),
        &format!("/issuer/{}", "AB".repeat(32)),
        "/api/v2/checkpoint",
    ] {
        assert_eq!(
            served.get(path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    assert_eq!(served.get("/tile/0/000.p/1").await.status, StatusCode::OK);
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_faults_of_a_personality() {
    let served = serve(Rig::new()).await;
    for (body, status, reason) in [
        ("bad", 400, "BAD"),
        ("unknown", 401, "UNKNOWN"),
        ("broken", 500, "CHECK_FAILED"),
    ] {
        let reply = served.post("/add", body).await;
        assert_eq!((reply.status.as_u16(), &*reply.reason()), (status, reason));
    }
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_07_faults_say_nothing_about_themselves() {
    let served = serve(Rig::new()).await;
    served
        .rig
        .ledger
        .fails_to_find
        .store(true, Ordering::SeqCst);
    let reply = served.post("/add", "word").await;
    assert_eq!(
        (reply.status.as_u16(), &*reply.reason()),
        (503, "NOT_COMMITTED")
    );
    assert_eq!(reply.header("retry-after"), "1");
    let text = String::from_utf8(reply.body).unwrap();
    assert!(
        !text.contains("/var/lib") && !text.contains("os error"),
        "{text}"
    );
    let text = String::from_utf8(served.post("/add", "broken").await.body).unwrap();
    assert!(
        !text.contains("/var/lib") && !text.contains("os error"),
        "{text}"
    );
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_commit_stops_the_log() {
    let served = serve(Rig::new()).await;
    served.rig.plan.strike(0, Fault::CrashAfter);
    let reply = served.post("/add", "word").await;
    assert_eq!((reply.status.as_u16(), &*reply.reason()), (500, "UNKNOWN"));
    let reply = served.post("/add", "another").await;
    assert_eq!((reply.status.as_u16(), &*reply.reason()), (503, "STOPPED"));
    assert!(served.log.health("log").ready().await.is_err());
    // What was published before can still be read.
    assert_eq!(served.get("/checkpoint").await.status, StatusCode::OK);
    let fatal = served.running.await.unwrap().unwrap_err();
    assert_eq!(fatal.reason(), "it is unknown what is in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen() {
    let config = Config {
        is_frozen: true,
        ..Config::new(Origin::new(ORIGIN).unwrap())
    };
    let served = serve_config(Rig::new(), config).await;
    let reply = served.post("/add", "word").await;
    assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(
        reply.body,
        b"This log has been frozen, please switch to the latest log.\n"
    );
    assert_eq!(served.get("/checkpoint").await.status, StatusCode::OK);
    served.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overloaded() {
    // Not running: what is submitted waits, until no more may.
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    let router = log.router();
    let post = |n: usize| {
        let text = format!("word {n}");
        let request = Request::post("/add")
            .header("content-type", "application/json")
            .header("content-length", text.len());
        let request = request.body(Body::from(text)).unwrap();
        router.clone().oneshot(request)
    };
    let waiting: Vec<_> = (0..crate::service::MAX_WAITING)
        .map(|n| {
            let service = Arc::clone(&log.service);
            tokio::spawn(async move { service.submit(0, &format!("word {n}").into()).await })
        })
        .collect();
    while log.service.waiting() < crate::service::MAX_WAITING {
        tokio::task::yield_now().await;
    }
    let response = post(usize::MAX).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    // Once it runs, all that waited are answered.
    let shutdown = Shutdown::new();
    shutdown.trigger();
    log.run(shutdown).await.unwrap();
    for answer in waiting {
        answer.await.unwrap().unwrap();
    }
    let response = post(0).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_stands_turns_away_before_it_reads() {
    // Not running: the queue stands.
    let rig = Rig::new();
    let log = rig.start().await.unwrap();
    let post = |body: Body| {
        let request = Request::post("/add")
            .header("content-type", "application/json")
            .header("content-length", "6");
        log.router().oneshot(request.body(body).unwrap())
    };
    let long = 1100;
    let waiting: Vec<_> = (0..long)
        .map(|n| tokio::spawn(post(Body::from(format!("w {n:04}")))))
        .collect();
    while log.service.waiting() < long {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    // It would be 400 or worse if anybody read it; it is taken in, so that the connection lives.
    let body = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let taken = Arc::clone(&body);
    let pieces = futures_util::stream::iter(["{{", "{{", "{{"]).map(move |piece| {
        taken.fetch_add(piece.len(), Ordering::Relaxed);
        Ok::<_, std::io::Error>(piece)
    });
    let response = post(Body::from_stream(pieces)).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(body.load(Ordering::Relaxed), 6);
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let problem: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(problem["details"][0]["reason"], "OVERLOADED");
    assert_eq!(log.service.waiting(), long);
    // The door says the same, of submissions alone.
    let door = log.door("/below");
    for (method, path, expected) in [
        (Method::POST, "/below/add", true),
        (Method::POST, "/add", false),
        (Method::GET, "/below/add", false),
        (Method::GET, "/below/checkpoint", false),
    ] {
        let turned = door.turns_away(&method, path);
        assert_eq!(turned.is_some(), expected, "{method} {path}");
        let Some(turned) = turned else { continue };
        assert_eq!(turned.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(turned.headers()["retry-after"], "1");
        let told = turned.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(told, text);
    }
    // Whoever was let in is answered.
    let shutdown = Shutdown::new();
    shutdown.trigger();
    log.run(shutdown).await.unwrap();
    for answer in waiting {
        assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::CREATED);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_one_entry_is_one_entry() {
    let served = Arc::new(serve(artifact_rig()).await);
    let request = hashed_rekord(&*p256(), P256, b"artifact");
    let all: Vec<_> = (0..300)
        .map(|_| {
            let (served, request) = (Arc::clone(&served), request.clone());
            tokio::spawn(async move {
                let reply = served.create(&request).await;
                (reply.status, reply.header("x-log-index").to_owned())
            })
        })
        .collect();
    let mut created = 0;
    for one in all {
        let (status, index) = one.await.unwrap();
        if status == StatusCode::CREATED {
            created += 1;
        } else {
            assert_eq!((status, &*index), (StatusCode::CONFLICT, "1"));
        }
    }
    assert_eq!(created, 1);
    assert_eq!(served.log.published().tree_size, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_answers_and_seals_what_had_arrived() {
    let served = serve(Rig::new()).await;
    for n in 0..300 {
        served.post("/add", format!("word {n}")).await;
    }
    let objects = Arc::clone(&served.rig.objects);
    let published = served.log.published().checkpoint.clone();
    served.stop().await.unwrap();
    let objects = objects.inner.lock().unwrap();
    assert_eq!(
        objects[&crate::ObjectName::Checkpoint],
        published.as_bytes()
    );
}

//! The CT log, with real chains: what it takes, what it promises, what it serves.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use waxseal_crypto::{PublicKey, SignatureAlgorithm, Signer, Time, sha256};
use waxseal_formats::ct::SctAnswer;
use waxseal_issuing::{LeafIssuer, LeafRequest, Subject, Validity, issue_intermediate, issue_root};
use waxseal_pki::{
    Certificate, CtEntry, CtLogKey, Purpose, Sct, SctScheme, SpliceError, SubjectAltName,
    parse_leaf_index, tbs_without_poison,
};
use waxseal_serve::Shutdown;
use waxseal_tlog::{
    Checkpoint, KeyName, LogKey, NoteSigner, Origin, SignatureKind, SignedNote, TileReader,
    leaf_hash,
};

use crate::testing::{Rig, provider, signer_of};
use crate::{ChainError, Config, CtConfigError, CtLog, LogServer, ObjectName};

const ORIGIN: &str = "log.example/ct";

fn signer() -> Arc<dyn Signer> {
    let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
    signer_of(&provider().generate(algorithm).unwrap(), algorithm)
}

/// A CA: root, intermediate, and the leaves that it issues.
struct Authority {
    root: Certificate,
    intermediate: Certificate,
    signer: Arc<dyn Signer>,
    issuer: LeafIssuer,
}

impl Authority {
    async fn new() -> Self {
        Self::with_root("root").await
    }

    async fn with_root(name: &str) -> Self {
        Self::signing(name, SignatureAlgorithm::EcdsaP256Sha256).await
    }

    async fn signing(name: &str, algorithm: SignatureAlgorithm) -> Self {
        let signer = || signer_of(&provider().generate(algorithm).unwrap(), algorithm);
        let random = waxseal_crypto_aws_lc::OsRandom;
        let from = Time::from_unix(1_690_000_000).unwrap();
        let years =
            |years: u64| Validity::starting(from, Duration::from_secs(years * 365 * 86_400));
        let root_signer = signer();
        let subject = Subject::new(name, "example");
        let root = issue_root(&*root_signer, &subject, years(10).unwrap(), &random)
            .await
            .unwrap();
        let signer = signer();
        let subject = Subject::new("intermediate", "example");
        let intermediate = issue_intermediate(
            &root,
            &*root_signer,
            &subject,
            signer.public_key(),
            Purpose::CodeSigning,
            years(5).unwrap(),
            &random,
        );
        let intermediate = intermediate.await.unwrap();
        let chain = vec![intermediate.clone(), root.clone()];
        let issuer = LeafIssuer::new(provider(), &*signer, chain).unwrap();
        Self {
            root,
            intermediate,
            signer,
            issuer,
        }
    }

    async fn precertificate(&self) -> Certificate {
        self.precertificate_for(signer().public_key()).await
    }

    async fn precertificate_for(&self, key: &PublicKey) -> Certificate {
        let name = SubjectAltName::Email("user@example.com".into());
        let claims = [(1, "https://issuer.example"), (8, "https://issuer.example")];
        let from = Time::from_unix(1_700_000_000).unwrap();
        let validity = Validity::starting(from, Duration::from_secs(600)).unwrap();
        let request = LeafRequest::new(key, &name, &claims, validity);
        let random = waxseal_crypto_aws_lc::OsRandom;
        let leaf = self.issuer.prepare(&request, &random).unwrap();
        leaf.precertificate(&*self.signer).await.unwrap()
    }

    fn chain(&self, leaf: &Certificate) -> Vec<Vec<u8>> {
        [leaf, &self.intermediate, &self.root]
            .map(|one| one.der().to_vec())
            .to_vec()
    }
}

struct Served {
    rig: Rig,
    log: Arc<LogServer>,
    router: Router,
    key: CtLogKey,
}

impl Served {
    async fn new(authority: &Authority) -> Self {
        let mut rig = Rig::new();
        let signer = signer();
        let name = KeyName::new(ORIGIN).unwrap();
        rig.signer = NoteSigner::new(name, SignatureKind::Rfc6962, Arc::clone(&signer)).unwrap();
        let key = CtLogKey::new(provider(), signer.public_key()).unwrap();
        let roots = [authority.root.der().to_vec()];
        let objects: Arc<dyn crate::Objects> = rig.objects.clone();
        rig.personality = Arc::new(CtLog::new(provider(), signer, objects, &roots).unwrap());
        let config = Config::new(Origin::new(ORIGIN).unwrap());
        let log = Arc::new(LogServer::new(config, rig.context()).await.unwrap());
        let running = Arc::clone(&log);
        tokio::spawn(async move { running.run(Shutdown::new()).await });
        let router = Router::new().nest("/ct", log.router());
        Self {
            rig,
            log,
            router,
            key,
        }
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, Vec<u8>) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap();
        (status, body.to_bytes().to_vec())
    }

    async fn get(&self, path: &str) -> (StatusCode, Vec<u8>) {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    async fn add(&self, path: &str, chain: &[Vec<u8>]) -> (StatusCode, Vec<u8>) {
        let chain: Vec<_> = chain.iter().map(|der| STANDARD.encode(der)).collect();
        let body = json!({"chain": chain}).to_string();
        let request = Request::post(format!("/ct/ct/v1/{path}"))
            .header("content-type", "application/json")
            .header("content-length", body.len());
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    async fn refused(&self, path: &str, chain: &[Vec<u8>]) -> String {
        let (status, body) = self.add(path, chain).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let body: Value = serde_json::from_slice(&body).unwrap();
        body["details"][0]["reason"].as_str().unwrap().to_owned()
    }
}

fn sct(body: &[u8]) -> Sct {
    let answer = SctAnswer::from_json(body).unwrap();
    let [4, 3, a, b, signature @ ..] = answer.signature.as_slice() else {
        panic!("not ECDSA with SHA-256");
    };
    assert_eq!(usize::from(u16::from_be_bytes([*a, *b])), signature.len());
    let id = answer.id.try_into().unwrap();
    let scheme = SctScheme::EcdsaSha256;
    Sct::new(
        id,
        answer.timestamp,
        answer.extensions,
        scheme,
        signature.to_vec(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_precertificate_gets_a_promise_that_is_kept() {
    let authority = Authority::new().await;
    let served = Served::new(&authority).await;
    let mut expected = Vec::new();
    for index in 0..3 {
        let leaf = authority.precertificate().await;
        let (status, body) = served.add("add-pre-chain", &authority.chain(&leaf)).await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        let sct = sct(&body);
        let tbs = tbs_without_poison(leaf.tbs()).unwrap();
        let entry = CtEntry::Precertificate {
            issuer_key_hash: authority.signer.public_key().spki_sha256(),
            tbs: &tbs,
        };
        assert_eq!(sct.verify(&served.key, &entry), Ok(()));
        assert_eq!(parse_leaf_index(&sct.extensions), Some(index));
        let input = entry
            .merkle_tree_leaf(sct.timestamp, &sct.extensions)
            .unwrap();
        expected.push((leaf_hash(&input), sct, leaf));
    }
    // Static reads: the checkpoint, its tile, the entries, their issuers.
    let (_, note) = served.get("/ct/checkpoint").await;
    let note = SignedNote::parse(std::str::from_utf8(&note).unwrap()).unwrap();
    let key = LogKey::new(served.rig.signer.note_key(provider()).unwrap());
    let opened = Checkpoint::open(&note, &key, &[]).unwrap();
    assert_eq!((opened.tree_size(), opened.origin().as_str()), (3, ORIGIN));
    let mut reader = TileReader::new(3, *opened.root_hash());
    let tiles = reader.needed_for_leaves(0, 3).unwrap();
    let (status, tile) = served.get("/ct/tile/0/000.p/3").await;
    assert_eq!(status, StatusCode::OK);
    reader.supply(&[(tiles[0], tile)]).unwrap();
    let leaves: Vec<_> = expected.iter().map(|(leaf, ..)| *leaf).collect();
    assert_eq!(reader.leaves(0, 3).unwrap(), leaves);
    let (status, data) = served.get("/ct/tile/data/000.p/3").await;
    assert_eq!(status, StatusCode::OK);
    for (_, sct, leaf) in &expected {
        let has = |part: &[u8]| data.windows(part.len()).any(|window| window == part);
        assert!(has(leaf.der()) && has(&sct.timestamp.to_be_bytes()));
        assert!(has(&sha256(authority.root.der())));
    }
    for issuer in [&authority.intermediate, &authority.root] {
        let name: String = sha256(issuer.der())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            served.get(&format!("/ct/issuer/{name}")).await.1,
            issuer.der()
        );
    }
    assert_eq!(
        served.get("/ct/tile/entries/000.p/3").await.0,
        StatusCode::NOT_FOUND
    );
}

/// RFC 6962 says nothing of the keys in certificates: RSA, and curves of every size.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_with_every_kind_of_key() {
    for algorithm in [
        SignatureAlgorithm::RsaPkcs1Sha256,
        SignatureAlgorithm::EcdsaP384Sha384,
        SignatureAlgorithm::EcdsaP521Sha512,
    ] {
        let authority = Authority::signing("root", algorithm).await;
        let served = Served::new(&authority).await;
        let key = signer_of(&provider().generate(algorithm).unwrap(), algorithm);
        let leaf = authority.precertificate_for(key.public_key()).await;
        let (status, body) = served.add(PRE, &authority.chain(&leaf)).await;
        assert_eq!(
            status,
            StatusCode::OK,
            "{algorithm:?}: {}",
            String::from_utf8_lossy(&body)
        );
        let tbs = tbs_without_poison(leaf.tbs()).unwrap();
        let entry = CtEntry::Precertificate {
            issuer_key_hash: authority.signer.public_key().spki_sha256(),
            tbs: &tbs,
        };
        assert_eq!(sct(&body).verify(&served.key, &entry), Ok(()));
    }
}

/// static-ct-api: data tiles are compressed at the HTTP layer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_tiles_are_compressed_for_who_asks() {
    let authority = Authority::new().await;
    let served = Served::new(&authority).await;
    let mut adding = Vec::new();
    for _ in 0..256 {
        adding.push(authority.chain(&authority.precertificate().await));
    }
    for chain in adding {
        assert_eq!(served.add(PRE, &chain).await.0, StatusCode::OK);
    }
    served.log.flush().await;
    let (_, plain) = served.get("/ct/tile/data/000").await;
    let request = Request::get("/ct/tile/data/000").header("accept-encoding", "gzip");
    let request = request.body(Body::empty()).unwrap();
    let response = served.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.headers()["vary"], "accept-encoding");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.len() < plain.len());
    let mut decoded = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&body[..]);
    std::io::Read::read_to_end(&mut decoder, &mut decoded).unwrap();
    assert_eq!(decoded, plain);
    // What a static file server would tell of the object.
    let objects = served.rig.objects.inner.lock().unwrap();
    let data = objects
        .iter()
        .find(|(name, _)| name.to_string() == "tile/data/000");
    assert_eq!(data.unwrap().1, &plain);
}

/// The promise for an entry that is there costs no verification while those are scarce.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_promise_is_given_before_anything_is_checked() {
    let authority = Authority::new().await;
    let served = Served::new(&authority).await;
    let chain = authority.chain(&authority.precertificate().await);
    let first = sct(&served.add(PRE, &chain).await.1);
    let admission = Arc::clone(&served.log.service.admission);
    let _all = admission.check(u32::MAX).await;
    let again = sct(&served.add(PRE, &chain).await.1);
    assert_eq!(
        (again.timestamp, &again.extensions),
        (first.timestamp, &first.extensions)
    );
}

/// It costs several fsyncs, and authorities issue thousands of certificates.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_is_written_once() {
    let authority = Authority::new().await;
    let served = Served::new(&authority).await;
    let is_issuer = |name: &ObjectName| matches!(name, ObjectName::Issuer(_));
    for expected in [2, 0, 0] {
        let chain = authority.chain(&authority.precertificate().await);
        let (status, _) = served.add("add-pre-chain", &chain).await;
        assert_eq!(status, StatusCode::OK);
        let mut objects = served.rig.objects.inner.lock().unwrap();
        let issuers = objects.keys().filter(|name| is_issuer(name)).count();
        assert_eq!(issuers, expected);
        objects.retain(|name, _| !is_issuer(name));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d7_the_same_certificate_gets_the_same_promise() {
    let authority = Authority::new().await;
    let served = Served::new(&authority).await;
    let leaf = authority.precertificate().await;
    let chain = authority.chain(&leaf);
    let first = sct(&served.add("add-pre-chain", &chain).await.1);
    // … without the root too, which the log adds.
    for chain in [&chain[..], &chain[..2]] {
        let again = sct(&served.add("add-pre-chain", chain).await.1);
        assert_eq!(
            (again.timestamp, &again.extensions),
            (first.timestamp, &first.extensions)
        );
    }
    assert_eq!(served.log.published().tree_size, 1);
}

const PRE: &str = "add-pre-chain";

/// A served log, and a chain that it takes.
async fn taken() -> (Authority, Served, Vec<Vec<u8>>) {
    let authority = Authority::new().await;
    let served = Served::new(&authority).await;
    let chain = authority.chain(&authority.precertificate().await);
    (authority, served, chain)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn field() {
    let (_, served, _) = taken().await;
    assert_eq!(served.refused(PRE, &[]).await, "MALFORMED_REQUEST");
    let eleven = vec![vec![7; 9]; 11];
    assert_eq!(served.refused(PRE, &eleven).await, "MALFORMED_REQUEST");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificate() {
    let (_, served, _) = taken().await;
    assert_eq!(served.refused(PRE, &[vec![7; 9]]).await, "BAD_CERTIFICATE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poisoned() {
    let (_, served, chain) = taken().await;
    assert_eq!(served.refused("add-chain", &chain).await, "POISONED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_poisoned() {
    let (_, served, chain) = taken().await;
    assert_eq!(served.refused(PRE, &chain[1..]).await, "NOT_POISONED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_authority() {
    let (_, served, chain) = taken().await;
    assert_eq!(
        served.refused("add-chain", &chain[1..]).await,
        "IS_AUTHORITY"
    );
    assert_eq!(
        served.refused("add-chain", &chain[2..]).await,
        "IS_AUTHORITY"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_root() {
    let (_, served, chain) = taken().await;
    assert_eq!(served.refused(PRE, &chain[..1]).await, "UNKNOWN_ROOT");
    let other = Authority::with_root("other").await;
    let foreign = other.chain(&other.precertificate().await);
    assert_eq!(served.refused(PRE, &foreign).await, "UNKNOWN_ROOT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_issued_by_next() {
    let (_, served, chain) = taken().await;
    let skipped = [chain[0].clone(), chain[2].clone()];
    assert_eq!(served.refused(PRE, &skipped).await, "NOT_ISSUED_BY_NEXT");
}

/// Names, keys and signatures are right, and the certificate in the middle is no authority's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_authority_issues_nothing() {
    let (authority, served, chain) = taken().await;
    let from = Time::from_unix(1_700_000_000).unwrap();
    let validity = Validity::starting(from, Duration::from_secs(600)).unwrap();
    let subject = Subject::new("intermediate", "example");
    let namesake = waxseal_issuing::issue_timestamp_signer(
        &authority.intermediate,
        &*authority.signer,
        &subject,
        authority.signer.public_key(),
        validity,
        &waxseal_crypto_aws_lc::OsRandom,
    );
    let namesake = namesake.await.unwrap().der().to_vec();
    let through = [&chain[..1], &[namesake], &chain[1..]].concat();
    assert_eq!(served.refused(PRE, &through).await, "NOT_ISSUED_BY_NEXT");
    assert_eq!(served.add(PRE, &chain).await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signature() {
    let (_, served, chain) = taken().await;
    // Authorities of the same names, with other keys: the names agree, the signatures do not.
    let namesake = Authority::new().await;
    let foreign = namesake.chain(&namesake.precertificate().await);
    assert_eq!(served.refused(PRE, &foreign).await, "BAD_SIGNATURE");
    let forged = [foreign[0].clone(), chain[1].clone(), chain[2].clone()];
    assert_eq!(served.refused(PRE, &forged).await, "BAD_SIGNATURE");
    assert_eq!(served.log.published().tree_size, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key() {
    let (_, served, mut chain) = taken().await;
    // The intermediate's curve, 1.2.840.10045.3.1.7, becomes one that nobody knows.
    let curve = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let at = chain[1]
        .windows(8)
        .position(|window| window == curve)
        .unwrap();
    chain[1][at + 7] = 0x7f;
    assert_eq!(served.refused(PRE, &chain).await, "BAD_KEY");
}

/// DER with one value in the place of another one, wherever it is nested.
fn replaced(der: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = der;
    while !rest.is_empty() {
        let (head, length) = match rest {
            [_, 0x81, length, ..] => (3, usize::from(*length)),
            [_, 0x82, a, b, ..] => (4, usize::from(u16::from_be_bytes([*a, *b]))),
            [_, length, ..] => (2, usize::from(*length)),
            _ => panic!("no value"),
        };
        let (value, after) = rest.split_at(head + length);
        if value == old {
            out.extend(new);
        } else if value.windows(old.len()).any(|window| window == old) {
            let content = replaced(&value[head..], old, new);
            out.push(value[0]);
            match content.len() {
                length if length < 0x80 => out.push(u8::try_from(length).unwrap()),
                length if length < 0x100 => out.extend([0x81, u8::try_from(length).unwrap()]),
                length => {
                    out.push(0x82);
                    out.extend(u16::try_from(length).unwrap().to_be_bytes());
                }
            }
            out.extend(content);
        } else {
            out.extend(value);
        }
        rest = after;
    }
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn precertificate_signer() {
    let (_, served, mut chain) = taken().await;
    // The intermediate, for the purpose 1.3.6.1.4.1.11129.2.4.4 instead of code signing.
    let code_signing = [6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 3];
    let precertificates = [6, 10, 0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 4];
    chain[1] = replaced(&chain[1], &code_signing, &precertificates);
    assert_eq!(served.refused(PRE, &chain).await, "PRECERTIFICATE_SIGNER");
    assert_eq!(served.log.published().tree_size, 0);
}

#[test]
fn splice() {
    // A certificate with two poisons is not parsed: this is the second line of defence.
    let error = ChainError::from(SpliceError::Duplicate);
    assert_eq!(error.to_string(), SpliceError::Duplicate.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_for_code_signing() {
    let authority = Authority::new().await;
    let served = Served::new(&authority).await;
    // A timestamp authority's certificate, under the same root.
    let random = waxseal_crypto_aws_lc::OsRandom;
    let from = Time::from_unix(1_700_000_000).unwrap();
    let validity = Validity::starting(from, Duration::from_secs(600)).unwrap();
    let (subject, key) = (Subject::new("tsa", "example"), signer());
    let issued = waxseal_issuing::issue_timestamp_signer(
        &authority.intermediate,
        &*authority.signer,
        &subject,
        key.public_key(),
        validity,
        &random,
    );
    let chain = authority.chain(&issued.await.unwrap());
    assert_eq!(
        served.refused("add-chain", &chain).await,
        "NOT_FOR_CODE_SIGNING"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roots_are_told() {
    let authority = Authority::new().await;
    let served = Served::new(&authority).await;
    let (status, body) = served.get("/ct/ct/v1/get-roots").await;
    assert_eq!(status, StatusCode::OK);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body,
        json!({"certificates": [STANDARD.encode(authority.root.der())]})
    );
}

#[tokio::test]
async fn signer_key() {
    let objects: Arc<dyn crate::Objects> = Arc::new(crate::testing::MemoryObjects::default());
    let algorithm = SignatureAlgorithm::Ed25519;
    let ed25519 = signer_of(&provider().generate(algorithm).unwrap(), algorithm);
    let log = CtLog::new(provider(), ed25519, objects, &[vec![7]]);
    assert!(matches!(log, Err(CtConfigError::SignerKey { .. })));
}

#[tokio::test]
async fn root_and_no_root() {
    let objects: Arc<dyn crate::Objects> = Arc::new(crate::testing::MemoryObjects::default());
    let log = CtLog::new(provider(), signer(), objects.clone(), &[vec![7]]);
    assert!(matches!(log, Err(CtConfigError::Root { position: 0, .. })));
    let log = CtLog::new(provider(), signer(), objects, &[]);
    assert!(matches!(log, Err(CtConfigError::NoRoot)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ct_log_is_sealed_and_started_again() {
    let authority = Authority::new().await;
    let served = Served::new(&authority).await;
    let mut last = None;
    for _ in 0..260 {
        let leaf = authority.precertificate().await;
        let chain = authority.chain(&leaf);
        let (status, body) = served.add("add-pre-chain", &chain).await;
        assert_eq!(status, StatusCode::OK);
        last = Some((chain, sct(&body)));
    }
    served.log.flush().await;
    let config = Config::new(Origin::new(ORIGIN).unwrap());
    let log = LogServer::new(config, served.rig.context()).await.unwrap();
    assert_eq!(log.published().tree_size, 260);
    let (chain, promised) = last.unwrap();
    let stopped = served.add("add-pre-chain", &chain).await;
    // The first process still knows the entry: duplicates are read, not written.
    assert_eq!(sct(&stopped.1).extensions, promised.extensions);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d11_a_backup_has_the_issuers_too() {
    let authority = Authority::new().await;
    let served = Served::new(&authority).await;
    let chain = authority.chain(&authority.precertificate().await);
    let promised = sct(&served.add(PRE, &chain).await.1);
    let (ledger, objects) = (
        Arc::new(crate::testing::MemoryLedger::default()),
        Arc::new(crate::testing::MemoryObjects::default()),
    );
    let target = crate::BackupTarget {
        ledger: ledger.clone(),
        objects: objects.clone(),
        progress: Box::new(|_, _| {}),
    };
    let published = served.log.backup(provider(), target).await.unwrap();
    assert_eq!(published.tree_size, 1);
    for der in &chain[1..] {
        let name = ObjectName::Issuer(sha256(der));
        assert_eq!(objects.inner.lock().unwrap().get(&name), Some(der));
    }
    // The key of what is stored is that of the submission it came from.
    let stored = served.log.shared.entry(0).await.unwrap();
    let key = served.rig.personality.key(&stored).unwrap();
    assert_eq!(ledger.inner.lock().unwrap().keys.get(&key), Some(&0));
    assert_eq!(
        served.rig.ledger.inner.lock().unwrap().keys.get(&key),
        Some(&0)
    );
    assert_eq!(promised.timestamp, published_time(&stored));
}

fn published_time(stored: &[u8]) -> u64 {
    u64::from_be_bytes(*stored.first_chunk().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed() {
    use crate::{Replica, ReplicaContext, ReplicaError};
    let authority = Authority::new().await;
    let served = Served::new(&authority).await;
    let context = ReplicaContext {
        provider: provider(),
        clock: served.rig.clock.clone(),
        ledger: Arc::new(crate::testing::MemoryLedger::default()),
        objects: Arc::new(crate::testing::MemoryObjects::default()),
        personality: served.rig.personality.clone(),
    };
    let mut replica = Replica::open(Origin::new(ORIGIN).unwrap(), context)
        .await
        .unwrap();
    let error = replica.append(vec![vec![1; 5]]).await.unwrap_err();
    assert!(matches!(error, ReplicaError::Malformed { index: 0 }));
}

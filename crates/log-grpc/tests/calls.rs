//! The service in front of a real log: by its own client in-process, and over a loopback socket.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

use std::sync::Arc;

use axum::Router;
use prost::Message as _;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use waxseal_crypto::{Digest, HashAlgorithm, Input, LocalSigner, SignatureAlgorithm, Signer};
use waxseal_crypto_aws_lc::{SystemClock, provider};
use waxseal_log_grpc::dev::sigstore::common::v1::PublicKeyDetails;
use waxseal_log_grpc::dev::sigstore::rekor::v1::TransparencyLogEntry;
use waxseal_log_grpc::dev::sigstore::rekor::v2::create_entry_request::Spec;
use waxseal_log_grpc::dev::sigstore::rekor::v2::rekor_client::RekorClient;
use waxseal_log_grpc::dev::sigstore::rekor::v2::verifier::Verifier as Key;
use waxseal_log_grpc::dev::sigstore::rekor::v2::{
    CreateEntryRequest, DsseRequestV002, EntryBundleRequest, HashedRekordRequestV002, PublicKey,
    Signature, TileRequest, Verifier,
};
use waxseal_log_grpc::google::rpc;
use waxseal_log_grpc::io::intoto;
use waxseal_log_grpc::{MAX_MESSAGE, with_grpc};
use waxseal_log_server::{ArtifactLog, Config, Context, LogServer};
use waxseal_serve::{Chassis, Limits, Listen, Meter, Shutdown, serve};
use waxseal_store_embedded::{LogLedger, LogObjects};
use waxseal_tlog::{
    Checkpoint, EntryBundle, InclusionProof, KeyName, LogKey, NoteSigner, Origin, SignatureKind,
    SignedNote, leaf_hash,
};

const ORIGIN: &str = "log.example";

struct Stage {
    log: Arc<LogServer>,
    signer: NoteSigner,
    router: Router,
    shutdown: Shutdown,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn new(is_frozen: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let algorithm = SignatureAlgorithm::Ed25519;
        let key = provider().generate(algorithm).unwrap();
        let local: Box<dyn LocalSigner> = provider().signer(&key, algorithm).unwrap();
        let boxed: Box<dyn Signer> = local;
        let name = KeyName::new(ORIGIN).unwrap();
        let signer = NoteSigner::new(name, SignatureKind::Ed25519, Arc::from(boxed)).unwrap();
        let context = Context {
            provider: provider(),
            clock: Arc::new(SystemClock),
            signers: vec![signer.clone()],
            cosigners: None,
            ledger: Arc::new(LogLedger::open(&folder.path().join("ledger.redb")).unwrap()),
            objects: Arc::new(LogObjects::open(&folder.path().join("objects")).unwrap()),
            personality: Arc::new(ArtifactLog::new(provider())),
            meter: Meter::new(),
        };
        let mut config = Config::new(Origin::new(ORIGIN).unwrap());
        config.is_frozen = is_frozen;
        let log = Arc::new(LogServer::new(config, context).await.unwrap());
        let routes = with_grpc(log.router(), log.health("log"));
        let router = Chassis::new(&Meter::new()).wrap(routes);
        let shutdown = Shutdown::new();
        let (running, stop) = (Arc::clone(&log), shutdown.clone());
        tokio::spawn(async move { running.run(stop).await });
        Self {
            log,
            signer,
            router,
            shutdown,
            _folder: folder,
        }
    }

    fn client(&self) -> RekorClient<Router> {
        RekorClient::new(self.router.clone())
    }

    /// As a client does: leaf, proof, checkpoint, log id.
    fn check(&self, entry: &TransparencyLogEntry, index: i64) {
        assert_eq!((entry.log_index, entry.integrated_time), (index, 0));
        assert_eq!(entry.log_id.as_ref().unwrap().key_id, self.signer.log_id());
        let proof = entry.inclusion_proof.as_ref().unwrap();
        let note = &proof.checkpoint.as_ref().unwrap().envelope;
        let opened = self.open(note);
        assert_eq!(proof.root_hash, opened.root_hash());
        let hashes = proof.hashes.iter();
        let proof = InclusionProof {
            leaf_index: u64::try_from(proof.log_index).unwrap(),
            tree_size: u64::try_from(proof.tree_size).unwrap(),
            hashes: hashes
                .map(|hash| hash.as_slice().try_into().unwrap())
                .collect(),
        };
        let leaf = leaf_hash(&entry.canonicalized_body);
        assert_eq!(proof.check(&leaf, opened.root_hash()), Ok(()));
    }

    fn open(&self, note: &str) -> Checkpoint {
        let key = LogKey::new(self.signer.note_key(provider()).unwrap());
        Checkpoint::open(&SignedNote::parse(note).unwrap(), &key, &[]).unwrap()
    }
}

fn hashed_rekord(artifact: &[u8]) -> CreateEntryRequest {
    let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
    let key = provider().generate(algorithm).unwrap();
    let signer = provider().signer(&key, algorithm).unwrap();
    let digest = Digest::of(HashAlgorithm::Sha256, artifact);
    let verifier = Verifier {
        verifier: Some(Key::PublicKey(PublicKey {
            raw_bytes: signer.public_key().spki_der().to_vec(),
        })),
        key_details: PublicKeyDetails::PkixEcdsaP256Sha256.into(),
    };
    let spec = Spec::HashedRekordRequestV002(HashedRekordRequestV002 {
        digest: digest.as_bytes().to_vec(),
        signature: Some(Signature {
            content: signer.sign_now(Input::Prehash(&digest)).unwrap(),
            verifier: Some(verifier),
        }),
    });
    CreateEntryRequest { spec: Some(spec) }
}

fn dsse(payload: &[u8]) -> CreateEntryRequest {
    let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
    let key = provider().generate(algorithm).unwrap();
    let signer = provider().signer(&key, algorithm).unwrap();
    let kind = "text/plain";
    let signed = [
        format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).as_bytes(),
        payload,
    ]
    .concat();
    let envelope = intoto::Envelope {
        payload: payload.to_vec(),
        payload_type: kind.to_owned(),
        signatures: vec![intoto::Signature {
            sig: signer.sign_now(Input::Message(&signed)).unwrap(),
            keyid: String::new(),
        }],
    };
    let verifier = Verifier {
        verifier: Some(Key::PublicKey(PublicKey {
            raw_bytes: signer.public_key().spki_der().to_vec(),
        })),
        key_details: PublicKeyDetails::PkixEcdsaP256Sha256.into(),
    };
    let spec = Spec::DsseRequestV002(DsseRequestV002 {
        envelope: Some(envelope),
        verifiers: vec![verifier],
    });
    CreateEntryRequest { spec: Some(spec) }
}

/// The one `ErrorInfo` of a status, and the seconds of its `RetryInfo`.
fn details(status: &Status) -> (rpc::ErrorInfo, Option<i64>) {
    let whole = rpc::Status::decode(status.details()).unwrap();
    assert_eq!(whole.code, i32::from(status.code()));
    assert_eq!(whole.message, status.message());
    let named = |kind: &str| {
        let url = format!("type.googleapis.com/google.rpc.{kind}");
        let mut all = whole.details.iter();
        all.find(|any| any.type_url == url)
            .map(|any| &any.value[..])
    };
    let info = rpc::ErrorInfo::decode(named("ErrorInfo").unwrap()).unwrap();
    let retry = named("RetryInfo").map(|bytes| rpc::RetryInfo::decode(bytes).unwrap());
    (info, retry.map(|retry| retry.retry_delay.unwrap().seconds))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_created() {
    let stage = Stage::new(false).await;
    let mut client = stage.client();
    let (one, two) = (hashed_rekord(b"one"), dsse(b"two"));
    for (request, index, kind) in [(&one, 1, "hashedrekord"), (&two, 2, "dsse")] {
        let entry = client.create_entry(request.clone()).await.unwrap();
        stage.check(entry.get_ref(), index);
        let told = entry.get_ref().kind_version.as_ref().unwrap();
        assert_eq!((&*told.kind, &*told.version), (kind, "0.0.2"));
    }
    let again = client.create_entry(one.clone()).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
    assert_eq!(
        again.message(),
        "an equivalent entry already exists in the transparency log with index 1"
    );
    assert_eq!(again.metadata().get("x-log-index").unwrap(), "1");
    assert_eq!(details(&again).0.reason, "DUPLICATE_ENTRY");
    let mut whole = Request::new(one);
    let prefer = "return=representation".parse().unwrap();
    whole.metadata_mut().insert("prefer", prefer);
    let entry = client.create_entry(whole).await.unwrap();
    assert_eq!(entry.metadata().get("x-log-index").unwrap(), "1");
    stage.check(entry.get_ref(), 1);
    stage.shutdown.trigger();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_have_the_same_reasons_as_over_http() {
    let stage = Stage::new(false).await;
    let mut client = stage.client();
    let edited = |edit: fn(&mut HashedRekordRequestV002)| {
        let mut request = hashed_rekord(b"artifact");
        let Some(Spec::HashedRekordRequestV002(inner)) = &mut request.spec else {
            panic!("another kind");
        };
        edit(inner);
        request
    };
    let none = CreateEntryRequest { spec: None };
    let cases = [
        (none, "MALFORMED_REQUEST", "hashedRekordRequestV002"),
        (edited(|r| r.digest.clear()), "MALFORMED_REQUEST", "digest"),
        (
            edited(|r| r.signature = None),
            "MALFORMED_REQUEST",
            "signature",
        ),
        (
            edited(|r| r.signature.as_mut().unwrap().verifier = None),
            "MALFORMED_REQUEST",
            "verifier",
        ),
        (
            edited(|r| r.digest = vec![7; 31]),
            "DIGEST_LENGTH",
            "digest",
        ),
        (
            edited(|r| r.digest = vec![7; 32]),
            "BAD_SIGNATURE",
            "signature",
        ),
        (
            edited(|r| {
                let verifier = r.signature.as_mut().unwrap().verifier.as_mut().unwrap();
                verifier.key_details = 99;
            }),
            "KEY_DETAILS_NOT_ALLOWED",
            "keyDetails",
        ),
    ];
    for (request, reason, field) in cases {
        let status = client.create_entry(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let (info, retry) = details(&status);
        assert_eq!((&*info.reason, &*info.domain), (reason, "waxseal"));
        assert_eq!(info.metadata["field"], field, "{reason}");
        assert_eq!(retry, None);
    }
    let mut long = hashed_rekord(b"artifact");
    if let Some(Spec::HashedRekordRequestV002(inner)) = &mut long.spec {
        inner.digest = vec![7; MAX_MESSAGE];
    }
    let status = client.create_entry(long).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert_eq!(stage.log.published().tree_size, 1);
    stage.shutdown.trigger();
    // A log that has stopped says when to come back.
    while stage.log.health("log").ready().await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let status = client
        .create_entry(hashed_rekord(b"late"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let (info, retry) = details(&status);
    assert_eq!((&*info.reason, retry), ("STOPPED", Some(5)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_log_says_so() {
    let stage = Stage::new(true).await;
    let request = hashed_rekord(b"artifact");
    let status = stage.client().create_entry(request).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(
        status.message(),
        "This log has been frozen, please switch to the latest log."
    );
    assert_eq!(details(&status).0.reason, "FROZEN");
    stage.shutdown.trigger();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_read() {
    let stage = Stage::new(false).await;
    let mut client = stage.client();
    let entry = client.create_entry(hashed_rekord(b"one")).await.unwrap();
    let entry = entry.into_inner();
    let checkpoint = client.get_checkpoint(()).await.unwrap().into_inner();
    assert_eq!(checkpoint.content_type, "text/plain; charset=utf-8");
    let opened = stage.open(std::str::from_utf8(&checkpoint.data).unwrap());
    assert_eq!(opened.tree_size(), 2);
    let n = "000.p/2".to_owned();
    let tile = TileRequest { l: 0, n: n.clone() };
    let tile = client.get_tile(tile).await.unwrap().into_inner();
    assert_eq!(tile.content_type, "application/octet-stream");
    assert_eq!(tile.data[32..], leaf_hash(&entry.canonicalized_body));
    let bundle = client.get_entry_bundle(EntryBundleRequest { n }).await;
    let bundle = EntryBundle::parse(&bundle.unwrap().into_inner().data, 2).unwrap();
    assert_eq!(bundle.entries()[1], entry.canonicalized_body);
    for (n, code) in [
        ("000.p/3", Code::NotFound),
        ("001", Code::NotFound),
        ("7", Code::NotFound),
        ("../checkpoint", Code::InvalidArgument),
        ("000.p/2?", Code::InvalidArgument),
        ("000.p/2#", Code::InvalidArgument),
        ("000.p%2f2", Code::InvalidArgument),
        ("", Code::InvalidArgument),
        (&"0".repeat(65), Code::InvalidArgument),
    ] {
        let (l, n) = (0, n.to_owned());
        let tile = client.get_tile(TileRequest { l, n: n.clone() }).await;
        assert_eq!(tile.unwrap_err().code(), code, "{n}");
        let bundle = client
            .get_entry_bundle(EntryBundleRequest { n: n.clone() })
            .await;
        assert_eq!(bundle.unwrap_err().code(), code, "{n}");
    }
    stage.shutdown.trigger();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_the_log_s() {
    let stage = Stage::new(false).await;
    let mut client = HealthClient::new(stage.router.clone());
    let ask = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    for service in ["", "dev.sigstore.rekor.v2.Rekor"] {
        let health = client.check(ask(service)).await.unwrap().into_inner();
        assert_eq!(health.status(), ServingStatus::Serving);
    }
    let unknown = client.check(ask("nobody")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let watched = client.watch(ask("")).await.unwrap();
    let first = watched.into_inner().message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    let watched = client.watch(ask("nobody")).await.unwrap();
    let first = watched.into_inner().message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    stage.shutdown.trigger();
    while stage.log.health("log").ready().await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let health = client.check(ask("")).await.unwrap().into_inner();
    assert_eq!(health.status(), ServingStatus::NotServing);
}

/// Over a socket, without TLS: HTTP/2 by prior knowledge, beside HTTP/1 on the same port.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_port_speaks_grpc_and_http() {
    let stage = Stage::new(false).await;
    let listener = Listen::new("127.0.0.1:0").bind().await.unwrap();
    let address = listener.addresses()[0];
    let (router, shutdown) = (stage.router.clone(), stage.shutdown.clone());
    let serving = tokio::spawn(serve(router, listener, shutdown, Limits::default()));
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut client = RekorClient::new(channel.clone());
    let entry = client.create_entry(hashed_rekord(b"one")).await.unwrap();
    stage.check(entry.get_ref(), 1);
    let entry = client.create_entry(hashed_rekord(b"")).await.unwrap();
    stage.check(entry.get_ref(), 2);
    let mut reflection = ServerReflectionClient::new(channel);
    let asked = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = futures_util::stream::iter([asked]);
    let told = reflection.server_reflection_info(asked).await.unwrap();
    let told = told.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = told.message_response else {
        panic!("no list of services");
    };
    let names: Vec<_> = list.service.into_iter().map(|one| one.name).collect();
    for name in ["dev.sigstore.rekor.v2.Rekor", "grpc.health.v1.Health"] {
        assert!(names.iter().any(|known| known == name), "{names:?}");
    }
    stage.shutdown.trigger();
    serving.await.unwrap().unwrap();
}

/// A call of which only the beginning ever comes.
fn endless(path: &str, begun: &'static [u8], client: u8) -> axum::http::Request<axum::body::Body> {
    use futures_util::StreamExt as _;
    let begun = futures_util::stream::iter([Ok::<_, std::io::Error>(begun)]);
    let body = begun.chain(futures_util::stream::pending());
    let peer = std::net::SocketAddr::from(([192, 0, 2, client], 7));
    axum::http::Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .extension(axum::extract::ConnectInfo(peer))
        .body(axum::body::Body::from_stream(body))
        .unwrap()
}

/// Two connections of one client had all calls, for a minute each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_51_calls_that_never_end_shut_nobody_else_out() {
    use tower::ServiceExt as _;
    let stage = Stage::new(false).await;
    let path = "/dev.sigstore.rekor.v2.Rekor/CreateEntry";
    let mut slow = Vec::new();
    for _ in 0..300 {
        let call = stage.router.clone().oneshot(endless(path, b"\0", 1));
        slow.push(tokio::spawn(call));
    }
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let open = slow.iter().filter(|call| !call.is_finished()).count();
    assert_eq!(open, 128);
    let entry = stage.client().create_entry(hashed_rekord(b"one")).await;
    stage.check(entry.unwrap().get_ref(), 1);
    for call in slow {
        call.abort();
    }
    stage.shutdown.trigger();
}

/// What is sent of a message is kept until its end comes: on every stream of a connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_51_long_questions_are_refused_by_their_first_bytes() {
    use tower::ServiceExt as _;
    let stage = Stage::new(false).await;
    for path in [
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ] {
        // 1 MiB is announced, and does not come.
        let call = endless(path, &[0, 0, 0x10, 0, 0], 1);
        let answered = async {
            let response = stage.router.clone().oneshot(call).await.unwrap();
            axum::body::to_bytes(response.into_body(), 1 << 20).await
        };
        let answered = tokio::time::timeout(std::time::Duration::from_secs(5), answered);
        assert!(answered.await.is_ok(), "{path}");
    }
    stage.shutdown.trigger();
}

//! The log's gRPC service, on the port of its HTTP routes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use waxseal_log_grpc::dev::sigstore::common::v1::PublicKeyDetails;
use waxseal_log_grpc::dev::sigstore::rekor::v1::TransparencyLogEntry;
use waxseal_log_grpc::dev::sigstore::rekor::v2::create_entry_request::Spec;
use waxseal_log_grpc::dev::sigstore::rekor::v2::rekor_client::RekorClient;
use waxseal_log_grpc::dev::sigstore::rekor::v2::verifier::Verifier as Key;
use waxseal_log_grpc::dev::sigstore::rekor::v2::{
    CreateEntryRequest, EntryBundleRequest, HashedRekordRequestV002, PublicKey, Signature,
    TileRequest, Verifier,
};
use waxseal_tlog::{EntryBundle, InclusionProof, leaf_hash};

use super::{ENTRY, free_port, ready, request, stop};

/// The entry that the other test sends as JSON.
fn entry() -> CreateEntryRequest {
    let json: serde_json::Value = serde_json::from_str(ENTRY).unwrap();
    let json = &json["hashedRekordRequestV002"];
    let bytes = |value: &serde_json::Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let signature = &json["signature"];
    let key = PublicKey {
        raw_bytes: bytes(&signature["verifier"]["publicKey"]["rawBytes"]),
    };
    let verifier = Verifier {
        verifier: Some(Key::PublicKey(key)),
        key_details: PublicKeyDetails::PkixEcdsaP256Sha256.into(),
    };
    let spec = Spec::HashedRekordRequestV002(HashedRekordRequestV002 {
        digest: bytes(&json["digest"]),
        signature: Some(Signature {
            content: bytes(&signature["content"]),
            verifier: Some(verifier),
        }),
    });
    CreateEntryRequest { spec: Some(spec) }
}

/// The proof leads from the entry to the checkpoint that comes with it.
fn check(entry: &TransparencyLogEntry, index: i64) {
    assert_eq!(entry.log_index, index);
    let proof = entry.inclusion_proof.as_ref().unwrap();
    let checkpoint = &proof.checkpoint.as_ref().unwrap().envelope;
    let root = STANDARD.encode(&proof.root_hash);
    let text = format!("localhost\n{}\n{root}\n", proof.tree_size);
    assert!(checkpoint.starts_with(&text), "{checkpoint}");
    let hashes = proof.hashes.iter();
    let made = InclusionProof {
        leaf_index: u64::try_from(proof.log_index).unwrap(),
        tree_size: u64::try_from(proof.tree_size).unwrap(),
        hashes: hashes
            .map(|hash| hash.as_slice().try_into().unwrap())
            .collect(),
    };
    let leaf = leaf_hash(&entry.canonicalized_body);
    let root = proof.root_hash.as_slice().try_into().unwrap();
    assert_eq!(made.check(&leaf, &root), Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_speaks_grpc_on_the_same_port() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let child = ready(folder.path(), port);
    let channel = Channel::from_shared(format!("http://localhost:{port}")).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut log = RekorClient::new(channel.clone());
    let taken = log.create_entry(entry()).await.unwrap().into_inner();
    check(&taken, 1);

    // It is the log of the HTTP routes, and the other way round.
    let answer = request(port, "POST /api/v2/log/entries", ENTRY).unwrap();
    assert!(answer.starts_with("HTTP/1.1 409"), "{answer}");
    let again = log.create_entry(entry()).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
    assert_eq!(again.metadata().get("x-log-index").unwrap(), "1");
    let mut whole = Request::new(entry());
    let prefer = "return=representation".parse().unwrap();
    whole.metadata_mut().insert("prefer", prefer);
    check(log.create_entry(whole).await.unwrap().get_ref(), 1);
    let none = log.create_entry(CreateEntryRequest { spec: None }).await;
    assert_eq!(none.unwrap_err().code(), Code::InvalidArgument);

    let n = "000.p/2".to_owned();
    let tile = log.get_tile(TileRequest { l: 0, n: n.clone() }).await;
    let leaf = leaf_hash(&taken.canonicalized_body);
    assert_eq!(tile.unwrap().into_inner().data[32..], leaf);
    let bundle = log.get_entry_bundle(EntryBundleRequest { n }).await;
    let bundle = EntryBundle::parse(&bundle.unwrap().into_inner().data, 2).unwrap();
    assert_eq!(bundle.entries()[1], taken.canonicalized_body);

    let mut health = HealthClient::new(channel.clone());
    let service = "dev.sigstore.rekor.v2.Rekor".to_owned();
    let asked = HealthCheckRequest { service };
    let told = health.check(asked).await.unwrap();
    assert_eq!(told.into_inner().status(), ServingStatus::Serving);

    let asked = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = futures_util::stream::iter([asked]);
    let mut reflection = ServerReflectionClient::new(channel);
    let told = reflection.server_reflection_info(asked).await.unwrap();
    let told = told.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = told.message_response else {
        panic!("no list of services");
    };
    let names: Vec<_> = list.service.into_iter().map(|one| one.name).collect();
    for name in ["dev.sigstore.rekor.v2.Rekor", "grpc.health.v1.Health"] {
        assert!(names.iter().any(|known| known == name), "{names:?}");
    }
    tokio::task::spawn_blocking(|| stop(child)).await.unwrap();
}

//! Requests as the log's servers take them: what the personalities make of bodies, and gRPC.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::Request;
use axum::routing::post;
use prost::Message as _;
use tower::ServiceExt as _;
use waxseal_crypto::{BoxFuture, SignatureAlgorithm, Signer};
use waxseal_log_grpc::dev::sigstore::common::v1::PublicKeyDetails;
use waxseal_log_grpc::dev::sigstore::rekor::v2 as proto;
use waxseal_log_grpc::dev::sigstore::rekor::v2::create_entry_request::Spec;
use waxseal_log_grpc::dev::sigstore::rekor::v2::verifier::Verifier as Key;
use waxseal_log_grpc::{io::intoto, with_grpc};
use waxseal_log_server::{
    ArtifactLog, CtLog, ObjectName, Objects, ObjectsError, Personality, TilePath,
};
use waxseal_serve::{Code, Health, Problem};

use super::messages::log_seeds;
use super::wait_for;
use crate::virtual_sigstore::{Case, Instance, key, provider};

/// No object is read or written until a request was found good.
struct NoObjects;

impl Objects for NoObjects {
    fn read(&self, _: ObjectName) -> BoxFuture<'_, Result<Option<Vec<u8>>, ObjectsError>> {
        Box::pin(async { Ok(None) })
    }

    fn create(&self, _: Vec<(ObjectName, Vec<u8>)>) -> BoxFuture<'_, Result<(), ObjectsError>> {
        Box::pin(async { Ok(()) })
    }

    fn replace_checkpoint<'a>(
        &'a self,
        _: Option<&'a [u8]>,
        _: &'a [u8],
    ) -> BoxFuture<'a, Result<(), ObjectsError>> {
        Box::pin(async { Ok(()) })
    }

    fn discard_partials(&self, _: TilePath) -> BoxFuture<'_, Result<(), ObjectsError>> {
        Box::pin(async { Ok(()) })
    }
}

static OWN: LazyLock<Instance> = LazyLock::new(|| Instance::new("operator a", "a.example"));

fn ct_log() -> CtLog {
    let signer: Arc<dyn Signer> = key(SignatureAlgorithm::EcdsaP256Sha256);
    let roots: Vec<_> = OWN
        .ca_chain()
        .iter()
        .map(|one| one.der().to_vec())
        .collect();
    CtLog::new(provider(), signer, Arc::new(NoObjects), &roots).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A request that the artifact log takes: of the instance's own bundle.
fn good() -> proto::CreateEntryRequest {
    let case = Case::v2(&OWN);
    let signed = &case.signed;
    let verifier = proto::Verifier {
        key_details: PublicKeyDetails::PkixEcdsaP256Sha256.into(),
        verifier: Some(Key::X509Certificate(certificate(
            signed.leaf.clone().unwrap(),
        ))),
    };
    let signature = proto::Signature {
        content: signed.signature().to_vec(),
        verifier: Some(verifier),
    };
    proto::CreateEntryRequest {
        spec: Some(Spec::HashedRekordRequestV002(
            proto::HashedRekordRequestV002 {
                digest: waxseal_crypto::sha256(&case.artifact).to_vec(),
                signature: Some(signature),
            },
        )),
    }
}

fn certificate(raw_bytes: Vec<u8>) -> waxseal_log_grpc::dev::sigstore::common::v1::X509Certificate {
    waxseal_log_grpc::dev::sigstore::common::v1::X509Certificate { raw_bytes }
}

/// Bodies of the artifact log and of the CT log.
pub(super) fn submission_seeds() -> Vec<Vec<u8>> {
    let case = Case::v2(&OWN);
    let leaf = base64(case.signed.leaf.as_deref().unwrap());
    let chain: Vec<_> = OWN.ca_chain().iter().map(|one| base64(one.der())).collect();
    let chain = format!(r#"{{"chain":["{leaf}","{}"]}}"#, chain.join(r#"",""#));
    let content = base64(case.signed.signature());
    let digest = base64(&waxseal_crypto::sha256(&case.artifact));
    let hashed = format!(
        r#"{{"hashedRekordRequestV002":{{"digest":"{digest}","signature":{{"content":"{content}","verifier":{{"x509Certificate":{{"rawBytes":"{leaf}"}},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}}}}}}}}"#
    );
    let mut seeds = log_seeds();
    seeds.extend([chain.into_bytes(), hashed.into_bytes()]);
    seeds
}

pub(super) fn read_submission(bytes: &[u8]) {
    static CT: LazyLock<CtLog> = LazyLock::new(ct_log);
    let body = Bytes::copy_from_slice(bytes);
    let artifact = ArtifactLog::new(provider());
    if let Ok(submission) = artifact.parse(0, &body) {
        let first = wait_for(submission.check()).is_ok();
        assert_eq!(wait_for(submission.check()).is_ok(), first, "luck (S-10)");
    }
    drop(artifact.without_dsse().parse(0, &body));
    for position in 0..CT.endpoints().len() {
        if let Ok(submission) = CT.parse(position, &body) {
            drop(wait_for(submission.check()));
        }
    }
}

/// The calls, by the first byte of the input; the rest is the message.
const CALLS: [&str; 6] = [
    "/dev.sigstore.rekor.v2.Rekor/CreateEntry",
    "/dev.sigstore.rekor.v2.Rekor/GetTile",
    "/dev.sigstore.rekor.v2.Rekor/GetEntryBundle",
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// With this bit the rest is the body as it is, with its frame or without.
const UNFRAMED: u8 = 0x80;

/// The services in front of a log that refuses every request, once it has read it.
fn service() -> Router {
    let refuse = async |body: Bytes| {
        let request = waxseal_formats::log::CreateEntryRequest::from_json(&body);
        assert!(
            request.is_ok() || serde_json_is_strict(&body),
            "a message became text that is no JSON"
        );
        Problem::refusal(Code::InvalidArgument, "BAD_SIGNATURE", "refused")
    };
    let log = Router::new().route("/api/v2/log/entries", post(refuse));
    with_grpc(log, Health::new())
}

/// Whether it is JSON by our own strict reader, whatever it says.
fn serde_json_is_strict(body: &[u8]) -> bool {
    let limits = waxseal_formats::json::Limits {
        bytes: 4 << 20,
        values: 1 << 20,
    };
    waxseal_formats::json::parse(body, limits).is_ok()
}

pub(super) fn grpc_seeds() -> Vec<Vec<u8>> {
    let message = good().encode_to_vec();
    let envelope = intoto::Envelope {
        payload: b"payload".to_vec(),
        payload_type: "type".to_owned(),
        signatures: vec![intoto::Signature {
            sig: vec![7; 70],
            keyid: "id".to_owned(),
        }],
    };
    let dsse = proto::CreateEntryRequest {
        spec: Some(Spec::DsseRequestV002(proto::DsseRequestV002 {
            envelope: Some(envelope),
            verifiers: Vec::new(),
        })),
    };
    let tile = proto::TileRequest {
        l: 1,
        n: "x001/067.p/3".to_owned(),
    };
    let bundle = proto::EntryBundleRequest {
        n: "000.p/3".to_owned(),
    };
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    vec![
        [&[0][..], &message].concat(),
        [&[0][..], &dsse.encode_to_vec()].concat(),
        [&[1][..], &tile.encode_to_vec()].concat(),
        [&[2][..], &bundle.encode_to_vec()].concat(),
        // `service`, and `list_services`: fields 1 and 7.
        b"\x03\x0a\x1bdev.sigstore.rekor.v2.Rekor".to_vec(),
        b"\x04\x3a\x01*".to_vec(),
        b"\x05\x22\x1bdev.sigstore.rekor.v2.Rekor".to_vec(),
        [&[UNFRAMED, 0][..], &length, &message].concat(),
    ]
}

pub(super) fn read_grpc(bytes: &[u8]) {
    static SERVICE: LazyLock<Router> = LazyLock::new(service);
    let Some((which, rest)) = bytes.split_first() else {
        return;
    };
    let call = usize::from(which & !UNFRAMED) % CALLS.len();
    let call = CALLS.get(call).copied().unwrap_or_default();
    let length = u32::try_from(rest.len()).unwrap_or(u32::MAX).to_be_bytes();
    let body = match which & UNFRAMED {
        0 => [&[0][..], &length, rest].concat(),
        _ => rest.to_vec(),
    };
    let request = Request::post(call)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::from(body))
        .unwrap();
    let Ok(response) = wait_for(SERVICE.clone().oneshot(request));
    // A refusal of gRPC's is a status in the head or behind the body, and 200 for HTTP.
    assert_eq!(response.status(), 200, "{call}");
    drop(wait_for(to_bytes(response.into_body(), 1 << 20)));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seeds pass the doors' fronts: what is behind is reached.
    #[test]
    fn good_requests_are_taken() {
        let body = submission_seeds().pop().unwrap();
        let artifact = ArtifactLog::new(provider());
        let submission = artifact.parse(0, &body.into()).ok().unwrap();
        assert!(wait_for(submission.check()).is_ok());
        let chain = submission_seeds().iter().rev().nth(1).unwrap().clone();
        let ct = ct_log();
        let taken = (0..2).filter_map(|at| ct.parse(at, &chain.clone().into()).ok());
        assert_eq!(taken.count(), 1);
    }

    #[test]
    fn every_call_is_known() {
        for (which, call) in CALLS.iter().enumerate() {
            let seed = grpc_seeds()
                .into_iter()
                .find(|seed| usize::from(seed[0]) == which)
                .unwrap_or_else(|| panic!("no seed for {call}"));
            read_grpc(&seed);
        }
    }
}

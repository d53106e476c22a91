//! Requests to the servers, and their answers as a client reads them.

use waxseal_formats::log::{CreateEntryRequest, split_batch};
use waxseal_formats::{ca, ct, status, tsa};

pub(super) fn log_seeds() -> Vec<Vec<u8>> {
    let verifier =
        r#"{"x509Certificate":{"rawBytes":"AAAA"},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}"#;
    let hashed = format!(
        r#"{{"hashedRekordRequestV002":{{"digest":"AAAA","signature":{{"content":"AAAA","verifier":{verifier}}}}}}}"#
    );
    let dsse = format!(
        r#"{{"dsseRequestV002":{{"envelope":{{"payload":"AAAA","payloadType":"t","signatures":[{{"sig":"AAAA","keyid":""}}]}},"verifiers":[{verifier}]}}}}"#
    );
    let chain = r#"{"chain":["AAAA","AAAA"]}"#.to_owned();
    let sct = r#"{"sct_version":0,"id":"AAAA","timestamp":1700000000123,"extensions":"","signature":"AAAA"}"#;
    let status = r#"{"code":6,"message":"there already","details":[]}"#;
    let batch = format!(r#"{{"requests":[{hashed}, {dsse} ,null]}}"#);
    [
        hashed,
        dsse,
        chain,
        sct.to_owned(),
        status.to_owned(),
        batch,
    ]
    .map(String::into_bytes)
    .to_vec()
}

pub(super) fn read_log(bytes: &[u8]) {
    drop(CreateEntryRequest::from_json(bytes));
    if let Ok(parts) = split_batch(bytes) {
        let all = parts.iter().map(|part| part.len()).sum::<usize>();
        assert!(all < bytes.len(), "the parts of a batch are of it");
    }
    drop(ct::AddChainRequest::from_json(bytes));
    drop(ct::SctAnswer::from_json(bytes));
    drop(status::Status::from_json(bytes));
}

pub(super) fn authority_seeds() -> Vec<Vec<u8>> {
    let key = r#"{"credentials":{"oidcIdentityToken":"a.b.c"},"publicKeyRequest":{"publicKey":{"algorithm":"ECDSA","content":"-----BEGIN PUBLIC KEY-----"},"proofOfPossession":"AAAA"}}"#;
    let csr = r#"{"certificateSigningRequest":"AAAA"}"#;
    let chains = r#"{"chains":[{"certificates":["-----BEGIN CERTIFICATE-----"]}]}"#;
    let stamp = r#"{"artifactHash":"AAAA","certificates":true,"hashAlgorithm":"sha256","nonce":1}"#;
    [key, csr, chains, stamp]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}

pub(super) fn read_authority(bytes: &[u8]) {
    drop(ca::SigningCertificateRequest::from_json(bytes));
    drop(ca::SigningCertificate::from_json(bytes));
    drop(ca::TrustBundle::from_json(bytes));
    drop(ca::Configuration::from_json(bytes));
    drop(tsa::TimestampJsonRequest::from_json(bytes));
}

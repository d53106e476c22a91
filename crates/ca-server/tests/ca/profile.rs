//! The certificate's profile, byte for byte (authority.md §1.5–1.7).

use std::collections::HashSet;
use std::process::Command;

use serde_json::{Value, json};
use waxseal_crypto::Pem;
use waxseal_identity::ClaimPath;
use waxseal_pki::{Certificate, SubjectAltName, tbs_without_poison, tbs_without_scts};

use crate::world::*;

const GOOGLE: &str = "https://accounts.google.com";

fn google() -> Value {
    let mut claims = claims();
    claims["iss"] = json!(GOOGLE);
    claims
}

fn hex_of(certificate: &Certificate) -> String {
    hex::encode(certificate.der())
}

#[tokio::test]
async fn golden() {
    let world = World::new().await;
    let leaf = world.leaf(&world.ask_with_token(&RSA.sign(&google()).await).await);
    let oids: Vec<String> = leaf.extensions().map(|(oid, ..)| oid.to_string()).collect();
    let expected = [
        "2.5.29.15",
        "2.5.29.37",
        "2.5.29.14",
        "2.5.29.35",
        "2.5.29.17",
        "1.3.6.1.4.1.57264.1.1",
        "1.3.6.1.4.1.57264.1.8",
        "1.3.6.1.4.1.11129.2.4.2",
    ];
    assert_eq!(oids, expected);
    for golden in [
        // keyUsage, extKeyUsage, subjectAltName, issuer v1 and v2 of Fulcio's own certificates
        "300e0603551d0f0101ff040403020780",
        "30130603551d25040c300a06082b06010505070303",
        "301f0603551d110101ff041530138111616c696365406578616d706c652e636f6d",
        "3029060a2b0601040183bf300101041b68747470733a2f2f6163636f756e74732e676f6f676c652e636f6d",
        "302b060a2b0601040183bf300108041d0c1b68747470733a2f2f6163636f756e74732e676f6f676c652e636f\
         6d",
    ] {
        assert!(hex_of(&leaf).contains(golden), "{golden}");
    }
    assert!(leaf.subject().is_empty() && leaf.is_subject_alt_name_critical());
    assert_eq!(leaf.not_before(), at(0));
    assert_eq!(leaf.not_after(), at(600));
    assert_eq!(leaf.serial().len(), 20);
    assert!(
        (1..0x80).contains(&leaf.serial()[0]),
        "positive, without padding"
    );
    assert_eq!(leaf.authority_key_id(), world.chain[0].subject_key_id());
    assert_eq!(leaf.subject_key_id().map(<[u8]>::len), Some(20));
    assert_eq!(leaf.basic_constraints(), None);
    let sct = &leaf.scts().unwrap().unwrap().as_slice()[0].clone();
    assert_eq!(sct.time(), Some(at(0)));
    assert_eq!(waxseal_pki::parse_leaf_index(&sct.extensions), Some(42));
}

#[tokio::test]
async fn what_is_logged_is_what_is_issued() {
    let world = World::new().await;
    let leaf = world.leaf(&world.ask().await);
    let submission = world.net.submissions.lock().unwrap()[0].clone();
    let precertificate = Certificate::parse(submission.chain[0].clone()).unwrap();
    assert!(precertificate.is_precertificate() && !leaf.is_precertificate());
    assert!(hex_of(&precertificate).contains("3013060a2b06010401d6790204030101ff04020500"));
    let logged = tbs_without_poison(precertificate.tbs()).unwrap();
    assert_eq!(logged, tbs_without_scts(leaf.tbs()).unwrap());
    let issuer = world.chain[0].public_key().unwrap();
    precertificate.verify_signature(provider(), issuer).unwrap();
    let chain: Vec<_> = world.chain.iter().map(|c| c.der().to_vec()).collect();
    assert_eq!(submission.chain[1..], chain, "issuer first, root last");
    let url = "http://localhost:8383/ct/ct/v1/add-pre-chain";
    assert_eq!(*world.net.urls.lock().unwrap(), [url]);
}

#[tokio::test]
async fn uri_identities() {
    let world = World::new().await;
    let mut claims = claims();
    claims["iss"] = json!("https://builds.example");
    claims["sub"] = json!("https://builds.example/project/7?run=1&x=%27");
    let leaf = world.leaf(&world.ask_with_token(&ES256.sign(&claims).await).await);
    let expected = SubjectAltName::Uri("https://builds.example/project/7?run=1&x=%27".into());
    assert_eq!(leaf.subject_alt_names(), [expected]);
}

/// A broker tells where people really come from; certificates name that place.
#[tokio::test]
async fn the_issuer_may_be_a_claim() {
    let world = World::with(default_chain().await, |config| {
        config.issuers[0].issuer_claim = ClaimPath::parse("$.federated_claims.connector_id").ok();
    });
    let mut claims = claims();
    let connector = "https://github.com/login/oauth";
    claims["federated_claims"] = json!({"connector_id": connector, "user_id": "7"});
    let leaf = world.leaf(&world.ask_with_token(&RSA.sign(&claims).await).await);
    let found: Vec<_> = leaf.sigstore_extensions().collect();
    assert_eq!(found, [(1, connector), (8, connector)]);
    let answer = world.ask_with_token(&token().await).await;
    answer.check(400, 3, TOKEN_MESSAGE, "TOKEN_REFUSED");
}

fn github() -> Value {
    json!({
        "iss": "https://token.actions.githubusercontent.com", "sub": "repo:acme/app:ref",
        "aud": "sigstore", "iat": NOW - 10, "exp": NOW + 60,
        "job_workflow_ref": "acme/app/.github/workflows/ci.yml@refs/heads/main",
        "job_workflow_sha": "a1", "sha": "b2", "event_name": "push", "repository": "acme/app",
        "repository_id": 9_007_199_254_740_993_u64, "repository_owner": "acme",
        "repository_owner_id": "12", "repository_visibility": "public", "ref": "refs/heads/main",
        "runner_environment": "github-hosted", "workflow": "CI <&'\">", "workflow_ref": "acme/app/w",
        "workflow_sha": "c3", "run_id": "77", "run_attempt": "1",
    })
}

#[tokio::test]
async fn the_claims_of_a_ci_job() {
    let world = World::new().await;
    let leaf = world.leaf(&world.ask_with_token(&RSA.sign(&github()).await).await);
    let name = "https://github.com/acme/app/.github/workflows/ci.yml@refs/heads/main";
    assert_eq!(leaf.subject_alt_names(), [SubjectAltName::Uri(name.into())]);
    let issuer = "https://token.actions.githubusercontent.com";
    let found: Vec<_> = leaf.sigstore_extensions().collect();
    let expected = [
        (1, issuer),
        (2, "push"),
        (3, "b2"),
        (4, "CI <&'\">"),
        (5, "acme/app"),
        (6, "refs/heads/main"),
        (8, issuer),
        (9, name),
        (10, "a1"),
        (11, "github-hosted"),
        (12, "https://github.com/acme/app"),
        (13, "b2"),
        (14, "refs/heads/main"),
        (15, "9007199254740993"),
        (16, "https://github.com/acme"),
        (17, "12"),
        (18, "https://github.com/acme/app/w"),
        (19, "c3"),
        (20, "push"),
        (21, "https://github.com/acme/app/actions/runs/77/attempts/1"),
        (22, "public"),
        (24, "repo:acme/app:ref"),
    ];
    assert_eq!(found, expected);
}

/// fulcio #2406: an id of sixteen digits became `9.007199254740992e+15`.
#[tokio::test]
async fn s_45_large_numbers_are_exact() {
    let world = World::new().await;
    for (value, expected) in [
        (json!(9_007_199_254_740_993_u64), "9007199254740993"),
        (json!(u64::MAX), "18446744073709551615"),
        (json!("007"), "007"),
    ] {
        let mut claims = github();
        claims["repository_id"] = value;
        let leaf = world.leaf(&world.ask_with_token(&RSA.sign(&claims).await).await);
        assert_eq!(leaf.sigstore_extension(15), Some(expected));
    }
    for value in [
        json!(1.5),
        json!(1e300),
        json!(null),
        json!([7]),
        json!(true),
    ] {
        let mut claims = github();
        claims["repository_id"] = value;
        let answer = world.ask_with_token(&RSA.sign(&claims).await).await;
        answer.check(400, 3, TOKEN_MESSAGE, "TOKEN_REFUSED");
    }
}

#[tokio::test]
async fn serial_numbers_are_unique() {
    let world = World::with(default_chain().await, |config| config.identity_rate = None);
    let holder = p256();
    let (token, body) = (token().await, key_body(&*holder, "alice@example.com"));
    let mut serials = HashSet::new();
    for _ in 0..500 {
        let answer = world.post(Some(&token).map(|t| t.as_str()), &body).await;
        assert!(serials.insert(answer.chain()[0].serial().to_vec()));
    }
}

#[tokio::test]
async fn openssl_reads_and_verifies_a_certificate() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("skipped: there is no openssl on the PATH");
        return;
    }
    let world = World::new().await;
    let leaf = world.leaf(&world.ask().await);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, certificate: &Certificate| {
        let path = folder.path().join(name);
        std::fs::write(&path, Pem::new("CERTIFICATE", certificate.der()).encode()).unwrap();
        path
    };
    let (intermediate, root) = (
        write("i.pem", &world.chain[0]),
        write("r.pem", &world.chain[1]),
    );
    let leaf = write("l.pem", &leaf);
    let verified = Command::new("openssl")
        .args(["verify", "-x509_strict", "-purpose", "any", "-attime"])
        .arg((NOW + 60).to_string())
        .arg("-CAfile")
        .arg(&root)
        .arg("-untrusted")
        .arg(&intermediate)
        .arg(&leaf)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{told}");
    let shown = Command::new("openssl")
        .args(["x509", "-noout", "-text", "-in"])
        .arg(&leaf)
        .output();
    let text = String::from_utf8(shown.unwrap().stdout).unwrap();
    for expected in [
        "email:alice@example.com",
        "Code Signing",
        "X509v3 Subject Alternative Name: critical",
        "X509v3 Key Usage: critical",
        "CT Precertificate SCTs",
        "1.3.6.1.4.1.57264.1.8",
    ] {
        assert!(text.contains(expected), "{expected}:\n{text}");
    }
}

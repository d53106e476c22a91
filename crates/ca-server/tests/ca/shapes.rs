//! The three shapes in which clients ask, and the two answers that need no token.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::json;
use waxseal_crypto::{KeyKind, Pem, SignatureAlgorithm};
use waxseal_pki::SubjectAltName;

use crate::world::*;

fn email(text: &str) -> Vec<SubjectAltName> {
    vec![SubjectAltName::Email(text.to_owned())]
}

/// sigstore-python: the token in the header, a CSR, and an `Accept` that is not meant.
#[tokio::test]
async fn bearer_and_csr() {
    let world = World::new().await;
    let holder = p256();
    let body = csr_body(&csr(&*holder, &empty(), &[]));
    for accept in ["application/pem-certificate-chain", "text/html", "*/*", ""] {
        let request = axum::http::Request::post("/api/v2/signingCert")
            .header("content-type", "application/json")
            .header("accept", accept)
            .header("authorization", format!("Bearer {}", token().await))
            .body(axum::body::Body::from(body.to_string()));
        let leaf = world.leaf(&world.send(request.unwrap()).await);
        assert_eq!(leaf.subject_alt_names(), email("alice@example.com"));
        assert_eq!(leaf.public_key().unwrap(), holder.public_key());
    }
}

/// cosign and sigstore-go: the token in the header, a key and its proof.
#[tokio::test]
async fn bearer_and_key() {
    let world = World::new().await;
    let holder = p256();
    let body = key_body(&*holder, "alice@example.com");
    let leaf = world.leaf(&world.post(Some(&token().await), &body).await);
    assert_eq!(leaf.subject_alt_names(), email("alice@example.com"));
    assert_eq!(leaf.public_key().unwrap(), holder.public_key());
}

/// sigstore-js: everything in the body.
#[tokio::test]
async fn token_in_the_body_and_key() {
    let world = World::new().await;
    let holder = p256();
    let mut body = key_body(&*holder, "alice@example.com");
    body["credentials"] = json!({"oidcIdentityToken": token().await});
    let leaf = world.leaf(&world.post(None, &body).await);
    assert_eq!(leaf.public_key().unwrap(), holder.public_key());
    // The body's token wins, whichever of the two is the good one.
    world.leaf(&world.post(Some("nonsense"), &body).await);
    body["credentials"]["oidcIdentityToken"] = json!("nonsense");
    let answer = world.post(Some(&token().await), &body).await;
    answer.check(400, 3, TOKEN_MESSAGE, "TOKEN_REFUSED");
}

/// Every kind of key, both ways.
#[tokio::test]
async fn every_kind_of_key() {
    let world = World::new().await;
    for algorithm in [
        SignatureAlgorithm::EcdsaP256Sha256,
        SignatureAlgorithm::EcdsaP384Sha384,
        SignatureAlgorithm::EcdsaP521Sha512,
        SignatureAlgorithm::Ed25519,
        SignatureAlgorithm::RsaPkcs1Sha256,
    ] {
        let holder = generate(algorithm);
        for body in [
            key_body(&*holder, "alice@example.com"),
            csr_body(&csr(&*holder, &empty(), &[])),
        ] {
            let leaf = world.leaf(&world.post(Some(&token().await), &body).await);
            assert_eq!(leaf.public_key().unwrap(), holder.public_key());
        }
    }
    // The old container of RSA keys.
    let holder = generate(SignatureAlgorithm::RsaPkcs1Sha256);
    assert_eq!(holder.public_key().kind(), KeyKind::Rsa);
    let pem = Pem::new("RSA PUBLIC KEY", holder.public_key().key_bytes()).encode();
    let body = key_body_of(&pem, &proof(&*holder, "alice@example.com"));
    world.leaf(&world.post(Some(&token().await), &body).await);
}

/// R-CA-07: the address or the subject of the same token.
#[tokio::test]
async fn the_proof_is_over_address_or_subject() {
    let world = World::new().await;
    for challenge in ["alice@example.com", "subject-1"] {
        let body = key_body(&*p256(), challenge);
        world.leaf(&world.post(Some(&token().await), &body).await);
    }
}

#[tokio::test]
async fn snake_case_unknown_fields_nulls_and_both_alphabets() {
    let world = World::new().await;
    let holder = p256();
    let pem = holder.public_key().to_pem();
    let proof = proof(&*holder, "alice@example.com");
    let token = token().await;
    let csr = csr(&*holder, &empty(), &[]);
    for body in [
        json!({"credentials": {"oidc_identity_token": token}, "public_key_request": {
            "public_key": {"algorithm": 2, "content": pem}, "proof_of_possession": proof}}),
        json!({"credentials": {"oidcIdentityToken": token}, "certificateSigningRequest": null,
            "new": {"field": []}, "publicKeyRequest": {
                "publicKey": {"content": pem}, "proofOfPossession": proof}}),
        json!({"credentials": {"oidcIdentityToken": token}, "publicKeyRequest": null,
            "certificate_signing_request": URL_SAFE.encode(&csr)}),
        json!({"credentials": {"oidcIdentityToken": token},
            "certificateSigningRequest": URL_SAFE_NO_PAD.encode(&csr)}),
    ] {
        world.leaf(&world.post(None, &body).await);
    }
}

#[tokio::test]
async fn malformed() {
    let world = World::new().await;
    let token = token().await;
    let mut both = key_body(&*p256(), "alice@example.com");
    both["certificateSigningRequest"] = json!("AAAA");
    for text in [
        "",
        "{",
        "[]",
        "null",
        "{}x",
        "{\"credentials\":{},\"credentials\":{}}",
        "{\"certificateSigningRequest\":7}",
        "{\"certificateSigningRequest\":\"?\"}",
        &both.to_string(),
        &format!("{}{}", "[".repeat(5000), "]".repeat(5000)),
    ] {
        let request = axum::http::Request::post("/api/v2/signingCert")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"))
            .body(axum::body::Body::from(text.to_owned()));
        let answer = world.send(request.unwrap()).await;
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        answer.check(400, 3, &message, "MALFORMED_REQUEST");
    }
    assert_eq!(world.submissions(), 0);
}

#[tokio::test]
async fn trust_bundle() {
    let old = default_chain().await.certificates;
    let expired = {
        let root = SignatureAlgorithm::EcdsaP384Sha384;
        chain(root, SignatureAlgorithm::EcdsaP256Sha256, -1)
            .await
            .certificates
    };
    let former = vec![old.clone(), expired];
    let world = World::with(default_chain().await, |config| {
        config.former_chains = former
    });
    let answer = world.get("/api/v2/trustBundle").await;
    assert_eq!(answer.status, StatusCode::OK);
    let text = |certificates: &[waxseal_pki::Certificate]| {
        let pem = certificates
            .iter()
            .map(|c| Pem::new("CERTIFICATE", c.der()).encode());
        pem.map(|text| text.trim_end().to_owned())
            .collect::<Vec<_>>()
    };
    let chains = [text(&world.chain), text(&old)];
    let expected = json!({"chains": chains.map(|chain| json!({"certificates": chain}))});
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn configuration() {
    let world = World::new().await;
    let answer = world.get("/api/v2/configuration").await;
    assert_eq!(answer.status, StatusCode::OK);
    let issuer = |url: &str, audience: &str, kind: &str, challenge: &str, domain: &str| {
        json!({"issuerUrl": url, "audience": audience, "challengeClaim": challenge,
            "spiffeTrustDomain": "", "issuerType": kind, "subjectDomain": domain,
            "skipEmailVerification": false})
    };
    let ci = "https://token.actions.githubusercontent.com";
    let expected = json!({"issuers": [
        issuer(ISSUER, "sigstore", "email", "email", ""),
        issuer("https://accounts.google.com", "sigstore", "email", "email", ""),
        issuer(ci, "sigstore", "ci-provider", "sub", ""),
        issuer("https://builds.example", "sigstore", "uri", "sub", "https://builds.example"),
        issuer("https://remote.example", "only-this", "email", "email", ""),
    ]});
    assert_eq!(answer.json(), expected);
}

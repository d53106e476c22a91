//! Answers of an authority: good ones, and every way in which one is not ours.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use waxseal_crypto::{LocalSigner, Pem, SignatureAlgorithm, Time};
use waxseal_formats::ca::SigningCertificate;
use waxseal_identity::IdentityToken;
use waxseal_issuing::{LeafIssuer, LeafRequest, Subject, Validity, issue_intermediate, issue_root};
use waxseal_pki::{Purpose, Sct, SctList, SctScheme, SubjectAltName};
use waxseal_transport::{Headers, Response};

use crate::{
    CertificateError, CertificateRequest, LeafCertificate, RequestError, signing_cert_url,
};

const ISSUER: &str = "https://broker.example/auth";
const CONNECTOR: &str = "https://accounts.example";

fn signer(algorithm: SignatureAlgorithm) -> Box<dyn LocalSigner> {
    let provider = waxseal_crypto_aws_lc::provider();
    provider
        .signer(&provider.generate(algorithm).unwrap(), algorithm)
        .unwrap()
}

fn token(claims: &str) -> IdentityToken {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
    let body = format!(r#"{{"iss":"{ISSUER}","aud":"sigstore","exp":4000000000,{claims}}}"#);
    let body = URL_SAFE_NO_PAD.encode(body);
    IdentityToken::parse(&format!("{header}.{body}.c2ln")).unwrap()
}

fn email_token() -> IdentityToken {
    token(r#""sub":"s","email":"you@example.com","email_verified":true"#)
}

/// An authority that certifies whatever it is told.
struct Authority {
    issuer: LeafIssuer,
    signer: Box<dyn LocalSigner>,
}

impl Authority {
    async fn new() -> Self {
        let random = waxseal_crypto_aws_lc::OsRandom;
        let start = Time::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let validity = Validity::starting(start, Duration::from_secs(86_400 * 365)).unwrap();
        let root_signer = signer(SignatureAlgorithm::EcdsaP384Sha384);
        let subject = Subject::new("root", "example.com");
        let root = issue_root(&*root_signer, &subject, validity, &random)
            .await
            .unwrap();
        let signer = signer(SignatureAlgorithm::EcdsaP256Sha256);
        let subject = Subject::new("intermediate", "example.com");
        let key = signer.public_key();
        let purpose = Purpose::CodeSigning;
        let intermediate = issue_intermediate(
            &root,
            &*root_signer,
            &subject,
            key,
            purpose,
            validity,
            &random,
        )
        .await
        .unwrap();
        let provider = waxseal_crypto_aws_lc::provider();
        let issuer = LeafIssuer::new(provider, &*signer, vec![intermediate, root]).unwrap();
        Self { issuer, signer }
    }

    async fn certify(
        &self,
        key: &waxseal_crypto::PublicKey,
        name: SubjectAltName,
        claims: &[(u8, &str)],
    ) -> String {
        let start = Time::parse_rfc3339("2026-02-01T00:00:00Z").unwrap();
        let validity = Validity::starting(start, Duration::from_secs(600)).unwrap();
        let request = LeafRequest::new(key, &name, claims, validity);
        let random = waxseal_crypto_aws_lc::OsRandom;
        let prepared = self.issuer.prepare(&request, &random).unwrap();
        let sct = Sct::new([0; 32], 0, Vec::new(), SctScheme::EcdsaSha256, vec![1]);
        let scts = SctList::new(vec![sct]).unwrap();
        let leaf = prepared.certificate(&*self.signer, &scts).await.unwrap();
        Pem::new("CERTIFICATE", leaf.der()).encode()
    }
}

fn answer(status: u16, body: &str) -> Response {
    Response::new(status, Headers::new(), body.as_bytes().to_vec())
}

fn chain(certificates: &[&str]) -> Response {
    let chain = certificates
        .iter()
        .map(|pem| pem.trim_end().to_owned())
        .collect();
    answer(200, &SigningCertificate::EmbeddedSct { chain }.to_json())
}

async fn request(token: IdentityToken) -> CertificateRequest {
    let signer = signer(SignatureAlgorithm::EcdsaP256Sha256);
    let base = "https://ca.example".parse().unwrap();
    CertificateRequest::new(&base, token, &*signer)
        .await
        .unwrap()
}

fn email(address: &str) -> SubjectAltName {
    SubjectAltName::Email(address.to_owned())
}

#[tokio::test]
async fn a_certificate_of_ours_is_accepted() {
    let authority = Authority::new().await;
    let request = request(email_token()).await;
    let name = email("you@example.com");
    let leaf = authority
        .certify(&request.key, name, &[(1, ISSUER), (8, ISSUER)])
        .await;
    let certificate = LeafCertificate::parse(&request, &chain(&[&leaf])).unwrap();
    assert_eq!(
        certificate.certificate().public_key().unwrap(),
        &request.key
    );
    assert_eq!(certificate.chain().len(), 1);
    assert!(!certificate.has_detached_sct());
}

#[tokio::test]
async fn the_request_keeps_the_token_out_of_the_body() {
    let request = request(email_token()).await.encode();
    assert_eq!(
        request.url.as_str(),
        "https://ca.example/api/v2/signingCert"
    );
    let body = String::from_utf8(request.body).unwrap();
    assert!(
        !body.contains("oidcIdentityToken") && body.contains("proofOfPossession"),
        "{body}"
    );
    let credential = request.credential.unwrap();
    assert!(credential.expose().starts_with("Bearer ey"));
}

#[tokio::test]
async fn refused_and_failed() {
    let request = request(email_token()).await;
    let body = r#"{"code":3,"message":"no","details":[{"@type":
        "type.googleapis.com/google.rpc.ErrorInfo","reason":"TOKEN_EXPIRED","domain":"ca"}]}"#;
    match LeafCertificate::parse(&request, &answer(400, body)).unwrap_err() {
        CertificateError::Refused {
            status: 400,
            message,
            reason,
        } => {
            assert_eq!(
                (message.as_str(), reason.as_deref()),
                ("no", Some("TOKEN_EXPIRED"))
            );
        }
        other => panic!("{other:?}"),
    }
    let error = LeafCertificate::parse(&request, &answer(503, "busy\u{1b}[31m")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the certificate authority failed: busy\\u{1b}[31m (status 503)"
    );
}

#[tokio::test]
async fn malformed_empty_and_not_pem() {
    let request = request(email_token()).await;
    let parse = |response| LeafCertificate::parse(&request, &response).unwrap_err();
    assert!(matches!(
        parse(answer(200, "{}")),
        CertificateError::Malformed(_)
    ));
    assert!(matches!(parse(chain(&[])), CertificateError::Empty));
    assert!(matches!(
        parse(chain(&["x"])),
        CertificateError::NotPem { index: 0 }
    ));
    let not_a_certificate = Pem::new("CERTIFICATE", b"x").encode();
    assert!(matches!(
        parse(chain(&[&not_a_certificate])),
        CertificateError::BadLeaf(_)
    ));
}

#[tokio::test]
async fn other_key() {
    let authority = Authority::new().await;
    let request = request(email_token()).await;
    let other = signer(SignatureAlgorithm::EcdsaP256Sha256);
    let name = email("you@example.com");
    let leaf = authority
        .certify(other.public_key(), name, &[(1, ISSUER), (8, ISSUER)])
        .await;
    let error = LeafCertificate::parse(&request, &chain(&[&leaf])).unwrap_err();
    assert!(matches!(error, CertificateError::OtherKey));
}

#[tokio::test]
async fn other_identity() {
    let authority = Authority::new().await;
    let check = async |token: IdentityToken, name: SubjectAltName, subject: &str, ours: bool| {
        let request = request(token).await;
        let claims = [(1, ISSUER), (8, ISSUER), (24, subject)];
        let leaf = authority.certify(&request.key, name, &claims).await;
        let parsed = LeafCertificate::parse(&request, &chain(&[&leaf]));
        match parsed {
            Ok(_) => assert!(ours),
            Err(CertificateError::OtherIdentity { .. }) => assert!(!ours),
            Err(other) => panic!("{other:?}"),
        }
    };
    let uri = || SubjectAltName::Uri("https://ci.example/job".to_owned());
    check(email_token(), email("you@example.com"), "s", true).await;
    check(email_token(), email("You@example.com"), "s", false).await;
    check(email_token(), email("mallory@example.com"), "s", false).await;
    check(token(r#""sub":"job:1""#), uri(), "job:1", true).await;
    check(token(r#""sub":"job:1""#), uri(), "job:2", false).await;
    check(
        token(r#""sub":"job:1""#),
        email("job:1@example.com"),
        "job:1",
        false,
    )
    .await;
}

#[tokio::test]
async fn other_issuer() {
    let authority = Authority::new().await;
    let brokered = format!(
        r#""sub":"s","email":"you@example.com","email_verified":true,
        "federated_claims":{{"connector_id":"{CONNECTOR}"}}"#
    );
    let check = async |token: IdentityToken, issuer: &str, ours: bool| {
        let request = request(token).await;
        let name = email("you@example.com");
        let leaf = authority
            .certify(&request.key, name, &[(1, issuer), (8, issuer)])
            .await;
        match LeafCertificate::parse(&request, &chain(&[&leaf])) {
            Ok(_) => assert!(ours, "{issuer}"),
            Err(CertificateError::OtherIssuer { .. }) => assert!(!ours, "{issuer}"),
            Err(other) => panic!("{other:?}"),
        }
    };
    check(token(&brokered), CONNECTOR, true).await;
    check(token(&brokered), ISSUER, true).await;
    check(email_token(), ISSUER, true).await;
    check(email_token(), CONNECTOR, false).await;
    check(token(&brokered), "https://evil.example", false).await;
}

#[test]
fn bad_url() {
    let error = signing_cert_url(&"data:text".parse().unwrap()).unwrap_err();
    assert!(matches!(error, RequestError::BadUrl { .. }));
}

#[tokio::test]
async fn proof_of_possession() {
    struct Broken(Box<dyn LocalSigner>);
    impl waxseal_crypto::Signer for Broken {
        fn public_key(&self) -> &waxseal_crypto::PublicKey {
            self.0.public_key()
        }
        fn algorithm(&self) -> SignatureAlgorithm {
            self.0.algorithm()
        }
        fn sign<'a>(
            &'a self,
            _: waxseal_crypto::Input<'a>,
        ) -> waxseal_crypto::BoxFuture<'a, Result<Vec<u8>, waxseal_crypto::SignError>> {
            Box::pin(async { Err(waxseal_crypto::SignError::Failed("pulled".into())) })
        }
    }
    let broken = Broken(signer(SignatureAlgorithm::EcdsaP256Sha256));
    let base = "https://ca.example".parse().unwrap();
    let error = CertificateRequest::new(&base, email_token(), &broken)
        .await
        .unwrap_err();
    assert!(matches!(error, RequestError::ProofOfPossession(_)));
}

//! What does not start, each for its own reason.

use std::sync::Arc;

use waxseal_ca_server::{CaServer, Config, Context, CtLog, StartError};
use waxseal_crypto::{Random as _, SignatureAlgorithm};
use waxseal_identity::{IssuerConfig, IssuerKind};
use waxseal_issuing::{Subject, issue_intermediate, issue_root};
use waxseal_pki::encoding::{
    BIT_STRING, BOOLEAN, INTEGER, OCTET_STRING, SEQUENCE, SET, UTF8_STRING, context, element,
    object_identifier, signature_algorithm, time, unsigned,
};
use waxseal_pki::{Certificate, ObjectIdentifier, Purpose};
use waxseal_serve::Meter;
use waxseal_transport::{BoxFuture, Request, Response, Transport, TransportError};

use crate::world::*;

const P256: SignatureAlgorithm = SignatureAlgorithm::EcdsaP256Sha256;
const P384: SignatureAlgorithm = SignatureAlgorithm::EcdsaP384Sha384;
const YEAR: i64 = 365 * 86_400;

struct NoNetwork;

impl Transport for NoNetwork {
    fn send<'a>(&'a self, _: Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        panic!("starting makes no request")
    }

    fn sleep<'a>(&'a self, _: std::time::Duration) -> BoxFuture<'a, ()> {
        Box::pin(std::future::pending())
    }
}

fn start(chain: Chain, change: impl FnOnce(&mut Config)) -> Result<CaServer, StartError> {
    let log = CtLog::new(
        format!("{URL}/ct").parse().unwrap(),
        p256().public_key().clone(),
    );
    let mut config = Config::new(URL, issuers(), chain.certificates, log);
    change(&mut config);
    let context = Context::new(
        provider(),
        Arc::new(waxseal_crypto_aws_lc::SystemClock),
        Arc::new(waxseal_crypto_aws_lc::OsRandom),
        chain.signer,
        Arc::new(NoNetwork),
        Meter::new(),
    );
    CaServer::new(config, context)
}

fn name(result: Result<CaServer, StartError>) -> String {
    let error = result.expect_err("it starts");
    let text = format!("{error:?}");
    text.split([' ', '(', '{']).next().unwrap().to_owned()
}

#[tokio::test]
async fn it_starts() {
    start(default_chain().await, |_| {}).unwrap();
    let rsa = SignatureAlgorithm::RsaPkcs1Sha256;
    start(chain(rsa, rsa, YEAR).await, |_| {}).unwrap();
    // A root that signs leaves itself.
    let signer = generate(P384);
    let random = waxseal_crypto_aws_lc::OsRandom;
    let root = issue_root(&*signer, &subject("root"), validity(-1, YEAR), &random)
        .await
        .unwrap();
    let signer = shared(signer);
    start(
        Chain {
            signer,
            certificates: vec![root],
        },
        |_| {},
    )
    .unwrap();
}

#[tokio::test]
async fn no_issuer() {
    let found = start(default_chain().await, |config| config.issuers.clear());
    assert_eq!(name(found), "NoIssuer");
}

#[tokio::test]
async fn issuer() {
    let bad = IssuerConfig::new("http://a.example", &[], IssuerKind::Email);
    let found = start(default_chain().await, |config| config.issuers.push(bad));
    assert_eq!(name(found), "Issuer");
    let found = start(default_chain().await, |config| {
        let first = config.issuers[0].clone();
        config.issuers.push(first);
    });
    assert_eq!(name(found), "Issuer");
}

#[tokio::test]
async fn authority() {
    // The key of another chain, the chain reversed, and none.
    let mut other = default_chain().await;
    other.signer = default_chain().await.signer;
    assert_eq!(name(start(other, |_| {})), "Authority");
    let mut reversed = default_chain().await;
    reversed.certificates.reverse();
    assert_eq!(name(start(reversed, |_| {})), "Authority");
    assert_eq!(
        name(start(default_chain().await, |config| config.chain.clear())),
        "Authority"
    );
    let mut broken = default_chain().await;
    broken.certificates[1] = default_chain().await.certificates[1].clone();
    assert_eq!(name(start(broken, |_| {})), "Authority");
}

#[tokio::test]
async fn authority_key() {
    let ed25519 = SignatureAlgorithm::Ed25519;
    assert_eq!(
        name(start(chain(ed25519, ed25519, YEAR).await, |_| {})),
        "AuthorityKey"
    );
}

#[tokio::test]
async fn mixed_families() {
    let rsa = SignatureAlgorithm::RsaPkcs1Sha256;
    assert_eq!(
        name(start(chain(rsa, P256, YEAR).await, |_| {})),
        "MixedFamilies"
    );
    assert_eq!(
        name(start(chain(P384, rsa, YEAR).await, |_| {})),
        "MixedFamilies"
    );
}

/// An intermediate written by hand: with these organizations, with or without a purpose.
async fn handmade(organizations: &[&str], restricted: bool) -> Chain {
    let random = waxseal_crypto_aws_lc::OsRandom;
    let root_signer = generate(P384);
    let root = issue_root(&*root_signer, &subject("root"), validity(-1, YEAR), &random)
        .await
        .unwrap();
    let signer = p256();
    let oid = |text: &str| object_identifier(ObjectIdentifier::new(text).unwrap());
    let attribute = |name: &str, text: &str| {
        let pair = element(SEQUENCE, &[oid(name), element(UTF8_STRING, &[text])]);
        element(SET, &[pair])
    };
    let mut attributes = vec![attribute("2.5.4.3", "handmade")];
    attributes.extend(organizations.iter().map(|text| attribute("2.5.4.10", text)));
    let extension = |name: &str, critical: bool, value: &[u8]| {
        let mut parts = vec![oid(name)];
        if critical {
            parts.push(element(BOOLEAN, &[[0xff]]));
        }
        parts.push(element(OCTET_STRING, &[value]));
        element(SEQUENCE, &parts)
    };
    let ca = [element(BOOLEAN, &[[0xff]]), element(INTEGER, &[[0]])];
    let mut extensions = vec![
        extension("2.5.29.15", true, &element(BIT_STRING, &[[1, 6]])),
        extension("2.5.29.19", true, &element(SEQUENCE, &ca)),
        extension("2.5.29.14", false, &element(OCTET_STRING, &[[7; 20]])),
    ];
    if restricted {
        let purpose = element(SEQUENCE, &[object_identifier(Purpose::CodeSigning.oid())]);
        extensions.push(extension("2.5.29.37", false, &purpose));
    }
    let algorithm = signature_algorithm(P384).unwrap();
    let mut serial = [0; 8];
    random.fill(&mut serial).unwrap();
    let tbs = element(
        SEQUENCE,
        &[
            &element(context(0), &[unsigned(&[2])])[..],
            &unsigned(&serial),
            &algorithm,
            root.subject().der(),
            &element(SEQUENCE, &[time(at(-1)), time(at(YEAR))]),
            &element(SEQUENCE, &attributes),
            signer.public_key().spki_der(),
            &element(context(3), &[element(SEQUENCE, &extensions)]),
        ],
    );
    let signature = root_signer
        .sign_now(waxseal_crypto::Input::Message(&tbs))
        .unwrap();
    let bits = element(BIT_STRING, &[&[0][..], &signature]);
    let der = element(SEQUENCE, &[&tbs[..], &algorithm, &bits]);
    let certificates = vec![Certificate::parse(der).unwrap(), root];
    Chain {
        signer: shared(signer),
        certificates,
    }
}

#[tokio::test]
async fn intermediate_purpose() {
    start(handmade(&["one"], true).await, |_| {}).unwrap();
    assert_eq!(
        name(start(handmade(&["one"], false).await, |_| {})),
        "IntermediatePurpose"
    );
    // One for timestamps is none for code.
    let random = waxseal_crypto_aws_lc::OsRandom;
    let root_signer = generate(P384);
    let root = issue_root(&*root_signer, &subject("root"), validity(-1, YEAR), &random)
        .await
        .unwrap();
    let signer = p256();
    let other = issue_intermediate(
        &root,
        &*root_signer,
        &Subject::new("i", "o"),
        signer.public_key(),
        Purpose::TimeStamping,
        validity(-1, YEAR),
        &random,
    )
    .await
    .unwrap();
    let certificates = vec![other, root];
    let signer = shared(signer);
    assert_eq!(
        name(start(
            Chain {
                signer,
                certificates
            },
            |_| {}
        )),
        "Authority"
    );
}

#[tokio::test]
async fn organization() {
    for organizations in [&[][..], &["one", "two"]] {
        let found = start(handmade(organizations, true).await, |_| {});
        assert_eq!(name(found), "Organization");
    }
}

#[tokio::test]
async fn ct_log_key() {
    let key = generate(SignatureAlgorithm::Ed25519).public_key().clone();
    let found = start(default_chain().await, |config| config.ct_log.key = key);
    assert_eq!(name(found), "CtLogKey");
}

#[tokio::test]
async fn ct_log_url() {
    for url in [
        "http://ct.example",
        "ftp://ct.example/x",
        "https://user@ct.example/",
        "data:x",
    ] {
        let found = start(default_chain().await, |config| {
            config.ct_log.url = url.parse().unwrap();
        });
        assert_eq!(name(found), "CtLogUrl", "{url}");
    }
}
